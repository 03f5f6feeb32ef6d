//! HAProxy in front of the gateways: its configuration, and its start.
//! Not here: the configuration for production (`deploy`).

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::fault::Fault;
use crate::guarded::Farewell;
use crate::servers::place::Place;
use crate::servers::ports::Ports;
use crate::servers::server::Server;

use super::gateways::{Gateway, answers_200};

const READY_TIMEOUT: Duration = Duration::from_secs(20);
/// Its page of statistics is this much higher than its port.
const STATS_OFFSET: u16 = 2000;

pub(super) struct Haproxy {
    pub(super) server: Server,
    pub(super) port: u16,
    pub(super) stats: u16,
}

impl Haproxy {
    /// Starts it, and waits until the page comes through it.
    pub(super) fn start(
        program: &Path,
        port: u16,
        gateways: &[Gateway],
        place: &Place,
    ) -> Result<Self, Fault> {
        let stats = Ports::upward(port + STATS_OFFSET).free()?;
        let gateways: Vec<_> =
            gateways.iter().map(|it| (it.server.name.as_str(), it.public, it.ops)).collect();
        let config = place.path().join("haproxy.cfg");
        fs::write(&config, text(port, stats, &gateways))
            .map_err(Fault::io(format!("write {}", config.display())))?;
        let mut command = Command::new(program);
        // In the foreground, and without saying twice what is in its log.
        command.args(["-db", "-q", "-f"]).arg(config);
        let mut server = Server::start("haproxy", &command, &Farewell::None, place)?;
        server.ready(READY_TIMEOUT, || answers_200(port, "/"))?;
        Ok(Self { server, port, stats })
    }
}

/// The configuration: gateways by name, public port and operators' port.
pub(crate) fn text(port: u16, stats: u16, gateways: &[(&str, u16, u16)]) -> String {
    let mut text = format!(
        "\
# Written by `cargo xtask`.
global
    log stdout format raw daemon
    maxconn 4000

defaults
    mode http
    log global
    option httplog
    option dontlognull
    # A request whose cookie names a gateway that is down goes to another one.
    option redispatch
    timeout connect 2s
    timeout client 60s
    timeout server 60s
    timeout client-fin 30s
    # WebSockets: moim pings every 30 s, so an hour only ends what is dead.
    timeout tunnel 1h
    # Slow headers.
    timeout http-request 10s

frontend chat
    bind 127.0.0.1:{port}
    default_backend gateways

backend gateways
    # Connections live long: whoever has the fewest gets the next.
    balance leastconn
    # Saves work for those who poll; anybody can resume anywhere.
    cookie moim insert indirect nocache httponly attr SameSite=Lax
    option forwardfor
    option httpchk
    http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host localhost
    # A gateway that drains answers 503 and is down at the second one: nothing new comes to it, and what is open stays
    # open for it to close. (`disable-on-404` is for servers that answer 404 then.)
    http-check expect status 200
    default-server check inter 1s fall 2 rise 1
"
    );
    for (name, public, ops) in gateways {
        writeln!(text, "    server {name} 127.0.0.1:{public} port {ops} cookie {name}").ok();
    }
    write!(
        text,
        "\n\
         frontend stats\n    \
         bind 127.0.0.1:{stats}\n    \
         http-request set-log-level silent\n    \
         stats enable\n    \
         stats uri /\n    \
         stats refresh 2s\n"
    )
    .ok();
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Workspace;

    #[test]
    fn each_gateway_is_asked_at_its_operators_port() {
        let text = text(8765, 10_765, &[("gateway-1", 8766, 9766), ("gateway-2", 8767, 9767)]);
        assert!(text.contains("bind 127.0.0.1:8765\n"), "{text}");
        assert!(text.contains("    server gateway-1 127.0.0.1:8766 port 9766 cookie gateway-1\n"), "{text}");
        assert!(text.contains("    server gateway-2 127.0.0.1:8767 port 9767 cookie gateway-2\n"), "{text}");
    }

    #[test]
    fn haproxy_itself_finds_no_fault_in_it() {
        let root = crate::workspace::root();
        let program = crate::tools::haproxy(&Workspace { target: root.clone(), root }).unwrap();
        let path = std::env::temp_dir().join(format!("xtask-haproxy-{}.cfg", std::process::id()));
        fs::write(&path, text(8765, 10_765, &[("gateway-1", 8766, 9766)])).unwrap();
        let output = Command::new(program).arg("-c").arg("-f").arg(&path).output().unwrap();
        let said =
            String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && !said.contains("WARNING"), "{said}");
        fs::remove_file(&path).unwrap();
    }
}
