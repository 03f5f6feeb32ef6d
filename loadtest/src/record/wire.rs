//! Frames as these members read and write them: a client of its own, that shares nothing with the server's code.
//! Not here: sockets (`member`).

use serde::Deserialize;
use serde_json::json;

use crate::checker::{Seen, hash};

/// Answered with a `pong`, on a connection that leads somewhere.
pub(super) const PING: &str = r#"{"type":"ping"}"#;

/// A frame from the server, as far as a member looks at it.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum Frame {
    Message(Message),
    #[serde(rename_all = "camelCase")]
    System {
        user_count: u64,
    },
    #[serde(rename_all = "camelCase")]
    History {
        messages: Vec<Message>,
        #[serde(default = "yes")]
        complete: bool,
        /// Only in the answer to a request.
        limit: Option<u64>,
        before: Option<u64>,
    },
    #[serde(rename_all = "camelCase")]
    Joined {
        seq: u64,
        epoch: String,
        user_count: u64,
        recovered: bool,
    },
    #[serde(rename_all = "camelCase")]
    Ack {
        client_id: String,
        seq: u64,
        epoch: String,
        level: String,
    },
    #[serde(rename_all = "camelCase")]
    Error {
        #[serde(default)]
        code: String,
        client_id: Option<String>,
        retry_after_ms: Option<u64>,
    },
    Gap {
        from: u64,
        to: u64,
    },
    #[serde(rename_all = "camelCase")]
    Reconnect {
        after_ms: u64,
    },
    #[serde(other)]
    Other,
}

fn yes() -> bool {
    true
}

/// A message in a frame.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Message {
    username: String,
    content: String,
    seq: u64,
    prev: Option<u64>,
    id: String,
    epoch: String,
    client_id: Option<String>,
}

impl Message {
    pub(super) fn content(&self) -> &str {
        &self.content
    }

    pub(super) fn seen(self) -> Seen {
        let hash = hash(&self.content);
        let Self { username, seq, prev, id, epoch, client_id, .. } = self;
        Seen { seq, prev, epoch, id, username, client_id, hash }
    }
}

/// The content of a message: when it was meant to be sent, and which it is.
pub(super) fn content(intended: u64, name: &str, client_id: &str) -> String {
    format!("{intended} {name} {client_id} 안녕하세요")
}

/// When it was meant to be sent.
pub(super) fn intended(content: &str) -> Option<u64> {
    content.split(' ').next()?.parse().ok()
}

pub(super) fn message(content: &str, client_id: &str, ack: Option<&str>) -> String {
    let mut frame = json!({ "type": "message", "content": content, "clientId": client_id });
    if let Some(ack) = ack {
        frame["ack"] = ack.into();
    }
    frame.to_string()
}

pub(super) fn page(before: Option<u64>, limit: u64) -> String {
    let mut frame = json!({ "type": "history", "limit": limit });
    if let Some(before) = before {
        frame["before"] = before.into();
    }
    frame.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_as_the_contract_writes_them() {
        let read = |text: &str| serde_json::from_str::<Frame>(text).unwrap();
        let ack = r#"{"type":"ack","room":"r","clientId":"c1","seq":42,"epoch":"e","level":"stored"}"#;
        assert!(matches!(read(ack), Frame::Ack { seq: 42, .. }));
        let history = r#"{"type":"history","room":"r","messages":[]}"#;
        assert!(matches!(read(history), Frame::History { complete: true, limit: None, .. }));
        let page = r#"{"type":"history","room":"r","before":22,"limit":50,"messages":[],"complete":false}"#;
        assert!(matches!(read(page), Frame::History { complete: false, limit: Some(50), .. }));
        assert!(matches!(read(r#"{"type":"pong"}"#), Frame::Other));
        assert!(matches!(read(r#"{"type":"error","message":"x"}"#), Frame::Error { .. }));
    }

    #[test]
    fn the_intended_time_is_in_the_content() {
        assert_eq!(intended(&content(77, "m1", "c1")), Some(77));
        assert_eq!(intended("hello"), None);
    }
}
