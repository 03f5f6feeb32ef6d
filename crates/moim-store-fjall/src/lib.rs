//! The embedded store: messages in a folder beside the process, each answered only when it is fsynced.
//! Not here: the promise itself (`moim-store`), choosing between stores (`moim`).
//!
//! fjall is used without its `lz4`: it would shrink only what has sunk to the third level of files, a file written with it
//! cannot be read by a build without it, and compressing would fall to the one worker that also sorts what is new.

mod config;
mod files;
mod open_error;
mod row;
mod writer;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::Ordering,
        mpsc::{SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use futures_util::future::BoxFuture;
use moim_protocol::{Epoch, Message, RoomId, Seq};
use moim_store::{Head, MessageStore, PageRange, StoreError, within_page_bytes};
use tokio::sync::{Semaphore, oneshot};

pub use config::EmbeddedConfig;
pub use open_error::OpenError;

use crate::{
    files::Files,
    writer::{Job, Pair, Shared, Table, Work, Writer},
};

/// Shares of the queue to the writer. Full: the append's future waits.
const QUEUE_SHARES: u32 = 4096;
/// What one share stands for: an append takes one for each 16 KiB begun, so the queue holds 4,096 appends or 64 MiB,
/// whichever comes first. A larger append takes all shares, and so waits until it is alone.
const SHARE_BYTES: usize = 16 * 1024;
/// Reads at once. Full: the read's future waits. More would only queue at the disk, and fill tokio's blocking pool.
const READS_AT_ONCE_MAX: u32 = 32;
/// How long an append may take, waiting included, before it is told to come again. Hundreds of times what a sick disk needs;
/// there so that a disk that hangs is never answered with silence.
const APPEND_TIMEOUT: Duration = Duration::from_secs(10);

/// Keeps messages in a folder.
///
/// Appends that wait are joined into one commit with one fsync. Dropping it without [`close`](MessageStore::close) loses
/// nothing that was answered; what is still queued is written, then the folder is given free.
pub struct EmbeddedStore {
    files: Mutex<Option<Arc<Files>>>,
    shared: Arc<Shared>,
    jobs: SyncSender<Job>,
    queue: Arc<Semaphore>,
    reads: Arc<Semaphore>,
    closed: tokio::sync::Mutex<bool>,
}

impl EmbeddedStore {
    /// Opens the store in a folder, which is made when it is not there. Blocks: after a crash it reads the journal again,
    /// which takes a second or so.
    ///
    /// # Errors
    /// Says what is wrong, where, and what to do.
    pub fn open(config: EmbeddedConfig) -> Result<Self, OpenError> {
        let files = Arc::new(Files::open(&config)?);
        let shared = Arc::new(Shared::default());
        // One place more than there are shares: for the close.
        let (jobs, queue) = sync_channel(QUEUE_SHARES as usize + 1);
        let writer = Writer {
            files: files.clone(),
            jobs: queue,
            shared: shared.clone(),
            linger: config.commit_linger(),
            memtable_bytes: config.memtable_bytes,
            // What a start after a crash has read from the journal.
            unsealed_bytes: files.db.write_buffer_size(),
        };
        thread::Builder::new()
            .name("moim-store".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| OpenError::from_io(&config.path, error))?;
        Ok(Self {
            files: Mutex::new(Some(files)),
            shared,
            jobs,
            queue: Arc::new(Semaphore::new(QUEUE_SHARES as usize)),
            reads: Arc::new(Semaphore::new(READS_AT_ONCE_MAX as usize)),
            closed: tokio::sync::Mutex::new(false),
        })
    }

    /// Commits since it was opened, each with one fsync.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.shared.commits.load(Ordering::Relaxed)
    }

    /// Why nothing can be done any more.
    fn gone(&self) -> StoreError {
        StoreError::Broken(self.shared.broken.get().cloned().unwrap_or_else(|| "it was closed".to_owned()))
    }

    fn usable(&self) -> Result<(), StoreError> {
        if self.shared.broken.get().is_some() { Err(self.gone()) } else { Ok(()) }
    }

    async fn write(&self, pairs: Vec<Pair>) -> Result<(), StoreError> {
        self.usable()?;
        let bytes = pairs.iter().map(Pair::bytes).sum::<usize>();
        let shares = u32::try_from(bytes / SHARE_BYTES + 1).unwrap_or(QUEUE_SHARES).min(QUEUE_SHARES);
        let work = async {
            let share = self.queue.clone().acquire_many_owned(shares).await.map_err(|_| self.gone())?;
            self.hand_over(Work::Keep(pairs), Some(share)).await
        };
        tokio::time::timeout(APPEND_TIMEOUT, work).await.unwrap_or_else(|_| Err(late()))
    }

    async fn hand_over(
        &self,
        work: Work,
        share: Option<tokio::sync::OwnedSemaphorePermit>,
    ) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        // Never full: the shares see to that. So it fails only when the writer has ended.
        self.jobs.try_send(Job { work, answer, share }).map_err(|_| self.gone())?;
        answered.await.unwrap_or_else(|_| Err(self.gone()))
    }

    async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Files) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.usable()?;
        let turn = self.reads.clone().acquire_owned().await.map_err(|_| self.gone())?;
        let files = self.files().clone().ok_or_else(|| self.gone())?;
        let read = tokio::task::spawn_blocking(move || {
            let outcome = job(&files);
            // In this order: who holds all turns knows that no read holds the files.
            drop(files);
            drop(turn);
            outcome
        });
        read.await
            .unwrap_or_else(|error| Err(StoreError::Unavailable(format!("a read was cut off: {error}"))))
    }

    fn files(&self) -> std::sync::MutexGuard<'_, Option<Arc<Files>>> {
        // A std mutex: never held across an await, the critical section is one clone or take.
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn shut(&self) -> Result<(), StoreError> {
        let mut closed = self.closed.lock().await;
        if *closed {
            return Ok(());
        }
        // Nobody can queue behind this any more; what is queued is written first.
        self.queue.close();
        let closing = tokio::time::timeout(APPEND_TIMEOUT, self.hand_over(Work::Close, None)).await;
        let outcome = closing.unwrap_or_else(|_| Err(late()));
        if let Ok(turns) = self.reads.acquire_many(READS_AT_ONCE_MAX).await {
            self.reads.close();
            drop(turns);
        }
        let files = self.files().take();
        // Waits for fjall's worker, so not on this thread.
        tokio::task::spawn_blocking(move || drop(files)).await.ok();
        *closed = true;
        outcome
    }
}

fn late() -> StoreError {
    let seconds = APPEND_TIMEOUT.as_secs();
    StoreError::Unavailable(format!("a write took longer than {seconds} s; the disk may be hanging"))
}

fn unreadable(room: &RoomId, error: &fjall::Error) -> StoreError {
    StoreError::Broken(format!("rows of room {room:?} cannot be read: {error}"))
}

fn read_head(files: &Files, room: &RoomId) -> Result<Option<Head>, StoreError> {
    let Some(newest) = files.messages.range(row::keys(room, Seq::ZERO, Seq(u64::MAX))?).next_back() else {
        return Ok(None);
    };
    let (key, value) = newest.into_inner().map_err(|error| unreadable(room, &error))?;
    let newest = row::message(room, &key, &value)?;
    Ok(Some(Head { last: newest.position(), time: newest.time }))
}

fn read_page(
    files: &Files,
    room: &RoomId,
    range: PageRange,
    limit: usize,
) -> Result<Vec<Arc<Message>>, StoreError> {
    let (from, to) = match range {
        PageRange::Newest => (0, Some(u64::MAX)),
        PageRange::Before(seq) => (0, seq.0.checked_sub(1)),
        PageRange::After(seq) => match seq.0.checked_add(1) {
            Some(from) => (from, Some(u64::MAX)),
            None => return Ok(Vec::new()),
        },
    };
    let Some(to) = to else { return Ok(Vec::new()) };
    let rows = files.messages.range(row::keys(room, Seq(from), Seq(to))?);
    let decode = |guard: fjall::Guard| {
        let (key, value) = guard.into_inner().map_err(|error| unreadable(room, &error))?;
        row::message(room, &key, &value)
    };
    if let PageRange::After(_) = range {
        return within_page_bytes(rows.take(limit).map(decode)).collect();
    }
    let newest_first = within_page_bytes(rows.rev().take(limit).map(decode));
    let mut page = newest_first.collect::<Result<Vec<_>, _>>()?;
    page.reverse();
    Ok(page)
}

fn read_generation(files: &Files, partition: u32) -> Result<Option<Epoch>, StoreError> {
    let fail = |cause: String| StoreError::Broken(format!("generation {partition} cannot be read: {cause}"));
    let stored = files.meta.get(row::generation_key(partition)).map_err(|error| fail(error.to_string()))?;
    let Some(bytes) = stored else { return Ok(None) };
    let text = std::str::from_utf8(&bytes).map_err(|error| fail(error.to_string()))?;
    Ok(Some(Epoch::trusted(text)))
}

impl MessageStore for EmbeddedStore {
    fn append(&self, rows: Vec<Arc<Message>>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let pair = |message: &Arc<Message>| {
                let (key, value) = (row::key(&message.room, message.seq)?, row::value(message)?);
                Ok(Pair { table: Table::Messages, key, value })
            };
            self.write(rows.iter().map(pair).collect::<Result<_, StoreError>>()?).await
        })
    }

    fn head<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<Option<Head>, StoreError>> {
        let room = room.clone();
        Box::pin(self.read(move |files| read_head(files, &room)))
    }

    fn page<'a>(
        &'a self,
        room: &'a RoomId,
        range: PageRange,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Arc<Message>>, StoreError>> {
        let room = room.clone();
        Box::pin(self.read(move |files| read_page(files, &room, range, limit)))
    }

    fn generation(&self, partition: u32) -> BoxFuture<'_, Result<Option<Epoch>, StoreError>> {
        Box::pin(self.read(move |files| read_generation(files, partition)))
    }

    fn set_generation(&self, partition: u32, epoch: Epoch) -> BoxFuture<'_, Result<(), StoreError>> {
        let (key, value) = (row::generation_key(partition), epoch.as_str().as_bytes().to_vec());
        Box::pin(self.write(vec![Pair { table: Table::Meta, key, value }]))
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.shut())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_damaged_row_is_named_and_harms_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let config = EmbeddedConfig::at(folder.path());
        let (bad, good) = (RoomId::trusted("bad"), RoomId::trusted("good"));
        let files = Files::open(&config).unwrap();
        files.messages.insert(row::key(&bad, Seq(5)).unwrap(), [1, 1, 1]).unwrap();
        files.db.persist(fjall::PersistMode::SyncAll).unwrap();
        drop(files);

        let store = EmbeddedStore::open(config).unwrap();
        let error = store.page(&bad, PageRange::Newest, 10).await.unwrap_err();
        assert!(matches!(error, StoreError::Broken(_)), "{error}");
        assert!(error.to_string().contains("row 5 of room \"bad\" cannot be read"), "{error}");
        assert_eq!(store.head(&bad).await.unwrap_err(), error);
        assert_eq!(store.head(&good).await.unwrap(), None);
    }

    /// Sealed by fjall's own request at each commit, this comes to a stop and holds all that is appended: see `NEVER`.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn memory_stays_bounded_under_steady_writing() {
        const MIB: u64 = 1024 * 1024;
        let folder = tempfile::tempdir().unwrap();
        let config = EmbeddedConfig { memtable_bytes: 2 * MIB, ..EmbeddedConfig::at(folder.path()) };
        let store = EmbeddedStore::open(config).unwrap();
        let row = |nth: u64, bytes: usize| {
            let room = RoomId::trusted(format!("room-{}", nth % 40));
            Arc::new(row::tests::sample(room, Seq(nth), &"x".repeat(bytes)))
        };
        // So much that sorting it takes longer than a thousand commits.
        for round in 0..200 {
            store.append((0..10).map(|nth| row(round * 10 + nth, 100_000)).collect()).await.unwrap();
        }
        for round in 1_000..3_000_u64 {
            let rows = (0..4).map(|nth| store.append(vec![row(round * 4 + nth, 6_000)]));
            futures_util::future::try_join_all(rows).await.unwrap();
            let held = store.files().as_ref().unwrap().db.write_buffer_size();
            // Five memtables, the commits that took them over their size, and fjall's share for each row.
            assert!(held < 14 * MIB, "{} KiB held after {round} rounds", held / 1024);
        }
    }
}
