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
    config::{Config, Loaded},
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
        (Command::Serve, Ok(loaded)) => match serve(loaded.config) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => complain(&error, FAILED),
        },
        (Command::CheckConfig, Ok(loaded)) => say(&good(&loaded)),
        (Command::Config, Ok(loaded)) => say(&config::render(&loaded)),
        (Command::Healthcheck { live }, Ok(loaded)) => match health::ask(loaded.config.listen.ops, live) {
            Ok(yes) => say(&format!("{yes}\n")),
            Err(no) => complain(&no, FAILED),
        },
    }
}

fn serve(config: Config) -> Result<(), StartError> {
    moim_telemetry::log::init(config.log.format.into(), &config.log.level)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(StartError::Runtime)?;
    runtime.block_on(wiring::run(config))
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
