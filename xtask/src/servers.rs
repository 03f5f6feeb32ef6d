//! The real servers that tests need, started for one run: Redis in every shape, Cassandra, and where HAProxy is.
//! Not here: each server (`redis`, `cassandra`), a cluster for a person to try (`cluster`).

pub(crate) mod cassandra;
mod docker;
pub(crate) mod place;
pub(crate) mod ports;
pub(crate) mod redis;
pub(crate) mod server;

use std::env;
use std::process::Command;
use std::time::Instant;

use clap::ValueEnum;

use crate::fault::Fault;
use crate::tools;
use crate::workspace::Workspace;

use cassandra::Cassandra;
use place::Place;
use ports::Ports;
use redis::{Redis, RedisCluster};

/// The variables that tests read. One that is set already is passed on, and its server is not started.
const REDIS: &str = "MOIM_TEST_REDIS";
const REDIS_SEVERAL: &str = "MOIM_TEST_REDIS_SEVERAL";
const REDIS_CLUSTER: &str = "MOIM_TEST_REDIS_CLUSTER";
pub(crate) const REDIS_SERVER: &str = "MOIM_TEST_REDIS_SERVER";
const CASSANDRA: &str = "MOIM_TEST_CASSANDRA";
pub(crate) const HAPROXY: &str = "MOIM_TEST_HAPROXY";

/// Independent ones behind `MOIM_TEST_REDIS_SEVERAL`.
const SEVERAL: usize = 3;

/// What a command can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// One Redis, three, a Redis Cluster, and the program itself
    Redis,
    /// One node of Cassandra
    Cassandra,
    /// The program HAProxy
    Haproxy,
}

impl Kind {
    pub(crate) const ALL: &[Self] = &[Self::Redis, Self::Cassandra, Self::Haproxy];
}

/// They end with this value, and with us, and their data go.
pub(crate) struct Servers {
    // Before `place`: they end before their folders go.
    singles: Vec<Redis>,
    cluster: Option<RedisCluster>,
    cassandra: Option<Cassandra>,
    variables: Vec<(&'static str, String)>,
    ports: Ports,
    place: Place,
}

impl Servers {
    /// Starts them without waiting, so that something else can be done until they are ready. The first time it
    /// fetches what they are made of.
    pub(crate) fn start(workspace: &Workspace, kinds: &[Kind]) -> Result<Self, Fault> {
        let mut servers = Self::none(workspace)?;
        let wants = |kind, name: &str| kinds.contains(&kind) && !is_given(name);
        // First, since it takes longest.
        if wants(Kind::Cassandra, CASSANDRA) {
            let source = cassandra::source(workspace)?;
            let node = Cassandra::start(workspace, source, &servers.place, &mut servers.ports, None)?;
            servers.variables.push((CASSANDRA, node.address()));
            servers.cassandra = Some(node);
        }
        servers.start_redis(workspace, |name| wants(Kind::Redis, name))?;
        if wants(Kind::Haproxy, HAPROXY) {
            servers.variables.push((HAPROXY, tools::haproxy(workspace)?.display().to_string()));
        }
        Ok(servers)
    }

    fn none(workspace: &Workspace) -> Result<Self, Fault> {
        let (singles, variables) = (Vec::new(), Vec::new());
        let place = Place::make(workspace, "servers")?;
        Ok(Self { singles, cluster: None, cassandra: None, variables, ports: Ports::new(), place })
    }

    /// Always as processes, though Cassandra may come from Docker: tests start and kill Redis themselves, so the
    /// program must be here anyway, and a container would only add a second way to fail.
    fn start_redis(&mut self, workspace: &Workspace, wants: impl Fn(&str) -> bool) -> Result<(), Fault> {
        if ![REDIS, REDIS_SEVERAL, REDIS_CLUSTER, REDIS_SERVER].into_iter().any(&wants) {
            return Ok(());
        }
        let program = tools::redis_server(workspace)?;
        if wants(REDIS_SERVER) {
            self.variables.push((REDIS_SERVER, program.display().to_string()));
        }
        if wants(REDIS) {
            let redis = Redis::start(&program, "redis", &self.place, &mut self.ports)?;
            self.variables.push((REDIS, redis.url()));
            self.singles.push(redis);
        }
        if wants(REDIS_SEVERAL) {
            let mut urls = Vec::with_capacity(SEVERAL);
            for number in 1..=SEVERAL {
                let redis =
                    Redis::start(&program, &format!("redis-several-{number}"), &self.place, &mut self.ports)?;
                urls.push(redis.url());
                self.singles.push(redis);
            }
            self.variables.push((REDIS_SEVERAL, urls.join(",")));
        }
        if wants(REDIS_CLUSTER) {
            let mut cluster = RedisCluster::start(&program, &self.place, &mut self.ports)?;
            cluster.join()?;
            self.variables.push((REDIS_CLUSTER, cluster.urls()));
            self.cluster = Some(cluster);
        }
        Ok(())
    }

    /// Waits until all of them serve.
    pub(crate) fn ready(&mut self, workspace: &Workspace) -> Result<(), Fault> {
        let start = Instant::now();
        for redis in &mut self.singles {
            redis.ready()?;
        }
        if let Some(cluster) = &mut self.cluster {
            cluster.ready()?;
        }
        if let Some(cassandra) = &mut self.cassandra {
            cassandra.ready(workspace, &self.place)?;
        }
        for (name, value) in &self.variables {
            println!("{name}={value}");
        }
        println!("servers are ready; waited {:.1} s for them", start.elapsed().as_secs_f64());
        Ok(())
    }

    /// The command, told where they are.
    pub(crate) fn tell<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.envs(self.variables.iter().map(|(name, value)| (*name, value)))
    }

    /// What came of the run: its logs are thrown away, or named in the fault.
    pub(crate) fn end(self, outcome: Result<(), Fault>) -> Result<(), Fault> {
        let Self { singles, cluster, cassandra, place, .. } = self;
        drop((singles, cluster, cassandra));
        match outcome {
            Ok(()) => {
                place.forget();
                Ok(())
            }
            Err(fault) => Err(place.blame(fault)),
        }
    }
}

/// Fetches ahead what `start` would fetch, so that a machine that cannot says so at once.
pub(crate) fn fetch(workspace: &Workspace) -> Result<(), Fault> {
    if !is_given(CASSANDRA) {
        println!("cassandra {}", cassandra::source(workspace)?);
    }
    Ok(())
}

fn is_given(name: &str) -> bool {
    env::var_os(name).is_some_and(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Real ones; Cassandra has its own trial in the step `rust` itself, which cannot begin without it.
    #[test]
    fn redis_is_ready_in_every_shape_and_ends_with_its_value() {
        let target = env::temp_dir().join(format!("xtask-servers-{}", std::process::id()));
        let workspace = Workspace { root: crate::workspace::root(), target: target.clone() };
        let mut servers = Servers::none(&workspace).unwrap();
        // Whatever is given from outside: this test is about those we start.
        servers.start_redis(&workspace, |_| true).unwrap();
        servers.ready(&workspace).unwrap();

        let mut printenv = Command::new("env");
        let told = crate::process::capture(servers.tell(printenv.env_clear())).unwrap();
        let value = |name: &str| {
            let line = told.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            line.unwrap_or_else(|| panic!("{name} is not in\n{told}")).to_owned()
        };
        let counts =
            [REDIS, REDIS_SEVERAL, REDIS_CLUSTER, REDIS_SERVER].map(|name| value(name).split(',').count());
        assert_eq!(counts, [1, 3, 3, 1]);

        let ids: Vec<u32> = servers.singles.iter().map(|redis| redis.server.process.id()).collect();
        assert_eq!(ids.len(), 4);
        servers.end(Ok(())).unwrap();
        for id in ids {
            assert!(!std::path::Path::new(&format!("/proc/{id}")).exists(), "a Redis outlived its value");
        }
        std::fs::remove_dir_all(&target).unwrap();
    }
}
