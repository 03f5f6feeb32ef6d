//! What happens in a room, as it comes to every node that has members there.
//! Not here: how it is carried (`moim-bus`), how it looks to clients (`server_frame`).

use std::sync::Arc;

use crate::{MemberKey, Message, PresenceChange, Timestamp, UserName};

/// What members are told when somebody comes or goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Came or went.
    pub change: PresenceChange,
    /// The first of them.
    pub username: UserName,
    /// How many.
    pub count: u32,
    /// The only one it tells of, who is not told.
    pub except: Option<MemberKey>,
}

/// Who is in a room, on one node or on all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Here {
    /// Connections.
    pub count: u64,
    /// Names of some of them, at most [`HERE_NAMES_MAX`]; all of them when there are not more.
    pub names: Vec<UserName>,
}

/// Names told of one room: beyond it, who is here is a number.
pub const HERE_NAMES_MAX: usize = 32;

/// Somebody started or stopped typing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Typing {
    /// Who.
    pub username: UserName,
    /// Whether typing now.
    pub is_typing: bool,
    /// Where from; not told there.
    pub from: MemberKey,
}

/// One event of a room, as it comes to a node.
#[derive(Debug, Clone)]
pub enum RoomEvent {
    /// A message of the log.
    Message(Arc<Message>),
    /// Somebody types.
    Typing(Typing),
    /// Somebody came or went, or a count elsewhere changed.
    Presence {
        /// What to tell, if anything.
        notice: Option<Notice>,
        /// Connections in the room on other nodes.
        elsewhere: u64,
        /// When, by the bus's clock.
        time: Timestamp,
    },
    /// Events of this room may have been lost: what there is above the cursor must be read.
    Lost,
    /// A message that comes after later ones were shown, because the log was put together again without it at first. Whoever
    /// is past it is told of the gap.
    Late(Arc<Message>),
}
