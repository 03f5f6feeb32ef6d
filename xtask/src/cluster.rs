//! `cargo xtask cluster`: a whole cluster of processes on this machine, for a person to try, watch and break.
//! Not here: each server (`servers`), HAProxy's configuration (`haproxy`), what is printed while it runs (`watch`).

mod banner;
pub(crate) mod gateways;
pub(crate) mod haproxy;
mod tail;
mod watch;

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use clap::{Args, value_parser};

use crate::fault::Fault;
use crate::process::stream;
use crate::servers::cassandra::{self, Cassandra};
use crate::servers::place::Place;
use crate::servers::ports::{Ports, is_free};
use crate::servers::redis::Redis;
use crate::servers::server::Server;
use crate::signals::Signals;
use crate::tools;
use crate::workspace::Workspace;

use gateways::{Backends, Gateway};
use haproxy::Haproxy;

/// Where the data of `--keep` live in a Docker engine, when Cassandra comes from there.
const VOLUME: &str = "moim-xtask-cluster";

#[derive(Args, Debug)]
pub(crate) struct ClusterArgs {
    /// How many gateways
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = value_parser!(u16).range(1..=16))]
    gateways: u16,
    /// Where the page is, through HAProxy; gateways get the next free ports, operators' ports are 1000 higher
    #[arg(long, value_name = "PORT", default_value_t = 8765, value_parser = value_parser!(u16).range(1..=60_000))]
    port: u16,
    /// Keep the data, for the next start with --keep
    #[arg(long)]
    keep: bool,
    /// Another moim than the one built from here, such as one of a release
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
}

/// All of it. The order is the one in which they end when nobody stops them in a better one.
pub(crate) struct Cluster {
    haproxy: Haproxy,
    gateways: Vec<Gateway>,
    redis: Redis,
    cassandra: Cassandra,
    keeps: bool,
    place: Place,
    /// Held while they run.
    _ports: Ports,
    /// Held while the kept data are in use.
    _lock: Option<File>,
}

pub(crate) fn run(workspace: &Workspace, args: &ClusterArgs) -> Result<(), Fault> {
    if !is_free(args.port) {
        return Err(Fault::new(
            format!("port {} on 127.0.0.1 is in use", args.port),
            "choose another one with --port, or end what listens there (`ss -ltnp` shows it)",
        ));
    }
    let home = workspace.kept("cluster");
    let place = Place::make(workspace, "cluster")?;
    let (place, lock) = if args.keep {
        let lock = lock(&home.join("lock"))?;
        (place.with_data(home.join("data"))?, Some(lock))
    } else {
        (place, None)
    };
    let logs = place.path().to_path_buf();
    let mut cluster = Cluster::start(workspace, args, place, lock).map_err(|fault| Fault {
        what: format!("{}\n  all logs: {}", fault.what, logs.display()),
        ..fault
    })?;
    // Only now: until here Ctrl-C just ends us, and with us everything.
    let signals = Signals::catch()?;
    watch::watch(&mut cluster, &signals)?;
    let Cluster { haproxy, gateways, redis, cassandra, place, .. } = cluster;
    drop((haproxy, gateways, redis, cassandra));
    place.forget();
    Ok(())
}

impl Cluster {
    fn start(
        workspace: &Workspace,
        args: &ClusterArgs,
        place: Place,
        lock: Option<File>,
    ) -> Result<Self, Fault> {
        let (redis_server, haproxy) = (tools::redis_server(workspace)?, tools::haproxy(workspace)?);
        let mut ports = Ports::new();
        let source = cassandra::source(workspace)?;
        let volume = args.keep.then_some(VOLUME);
        let mut cassandra = Cassandra::start(workspace, source, &place, &mut ports, volume)?;
        let mut redis = Redis::start(&redis_server, "redis", &place, &mut ports)?;
        // While Cassandra starts.
        let moim = moim(workspace, args)?;
        redis.ready()?;
        println!("waiting for cassandra");
        cassandra.ready(workspace, &place)?;
        let backends = Backends { redis: redis.url(), cassandra: cassandra.address() };
        println!("moim migrate");
        gateways::migrate(&moim, &backends, &place)?;
        let mut gateways = gateways::start(&moim, &backends, args, &place)?;
        for gateway in &mut gateways {
            gateway.ready()?;
        }
        let haproxy = Haproxy::start(&haproxy, args.port, &gateways, &place)?;
        Ok(Self { haproxy, gateways, redis, cassandra, keeps: args.keep, place, _ports: ports, _lock: lock })
    }

    /// Every process, the ones in front first.
    fn servers(&mut self) -> impl Iterator<Item = &mut Server> {
        let gateways = self.gateways.iter_mut().map(|gateway| &mut gateway.server);
        let behind = [&mut self.redis.server, &mut self.cassandra.server];
        std::iter::once(&mut self.haproxy.server).chain(gateways).chain(behind)
    }
}

fn moim(workspace: &Workspace, args: &ClusterArgs) -> Result<PathBuf, Fault> {
    if let Some(binary) = &args.binary {
        let absolute = fs::canonicalize(binary);
        return absolute.map_err(Fault::io(format!("find {}", binary.display())));
    }
    stream(workspace.cargo().args(["build", "--package", "moim"]))?;
    Ok(workspace.moim_binary())
}

/// Two clusters must not write to the same data.
fn lock(path: &Path) -> Result<File, Fault> {
    let file = File::create(path).map_err(Fault::io(format!("write {}", path.display())))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Fault::new(
            "another cluster with --keep is running",
            "stop it with Ctrl-C, or start this one without --keep",
        )),
        Err(TryLockError::Error(error)) => Err(Fault::io(format!("lock {}", path.display()))(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: ClusterArgs,
    }

    fn parse(words: &[&str]) -> Result<ClusterArgs, String> {
        let words = std::iter::once("cluster").chain(words.iter().copied());
        Cli::try_parse_from(words).map(|cli| cli.args).map_err(|error| error.to_string())
    }

    #[test]
    fn without_arguments_there_are_three_gateways_on_the_usual_port() {
        let args = parse(&[]).unwrap();
        assert_eq!((args.gateways, args.port, args.keep), (3, 8765, false));
        assert_eq!(parse(&["--gateways", "5", "--port", "9000", "--keep"]).unwrap().gateways, 5);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert!(parse(&["--gateways", "0"]).unwrap_err().contains("0 is not in 1..=16"));
        assert!(parse(&["--port", "65000"]).unwrap_err().contains("65000 is not in 1..=60000"));
    }

    #[test]
    fn kept_data_belong_to_one_cluster_at_a_time() {
        let path = std::env::temp_dir().join(format!("xtask-cluster-lock-{}", std::process::id()));
        let held = lock(&path).unwrap();
        assert_eq!(lock(&path).unwrap_err().what, "another cluster with --keep is running");
        drop(held);
        lock(&path).unwrap();
        fs::remove_file(&path).unwrap();
    }
}
