//! The command line: which drill, how large, and what the exit status says.
//! Not here: the drills (`scenario`).

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand, ValueEnum};
use moim_protocol::Profile;

use crate::{
    fault::Fault,
    hold::{self, HoldArgs},
    interrupt,
    judge::{self, CheckArgs},
    page::{self, PageArgs},
    play::{self, PartArgs, PlayArgs},
    proxy::{self, ProxyArgs},
    record::{self, RecordArgs},
    report::Report,
    scenario,
};

/// Puts a real moim server under load and measures it. Each drill starts the server itself, on free loopback ports with
/// a folder of its own, verifies what members hear, and ends the server.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Exit status: 0 measured and right, 1 wrong or failed, 2 not understood, \
                                 3 an aim was missed (only with --strict)"
)]
struct Cli {
    #[command(subcommand)]
    drill: Drill,
    #[command(flatten)]
    common: Common,
}

/// What every drill can be told.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// The server to start; else the `moim` beside this program
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) server: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long, global = true)]
    json: bool,
    /// Exit with 3 when an aim is missed
    #[arg(long, global = true)]
    strict: bool,
    /// Also write the result as a page with charts, one file that opens without a server
    #[arg(long, global = true, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Where random text, senders and victims come from
    #[arg(long, global = true, default_value_t = 1)]
    pub(crate) seed: u64,
}

#[derive(Debug, Subcommand)]
enum Drill {
    /// Memory of idle connections
    Idle(scenario::IdleArgs),
    /// CPU of one room's messages to all its members, beside a bare loop that copies frames
    Fanout(scenario::FanoutArgs),
    /// A room that everyone enters at once
    JoinStorm(scenario::JoinStormArgs),
    /// Two gateways that lose all of their connections in one moment, while people come in
    DisconnectStorm(scenario::DisconnectStormArgs),
    /// CPU of a message between two gateways, and of the publish script beside a bare PUBLISH
    Relay(scenario::RelayArgs),
    /// What a great many rooms leave behind that are each touched once
    Rooms(scenario::RoomsArgs),
    /// A scenario from a file: who is there, what they say, what happens to them when
    Play(PlayArgs),
    /// A result that was written as JSON, or several, as one page
    Page(PageArgs),
    /// Members of a cluster that runs, who write down all they see; for `check`
    Record(RecordArgs),
    /// Connections of `disconnect-storm`, in a process that can be killed
    #[command(hide = true)]
    Hold(HoldArgs),
    /// A part of what `play` plays, with rooms of its own
    #[command(hide = true)]
    Part(PartArgs),
    /// Hold what `record` wrote, and the rows of the store, against the promises
    Check(CheckArgs),
    /// TCP links that can be cut, made deaf and slowed, for drills of faults
    Proxy(ProxyArgs),
}

/// A profile as one names it on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ProfileName {
    V1,
    Plain,
}

impl From<ProfileName> for Profile {
    fn from(name: ProfileName) -> Self {
        match name {
            ProfileName::V1 => Self::V1,
            ProfileName::Plain => Self::Plain,
        }
    }
}

/// The program `moim-loadtest`.
#[must_use]
pub fn run() -> ExitCode {
    let Cli { drill, common } = Cli::parse();
    // These listen to signals in their own way, and have no figures to be held against an aim.
    let result = match &drill {
        Drill::Record(args) => record::run(args, common.seed).map(|()| ExitCode::SUCCESS),
        Drill::Check(args) => judge::run(args).map(|()| ExitCode::SUCCESS),
        Drill::Proxy(args) => proxy::run(args).map(|()| ExitCode::SUCCESS),
        Drill::Hold(args) => hold::run(args).map(|()| ExitCode::SUCCESS),
        Drill::Part(args) => play::run_part(args, common.seed).map(|()| ExitCode::SUCCESS),
        Drill::DisconnectStorm(args) => measure(&common, || scenario::disconnect_storm(args, &common)),
        Drill::Page(args) => page::run(args).map(|()| ExitCode::SUCCESS),
        Drill::Play(args) => measure(&common, || play::run(args, &common)),
        Drill::Idle(args) => measure(&common, || scenario::idle(args, &common)),
        Drill::Fanout(args) => measure(&common, || scenario::fanout(args, &common)),
        Drill::JoinStorm(args) => measure(&common, || scenario::join_storm(args, &common)),
        Drill::Relay(args) => measure(&common, || scenario::relay(args, &common)),
        Drill::Rooms(args) => measure(&common, || scenario::rooms(args, &common)),
    };
    match result {
        Ok(status) => status,
        Err(fault @ Fault::Usage(_)) => complain(&fault, 2),
        Err(fault) => complain(&fault, 1),
    }
}

fn measure(common: &Common, drill: impl FnOnce() -> Result<Report, Fault>) -> Result<ExitCode, Fault> {
    interrupt::listen()?;
    let report = drill()?;
    show(&report, common)?;
    if let Some(broken) = report.broken {
        return Err(Fault::wrong(broken));
    }
    let status = if common.strict && !report.aims_met() { 3 } else { 0 };
    Ok(ExitCode::from(status))
}

fn show(report: &Report, common: &Common) -> Result<(), Fault> {
    if let Some(path) = &common.html {
        page::write(&[report.value()], path)?;
    }
    let text = if common.json { report.json() } else { report.table() };
    io::stdout().write_all(text.as_bytes()).map_err(Fault::io("cannot print"))
}

fn complain(fault: &Fault, status: u8) -> ExitCode {
    eprintln!("moim-loadtest: {fault}");
    ExitCode::from(status)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn rates_can_be_several_and_flags_stand_anywhere() {
        let cli = Cli::try_parse_from(["x", "fanout", "--rates", "20,160", "--json"]).unwrap();
        assert!(cli.common.json);
        assert!(matches!(cli.drill, Drill::Fanout(args) if args.rates == [20, 160]));
        assert!(Cli::try_parse_from(["x", "fanout", "--rate", "0"]).is_err());
        assert!(Cli::try_parse_from(["x", "idle", "--members", "19999"]).is_err());
    }
}
