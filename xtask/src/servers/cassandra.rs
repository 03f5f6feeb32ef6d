//! Cassandra 5 for tests: one node, from a Docker engine or from the jars of Maven Central.
//! Not here: several nodes (`ring`), how the jars get here (`jars`), how one asks Docker (`docker`), its use as a store (`moim-store-cassandra`).

mod cql;
mod jars;
pub(crate) mod ring;

use std::fmt;
use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::fault::Fault;
use crate::guarded::Farewell;
use crate::workspace::Workspace;

use super::docker;
use super::place::Place;
use super::ports::Ports;
use super::server::Server;

const NAME: &str = "cassandra";
/// 10 s on an idle machine, 35 s and more beside a build on two cores.
const READY_TIMEOUT: Duration = Duration::from_secs(180);
/// As the official image calls it.
const IMAGE: &str = "cassandra:5";
/// Where the official image keeps its data.
const IMAGE_DATA: &str = "/var/lib/cassandra";

/// Where it comes from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// A Docker engine that has the image.
    Docker,
    Jars(Jars),
}

/// A Java that Cassandra runs on, and the folder of its jars.
#[derive(Clone, Debug)]
pub(crate) struct Jars {
    java: PathBuf,
    folder: PathBuf,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Docker => write!(f, "the image {IMAGE}"),
            Self::Jars(Jars { java, folder }) => write!(f, "{} on {}", folder.display(), java.display()),
        }
    }
}

/// Docker if it can, else the jars, fetched if they are not here. After the first time this takes a moment.
pub(crate) fn source(workspace: &Workspace) -> Result<Source, Fault> {
    match docker::has(IMAGE) {
        Ok(()) => Ok(Source::Docker),
        Err(why) => {
            println!("cassandra: not from Docker ({why}), but as a process");
            jars::source(workspace).map(Source::Jars)
        }
    }
}

/// One running node.
pub(crate) struct Cassandra {
    pub(crate) server: Server,
    source: Source,
    listens: Listens,
}

/// Where a node does.
#[derive(Clone, Copy)]
struct Listens {
    address: Ipv4Addr,
    cql: u16,
    storage: u16,
    storage_tls: u16,
}

impl Listens {
    fn cql(self) -> SocketAddrV4 {
        SocketAddrV4::new(self.address, self.cql)
    }
}

impl Cassandra {
    /// Starts it; `volume` names a Docker volume for its data where those are to be kept.
    pub(crate) fn start(
        workspace: &Workspace,
        source: Source,
        place: &Place,
        ports: &mut Ports,
        volume: Option<&str>,
    ) -> Result<Self, Fault> {
        let (cql, storage, storage_tls) = (ports.free()?, ports.free()?, ports.free()?);
        let listens = Listens { address: Ipv4Addr::LOCALHOST, cql, storage, storage_tls };
        let server = serve(workspace, &source, place, listens, volume)?;
        Ok(Self { server, source, listens })
    }

    /// Starts it again after its end, with its ports and its data. A container has its data in `volume`.
    pub(crate) fn start_again(
        &mut self,
        workspace: &Workspace,
        place: &Place,
        volume: Option<&str>,
    ) -> Result<(), Fault> {
        self.server = serve(workspace, &self.source, place, self.listens, volume)?;
        Ok(())
    }

    pub(crate) fn address(&self) -> String {
        self.listens.cql().to_string()
    }

    /// Waits until it speaks CQL. A container that does not is given up for a process on the same port.
    pub(crate) fn ready(&mut self, workspace: &Workspace, place: &Place) -> Result<(), Fault> {
        let address = self.listens.cql();
        let outcome = self.server.ready(READY_TIMEOUT, || cql::serves(address));
        let Err(fault) = outcome else { return Ok(()) };
        if !matches!(self.source, Source::Docker) {
            return Err(fault);
        }
        println!("{}\ntrying it as a process", fault.what);
        let jars = jars::source(workspace)?;
        let command = process(workspace, &jars, &place.data(NAME)?, self.listens, &[])?;
        self.server = Server::start("cassandra-process", &command, &Farewell::None, place)?;
        self.source = Source::Jars(jars);
        self.server.ready(READY_TIMEOUT, || cql::serves(address))
    }
}

fn serve(
    workspace: &Workspace,
    source: &Source,
    place: &Place,
    listens: Listens,
    volume: Option<&str>,
) -> Result<Server, Fault> {
    let (command, farewell) = match source {
        Source::Docker => {
            let container = format!("moim-xtask-{}-{NAME}", std::process::id());
            let farewell = Farewell::Run(docker::removal(&container));
            (in_docker(&container, listens, volume), farewell)
        }
        Source::Jars(jars) => (process(workspace, jars, &place.data(NAME)?, listens, &[])?, Farewell::None),
    };
    Server::start(NAME, &command, &farewell, place)
}

fn in_docker(container: &str, listens: Listens, volume: Option<&str>) -> Command {
    let mut docker = Command::new("docker");
    docker.args(["run", "--rm", "--name", container, "--publish"]).arg(format!("{}:9042", listens.cql()));
    docker.args(["--env", "MAX_HEAP_SIZE=640M", "--env", "HEAP_NEWSIZE=100M"]);
    if let Some(volume) = volume {
        docker.arg("--volume").arg(format!("{volume}:{IMAGE_DATA}"));
    }
    docker.arg(IMAGE);
    docker
}

/// With the options of Java that this node has beside those of all.
fn process(
    workspace: &Workspace,
    jars: &Jars,
    home: &Path,
    listens: Listens,
    more: &[&str],
) -> Result<Command, Fault> {
    let config = home.join("cassandra.yaml");
    fs::write(&config, yaml(home, listens)).map_err(Fault::io(format!("write {}", config.display())))?;
    let ours = workspace.root.join(jars::OURS);
    let mut options = std::ffi::OsString::from("@");
    options.push(ours.join("jvm.options"));
    let agent = jars::agent(&jars.folder)?;
    let mut command = Command::new(&jars.java);
    command.arg(options).args(more).arg(format!("-javaagent:{}", agent.display()));
    // `cassandra.yaml` and `logback.xml` are found on the class path: no URL, whatever is in the path.
    let classes = [home.to_path_buf(), ours, jars.folder.join("*")];
    let classes = std::env::join_paths(classes)
        .map_err(|_| Fault::new("a folder has a colon in its name", "build in a folder without one"))?;
    command.arg(format!("-Dcassandra.storagedir={}", home.display())).arg("-cp").arg(classes);
    command.arg("org.apache.cassandra.service.CassandraDaemon").current_dir(home);
    Ok(command)
}

/// All that is not as Cassandra has it by default. Nodes of one ring have the same ports, and 127.0.0.1 is the seed of all:
/// a node alone is its own.
fn yaml(home: &Path, listens: Listens) -> String {
    let folder = |name: &str| serde_json::Value::from(home.join(name).to_string_lossy()).to_string();
    format!(
        "cluster_name: moim-test\n\
         num_tokens: 4\n\
         partitioner: org.apache.cassandra.dht.Murmur3Partitioner\n\
         endpoint_snitch: SimpleSnitch\n\
         seed_provider: [{{class_name: org.apache.cassandra.locator.SimpleSeedProvider, parameters: [{{seeds: '127.0.0.1:{storage}'}}]}}]\n\
         listen_address: {address}\n\
         rpc_address: {address}\n\
         native_transport_port: {cql}\n\
         storage_port: {storage}\n\
         ssl_storage_port: {storage_tls}\n\
         auto_bootstrap: false\n\
         # A test drops its keyspace when it is done; nobody wants its rows back.\n\
         auto_snapshot: false\n\
         commitlog_sync: periodic\n\
         commitlog_sync_period: 1000ms\n\
         data_file_directories: [{data}]\n\
         commitlog_directory: {commitlog}\n\
         saved_caches_directory: {caches}\n\
         hints_directory: {hints}\n\
         cdc_raw_directory: {cdc}\n",
        address = listens.address,
        cql = listens.cql,
        storage = listens.storage,
        storage_tls = listens.storage_tls,
        data = folder("data"),
        commitlog = folder("commitlog"),
        caches = folder("saved_caches"),
        hints = folder("hints"),
        cdc = folder("cdc_raw"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTENS: Listens =
        Listens { address: Ipv4Addr::LOCALHOST, cql: 20_001, storage: 20_002, storage_tls: 20_003 };

    #[test]
    fn a_node_listens_on_loopback_and_keeps_to_its_folder() {
        let text = yaml(Path::new("/somewhere/a \"b\""), LISTENS);
        for line in [
            "listen_address: 127.0.0.1",
            "rpc_address: 127.0.0.1",
            "native_transport_port: 20001",
            "storage_port: 20002",
            "ssl_storage_port: 20003",
            r#"commitlog_directory: "/somewhere/a \"b\"/commitlog""#,
        ] {
            assert!(text.lines().any(|it| it == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn a_container_is_reached_on_loopback_only_and_keeps_nothing_unasked() {
        let shown = |volume| crate::process::show(&in_docker("c", LISTENS, volume));
        assert!(shown(None).contains("--rm --name c --publish 127.0.0.1:20001:9042"), "{}", shown(None));
        assert!(!shown(None).contains("--volume"));
        assert!(shown(Some("v")).contains("--volume v:/var/lib/cassandra"));
    }
}
