//! The cluster of one fault: three gateways behind HAProxy, each with links of its own through a proxy: from HAProxy, to Redis, to
//! Cassandra.
//! Not here: what is done to it (`acts`), what is behind the links (`backends`).

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::cluster::gateways::{answers_200, metric};
use crate::cluster::haproxy;
use crate::fault::Fault;
use crate::guarded::Farewell;
use crate::servers::cassandra::ring::{self, Ring};
use crate::servers::place::Place;
use crate::servers::ports::Ports;
use crate::servers::server::Server;
use crate::tools;
use crate::workspace::Workspace;

use super::DrillArgs;
use super::away::Away;
use super::backends::{RedisNode, Store};
use super::faults::Named;
use super::members::{Load, Members, Surroundings, read_json};
use super::orders;
use super::random::Random;

pub(crate) const GATEWAYS: usize = 3;
const READY_TIMEOUT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);
const END_TIMEOUT: Duration = Duration::from_secs(60);
const CHECK_TIMEOUT: Duration = Duration::from_secs(300);

/// What a drill runs beside the servers.
pub(crate) struct Programs {
    pub(crate) moim: PathBuf,
    pub(crate) loadtest: PathBuf,
    haproxy: PathBuf,
    redis: PathBuf,
}

impl Programs {
    pub(crate) fn build(workspace: &Workspace, args: &DrillArgs) -> Result<Self, Fault> {
        let program = |given: &Option<PathBuf>, package: &str| match given {
            Some(given) => fs::canonicalize(given).map_err(Fault::io(format!("find {}", given.display()))),
            None => {
                super::build(workspace, package)?;
                Ok(workspace.moim_binary().with_file_name(package))
            }
        };
        Ok(Self {
            moim: program(&args.binary, "moim")?,
            loadtest: program(&args.loadtest, "moim-loadtest")?,
            haproxy: tools::haproxy(workspace)?,
            redis: tools::redis_server(workspace)?,
        })
    }
}

struct Gateway {
    name: String,
    public: u16,
    ops: u16,
    redis_link: u16,
    cassandra_link: u16,
    /// Where balancers go.
    front: u16,
    server: Option<Server>,
}

struct Balancer {
    name: String,
    port: u16,
    stats: u16,
    server: Option<Server>,
}

/// Everything of one fault. Fields end in their order: those in front first.
pub(crate) struct Stage<'a> {
    balancers: Vec<Balancer>,
    gateways: Vec<Gateway>,
    proxy: Option<Server>,
    control: u16,
    /// The one in use, and those that were.
    pub(crate) redis: RedisNode,
    former: Vec<RedisNode>,
    /// A replica that follows no more, until it is promoted.
    pub(crate) lagging: Option<RedisNode>,
    pub(crate) store: &'a mut Store,
    /// Where this fault needs one, instead of the store of all.
    pub(crate) ring: Option<Ring>,
    pub(crate) workspace: &'a Workspace,
    pub(crate) place: &'a Place,
    pub(crate) random: Random,
    pub(crate) full: bool,
    pub(crate) minutes: u64,
    programs: &'a Programs,
    fault: &'static Named,
    keyspace: String,
    evidence: &'a Path,
    seed: u64,
    ports: Ports,
    /// How many were started under way.
    replicas: u32,
    /// When nothing could be stored.
    pub(crate) away: Away,
    unmet: Vec<String>,
}

impl<'a> Stage<'a> {
    pub(crate) fn start(
        workspace: &'a Workspace,
        args: &DrillArgs,
        programs: &'a Programs,
        place: &'a Place,
        store: &'a mut Store,
        fault: &'static Named,
        evidence: &'a Path,
    ) -> Result<Self, Fault> {
        let mut ports = Ports::new();
        let redis = start_redis(programs, format!("{}-{}-redis", fault.name, args.seed), place, &mut ports)?;
        let ring = match fault.needs.ring {
            true => Some(Ring::start(workspace, &format!("{}-cassandra", fault.name), place, &mut ports)?),
            false => None,
        };
        let keyspace = store.new_keyspace();
        let control = ports.free()?;
        let mut stage = Self {
            balancers: Vec::new(),
            gateways: Vec::new(),
            proxy: None,
            control,
            redis,
            former: Vec::new(),
            lagging: None,
            store,
            ring,
            workspace,
            place,
            random: Random::new(args.seed),
            full: args.full,
            minutes: args.minutes,
            programs,
            fault,
            keyspace,
            evidence,
            seed: args.seed,
            ports,
            replicas: 0,
            away: Away::default(),
            unmet: Vec::new(),
        };
        stage.start_all()?;
        Ok(stage)
    }

    fn start_all(&mut self) -> Result<(), Fault> {
        self.redis.ready()?;
        for number in 1..=GATEWAYS {
            let mut port = || self.ports.free();
            let (public, ops, redis_link, cassandra_link) = (port()?, port()?, port()?, port()?);
            let front = if self.fault.needs.front { port()? } else { public };
            let name = format!("gateway-{number}");
            self.gateways.push(Gateway {
                name,
                public,
                ops,
                redis_link,
                cassandra_link,
                front,
                server: None,
            });
        }
        self.start_proxy()?;
        self.migrate()?;
        for index in 0..GATEWAYS {
            self.start_gateway(index)?;
        }
        for index in 0..GATEWAYS {
            self.gateway_ready(index)?;
        }
        for number in 0..1 + usize::from(self.fault.needs.second_haproxy) {
            let (port, stats) = (self.ports.free()?, self.ports.free()?);
            let name = format!("haproxy-{}", number + 1);
            self.balancers.push(Balancer { name, port, stats, server: None });
            self.start_balancer(number)?;
        }
        Ok(())
    }

    pub(crate) fn loadtest(&self) -> &Path {
        &self.programs.loadtest
    }

    pub(crate) fn evidence(&self) -> &Path {
        self.evidence
    }

    pub(crate) fn keyspace(&self) -> &str {
        &self.keyspace
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    pub(crate) fn balancer_ports(&self) -> impl Iterator<Item = u16> {
        self.balancers.iter().map(|balancer| balancer.port)
    }

    pub(crate) fn gateway_port(&self, index: usize) -> u16 {
        self.gateways[index].public
    }

    pub(crate) fn free_port(&mut self) -> Result<u16, Fault> {
        self.ports.free()
    }

    /// The name of a server of this fault, for its log and its data.
    pub(crate) fn name(&self, server: &str) -> String {
        format!("{}-{}-{server}", self.fault.name, self.seed)
    }

    fn start_proxy(&mut self) -> Result<(), Fault> {
        let mut command = Command::new(&self.programs.loadtest);
        command.arg("proxy").arg("--control").arg(format!("127.0.0.1:{}", self.control));
        let cassandra = self.store.address();
        for (index, gateway) in self.gateways.iter().enumerate() {
            let number = index + 1;
            let mut route = |name: &str, listen: u16, upstream: &str| {
                command.args(["--route", &format!("{name}-{number}=127.0.0.1:{listen}={upstream}")]);
            };
            route("redis", gateway.redis_link, &format!("127.0.0.1:{}", self.redis.port()));
            route("cassandra", gateway.cassandra_link, &cassandra);
            if self.fault.needs.front {
                route("front", gateway.front, &format!("127.0.0.1:{}", gateway.public));
            }
        }
        let control = self.control;
        let mut proxy = Server::start(self.name("proxy"), &command, &Farewell::None, self.place)?;
        proxy.ready(READY_TIMEOUT, || TcpStream::connect((Ipv4Addr::LOCALHOST, control)).is_ok())?;
        self.proxy = Some(proxy);
        Ok(())
    }

    /// On a busy machine a node of Cassandra can take longer for a table than it gives itself; what is there stays.
    fn migrate(&self) -> Result<(), Fault> {
        let mut command = Command::new(&self.programs.moim);
        command.arg("migrate").envs(self.settings(&self.gateways[0])).current_dir(self.place.path());
        let name = self.name("migrate");
        let once = || {
            Server::start(name.clone(), &command, &Farewell::None, self.place)?.finished(READY_TIMEOUT * 2)
        };
        once().or_else(|_| once()).or_else(|_| once())
    }

    /// Nodes and copies. A ring is not behind the proxy: a driver learns the nodes' own addresses and goes to them.
    fn stored_at(&self, gateway: &Gateway) -> (String, usize) {
        match &self.ring {
            Some(ring) => (ring.contact_points().join(","), ring::NODES),
            None => (format!("127.0.0.1:{}", gateway.cassandra_link), 1),
        }
    }

    fn settings(&self, gateway: &Gateway) -> Vec<(&'static str, String)> {
        let local = |port: u16| format!("127.0.0.1:{port}");
        let (contact_points, copies) = self.stored_at(gateway);
        let mut settings = vec![
            ("MOIM__BUS__KIND", "redis".to_owned()),
            ("MOIM__REDIS__URLS", format!("redis://{}", local(gateway.redis_link))),
            ("MOIM__STORE__KIND", "cassandra".to_owned()),
            ("MOIM__CASSANDRA__CONTACT_POINTS", contact_points),
            ("MOIM__CASSANDRA__KEYSPACE", self.keyspace.clone()),
            ("MOIM__CASSANDRA__REPLICATION_FACTOR", copies.to_string()),
            ("MOIM__LISTEN__PUBLIC", local(gateway.public)),
            ("MOIM__LISTEN__OPS", local(gateway.ops)),
            ("MOIM__LISTEN__TRUSTED_PROXIES", "127.0.0.1/32".to_owned()),
            // HAProxy looks every second and believes the second 503.
            ("MOIM__DRAIN__UNREADY_SECONDS", "3".to_owned()),
            ("MOIM__DRAIN__SPREAD_SECONDS", "3".to_owned()),
            ("MOIM__DRAIN__GRACE_SECONDS", "20".to_owned()),
            ("RUST_BACKTRACE", "1".to_owned()),
        ];
        settings.extend(self.fault.needs.settings.iter().map(|(key, value)| (*key, (*value).to_owned())));
        settings
    }

    /// Starts it without waiting.
    pub(crate) fn start_gateway(&mut self, index: usize) -> Result<(), Fault> {
        self.start_gateway_in(index, &[])
    }

    /// Starts it without waiting, in such an environment.
    pub(crate) fn start_gateway_in(
        &mut self,
        index: usize,
        environment: &[(&str, String)],
    ) -> Result<(), Fault> {
        let gateway = &self.gateways[index];
        let mut command = Command::new(&self.programs.moim);
        command.arg("serve").envs(self.settings(gateway)).current_dir(self.place.path());
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        let server = Server::start(self.name(&gateway.name), &command, &Farewell::None, self.place)?;
        self.gateways[index].server = Some(server);
        Ok(())
    }

    pub(crate) fn gateway_ready(&mut self, index: usize) -> Result<(), Fault> {
        let start = Instant::now();
        while !self.is_gateway_ready(index) {
            let gateway = &mut self.gateways[index];
            let name = &gateway.name;
            match gateway.server.as_mut().map(|server| server.process.ended()) {
                None => return Err(Fault::plain(format!("{name} is not running"))),
                Some(Some(status)) => return Err(Fault::plain(format!("{name} ended with {status}"))),
                Some(None) if start.elapsed() > READY_TIMEOUT => {
                    return Err(Fault::plain(format!(
                        "{name} is not ready after {} s",
                        READY_TIMEOUT.as_secs()
                    )));
                }
                Some(None) => sleep(POLL),
            }
        }
        Ok(())
    }

    pub(crate) fn is_gateway_ready(&self, index: usize) -> bool {
        answers_200(self.gateways[index].ops, "/readyz")
    }

    /// People whose sockets it holds; `None`: it does not say.
    pub(crate) fn gateway_connections(&self, index: usize) -> Option<f64> {
        let ops = self.gateways[index].ops;
        Some(metric(ops, "moim_connections_v1")? + metric(ops, "moim_connections_plain")?)
    }

    /// It stands still with all its sockets open, and goes on.
    pub(crate) fn stall_gateway(&mut self, index: usize, how_long: Duration) {
        let Some(server) = &mut self.gateways[index].server else { return };
        server.process.signal(Signal::STOP);
        sleep(how_long);
        server.process.signal(Signal::CONT);
    }

    pub(crate) fn kill_gateway(&mut self, index: usize) {
        if let Some(mut server) = self.gateways[index].server.take() {
            server.process.signal(Signal::KILL);
            server.process.wait_within(END_TIMEOUT);
        }
    }

    /// It drains, and ends with success.
    pub(crate) fn drain_gateway(&mut self, index: usize) {
        let Some(mut server) = self.gateways[index].server.take() else { return };
        server.process.signal(Signal::TERM);
        let ended = server.process.wait_within(END_TIMEOUT);
        let name = self.gateways[index].name.clone();
        self.demand(ended.is_some_and(|status| status.success()), || {
            format!("{name} was asked to stop and ended with {ended:?}")
        });
    }

    pub(crate) fn start_balancer(&mut self, index: usize) -> Result<(), Fault> {
        let Balancer { name, port, stats, .. } = &self.balancers[index];
        let (name, port, stats) = (self.name(name), *port, *stats);
        let gateways: Vec<_> = self.gateways.iter().map(|it| (it.name.as_str(), it.front, it.ops)).collect();
        let config = self.place.path().join(format!("{name}.cfg"));
        fs::write(&config, haproxy::text(port, stats, &gateways))
            .map_err(Fault::io(format!("write {}", config.display())))?;
        let mut command = Command::new(&self.programs.haproxy);
        command.args(["-db", "-q", "-f"]).arg(config);
        let mut server = Server::start(name, &command, &Farewell::None, self.place)?;
        server.ready(READY_TIMEOUT, || answers_200(port, "/"))?;
        self.balancers[index].server = Some(server);
        Ok(())
    }

    pub(crate) fn kill_balancer(&mut self, index: usize) {
        if let Some(mut server) = self.balancers[index].server.take() {
            server.process.signal(Signal::KILL);
            server.process.wait_within(END_TIMEOUT);
        }
    }

    /// Another Redis, which follows the one in use and has what that has. That it came is a fault of its own.
    pub(crate) fn follower(&mut self) -> Result<RedisNode, Fault> {
        self.replicas += 1;
        let name = self.name(&format!("replica-{}", self.replicas));
        let mut replica = start_redis(self.programs, name, self.place, &mut self.ports)?;
        replica.ready()?;
        replica.follow(&self.redis)?;
        Ok(replica)
    }

    /// Another Redis takes the place of the one in use, on new connections: those there are end.
    pub(crate) fn take_redis(&mut self, next: RedisNode) -> Result<(), Fault> {
        self.order(&format!("upstream redis-* 127.0.0.1:{} drop", next.port()))?;
        self.former.push(std::mem::replace(&mut self.redis, next));
        Ok(())
    }

    /// An order to the proxy, such as `cut redis-1`.
    pub(crate) fn order(&self, order: &str) -> Result<(), Fault> {
        orders::tell(self.control, "the proxy", order)
    }

    /// Writes down that something did not hold which had to.
    pub(crate) fn demand(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.unmet.push(what());
        }
    }

    pub(crate) fn members(&mut self, load: &Load) -> Result<Members, Fault> {
        let addresses: Vec<u16> = self.balancers.iter().map(|it| it.port).collect();
        let gateways: Vec<u16> = self.gateways.iter().map(|it| it.public).collect();
        let around = Surroundings {
            loadtest: &self.programs.loadtest,
            addresses: &addresses,
            gateways: &gateways,
            evidence: self.evidence,
            seed: self.seed,
            name: self.name("members"),
        };
        Members::start(&around, load, self.place)
    }

    /// What the checker says of it all, with the store read past the gateways and through one.
    pub(crate) fn check(&mut self) -> Result<Value, Fault> {
        let mut command = Command::new(&self.programs.loadtest);
        command.arg("check").arg(self.evidence);
        let node = self.ring.iter().flat_map(Ring::contact_points).next();
        let node = node.unwrap_or_else(|| self.store.address());
        command.args(["--keyspace", &self.keyspace, "--cassandra", &node]);
        for gateway in &self.gateways {
            command.arg("--gateway").arg(format!("127.0.0.1:{}", gateway.public));
        }
        self.away.write(self.evidence)?;
        let mut server = Server::start(self.name("check"), &command, &Farewell::None, self.place)?;
        let verdict = self.evidence.join("verdict.json");
        // Exit status 1 is a verdict as well, if there is one.
        match server.finished(CHECK_TIMEOUT) {
            Err(fault) if !verdict.exists() => Err(fault),
            _ => read_json(&verdict),
        }
    }

    /// What did not hold, and the logs. A gateway may not panic, whatever happens to it.
    pub(crate) fn end(mut self) -> Result<(Vec<String>, Vec<PathBuf>), Fault> {
        let names = self.gateways.iter().map(|gateway| gateway.name.clone());
        let names: Vec<_> = names.chain(["members", "check", "proxy"].map(str::to_owned)).collect();
        let mut logs: Vec<_> = names.iter().map(|name| self.place.log(&self.name(name))).collect();
        logs.extend(self.former.iter().chain([&self.redis]).map(RedisNode::log));
        logs.extend(self.ring.iter().flat_map(Ring::names).map(|name| self.place.log(name)));
        for log in &logs[..GATEWAYS] {
            let text = fs::read(log).map_err(Fault::io(format!("read {}", log.display())))?;
            let text = String::from_utf8_lossy(&text);
            if let Some(line) = text.lines().find(|line| line.contains("panicked at")) {
                self.unmet.push(format!("{}: {line}", log.display()));
            }
        }
        Ok((std::mem::take(&mut self.unmet), logs))
    }
}

fn start_redis(
    programs: &Programs,
    name: String,
    place: &Place,
    ports: &mut Ports,
) -> Result<RedisNode, Fault> {
    RedisNode::start(programs.redis.clone(), name, place, ports)
}
