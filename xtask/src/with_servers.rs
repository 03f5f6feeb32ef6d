//! `cargo xtask with-servers`: one command of a developer's beside the servers that the tests get.
//! Not here: the servers and their variables (`servers`).

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::Child;
use std::thread::sleep;
use std::time::Duration;

use clap::Args;
use rustix::process::{Pid, Signal, kill_process};

use crate::fault::Fault;
use crate::process::show;
use crate::servers::{Kind, Servers};
use crate::signals::{Asked, Signals};
use crate::workspace::Workspace;

const POLL: Duration = Duration::from_millis(20);

#[derive(Args)]
pub(crate) struct WithServersArgs {
    /// Start only these
    #[arg(long, value_enum, value_name = "SERVER,…", value_delimiter = ',')]
    only: Vec<Kind>,
    /// The command and its arguments, after --
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub(crate) fn run(workspace: &Workspace, args: &WithServersArgs) -> Result<(), Fault> {
    let kinds = if args.only.is_empty() { Kind::ALL } else { &args.only };
    let mut servers = Servers::start(workspace, kinds)?;
    let outcome = servers.ready(workspace).and_then(|()| command(&servers, &args.command));
    servers.end(outcome)
}

/// In our process group, with our stdin, so that it can be a shell: it gets Ctrl-C from the terminal as we do, and
/// decides; we end when it has.
fn command(servers: &Servers, words: &[OsString]) -> Result<(), Fault> {
    let [program, arguments @ ..] = words else { return Ok(()) };
    let mut command = std::process::Command::new(program);
    servers.tell(command.args(arguments));
    let shown = show(&command);
    let signals = Signals::catch()?;
    let mut child = command.spawn().map_err(Fault::io(format!("start `{shown}`")))?;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(Fault::io(format!("wait for `{shown}`")))? {
            break status;
        }
        if signals.asked() == Some(Asked::Terminate) {
            terminate(&child);
        }
        sleep(POLL);
    };
    match status.signal() {
        _ if status.success() => Ok(()),
        Some(number) if number == Signal::INT.as_raw() => Err(Fault::plain(format!("`{shown}` was stopped"))),
        _ => Err(Fault::plain(format!("`{shown}` ended with {status}"))),
    }
}

fn terminate(child: &Child) {
    // Not waited for yet, so the number is still its own.
    kill_process(Pid::from_child(child), Signal::TERM).ok();
}
