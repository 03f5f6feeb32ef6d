//! Every section and key there is, what may be written for it, and what it means in a line.
//! Not here: the values (`Config`), whether a value makes sense beside the others (`validate` of its section).

/// A section, as `[name]` in the file.
#[derive(Debug)]
pub(crate) struct Section {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it is about.
    pub(crate) about: &'static str,
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
    pub(crate) about: &'static str,
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

const fn key(name: &'static str, kind: Kind, about: &'static str) -> Key {
    Key { name, kind, secret: false, bounds: None, about }
}

const fn number(name: &'static str, low: u64, high: u64, about: &'static str) -> Key {
    Key { name, kind: ANY, secret: false, bounds: Some((low, high)), about }
}

const fn small(name: &'static str, low: u64, high: u64, about: &'static str) -> Key {
    Key { kind: Kind::Whole(u32::MAX as u64), ..number(name, low, high, about) }
}

const fn secret(name: &'static str, kind: Kind, about: &'static str) -> Key {
    Key { name, kind, secret: true, bounds: None, about }
}

/// All of them, in the order they are told.
pub(crate) const SECTIONS: &[Section] = &[
    Section {
        name: "listen",
        about: "Where it listens.",
        keys: &[
            key(
                "public",
                Kind::Address,
                "Where people connect: the page, WebSockets, HTTP. Port 0 takes any free one.",
            ),
            key("ops", Kind::Address, "Where operators look: /metrics, /livez, /readyz. Keep it private."),
            key(
                "trusted_proxies",
                Kind::Networks,
                "Networks whose X-Forwarded-For is believed; they have no limit per address.",
            ),
        ],
    },
    Section {
        name: "auth",
        about: "Who may chat.",
        keys: &[
            key("mode", Kind::Choice(&["anonymous"]), "Not set: anyone, but only on a loopback address."),
            key(
                "allowed_origins",
                Kind::Texts,
                "Origins of other web pages that may connect, like \"https://chat.example.com\"; \"*\" allows any.",
            ),
        ],
    },
    Section {
        name: "limits",
        about: "Bounds, and what a client meets beyond them.",
        keys: &[
            number("message_bytes_max", 128, 64 * MIB, "Largest message in bytes. Over it: close 1009."),
            number("connections_max", 1, 10_000_000, "Open connections on this node. Over it: 503."),
            number(
                "connections_per_address_max",
                1,
                10_000_000,
                "Open connections from one address, but for loopback and trusted proxies. Over it: 429.",
            ),
            number(
                "rooms_per_connection_max",
                1,
                10_000,
                "Rooms one connection may be in. Over it: too_many_rooms.",
            ),
            small(
                "messages_per_second",
                1,
                1_000_000,
                "Frames a second from one connection. Over it: rate_limited.",
            ),
            number(
                "room_name_chars_max",
                1,
                1_000,
                "Longest room name in characters. Over it: room_invalid.",
            ),
            number(
                "username_chars_max",
                1,
                1_000,
                "Longest user name in characters. Over it: username_invalid.",
            ),
            number(
                "outbox_bytes_max",
                4096,
                1024 * MIB,
                "Bytes that may wait for one slow reader. Over it: gap, or close 1013.",
            ),
            number(
                "stalled_reader_seconds",
                1,
                3600,
                "Seconds a reader may take nothing while bytes wait for it. Over it: close 1013.",
            ),
            number(
                "resume_messages_max",
                20,
                100_000,
                "Messages a resume replays. Further behind: recovered = false.",
            ),
        ],
    },
    Section {
        name: "drain",
        about: "How it stops after SIGTERM.",
        keys: &[
            key("unready_seconds", ANY, "Seconds between turning unready and closing the first connection."),
            key("spread_seconds", ANY, "Seconds over which connections are closed; a few take less."),
            key("grace_seconds", ANY, "Seconds after which it stops, whatever is left."),
        ],
    },
    Section {
        name: "bus",
        about: "What carries messages between the members of a room.",
        keys: &[key(
            "kind",
            Kind::Choice(&["in-process", "redis"]),
            "in-process: one node, nothing else needed. redis: many nodes over one Redis.",
        )],
    },
    REDIS,
    Section {
        name: "store",
        about: "What keeps the messages.",
        keys: &[key(
            "kind",
            Kind::Choice(&["embedded", "memory", "cassandra", "none"]),
            "For one node, embedded: its files; memory: gone when moim stops. Behind Redis, cassandra; none: only what Redis keeps.",
        )],
    },
    Section {
        name: "embedded",
        about: "The store of kind embedded.",
        keys: &[
            key("path", Kind::Text, "The folder of its files; made at the first start. One moim at a time."),
            number("cache_bytes", MIB, 1024 * 1024 * MIB, "Memory for what is read from disk."),
            number(
                "memtable_bytes",
                MIB,
                1024 * MIB,
                "Memory for new messages before they are sorted into files; up to five times this.",
            ),
            number(
                "journal_bytes_max",
                64 * MIB,
                64 * 1024 * MIB,
                "Disk for the journal, which is read again after a crash.",
            ),
            number(
                "commit_linger_micros",
                0,
                20_000,
                "Microseconds a commit waits for others when several come at once. 0: never.",
            ),
        ],
    },
    Section {
        name: "memory",
        about: "The store of kind memory.",
        keys: &[
            number("rows_per_room_max", 1, MOST, "Messages kept of one room; the oldest go."),
            number("bytes_max", 16 * MIB, MOST, "Bytes kept in all; the oldest of the largest room go."),
        ],
    },
    CASSANDRA,
    Section {
        name: "ack",
        about: "What a sender's acknowledgement stands for, where it does not say itself.",
        keys: &[key(
            "level",
            Kind::Choice(&["auto", "wal", "stored"]),
            "Behind Redis, stored: in the store; wal: in Redis; auto: stored, and wal while the store is away or behind.",
        )],
    },
    Section {
        name: "node",
        about: "Who this node is among the others.",
        keys: &[key(
            "id",
            Kind::Text,
            "1 to 16 hexadecimal digits, no two nodes the same. Empty: random at each start, as it should be.",
        )],
    },
    Section {
        name: "writer",
        about: "Who brings messages from Redis into the store.",
        keys: &[key(
            "enabled",
            Kind::YesNo,
            "Whether `moim serve` does. false: some `moim writer` must run, or nothing is ever stored.",
        )],
    },
    Section {
        name: "log",
        about: "The log, on stderr.",
        keys: &[
            key("format", Kind::Choice(&["text", "json"]), "text for people, json for collectors."),
            key(
                "level",
                Kind::Text,
                "off, error, warn, info, debug or trace; exceptions after commas: \"info,moim_gateway=debug\".",
            ),
        ],
    },
];

const REDIS: Section = Section {
    name: "redis",
    about: "The bus of kind redis: Redis 6.2 or later, or Valkey, with appendonly on and maxmemory-policy noeviction.",
    keys: &[
        key(
            "urls",
            Kind::Texts,
            "The servers, each as redis://[user:password@]host:port, or rediss:// for TLS. The same on every node.",
        ),
        key(
            "topology",
            Kind::Choice(&["single", "several", "sentinel", "cluster"]),
            "single: one server. several: independent ones that share the work. sentinel, cluster: urls name some of them.",
        ),
        key("sentinel_master", Kind::Text, "What the sentinels call the master."),
        key("username", Kind::Text, "The user, for servers whose URL names none."),
        secret("password", Kind::Text, "The password, for servers whose URL has none."),
        key(
            "tls_ca",
            Kind::Text,
            "PEM file of who signs the servers' certificates, instead of the system's.",
        ),
        key(
            "key_prefix",
            Kind::Text,
            "In front of every key and channel: several clusters can share a Redis.",
        ),
        small(
            "partitions",
            1,
            4096,
            "Parts that rooms are spread over. The same on every node, and for good.",
        ),
        small(
            "ring_rows",
            1,
            u32::MAX as u64,
            "Newest messages of a room kept in Redis when they are stored.",
        ),
        number("room_idle_seconds", 2, MOST, "Seconds after which a silent, stored room leaves Redis."),
        key(
            "tail_bytes_max",
            ANY,
            "Bytes of messages that a node keeps until they are stored, in case Redis loses them.",
        ),
    ],
};

const CASSANDRA: Section = Section {
    name: "cassandra",
    about: "The store of kind cassandra: Cassandra or Scylla. `moim migrate` makes its tables. An empty text: not set.",
    keys: &[
        key(
            "contact_points",
            Kind::Texts,
            "Nodes to ask first, as host:port; the others are learned from them.",
        ),
        key("keyspace", Kind::Text, "Where the tables are."),
        small(
            "replication_factor",
            1,
            16,
            "Copies of each message, when `moim migrate` makes the keyspace. 3 nodes and 3 copies survive the loss of one.",
        ),
        key(
            "datacenter",
            Kind::Text,
            "The data centre that is read and written. Empty: the only one there is.",
        ),
        key("username", Kind::Text, "Who we are, where the cluster asks."),
        secret("password", Kind::Text, "And our password."),
        key(
            "tls_ca_file",
            Kind::Text,
            "PEM file of who signs the nodes' certificates. Set: TLS and nothing else.",
        ),
        key("tls_cert_file", Kind::Text, "PEM file of our own certificate, where the cluster wants one."),
        key("tls_key_file", Kind::Text, "PEM file of its key."),
        number("connect_timeout_millis", 100, 60_000, "Milliseconds to open a connection to a node."),
        number("read_timeout_millis", 50, 60_000, "Milliseconds a read may take, its retries included."),
        number("write_timeout_millis", 50, 60_000, "Milliseconds a write may take, its retries included."),
        number(
            "speculative_after_millis",
            0,
            60_000,
            "Milliseconds after which a read is also sent to another node. 0: never.",
        ),
        small("reads_at_once_max", 1, 1024, "Pages read at once; each may hold 16 MiB. Beyond it they wait."),
        small("writes_at_once_max", 1, 1024, "Batches written at once. Beyond it they wait."),
    ],
};

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
    /// What may be written, to follow "it must be".
    pub(crate) fn expected(self) -> String {
        match self {
            ANY => "a whole number, 0 or more".into(),
            Self::Whole(max) => format!("a whole number from 0 to {max}"),
            Self::YesNo => "true or false".into(),
            Self::Text => "a text".into(),
            Self::Address => "an IP address and a port, like 127.0.0.1:8765 or [::1]:8765".into(),
            Self::Choice([only]) => format!("{only:?}"),
            Self::Choice(words) => {
                let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
                format!("one of {}", words.join(", "))
            }
            Self::Texts => "a list of texts".into(),
            Self::Networks => "a list of networks, each like 10.0.0.0/8".into(),
        }
    }
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
    fn names_suit_environment_variables() {
        // A double underscore separates section and key there.
        let good =
            |name: &str| !name.contains("__") && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        assert!(SECTIONS.iter().all(|s| good(s.name) && s.keys.iter().all(|k| good(k.name))));
    }
}
