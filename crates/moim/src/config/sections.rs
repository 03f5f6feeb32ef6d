//! The sections that belong to the binary: which bus and store, where they keep things, how the log looks.
//! Not here: the gateway's sections (`moim_gateway`), what may be written for each key (`catalogue`).

use std::path::PathBuf;

use moim_gateway::ConfigFault;
use moim_telemetry::log;
use serde::{Deserialize, Serialize};

const BYTES_MIN: u64 = 1024 * 1024;

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

/// Section `embedded`: the store of that kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct EmbeddedConfig {
    /// The folder of its files; made at the first start.
    pub(crate) path: PathBuf,
}

/// Section `memory`: the store of that kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct MemoryConfig {
    /// Bytes of messages it keeps; the oldest go first.
    pub(crate) bytes_max: u64,
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

impl Default for EmbeddedConfig {
    fn default() -> Self {
        Self { path: PathBuf::from("moim-data") }
    }
}

impl Default for MemoryConfig {
    fn default() -> Self {
        Self { bytes_max: 256 * 1024 * 1024 }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::default(), level: "info".into() }
    }
}

impl EmbeddedConfig {
    pub(super) fn validate(&self, faults: &mut Vec<ConfigFault>) {
        if self.path.as_os_str().is_empty() {
            faults
                .push(ConfigFault::new("embedded.path", "is empty; name the folder that keeps the messages"));
        }
    }
}

impl MemoryConfig {
    pub(super) fn validate(&self, faults: &mut Vec<ConfigFault>) {
        if self.bytes_max < BYTES_MIN {
            faults.push(ConfigFault::new(
                "memory.bytes_max",
                format!("is {}; it must be {BYTES_MIN} (1 MiB) or more", self.bytes_max),
            ));
        }
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
