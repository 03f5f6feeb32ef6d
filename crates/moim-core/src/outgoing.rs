//! A frame on its way to members, with what an outbox must know to drop it honestly.
//! Not here: the frame's bytes (`moim-protocol`).

use std::sync::Arc;

use moim_protocol::{Frame, Message, Position, RoomId, ServerFrame};

/// An encoded frame and what it is. Shared by all who get it.
#[derive(Debug)]
pub struct Outgoing {
    /// The bytes.
    pub frame: Frame,
    /// What they are.
    pub kind: OutgoingKind,
}

/// What may happen to a frame when its reader is slow.
#[derive(Debug)]
pub enum OutgoingKind {
    /// An answer to the reader's own request: never dropped.
    Answer,
    /// A message of a room's log: may be dropped if the reader is told which.
    Message {
        /// The room.
        room: RoomId,
        /// Its place there.
        position: Position,
    },
    /// Somebody came or went: of several, the newest is enough.
    Presence {
        /// The room.
        room: RoomId,
    },
    /// Somebody types: may be dropped.
    Typing,
}

impl Outgoing {
    /// An answer to the reader's own request.
    #[must_use]
    pub fn answer(frame: &ServerFrame<'_>) -> Arc<Self> {
        Arc::new(Self { frame: frame.encode(), kind: OutgoingKind::Answer })
    }

    /// A message of a room's log.
    #[must_use]
    pub fn message(message: &Message) -> Arc<Self> {
        let kind = OutgoingKind::Message { room: message.room.clone(), position: message.position() };
        Arc::new(Self { frame: ServerFrame::Message(message).encode(), kind })
    }
}
