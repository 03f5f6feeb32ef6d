//! What a node says on stdout once it listens: where it is, who may enter, what to try.
//! Not here: the log (`moim-telemetry`), the real addresses (`wiring` has them from the gateway).

use std::{
    env,
    io::{self, IsTerminal},
    net::SocketAddr,
    path::Path,
};

use crate::{
    config::{AckSetting, BusKind, Config, StoreKind},
    reach,
};

/// What the banner tells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Banner<'a> {
    /// The version of moim.
    pub(crate) version: &'a str,
    /// The address people connect to, as bound.
    pub(crate) public: SocketAddr,
    /// The address operators look at, as bound.
    pub(crate) ops: SocketAddr,
    /// What carries messages.
    pub(crate) bus: BusKind,
    /// What keeps messages.
    pub(crate) store: StoreKind,
    /// What an acknowledgement stands for, where that can be chosen.
    pub(crate) ack: AckSetting,
    /// Whether it brings messages into the store itself.
    pub(crate) writes: bool,
    /// The keyspace of the store in Cassandra.
    pub(crate) keyspace: &'a str,
    /// Where the embedded store keeps them.
    pub(crate) path: &'a Path,
    /// Whether to colour.
    pub(crate) colour: bool,
}

impl<'a> Banner<'a> {
    /// The banner of a node with this configuration that listens at these addresses.
    pub(crate) fn of(config: &'a Config, public: SocketAddr, ops: SocketAddr) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        Self {
            version,
            public,
            ops,
            bus: config.bus.kind,
            store: config.store.kind,
            ack: config.ack.level,
            writes: config.writer.enabled,
            keyspace: &config.cassandra.keyspace,
            path: &config.embedded.path,
            colour: colour_wanted(),
        }
    }

    /// The text, with a line end.
    pub(crate) fn render(&self) -> String {
        let page = reach::from_this_machine(self.public);
        let ops = reach::from_this_machine(self.ops);
        let row = |name: &str, value: &str| self.row(name, value);
        let mut text = format!("\n{}\n\n", self.bold(&format!("moim {}", self.version)));
        text += &row("page", &self.bold(&format!("http://{page}/")));
        text += &row("websocket", &format!("ws://{page}/chat/general?username=Mina"));
        text += &row("operators", &format!("http://{ops}/metrics, /livez, /readyz"));
        text += &row("mode", self.mode());
        text += &row("store", &self.store());
        text += &row("acks", self.acks());
        text += &row("who", &self.who());
        text += &format!(
            "\nTry next\n  \
             1. Open the page in two windows and talk.\n  \
             2. Say something from a shell:\n     \
             curl http://{page}/api/v1/rooms/general/messages \\\n       \
             -H 'Content-Type: application/json' -d '{{\"username\":\"curl\",\"content\":\"hello\"}}'\n  \
             3. `moim config` shows every setting, `moim --help` every command.\n\n{}\n\n",
            self.stop()
        );
        text
    }

    /// The text of a node that only writes.
    pub(crate) fn render_writer(&self) -> String {
        let ops = reach::from_this_machine(self.ops);
        let mut text = format!("\n{}\n\n", self.bold(&format!("moim {} writer", self.version)));
        text += &self.row("operators", &format!("http://{ops}/metrics, /livez, /readyz"));
        text += &self.row("mode", "redis: brings messages from Redis into the store, serves nobody");
        text += &self.row("store", &self.store());
        text + "\nCtrl-C stops it; another node goes on where it stopped.\n\n"
    }

    fn row(&self, name: &str, value: &str) -> String {
        format!("  {}  {value}\n", self.dim(&format!("{name:<9}")))
    }

    fn mode(&self) -> &'static str {
        match (self.bus, self.writes) {
            (BusKind::InProcess, _) => "in-process: one node, nothing else needed",
            (BusKind::Redis, _) if self.store == StoreKind::None => "redis: one of many nodes",
            (BusKind::Redis, true) => "redis: one of many nodes; it also brings messages into the store",
            (BusKind::Redis, false) => {
                "redis: one of many nodes; some `moim writer` must bring messages into the store"
            }
        }
    }

    fn store(&self) -> String {
        match self.store {
            StoreKind::Embedded => format!("embedded in {}: messages survive a restart", self.path.display()),
            StoreKind::Memory => "memory: messages are lost when moim stops".into(),
            StoreKind::Cassandra => {
                format!("cassandra, keyspace {}: messages are kept for good", self.keyspace)
            }
            StoreKind::None => "none: history is only what Redis keeps".into(),
        }
    }

    fn acks(&self) -> &'static str {
        match (self.store, self.ack) {
            // In one process an answer comes with the store's, whatever is set.
            (StoreKind::Embedded, _) => "stored: a message is on disk when its sender is told so",
            (StoreKind::Memory, _) => "wal: a message is in memory when its sender is told so",
            (StoreKind::None, _) | (StoreKind::Cassandra, AckSetting::Wal) => {
                "wal: a message is in Redis when its sender is told so"
            }
            (StoreKind::Cassandra, AckSetting::Stored) => {
                "stored: a message is in the store when its sender is told so; while the store is away they are told to retry"
            }
            (StoreKind::Cassandra, AckSetting::Auto) => {
                "auto: a message is in the store when its sender is told so, or in Redis while the store is away"
            }
        }
    }

    fn stop(&self) -> &'static str {
        match self.store {
            StoreKind::Memory => "Ctrl-C stops it and forgets what was said.",
            StoreKind::Embedded | StoreKind::Cassandra => "Ctrl-C stops it; nothing that was said is lost.",
            StoreKind::None => "Ctrl-C stops it; what Redis keeps stays there.",
        }
    }

    fn who(&self) -> String {
        if self.public.ip().is_loopback() {
            return "anyone on this machine, under any name".into();
        }
        let who = format!("ANYONE who reaches {}, under any name (auth.mode = \"anonymous\")", self.public);
        self.paint("1;33", &who)
    }

    fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }

    fn dim(&self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(&self, style: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{style}m{text}\x1b[0m") } else { text.into() }
    }
}

// no-color.org: any value but an empty one switches colour off.
fn colour_wanted() -> bool {
    io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, path::Path};

    use super::{AckSetting, Banner, BusKind, StoreKind};

    fn banner(public: &str, store: StoreKind) -> Banner<'static> {
        let ops = SocketAddr::from(([127, 0, 0, 1], 9765));
        let public = public.parse().unwrap();
        Banner {
            version: "1.2.3",
            public,
            ops,
            bus: BusKind::InProcess,
            store,
            ack: AckSetting::Auto,
            writes: true,
            keyspace: "moim",
            path: Path::new("moim-data"),
            colour: false,
        }
    }

    #[test]
    fn on_loopback() {
        let expected = r#"
moim 1.2.3

  page       http://127.0.0.1:8765/
  websocket  ws://127.0.0.1:8765/chat/general?username=Mina
  operators  http://127.0.0.1:9765/metrics, /livez, /readyz
  mode       in-process: one node, nothing else needed
  store      embedded in moim-data: messages survive a restart
  acks       stored: a message is on disk when its sender is told so
  who        anyone on this machine, under any name

Try next
  1. Open the page in two windows and talk.
  2. Say something from a shell:
     curl http://127.0.0.1:8765/api/v1/rooms/general/messages \
       -H 'Content-Type: application/json' -d '{"username":"curl","content":"hello"}'
  3. `moim config` shows every setting, `moim --help` every command.

Ctrl-C stops it; nothing that was said is lost.

"#;
        assert_eq!(banner("127.0.0.1:8765", StoreKind::Embedded).render(), expected);
    }

    #[test]
    fn open_to_everybody_and_forgetful() {
        let expected = r#"
moim 1.2.3

  page       http://127.0.0.1:80/
  websocket  ws://127.0.0.1:80/chat/general?username=Mina
  operators  http://127.0.0.1:9765/metrics, /livez, /readyz
  mode       in-process: one node, nothing else needed
  store      memory: messages are lost when moim stops
  acks       wal: a message is in memory when its sender is told so
  who        ANYONE who reaches 0.0.0.0:80, under any name (auth.mode = "anonymous")

Try next
  1. Open the page in two windows and talk.
  2. Say something from a shell:
     curl http://127.0.0.1:80/api/v1/rooms/general/messages \
       -H 'Content-Type: application/json' -d '{"username":"curl","content":"hello"}'
  3. `moim config` shows every setting, `moim --help` every command.

Ctrl-C stops it and forgets what was said.

"#;
        assert_eq!(banner("0.0.0.0:80", StoreKind::Memory).render(), expected);
    }

    fn rows(text: &str, names: &[&str]) -> Vec<String> {
        let of_name =
            |line: &&str| names.iter().any(|name| line.trim_start().starts_with(&format!("{name} ")));
        text.lines().filter(of_name).map(|line| line.trim().to_owned()).collect()
    }

    #[test]
    fn a_cluster_says_what_it_promises() {
        let cluster = Banner { bus: BusKind::Redis, ..banner("127.0.0.1:1", StoreKind::Cassandra) };
        let told = rows(&cluster.render(), &["mode", "store", "acks"]);
        assert_eq!(
            told,
            [
                "mode       redis: one of many nodes; it also brings messages into the store",
                "store      cassandra, keyspace moim: messages are kept for good",
                "acks       auto: a message is in the store when its sender is told so, or in Redis while the store is away",
            ]
        );
        let reader = Banner { writes: false, ..cluster };
        assert_eq!(
            rows(&reader.render(), &["mode"]),
            ["mode       redis: one of many nodes; some `moim writer` must bring messages into the store"]
        );
        let without = Banner { store: StoreKind::None, writes: false, ack: AckSetting::Auto, ..cluster };
        let told = rows(&without.render(), &["mode", "store", "acks"]);
        assert_eq!(
            told,
            [
                "mode       redis: one of many nodes",
                "store      none: history is only what Redis keeps",
                "acks       wal: a message is in Redis when its sender is told so",
            ]
        );
    }

    #[test]
    fn of_a_writer() {
        let expected = r#"
moim 1.2.3 writer

  operators  http://127.0.0.1:9765/metrics, /livez, /readyz
  mode       redis: brings messages from Redis into the store, serves nobody
  store      cassandra, keyspace moim: messages are kept for good

Ctrl-C stops it; another node goes on where it stopped.

"#;
        let writer = Banner { bus: BusKind::Redis, ..banner("127.0.0.1:1", StoreKind::Cassandra) };
        assert_eq!(writer.render_writer(), expected);
    }

    #[test]
    fn colour_is_only_added() {
        let plain = banner("0.0.0.0:80", StoreKind::Memory);
        let coloured = Banner { colour: true, ..plain }.render();
        assert!(coloured.contains("\x1b[1;33mANYONE who reaches 0.0.0.0:80"));
        let stripped =
            ["1", "2", "0", "1;33"].iter().fold(coloured, |t, s| t.replace(&format!("\x1b[{s}m"), ""));
        assert_eq!(stripped, plain.render());
    }
}
