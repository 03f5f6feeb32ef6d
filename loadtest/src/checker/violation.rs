//! The ways to break a promise, each with a name and its evidence.
//! Not here: finding them (`member`, `store`, `pages`, `known`).

use serde::Serialize;

/// Which promise, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Acknowledged, and not in the store in the end.
    AckedNotStored,
    /// In the store, and neither given to a member who was there nor told as a gap.
    NotGiven,
    /// Seen by a member, and not in the store in the end.
    SeenNotStored,
    /// One (sender, clientId) under two numbers in the store.
    StoredTwice,
    /// A member got a message again.
    Repeated,
    /// A member got a number at or below its cursor that it had not seen.
    OutOfOrder,
    /// `prev` is not the last message seen, and no gap was told.
    SilentHole,
    /// Within an epoch of the store a number is missing, and the row after it does not say that nothing stood there.
    StoreHole,
    /// One number of a room for two messages.
    NumberTwice,
    /// The acknowledgement names another number than the store, or than another acknowledgement.
    AckDisagrees,
    /// Acknowledged at a level that was not asked for, or that could not be given then.
    LevelFalse,
    /// A gap that names what no message can have been.
    FalseGap,
    /// A frame that breaks the contract.
    Malformed,
    /// A message is not what its sender wrote.
    Changed,
    /// A complete page without a message that was acknowledged before it was asked for, or not the page that was asked for.
    PageMisses,
    /// A join at a head below what was acknowledged before it was asked for.
    JoinMisses,
    /// What gateways serve in the end is not what the store holds.
    ServedDiffers,
    /// A count that was wrong when it had to be right.
    CountWrong,
    /// Sent, and neither acknowledged nor refused for good by the end.
    NeverAnswered,
    /// Refused for good, and nothing was wrong with it.
    Refused,
    /// Not at the room's end when the run was over.
    LeftBehind,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Violation {
    pub(crate) kind: Kind,
    pub(crate) room: String,
    /// The member who saw it, by name; none where it shows in the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) member: Option<String>,
    /// Microseconds since the run began, where it happened at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<u64>,
    pub(crate) evidence: String,
}

impl Violation {
    pub(crate) fn new(kind: Kind, room: &str, evidence: String) -> Self {
        Self { kind, room: room.to_owned(), member: None, at: None, evidence }
    }

    pub(crate) fn seen_by(mut self, member: &str, at: u64) -> Self {
        self.member = Some(member.to_owned());
        self.at = Some(at);
        self
    }
}
