//! Section `redis`: which servers, how they are used, how much is kept there.
//! Not here: which level an acknowledgement has by default (`RedisBusConfig`), who reads the file (`moim`).

use moim_protocol::{ConfigFault, bilingual};
use serde::{Deserialize, Serialize};

/// Section `redis`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisConfig {
    /// Where the servers are: `redis://[user:password@]host:port` or `rediss://` for TLS. Which ones: see `topology`.
    pub urls: Vec<String>,
    /// How the servers belong together.
    pub topology: Topology,
    /// What the sentinels call the master.
    pub sentinel_master: String,
    /// The user of an ACL, for servers whose URL names none.
    pub username: String,
    /// The password, for servers whose URL has none.
    pub password: String,
    /// A file of certificates (PEM) that sign the servers', instead of the system's.
    pub tls_ca: String,
    /// In front of every key and channel, so that several clusters can share a Redis.
    pub key_prefix: String,
    /// Parts that rooms are spread over; the same on every node and for good.
    pub partitions: u32,
    /// Newest messages of a room kept in Redis, beside those that are not stored yet.
    pub ring_rows: u32,
    /// Seconds after which a silent room whose messages are all stored leaves Redis.
    pub room_idle_seconds: u64,
    /// Bytes of messages that a node keeps until they are stored, in case Redis loses them.
    pub tail_bytes_max: usize,
}

/// How the servers belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topology {
    /// One server.
    #[default]
    Single,
    /// Several that know nothing of one another: partitions are spread over them.
    Several,
    /// The URLs are sentinels, who know where the master is.
    Sentinel,
    /// A Redis Cluster; the URLs are some of its servers.
    Cluster,
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self {
            urls: vec!["redis://127.0.0.1:6379".into()],
            topology: Topology::default(),
            sentinel_master: "mymaster".into(),
            username: String::new(),
            password: String::new(),
            tls_ca: String::new(),
            key_prefix: "moim".into(),
            partitions: 256,
            ring_rows: 512,
            room_idle_seconds: 900,
            tail_bytes_max: 256 * 1024 * 1024,
        }
    }
}

/// More would make the rounds over all of them long.
const PARTITIONS_MAX: u32 = 4096;
/// Less would empty rooms between two messages.
const ROOM_IDLE_SECONDS_MIN: u64 = 2;

impl RedisConfig {
    /// Every fault; empty when all is well.
    #[must_use]
    pub fn validate(&self) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        self.validate_servers(&mut faults);
        if self.key_prefix.is_empty() || self.key_prefix.contains(['{', '}', ' ', '\n']) {
            let no_prefix = bilingual!(
                "must be a text without spaces and braces",
                "값은 공백과 중괄호가 없는 텍스트여야 하고, 비어 있으면 안 됩니다"
            );
            faults.push(ConfigFault::new("redis.key_prefix", no_prefix));
        }
        faults.extend(ConfigFault::of_range("redis.partitions", self.partitions, 1, PARTITIONS_MAX));
        if self.ring_rows == 0 {
            let no_ring = bilingual!(
                "is 0: the newest message must be in Redis",
                "값이 0입니다. 가장 새 메시지는 Redis에 있어야 하니 1 이상을 써 주세요"
            );
            faults.push(ConfigFault::new("redis.ring_rows", no_ring));
        }
        if self.room_idle_seconds < ROOM_IDLE_SECONDS_MIN {
            let too_soon = bilingual!(
                "must be {ROOM_IDLE_SECONDS_MIN} or more",
                "값은 {ROOM_IDLE_SECONDS_MIN} 이상이어야 합니다"
            );
            faults.push(ConfigFault::new("redis.room_idle_seconds", too_soon));
        }
        faults
    }

    fn validate_servers(&self, faults: &mut Vec<ConfigFault>) {
        if self.urls.is_empty() {
            let empty = bilingual!(
                "is empty: name at least one server, like redis://127.0.0.1:6379",
                "값이 비어 있습니다. redis://127.0.0.1:6379처럼 서버를 하나 이상 써 주세요"
            );
            faults.push(ConfigFault::new("redis.urls", empty));
        }
        for url in &self.urls {
            // The URL may hold a password: only its place is told.
            if let Err(error) = redis::Client::open(url.as_str()) {
                let no_address = bilingual!(
                    "has an address that is none ({error}): write redis://host:port",
                    "값에 주소가 아닌 것이 있습니다({error}). redis://호스트:포트처럼 써 주세요"
                );
                faults.push(ConfigFault::new("redis.urls", no_address));
            }
        }
        if self.topology == Topology::Single && self.urls.len() > 1 {
            let several = bilingual!(
                "names several servers with redis.topology = \"single\": name one, or set the topology to \"several\", \
                 \"sentinel\" or \"cluster\"",
                "값에 서버가 여럿인데 redis.topology = \"single\"입니다. 하나만 쓰거나, redis.topology를 \"several\", \
                 \"sentinel\", \"cluster\" 가운데 하나로 정해 주세요"
            );
            faults.push(ConfigFault::new("redis.urls", several).beside(&["redis.topology"]));
        }
    }
}

impl std::fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // URLs may hold passwords.
        f.debug_struct("RedisConfig")
            .field("servers", &self.urls.len())
            .field("topology", &self.topology)
            .field("key_prefix", &self.key_prefix)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys_of(config: &RedisConfig) -> Vec<String> {
        config.validate().into_iter().map(|fault| fault.key).collect()
    }

    #[test]
    fn the_default_is_sound() {
        assert_eq!(keys_of(&RedisConfig::default()), [""; 0]);
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let config = RedisConfig {
            urls: vec!["redis://:secret@".into(), "http://x".into()],
            key_prefix: "a b".into(),
            partitions: 0,
            ring_rows: 0,
            room_idle_seconds: 1,
            ..RedisConfig::default()
        };
        let keys = keys_of(&config);
        for key in [
            "redis.urls",
            "redis.key_prefix",
            "redis.partitions",
            "redis.ring_rows",
            "redis.room_idle_seconds",
        ] {
            assert!(keys.iter().any(|told| told == key), "{key}: {keys:?}");
        }
        assert!(!format!("{:?} {config:?}", config.validate()).contains("secret"));
    }

    #[test]
    fn edges() {
        for (partitions, sound) in [(1, true), (PARTITIONS_MAX, true), (PARTITIONS_MAX + 1, false)] {
            assert_eq!(keys_of(&RedisConfig { partitions, ..RedisConfig::default() }).is_empty(), sound);
        }
        let two = vec!["redis://a:1".into(), "redis://b:1".into()];
        for (topology, sound) in
            [(Topology::Single, false), (Topology::Several, true), (Topology::Cluster, true)]
        {
            let config = RedisConfig { urls: two.clone(), topology, ..RedisConfig::default() };
            assert_eq!(keys_of(&config).is_empty(), sound);
        }
    }
}
