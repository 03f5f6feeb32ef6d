//! The program `moim`: what the command line asks for, and the exit status.
//! Not here: what a running node is made of (`wiring`), the words of `--help` (`cli`).

mod banner;
mod cli;
mod config;
mod health;
mod reach;
mod start_error;
mod wiring;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;

use crate::{
    cli::{Cli, Command},
    config::{BusKind, Config, Loaded, StoreKind},
    start_error::StartError,
};

const FAILED: u8 = 1;
// EX_CONFIG of sysexits.h, which service managers can be told not to restart on.
const FAULTY_CONFIG: u8 = 78;

fn main() -> ExitCode {
    let Cli { command, settings } = Cli::parse();
    let loaded = config::load(&settings.over_environment());
    match (command.unwrap_or(Command::Serve), loaded) {
        // A health check knows only yes and no; Docker keeps the other statuses for itself.
        (Command::Healthcheck { .. }, Err(faults)) => complain(&faults, FAILED),
        (_, Err(faults)) => complain(&faults, FAULTY_CONFIG),
        (Command::Serve, Ok(loaded)) => run(loaded.config, wiring::serve),
        (Command::Writer, Ok(loaded)) if loaded.config.bus.kind != BusKind::Redis => complain(
            &"`moim writer` is for bus.kind = \"redis\"; with \"in-process\" the node that serves is the only one that can \
              store what was sent to it. Set MOIM__BUS__KIND=redis or bus.kind in the file, or run `moim serve`",
            FAULTY_CONFIG,
        ),
        (Command::Writer, Ok(loaded)) if loaded.config.store.kind == StoreKind::None => complain(
            &"`moim writer` has nothing to do with store.kind = \"none\": messages stay in Redis. Set \
              MOIM__STORE__KIND=cassandra or store.kind in the file, or run only `moim serve`",
            FAULTY_CONFIG,
        ),
        (Command::Writer, Ok(loaded)) => run(loaded.config, wiring::drain),
        (Command::Migrate, Ok(loaded)) if loaded.config.store.kind != StoreKind::Cassandra => complain(
            &"`moim migrate` is for store.kind = \"cassandra\"; the other stores make their files themselves. Set \
              MOIM__STORE__KIND=cassandra or store.kind in the file",
            FAULTY_CONFIG,
        ),
        (Command::Migrate, Ok(loaded)) => run(loaded.config, wiring::migrate),
        (Command::CheckConfig, Ok(loaded)) => say(&good(&loaded)),
        (Command::Config, Ok(loaded)) => say(&config::render(&loaded)),
        (Command::Healthcheck { live }, Ok(loaded)) => match health::ask(loaded.config.listen.ops, live) {
            Ok(yes) => say(&format!("{yes}\n")),
            Err(no) => complain(&no, FAILED),
        },
    }
}

/// Does something that runs until it is done or told to stop.
fn run(config: Config, what: impl AsyncFnOnce(Config) -> Result<(), StartError>) -> ExitCode {
    let run = || {
        moim_telemetry::log::init(config.log.format.into(), &config.log.level)?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(StartError::Runtime)?;
        runtime.block_on(what(config))
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error, FAILED),
    }
}

fn good(loaded: &Loaded) -> String {
    match loaded.origins.len() {
        0 => "the configuration is good: every setting is at its default\n".into(),
        1 => "the configuration is good: 1 setting is not at its default, `moim config` shows which\n".into(),
        n => format!(
            "the configuration is good: {n} settings are not at their defaults, `moim config` shows which\n"
        ),
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
