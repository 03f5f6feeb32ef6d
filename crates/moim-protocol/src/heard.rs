//! What a client hears: server frames, parsed by whoever is on the other side of the wire.
//! Not here: writing them (`server_frame`), what a client does about them (`moim-chat`).

use serde::{Deserialize, Serialize};

use crate::{AckLevel, BadFrame};

/// One frame from a server. Fields that a client here has no use for are left out; those of a newer server are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", rename_all_fields = "camelCase")]
pub enum HeardFrame {
    /// A message of a room.
    Message(HeardMessage),
    /// Somebody came or went.
    System {
        /// `join` or `leave`.
        #[serde(default)]
        event: String,
        /// The first of them.
        #[serde(default)]
        username: String,
        /// How many.
        #[serde(default = "one")]
        count: u64,
        /// Connections in the room after it.
        user_count: u64,
    },
    /// Messages before: those of a join, or a page that was asked for (then with `limit`).
    History {
        /// Oldest first.
        messages: Vec<HeardMessage>,
        /// Whether none is missing.
        #[serde(default = "yes")]
        complete: bool,
        /// Echoed from the request.
        #[serde(skip_serializing_if = "Option::is_none")]
        limit: Option<u64>,
    },
    /// Somebody types, or stopped.
    Typing {
        /// Who.
        username: String,
        /// Whether typing now.
        is_typing: bool,
    },
    /// A request was refused.
    Error(HeardError),
    /// The first frame after a join.
    Joined {
        /// The head's epoch.
        epoch: String,
        /// The head.
        seq: u64,
        /// Connections in the room.
        user_count: u64,
        /// Whether everything after the cursor follows.
        recovered: bool,
    },
    /// A message has that durability.
    Ack {
        /// The sender's name for it.
        client_id: String,
        /// Its number.
        seq: u64,
        /// Its epoch.
        epoch: String,
        /// The durability.
        level: AckLevel,
    },
    /// These numbers were dropped for this reader.
    Gap {
        /// Their epoch.
        epoch: String,
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// Come back then.
    Reconnect {
        /// In milliseconds from now.
        after_ms: u64,
        /// A stable word.
        #[serde(default)]
        reason: String,
    },
    /// The answer to `ping`.
    Pong,
    /// A type that a newer server has.
    #[serde(other)]
    Unknown,
}

/// A message as it is heard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeardMessage {
    /// Who said it.
    pub username: String,
    /// What they said.
    pub content: String,
    /// When, as RFC 3339.
    pub timestamp: String,
    /// Its number.
    pub seq: u64,
    /// The number before it, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prev: Option<u64>,
    /// Its epoch.
    pub epoch: String,
    /// What its sender called it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
}

/// A refusal as it is heard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeardError {
    /// The stable word.
    #[serde(default)]
    pub code: String,
    /// The sentence for a person.
    #[serde(default)]
    pub message: String,
    /// The send it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// When trying again may help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

fn one() -> u64 {
    1
}

fn yes() -> bool {
    true
}

impl HeardFrame {
    /// Parses one frame.
    ///
    /// # Errors
    /// When it is not JSON, or a frame of a known type lacks what every server sends in it.
    pub fn parse(json: &str) -> Result<Self, BadFrame> {
        serde_json::from_str(json).map_err(|error| BadFrame::new(&error))
    }

    /// It as JSON on one line: what was understood of it.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers are always JSON")
    }
}

impl HeardError {
    /// The error in the body of an HTTP answer, if there is one.
    #[must_use]
    pub fn in_answer(json: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Answer {
            error: HeardError,
        }
        serde_json::from_slice::<Answer>(json).ok().map(|answer| answer.error)
    }
}

#[cfg(test)]
mod tests {
    use super::HeardFrame;

    #[test]
    fn what_is_new_is_ignored_and_what_is_broken_is_told() {
        let new = r#"{"type":"confetti","room":"r","n":1}"#;
        assert_eq!(HeardFrame::parse(new), Ok(HeardFrame::Unknown));
        assert_eq!(HeardFrame::parse(r#"{"type":"pong","at":5}"#), Ok(HeardFrame::Pong));
        for broken in ["", "[]", "5", r#"{"type":"joined"}"#, r#"{"type":"message","seq":-1}"#] {
            assert!(HeardFrame::parse(broken).is_err(), "{broken}");
        }
    }
}
