//! The cluster while it runs, and its end: logs with the name of their process, deaths told, everything stopped in order.
//! Not here: how it is started (`cluster`), how a log is read (`tail`).

use std::collections::BTreeMap;
use std::env;
use std::io::{self, IsTerminal, Stdout, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::fault::Fault;
use crate::signals::Signals;

use super::gateways::GRACE_SECONDS;
use super::tail::Tail;
use super::{Cluster, banner};

const POLL: Duration = Duration::from_millis(50);
/// For gateways: what they take at most, and a little.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(GRACE_SECONDS + 5);
/// For what is behind them; Cassandra writes its memory to disk.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// Follows the cluster until somebody asks it to stop, and stops it. That no gateway is left is a fault.
pub(super) fn watch(cluster: &mut Cluster, signals: &Signals) -> Result<(), Fault> {
    let mut watch = Watch::of(cluster).map_err(Fault::io("follow the logs"))?;
    watch.say(&banner::of(cluster))?;
    loop {
        watch.look(cluster)?;
        if signals.asked().is_some() {
            return watch.stop(cluster, signals);
        }
        if cluster.gateways.iter_mut().all(|gateway| gateway.server.process.ended().is_some()) {
            let logs = cluster.place.path().display();
            return Err(Fault::new("every gateway has ended", format!("read the logs in {logs}")));
        }
        sleep(POLL);
    }
}

struct Watch {
    out: Stdout,
    paint: Paint,
    tails: BTreeMap<String, Tail>,
    /// The ends that were told.
    told: Vec<String>,
    stopping: bool,
}

impl Watch {
    fn of(cluster: &mut Cluster) -> io::Result<Self> {
        let mut names = Vec::new();
        let mut tails = BTreeMap::new();
        for server in cluster.servers() {
            names.push(server.name.clone());
            tails.insert(server.name.clone(), Tail::open(&server.log)?);
        }
        let out = io::stdout();
        let coloured = out.is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Ok(Self { out, paint: Paint { names, coloured }, tails, told: Vec::new(), stopping: false })
    }

    /// Shows what is new in the logs, and who has ended.
    fn look(&mut self, cluster: &mut Cluster) -> Result<(), Fault> {
        for server in cluster.servers() {
            let ended = server.process.ended();
            if let Some(tail) = self.tails.get_mut(&server.name) {
                let lines = tail.lines().map_err(Fault::io(format!("read {}", server.log.display())))?;
                let shown = lines.iter().filter(|line| is_shown(&server.name, line));
                let text: String = shown.map(|line| self.paint.line(&server.name, line)).collect();
                self.say(&text)?;
            }
            let Some(status) = ended.filter(|_| !self.told.contains(&server.name)) else { continue };
            self.told.push(server.name.clone());
            self.say(&self.paint.own(&epitaph(&server.name, status, self.stopping)))?;
        }
        Ok(())
    }

    /// Gateways first, so that they find what they need to bring their work to an end.
    fn stop(&mut self, cluster: &mut Cluster, signals: &Signals) -> Result<(), Fault> {
        self.stopping = true;
        self.say(&self.paint.own("stopping: gateways drain, then the rest (Ctrl-C again: at once)"))?;
        let gateways = cluster.gateways.iter().map(|gateway| gateway.server.name.clone()).collect();
        self.stop_these(cluster, signals, gateways, DRAIN_TIMEOUT)?;
        let mut behind = vec![cluster.haproxy.server.name.clone(), cluster.redis.server.name.clone()];
        if cluster.keeps {
            behind.push(cluster.cassandra.server.name.clone());
        }
        self.stop_these(cluster, signals, behind, STOP_TIMEOUT)?;
        let data = if cluster.keeps { "the data are kept" } else { "the data are thrown away" };
        self.say(&self.paint.own(&format!("everything is stopped; {data}")))
    }

    fn stop_these(
        &mut self,
        cluster: &mut Cluster,
        signals: &Signals,
        names: Vec<String>,
        limit: Duration,
    ) -> Result<(), Fault> {
        let start = Instant::now();
        for server in cluster.servers().filter(|server| names.contains(&server.name)) {
            server.process.signal(Signal::TERM);
        }
        loop {
            self.look(cluster)?;
            let left: Vec<_> = names.iter().filter(|name| !self.told.contains(name)).cloned().collect();
            if left.is_empty() {
                return Ok(());
            }
            let why = match (signals.asked(), start.elapsed() >= limit) {
                (Some(_), _) => "since you asked again".to_owned(),
                (None, true) => format!("since {} s have passed", limit.as_secs()),
                (None, false) => {
                    sleep(POLL);
                    continue;
                }
            };
            self.say(&self.paint.own(&format!("killing {}, {why}", left.join(", "))))?;
            for server in cluster.servers().filter(|server| left.contains(&server.name)) {
                server.process.signal(Signal::KILL);
            }
            sleep(POLL);
        }
    }

    fn say(&self, text: &str) -> Result<(), Fault> {
        let mut out = self.out.lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Fault::io("write to stdout"))
    }
}

/// Cassandra tells a lot of itself; the file has it all.
fn is_shown(name: &str, line: &str) -> bool {
    !name.starts_with("cassandra") || [" WARN ", " ERROR "].iter().any(|level| line.contains(level))
}

fn epitaph(name: &str, status: ExitStatus, stopping: bool) -> String {
    // HAProxy lets the signal that we send end it, and a Java names it in its status, as shells do.
    let term = Signal::TERM.as_raw();
    let as_asked = status.success() || status.signal() == Some(term) || status.code() == Some(128 + term);
    match (stopping, as_asked) {
        (true, true) => format!("{name} has stopped"),
        (true, false) => format!("{name} has stopped with {status}"),
        (false, true) => format!("{name} has stopped, though not by us: {}", consequence(name)),
        (false, false) => format!("{name} DIED with {status}: {}", consequence(name)),
    }
}

fn consequence(name: &str) -> &'static str {
    match name {
        "haproxy" => "the page is not reached through it any more, the gateways go on",
        "redis" => "senders are told to try later, gateways turn unready",
        _ if name.starts_with("cassandra") => "live chat goes on, history is incomplete",
        _ => "HAProxy sends its people to the others",
    }
}

/// Names before lines, each process in a colour of its own.
struct Paint {
    names: Vec<String>,
    coloured: bool,
}

impl Paint {
    /// Of the terminal's palette: cyan, green, magenta, yellow, blue, then the bright ones.
    const COLOURS: [u8; 10] = [36, 32, 35, 33, 34, 96, 92, 95, 93, 94];

    fn line(&self, name: &str, line: &str) -> String {
        let place = self.names.iter().position(|it| it == name).unwrap_or(0);
        self.prefixed(name, &Self::COLOURS[place % Self::COLOURS.len()].to_string(), line)
    }

    /// What we say ourselves.
    fn own(&self, line: &str) -> String {
        self.prefixed("xtask", "1", line)
    }

    fn prefixed(&self, name: &str, style: &str, line: &str) -> String {
        let width = self.names.iter().map(String::len).max().unwrap_or(0);
        if self.coloured {
            format!("\x1b[{style}m{name:width$} |\x1b[0m {line}\n")
        } else {
            format!("{name:width$} | {line}\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paint(coloured: bool) -> Paint {
        Paint { names: ["haproxy", "gateway-1"].map(str::to_owned).into(), coloured }
    }

    #[test]
    fn a_line_says_whose_it_is() {
        assert_eq!(paint(false).line("haproxy", "up"), "haproxy   | up\n");
        assert_eq!(paint(false).own("stopping"), "xtask     | stopping\n");
    }

    #[test]
    fn colour_is_only_added() {
        assert_eq!(paint(true).line("gateway-1", "up"), "\x1b[32mgateway-1 |\x1b[0m up\n");
    }

    #[test]
    fn a_death_is_not_taken_for_an_end() {
        let (well, killed) = (ExitStatus::from_raw(0), ExitStatus::from_raw(9));
        assert_eq!(epitaph("redis", well, true), "redis has stopped");
        assert_eq!(epitaph("cassandra", ExitStatus::from_raw(143 << 8), true), "cassandra has stopped");
        assert_eq!(epitaph("redis", killed, true), "redis has stopped with signal: 9 (SIGKILL)");
        let told = epitaph("gateway-2", killed, false);
        assert_eq!(told, "gateway-2 DIED with signal: 9 (SIGKILL): HAProxy sends its people to the others");
        assert!(epitaph("gateway-2", well, false).starts_with("gateway-2 has stopped, though not by us: "));
    }

    #[test]
    fn of_cassandra_only_what_is_wrong_is_shown() {
        assert!(!is_shown("cassandra", "09:24:52.045 INFO  o.a.c Node state jump to NORMAL"));
        assert!(is_shown("cassandra", "09:24:52.045 WARN  o.a.c Batch is too large"));
        assert!(is_shown("redis", "Ready to accept connections"));
    }
}
