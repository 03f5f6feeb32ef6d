//! What an operator can set about the gateway, with defaults, and every fault in it told at once.
//! Not here: files, environment and flags (`moim`), the settings of bus and store (their crates).

use std::{net::SocketAddr, time::Duration};

use ipnet::IpNet;
use moim_protocol::{ConfigFault, bilingual, limits};
use serde::{Deserialize, Serialize};

/// Section `listen`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListenConfig {
    /// Where people connect. Port 0 takes any free one.
    pub public: SocketAddr,
    /// Where operators look: `/metrics`, `/livez`, `/readyz`. Private.
    pub ops: SocketAddr,
    /// Networks whose `X-Forwarded-For` is believed, and which have no per-address limit.
    pub trusted_proxies: Vec<IpNet>,
}

/// Section `auth`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthConfig {
    /// Who may chat. Not set: anyone, but only on a loopback address.
    pub mode: Option<AuthMode>,
    /// Origins of web pages that may connect, beside this server's own and pages on loopback; `*` allows any.
    pub allowed_origins: Vec<String>,
}

/// Who may chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuthMode {
    /// Anyone who reaches the server, under any name.
    Anonymous,
}

/// Section `limits`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Largest message in bytes; over it close 1009.
    pub message_bytes_max: usize,
    /// Open connections on this node; over it 503 before the upgrade.
    pub connections_max: usize,
    /// Open connections from one address (loopback and trusted proxies exempt); over it 429.
    pub connections_per_address_max: usize,
    /// Rooms one connection may be in; over it `too_many_rooms`.
    pub rooms_per_connection_max: usize,
    /// Frames a second from one connection; over it `rate_limited`.
    pub messages_per_second: u32,
    /// Longest room name in characters; over it `room_invalid`.
    pub room_name_chars_max: usize,
    /// Longest user name in characters; over it `username_invalid`.
    pub username_chars_max: usize,
    /// Bytes that may wait for one slow reader; over it `gap` (v1) or close 1013 (plain).
    pub outbox_bytes_max: usize,
    /// Seconds a reader may take nothing while bytes wait for it; over it close 1013.
    pub stalled_reader_seconds: u64,
    /// Messages a resume replays at most; further behind gets `recovered:false`.
    pub resume_messages_max: usize,
}

/// Section `drain`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DrainConfig {
    /// Seconds between turning unready and closing the first socket, for load balancers to notice.
    pub unready_seconds: u64,
    /// Seconds over which sockets are closed at most; few sockets take less.
    pub spread_seconds: u64,
    /// Seconds after SIGTERM when the process stops whatever is left.
    pub grace_seconds: u64,
}

impl Default for ListenConfig {
    fn default() -> Self {
        Self {
            public: SocketAddr::from(([127, 0, 0, 1], 8765)),
            ops: SocketAddr::from(([127, 0, 0, 1], 9765)),
            trusted_proxies: Vec::new(),
        }
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            message_bytes_max: limits::MESSAGE_BYTES_MAX,
            connections_max: 10_000,
            connections_per_address_max: 1_000,
            rooms_per_connection_max: limits::ROOMS_PER_CONNECTION_MAX,
            messages_per_second: limits::MESSAGES_PER_SECOND,
            room_name_chars_max: limits::ROOM_NAME_CHARS_MAX,
            username_chars_max: limits::USERNAME_CHARS_MAX,
            outbox_bytes_max: 1024 * 1024,
            stalled_reader_seconds: 15,
            resume_messages_max: limits::RESUME_MESSAGES_MAX,
        }
    }
}

impl Default for DrainConfig {
    fn default() -> Self {
        Self { unready_seconds: 0, spread_seconds: 10, grace_seconds: 25 }
    }
}

/// Everything the gateway is told.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GatewayConfig {
    /// Addresses.
    pub listen: ListenConfig,
    /// Who may chat.
    pub auth: AuthConfig,
    /// Bounds.
    pub limits: LimitsConfig,
    /// How it stops.
    pub drain: DrainConfig,
}

impl GatewayConfig {
    /// Every fault, in the order of the sections; empty when all is well.
    #[must_use]
    pub fn validate(&self) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        self.validate_doors(&mut faults);
        self.limits.validate(&mut faults);
        let before = self.drain.unready_seconds + self.drain.spread_seconds;
        if before >= self.drain.grace_seconds {
            let too_short = bilingual!(
                "is {}, but drain.unready_seconds + drain.spread_seconds is {before} already; leave at least a second to store \
                 what was sent",
                "값이 {}인데, drain.unready_seconds + drain.spread_seconds가 이미 {before}입니다. 보낸 것을 저장할 시간을 적어도 \
                 1초는 남겨 주세요",
                self.drain.grace_seconds
            );
            let fault = ConfigFault::new("drain.grace_seconds", too_short);
            faults.push(fault.beside(&["drain.spread_seconds", "drain.unready_seconds"]));
        }
        faults
    }

    fn validate_doors(&self, faults: &mut Vec<ConfigFault>) {
        if !self.listen.public.ip().is_loopback() && self.auth.mode.is_none() {
            let open = bilingual!(
                "is not set, and listen.public = {} can be reached from other machines: everyone there could chat under any \
                 name. If that is what you want, say so with auth.mode = \"anonymous\"; else listen on 127.0.0.1",
                "설정이 없는데, listen.public = {}에는 다른 컴퓨터에서 접속할 수 있습니다. 그러면 그곳의 누구나 아무 이름으로든 \
                 채팅할 수 있습니다. 그것을 원하면 auth.mode = \"anonymous\"로 정하고, 아니면 127.0.0.1을 주소로 써 주세요",
                self.listen.public
            );
            faults.push(ConfigFault::new("auth.mode", open).beside(&["listen.public"]));
        }
        if self.listen.public == self.listen.ops && self.listen.public.port() != 0 {
            let same = bilingual!(
                "is the same address as listen.public; the operators' listener is private and needs its own port",
                "값이 listen.public과 같은 주소입니다. 운영자용 주소는 공개하지 않는 것이므로 포트가 따로 있어야 합니다"
            );
            faults.push(ConfigFault::new("listen.ops", same).beside(&["listen.public"]));
        }
        for origin in &self.auth.allowed_origins {
            if origin != "*" && origin != "null" && (!origin.contains("://") || origin.ends_with('/')) {
                let no_origin = bilingual!(
                    "has {origin:?}, which is not an origin; write it like \"https://chat.example.com\", without a path",
                    "값에 있는 {origin:?}은(는) 오리진(origin)이 아닙니다. \"https://chat.example.com\"처럼 경로 없이 써 주세요"
                );
                faults.push(ConfigFault::new("auth.allowed_origins", no_origin));
            }
        }
    }
}

impl LimitsConfig {
    fn validate(&self, faults: &mut Vec<ConfigFault>) {
        let mut range = |key: &str, value: usize, low: usize, high: usize| {
            faults.extend(ConfigFault::of_range(format!("limits.{key}"), value, low, high));
        };
        range("message_bytes_max", self.message_bytes_max, 128, 64 * 1024 * 1024);
        range("connections_max", self.connections_max, 1, 10_000_000);
        range("connections_per_address_max", self.connections_per_address_max, 1, 10_000_000);
        range("rooms_per_connection_max", self.rooms_per_connection_max, 1, 10_000);
        range("messages_per_second", self.messages_per_second as usize, 1, 1_000_000);
        range("room_name_chars_max", self.room_name_chars_max, 1, 1_000);
        range("username_chars_max", self.username_chars_max, 1, 1_000);
        range("outbox_bytes_max", self.outbox_bytes_max, 4096, 1024 * 1024 * 1024);
        range("stalled_reader_seconds", self.stalled_reader_seconds as usize, 1, 3600);
        range("resume_messages_max", self.resume_messages_max, limits::HISTORY_ON_JOIN, 100_000);
    }

    /// How long a reader may take nothing.
    #[must_use]
    pub fn stalled_reader_after(&self) -> Duration {
        Duration::from_secs(self.stalled_reader_seconds)
    }
}
