//! The sections that belong to the binary: which bus and store, how the log looks, and `memory` as it is written.
//! Not here: the gateway's and the embedded store's (their crates), what may be written for each key (`catalogue`).

use moim_protocol::{Bilingual, ConfigFault, NodeId, bilingual};
use moim_telemetry::log::{self, LogError};
use serde::{Deserialize, Serialize};

/// Section `bus`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct BusConfig {
    /// What carries messages between the rooms' members.
    pub(crate) kind: BusKind,
}

/// What carries messages between the rooms' members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum BusKind {
    /// Memory of this process: one node.
    #[default]
    InProcess,
    /// Redis: many nodes.
    Redis,
}

/// Section `store`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct StoreConfig {
    /// What keeps the messages.
    pub(crate) kind: StoreKind,
}

/// What keeps the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum StoreKind {
    /// Files of this node.
    #[default]
    Embedded,
    /// Memory of this process: gone when it ends.
    Memory,
    /// A Cassandra or Scylla cluster.
    Cassandra,
    /// Nothing: history is what the bus holds.
    None,
}

impl StoreKind {
    /// Why this store does not go with that bus, and what does; to follow "store.kind".
    pub(crate) fn fault_with(self, bus: BusKind) -> Option<Bilingual> {
        match (bus, self) {
            (BusKind::InProcess, Self::Embedded | Self::Memory)
            | (BusKind::Redis, Self::Cassandra | Self::None) => None,
            (BusKind::Redis, Self::Embedded) => Some(bilingual!(
                "is \"embedded\", and bus.kind = \"redis\" is for several nodes: each would keep in its own files what it \
                 happens to write, and none could read the whole. Take store.kind = \"cassandra\", or \"none\" for no more \
                 history than Redis keeps",
                "값이 \"embedded\"인데, bus.kind = \"redis\"는 여러 노드를 위한 것입니다. 노드마다 어쩌다 맡은 것만 자기 파일에 \
                 보관하게 되어, 전체를 읽을 수 있는 노드가 없습니다. store.kind = \"cassandra\"를, 또는 지난 메시지가 Redis에 \
                 있는 만큼으로 충분하면 \"none\"을 써 주세요"
            )),
            (BusKind::Redis, Self::Memory) => Some(bilingual!(
                "is \"memory\", and bus.kind = \"redis\" is for several nodes: each would keep what it happens to write, and \
                 none could read the whole. Take store.kind = \"cassandra\", or \"none\" for no more history than Redis keeps",
                "값이 \"memory\"인데, bus.kind = \"redis\"는 여러 노드를 위한 것입니다. 노드마다 어쩌다 맡은 것만 보관하게 되어, \
                 전체를 읽을 수 있는 노드가 없습니다. store.kind = \"cassandra\"를, 또는 지난 메시지가 Redis에 있는 만큼으로 \
                 충분하면 \"none\"을 써 주세요"
            )),
            (BusKind::InProcess, Self::Cassandra) => Some(bilingual!(
                "is \"cassandra\", and bus.kind = \"in-process\" numbers messages alone: two such nodes would give the same \
                 numbers and overwrite each other's messages. Take bus.kind = \"redis\", or store.kind = \"embedded\" for one node",
                "값이 \"cassandra\"인데, bus.kind = \"in-process\"는 메시지 번호를 혼자 매깁니다. 그런 노드가 둘이면 같은 번호를 \
                 매겨 서로의 메시지를 덮어씁니다. bus.kind = \"redis\"를, 또는 노드가 하나면 store.kind = \"embedded\"를 써 주세요"
            )),
            (BusKind::InProcess, Self::None) => Some(bilingual!(
                "is \"none\", and bus.kind = \"in-process\" keeps nothing itself. Take store.kind = \"memory\" to keep messages \
                 while moim runs, \"embedded\" to keep them for good, or bus.kind = \"redis\"",
                "값이 \"none\"인데, bus.kind = \"in-process\"는 스스로 아무것도 보관하지 않습니다. moim이 실행되는 동안만 \
                 보관하려면 store.kind = \"memory\"를, 계속 보관하려면 \"embedded\"를, 아니면 bus.kind = \"redis\"를 써 주세요"
            )),
        }
    }
}

/// Section `ack`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AckConfig {
    /// What an acknowledgement stands for, where the sender does not say.
    pub(crate) level: AckSetting,
}

/// What an acknowledgement stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum AckSetting {
    /// The store has it; the bus, while the store is away or behind.
    #[default]
    Auto,
    /// The bus has it.
    Wal,
    /// The store has it.
    Stored,
}

impl AckConfig {
    /// A level that this store can never give is a fault.
    pub(super) fn validate(&self, store: StoreKind, faults: &mut Vec<ConfigFault>) {
        let never = match store {
            StoreKind::Embedded | StoreKind::Cassandra => return,
            StoreKind::Memory => bilingual!(
                "is \"stored\", but store.kind = \"memory\" stores nothing for good. Take \"auto\" or \"wal\", or another store",
                "값이 \"stored\"인데, store.kind = \"memory\"는 아무것도 영구히 저장하지 않습니다. \"auto\"나 \"wal\"을, 또는 다른 \
                 저장소를 써 주세요"
            ),
            StoreKind::None => bilingual!(
                "is \"stored\", but store.kind = \"none\" stores nothing. Take \"auto\" or \"wal\", or another store",
                "값이 \"stored\"인데, store.kind = \"none\"은 아무것도 저장하지 않습니다. \"auto\"나 \"wal\"을, 또는 다른 저장소를 \
                 써 주세요"
            ),
        };
        if self.level == AckSetting::Stored {
            faults.push(ConfigFault::new("ack.level", never).beside(&["store.kind"]));
        }
    }
}

/// Section `node`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct NodeConfig {
    /// Its id in hexadecimal; empty: random at each start.
    pub(crate) id: String,
}

impl NodeConfig {
    /// The id; `None`: take a random one.
    pub(crate) fn id(&self) -> Option<NodeId> {
        u64::from_str_radix(&self.id, 16).ok().map(NodeId)
    }

    pub(super) fn validate(&self, faults: &mut Vec<ConfigFault>) {
        let is_hex = self.id.len() <= 16 && self.id.chars().all(|digit| digit.is_ascii_hexdigit());
        if !is_hex {
            let problem = bilingual!(
                "is {:?}; it must be 1 to 16 hexadecimal digits, or empty for a random one at each start",
                "값이 {:?}입니다. 16진수 1~16자리만 쓸 수 있고, 비우면 시작할 때마다 무작위로 정해집니다",
                self.id
            );
            faults.push(ConfigFault::new("node.id", problem));
        }
    }
}

/// Section `writer`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct WriterConfig {
    /// Whether a node that serves people also drains logs.
    pub(crate) enabled: bool,
}

impl Default for WriterConfig {
    fn default() -> Self {
        Self { enabled: true }
    }
}

impl WriterConfig {
    pub(super) fn validate(&self, bus: BusKind, faults: &mut Vec<ConfigFault>) {
        if !self.enabled && bus == BusKind::InProcess {
            let problem = bilingual!(
                "is false, but with bus.kind = \"in-process\" nobody else can store what is sent here. Leave it true",
                "값이 false인데, bus.kind = \"in-process\"에서는 여기로 보낸 것을 저장할 다른 노드가 없습니다. true로 두세요"
            );
            faults.push(ConfigFault::new("writer.enabled", problem).beside(&["bus.kind"]));
        }
    }
}

/// Section `memory`: the store of that kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct MemoryConfig {
    /// Messages kept of one room.
    pub(crate) rows_per_room_max: usize,
    /// Bytes kept in all.
    pub(crate) bytes_max: usize,
}

/// Section `log`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LogConfig {
    /// How a line looks.
    pub(crate) format: LogFormat,
    /// What is told.
    pub(crate) level: String,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For collectors.
    Json,
}

impl Default for MemoryConfig {
    fn default() -> Self {
        let moim_store::MemoryConfig { rows_per_room_max, bytes_max } = moim_store::MemoryConfig::default();
        Self { rows_per_room_max, bytes_max }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::default(), level: "info".into() }
    }
}

impl MemoryConfig {
    /// As the store takes it.
    pub(crate) fn store(&self) -> moim_store::MemoryConfig {
        let &Self { rows_per_room_max, bytes_max } = self;
        moim_store::MemoryConfig { rows_per_room_max, bytes_max }
    }
}

impl LogConfig {
    pub(super) fn validate(&self, faults: &mut Vec<ConfigFault>) {
        let problem = match log::check_level(&self.level) {
            Ok(()) => return,
            Err(LogError::NoLevel { named }) => bilingual!(
                "is {:?}: {named:?} is not a level; the levels are {}",
                "값이 {:?}입니다. {named:?}은(는) 로그 수준이 아닙니다. 로그 수준은 {}입니다",
                self.level,
                log::LEVELS.join(", ")
            ),
            Err(error) => bilingual!("is {:?}: {error}", "값이 {:?}입니다: {error}", self.level),
        };
        faults.push(ConfigFault::new("log.level", problem));
    }
}

impl From<LogFormat> for log::Format {
    fn from(format: LogFormat) -> Self {
        match format {
            LogFormat::Text => Self::Text,
            LogFormat::Json => Self::Json,
        }
    }
}
