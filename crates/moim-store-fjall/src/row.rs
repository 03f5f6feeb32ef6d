//! How a row and a generation look on disk: keys that sort by room and number, values with a version in front.
//! Not here: the files they lie in (`files`), when they are written (`writer`).
//!
//! A row's key is the room's name in UTF-8, a zero byte, the number big-endian. No name has a zero byte in it, so no room's
//! keys lie between another's, also when its name begins with the other's.

use std::{ops::RangeInclusive, sync::Arc};

use moim_protocol::{ClientId, Epoch, Message, MessageId, RoomId, Seq, Timestamp, UserName};
use moim_store::StoreError;
use serde::{Deserialize, Serialize};

/// The only value format so far. Another format gets another number; this one must stay readable.
const VERSION: u8 = 1;
const SEQ_BYTES: usize = size_of::<u64>();
/// fjall writes a key's length in two bytes and cuts off what is more.
const KEY_BYTES_MAX: usize = u16::MAX as usize;

/// Everything of a message that is not in its key. The order of the fields is the format.
#[derive(Serialize, Deserialize)]
struct RowV1<'a> {
    prev: Option<u64>,
    epoch: &'a str,
    id: &'a str,
    client_id: Option<&'a str>,
    username: &'a str,
    content: &'a str,
    micros: u64,
}

/// The key of a row.
///
/// # Errors
/// When the room's name cannot be part of a key. Names from clients always can.
pub(crate) fn key(room: &RoomId, seq: Seq) -> Result<Vec<u8>, StoreError> {
    let name = room.as_str().as_bytes();
    let key_bytes = name.len() + 1 + SEQ_BYTES;
    if name.contains(&0) || key_bytes > KEY_BYTES_MAX {
        let problem = "has a zero byte in its name or more than 65526 bytes; it cannot be kept";
        return Err(StoreError::Broken(format!("room {room:?} {problem}")));
    }
    let mut key = Vec::with_capacity(key_bytes);
    key.extend_from_slice(name);
    key.push(0);
    key.extend_from_slice(&seq.0.to_be_bytes());
    Ok(key)
}

/// The keys of a room's rows from one number to another, both included.
pub(crate) fn keys(room: &RoomId, from: Seq, to: Seq) -> Result<RangeInclusive<Vec<u8>>, StoreError> {
    Ok(key(room, from)?..=key(room, to)?)
}

/// The value of a row.
pub(crate) fn value(message: &Message) -> Result<Vec<u8>, StoreError> {
    let row = RowV1 {
        prev: message.prev.map(|seq| seq.0),
        epoch: message.epoch.as_str(),
        id: message.id.as_str(),
        client_id: message.client_id.as_ref().map(ClientId::as_str),
        username: message.username.as_str(),
        content: &message.content,
        micros: message.time.micros,
    };
    postcard::to_extend(&row, vec![VERSION])
        .map_err(|error| bad(&message.room, message.seq, &error.to_string()))
}

/// The message of a key and a value.
///
/// # Errors
/// When either is not what this version writes; the error names room and number.
pub(crate) fn message(room: &RoomId, key: &[u8], value: &[u8]) -> Result<Arc<Message>, StoreError> {
    let seq = seq(key).ok_or_else(|| StoreError::Broken(format!("a key of room {room:?} is cut off")))?;
    let (version, rest) = value.split_first().ok_or_else(|| bad(room, seq, "its value is empty"))?;
    if *version != VERSION {
        let newer = format!("its format is {version}, this moim reads {VERSION}: start a newer moim");
        return Err(bad(room, seq, &newer));
    }
    let (row, left) = postcard::take_from_bytes::<RowV1<'_>>(rest)
        .map_err(|error| bad(room, seq, &format!("its value is damaged ({error})")))?;
    if !left.is_empty() {
        return Err(bad(room, seq, &format!("its value is damaged ({} bytes too many)", left.len())));
    }
    Ok(Arc::new(Message {
        room: room.clone(),
        seq,
        prev: row.prev.map(Seq),
        epoch: Epoch::trusted(row.epoch),
        id: MessageId::trusted(row.id),
        client_id: row.client_id.map(ClientId::trusted),
        username: UserName::trusted(row.username),
        content: row.content.into(),
        time: Timestamp { micros: row.micros },
    }))
}

/// The key of a partition's generation; its value is the epoch's text.
pub(crate) fn generation_key(partition: u32) -> Vec<u8> {
    [b"generation/".as_slice(), &partition.to_be_bytes()].concat()
}

fn seq(key: &[u8]) -> Option<Seq> {
    Some(Seq(u64::from_be_bytes(*key.last_chunk::<SEQ_BYTES>()?)))
}

fn bad(room: &RoomId, seq: Seq, problem: &str) -> StoreError {
    StoreError::Broken(format!("row {seq} of room {room:?} cannot be read: {problem}"))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A message with everything usual in it.
    pub(crate) fn sample(room: RoomId, seq: Seq, content: &str) -> Message {
        Message {
            room,
            seq,
            prev: Some(Seq(6)),
            epoch: Epoch::trusted("e1"),
            id: MessageId::trusted("m7"),
            client_id: None,
            username: UserName::trusted("민수"),
            content: content.into(),
            time: Timestamp { micros: 1_700_000_000_123_456 },
        }
    }

    fn seventh() -> Message {
        sample(RoomId::trusted("방"), Seq(7), "안녕")
    }

    fn broken(room: &RoomId, key: &[u8], value: &[u8]) -> String {
        match message(room, key, value) {
            Err(StoreError::Broken(text)) => text,
            other => panic!("not broken: {other:?}"),
        }
    }

    /// What is on people's disks: a change of these bytes needs a new version number.
    #[test]
    fn the_format_stays_what_it_was() {
        let message = seventh();
        assert_eq!(key(&message.room, message.seq).unwrap(), b"\xeb\xb0\xa9\0\0\0\0\0\0\0\0\x07");
        let mut want = vec![1, 1, 6, 2, b'e', b'1', 2, b'm', b'7', 0, 6];
        want.extend_from_slice("민수".as_bytes());
        want.push(6);
        want.extend_from_slice("안녕".as_bytes());
        want.extend_from_slice(&[0xc0, 0xc4, 0x80, 0xc1, 0xc1, 0xc4, 0x82, 0x03]);
        assert_eq!(value(&message).unwrap(), want);
    }

    #[test]
    fn keys_sort_by_number_within_a_room_and_never_between_rooms() {
        let key = |room: &str, seq| key(&RoomId::trusted(room), Seq(seq)).unwrap();
        assert!(key("a", 255) < key("a", 256));
        assert!(key("a", (1 << 32) - 1) < key("a", 1 << 32));
        assert!(key("a", u64::MAX) < key("a\u{1}", 0));
        assert!(key("a", u64::MAX) < key("ab", 0));
        assert!(key("방", u64::MAX) < key("방방", 0));
    }

    #[test]
    fn a_room_name_that_cannot_be_a_key_is_refused() {
        assert!(key(&RoomId::trusted("a\0b"), Seq(1)).is_err());
        assert!(key(&RoomId::trusted("x".repeat(65_526)), Seq(1)).is_ok());
        assert!(key(&RoomId::trusted("x".repeat(65_527)), Seq(1)).is_err());
    }

    #[test]
    fn an_unknown_version_names_room_and_row() {
        let sample = seventh();
        let (key, mut value) = (key(&sample.room, sample.seq).unwrap(), value(&sample).unwrap());
        value[0] = 2;
        let text = broken(&sample.room, &key, &value);
        assert_eq!(
            text,
            "row 7 of room \"방\" cannot be read: its format is 2, this moim reads 1: start a newer moim"
        );
    }

    #[test]
    fn every_cut_and_every_addition_is_noticed() {
        let sample = seventh();
        let (key, value) = (key(&sample.room, sample.seq).unwrap(), value(&sample).unwrap());
        assert_eq!(*message(&sample.room, &key, &value).unwrap(), sample);
        for length in 0..value.len() {
            let text = broken(&sample.room, &key, &value[..length]);
            assert!(text.starts_with("row 7 of room \"방\" cannot be read: its value is "), "{text}");
        }
        let longer = [value.as_slice(), b"!"].concat();
        assert!(broken(&sample.room, &key, &longer).ends_with("(1 bytes too many)"));
    }
}
