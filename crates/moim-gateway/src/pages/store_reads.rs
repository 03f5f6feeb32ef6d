//! Pages of the store, each read once for all who ask for it at the same time.
//! Not here: what is asked of it (`pages`), caches: a page is forgotten when it was given out.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use moim_protocol::{Message, RoomId, Seq, limits};
use moim_store::{MessageStore, PageRange};
use tokio::{sync::oneshot, time::timeout};

use crate::{metrics::Metrics, spawn::Spawner};

/// How long the store may take for one page before the answer goes out incomplete.
const STORE_TIMEOUT: Duration = Duration::from_secs(3);
/// Shared reads on their way at once. Full: the page is answered as incomplete.
const READS_MAX: usize = 1024;

type Rows = Option<Arc<Vec<Arc<Message>>>>;
type Read = Shared<BoxFuture<'static, Rows>>;
type Key = (RoomId, Seq);

/// The store as pages read it.
pub(crate) struct StoreReads {
    store: Arc<dyn MessageStore>,
    metrics: Arc<Metrics>,
    spawner: Spawner,
    /// A std mutex: never held across an await; sections look up one entry.
    on_their_way: Mutex<HashMap<Key, Read>>,
}

impl StoreReads {
    pub(crate) fn new(store: Arc<dyn MessageStore>, metrics: Arc<Metrics>, spawner: Spawner) -> Arc<Self> {
        Arc::new(Self { store, metrics, spawner, on_their_way: Mutex::default() })
    }

    /// The newest rows below a number, at most a hundred, oldest first; `None` when the store cannot be asked in time.
    ///
    /// Only for numbers at or below the first row of a ring that was read for this request: what lies below does not
    /// change, so a read that began earlier finds the same. Whatever limit was asked for, the whole page is read, and
    /// sliced by the caller: then all of them share it.
    ///
    /// # Cancel safety
    /// Safe: the read goes on in a task of its own for the others who wait for it.
    pub(crate) async fn below(self: &Arc<Self>, room: &RoomId, before: Seq) -> Rows {
        let read = self.join_or_start((room.clone(), before))?;
        read.await
    }

    fn join_or_start(self: &Arc<Self>, key: Key) -> Option<Read> {
        let mut reads = self.on_their_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(read) = reads.get(&key) {
            self.metrics.pages_coalesced.inc();
            return Some(read.clone());
        }
        if reads.len() >= READS_MAX {
            tracing::warn!(room = %key.0, "the store has as many pages to read as it may have");
            return None;
        }
        let (answer, answered) = oneshot::channel();
        let read: Read = answered.map(|answer| answer.ok().flatten()).boxed().shared();
        reads.insert(key.clone(), read.clone());
        let this = self.clone();
        self.spawner.spawn(async move {
            let rows = this.once(&key.0, PageRange::Before(key.1), limits::PAGE_LIMIT_MAX).await;
            this.on_their_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
            if answer.send(rows.map(Arc::new)).is_err() {
                tracing::trace!(room = %key.0, "nobody waits for a page any more");
            }
        });
        Some(read)
    }

    /// One read for one request; `None` when the store cannot be asked in time.
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    pub(crate) async fn once(
        &self,
        room: &RoomId,
        range: PageRange,
        limit: usize,
    ) -> Option<Vec<Arc<Message>>> {
        self.metrics.store_reads.inc();
        match timeout(STORE_TIMEOUT, self.store.page(room, range, limit)).await {
            Ok(Ok(rows)) => Some(rows),
            Ok(Err(moim_store::StoreError::Absent)) => None,
            Ok(Err(error)) => {
                tracing::warn!(%room, %error, "page could not be read from the store");
                None
            }
            Err(_) => {
                tracing::warn!(%room, "the store took too long for a page");
                None
            }
        }
    }
}
