//! No store, for those who want no database: history is as deep as what the bus holds.
//! Not here: that nobody is promised `stored` then (the bus is told so at its start).

use std::sync::Arc;

use futures_util::future::{self, BoxFuture, FutureExt};
use moim_protocol::{Epoch, Message, RoomId};

use crate::{Head, MessageStore, PageRange, StoreError};

/// Keeps nothing, and says so whenever it is asked.
///
/// Rows are taken and forgotten, so that the log they come from is not kept for ever. Every read is [`StoreError::Absent`]
/// and never an empty answer, which would say that a room is new or a page whole.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoStore;

fn absent<T: Send + 'static>() -> BoxFuture<'static, Result<T, StoreError>> {
    future::ready(Err(StoreError::Absent)).boxed()
}

fn done() -> BoxFuture<'static, Result<(), StoreError>> {
    future::ready(Ok(())).boxed()
}

impl MessageStore for NoStore {
    fn append(&self, _rows: Vec<Arc<Message>>) -> BoxFuture<'_, Result<(), StoreError>> {
        done()
    }

    fn head<'a>(&'a self, _room: &'a RoomId) -> BoxFuture<'a, Result<Option<Head>, StoreError>> {
        absent()
    }

    fn page<'a>(
        &'a self,
        _room: &'a RoomId,
        _range: PageRange,
        _limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Arc<Message>>, StoreError>> {
        absent()
    }

    fn generation(&self, _partition: u32) -> BoxFuture<'_, Result<Option<Epoch>, StoreError>> {
        absent()
    }

    fn set_generation(&self, _partition: u32, _epoch: Epoch) -> BoxFuture<'_, Result<(), StoreError>> {
        done()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        done()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_says_that_a_room_is_empty() {
        let room = RoomId::trusted("r");
        assert_eq!(NoStore.append(Vec::new()).now_or_never(), Some(Ok(())));
        assert_eq!(NoStore.head(&room).now_or_never(), Some(Err(StoreError::Absent)));
        assert_eq!(NoStore.page(&room, PageRange::Newest, 1).now_or_never(), Some(Err(StoreError::Absent)));
        assert_eq!(NoStore.generation(0).now_or_never(), Some(Err(StoreError::Absent)));
    }
}
