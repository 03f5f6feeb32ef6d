//! Every section and key there is, what may be written for it, and what it means in a line of each language.
//! Not here: the values (`Config`), whether a value makes sense beside the others (`validate` of its section).

mod clusters;

use moim_protocol::{Bilingual, Language};

use self::clusters::{CASSANDRA, REDIS};

/// What a section or a key is about, in a line.
pub(crate) type About = Bilingual<&'static str>;

/// A section, as `[name]` in the file.
#[derive(Debug)]
pub(crate) struct Section {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it is about.
    pub(crate) about: About,
    /// Its keys, in the order they are told.
    pub(crate) keys: &'static [Key],
}

/// A key of a section.
#[derive(Debug)]
pub(crate) struct Key {
    /// Its name.
    pub(crate) name: &'static str,
    /// What may be written.
    pub(crate) kind: Kind,
    /// Whether its value is shown to nobody.
    pub(crate) secret: bool,
    /// From where to where a number may be, where that is not all of its kind. `validate` of its section judges by it, and a
    /// test holds the two together.
    pub(crate) bounds: Option<(u64, u64)>,
    /// What it means.
    pub(crate) about: About,
}

/// What may be written for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A whole number from 0 to this.
    Whole(u64),
    /// true or false.
    YesNo,
    /// Any text.
    Text,
    /// An IP address and a port.
    Address,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list of texts.
    Texts,
    /// A list of networks.
    Networks,
}

// TOML has no larger integer.
const MOST: u64 = i64::MAX as u64;
const ANY: Kind = Kind::Whole(MOST);
const MIB: u64 = 1024 * 1024;

const fn both(english: &'static str, korean: &'static str) -> About {
    About { english, korean }
}

const fn key(name: &'static str, kind: Kind, english: &'static str, korean: &'static str) -> Key {
    Key { name, kind, secret: false, bounds: None, about: both(english, korean) }
}

const fn number(name: &'static str, low: u64, high: u64, english: &'static str, korean: &'static str) -> Key {
    Key { bounds: Some((low, high)), ..key(name, ANY, english, korean) }
}

const fn small(name: &'static str, low: u64, high: u64, english: &'static str, korean: &'static str) -> Key {
    Key { kind: Kind::Whole(u32::MAX as u64), ..number(name, low, high, english, korean) }
}

const fn secret(name: &'static str, kind: Kind, english: &'static str, korean: &'static str) -> Key {
    Key { secret: true, ..key(name, kind, english, korean) }
}

/// All of them, in the order they are told.
pub(crate) const SECTIONS: &[Section] = &[
    Section {
        name: "listen",
        about: both("Where it listens.", "어디에서 접속을 받는가."),
        keys: &[
            key(
                "public",
                Kind::Address,
                "Where people connect: the page, WebSockets, HTTP. Port 0 takes any free one.",
                "사람들이 접속하는 주소: 페이지, WebSocket, HTTP. 포트 0은 비어 있는 아무 포트나 씁니다.",
            ),
            key(
                "ops",
                Kind::Address,
                "Where operators look: /metrics, /livez, /readyz. Keep it private.",
                "운영자가 보는 주소: /metrics, /livez, /readyz. 외부에 공개하지 마세요.",
            ),
            key(
                "trusted_proxies",
                Kind::Networks,
                "Networks whose X-Forwarded-For is believed; they have no limit per address.",
                "X-Forwarded-For를 믿어 줄 네트워크. 여기에는 주소당 제한이 없습니다.",
            ),
        ],
    },
    Section {
        name: "auth",
        about: both("Who may chat.", "누가 채팅할 수 있는가."),
        keys: &[
            key(
                "mode",
                Kind::Choice(&["anonymous"]),
                "Not set: anyone, but only on a loopback address.",
                "정하지 않으면 누구나 채팅할 수 있지만, 루프백 주소에서만 됩니다.",
            ),
            key(
                "allowed_origins",
                Kind::Texts,
                "Origins of other web pages that may connect, like \"https://chat.example.com\"; \"*\" allows any.",
                "접속해도 되는 다른 웹 페이지의 오리진. 예: \"https://chat.example.com\". \"*\"는 모두 허용합니다.",
            ),
        ],
    },
    Section {
        name: "limits",
        about: both(
            "Bounds, and what a client meets beyond them.",
            "한도, 그리고 그것을 넘으면 클라이언트가 받는 것.",
        ),
        keys: &[
            number(
                "message_bytes_max",
                128,
                64 * MIB,
                "Largest message in bytes. Over it: close 1009.",
                "메시지의 최대 크기(바이트). 넘으면 1009로 닫습니다.",
            ),
            number(
                "connections_max",
                1,
                10_000_000,
                "Open connections on this node. Over it: 503.",
                "이 노드에 열린 연결의 수. 넘으면 503으로 답합니다.",
            ),
            number(
                "connections_per_address_max",
                1,
                10_000_000,
                "Open connections from one address, but for loopback and trusted proxies. Over it: 429.",
                "한 주소에서 열린 연결의 수. 루프백과 믿는 프록시는 세지 않습니다. 넘으면 429로 답합니다.",
            ),
            number(
                "rooms_per_connection_max",
                1,
                10_000,
                "Rooms one connection may be in. Over it: too_many_rooms.",
                "한 연결이 들어갈 수 있는 방의 수. 넘으면 too_many_rooms로 답합니다.",
            ),
            small(
                "messages_per_second",
                1,
                1_000_000,
                "Frames a second from one connection. Over it: rate_limited.",
                "한 연결이 1초에 보낼 수 있는 프레임의 수. 넘으면 rate_limited로 답합니다.",
            ),
            number(
                "room_name_chars_max",
                1,
                1_000,
                "Longest room name in characters. Over it: room_invalid.",
                "방 이름의 최대 글자 수. 넘으면 room_invalid로 답합니다.",
            ),
            number(
                "username_chars_max",
                1,
                1_000,
                "Longest user name in characters. Over it: username_invalid.",
                "사용자 이름의 최대 글자 수. 넘으면 username_invalid로 답합니다.",
            ),
            number(
                "outbox_bytes_max",
                4096,
                1024 * MIB,
                "Bytes that may wait for one slow reader. Over it: gap, or close 1013.",
                "느리게 읽는 클라이언트 하나를 위해 쌓아 둘 수 있는 바이트. 넘으면 gap을 보내거나 1013으로 닫습니다.",
            ),
            number(
                "stalled_reader_seconds",
                1,
                3600,
                "Seconds a reader may take nothing while bytes wait for it. Over it: close 1013.",
                "받을 것이 있는데도 읽지 않는 클라이언트를 기다리는 초. 넘으면 1013으로 닫습니다.",
            ),
            number(
                "resume_messages_max",
                20,
                100_000,
                "Messages a resume replays. Further behind: recovered = false.",
                "이어받을 때 다시 보내는 메시지의 수. 그보다 뒤처졌으면 recovered = false입니다.",
            ),
        ],
    },
    Section {
        name: "drain",
        about: both("How it stops after SIGTERM.", "SIGTERM을 받은 뒤 어떻게 멈추는가."),
        keys: &[
            key(
                "unready_seconds",
                ANY,
                "Seconds between turning unready and closing the first connection.",
                "준비되지 않음으로 바뀐 뒤 첫 연결을 닫기까지의 초.",
            ),
            key(
                "spread_seconds",
                ANY,
                "Seconds over which connections are closed; a few take less.",
                "연결을 나누어 닫는 데 걸리는 초. 연결이 적으면 더 빨리 끝납니다.",
            ),
            key(
                "grace_seconds",
                ANY,
                "Seconds after which it stops, whatever is left.",
                "무엇이 남아 있든 멈추기까지의 초.",
            ),
        ],
    },
    Section {
        name: "bus",
        about: both(
            "What carries messages between the members of a room.",
            "방에 있는 사람들 사이에서 무엇이 메시지를 나르는가.",
        ),
        keys: &[key(
            "kind",
            Kind::Choice(&["in-process", "redis"]),
            "in-process: one node, nothing else needed. redis: many nodes over one Redis.",
            "in-process: 노드 하나, 다른 것은 필요 없음. redis: Redis 하나로 이어진 여러 노드.",
        )],
    },
    REDIS,
    Section {
        name: "store",
        about: both("What keeps the messages.", "무엇이 메시지를 보관하는가."),
        keys: &[key(
            "kind",
            Kind::Choice(&["embedded", "memory", "cassandra", "none"]),
            "For one node, embedded: its files; memory: gone when moim stops. Behind Redis, cassandra; none: only what Redis keeps.",
            "노드가 하나면 embedded: 그 노드의 파일, memory: moim이 멈추면 사라짐. Redis와 함께라면 cassandra, 또는 none: Redis에 있는 것뿐.",
        )],
    },
    Section {
        name: "embedded",
        about: both("The store of kind embedded.", "embedded 저장소."),
        keys: &[
            key(
                "path",
                Kind::Text,
                "The folder of its files; made at the first start. One moim at a time.",
                "파일을 두는 폴더. 처음 시작할 때 만듭니다. 한 번에 moim 하나만 쓸 수 있습니다.",
            ),
            number(
                "cache_bytes",
                MIB,
                1024 * 1024 * MIB,
                "Memory for what is read from disk.",
                "디스크에서 읽은 것을 담아 두는 메모리(바이트).",
            ),
            number(
                "memtable_bytes",
                MIB,
                1024 * MIB,
                "Memory for new messages before they are sorted into files; up to five times this.",
                "새 메시지를 파일로 정리하기 전까지 담아 두는 메모리(바이트). 이것의 다섯 배까지 쓸 수 있습니다.",
            ),
            number(
                "journal_bytes_max",
                64 * MIB,
                64 * 1024 * MIB,
                "Disk for the journal, which is read again after a crash.",
                "저널이 쓰는 디스크(바이트). 비정상 종료 뒤에 다시 읽습니다.",
            ),
            number(
                "commit_linger_micros",
                0,
                20_000,
                "Microseconds a commit waits for others when several come at once. 0: never.",
                "커밋이 한꺼번에 여럿 올 때 다른 커밋을 기다리는 마이크로초. 0: 기다리지 않음.",
            ),
        ],
    },
    Section {
        name: "memory",
        about: both("The store of kind memory.", "memory 저장소."),
        keys: &[
            number(
                "rows_per_room_max",
                1,
                MOST,
                "Messages kept of one room; the oldest go.",
                "방 하나에서 보관하는 메시지의 수. 넘으면 오래된 것부터 버립니다.",
            ),
            number(
                "bytes_max",
                16 * MIB,
                MOST,
                "Bytes kept in all; the oldest of the largest room go.",
                "모두 합해 보관하는 바이트. 넘으면 가장 큰 방의 오래된 것부터 버립니다.",
            ),
        ],
    },
    CASSANDRA,
    Section {
        name: "ack",
        about: both(
            "What a sender's acknowledgement stands for, where it does not say itself.",
            "보낸 쪽이 따로 말하지 않을 때, 확인 응답이 무엇을 뜻하는가.",
        ),
        keys: &[key(
            "level",
            Kind::Choice(&["auto", "wal", "stored"]),
            "Behind Redis, stored: in the store; wal: in Redis; auto: stored, and wal while the store is away or behind.",
            "Redis와 함께라면 stored: 저장소에 있음, wal: Redis에 있음, auto: stored이지만 저장소가 없거나 밀린 동안은 wal.",
        )],
    },
    Section {
        name: "node",
        about: both("Who this node is among the others.", "다른 노드들 사이에서 이 노드는 누구인가."),
        keys: &[key(
            "id",
            Kind::Text,
            "1 to 16 hexadecimal digits, no two nodes the same. Empty: random at each start, as it should be.",
            "16진수 1~16자리, 노드마다 달라야 합니다. 비우면 시작할 때마다 무작위이고, 그것이 좋습니다.",
        )],
    },
    Section {
        name: "writer",
        about: both(
            "Who brings messages from Redis into the store.",
            "누가 메시지를 Redis에서 저장소로 옮기는가.",
        ),
        keys: &[key(
            "enabled",
            Kind::YesNo,
            "Whether `moim serve` does. false: some `moim writer` must run, or nothing is ever stored.",
            "`moim serve`가 옮기는지. false이면 `moim writer`가 어딘가에서 실행되어야 하고, 아니면 아무것도 저장되지 않습니다.",
        )],
    },
    Section {
        name: "log",
        about: both("The log, on stderr.", "표준 오류에 쓰는 로그."),
        keys: &[
            key(
                "format",
                Kind::Choice(&["text", "json"]),
                "text for people, json for collectors.",
                "사람이 읽으려면 text, 수집기가 읽으려면 json.",
            ),
            key(
                "level",
                Kind::Text,
                "off, error, warn, info, debug or trace; exceptions after commas: \"info,moim_gateway=debug\".",
                "off, error, warn, info, debug, trace 가운데 하나. 예외는 쉼표 뒤에 씁니다: \"info,moim_gateway=debug\".",
            ),
        ],
    },
];

/// The section of that name.
pub(crate) fn section(name: &str) -> Option<&'static Section> {
    SECTIONS.iter().find(|section| section.name == name)
}

/// Every key with its section.
pub(crate) fn keys() -> impl Iterator<Item = (&'static Section, &'static Key)> {
    SECTIONS.iter().flat_map(|section| section.keys.iter().map(move |key| (section, key)))
}

impl Section {
    /// The key of that name in this section.
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

impl Kind {
    /// What may be written: in English to follow "it must be", in Korean to stand before "만 쓸 수 있습니다".
    pub(crate) fn expected(self, language: Language) -> String {
        match language {
            Language::English => self.expected_in_english(),
            Language::Korean => self.expected_in_korean(),
        }
    }

    fn expected_in_english(self) -> String {
        match self {
            ANY => "a whole number, 0 or more".into(),
            Self::Whole(max) => format!("a whole number from 0 to {max}"),
            Self::YesNo => "true or false".into(),
            Self::Text => "a text".into(),
            Self::Address => "an IP address and a port, like 127.0.0.1:8765 or [::1]:8765".into(),
            Self::Choice([only]) => format!("{only:?}"),
            Self::Choice(words) => format!("one of {}", quoted(words)),
            Self::Texts => "a list of texts".into(),
            Self::Networks => "a list of networks, each like 10.0.0.0/8".into(),
        }
    }

    fn expected_in_korean(self) -> String {
        match self {
            ANY => "0 이상의 정수".into(),
            Self::Whole(max) => format!("0부터 {max}까지의 정수"),
            Self::YesNo => "true 또는 false".into(),
            Self::Text => "텍스트".into(),
            Self::Address => "127.0.0.1:8765나 [::1]:8765처럼 IP 주소와 포트".into(),
            Self::Choice([only]) => format!("{only:?}"),
            Self::Choice(words) => format!("{} 가운데 하나", quoted(words)),
            Self::Texts => "텍스트의 목록".into(),
            Self::Networks => "10.0.0.0/8 같은 네트워크의 목록".into(),
        }
    }
}

fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Kind, SECTIONS, keys};
    use crate::config::{Config, Faults, Sources, load};

    /// The bounds that are documented are those that are judged by.
    #[test]
    fn bounds_are_those_of_the_sections() {
        let is_refused = |key: &str, value: u64| {
            let variables =
                vec![(format!("MOIM__{}", key.replace('.', "__").to_uppercase()), value.to_string())];
            let loaded = load(&Sources { variables, ..Sources::default() });
            loaded.is_err_and(|Faults(faults)| faults.iter().any(|fault| fault.key == key))
        };
        for (section, key) in keys() {
            let name = format!("{}.{}", section.name, key.name);
            let Kind::Whole(most) = key.kind else { continue };
            // Its seconds are judged by one another.
            if section.name == "drain" {
                continue;
            }
            let (low, high) = key.bounds.unwrap_or((0, most));
            assert!(
                !is_refused(&name, low) && !is_refused(&name, high),
                "{name}: {low} to {high} must be good"
            );
            assert!(low == 0 || is_refused(&name, low - 1), "{name}: {low} is not the least");
            assert!(high == most || is_refused(&name, high + 1), "{name}: {high} is not the most");
        }
    }

    // An option that is not set has no place in a serialised Config.
    const UNSET_BY_DEFAULT: [&str; 1] = ["auth.mode"];

    #[test]
    fn the_catalogue_is_the_config() {
        let table = toml::Table::try_from(Config::default()).unwrap();
        let mut of_config: BTreeSet<String> = UNSET_BY_DEFAULT.iter().map(ToString::to_string).collect();
        for (section, keys) in &table {
            of_config.extend(keys.as_table().unwrap().keys().map(|key| format!("{section}.{key}")));
        }
        let of_catalogue = keys().map(|(section, key)| format!("{}.{}", section.name, key.name)).collect();
        assert_eq!(of_config, of_catalogue, "a key was added in one place only");
    }

    #[test]
    fn every_choice_can_be_chosen() {
        for (section, key) in keys() {
            let Kind::Choice(words) = key.kind else { continue };
            for word in words {
                let text = format!("[{}]\n{} = {word:?}", section.name, key.name);
                toml::from_str::<Config>(&text).unwrap();
            }
        }
    }

    #[test]
    fn every_section_and_key_is_told_in_both_languages() {
        let sections = SECTIONS.iter().map(|section| (section.name, section.about));
        for (name, about) in sections.chain(keys().map(|(_, key)| (key.name, key.about))) {
            let is_hangul = |c: char| ('가'..='힣').contains(&c);
            assert!(about.korean.contains(is_hangul), "{name}: {about:?}");
            assert!(!about.english.is_empty() && !about.english.contains(is_hangul), "{name}: {about:?}");
            // What is written as it stands is the same word in both, or somebody cannot write it.
            for word in about.english.split_whitespace().map(|word| word.trim_matches([',', '.', ';', ':'])) {
                let is_verbatim = word.contains(['_', '/', '`', '"']) && !word.contains("://[");
                assert!(!is_verbatim || about.korean.contains(word), "{name}: {word:?} is not in {about:?}");
            }
            // It is printed as one comment.
            assert!(!about.korean.contains('\n') && !about.english.contains('\n'), "{name}");
        }
    }

    #[test]
    fn names_suit_environment_variables() {
        // A double underscore separates section and key there.
        let good =
            |name: &str| !name.contains("__") && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        assert!(SECTIONS.iter().all(|s| good(s.name) && s.keys.iter().all(|k| good(k.name))));
    }
}
