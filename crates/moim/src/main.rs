//! The program `moim`: what the command line asks for, and the exit status.
//! Not here: what a running node is made of (`wiring`), the words of `--help` (`cli`).

mod banner;
mod chat;
mod cli;
mod config;
mod health;
mod language;
mod reach;
mod reference;
mod start_error;
mod wiring;
mod words;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use moim_protocol::Language;

use crate::{
    cli::{Cli, Command},
    config::{BusKind, Config, Loaded, StoreKind},
    start_error::StartError,
};

/// glibc's keeps what a crowd needed when the crowd has left: it gives back only what is free at the very end of the heap. This
/// one gives back what was not used for ten seconds, at the same cost (`moim-loadtest idle`, `fanout`).
#[cfg(unix)]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const FAILED: u8 = 1;
const NOT_UNDERSTOOD: u8 = 2;
// EX_CONFIG of sysexits.h, which service managers can be told not to restart on.
const FAULTY_CONFIG: u8 = 78;

fn main() -> ExitCode {
    let language = language::of_environment();
    let Cli { command, settings, .. } = Cli::read(language);
    let command = command.unwrap_or(Command::Serve);
    // These start nothing and ask no configuration: a fault in it does not keep anybody from them.
    match &command {
        Command::Completions { shell } => return say(&reference::completions(*shell, language)),
        Command::Man { of } => {
            return match reference::man(of.as_deref(), language) {
                Ok(page) => say(&page),
                Err(no) => complain(&no, NOT_UNDERSTOOD),
            };
        }
        Command::Reference { page } => return say(&reference::markdown(*page)),
        Command::Chat(wanted) if wanted.url().is_some() => return chat::run(wanted, None, language),
        _ => {}
    }
    match (command, config::load(&settings.over_environment())) {
        // A health check knows only yes and no; Docker keeps the other statuses for itself.
        (Command::Healthcheck { .. }, Err(faults)) => complain(&faults.in_words(language), FAILED),
        (_, Err(faults)) => complain(&faults.in_words(language), FAULTY_CONFIG),
        (Command::Chat(wanted), Ok(loaded)) => {
            chat::run(&wanted, Some(loaded.config.listen.public), language)
        }
        (command, Ok(loaded)) => on_this_machine(command, &loaded, language),
    }
}

/// The commands that are about the node of this configuration.
fn on_this_machine(command: Command, loaded: &Loaded, language: Language) -> ExitCode {
    let config = || loaded.config.clone();
    match command {
        Command::Serve => run(config(), language, wiring::serve),
        Command::Writer if loaded.config.bus.kind != BusKind::Redis => {
            complain(&words::writer_alone(language), FAULTY_CONFIG)
        }
        Command::Writer if loaded.config.store.kind == StoreKind::None => {
            complain(&words::writer_without_store(language), FAULTY_CONFIG)
        }
        Command::Writer => run(config(), language, wiring::drain),
        Command::Migrate if loaded.config.store.kind != StoreKind::Cassandra => {
            complain(&words::migrate_without_cassandra(language), FAULTY_CONFIG)
        }
        Command::Migrate => run(config(), language, wiring::migrate),
        Command::CheckConfig => say(&words::good(language, loaded.origins.len())),
        Command::Config => say(&config::render(loaded, language)),
        Command::Healthcheck { live } => match health::ask(loaded.config.listen.ops, live, language) {
            Ok(yes) => say(&format!("{yes}\n")),
            Err(no) => complain(&no, FAILED),
        },
        // Done before the configuration was read.
        Command::Chat(_) | Command::Completions { .. } | Command::Man { .. } | Command::Reference { .. } => {
            ExitCode::SUCCESS
        }
    }
}

/// Does something that runs until it is done or told to stop.
fn run(
    config: Config,
    language: Language,
    what: impl AsyncFnOnce(Config) -> Result<(), StartError>,
) -> ExitCode {
    let run = || {
        moim_telemetry::log::init(config.log.format.into(), &config.log.level)?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(StartError::Runtime)?;
        runtime.block_on(what(config))
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error.tell(language), FAILED),
    }
}

/// Prints to stdout. A reader that has gone (`moim config | head`) is no failure, and a full disk is.
fn say(text: &str) -> ExitCode {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            complain(&format!("stdout cannot be written: {error}"), FAILED)
        }
        _ => ExitCode::SUCCESS,
    }
}

fn complain(what: &impl std::fmt::Display, status: u8) -> ExitCode {
    eprintln!("moim: {what}");
    ExitCode::from(status)
}
