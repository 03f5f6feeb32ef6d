//! The gateways of the cluster: what each is told in its environment, and when it is ready.
//! Not here: what the settings mean (`moim config`).

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::fault::Fault;
use crate::guarded::Farewell;
use crate::servers::place::Place;
use crate::servers::ports::Ports;
use crate::servers::server::Server;

use super::ClusterArgs;

const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// Tables are made one after the other, and a node that has just started takes its time.
const MIGRATE_TIMEOUT: Duration = Duration::from_secs(120);
const IO_TIMEOUT: Duration = Duration::from_secs(1);
/// The operators' ports are this much higher than the public ones, as those of a single moim are.
const OPS_OFFSET: u16 = 1000;

/// HAProxy looks every second and believes the second 503: so long a gateway that drains keeps its connections.
const UNREADY_SECONDS: u64 = 3;
/// Shorter than by default: a person waits for it.
const SPREAD_SECONDS: u64 = 2;
pub(super) const GRACE_SECONDS: u64 = 15;
const _: () = assert!(UNREADY_SECONDS + SPREAD_SECONDS < GRACE_SECONDS);

/// What all gateways share.
pub(super) struct Backends {
    pub(super) redis: String,
    pub(super) cassandra: String,
}

pub(super) struct Gateway {
    pub(super) server: Server,
    pub(super) public: u16,
    pub(super) ops: u16,
}

impl Backends {
    fn settings(&self) -> [(&'static str, &str); 5] {
        [
            ("MOIM__BUS__KIND", "redis"),
            ("MOIM__REDIS__URLS", &self.redis),
            ("MOIM__STORE__KIND", "cassandra"),
            ("MOIM__CASSANDRA__CONTACT_POINTS", &self.cassandra),
            ("MOIM__CASSANDRA__REPLICATION_FACTOR", "1"),
        ]
    }
}

/// Makes the tables, which is done once, before any gateway starts.
pub(super) fn migrate(moim: &Path, backends: &Backends, place: &Place) -> Result<(), Fault> {
    let mut command = Command::new(moim);
    command.arg("migrate").envs(backends.settings()).current_dir(place.path());
    Server::start("migrate", &command, &Farewell::None, place)?.finished(MIGRATE_TIMEOUT)
}

/// Starts them all; the ports beside `--port` are the next free ones.
pub(super) fn start(
    moim: &Path,
    backends: &Backends,
    args: &ClusterArgs,
    place: &Place,
) -> Result<Vec<Gateway>, Fault> {
    let mut ports = Ports::upward(args.port + 1);
    let mut ops_ports = Ports::upward(args.port + OPS_OFFSET + 1);
    let numbers = 1..=args.gateways;
    let gateways = numbers.map(|number| {
        let (public, ops) = (ports.free()?, ops_ports.free()?);
        let mut command = Command::new(moim);
        command.arg("serve").envs(backends.settings()).envs(own_settings(public, ops));
        command.current_dir(place.path());
        let server = Server::start(format!("gateway-{number}"), &command, &Farewell::None, place)?;
        Ok(Gateway { server, public, ops })
    });
    gateways.collect()
}

fn own_settings(public: u16, ops: u16) -> [(&'static str, String); 6] {
    [
        ("MOIM__LISTEN__PUBLIC", format!("127.0.0.1:{public}")),
        ("MOIM__LISTEN__OPS", format!("127.0.0.1:{ops}")),
        ("MOIM__LISTEN__TRUSTED_PROXIES", "127.0.0.1/32".to_owned()),
        ("MOIM__DRAIN__UNREADY_SECONDS", UNREADY_SECONDS.to_string()),
        ("MOIM__DRAIN__SPREAD_SECONDS", SPREAD_SECONDS.to_string()),
        ("MOIM__DRAIN__GRACE_SECONDS", GRACE_SECONDS.to_string()),
    ]
}

impl Gateway {
    pub(super) fn ready(&mut self) -> Result<(), Fault> {
        let ops = self.ops;
        self.server.ready(READY_TIMEOUT, || answers_200(ops, "/readyz"))
    }
}

/// Whether a GET there is answered with status 200.
pub(crate) fn answers_200(port: u16, path: &str) -> bool {
    let mut head = [0; 13];
    get(port, path).and_then(|mut answer| answer.read_exact(&mut head)).is_ok()
        && head.starts_with(b"HTTP/1.1 200 ")
}

/// A figure that a gateway exports, without labels; `None`: it was not told.
pub(crate) fn metric(ops: u16, name: &str) -> Option<f64> {
    let mut answer = String::new();
    get(ops, "/metrics").and_then(|mut stream| stream.read_to_string(&mut answer)).ok()?;
    answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

/// The answer, to be read.
fn get(port: u16, path: &str) -> io::Result<TcpStream> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, IO_TIMEOUT)?;
    stream.set_read_timeout(Some(IO_TIMEOUT))?;
    stream.write_all(
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes(),
    )?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    fn server(answer: &'static str) -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let len = stream.read(&mut request).unwrap();
            assert!(request[..len].starts_with(b"GET /readyz HTTP/1.1\r\n"));
            stream.write_all(answer.as_bytes()).unwrap();
        });
        port
    }

    #[test]
    fn only_200_is_ready() {
        assert!(answers_200(server("HTTP/1.1 200 OK\r\n\r\n"), "/readyz"));
        assert!(!answers_200(server("HTTP/1.1 503 Service Unavailable\r\n\r\n"), "/readyz"));
    }

    #[test]
    fn a_gateway_listens_on_loopback_only() {
        let settings = own_settings(8766, 9766);
        assert_eq!(settings[0], ("MOIM__LISTEN__PUBLIC", "127.0.0.1:8766".to_owned()));
        assert_eq!(settings[1], ("MOIM__LISTEN__OPS", "127.0.0.1:9766".to_owned()));
    }
}
