//! Every word on a wire: ids, positions, frames in and out, from either side, error codes, close codes, and the limits clients can meet;
//! and what all crates need to speak both languages: texts side by side, faults of settings.
//! Not here: what a session or a room does with them (`moim-core`), sockets (`moim-gateway`).

mod bilingual;
mod client_frame;
mod close;
mod config_fault;
mod error_code;
mod heard;
mod http;
mod id;
mod image;
pub mod limits;
mod message;
mod position;
pub mod reference;
mod request;
mod room_event;
mod server_frame;
pub mod text;
mod time;

pub use bilingual::Bilingual;
pub use client_frame::{AckLevel, BadFrame, ClientFrame};
pub use close::{CloseReason, CloseRow};
pub use config_fault::ConfigFault;
pub use error_code::{ErrorCode, ErrorRow};
pub use heard::{HeardError, HeardFrame, HeardMessage};
pub use http::{ErrorAnswer, ErrorBody, HistoryAnswer, RoomAnswer, SendAnswer, SendRequest};
pub use id::{ClientId, Epoch, IdFault, MemberKey, MessageId, NodeId, RoomId, UserName};
pub use image::{Frame, FramePayload, close_image, data_image, ping_image};
pub use message::{Message, PresenceChange};
pub use position::{Cursor, Position, Seq};
pub use request::{JoinQuery, Profile, QueryFault, chat_path, decode_segment, parse_seq, query_pairs};
pub use room_event::{HERE_NAMES_MAX, Here, Notice, RoomEvent, Typing};
pub use server_frame::{AckFrame, ErrorFrame, GapFrame, HistoryFrame, JoinedFrame, PageFrame, ServerFrame};
pub use text::Language;
pub use time::Timestamp;
