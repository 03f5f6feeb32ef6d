//! Three nodes of Cassandra as one ring, each on a loopback address of its own, that die and come back.
//! Not here: a node's configuration and command (`cassandra`), what is asked of the ring while one is away (`drill`).

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use rustix::process::Signal;

use crate::fault::Fault;
use crate::guarded::Farewell;
use crate::servers::place::Place;
use crate::servers::ports::Ports;
use crate::servers::server::Server;
use crate::workspace::Workspace;

use super::{Jars, Listens, READY_TIMEOUT, cql, jars, process};

/// The first is the seed of all.
const ADDRESSES: [Ipv4Addr; 3] =
    [Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3)];
/// As many as there can be copies of a row.
pub(crate) const NODES: usize = ADDRESSES.len();
/// What an operator would name: more than one, and not all.
const CONTACT_POINTS: usize = 2;
/// Time to hear of each other; a node alone needs none. Java takes the last value that it is given.
const OPTIONS: &[&str] = &["-Dcassandra.ring_delay_ms=2000"];
const END_TIMEOUT: Duration = Duration::from_secs(60);

/// Always processes of this machine, whether a Docker engine answers or not: a driver learns the addresses that the
/// nodes have for each other, and those of containers are not reached from everywhere. Ends with this value.
pub(crate) struct Ring {
    name: String,
    jars: Jars,
    nodes: Vec<Node>,
}

struct Node {
    name: String,
    listens: Listens,
    /// None after its death.
    server: Option<Server>,
}

impl Ring {
    /// Starts the nodes one after the other, as Cassandra wants it, and returns when all serve. Whatever a ring of this
    /// name has left in `place` goes.
    pub(crate) fn start(
        workspace: &Workspace,
        name: &str,
        place: &Place,
        ports: &mut Ports,
    ) -> Result<Self, Fault> {
        let mut ring = Self { name: name.to_owned(), jars: jars::source(workspace)?, nodes: Vec::new() };
        for listens in listens(ports)? {
            let name = format!("{}-{}", ring.name, ring.nodes.len() + 1);
            let left = place.data(&name)?;
            fs::remove_dir_all(&left).map_err(Fault::io(format!("empty {}", left.display())))?;
            ring.nodes.push(Node { name, listens, server: None });
            ring.start_node(ring.nodes.len() - 1, workspace, place)?;
        }
        Ok(ring)
    }

    /// Starts it on the data it has, and waits until it serves.
    pub(crate) fn start_node(
        &mut self,
        index: usize,
        workspace: &Workspace,
        place: &Place,
    ) -> Result<(), Fault> {
        let node = &mut self.nodes[index];
        let command = process(workspace, &self.jars, &place.data(&node.name)?, node.listens, OPTIONS)?;
        let mut server = Server::start(node.name.clone(), &command, &Farewell::None, place)?;
        let address = node.listens.cql();
        server.ready(READY_TIMEOUT, || cql::serves(address))?;
        node.server = Some(server);
        Ok(())
    }

    /// It dies without a word.
    pub(crate) fn kill(&mut self, index: usize) {
        if let Some(mut server) = self.nodes[index].server.take() {
            server.process.signal(Signal::KILL);
            server.process.wait_within(END_TIMEOUT);
        }
    }

    /// Some nodes that are there, as settings name them.
    pub(crate) fn contact_points(&self) -> Vec<String> {
        let running = self.nodes.iter().filter(|node| node.server.is_some());
        running.map(|node| node.listens.cql().to_string()).take(CONTACT_POINTS).collect()
    }

    /// The names of the nodes' logs.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().map(|node| node.name.as_str())
    }
}

/// Nodes of a ring find each other by address alone, so each port must be free on all of them.
fn listens(ports: &mut Ports) -> Result<[Listens; NODES], Fault> {
    for address in ADDRESSES {
        TcpListener::bind((address, 0)).map_err(|error| {
            Fault::new(
                format!("nobody can listen on {address}: {error}"),
                format!("give it to the loopback interface (macOS: `sudo ifconfig lo0 alias {address}`)"),
            )
        })?;
    }
    let mut free = || loop {
        let port = ports.free()?;
        if ADDRESSES.iter().all(|address| TcpListener::bind((*address, port)).is_ok()) {
            return Ok::<_, Fault>(port);
        }
    };
    let (cql, storage, storage_tls) = (free()?, free()?, free()?);
    Ok(ADDRESSES.map(|address| Listens { address, cql, storage, storage_tls }))
}

#[cfg(test)]
mod tests {
    use super::super::yaml;
    use super::*;
    use std::env;
    use std::path::Path;
    use std::process::Command;

    #[test]
    fn nodes_differ_by_address_alone_and_ask_the_first() {
        let [first, second, third] = listens(&mut Ports::new()).unwrap();
        let text = yaml(Path::new("/somewhere"), third);
        for line in [
            "listen_address: 127.0.0.3".to_owned(),
            "rpc_address: 127.0.0.3".to_owned(),
            format!("native_transport_port: {}", first.cql),
            format!("storage_port: {}", first.storage),
            format!("ssl_storage_port: {}", second.storage_tls),
        ] {
            assert!(text.lines().any(|it| it == line), "{line} is not in\n{text}");
        }
        assert!(text.contains(&format!("{{seeds: '127.0.0.1:{}'}}", first.storage)), "{text}");
    }

    #[test]
    fn a_port_that_is_taken_on_one_address_is_none_of_theirs() {
        let mut ports = Ports::new();
        let next = ports.free().unwrap() + 1;
        // Where somebody else was faster, it is taken just as well.
        let _taken = TcpListener::bind((ADDRESSES[2], next));
        let all = listens(&mut ports).unwrap();
        assert!(all.iter().all(|it| ![it.cql, it.storage, it.storage_tls].contains(&next)));
    }

    #[test]
    fn contact_points_are_nodes_that_are_there() {
        let root = env::temp_dir().join(format!("xtask-ring-{}", std::process::id()));
        let workspace = Workspace { root: root.clone(), target: root.clone() };
        let place = Place::make(&workspace, "servers").unwrap();
        let mut command = Command::new("sleep");
        command.arg("600");
        let nodes = listens(&mut Ports::new()).unwrap().map(|listens| {
            let name = listens.address.to_string();
            let server = Server::start(name.clone(), &command, &Farewell::None, &place).unwrap();
            Node { name, listens, server: Some(server) }
        });
        let jars = Jars { java: "java".into(), folder: "jars".into() };
        let mut ring = Ring { name: "ring".to_owned(), jars, nodes: nodes.into() };
        let port = ring.nodes[0].listens.cql;
        let at = |last: u8| format!("127.0.0.{last}:{port}");
        assert_eq!(ring.contact_points(), [at(1), at(2)]);
        ring.kill(0);
        assert_eq!(ring.contact_points(), [at(2), at(3)]);
        drop(ring);
        fs::remove_dir_all(&root).unwrap();
    }
}
