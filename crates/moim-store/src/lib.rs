//! The promise of a message store: what it keeps, how a page is read, what an error means. And the store in memory.
//! Not here: the embedded store (`moim-store-fjall`), whether a page is complete (`moim-gateway`'s pages).

#[cfg(feature = "conformance")]
pub mod conformance;
mod memory;
mod none;

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use moim_protocol::{Epoch, Message, Position, RoomId, Seq, Timestamp};

pub use memory::{MemoryConfig, MemoryStore};
pub use none::NoStore;

/// Keeps messages for good, by room and number.
///
/// A row is a whole [`Message`]; its key is (room, seq). The bus gives numbers and never uses one twice, so a row is
/// never changed by another writer, only written again by a replay.
pub trait MessageStore: Send + Sync + 'static {
    /// Keeps these rows. When it answers `Ok`, every one of them survives kill -9 and power loss of this process's host
    /// (embedded) or of any one node (cluster): `conformance::append_is_read_back`.
    ///
    /// Idempotent: the same rows again, whole or in part, change nothing (`conformance::append_twice_is_once`). Rows of
    /// many rooms may come in one call; within a room they come in rising order. After an error any of them may have been
    /// kept; the caller appends the same rows again until it succeeds.
    ///
    /// # Cancel safety
    /// Dropping the future may or may not keep the rows, as with an error.
    fn append(&self, rows: Vec<Arc<Message>>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// The room's newest row's place and time; `None` for a room that was never stored
    /// (`conformance::head_is_the_newest_row`).
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    fn head<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<Option<Head>, StoreError>>;

    /// At most `limit` rows of the room in the range, those nearest to its cursor, **oldest first**; fewer when they would
    /// be more than [`PAGE_BYTES_MAX`], but never none where there are some (`conformance::pages_are_bounded_in_bytes`)
    /// (`conformance::pages_meet_without_hole_or_overlap`, over epoch jumps too). A row whose append was answered before
    /// the page was asked for is never missing (`conformance::append_is_read_back`).
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    fn page<'a>(
        &'a self,
        room: &'a RoomId,
        range: PageRange,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Arc<Message>>, StoreError>>;

    /// The generation that was last recorded for a partition; `None` before the first
    /// (`conformance::generation_is_kept_per_partition`).
    fn generation(&self, partition: u32) -> BoxFuture<'_, Result<Option<Epoch>, StoreError>>;

    /// Records a partition's generation, as durable as a row.
    fn set_generation(&self, partition: u32, epoch: Epoch) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Everything appended is durable and nothing more is taken: for a clean stop.
    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// Bytes of a page's rows ([`Message::weight_bytes`]); one row larger than that comes alone. A hundred messages of a
/// mebibyte each, asked for by a hundred clients, must not be ten gibibytes.
pub const PAGE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The first rows that together stay within a page's bytes; for stores that read row by row.
pub fn within_page_bytes<E>(
    rows: impl Iterator<Item = Result<Arc<Message>, E>>,
) -> impl Iterator<Item = Result<Arc<Message>, E>> {
    let mut bytes = 0;
    rows.take_while(move |row| {
        let first = bytes == 0;
        bytes += row.as_ref().map_or(0, |row| row.weight_bytes());
        first || bytes <= PAGE_BYTES_MAX
    })
}

/// Where a page lies. Cursors are exclusive and need not be numbers that exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageRange {
    /// The newest rows.
    Newest,
    /// The newest rows below this number.
    Before(Seq),
    /// The oldest rows above this number.
    After(Seq),
}

/// The newest row of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its place.
    pub last: Position,
    /// Its time.
    pub time: Timestamp,
}

/// Why a store did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, is too slow, or is at its bound. The same call later may succeed.
    #[error("the store is away: {0}")]
    Unavailable(String),
    /// It will never take one of these rows, because of what the row is, not of how the store is. Alone in a call, that
    /// row is a dead letter; among others, each must be tried alone.
    #[error("the store refuses a row: {0}")]
    Refused(String),
    /// It can do nothing more until the process starts again: closed, or its files are broken.
    #[error("the store is broken: {0}")]
    Broken(String),
    /// There is none, and none was wanted: history is what the bus holds.
    #[error("there is no store (store.kind = \"none\")")]
    Absent,
}

/// What to do after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The same call again, not before this long.
    After(Duration),
    /// The same rows one by one, and without the one that is refused alone.
    OneByOne,
    /// Nothing helps but a restart.
    Never,
}

impl StoreError {
    /// What to do next.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Unavailable(_) => Retry::After(Duration::from_millis(500)),
            Self::Refused(_) => Retry::OneByOne,
            Self::Broken(_) | Self::Absent => Retry::Never,
        }
    }
}
