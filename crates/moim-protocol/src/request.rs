//! The words of a request line: path segments, query keys, profiles.
//! Not here: HTTP itself (`moim-gateway`), names' limits (`id`).

use std::borrow::Cow;

use crate::{Cursor, Epoch, ErrorCode, Seq};

/// Which dialect a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Profile {
    /// The founding article's: no subprotocol offered.
    Plain,
    /// Subprotocol `moim.v1`.
    V1,
}

impl Profile {
    /// The subprotocol that asks for v1.
    pub const V1_SUBPROTOCOL: &'static str = "moim.v1";
}

/// A query key that cannot be read, as the error it is told with.
pub type QueryFault = ErrorCode;

/// What a join says beside the room.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JoinQuery {
    /// `username`; empty when missing.
    pub username: String,
    /// `since`, with `epoch` if given.
    pub cursor: Option<Cursor>,
}

/// Keys and values of a query, percent-decoded; a key without a value has the empty value.
pub fn query_pairs(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    form_urlencoded::parse(query.as_bytes())
}

/// Path and query by which a client of the v1 profile enters a room. Names may hold any character.
#[must_use]
pub fn chat_path(room: &str, username: &str, cursor: Option<&Cursor>) -> String {
    let segment = percent_encoding::utf8_percent_encode(room, percent_encoding::NON_ALPHANUMERIC);
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("username", username);
    if let Some(Cursor { seq, epoch }) = cursor {
        query.append_pair("since", &seq.to_string());
        query.extend_pairs(epoch.iter().map(|epoch| ("epoch", epoch.as_str())));
    }
    format!("/chat/{segment}?{}", query.finish())
}

/// One percent-encoded path segment as text.
///
/// # Errors
/// When it is not UTF-8 after decoding.
pub fn decode_segment(segment: &str) -> Result<String, QueryFault> {
    percent_encoding::percent_decode_str(segment)
        .decode_utf8()
        .map(Cow::into_owned)
        .map_err(|_| ErrorCode::RoomInvalid)
}

/// A number of a room's log, as a query value.
///
/// # Errors
/// When it is not an integer below 2^53.
pub fn parse_seq(text: &str) -> Result<Seq, QueryFault> {
    let seq = text.parse().map(Seq).map_err(|_| ErrorCode::CursorInvalid)?;
    if seq > Seq::MAX { Err(ErrorCode::CursorInvalid) } else { Ok(seq) }
}

impl Cursor {
    /// From a frame's or query's fields. An epoch without a number says nothing and is ignored.
    ///
    /// # Errors
    /// When the number is not below 2^53.
    pub fn from_client(since: Option<u64>, epoch: Option<String>) -> Result<Option<Self>, QueryFault> {
        match since.map(Seq) {
            Some(seq) if seq > Seq::MAX => Err(ErrorCode::CursorInvalid),
            since => Ok(since.map(|seq| Self { seq, epoch: epoch.map(Epoch::trusted) })),
        }
    }
}

impl JoinQuery {
    /// Reads `username`, `since` and `epoch`; other keys are ignored, and of a repeated key the last counts.
    ///
    /// # Errors
    /// When `since` is not an integer below 2^53.
    pub fn parse(query: &str) -> Result<Self, QueryFault> {
        let (mut join, mut since, mut epoch) = (Self::default(), None, None);
        for (key, value) in query_pairs(query) {
            match &*key {
                "username" => join.username = value.into_owned(),
                "since" if !value.is_empty() => since = Some(parse_seq(&value)?),
                "epoch" if !value.is_empty() => epoch = Some(value.into_owned()),
                _ => {}
            }
        }
        join.cursor = Cursor::from_client(since.map(|seq| seq.0), epoch)?;
        Ok(join)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_percent_decoded_and_bare_keys_are_fine() {
        let join =
            JoinQuery::parse("debug&username=%EA%B9%80%20%EC%B2%A0%EC%88%98&since=41&epoch=e").unwrap();
        assert_eq!(join.username, "김 철수");
        assert_eq!(join.cursor, Some(Cursor { seq: Seq(41), epoch: Some(Epoch::trusted("e")) }));
        assert_eq!(JoinQuery::parse("username").unwrap(), JoinQuery::default());
        assert_eq!(JoinQuery::parse("").unwrap(), JoinQuery::default());
    }

    #[test]
    fn numbers_end_where_javascript_does() {
        assert!(JoinQuery::parse("since=9007199254740991").is_ok());
        for bad in ["since=9007199254740992", "since=-1", "since=x", "since=1.5"] {
            assert_eq!(JoinQuery::parse(bad), Err(ErrorCode::CursorInvalid), "{bad}");
        }
    }

    #[test]
    fn rooms_are_percent_decoded() {
        assert_eq!(decode_segment("%EC%9D%BC%EB%B0%98").unwrap(), "일반");
        assert_eq!(decode_segment("%ff"), Err(ErrorCode::RoomInvalid));
        assert_eq!(decode_segment("a+b").unwrap(), "a+b");
    }

    #[test]
    fn a_path_that_is_made_is_read_as_the_same() {
        for name in ["general", "모임/방?#%", "..", "a b+c&d=e"] {
            let cursor = Cursor { seq: Seq(41), epoch: Some(Epoch::trusted("5f&3a")) };
            let made = chat_path(name, name, Some(&cursor));
            let (path, query) = made.split_once('?').unwrap();
            assert_eq!(decode_segment(path.strip_prefix("/chat/").unwrap()).as_deref(), Ok(name));
            assert!(!path["/chat/".len()..].contains(['/', '.']), "{path}");
            let read = JoinQuery::parse(query).unwrap();
            assert_eq!((read.username.as_str(), read.cursor), (name, Some(cursor)));
        }
        assert_eq!(chat_path("general", "Mina", None), "/chat/general?username=Mina");
    }
}
