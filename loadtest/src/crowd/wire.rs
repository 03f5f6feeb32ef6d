//! Frames as a crowd reads and writes them: one flat shape for all, so that one look at the JSON is enough.
//! Not here: what a frame means for who hears it (`member`).

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::json;

/// Any frame from the server, and any message within one.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Frame<'a> {
    #[serde(rename = "type", borrow, default)]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) content: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) epoch: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) code: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) client_id: Option<Cow<'a, str>>,
    pub(super) seq: Option<u64>,
    pub(super) prev: Option<u64>,
    pub(super) to: Option<u64>,
    pub(super) recovered: Option<bool>,
    pub(super) retry_after_ms: Option<u64>,
    pub(super) after_ms: Option<u64>,
    #[serde(borrow, default)]
    pub(super) messages: Vec<Frame<'a>>,
}

/// What a message says: when it was meant to be sent, in microseconds of the run, and which of the run's it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) intended: u64,
    pub(crate) number: u64,
}

impl Mark {
    /// The content, filled up to that length.
    pub(super) fn content(self, bytes: usize) -> String {
        let mut text = format!("{} {} ", self.intended, self.number);
        while text.len() < bytes {
            text.push(char::from(b'a' + ((self.number as usize + text.len()) % 26) as u8));
        }
        text
    }

    pub(crate) fn of(content: &str) -> Option<Self> {
        let mut words = content.split(' ');
        Some(Self { intended: words.next()?.parse().ok()?, number: words.next()?.parse().ok()? })
    }
}

/// The `clientId` of a message, and back.
pub(super) fn client_id(number: u64) -> String {
    format!("n{number}")
}

pub(crate) fn number_of(client_id: &str) -> Option<u64> {
    client_id.strip_prefix('n')?.parse().ok()
}

/// The frame that says it.
pub(super) fn message(mark: Mark, bytes: usize) -> String {
    json!({ "type": "message", "content": mark.content(bytes), "clientId": client_id(mark.number) })
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_as_the_contract_writes_them() {
        let read = |text: &'static str| serde_json::from_str::<Frame<'_>>(text).unwrap();
        let message = read(
            r#"{"type":"message","room":"r","username":"a","content":"7 3 ab","seq":2,"prev":1,"epoch":"e"}"#,
        );
        assert_eq!((&*message.kind, message.seq, message.prev), ("message", Some(2), Some(1)));
        assert_eq!(Mark::of(&message.content), Some(Mark { intended: 7, number: 3 }));
        let history = read(r#"{"type":"history","messages":[{"type":"message","content":"\"","seq":9}]}"#);
        assert_eq!((history.messages[0].seq, &*history.messages[0].content), (Some(9), "\""));
        assert_eq!(read(r#"{"type":"reconnect","afterMs":12,"reason":"drain"}"#).after_ms, Some(12));
    }

    #[test]
    fn a_message_is_known_by_its_content_and_its_client_id() {
        let mark = Mark { intended: 1_000_000, number: 12 };
        let content = mark.content(64);
        assert_eq!((content.len(), Mark::of(&content)), (64, Some(mark)));
        assert_eq!(number_of(&client_id(12)), Some(12));
        assert_eq!((Mark::of("안녕"), number_of("c1")), (None, None));
    }
}
