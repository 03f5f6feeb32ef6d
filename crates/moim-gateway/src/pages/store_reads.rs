//! Pages of the store, each read once for all who ask for it at the same time or soon after.
//! Not here: what is asked of it (`pages`).

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
use quick_cache::{Weighter, sync::Cache};
use tokio::{sync::oneshot, time::timeout};

use crate::{metrics::Metrics, spawn::Spawner};

/// How long the store may take for one page before the answer goes out incomplete.
const STORE_TIMEOUT: Duration = Duration::from_secs(3);
/// Shared reads on their way at once. Full: the page is answered as incomplete.
const READS_MAX: usize = 1024;
/// Bytes of pages kept for whoever asks next. Full: those that are asked for least go.
pub(super) const PAGES_KEPT_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Pages kept at the same time, about.
const PAGES_KEPT_MAX: usize = 4096;
/// What a kept page costs beside its rows, at least.
const PAGE_COST: u64 = 512;

type Page = Arc<Vec<Arc<Message>>>;
type Read = Shared<BoxFuture<'static, Option<Page>>>;
/// Room, the [`Ring::version`](moim_bus::Ring::version) under which it is read, and below which number.
type Key = (RoomId, u64, Seq);

/// Of what a ring says, what holds for pages of the store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) stored: Seq,
    pub(crate) version: u64,
}

#[derive(Clone)]
struct Bytes;

impl Weighter<Key, Page> for Bytes {
    fn weight(&self, _: &Key, page: &Page) -> u64 {
        PAGE_COST + page.iter().map(|row| row.weight_bytes() as u64).sum::<u64>()
    }
}

/// The store as pages read it.
pub(crate) struct StoreReads {
    store: Arc<dyn MessageStore>,
    metrics: Arc<Metrics>,
    spawner: Spawner,
    /// A std mutex: never held across an await; sections look up one entry.
    on_their_way: Mutex<HashMap<Key, Read>>,
    kept: Cache<Key, Page, Bytes>,
}

impl StoreReads {
    pub(crate) fn new(store: Arc<dyn MessageStore>, metrics: Arc<Metrics>, spawner: Spawner) -> Arc<Self> {
        let kept = Cache::with_weighter(PAGES_KEPT_MAX, PAGES_KEPT_BYTES_MAX, Bytes);
        Arc::new(Self { store, metrics, spawner, on_their_way: Mutex::default(), kept })
    }

    /// Rows below a number, at most a hundred, the newest there are, oldest first; none only when there are none. `None` when
    /// the store cannot be asked in time.
    ///
    /// Only for numbers up to the one after `stored`, of a ring that was read for this request: what lies below does not
    /// change while the ring's version is the same, so a read that began earlier finds the same. Pages end at round
    /// numbers where they can, and are sliced: then all who ask share them, wherever they stand and whatever their limit.
    ///
    /// # Cancel safety
    /// Safe: the read goes on in a task of its own for the others who wait for it.
    pub(crate) async fn below(self: &Arc<Self>, room: &RoomId, below: Seq, seen: Seen) -> Option<Page> {
        if below <= Seq::ZERO.next() {
            return Some(Page::default());
        }
        let round = below.0.saturating_sub(1).next_multiple_of(limits::PAGE_LIMIT_MAX as u64);
        if round <= seen.stored.0 {
            let page = self.shared((room.clone(), seen.version, Seq(round).next())).await?;
            let end = page.partition_point(|row| row.seq < below);
            if end > 0 || page.is_empty() {
                return Some(if end == page.len() { page } else { Arc::new(page[..end].to_vec()) });
            }
            // Cut by its bytes, it does not reach down to what is asked for.
        }
        self.shared((room.clone(), seen.version, below)).await
    }

    async fn shared(self: &Arc<Self>, key: Key) -> Option<Page> {
        if let Some(page) = self.kept.get(&key) {
            self.metrics.pages_coalesced.inc();
            return Some(page);
        }
        let read = self.join_or_start(key)?;
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
            let rows = this.once(&key.0, PageRange::Before(key.2), limits::PAGE_LIMIT_MAX).await;
            let page = rows.map(Arc::new);
            if let Some(page) = &page {
                // Before it is off the way, so that nobody reads it in between.
                this.kept.insert(key.clone(), page.clone());
            }
            this.on_their_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
            if answer.send(page).is_err() {
                tracing::trace!(room = %key.0, "nobody waits for a page any more");
            }
        });
        Some(read)
    }

    #[cfg(test)]
    pub(super) fn kept_bytes(&self) -> u64 {
        self.kept.weight()
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
