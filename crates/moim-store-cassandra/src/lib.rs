//! The store over Apache Cassandra or Scylla: rooms in buckets, written without a read before, read at LOCAL_QUORUM.
//! Not here: the promise itself (`moim-store`), choosing between stores (`moim`), spawning the driver (`moim-gateway`).

mod append;
mod breaker;
mod config;
mod driver;
mod failure;
mod loads;
mod metrics;
mod migrate;
mod page;
mod row;
mod schema;
mod session;
mod shared;
mod tls;

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use futures_util::future::BoxFuture;
use moim_protocol::{Epoch, Message, RoomId};
use moim_store::{Head, MessageStore, PageRange, StoreError};
use tokio::sync::{Semaphore, mpsc, oneshot};

pub use config::CassandraConfig;
pub use driver::CassandraDriver;
pub use metrics::StoreMetrics;
pub use migrate::{MigrateError, Report, migrate};

use crate::{
    loads::{Ask, PageKey},
    session::Link,
    shared::Shared,
};

/// Pages asked for and not yet answered. Full: `Unavailable` at once; the gateway shares one page among all who join a room,
/// so these are as many different pages.
const PAGES_WAITING_MAX: usize = 4096;

/// Keeps messages in a cluster.
///
/// It is there at once, whether the cluster is or not: until its driver has connected, every call answers `Unavailable` and
/// says what is being tried. Dropping it without [`close`](MessageStore::close) loses nothing that was answered.
pub struct CassandraStore {
    shared: Arc<Shared>,
    asks: mpsc::Sender<Ask>,
    places: Arc<Semaphore>,
    reads: Semaphore,
    writes: Semaphore,
}

impl CassandraStore {
    /// A store, and the driver that must run for it to be of use. Nothing is connected or checked here: settings that
    /// [`CassandraConfig::validate`] finds fault with are told by every call.
    #[must_use]
    pub fn new(config: CassandraConfig, metrics: StoreMetrics) -> (Arc<Self>, CassandraDriver) {
        // Never full: each question has a place first.
        let (asks, asked) = mpsc::channel(PAGES_WAITING_MAX);
        let (reads, writes) = (config.reads_at_once_max as usize, config.writes_at_once_max as usize);
        let shared = Arc::new(Shared::new(config, metrics));
        let driver = CassandraDriver { shared: shared.clone(), asks: asked };
        let places = Arc::new(Semaphore::new(PAGES_WAITING_MAX));
        let store =
            Self { shared, asks, places, reads: Semaphore::new(reads), writes: Semaphore::new(writes) };
        (Arc::new(store), driver)
    }

    /// A read of one row, made by its caller; as many at once as pages.
    async fn read<T>(&self, work: impl AsyncFnOnce(&Link) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.shared.link()?;
        let _turn = self.reads.acquire().await.map_err(|_| shared::closed())?;
        self.shared.read(work).await
    }
}

/// The last generation of a partition and when it was written, in microseconds since 1970.
async fn generation(link: &Link, partition: u32) -> Result<Option<(Epoch, i64)>, StoreError> {
    let values = (i64::from(partition),);
    let result = page::execute(&link.session, &link.statements.generation, values).await?;
    let row = page::rows::<(&str, i64)>(&result)?.next().transpose()?;
    Ok(row.map(|(epoch, written_at)| (Epoch::trusted(epoch), written_at)))
}

/// Written after what is there, also where the clock that wrote that one is ahead of ours: the later call wins.
async fn set_generation(link: &Link, partition: u32, epoch: &Epoch) -> Result<(), StoreError> {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX);
    let before = generation(link, partition).await?;
    let written_at = before.map_or(now, |(_, before)| now.max(before.saturating_add(1)));
    let values = (i64::from(partition), epoch.as_str(), written_at);
    let written = link.session.execute_unpaged(&link.statements.set_generation, values).await;
    written.map(drop).map_err(|error| failure::away(&error))
}

impl MessageStore for CassandraStore {
    fn append(&self, rows: Vec<Arc<Message>>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let at_once = self.shared.config.writes_at_once_max as usize;
            let append = async |link: &Link| append::append(link, &rows, &self.writes, at_once).await;
            self.shared.write(append).await
        })
    }

    fn head<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<Option<Head>, StoreError>> {
        Box::pin(self.read(async |link| page::head(link, room).await))
    }

    fn page<'a>(
        &'a self,
        room: &'a RoomId,
        range: PageRange,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Arc<Message>>, StoreError>> {
        Box::pin(async move {
            self.shared.link()?;
            let full = |_| {
                StoreError::Unavailable(format!("{PAGES_WAITING_MAX} pages are waiting to be read already"))
            };
            let place = self.places.clone().try_acquire_owned().map_err(full)?;
            let (answer, answered) = oneshot::channel();
            let key = PageKey::new(room.clone(), range, limit);
            let not_running = || StoreError::Unavailable("its driver has ended; start moim again".to_owned());
            let ask = Ask { key, answer, place: Some(place) };
            self.asks.try_send(ask).map_err(|_| not_running())?;
            // Without an answer the driver has ended: because the store was closed, or on its own.
            answered.await.unwrap_or_else(|_| Err(self.shared.link().err().unwrap_or_else(not_running)))
        })
    }

    fn generation(&self, partition: u32) -> BoxFuture<'_, Result<Option<Epoch>, StoreError>> {
        Box::pin(async move {
            let kept = self.read(async |link| generation(link, partition).await).await?;
            Ok(kept.map(|(epoch, _)| epoch))
        })
    }

    fn set_generation(&self, partition: u32, epoch: Epoch) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let write = async |link: &Link| set_generation(link, partition, &epoch).await;
            self.shared.write(write).await
        })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            // What was answered is with the cluster already. Calls on their way end by themselves.
            self.shared.close();
            Ok(())
        })
    }
}
