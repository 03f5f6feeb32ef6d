//! What is behind the gateways of a drill: one Cassandra for all faults, one or two Redis for each.
//! Not here: how they are broken (`acts`).

use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::fault::Fault;
use crate::process::succeeds;
use crate::servers::cassandra::{self, Cassandra};
use crate::servers::place::Place;
use crate::servers::ports::Ports;
use crate::servers::redis::{self, Redis};
use crate::workspace::Workspace;

/// Data of a Cassandra from Docker: it must find them again when it starts again.
const VOLUME: &str = "moim-xtask-drill";
const END_TIMEOUT: Duration = Duration::from_secs(60);
const FOLLOW_TIMEOUT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

/// The Cassandra of all faults; each has a keyspace of its own.
pub(crate) struct Store {
    cassandra: Cassandra,
    keyspaces: u32,
    /// Its ports stay its own while it is stopped.
    _ports: Ports,
}

impl Store {
    pub(crate) fn start(workspace: &Workspace, place: &Place) -> Result<Self, Fault> {
        let source = cassandra::source(workspace)?;
        if matches!(source, cassandra::Source::Docker) {
            // Of the run before; that there was none is no fault.
            succeeds(Command::new("docker").args(["volume", "rm", "--force", VOLUME]));
        }
        let mut ports = Ports::new();
        let cassandra = Cassandra::start(workspace, source, place, &mut ports, Some(VOLUME))?;
        Ok(Self { cassandra, keyspaces: 0, _ports: ports })
    }

    pub(crate) fn ready(&mut self, workspace: &Workspace, place: &Place) -> Result<(), Fault> {
        println!("waiting for cassandra");
        self.cassandra.ready(workspace, place)
    }

    pub(crate) fn address(&self) -> String {
        self.cassandra.address()
    }

    pub(crate) fn new_keyspace(&mut self) -> String {
        self.keyspaces += 1;
        format!("drill_{}", self.keyspaces)
    }

    /// It stops as an operator stops it.
    pub(crate) fn stop(&mut self) {
        let process = &mut self.cassandra.server.process;
        process.signal(Signal::TERM);
        if process.wait_within(END_TIMEOUT).is_none() {
            process.signal(Signal::KILL);
            process.wait_within(END_TIMEOUT);
        }
    }

    pub(crate) fn start_again(&mut self, workspace: &Workspace, place: &Place) -> Result<(), Fault> {
        self.cassandra.start_again(workspace, place, Some(VOLUME))?;
        self.cassandra.ready(workspace, place)
    }
}

/// A Redis of one fault: the same folder and port over all its lives.
pub(crate) struct RedisNode {
    name: String,
    program: PathBuf,
    running: Redis,
}

impl RedisNode {
    pub(crate) fn start(
        program: PathBuf,
        name: String,
        place: &Place,
        ports: &mut Ports,
    ) -> Result<Self, Fault> {
        let running = Redis::start(&program, &name, place, ports)?;
        Ok(Self { name, program, running })
    }

    pub(crate) fn ready(&mut self) -> Result<(), Fault> {
        self.running.ready()
    }

    pub(crate) fn port(&self) -> u16 {
        self.running.port
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.running.server.log.clone()
    }

    pub(crate) fn kill(&mut self) {
        self.running.server.process.signal(Signal::KILL);
        self.running.server.process.wait_within(END_TIMEOUT);
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.running.server.process.ended().is_none()
    }

    /// With the data it had.
    pub(crate) fn start_again(&mut self, place: &Place) -> Result<(), Fault> {
        self.start_again_in(place, &[])
    }

    /// With the data it had, in such an environment.
    pub(crate) fn start_again_in(
        &mut self,
        place: &Place,
        environment: &[(&str, String)],
    ) -> Result<(), Fault> {
        let (name, port) = (&self.name, self.running.port);
        self.running = Redis::start_with(&self.program, name, place, port, &[], environment)?;
        self.running.ready()
    }

    /// It takes the other one's data and follows it.
    pub(crate) fn follow(&self, master: &Self) -> Result<(), Fault> {
        self.tell(&format!("REPLICAOF 127.0.0.1 {}", master.port()))?;
        let start = Instant::now();
        while self.info("master_link_status")? != "up" {
            if start.elapsed() > FOLLOW_TIMEOUT {
                let limit = FOLLOW_TIMEOUT.as_secs();
                return Err(Fault::plain(format!(
                    "{} did not follow {} within {limit} s",
                    self.name, master.name
                )));
            }
            sleep(POLL);
        }
        Ok(())
    }

    /// A replica of nobody who is there: what it has stays, and lags from now on.
    pub(crate) fn follow_no_more(&self) -> Result<(), Fault> {
        self.tell("REPLICAOF 127.0.0.1 1").map(drop)
    }

    /// The numbers that its rooms have come to, together.
    pub(crate) fn numbers_given(&self) -> Result<u64, Fault> {
        let heads = "for _, key in ipairs(redis.call('KEYS', '*}:h:*')) do";
        let script = format!(
            "local n = 0 {heads} n = n + redis.call('HGET', key, 'seq') end return string.format('%.0f', n)"
        );
        let answer = self.tell(&format!("EVAL \"{script}\" 0"))?;
        answer.parse().map_err(|_| Fault::plain(format!("{} told {answer:?} as its numbers", self.name)))
    }

    /// Messages in its logs, which are not stored yet.
    pub(crate) fn in_logs(&self) -> Result<u64, Fault> {
        let logs = "for _, key in ipairs(redis.call('KEYS', '*:log')) do";
        let script = format!("local n = 0 {logs} n = n + redis.call('XLEN', key) end return tostring(n)");
        let answer = self.tell(&format!("EVAL \"{script}\" 0"))?;
        answer.parse().map_err(|_| Fault::plain(format!("{} told {answer:?} as its logs", self.name)))
    }

    /// Its clock, in seconds since 1970.
    pub(crate) fn time(&self) -> Result<i64, Fault> {
        let answer = self.tell("EVAL \"return redis.call('TIME')[1]\" 0")?;
        answer.parse().map_err(|_| Fault::plain(format!("{} told {answer:?} as its time", self.name)))
    }

    /// A command that must be answered.
    pub(crate) fn tell(&self, words: &str) -> Result<String, Fault> {
        self.try_to_tell(words)
            .map_err(|error| Fault::plain(format!("{} did not answer `{words}`: {error}", self.name)))
    }

    pub(crate) fn try_to_tell(&self, words: &str) -> io::Result<String> {
        redis::ask(self.running.port, words)
    }

    /// A number of `INFO`.
    pub(crate) fn info(&self, key: &str) -> Result<String, Fault> {
        let info = self.tell("INFO")?;
        let value = info.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        value
            .map(|value| value.trim().to_owned())
            .ok_or_else(|| Fault::plain(format!("{} has no {key} in its INFO", self.name)))
    }
}
