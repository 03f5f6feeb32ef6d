//! The lines of evidence: what a member did and saw, what a store holds.
//! Not here: what they prove (the other modules of `checker`), files (`record`, `rows`).

use serde::{Deserialize, Serialize};

/// One thing that a member did or saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Microseconds since the run began, by the one clock of all members.
    pub(crate) at: u64,
    /// Which member.
    pub(crate) member: u32,
    #[serde(flatten)]
    pub(crate) what: What,
}

/// The dialect that a member speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Profile {
    V1,
    Plain,
}

/// What it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(crate) enum What {
    /// The first record of a member: who it is.
    Member { name: String, room: String, profile: Profile },
    /// Its socket is open, through this address; `asked` is when its handshake was sent.
    Connected { address: String, asked: u64 },
    /// Its socket is gone.
    Lost { why: String },
    /// `joined`; `since` is the cursor it came with, `asked` when its handshake was sent.
    Joined { seq: u64, epoch: String, since: Option<u64>, recovered: bool, asked: u64 },
    /// The `history` of a join.
    History { rows: Vec<Seen>, complete: bool },
    /// A live or resumed `message`.
    Received(Seen),
    /// `gap`: these numbers, both included, are not given.
    Gap { from: u64, to: u64 },
    /// A try to send; `intended` is when it was meant to be sent first, `level` the one that was asked for, if any.
    Sent { client_id: String, hash: u64, intended: u64, attempt: u32, level: Option<String> },
    /// The answer to it.
    Ack { client_id: String, seq: u64, epoch: String, level: String },
    /// An answer that is none.
    Error { code: String, client_id: Option<String> },
    /// A number of connections in the room that it was told.
    Count { count: u64 },
    /// How many there really are, long enough after the last change for every count to be right.
    Settled { connected: u64 },
    /// The same by a gateway's word, asked at the same time.
    Asked { node: String, count: u64, connected: u64 },
    /// A page of history that was asked for at `asked`.
    Page { asked: u64, before: Option<u64>, limit: u64, complete: bool, rows: Vec<Seen> },
    /// A page that was asked for at `asked` and had not come long after.
    PageUnanswered { asked: u64 },
    /// Something came that no client can make anything of.
    Malformed { why: String },
    /// It was still waiting for an answer when the run was over.
    Unanswered { client_id: String },
    /// The run is over for it; whether it was in its room then.
    Done { joined: bool },
}

/// A message as it was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) seq: u64,
    /// Not there: unknown.
    pub(crate) prev: Option<u64>,
    pub(crate) epoch: String,
    pub(crate) id: String,
    pub(crate) username: String,
    pub(crate) client_id: Option<String>,
    pub(crate) hash: u64,
}

/// A message as the store holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) room: String,
    #[serde(flatten)]
    pub(crate) seen: Seen,
}

/// A time in which the store could take nothing, in microseconds since the run began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Away {
    pub(crate) from: u64,
    pub(crate) to: u64,
}

impl What {
    /// A refusal that no second try can change.
    pub(crate) fn is_refusal(code: &str) -> bool {
        !matches!(
            code,
            "rate_limited"
                | "overloaded"
                | "unavailable"
                | "store_unavailable"
                | "draining"
                | "server_full"
                | "address_full"
                | "internal"
        )
    }
}

/// A content, short enough to keep: FNV-1a.
pub(crate) fn hash(content: &str) -> u64 {
    content
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
