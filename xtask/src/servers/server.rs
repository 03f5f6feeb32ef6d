//! One server of one run: started, waited for, and its last words when it fails.
//! Not here: which servers there are, and what tells that one is ready.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::fault::Fault;
use crate::guarded::{Farewell, Guarded, Output};

use super::place::Place;

const POLL: Duration = Duration::from_millis(20);
const TELL_EVERY: Duration = Duration::from_secs(10);
/// Of the log, in a fault: enough for a reason, with the stack of a Java exception cut short.
const LAST_LINES: usize = 15;

pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) process: Guarded,
    pub(crate) log: PathBuf,
    started: Instant,
}

impl Server {
    /// Starts it; its output goes to its log in `place`.
    pub(crate) fn start(
        name: impl Into<String>,
        command: &Command,
        farewell: &Farewell,
        place: &Place,
    ) -> Result<Self, Fault> {
        let name = name.into();
        let log = place.log(&name);
        let process = Guarded::start(command, farewell, &Output::File(&log))?;
        Ok(Self { name, process, log, started: Instant::now() })
    }

    /// Waits until `is_ready`, but not longer than `limit` from its start. Says every ten seconds that it waits.
    pub(crate) fn ready(&mut self, limit: Duration, mut is_ready: impl FnMut() -> bool) -> Result<(), Fault> {
        let mut told = Instant::now();
        while !is_ready() {
            if let Some(status) = self.process.ended() {
                return Err(self.failed(&format!("{} ended with {status} before it was ready", self.name)));
            }
            if self.started.elapsed() >= limit {
                let seconds = limit.as_secs();
                return Err(self.failed(&format!("{} was not ready in {seconds} s", self.name)));
            }
            if told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                println!("waiting for {} since {} s", self.name, self.started.elapsed().as_secs());
            }
            sleep(POLL);
        }
        Ok(())
    }

    /// Waits for the end of a program that has one; anything but exit status 0 is a fault.
    pub(crate) fn finished(&mut self, limit: Duration) -> Result<(), Fault> {
        match self.process.wait_within(limit) {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(self.failed(&format!("{} ended with {status}", self.name))),
            None => Err(self.failed(&format!("{} had not ended after {} s", self.name, limit.as_secs()))),
        }
    }

    fn failed(&self, what: &str) -> Fault {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
        let said = if last.is_empty() {
            "it said nothing".to_owned()
        } else {
            format!("its last lines:\n    {}", last.join("\n    "))
        };
        Fault::new(format!("{what}; {said}"), format!("read {}", self.log.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Workspace;
    use std::env;

    fn server(test: &str, script: &str) -> (Workspace, Place, Server) {
        let root = env::temp_dir().join(format!("xtask-server-{test}-{}", std::process::id()));
        let workspace = Workspace { root: root.clone(), target: root };
        let place = Place::make(&workspace, "servers").unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let server = Server::start("thing", &command, &Farewell::None, &place).unwrap();
        (workspace, place, server)
    }

    #[test]
    fn a_server_that_dies_brings_its_last_words_and_where_to_read_on() {
        let (workspace, place, mut server) = server("dies", "seq 40; echo no memory >&2; exit 4");
        let fault = server.ready(Duration::from_secs(10), || false).unwrap_err();
        assert!(
            fault.what.starts_with(
                "thing ended with exit status: 4 before it was ready; its last lines:\n    27\n"
            ),
            "{fault}"
        );
        assert!(fault.what.ends_with("40\n    no memory"), "{fault}");
        assert_eq!(fault.cure, format!("read {}", place.log("thing").display()));
        fs::remove_dir_all(&workspace.root).unwrap();
    }

    #[test]
    fn a_program_that_has_an_end_must_end_well() {
        let (workspace, place, mut good) = server("ends", "exit 0");
        good.finished(Duration::from_secs(10)).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo no keyspace; exit 1"]);
        let mut bad = Server::start("migrate", &command, &Farewell::None, &place).unwrap();
        let fault = bad.finished(Duration::from_secs(10)).unwrap_err();
        assert_eq!(fault.what, "migrate ended with exit status: 1; its last lines:\n    no keyspace");
        fs::remove_dir_all(&workspace.root).unwrap();
    }

    #[test]
    fn a_server_that_never_gets_ready_is_a_fault() {
        let (workspace, _place, mut server) = server("late", "exec sleep 600");
        let fault = server.ready(Duration::from_millis(50), || false).unwrap_err();
        assert!(fault.what.starts_with("thing was not ready in 0 s; it said nothing"), "{fault}");
        server.ready(Duration::ZERO, || true).unwrap();
        fs::remove_dir_all(&workspace.root).unwrap();
    }
}
