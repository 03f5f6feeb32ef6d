//! Redis for tests: single servers, and a Redis Cluster of three masters made without `redis-cli`.
//! Not here: where the program comes from (`tools`), and its use as a bus (`moim-bus-redis`).

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::fault::Fault;
use crate::guarded::Farewell;

use super::place::Place;
use super::ports::Ports;
use super::server::Server;

/// A Redis that is not ready by then never will be.
const READY_TIMEOUT: Duration = Duration::from_secs(20);
const IO_TIMEOUT: Duration = Duration::from_secs(1);
/// The slots of a Redis Cluster, a part for each of three masters.
const SLOTS: [(u16, u16); 3] = [(0, 5460), (5461, 10_922), (10_923, 16_383)];

/// A Redis by itself.
pub(crate) struct Redis {
    pub(crate) server: Server,
    pub(crate) port: u16,
}

impl Redis {
    /// Starts one that keeps every write (AOF) and evicts nothing, as the product asks for.
    pub(crate) fn start(program: &Path, name: &str, place: &Place, ports: &mut Ports) -> Result<Self, Fault> {
        let port = ports.free()?;
        Self::start_with(program, name, place, port, &[], &[])
    }

    /// The same at a port that is known, told more by arguments and by its environment.
    pub(crate) fn start_with(
        program: &Path,
        name: &str,
        place: &Place,
        port: u16,
        more: &[String],
        environment: &[(&str, String)],
    ) -> Result<Self, Fault> {
        let mut command = Command::new(program);
        command.args(arguments(port)).arg("--dir").arg(place.data(name)?).args(more);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        let server = Server::start(name, &command, &Farewell::None, place)?;
        Ok(Self { server, port })
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Waits until it answers.
    pub(crate) fn ready(&mut self) -> Result<(), Fault> {
        let port = self.port;
        self.server.ready(READY_TIMEOUT, || ask(port, "PING").is_ok_and(|answer| answer == "PONG"))
    }
}

/// What makes it the same on every machine: no configuration file, no snapshots, no limit of memory.
fn arguments(port: u16) -> Vec<String> {
    let fixed =
        "--bind 127.0.0.1 --daemonize no --appendonly yes --maxmemory-policy noeviction --maxmemory 0";
    let mut arguments: Vec<String> = fixed.split(' ').map(str::to_owned).collect();
    arguments.extend(["--save".to_owned(), String::new(), "--port".to_owned(), port.to_string()]);
    arguments
}

/// Three masters with all slots between them.
pub(crate) struct RedisCluster {
    masters: Vec<Master>,
}

struct Master {
    redis: Redis,
    bus_port: u16,
}

impl RedisCluster {
    pub(crate) fn start(program: &Path, place: &Place, ports: &mut Ports) -> Result<Self, Fault> {
        let mut masters = Vec::with_capacity(SLOTS.len());
        for number in 1..=SLOTS.len() {
            let (port, bus_port) = (ports.free()?, ports.free()?);
            let more = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port"];
            let more: Vec<_> = more.map(str::to_owned).into_iter().chain([bus_port.to_string()]).collect();
            let name = format!("redis-cluster-{number}");
            let redis = Redis::start_with(program, &name, place, port, &more, &[])?;
            masters.push(Master { redis, bus_port });
        }
        Ok(Self { masters })
    }

    pub(crate) fn urls(&self) -> String {
        self.masters.iter().map(|master| master.redis.url()).collect::<Vec<_>>().join(",")
    }

    /// Makes them one, as soon as each answers. What remains takes Redis two seconds, whoever waits.
    pub(crate) fn join(&mut self) -> Result<(), Fault> {
        for master in &mut self.masters {
            master.redis.ready()?;
        }
        for (index, (master, (from, to))) in self.masters.iter().zip(SLOTS).enumerate() {
            // Different epochs from the start: equal ones are sorted out by an election that takes longer.
            master.tell(&format!("CLUSTER SET-CONFIG-EPOCH {}", index + 1))?;
            master.tell(&format!("CLUSTER ADDSLOTSRANGE {from} {to}"))?;
        }
        for master in &self.masters {
            for other in self.masters.iter().filter(|other| other.bus_port != master.bus_port) {
                master.tell(&format!("CLUSTER MEET 127.0.0.1 {} {}", other.redis.port, other.bus_port))?;
            }
        }
        Ok(())
    }

    /// Waits until each of the three knows the others and serves all slots.
    pub(crate) fn ready(&mut self) -> Result<(), Fault> {
        for master in &mut self.masters {
            let port = master.redis.port;
            let is_ready = || ask(port, "CLUSTER INFO").is_ok_and(|info| is_whole(&info));
            master.redis.server.ready(READY_TIMEOUT, is_ready)?;
        }
        Ok(())
    }
}

impl Master {
    fn tell(&self, words: &str) -> Result<(), Fault> {
        let name = &self.redis.server.name;
        match ask(self.redis.port, words) {
            Ok(answer) if answer == "OK" => Ok(()),
            Ok(answer) => Err(Fault::plain(format!("{name} answered `{words}` with {answer:?}"))),
            Err(error) => Err(Fault::plain(format!("{name} did not answer `{words}`: {error}"))),
        }
    }
}

fn is_whole(info: &str) -> bool {
    let has = |line: &str| info.lines().any(|it| it.trim_end() == line);
    has("cluster_state:ok") && has("cluster_known_nodes:3") && has("cluster_size:3")
}

/// One command, its words split at spaces, on a connection of its own. An error of Redis is an error here.
pub(crate) fn ask(port: u16, words: &str) -> io::Result<String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, IO_TIMEOUT)?;
    stream.set_read_timeout(Some(IO_TIMEOUT))?;
    stream.set_write_timeout(Some(IO_TIMEOUT))?;
    stream.write_all(format!("{words}\r\n").as_bytes())?;
    answer(BufReader::new(stream))
}

fn answer(mut from: impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    let strange = || io::Error::other(format!("it answered {line:?}"));
    let kind = line.chars().next().ok_or(io::ErrorKind::UnexpectedEof)?;
    let rest = line[kind.len_utf8()..].trim_end();
    match kind {
        '+' | ':' => Ok(rest.to_owned()),
        '-' => Err(io::Error::other(rest.to_owned())),
        '$' => {
            let len = rest.parse().map_err(|_| strange())?;
            let mut body = String::new();
            from.take(len).read_to_string(&mut body)?;
            Ok(body)
        }
        _ => Err(strange()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        let read = |text: &str| answer(text.as_bytes()).map_err(|error| error.to_string());
        assert_eq!(read("+PONG\r\n").unwrap(), "PONG");
        assert_eq!(read("$5\r\na\r\nbc\r\n").unwrap(), "a\r\nbc");
        assert_eq!(read("-LOADING Redis is loading\r\n").unwrap_err(), "LOADING Redis is loading");
        assert_eq!(read("*1\r\n").unwrap_err(), "it answered \"*1\\r\\n\"");
        assert!(read("").is_err());
    }

    #[test]
    fn a_cluster_is_whole_when_all_three_are_in_it() {
        let info = "cluster_state:ok\r\ncluster_known_nodes:3\r\ncluster_size:3\r\n";
        assert!(is_whole(info));
        assert!(!is_whole(&info.replace("state:ok", "state:fail")));
        assert!(!is_whole(&info.replace("nodes:3", "nodes:2")));
    }

    #[test]
    fn the_slots_are_all_there_once() {
        assert_eq!(SLOTS[0].0, 0);
        assert!(SLOTS.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0));
        assert_eq!(SLOTS[2].1, 16_383);
    }

    #[test]
    fn nothing_is_evicted_and_every_write_is_kept() {
        let arguments = arguments(7000).join(" ");
        for needed in ["--appendonly yes", "--maxmemory-policy noeviction", "--bind 127.0.0.1", "--port 7000"]
        {
            assert!(arguments.contains(needed), "{arguments}");
        }
    }
}
