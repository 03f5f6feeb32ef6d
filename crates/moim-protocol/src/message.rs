//! One entry of a room's log, and a change of who is here (which is not in the log).
//! Not here: how either looks on a wire (`server_frame`).

use std::sync::Arc;

use crate::{ClientId, Epoch, MessageId, Position, RoomId, Seq, Timestamp, UserName};

/// One message: what the log holds, the relay carries and the store keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The room whose log it is in.
    pub room: RoomId,
    /// Its number there.
    pub seq: Seq,
    /// The number before it, over a jump too. `Some(0)`: it is the room's first. `None`: unknown.
    pub prev: Option<Seq>,
    /// The run of numbers it belongs to.
    pub epoch: Epoch,
    /// Its public name.
    pub id: MessageId,
    /// What its sender called it, if they did.
    pub client_id: Option<ClientId>,
    /// Who sent it.
    pub username: UserName,
    /// What they wrote.
    pub content: Arc<str>,
    /// When the bus took it.
    pub time: Timestamp,
}

impl Message {
    /// Where it stands.
    #[must_use]
    pub fn position(&self) -> Position {
        Position { epoch: self.epoch.clone(), seq: self.seq }
    }

    /// Roughly what it holds in memory, in bytes: texts plus a fixed share for the rest.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        self.content.len() + self.username.as_str().len() + 256
    }
}

/// Somebody came or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PresenceChange {
    /// One or more came in.
    Join,
    /// One or more went.
    Leave,
}
