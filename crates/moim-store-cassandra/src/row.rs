//! How a message and a head stand in their tables, both ways.
//! Not here: which rows are read (`page`) or written together (`append`).

use std::sync::Arc;

use moim_protocol::{ClientId, Epoch, Message, MessageId, RoomId, Seq, Timestamp, UserName};
use moim_store::StoreError;
use scylla::{DeserializeRow, value::MaybeUnset};

use crate::schema::{self, bigint};

/// Bytes from which on a row is refused here: servers cut the connection, and all that is on it, at a request of 16 MiB. The
/// protocol's largest message is a mebibyte.
pub(crate) const ROW_BYTES_MAX: usize = 15 * 1024 * 1024;

/// Bytes of a room's name from which on its rows are refused here: the largest partition key, 65,535 bytes, less the bucket
/// and what joins the two. The protocol's longest name has 512.
const ROOM_BYTES_MAX: usize = 65_535 - 14;

/// Bytes of a row beside its texts: numbers, and what a server adds for each cell.
const CELLS_BYTES: usize = 160;

/// The values of [`schema::INSERT_ROW`], in its order. `Unset` and not null where there is nothing: a null is a tombstone.
pub(crate) type RowValues<'a> =
    (&'a str, i64, i64, MaybeUnset<i64>, &'a str, &'a str, MaybeUnset<&'a str>, &'a str, &'a str, i64, i64);

pub(crate) fn values(row: &Message) -> RowValues<'_> {
    // The event's own time is also the write's: a late replay cannot undo a later change of the row.
    let micros = bigint(row.time.micros);
    (
        row.room.as_str(),
        bigint(schema::bucket(row.seq.0)),
        bigint(row.seq.0),
        row.prev.map_or(MaybeUnset::Unset, |prev| MaybeUnset::Set(bigint(prev.0))),
        row.epoch.as_str(),
        row.id.as_str(),
        row.client_id.as_ref().map_or(MaybeUnset::Unset, |id| MaybeUnset::Set(id.as_str())),
        row.username.as_str(),
        &row.content,
        micros,
        micros,
    )
}

/// What it takes in a request, roughly.
pub(crate) fn bytes(row: &Message) -> usize {
    let client_id = row.client_id.as_ref().map_or(0, |id| id.as_str().len());
    let names = row.room.as_str().len() + row.epoch.as_str().len() + row.id.as_str().len() + client_id;
    names + row.username.as_str().len() + row.content.len() + CELLS_BYTES
}

/// What no server would take, found before it is sent.
pub(crate) fn check(row: &Message) -> Result<(), StoreError> {
    let refused = |why: String| {
        let (room, seq) = (&row.room, row.seq);
        // Such names are long; its beginning is enough to find it.
        let room: String = room.as_str().chars().take(64).collect();
        Err(StoreError::Refused(format!("row {seq} of room {room:?} {why}")))
    };
    if row.seq.0 > schema::SEQ_MAX {
        return refused(format!("has a number above {}", schema::SEQ_MAX));
    }
    let room_bytes = row.room.as_str().len();
    if room_bytes > ROOM_BYTES_MAX {
        return refused(format!(
            "is of a room whose name has {room_bytes} bytes, {ROOM_BYTES_MAX} are the most"
        ));
    }
    let bytes = bytes(row);
    if bytes > ROW_BYTES_MAX {
        return refused(format!("has {bytes} bytes, {ROW_BYTES_MAX} are the most that can be kept"));
    }
    Ok(())
}

/// A row as [`schema::ROWS_DOWN`] and [`schema::ROWS_UP`] give it.
#[derive(DeserializeRow)]
pub(crate) struct RowRead<'a> {
    seq: i64,
    prev: Option<i64>,
    epoch: &'a str,
    id: &'a str,
    client_id: Option<&'a str>,
    username: &'a str,
    content: &'a str,
    sent_at: i64,
}

impl RowRead<'_> {
    pub(crate) fn message(&self, room: &RoomId) -> Arc<Message> {
        Arc::new(Message {
            room: room.clone(),
            seq: Seq(number(self.seq)),
            prev: self.prev.map(|prev| Seq(number(prev))),
            epoch: Epoch::trusted(self.epoch),
            id: MessageId::trusted(self.id),
            client_id: self.client_id.map(ClientId::trusted),
            username: UserName::trusted(self.username),
            content: self.content.into(),
            time: Timestamp { micros: number(self.sent_at) },
        })
    }
}

/// A head as [`schema::HEADS_DOWN`] and [`schema::HEADS_UP`] give it: what is stored of one epoch of a room.
#[derive(Debug, Clone, DeserializeRow)]
pub(crate) struct HeadRead {
    epoch_base: i64,
    epoch: String,
    first: i64,
    last: i64,
    sent_at: i64,
    row_bytes_max: i64,
}

/// The same in our own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) base: u64,
    pub(crate) epoch: Epoch,
    /// Its lowest number.
    pub(crate) first: u64,
    /// Its highest number.
    pub(crate) last: u64,
    /// The time of the row `last`.
    pub(crate) time: Timestamp,
    /// No row of it is larger.
    pub(crate) row_bytes_max: usize,
}

impl From<HeadRead> for Span {
    fn from(read: HeadRead) -> Self {
        Self {
            base: number(read.epoch_base),
            epoch: Epoch::trusted(read.epoch),
            first: number(read.first),
            last: number(read.last),
            time: Timestamp { micros: number(read.sent_at) },
            row_bytes_max: usize::try_from(read.row_bytes_max).unwrap_or(ROW_BYTES_MAX),
        }
    }
}

fn number(bigint: i64) -> u64 {
    u64::try_from(bigint).unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn sample(room: &str, seq: u64, content: &str) -> Arc<Message> {
        Arc::new(Message {
            room: RoomId::trusted(room),
            seq: Seq(seq),
            prev: None,
            epoch: Epoch::trusted("e1"),
            id: MessageId::trusted("m7"),
            client_id: None,
            username: UserName::trusted("민수"),
            content: content.into(),
            time: Timestamp { micros: 1_700_000_000_123_456 },
        })
    }

    #[test]
    fn what_is_unknown_is_left_out_and_not_null() {
        let message = sample("방", 8_193, "안녕");
        let (room, bucket, seq, prev, .., sent_at, written_at) = values(&message);
        assert_eq!((room, bucket, seq), ("방", 1, 8_193));
        assert!(matches!(prev, MaybeUnset::Unset));
        assert_eq!((sent_at, written_at), (1_700_000_000_123_456, 1_700_000_000_123_456));
    }

    #[test]
    fn what_no_server_takes_is_refused_here() {
        assert!(check(&sample("a", schema::SEQ_MAX, "x")).is_ok());
        let long_name = "x".repeat(ROOM_BYTES_MAX + 1);
        assert!(check(&sample(&long_name[1..], 1, "x")).is_ok());
        let refusals = [
            sample("a", schema::SEQ_MAX + 1, "x"),
            sample("a", 1, &"x".repeat(ROW_BYTES_MAX)),
            sample(&long_name, 1, "x"),
        ];
        for row in refusals {
            assert!(matches!(check(&row), Err(StoreError::Refused(_))), "{}", row.seq);
        }
    }
}
