//! `cargo xtask autobahn`: the Autobahn WebSocket testsuite against the gateway's `echo` example.
//! Not here: the suite and its port to Python 3 (`xtask/autobahn`).

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use clap::Args;

use crate::fault::Fault;
use crate::guarded::{Farewell, Guarded, Output};
use crate::process::{show, stream};
use crate::workspace::Workspace;

const SUITE: &str = "xtask/autobahn/run";
const TABLE: &str = "docs/autobahn.md";
/// What the example prints once it accepts connections, before the address.
const READY: &str = "echo listening on ";
const READY_TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Args, Default)]
pub(crate) struct AutobahnArgs {
    /// Leave out group 9: large messages and round trips
    #[arg(long)]
    quick: bool,
    /// Only these cases: ids and globs, with commas, such as 6.*,7.1.5
    #[arg(long, value_name = "CASES")]
    cases: Option<String>,
    /// A server that runs already and echoes every message, instead of our own
    #[arg(long, value_name = "ws://HOST:PORT")]
    url: Option<String>,
    /// Write the table of groups to docs/autobahn.md
    #[arg(long, conflicts_with_all = ["quick", "cases", "url"])]
    write_table: bool,
}

pub(crate) fn run(workspace: &Workspace, args: &AutobahnArgs) -> Result<(), Fault> {
    if let Some(url) = &args.url {
        return suite(workspace, args, url);
    }
    stream(workspace.cargo().args(["build", "--package", "moim-gateway", "--example", "echo"]))?;
    let binary = workspace.target.join("debug").join("examples").join("echo");
    let mut command = workspace.command(binary);
    let (_server, url) = start(command.args(["--listen", "127.0.0.1:0"]))?;
    suite(workspace, args, &url)
}

fn suite(workspace: &Workspace, args: &AutobahnArgs, url: &str) -> Result<(), Fault> {
    let home = workspace.kept("autobahn");
    fs::create_dir_all(&home).map_err(Fault::io(format!("make {}", home.display())))?;
    let mut suite = workspace.command(workspace.root.join(SUITE));
    // One report for our own server, whatever port it got: the last run is the one of interest.
    suite.env("AUTOBAHN_HOME", &home).arg(url).arg("--out").arg(home.join("report"));
    if args.quick {
        suite.arg("--quick");
    }
    if let Some(cases) = &args.cases {
        suite.args(["--cases", cases]);
    }
    let rows = home.join("table.md");
    // That of an earlier run must not stand in for one that this run did not get to.
    fs::remove_file(&rows).ok();
    let result = stream(suite.arg("--markdown").arg(&rows));
    // Written when cases failed, too: the table in the repository must not look better than the server is.
    if args.write_table && rows.exists() {
        write_table(workspace, &rows)?;
    }
    result
        .map_err(|fault| Fault::new(fault.what, format!("open {}", home.join("report/index.html").display())))
}

fn write_table(workspace: &Workspace, rows: &Path) -> Result<(), Fault> {
    let path: PathBuf = workspace.root.join(TABLE);
    let rows = fs::read_to_string(rows).map_err(Fault::io(format!("read {}", rows.display())))?;
    let text = format!(
        "# Autobahn WebSocket testsuite\n\n\
         Written by `cargo xtask autobahn --write-table`, not by hand; `xtask/autobahn/README.md` says what the columns \
         mean.\nThe server is `crates/moim-gateway/examples/echo.rs`: the gateway's own listener, handshake and frames, \
         echoing every message.\n\n{rows}"
    );
    let folder = path.parent().unwrap_or(&workspace.root);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&path, text))
        .map_err(Fault::io(format!("write {}", path.display())))?;
    println!("wrote {TABLE}");
    Ok(())
}

/// A server of ours with its address. It ends with the first value, and with us, whatever happens in between.
fn start(command: &Command) -> Result<(Guarded, String), Fault> {
    let shown = show(command);
    let mut server = Guarded::start(command, &Farewell::None, &Output::Pipe)?;
    let Some(stdout) = server.stdout() else { return Err(Fault::plain(format!("`{shown}` has no stdout"))) };
    let (address, found) = sync_channel(1);
    thread::spawn(move || read_lines(stdout, &address));
    let url = found.recv_timeout(READY_TIMEOUT).map_err(|error| match error {
        RecvTimeoutError::Timeout => {
            let seconds = READY_TIMEOUT.as_secs();
            Fault::plain(format!("`{shown}` did not print \"{READY}ws://…\" in {seconds} s"))
        }
        RecvTimeoutError::Disconnected => {
            Fault::plain(format!("`{shown}` ended before it printed \"{READY}ws://…\""))
        }
    })?;
    Ok((server, url))
}

/// Reads to the end, not to the address: a server whose pipe is full or closed would stop in the middle of the suite.
fn read_lines(stdout: ChildStdout, address: &SyncSender<String>) {
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        match line.strip_prefix(READY) {
            // The receiver is gone when it has had one address, or has stopped waiting.
            Some(url) => address.try_send(url.to_owned()).unwrap_or(()),
            None => println!("{line}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::succeeds;

    #[test]
    fn a_server_is_found_by_its_line_and_ends_with_its_value() {
        let script = "echo starting; echo 'echo listening on ws://127.0.0.1:9'; exec sleep 60";
        let (server, url) = start(Command::new("sh").args(["-c", script])).unwrap();
        assert_eq!(url, "ws://127.0.0.1:9");
        let id = server.id().to_string();
        let runs = || succeeds(Command::new("kill").args(["-0", &id]));
        assert!(runs());
        drop(server);
        assert!(!runs(), "the server outlived its value");
    }

    #[test]
    fn a_server_that_ends_at_once_is_a_fault() {
        let fault = start(Command::new("sh").args(["-c", "exit 1"])).err().unwrap();
        assert!(fault.what.ends_with("ended before it printed \"echo listening on ws://…\""), "{fault}");
    }
}
