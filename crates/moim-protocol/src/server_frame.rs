//! What clients are sent: each frame's shape, encoded once for all who get it.
//! Not here: WebSocket framing (`image`), who gets what (`moim-core`).

use std::sync::Arc;

use serde::{Serialize, Serializer, ser::SerializeStruct};

use crate::{
    AckLevel, Epoch, ErrorCode, Frame, Language, Message, Position, PresenceChange, RoomId, Seq, Timestamp,
    UserName, text,
};

/// One frame to clients. The five plain types carry the v1 fields in both profiles (extra fields are fine there), so
/// one image serves every reader of an event.
#[derive(Debug, Clone)]
pub enum ServerFrame<'a> {
    /// A message of a room.
    Message(&'a Message),
    /// Somebody came or went.
    System {
        /// The room.
        room: &'a RoomId,
        /// Came or went.
        change: PresenceChange,
        /// The first of them.
        username: &'a UserName,
        /// How many this notice tells of.
        count: u32,
        /// Connections in the room after it.
        user_count: u64,
        /// When.
        time: Timestamp,
    },
    /// The messages before, on a join without a cursor.
    History(HistoryFrame<'a>),
    /// Somebody types.
    Typing {
        /// The room.
        room: &'a RoomId,
        /// Who.
        username: &'a UserName,
        /// Whether typing now.
        is_typing: bool,
    },
    /// A request was refused.
    Error(ErrorFrame<'a>),
    /// The first frame after a join (v1).
    Joined(JoinedFrame<'a>),
    /// A message has the named durability (v1).
    Ack(AckFrame<'a>),
    /// A page that was asked for (v1).
    Page(PageFrame<'a>),
    /// Messages that this reader was not given (v1).
    Gap(GapFrame<'a>),
    /// Come back then, elsewhere (v1).
    Reconnect {
        /// When, in milliseconds from now.
        after_ms: u64,
        /// Why, as a stable word.
        reason: &'a str,
    },
    /// The answer to `ping` (v1).
    Pong,
}

/// `history` on a join.
#[derive(Debug, Clone, Serialize)]
pub struct HistoryFrame<'a> {
    /// The room.
    pub room: &'a RoomId,
    /// Oldest first.
    #[serde(serialize_with = "message_frames")]
    pub messages: &'a [Arc<Message>],
    /// Whether the store could be asked for all of them.
    pub complete: bool,
}

/// `history` as an answer.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PageFrame<'a> {
    /// The room.
    pub room: &'a RoomId,
    /// The request's, if it named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Seq>,
    /// The request's, or the default.
    pub limit: usize,
    /// Oldest first.
    #[serde(serialize_with = "message_frames")]
    pub messages: &'a [Arc<Message>],
    /// Whether nothing is missing from it.
    pub complete: bool,
    /// When to ask again, if something is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// `joined`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JoinedFrame<'a> {
    /// The room.
    pub room: &'a RoomId,
    /// The head's epoch.
    pub epoch: &'a Epoch,
    /// The head: the last number used, or the new base right after a jump.
    pub seq: Seq,
    /// Connections in the room, this one included.
    pub user_count: u64,
    /// Whether everything after `since` follows.
    pub recovered: bool,
}

/// `ack`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AckFrame<'a> {
    /// The room.
    pub room: &'a RoomId,
    /// The sender's name for it.
    pub client_id: &'a str,
    /// Its number.
    pub seq: Seq,
    /// Its epoch.
    pub epoch: &'a Epoch,
    /// The durability it has.
    pub level: AckLevel,
}

/// `gap`.
#[derive(Debug, Clone, Serialize)]
pub struct GapFrame<'a> {
    /// The room.
    pub room: &'a RoomId,
    /// The numbers' epoch.
    pub epoch: &'a Epoch,
    /// The first that was dropped.
    pub from: Seq,
    /// The last that was dropped.
    pub to: Seq,
}

/// `error`.
#[derive(Debug, Clone)]
pub struct ErrorFrame<'a> {
    /// What went wrong.
    pub code: ErrorCode,
    /// The reader's language.
    pub language: Language,
    /// The room it is about, if any.
    pub room: Option<&'a str>,
    /// The send it is about, if any.
    pub client_id: Option<&'a str>,
    /// When trying again may help.
    pub retry_after_ms: Option<u64>,
}

struct MessageBody<'a>(&'a Message);

impl Serialize for MessageBody<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let message = self.0;
        let mut out = serializer.serialize_struct("message", 10)?;
        out.serialize_field("type", "message")?;
        out.serialize_field("room", &message.room)?;
        out.serialize_field("username", &message.username)?;
        out.serialize_field("content", &message.content)?;
        out.serialize_field("timestamp", &message.time)?;
        out.serialize_field("seq", &message.seq)?;
        if let Some(prev) = message.prev {
            out.serialize_field("prev", &prev)?;
        }
        out.serialize_field("id", &message.id)?;
        out.serialize_field("epoch", &message.epoch)?;
        if let Some(client_id) = &message.client_id {
            out.serialize_field("clientId", client_id)?;
        }
        out.end()
    }
}

/// Messages as an array of `message` frames.
pub(crate) fn message_frames<S: Serializer>(
    messages: &[Arc<Message>],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(messages.iter().map(|message| MessageBody(message)))
}

#[derive(Serialize)]
struct Typed<T: Serialize> {
    r#type: &'static str,
    #[serde(flatten)]
    body: T,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SystemBody<'a> {
    room: &'a RoomId,
    message: String,
    user_count: u64,
    timestamp: Timestamp,
    event: &'static str,
    username: &'a UserName,
    count: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TypingBody<'a> {
    room: &'a RoomId,
    username: &'a UserName,
    is_typing: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ErrorFrameBody<'a> {
    code: &'static str,
    message: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReconnectBody<'a> {
    after_ms: u64,
    reason: &'a str,
}

#[derive(Serialize)]
struct NoBody {}

impl ServerFrame<'_> {
    /// Encodes it once, ready to be written to any number of sockets.
    #[must_use]
    pub fn encode(&self) -> Frame {
        match self {
            Self::Message(message) => Frame::text(&MessageBody(message)),
            Self::System { room, change, username, count, user_count, time } => {
                let body = SystemBody {
                    room,
                    message: text::presence_notice(*change, username.as_str(), *count),
                    user_count: *user_count,
                    timestamp: *time,
                    event: match change {
                        PresenceChange::Join => "join",
                        PresenceChange::Leave => "leave",
                    },
                    username,
                    count: *count,
                };
                typed("system", body)
            }
            Self::History(body) => typed("history", body),
            Self::Typing { room, username, is_typing } => {
                typed("typing", TypingBody { room, username, is_typing: *is_typing })
            }
            Self::Error(error) => typed(
                "error",
                ErrorFrameBody {
                    code: error.code.as_str(),
                    message: error.code.message(error.language),
                    room: error.room,
                    client_id: error.client_id,
                    retry_after_ms: error.retry_after_ms,
                },
            ),
            Self::Joined(body) => typed("joined", body),
            Self::Ack(body) => typed("ack", body),
            Self::Page(body) => typed("history", body),
            Self::Gap(body) => typed("gap", body),
            Self::Reconnect { after_ms, reason } => {
                typed("reconnect", ReconnectBody { after_ms: *after_ms, reason })
            }
            Self::Pong => typed("pong", NoBody {}),
        }
    }
}

fn typed<T: Serialize>(r#type: &'static str, body: T) -> Frame {
    Frame::text(&Typed { r#type, body })
}

impl<'a> JoinedFrame<'a> {
    /// At that head.
    #[must_use]
    pub fn at(room: &'a RoomId, head: &'a Position, user_count: u64, recovered: bool) -> Self {
        Self { room, epoch: &head.epoch, seq: head.seq, user_count, recovered }
    }
}
