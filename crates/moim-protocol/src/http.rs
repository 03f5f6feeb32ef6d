//! Bodies of the HTTP interface.
//! Not here: routes and headers (`moim-gateway`).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    AckLevel, Epoch, ErrorCode, Language, Message, MessageId, RoomId, Seq, Timestamp, UserName,
    server_frame::message_frames,
};

/// `GET …/messages`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryAnswer<'a> {
    /// The room.
    pub room: &'a RoomId,
    /// The head's epoch; not there while the log cannot be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<&'a Epoch>,
    /// The last number used; not there while the log cannot be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head: Option<Seq>,
    /// Oldest first.
    #[serde(serialize_with = "message_frames")]
    pub messages: &'a [Arc<Message>],
    /// Whether nothing is missing from the page.
    pub complete: bool,
    /// When to ask again, if something is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// `GET /api/v1/rooms/{room}`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RoomAnswer<'a> {
    /// The room.
    pub room: &'a RoomId,
    /// The head's epoch.
    pub epoch: &'a Epoch,
    /// The last number used.
    pub seq: Seq,
    /// Connections in the room, over the whole cluster.
    pub user_count: u64,
    /// The name of each of them, sorted; only of a room with few people in it, of whom all are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub members: Option<&'a [UserName]>,
}

/// Body of `POST …/messages`.
#[derive(Debug, Default, Deserialize)]
pub struct SendRequest {
    /// What to say.
    #[serde(default)]
    pub content: Arc<str>,
    /// Who says it.
    #[serde(default)]
    pub username: String,
    /// Overrides the deployment's level.
    pub ack: Option<AckLevel>,
}

/// Answer to `POST …/messages`.
#[derive(Debug, Serialize)]
pub struct SendAnswer<'a> {
    /// The room.
    pub room: &'a RoomId,
    /// The message's number.
    pub seq: Seq,
    /// Its public name.
    pub id: &'a MessageId,
    /// Its epoch.
    pub epoch: &'a Epoch,
    /// The durability it has.
    pub level: AckLevel,
    /// When the bus took it.
    pub timestamp: Timestamp,
}

/// Any HTTP error.
#[derive(Debug, Serialize)]
pub struct ErrorAnswer {
    error: ErrorBody,
}

/// What is in it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorBody {
    /// The stable word.
    pub code: &'static str,
    /// The sentence for a person.
    pub message: &'static str,
    /// When trying again may help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl ErrorAnswer {
    /// The body for a code.
    #[must_use]
    pub fn new(code: ErrorCode, language: Language, retry_after_ms: Option<u64>) -> Self {
        Self { error: ErrorBody { code: code.as_str(), message: code.message(language), retry_after_ms } }
    }
}

impl SendRequest {
    /// Parses a body; a missing `content` is empty, as in a frame.
    ///
    /// # Errors
    /// When it is not a JSON object or a field has the wrong type.
    pub fn parse(json: &[u8]) -> Result<Self, serde_json::Error> {
        // serde takes an array for a struct; the contract does not.
        if json.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            return Err(serde::de::Error::custom("not a JSON object"));
        }
        serde_json::from_slice(json)
    }
}

macro_rules! to_json {
    ($($name:ty),*) => {$(
        impl $name {
            /// The body as JSON text.
            #[must_use]
            pub fn to_json(&self) -> Vec<u8> {
                serde_json::to_vec(self).expect("our answers are always JSON")
            }
        }
    )*};
}

to_json!(HistoryAnswer<'_>, RoomAnswer<'_>, SendAnswer<'_>, ErrorAnswer);
