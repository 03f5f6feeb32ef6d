//! The members of a drill: `moim-loadtest record` as a process, from the first join to its summary.
//! Not here: what members do (`moim-loadtest`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::fault::Fault;
use crate::guarded::Farewell;
use crate::servers::place::Place;
use crate::servers::server::Server;

const READY_TIMEOUT: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(50);
/// For the last answers and for everybody to catch up; a restarted Redis and a drained log take far less.
const SETTLE_SECONDS: u64 = 60;
const END_TIMEOUT: Duration = Duration::from_secs(SETTLE_SECONDS + 60);

/// How many they are and what they do.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) members: u32,
    pub(crate) plain: u32,
    pub(crate) rooms: u32,
    /// Messages and pages a second, all together.
    pub(crate) rate: u32,
    pub(crate) pages: u32,
    /// The level asked for; `mixed` draws for each message.
    pub(crate) ack: &'static str,
}

/// Where they connect and write.
pub(crate) struct Surroundings<'a> {
    pub(crate) loadtest: &'a Path,
    pub(crate) addresses: &'a [u16],
    pub(crate) gateways: &'a [u16],
    pub(crate) evidence: &'a Path,
    pub(crate) seed: u64,
    pub(crate) name: String,
}

pub(crate) struct Members {
    server: Server,
    evidence: PathBuf,
}

impl Members {
    /// Starts them and waits until all are in their rooms and speak.
    pub(crate) fn start(around: &Surroundings<'_>, load: &Load, place: &Place) -> Result<Self, Fault> {
        let mut command = Command::new(around.loadtest);
        command.arg("record").arg("--into").arg(around.evidence);
        for port in around.addresses {
            command.arg("--address").arg(format!("127.0.0.1:{port}"));
        }
        for port in around.gateways {
            command.arg("--gateway").arg(format!("127.0.0.1:{port}"));
        }
        let numbers = [
            ("--members", u64::from(load.members)),
            ("--plain", load.plain.into()),
            ("--rooms", load.rooms.into()),
            ("--rate", load.rate.into()),
            ("--pages", load.pages.into()),
            ("--settle-seconds", SETTLE_SECONDS),
            ("--seed", around.seed),
        ];
        for (flag, number) in numbers {
            command.arg(flag).arg(number.to_string());
        }
        command.args(["--ack", load.ack]);
        let mut server = Server::start(around.name.clone(), &command, &Farewell::None, place)?;
        let phase = around.evidence.join("phase");
        server.ready(READY_TIMEOUT, || fs::read_to_string(&phase).is_ok_and(|word| word == "speaking"))?;
        Ok(Self { server, evidence: around.evidence.to_owned() })
    }

    /// They stay and say nothing more.
    pub(crate) fn fall_silent(&mut self) {
        self.server.process.signal(Signal::USR1);
    }

    pub(crate) fn speak_again(&mut self) {
        self.server.process.signal(Signal::USR2);
    }

    /// They fall silent, wait for their answers and leave; their summary.
    pub(crate) fn end(mut self) -> Result<Value, Fault> {
        self.server.process.signal(Signal::TERM);
        let start = Instant::now();
        while self.server.process.ended().is_none() && start.elapsed() < END_TIMEOUT {
            sleep(POLL);
        }
        self.server.finished(Duration::ZERO)?;
        read_json(&self.evidence.join("summary.json"))
    }
}

/// A file that one of our programs wrote.
pub(crate) fn read_json(path: &Path) -> Result<Value, Fault> {
    let text = fs::read_to_string(path).map_err(Fault::io(format!("read {}", path.display())))?;
    serde_json::from_str(&text)
        .map_err(|error| Fault::plain(format!("cannot read {}: {error}", path.display())))
}
