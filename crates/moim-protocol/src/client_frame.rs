//! What clients send: parsing, with the contract's defaults for what is missing, and writing, for clients of our own.
//! Not here: whether it is allowed in a profile or a state (`moim-core`).

use std::{borrow::Cow, sync::Arc};

use serde::{Deserialize, Serialize};

/// How durable a message must be before its sender is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AckLevel {
    /// In the log of the bus.
    Wal,
    /// In the store: LOCAL_QUORUM in Cassandra, fsynced in the embedded store.
    Stored,
}

/// Not JSON, not an object, or a field of the wrong type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a frame: {0}")]
pub struct BadFrame(String);

/// One frame from a client, of either profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientFrame {
    /// Say something.
    Message {
        /// Which room; may be left out on `/chat/{room}`.
        room: Option<String>,
        /// What to say.
        content: Arc<str>,
        /// Makes the send idempotent and asks for an ack.
        client_id: Option<String>,
        /// Overrides the deployment's level.
        ack: Option<AckLevel>,
    },
    /// Started or stopped typing.
    Typing {
        /// Which room.
        room: Option<String>,
        /// Whether typing now.
        is_typing: bool,
    },
    /// Enter a room.
    Join {
        /// Which room.
        room: Option<String>,
        /// Under what name.
        username: Option<String>,
        /// The last number seen there.
        since: Option<u64>,
        /// The epoch it was seen in.
        epoch: Option<String>,
    },
    /// Leave a room.
    Leave {
        /// Which room.
        room: Option<String>,
    },
    /// A page of older messages.
    History {
        /// Which room.
        room: Option<String>,
        /// Older than this number; the newest when missing.
        before: Option<u64>,
        /// How many.
        limit: Option<u64>,
    },
    /// Answered with `pong`.
    Ping,
    /// A type this server does not know: ignored.
    Unknown,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ack: Option<AckLevel>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_typing: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
}

impl BadFrame {
    pub(crate) fn new(why: &impl ToString) -> Self {
        Self(why.to_string())
    }
}

impl ClientFrame {
    /// Parses one frame. A missing `type` means `message`, a missing `content` is empty, a missing `isTyping` false.
    ///
    /// # Errors
    /// When it is not a JSON object or a known field has the wrong type.
    pub fn parse(json: &[u8]) -> Result<Self, BadFrame> {
        // serde takes an array for a struct; the contract does not.
        if json.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            return Err(BadFrame("not a JSON object".into()));
        }
        let raw: Raw<'_> = serde_json::from_slice(json).map_err(|error| BadFrame(error.to_string()))?;
        let Raw { room, username, since, epoch, before, limit, client_id, ack, .. } = raw;
        Ok(match raw.kind.as_deref().unwrap_or("message") {
            "message" => Self::Message { room, content: raw.content.unwrap_or_default(), client_id, ack },
            "typing" => Self::Typing { room, is_typing: raw.is_typing.unwrap_or(false) },
            "join" => Self::Join { room, username, since, epoch },
            "leave" => Self::Leave { room },
            "history" => Self::History { room, before, limit },
            "ping" => Self::Ping,
            _ => Self::Unknown,
        })
    }

    /// Writes it, without what is not said.
    #[must_use]
    pub fn encode(&self) -> String {
        let kind = |name: &'static str| Raw { kind: Some(Cow::Borrowed(name)), ..Raw::default() };
        let raw = match self.clone() {
            Self::Message { room, content, client_id, ack } => {
                Raw { room, content: Some(content), client_id, ack, ..kind("message") }
            }
            Self::Typing { room, is_typing } => Raw { room, is_typing: Some(is_typing), ..kind("typing") },
            Self::Join { room, username, since, epoch } => {
                Raw { room, username, since, epoch, ..kind("join") }
            }
            Self::Leave { room } => Raw { room, ..kind("leave") },
            Self::History { room, before, limit } => Raw { room, before, limit, ..kind("history") },
            Self::Ping => kind("ping"),
            Self::Unknown => kind("unknown"),
        };
        serde_json::to_string(&raw).expect("texts and numbers are always JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<ClientFrame, BadFrame> {
        ClientFrame::parse(json.as_bytes())
    }

    #[test]
    fn what_is_missing_has_the_contracts_meaning() {
        let empty = ClientFrame::Message { room: None, content: "".into(), client_id: None, ack: None };
        assert_eq!(parse("{}"), Ok(empty.clone()));
        assert_eq!(parse(r#"{"type":"message"}"#), Ok(empty.clone()));
        assert_eq!(parse(r#" {"type":null,"content":null,"surprise":[1]}"#), Ok(empty));
        assert_eq!(parse(r#"{"type":"typing"}"#), Ok(ClientFrame::Typing { room: None, is_typing: false }));
        assert_eq!(parse(r#"{"type":"dance"}"#), Ok(ClientFrame::Unknown));
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        let (room, epoch) = (Some("방".to_owned()), Some("5f3a".to_owned()));
        let frames = [
            ClientFrame::Message {
                room: None,
                content: "안녕\n\u{1b}".into(),
                client_id: Some("c1".into()),
                ack: Some(AckLevel::Stored),
            },
            ClientFrame::Typing { room: room.clone(), is_typing: true },
            ClientFrame::Join { room: room.clone(), username: Some("민수".into()), since: Some(41), epoch },
            ClientFrame::Leave { room: room.clone() },
            ClientFrame::History { room, before: Some(22), limit: Some(50) },
            ClientFrame::Ping,
        ];
        for frame in frames {
            assert_eq!(parse(&frame.encode()).as_ref(), Ok(&frame), "{}", frame.encode());
        }
        assert_eq!(ClientFrame::Ping.encode(), r#"{"type":"ping"}"#);
    }

    #[test]
    fn escapes_in_the_type_are_read() {
        assert_eq!(parse(r#"{"type":"\u0070ing"}"#), Ok(ClientFrame::Ping));
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
        let deep = format!("{{\"x\":{}", "[".repeat(100_000));
        for bad in
            ["", "hello", "[]", "\"x\"", "42", "null", "{", r#"{"content":5}"#, r#"{"since":-1}"#, &deep]
        {
            assert!(parse(bad).is_err(), "{}", &bad[..bad.len().min(20)]);
        }
        assert!(ClientFrame::parse(b"{\"content\":\"\xff\"}").is_err());
    }
}
