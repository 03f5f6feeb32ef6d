//! Limits that a client can meet, each with its default. Those with a key can be configured; the others are the protocol.
//! Not here: limits of queues inside the server (each beside its queue).

/// Room when none is named.
pub const ROOM_DEFAULT: &str = "general";
/// Name when none is given.
pub const USERNAME_DEFAULT: &str = "익명";

/// Largest message a client may send, in bytes of the whole message. Key `limits.message_bytes_max`. Over it: close 1009.
pub const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// Longest room name in characters. Key `limits.room_name_chars_max`. Over it: `room_invalid`.
pub const ROOM_NAME_CHARS_MAX: usize = 128;
/// Longest user name in characters. Key `limits.username_chars_max`. Over it: `username_invalid`.
pub const USERNAME_CHARS_MAX: usize = 64;
/// Longest `clientId` in characters. Part of the protocol. Over it: `client_id_invalid`.
pub const CLIENT_ID_CHARS_MAX: usize = 64;
/// Rooms one connection may be in. Key `limits.rooms_per_connection_max`. Over it: `too_many_rooms`.
pub const ROOMS_PER_CONNECTION_MAX: usize = 100;
/// Frames a second one connection may send. Key `limits.messages_per_second`. Over it: `rate_limited`.
pub const MESSAGES_PER_SECOND: u32 = 100;

/// Messages told on a join without a cursor. Part of the protocol.
pub const HISTORY_ON_JOIN: usize = 20;
/// Largest page of history. Part of the protocol.
pub const PAGE_LIMIT_MAX: usize = 100;
/// Page of history when no limit is named. Part of the protocol.
pub const PAGE_LIMIT_DEFAULT: usize = 50;
/// Longest a long poll is held, in seconds. Part of the protocol. Over it: `wait_invalid`.
pub const POLL_WAIT_SECONDS_MAX: u64 = 60;
/// Most messages a resume replays; a client further behind gets `recovered:false`. Key `limits.resume_messages_max`.
pub const RESUME_MESSAGES_MAX: usize = 1000;
/// Joins (or leaves) a second in one room that are told one by one; those above are merged. Part of the protocol.
pub const NOTICES_PER_SECOND: u32 = 20;

/// How often a quiet connection is pinged, in seconds.
pub const PING_INTERVAL_SECONDS: u64 = 30;
/// How long a pong may take, in seconds.
pub const PONG_TIMEOUT_SECONDS: u64 = 10;
// A late pong must not be taken for the answer to the next ping.
const _: () = assert!(PONG_TIMEOUT_SECONDS < PING_INTERVAL_SECONDS);
// A join's history must be one page of a store.
const _: () = assert!(HISTORY_ON_JOIN <= PAGE_LIMIT_MAX && PAGE_LIMIT_DEFAULT <= PAGE_LIMIT_MAX);
