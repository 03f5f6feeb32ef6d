//! Many members who play a scenario: `moim-loadtest play` as a process, told what the stretches of its figures are.
//! Not here: what they do (`moim-loadtest`), what is done to the cluster meanwhile (`latency`, `rolling`).

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::drill::members::read_json;
use crate::drill::orders;
use crate::drill::stage::Stage;
use crate::fault::Fault;
use crate::guarded::Farewell;
use crate::servers::server::Server;

const READY_TIMEOUT: Duration = Duration::from_secs(360);
/// The last answers, and the logs of all rooms read to their end twice.
const END_TIMEOUT: Duration = Duration::from_secs(360);
const POLL: Duration = Duration::from_millis(100);
const WHOM: &str = "the members";

pub(crate) struct Player {
    server: Server,
    control: u16,
    result: PathBuf,
}

impl Player {
    /// Starts them and waits until all are in their rooms and speak. They come in through the balancers.
    pub(crate) fn start(stage: &mut Stage<'_>, scenario: &str) -> Result<Self, Fault> {
        let control = stage.free_port()?;
        let file = stage.evidence().join("scenario.toml");
        fs::write(&file, scenario).map_err(Fault::io(format!("write {}", file.display())))?;
        let result = stage.evidence().join("result.json");
        let mut command = Command::new(stage.loadtest());
        command.arg("play").arg(&file).arg("--result").arg(&result);
        command.args(["--control", &format!("127.0.0.1:{control}"), "--seed", &stage.seed().to_string()]);
        for port in stage.balancer_ports() {
            command.args(["--address", &format!("127.0.0.1:{port}")]);
        }
        command.args(["--gateway", &format!("127.0.0.1:{}", stage.gateway_port(0))]);
        command.args(["--cassandra", &stage.store.address(), "--keyspace", stage.keyspace()]);
        let mut server = Server::start(stage.name("members"), &command, &Farewell::None, stage.place)?;
        server
            .ready(READY_TIMEOUT, || orders::ask(control, "phase").is_ok_and(|phase| phase == "speaking"))?;
        Ok(Self { server, control, result })
    }

    /// What follows belongs to a stretch of this name: `calm`, `fault` or `settling`.
    pub(crate) fn mark(&self, kind: &str, name: &str) -> Result<(), Fault> {
        orders::tell(self.control, WHOM, &format!("mark {kind} {name}"))
    }

    /// So large a share of all connections breaks, at their end; they are back within that time.
    pub(crate) fn cut(&self, share: f64, within: Duration) -> Result<(), Fault> {
        orders::tell(self.control, WHOM, &format!("cut {share} {}", within.as_secs_f64()))
    }

    /// They fall silent, wait for their answers and read the logs; what came of it, a broken promise in it or not.
    pub(crate) fn end(mut self) -> Result<Value, Fault> {
        orders::tell(self.control, WHOM, "end")?;
        let start = Instant::now();
        while self.server.process.ended().is_none() && start.elapsed() < END_TIMEOUT {
            sleep(POLL);
        }
        match self.server.finished(Duration::ZERO) {
            Err(fault) if !self.result.exists() => Err(fault),
            _ => read_json(&self.result),
        }
    }
}
