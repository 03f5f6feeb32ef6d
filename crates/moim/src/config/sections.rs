//! The sections that belong to the binary: which bus and store, how the log looks, and `memory` as it is written.
//! Not here: the gateway's and the embedded store's (their crates), what may be written for each key (`catalogue`).

use moim_gateway::ConfigFault;
use moim_protocol::NodeId;
use moim_telemetry::log;
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
    pub(crate) fn fault_with(self, bus: BusKind) -> Option<&'static str> {
        match (bus, self) {
            (BusKind::InProcess, Self::Embedded | Self::Memory)
            | (BusKind::Redis, Self::Cassandra | Self::None) => None,
            (BusKind::Redis, Self::Embedded) => Some(
                "is \"embedded\", and bus.kind = \"redis\" is for several nodes: each would keep in its own files what it \
                 happens to write, and none could read the whole. Take store.kind = \"cassandra\", or \"none\" for no more \
                 history than Redis keeps",
            ),
            (BusKind::Redis, Self::Memory) => Some(
                "is \"memory\", and bus.kind = \"redis\" is for several nodes: each would keep what it happens to write, and \
                 none could read the whole. Take store.kind = \"cassandra\", or \"none\" for no more history than Redis keeps",
            ),
            (BusKind::InProcess, Self::Cassandra) => Some(
                "is \"cassandra\", and bus.kind = \"in-process\" numbers messages alone: two such nodes would give the same \
                 numbers and overwrite each other's messages. Take bus.kind = \"redis\", or store.kind = \"embedded\" for one node",
            ),
            (BusKind::InProcess, Self::None) => Some(
                "is \"none\", and bus.kind = \"in-process\" keeps nothing itself. Take store.kind = \"memory\" to keep messages \
                 while moim runs, \"embedded\" to keep them for good, or bus.kind = \"redis\"",
            ),
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
        let keeps = match store {
            StoreKind::Embedded | StoreKind::Cassandra => return,
            StoreKind::Memory => "store.kind = \"memory\" stores nothing for good",
            StoreKind::None => "store.kind = \"none\" stores nothing",
        };
        if self.level == AckSetting::Stored {
            let problem = format!("is \"stored\", but {keeps}. Take \"auto\" or \"wal\", or another store");
            faults.push(ConfigFault::new("ack.level", problem));
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
            let problem = format!(
                "is {:?}; it must be 1 to 16 hexadecimal digits, or empty for a random one at each start",
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
            let problem = "is false, but with bus.kind = \"in-process\" nobody else can store what is sent here. Leave it true";
            faults.push(ConfigFault::new("writer.enabled", problem));
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
        if let Err(error) = log::check_level(&self.level) {
            faults.push(ConfigFault::new("log.level", format!("is {:?}: {error}", self.level)));
        }
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
