//! What an operator can set about the embedded store (section `embedded`), with defaults, and every fault in it told at
//! once.
//! Not here: files, environment and flags (`moim`).

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use moim_protocol::{ConfigFault, bilingual};
use serde::{Deserialize, Serialize};

const MIB: u64 = 1024 * 1024;

/// Section `embedded`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmbeddedConfig {
    /// The folder that holds everything; made when it is not there. One moim at a time.
    pub path: PathBuf,
    /// Memory for blocks read from disk. Full: those not read for longest go.
    pub cache_bytes: u64,
    /// Memory for new rows before they are sorted into a file of their own. Up to five times this is held when the disk is
    /// slower than the rows come; then appends wait.
    pub memtable_bytes: u64,
    /// Disk space of the journal at which old parts are worked off by force. What is in it is read again at a start after
    /// a crash, so it bounds how long that takes.
    pub journal_bytes_max: u64,
    /// Microseconds a commit waits for appends like those that came with the one before. Only when that one carried more
    /// than one append: a lone sender never waits. 0: never.
    pub commit_linger_micros: u64,
}

impl Default for EmbeddedConfig {
    fn default() -> Self {
        Self {
            path: PathBuf::from("moim-data"),
            cache_bytes: 64 * MIB,
            // fjall's own default is 64 MiB, up to 320 MiB when the disk is slow. Chat rows are small: 16 MiB are some
            // 50,000 of them, and a file of that size is written in a tenth of a second.
            memtable_bytes: 16 * MIB,
            // fjall's own default is 512 MiB. The journal's parts are 64 MiB, so this is two of them and the live one.
            journal_bytes_max: 128 * MIB,
            commit_linger_micros: 1_000,
        }
    }
}

impl EmbeddedConfig {
    /// The defaults, in this folder.
    #[must_use]
    pub fn at(path: impl AsRef<Path>) -> Self {
        Self { path: path.as_ref().to_owned(), ..Self::default() }
    }

    /// Every fault; empty when all is well.
    #[must_use]
    pub fn validate(&self) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        if self.path.as_os_str().is_empty() {
            let empty = bilingual!(
                "is empty; name a folder, like \"moim-data\"",
                "값이 비어 있습니다. \"moim-data\"처럼 폴더를 써 주세요"
            );
            faults.push(ConfigFault::new("embedded.path", empty));
        }
        let mut range = |key: &str, value: u64, low: u64, high: u64| {
            faults.extend(ConfigFault::of_range(format!("embedded.{key}"), value, low, high));
        };
        range("cache_bytes", self.cache_bytes, MIB, 1024 * 1024 * MIB);
        range("memtable_bytes", self.memtable_bytes, MIB, 1024 * MIB);
        // The lower bound is fjall's: less than one journal part cannot be worked off.
        range("journal_bytes_max", self.journal_bytes_max, 64 * MIB, 64 * 1024 * MIB);
        range("commit_linger_micros", self.commit_linger_micros, 0, 20_000);
        faults
    }

    pub(crate) fn commit_linger(&self) -> Duration {
        Duration::from_micros(self.commit_linger_micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_good_and_every_fault_is_told_with_its_key() {
        assert_eq!(EmbeddedConfig::default().validate(), Vec::new());
        let bad = EmbeddedConfig {
            path: PathBuf::new(),
            cache_bytes: 0,
            memtable_bytes: 0,
            journal_bytes_max: 1,
            commit_linger_micros: 1_000_000,
        };
        let faults = bad.validate();
        for key in ["path", "cache_bytes", "memtable_bytes", "journal_bytes_max", "commit_linger_micros"] {
            let told = faults.iter().filter(|fault| fault.key == format!("embedded.{key}")).count();
            assert_eq!(told, 1, "{key}: {faults:?}");
        }
    }
}
