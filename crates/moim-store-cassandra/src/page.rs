//! Reading: a room's heads, and pages that go from bucket to bucket within what the heads say is there.
//! Not here: which pages share a read (`loads`), whether reads are tried at all (`breaker`).

use std::{convert::Infallible, sync::Arc};

use moim_protocol::{Message, Position, RoomId};
use moim_store::{Head, PAGE_BYTES_MAX, PageRange, StoreError, within_page_bytes};
use scylla::{
    client::session::Session, deserialize::row::DeserializeRow, response::query_result::QueryRowsResult,
    serialize::row::SerializeRow, statement::prepared::PreparedStatement,
};

use crate::{
    failure,
    row::{HeadRead, RowRead, Span},
    schema::{self, HEADS_PER_READ, bigint},
    session::Link,
};

/// Bytes that one query may bring, by the largest row that its epoch has.
const QUERY_BYTES_MAX: usize = PAGE_BYTES_MAX;
/// Buckets without any row that a page may meet on its way. An epoch's numbers are contiguous, so there are none but where
/// thousands of rows in a row were refused. More: `Unavailable`, and not a short page that looks like the end.
const EMPTY_BUCKETS_MAX: u32 = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    /// From new to old.
    Down,
    /// From old to new.
    Up,
}

/// The newest stored place and its time: one query.
pub(crate) async fn head(link: &Link, room: &RoomId) -> Result<Option<Head>, StoreError> {
    let spans = heads(link, room, Direction::Down, u64::MAX).await?;
    let newest = spans.into_iter().max_by_key(|span| span.last);
    Ok(newest.map(|span| {
        let last = Position { epoch: span.epoch, seq: moim_protocol::Seq(span.last) };
        Head { last, time: span.time }
    }))
}

/// A page: one query for the heads, then one for each bucket it touches, so two or three in all. Within an epoch only the
/// rows that its head has are shown, so a batch that is being written shows no holes.
pub(crate) async fn page(
    link: &Link,
    room: &RoomId,
    range: PageRange,
    limit: usize,
) -> Result<Vec<Arc<Message>>, StoreError> {
    let (direction, from) = match range {
        PageRange::Newest => (Direction::Down, Some(schema::SEQ_MAX)),
        PageRange::Before(seq) => (Direction::Down, seq.0.checked_sub(1)),
        PageRange::After(seq) => (Direction::Up, seq.0.checked_add(1)),
    };
    let (Some(from), true) = (from, limit > 0) else { return Ok(Vec::new()) };
    let mut walk = Walk { link, room, direction, from, limit, rows: Vec::new(), bytes: 0, empty_buckets: 0 };
    walk.over_epochs().await?;
    let rows = walk.rows.into_iter().map(Ok::<_, Infallible>);
    let mut page: Vec<_> = within_page_bytes(rows).flatten().collect();
    if direction == Direction::Down {
        page.reverse();
    }
    Ok(page)
}

struct Walk<'a> {
    link: &'a Link,
    room: &'a RoomId,
    direction: Direction,
    /// The next number that may come.
    from: u64,
    limit: usize,
    rows: Vec<Arc<Message>>,
    bytes: usize,
    empty_buckets: u32,
}

impl Walk<'_> {
    async fn over_epochs(&mut self) -> Result<(), StoreError> {
        loop {
            let mut spans = heads(self.link, self.room, self.direction, self.from).await?;
            let next_base = cut_off(self.room, &mut spans)?;
            match self.direction {
                Direction::Down => spans.sort_unstable_by_key(|span| std::cmp::Reverse(span.last)),
                Direction::Up => spans.sort_unstable_by_key(|span| span.first),
            }
            for span in &spans {
                self.over_buckets(span).await?;
                if self.is_full() {
                    return Ok(());
                }
            }
            let Some(next_base) = next_base else { return Ok(()) };
            // The base that was cut off is read anew, from its far end.
            self.from = match self.direction {
                Direction::Down => self.from.min(next_base | (u64::from(u32::MAX))),
                Direction::Up => self.from.max(next_base),
            };
        }
    }

    async fn over_buckets(&mut self, span: &Span) -> Result<(), StoreError> {
        loop {
            let Some((low, high)) = self.next_numbers(span) else { return Ok(()) };
            self.read(span, low, high).await?;
            if self.is_full() {
                return Ok(());
            }
            self.from = match self.direction {
                // Below zero is nothing: a span that begins there has been read, and it is the last.
                Direction::Down if low == 0 => return Ok(()),
                Direction::Down => low - 1,
                Direction::Up => high + 1,
            };
        }
    }

    /// What is left of the span in the bucket of `from`, both ends included.
    fn next_numbers(&self, span: &Span) -> Option<(u64, u64)> {
        let (low, high) = match self.direction {
            Direction::Down => {
                let high = span.last.min(self.from);
                (span.first.max(schema::bucket_first(high)), high)
            }
            Direction::Up => {
                let low = span.first.max(self.from);
                (low, span.last.min(schema::bucket_last(low)))
            }
        };
        (span.first <= high && low <= span.last && low <= high).then_some((low, high))
    }

    /// The rows of one bucket, as many as the page has space for.
    async fn read(&mut self, span: &Span, mut low: u64, mut high: u64) -> Result<(), StoreError> {
        let per_query = (QUERY_BYTES_MAX / span.row_bytes_max.max(1)).max(1);
        let before = self.rows.len();
        loop {
            let wanted = (self.limit - self.rows.len()).min(per_query);
            let came = self.query(low, high, wanted).await?;
            if came < wanted || self.is_full() {
                break;
            }
            let Some(last) = self.rows.last().map(|row| row.seq.0) else { break };
            match self.direction {
                Direction::Down if last > low => high = last - 1,
                Direction::Up if last < high => low = last + 1,
                _ => break,
            }
        }
        self.empty_buckets = if self.rows.len() == before { self.empty_buckets + 1 } else { 0 };
        if self.empty_buckets > EMPTY_BUCKETS_MAX {
            let (room, from) = (self.room, self.from);
            let why = format!(
                "room {room:?} has more than {EMPTY_BUCKETS_MAX} empty buckets in a row at number {from}"
            );
            return Err(StoreError::Unavailable(why));
        }
        Ok(())
    }

    async fn query(&mut self, low: u64, high: u64, wanted: usize) -> Result<usize, StoreError> {
        let statement = match self.direction {
            Direction::Down => &self.link.statements.rows_down,
            Direction::Up => &self.link.statements.rows_up,
        };
        let limit = i32::try_from(wanted).unwrap_or(i32::MAX);
        let bucket = bigint(schema::bucket(low));
        let values = (self.room.as_str(), bucket, bigint(low), bigint(high), limit);
        let result = execute(&self.link.session, statement, values).await?;
        let mut came = 0;
        for read in rows::<RowRead<'_>>(&result)? {
            let row = read?.message(self.room);
            came += 1;
            self.bytes += row.weight_bytes();
            self.rows.push(row);
        }
        Ok(came)
    }

    fn is_full(&self) -> bool {
        self.rows.len() >= self.limit || self.bytes > PAGE_BYTES_MAX
    }
}

/// The heads of a room's epochs from a number on, nearest first, [`HEADS_PER_READ`] at most.
async fn heads(link: &Link, room: &RoomId, direction: Direction, from: u64) -> Result<Vec<Span>, StoreError> {
    let statement = match direction {
        Direction::Down => &link.statements.heads_down,
        Direction::Up => &link.statements.heads_up,
    };
    let limit = i32::try_from(HEADS_PER_READ).unwrap_or(i32::MAX);
    let values = (room.as_str(), bigint(schema::epoch_base(from)), limit);
    let result = execute(&link.session, statement, values).await?;
    rows::<HeadRead>(&result)?.map(|read| read.map(Span::from)).collect()
}

/// Where there may be more heads than were read: takes out those of the farthest base, of which some may be missing, and
/// says which it is.
fn cut_off(room: &RoomId, spans: &mut Vec<Span>) -> Result<Option<u64>, StoreError> {
    if spans.len() < HEADS_PER_READ {
        return Ok(None);
    }
    let farthest = spans.last().map(|span| span.base);
    spans.retain(|span| Some(span.base) != farthest);
    if spans.is_empty() {
        let why = format!("room {room:?} has {HEADS_PER_READ} epochs or more within 2^32 numbers");
        return Err(StoreError::Unavailable(why));
    }
    Ok(farthest)
}

pub(crate) async fn execute(
    session: &Session,
    statement: &PreparedStatement,
    values: impl SerializeRow,
) -> Result<QueryRowsResult, StoreError> {
    let result = session.execute_unpaged(statement, values).await.map_err(|error| failure::away(&error))?;
    result.into_rows_result().map_err(|error| unreadable(&error))
}

/// Typed rows, in the order they came.
pub(crate) fn rows<'a, R: DeserializeRow<'a, 'a>>(
    result: &'a QueryRowsResult,
) -> Result<impl Iterator<Item = Result<R, StoreError>>, StoreError> {
    let rows = result.rows::<R>().map_err(|error| unreadable(&error))?;
    Ok(rows.map(|row| row.map_err(|error| unreadable(&error))))
}

fn unreadable(error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Unavailable(format!("what Cassandra answered cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use moim_protocol::{Epoch, Timestamp};

    use super::*;

    fn span(base: u64, epoch: usize) -> Span {
        let (epoch, time) = (Epoch::trusted(format!("e{epoch}")), Timestamp { micros: 0 });
        Span { base: base << 32, epoch, first: base << 32, last: base << 32, time, row_bytes_max: 1 }
    }

    #[test]
    fn a_base_that_may_be_cut_off_is_read_again() {
        let room = RoomId::trusted("방");
        let mut few: Vec<_> = (0..HEADS_PER_READ - 1).map(|nth| span(9, nth)).collect();
        assert_eq!(cut_off(&room, &mut few).unwrap(), None);
        assert_eq!(few.len(), HEADS_PER_READ - 1);
        let mut many: Vec<_> = (0..HEADS_PER_READ).map(|nth| span(9 - nth as u64 / 32, nth)).collect();
        assert_eq!(cut_off(&room, &mut many).unwrap(), Some(8 << 32));
        assert_eq!(many.len(), 32);
        let mut all: Vec<_> = (0..HEADS_PER_READ).map(|nth| span(9, nth)).collect();
        assert!(cut_off(&room, &mut all).is_err());
    }
}
