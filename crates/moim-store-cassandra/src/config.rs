//! What an operator can set about the Cassandra store (section `cassandra`), with defaults, and every fault in it told at once.
//! Not here: files, environment and flags (`moim`), what the settings make of a session (`session`).

use std::{fmt, path::PathBuf, time::Duration};

use moim_protocol::{ConfigFault, bilingual};
use serde::{Deserialize, Serialize};

/// Cassandra's own limit for the name of a keyspace.
const KEYSPACE_CHARS_MAX: usize = 48;

/// Section `cassandra`. An empty text means: not set.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CassandraConfig {
    /// Nodes to ask first, as `host:port`; the others are learned from them. Name two or three.
    pub contact_points: Vec<String>,
    /// Where the tables are. `moim migrate` makes it when it is not there.
    pub keyspace: String,
    /// Copies of each message, used only when `moim migrate` makes the keyspace. The default, 3, is the least with which
    /// one node may be lost and reads and writes (two of three) go on; it needs three nodes. 1 is for trying things on one
    /// node: a lost disk is lost history.
    pub replication_factor: u32,
    /// The data centre that is read and written. Not set: the only one there is; where there are several, it must be set.
    pub datacenter: String,
    /// Who we are, where the cluster asks.
    pub username: String,
    /// And our password.
    pub password: String,
    /// PEM file with the authorities whose certificates the nodes may show; their certificates must name their IP
    /// addresses. Set: TLS and nothing else. Not set: no TLS.
    pub tls_ca_file: PathBuf,
    /// PEM file with our own certificate, where the cluster wants one.
    pub tls_cert_file: PathBuf,
    /// PEM file with its key.
    pub tls_key_file: PathBuf,
    /// Milliseconds to open a connection to a node.
    pub connect_timeout_millis: u64,
    /// Milliseconds a read may take, its retries included; a page is two or three reads and may take twice this.
    pub read_timeout_millis: u64,
    /// Milliseconds a write may take, its retries included. An append is two rounds of writes.
    pub write_timeout_millis: u64,
    /// Milliseconds after which a read is also sent to another node, once. 0: never.
    pub speculative_after_millis: u64,
    /// Pages read at once, and as many single rows beside them. Full: further reads wait. A page on its way may hold 16 MiB.
    pub reads_at_once_max: u32,
    /// Batches written at once. Full: further batches wait, and with them the writer.
    pub writes_at_once_max: u32,
}

impl Default for CassandraConfig {
    fn default() -> Self {
        Self {
            contact_points: vec!["127.0.0.1:9042".to_owned()],
            keyspace: "moim".to_owned(),
            replication_factor: 3,
            datacenter: String::new(),
            username: String::new(),
            password: String::new(),
            tls_ca_file: PathBuf::new(),
            tls_cert_file: PathBuf::new(),
            tls_key_file: PathBuf::new(),
            connect_timeout_millis: 5_000,
            // Live chat does not wait for the store: a page that takes longer is better told as incomplete.
            read_timeout_millis: 1_500,
            write_timeout_millis: 2_000,
            speculative_after_millis: 150,
            reads_at_once_max: 32,
            writes_at_once_max: 64,
        }
    }
}

impl CassandraConfig {
    /// Every fault; empty when all is well. Files are not looked at.
    #[must_use]
    pub fn validate(&self) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        self.validate_names(&mut faults);
        self.validate_login(&mut faults);
        let mut range = |key: &str, value: u64, low: u64, high: u64| {
            faults.extend(ConfigFault::of_range(format!("cassandra.{key}"), value, low, high));
        };
        range("replication_factor", self.replication_factor.into(), 1, 16);
        range("connect_timeout_millis", self.connect_timeout_millis, 100, 60_000);
        range("read_timeout_millis", self.read_timeout_millis, 50, 60_000);
        range("write_timeout_millis", self.write_timeout_millis, 50, 60_000);
        range("speculative_after_millis", self.speculative_after_millis, 0, 60_000);
        range("reads_at_once_max", self.reads_at_once_max.into(), 1, 1024);
        range("writes_at_once_max", self.writes_at_once_max.into(), 1, 1024);
        faults
    }

    fn validate_names(&self, faults: &mut Vec<ConfigFault>) {
        if self.contact_points.is_empty() {
            let empty = bilingual!(
                "is empty; name a node, like [\"10.0.0.1:9042\"]",
                "값이 비어 있습니다. [\"10.0.0.1:9042\"]처럼 노드를 하나 이상 써 주세요"
            );
            faults.push(ConfigFault::new("cassandra.contact_points", empty));
        }
        for point in self.contact_points.iter().filter(|point| !is_host_and_port(point)) {
            let no_place = bilingual!(
                "has {point:?}; write host:port, like \"10.0.0.1:9042\"",
                "값에 {point:?}이(가) 있습니다. \"10.0.0.1:9042\"처럼 호스트:포트로 써 주세요"
            );
            faults.push(ConfigFault::new("cassandra.contact_points", no_place));
        }
        if !is_keyspace(&self.keyspace) {
            let no_name = bilingual!(
                "is {:?}; take a lower-case letter, then letters, digits and _, {KEYSPACE_CHARS_MAX} at most",
                "값이 {:?}입니다. 영문 소문자로 시작하고 소문자, 숫자, _만 써서 {KEYSPACE_CHARS_MAX}자까지 쓸 수 있습니다",
                self.keyspace
            );
            faults.push(ConfigFault::new("cassandra.keyspace", no_name));
        }
        if self.datacenter.chars().any(|c| c == '\'' || c.is_control()) {
            let no_name = bilingual!(
                "has a quote or a control character in it",
                "값에 따옴표나 제어 문자가 있습니다. 빼 주세요"
            );
            faults.push(ConfigFault::new("cassandra.datacenter", no_name));
        }
    }

    fn validate_login(&self, faults: &mut Vec<ConfigFault>) {
        if self.username.is_empty() != self.password.is_empty() {
            let alone = bilingual!(
                "and cassandra.password go together: set both or none",
                "설정은 cassandra.password와 함께 씁니다. 둘 다 정하거나 둘 다 비워 주세요"
            );
            faults.push(ConfigFault::new("cassandra.username", alone).beside(&["cassandra.password"]));
        }
        let unset = |path: &PathBuf| path.as_os_str().is_empty();
        if unset(&self.tls_cert_file) != unset(&self.tls_key_file) {
            let alone = bilingual!(
                "and cassandra.tls_key_file go together: set both or none",
                "설정은 cassandra.tls_key_file과 함께 씁니다. 둘 다 정하거나 둘 다 비워 주세요"
            );
            faults
                .push(ConfigFault::new("cassandra.tls_cert_file", alone).beside(&["cassandra.tls_key_file"]));
        }
        if unset(&self.tls_ca_file) && !unset(&self.tls_cert_file) {
            let no_tls = bilingual!(
                "is empty; without it there is no TLS to show tls_cert_file in",
                "값이 비어 있습니다. 그러면 TLS를 쓰지 않으므로 tls_cert_file을 보여 줄 곳이 없습니다"
            );
            faults
                .push(ConfigFault::new("cassandra.tls_ca_file", no_tls).beside(&["cassandra.tls_cert_file"]));
        }
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_millis)
    }

    pub(crate) fn read_timeout(&self) -> Duration {
        Duration::from_millis(self.read_timeout_millis)
    }

    pub(crate) fn write_timeout(&self) -> Duration {
        Duration::from_millis(self.write_timeout_millis)
    }

    /// The nodes we ask first, for texts.
    pub(crate) fn nodes(&self) -> String {
        self.contact_points.join(", ")
    }
}

/// Without the password: settings end up in logs.
impl fmt::Debug for CassandraConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CassandraConfig")
            .field("contact_points", &self.contact_points)
            .field("keyspace", &self.keyspace)
            .field("datacenter", &self.datacenter)
            .field("username", &self.username)
            .field("tls_ca_file", &self.tls_ca_file)
            .finish_non_exhaustive()
    }
}

fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    // A bare IPv6 address would be cut at its last colon.
    let is_host = !host.is_empty() && (!host.contains(':') || host.starts_with('[') && host.ends_with(']'));
    is_host && !host.contains(char::is_whitespace) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// It stands in statements as it is, so it must need no quotes.
fn is_keyspace(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.len() <= KEYSPACE_CHARS_MAX
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_good_and_every_fault_is_told_with_its_key() {
        assert_eq!(CassandraConfig::default().validate(), Vec::new());
        let bad = CassandraConfig {
            contact_points: vec!["no-port".into(), "[::1]:9042".into(), "::1:9042".into(), "a:0".into()],
            keyspace: "Moim; DROP".into(),
            replication_factor: 0,
            datacenter: "dc'1".into(),
            username: "somebody".into(),
            password: String::new(),
            tls_ca_file: PathBuf::new(),
            tls_cert_file: "cert.pem".into(),
            tls_key_file: PathBuf::new(),
            connect_timeout_millis: 0,
            read_timeout_millis: 0,
            write_timeout_millis: 0,
            speculative_after_millis: 1_000_000,
            reads_at_once_max: 0,
            writes_at_once_max: 0,
        };
        let faults = bad.validate();
        let told = |key: &str| faults.iter().filter(|fault| fault.key == format!("cassandra.{key}")).count();
        assert_eq!(told("contact_points"), 3, "{faults:?}");
        for key in [
            "keyspace",
            "replication_factor",
            "datacenter",
            "username",
            "tls_ca_file",
            "tls_cert_file",
            "connect_timeout_millis",
            "read_timeout_millis",
            "write_timeout_millis",
            "speculative_after_millis",
            "reads_at_once_max",
            "writes_at_once_max",
        ] {
            assert_eq!(told(key), 1, "{key}: {faults:?}");
        }
        let empty = CassandraConfig { contact_points: Vec::new(), ..CassandraConfig::default() };
        assert!(empty.validate()[0].to_string().starts_with("cassandra.contact_points is empty"));
    }

    #[test]
    fn the_password_is_not_in_its_debug_text() {
        let config = CassandraConfig { password: "geheim".into(), ..CassandraConfig::default() };
        assert!(!format!("{config:?}").contains("geheim"));
    }
}
