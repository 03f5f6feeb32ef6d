//! What a session and a room *do*: two machines without IO, clock or tasks, driven through `handle` and `poll_output`.
//! Not here: sockets and timers (`moim-gateway`), the log (`moim-bus`), words on the wire (`moim-protocol`).

mod outbox;
mod outgoing;
mod room;
mod session;

pub use outbox::{Offer, Outbox};
pub use outgoing::{Outgoing, OutgoingKind};
pub use room::{HELD_MAX, LATE_MAX, LoadId, Loaded, Room, RoomInput, RoomLimits, RoomOutput, TAIL_MAX};
pub use session::{RateLimit, Refusal, Route, Session, SessionInput, SessionLimits, SessionOutput};
