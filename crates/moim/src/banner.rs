//! What a node says on stdout once it listens: where it is, who may enter, what to try.
//! Not here: the log (`moim-telemetry`), the real addresses (`wiring` has them from the gateway).

use std::{
    env,
    io::{self, IsTerminal},
    net::SocketAddr,
    path::Path,
};

use crate::{
    config::{Config, StoreKind},
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
    /// What keeps messages.
    pub(crate) store: StoreKind,
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
            store: config.store.kind,
            path: &config.embedded.path,
            colour: colour_wanted(),
        }
    }

    /// The text, with a line end.
    pub(crate) fn render(&self) -> String {
        let page = reach::from_this_machine(self.public);
        let ops = reach::from_this_machine(self.ops);
        let (store, stop) = match self.store {
            StoreKind::Embedded => (
                format!("embedded in {}: messages survive a restart", self.path.display()),
                "Ctrl-C stops it; nothing that was said is lost.",
            ),
            StoreKind::Memory => (
                "memory: messages are lost when moim stops".into(),
                "Ctrl-C stops it and forgets what was said.",
            ),
        };
        let row = |name: &str, value: &str| format!("  {}  {value}\n", self.dim(&format!("{name:<9}")));
        let mut text = format!("\n{}\n\n", self.bold(&format!("moim {}", self.version)));
        text += &row("page", &self.bold(&format!("http://{page}/")));
        text += &row("websocket", &format!("ws://{page}/chat/general?username=Mina"));
        text += &row("operators", &format!("http://{ops}/metrics, /livez, /readyz"));
        text += &row("mode", "in-process: one node, nothing else needed");
        text += &row("store", &store);
        text += &row("who", &self.who());
        text += &format!(
            "\nTry next\n  \
             1. Open the page in two windows and talk.\n  \
             2. Say something from a shell:\n     \
             curl http://{page}/api/v1/rooms/general/messages \\\n       \
             -H 'Content-Type: application/json' -d '{{\"username\":\"curl\",\"content\":\"hello\"}}'\n  \
             3. `moim config` shows every setting, `moim --help` every command.\n\n{stop}\n\n"
        );
        text
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

    use super::{Banner, StoreKind};

    fn banner(public: &str, store: StoreKind) -> Banner<'static> {
        let ops = SocketAddr::from(([127, 0, 0, 1], 9765));
        let public = public.parse().unwrap();
        Banner { version: "1.2.3", public, ops, store, path: Path::new("moim-data"), colour: false }
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
