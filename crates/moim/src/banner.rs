//! What a node says on stdout once it listens: where it is, who may enter, what to try.
//! Not here: the log (`moim-telemetry`), the real addresses (`wiring` has them from the gateway).

use std::{
    env,
    io::{self, IsTerminal},
    net::SocketAddr,
    path::Path,
};

use moim_protocol::Language;

use crate::{
    config::{AckSetting, BusKind, Config, StoreKind},
    language, reach,
};

/// Columns of the names before the rows.
const NAME_COLUMNS: usize = 9;

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
    /// The language it speaks.
    pub(crate) language: Language,
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
            language: language::of_environment(),
        }
    }

    /// The text, with a line end.
    pub(crate) fn render(&self) -> String {
        let page = reach::from_this_machine(self.public);
        let ops = reach::from_this_machine(self.ops);
        let mut text = format!("\n{}\n\n", self.bold(&format!("moim {}", self.version)));
        text += &self.row("page", "페이지", &self.bold(&format!("http://{page}/")));
        text += &self.row("websocket", "WebSocket", &format!("ws://{page}/chat/general?username=Mina"));
        text += &self.row("operators", "운영자용", &format!("http://{ops}/metrics, /livez, /readyz"));
        text += &self.row("mode", "방식", self.mode());
        text += &self.row("store", "저장소", &self.store());
        text += &self.row("acks", "ack", self.acks());
        text += &self.row("who", "누가", &self.who());
        text + &self.try_next(page) + &format!("\n{}\n\n", self.stop())
    }

    /// The text of a node that only writes.
    pub(crate) fn render_writer(&self) -> String {
        let ops = reach::from_this_machine(self.ops);
        let mut text = format!("\n{}\n\n", self.bold(&format!("moim {} writer", self.version)));
        text += &self.row("operators", "운영자용", &format!("http://{ops}/metrics, /livez, /readyz"));
        let mode = self.either(
            "redis: brings messages from Redis into the store, serves nobody",
            "redis: Redis의 메시지를 저장소로 옮기기만 합니다",
        );
        text += &self.row("mode", "방식", mode);
        text += &self.row("store", "저장소", &self.store());
        let stop = self.either(
            "Ctrl-C stops it; another node goes on where it stopped.",
            "Ctrl-C로 멈춥니다. 다른 노드가 이어서 합니다.",
        );
        text + &format!("\n{stop}\n\n")
    }

    fn try_next(&self, page: SocketAddr) -> String {
        let default = Config::default().listen.public;
        let url = if page == default { String::new() } else { format!(" --url http://{page}") };
        let [title, open, say, hello, talk, more] = match self.language {
            Language::English => [
                "Try next",
                "Open the page in two windows and talk.",
                "Say something from a shell:",
                "hello",
                "Or talk from a terminal:",
                "`moim config` shows every setting, `moim --help` every command.",
            ],
            Language::Korean => [
                "다음에 해 볼 것",
                "페이지를 창 두 개로 열고 이야기해 보세요.",
                "셸에서 말해 보세요:",
                "안녕하세요",
                "터미널에서 이야기해 보세요:",
                "`moim config`는 모든 설정을, `moim --help`는 모든 명령을 보여 줍니다.",
            ],
        };
        format!(
            "\n{title}\n  \
             1. {open}\n  \
             2. {say}\n     \
             curl http://{page}/api/v1/rooms/general/messages \\\n       \
             -H 'Content-Type: application/json' -d '{{\"username\":\"curl\",\"content\":\"{hello}\"}}'\n  \
             3. {talk} moim chat{url}\n  \
             4. {more}\n"
        )
    }

    fn either(&self, english: &'static str, korean: &'static str) -> &'static str {
        match self.language {
            Language::English => english,
            Language::Korean => korean,
        }
    }

    fn row(&self, english: &'static str, korean: &'static str, value: &str) -> String {
        let name = self.either(english, korean);
        // Hangul takes two columns.
        let columns: usize = name.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum();
        let padded = format!("{name}{:1$}", "", NAME_COLUMNS.saturating_sub(columns));
        format!("  {}  {value}\n", self.dim(&padded))
    }

    fn mode(&self) -> &'static str {
        match (self.bus, self.writes) {
            (BusKind::InProcess, _) => self.either(
                "in-process: one node, nothing else needed",
                "in-process: 노드 하나, 다른 것은 필요 없습니다",
            ),
            (BusKind::Redis, _) if self.store == StoreKind::None => {
                self.either("redis: one of many nodes", "redis: 여러 노드 가운데 하나")
            }
            (BusKind::Redis, true) => self.either(
                "redis: one of many nodes; it also brings messages into the store",
                "redis: 여러 노드 가운데 하나. 메시지를 저장소로 옮기는 일도 합니다",
            ),
            (BusKind::Redis, false) => self.either(
                "redis: one of many nodes; some `moim writer` must bring messages into the store",
                "redis: 여러 노드 가운데 하나. 메시지를 저장소로 옮길 `moim writer`가 있어야 합니다",
            ),
        }
    }

    fn store(&self) -> String {
        let (path, keyspace) = (self.path.display(), self.keyspace);
        match (self.store, self.language) {
            (StoreKind::Embedded, Language::English) => {
                format!("embedded in {path}: messages survive a restart")
            }
            (StoreKind::Embedded, Language::Korean) => {
                format!("embedded, {path}: 다시 시작해도 메시지가 남습니다")
            }
            (StoreKind::Cassandra, Language::English) => {
                format!("cassandra, keyspace {keyspace}: messages are kept for good")
            }
            (StoreKind::Cassandra, Language::Korean) => {
                format!("cassandra, 키스페이스 {keyspace}: 메시지를 계속 보관합니다")
            }
            (StoreKind::Memory, _) => self
                .either(
                    "memory: messages are lost when moim stops",
                    "memory: moim이 멈추면 메시지도 사라집니다",
                )
                .into(),
            (StoreKind::None, _) => self
                .either(
                    "none: history is only what Redis keeps",
                    "none: Redis에 있는 것만 지난 메시지로 보입니다",
                )
                .into(),
        }
    }

    fn acks(&self) -> &'static str {
        match (self.store, self.ack) {
            // In one process an answer comes with the store's, whatever is set.
            (StoreKind::Embedded, _) => self.either(
                "stored: a message is on disk when its sender is told so",
                "stored: 보낸 사람이 확인을 받으면 메시지는 디스크에 있습니다",
            ),
            (StoreKind::Memory, _) => self.either(
                "wal: a message is in memory when its sender is told so",
                "wal: 보낸 사람이 확인을 받으면 메시지는 메모리에 있습니다",
            ),
            (StoreKind::None, _) | (StoreKind::Cassandra, AckSetting::Wal) => self.either(
                "wal: a message is in Redis when its sender is told so",
                "wal: 보낸 사람이 확인을 받으면 메시지는 Redis에 있습니다",
            ),
            (StoreKind::Cassandra, AckSetting::Stored) => self.either(
                "stored: a message is in the store when its sender is told so; while the store is away they are told to retry",
                "stored: 보낸 사람이 확인을 받으면 메시지는 저장소에 있습니다. 저장소가 없는 동안은 다시 보내라고 알립니다",
            ),
            (StoreKind::Cassandra, AckSetting::Auto) => self.either(
                "auto: a message is in the store when its sender is told so, or in Redis while the store is away",
                "auto: 보낸 사람이 확인을 받으면 메시지는 저장소에, 저장소가 없는 동안은 Redis에 있습니다",
            ),
        }
    }

    fn stop(&self) -> &'static str {
        match self.store {
            StoreKind::Memory => self
                .either("Ctrl-C stops it and forgets what was said.", "Ctrl-C로 멈추고, 대화는 사라집니다."),
            StoreKind::Embedded | StoreKind::Cassandra => self.either(
                "Ctrl-C stops it; nothing that was said is lost.",
                "Ctrl-C로 멈춥니다. 대화는 남습니다.",
            ),
            StoreKind::None => self.either(
                "Ctrl-C stops it; what Redis keeps stays there.",
                "Ctrl-C로 멈춥니다. Redis에 있는 것은 남습니다.",
            ),
        }
    }

    fn who(&self) -> String {
        if self.public.ip().is_loopback() {
            return self
                .either("anyone on this machine, under any name", "이 컴퓨터에 있는 누구나, 어떤 이름으로든")
                .into();
        }
        let public = self.public;
        let who = match self.language {
            Language::English => {
                format!("ANYONE who reaches {public}, under any name (auth.mode = \"anonymous\")")
            }
            Language::Korean => {
                format!("{public}에 닿는 누구나, 어떤 이름으로든 (auth.mode = \"anonymous\")")
            }
        };
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
    use std::{env, fs, net::SocketAddr, path::Path};

    use super::{AckSetting, Banner, BusKind, Language, StoreKind};

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
            language: Language::English,
        }
    }

    /// Compares with a file in `tests/golden`; `UPDATE_GOLDEN=1 cargo test -p moim` writes them anew.
    fn golden(name: &str, banner: Banner<'static>, render: fn(&Banner<'static>) -> String) {
        for (suffix, language) in [("", Language::English), ("_ko", Language::Korean)] {
            let text = render(&Banner { language, ..banner });
            let name = format!("banner_{name}{suffix}.txt");
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(&name);
            if env::var_os("UPDATE_GOLDEN").is_some() {
                fs::write(&file, &text).unwrap();
            }
            let expected = fs::read_to_string(&file).unwrap_or_default();
            assert!(text == expected, "{name} differs; UPDATE_GOLDEN=1 writes it anew. Now:\n{text}");
        }
    }

    #[test]
    fn of_every_kind_in_both_languages() {
        golden("loopback", banner("127.0.0.1:8765", StoreKind::Embedded), Banner::render);
        golden("open_and_forgetful", banner("0.0.0.0:80", StoreKind::Memory), Banner::render);
        let cluster = Banner { bus: BusKind::Redis, ..banner("127.0.0.1:1", StoreKind::Cassandra) };
        golden("cluster", cluster, Banner::render);
        golden(
            "cluster_reader",
            Banner { writes: false, ack: AckSetting::Stored, ..cluster },
            Banner::render,
        );
        golden(
            "cluster_without_store",
            Banner { store: StoreKind::None, writes: false, ..cluster },
            Banner::render,
        );
        golden("writer", cluster, Banner::render_writer);
    }

    /// Programs find the addresses in it, and its end, in either language.
    #[test]
    fn programs_can_read_it() {
        for language in [Language::English, Language::Korean] {
            let text = Banner { language, ..banner("127.0.0.1:8765", StoreKind::Embedded) }.render();
            let lines: Vec<_> = text.lines().collect();
            assert!(
                lines.iter().position(|line| line.contains("ws://127.0.0.1:8765/"))
                    < lines.iter().position(|line| line.contains("/metrics"))
            );
            let ends: Vec<_> = lines.iter().enumerate().filter(|(_, line)| line.contains("Ctrl-C")).collect();
            assert_eq!(ends.len(), 1, "{text}");
            assert_eq!(ends[0].0, lines.len() - 2, "{text}");
        }
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
