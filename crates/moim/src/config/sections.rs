//! The sections that belong to the binary: which bus and store, how the log looks, and `memory` as it is written.
//! Not here: the gateway's and the embedded store's (their crates), what may be written for each key (`catalogue`).

use moim_gateway::ConfigFault;
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
