//! The one thread that writes: it joins the appends that wait into one commit with one fsync, and then answers them all.
//! Not here: reads (`lib`), what the bytes mean (`row`).

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, TryRecvError},
    },
    time::{Duration, Instant},
};

use fjall::PersistMode;
use moim_store::StoreError;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::files::Files;

/// Rows from which on a commit takes no further append. An append is never split, so a commit may be one append larger.
const COMMIT_ROWS_MAX: usize = 1024;
/// Bytes from which on a commit takes no further append: what is written in some 10 ms, so that a large commit does not
/// delay the next by much.
const COMMIT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What the writer and the store both see.
#[derive(Default)]
pub(crate) struct Shared {
    /// Why nothing can be written any more; set once.
    pub(crate) broken: OnceLock<String>,
    /// Commits so far, each with one fsync.
    pub(crate) commits: AtomicU64,
}

/// One append, already encoded.
pub(crate) struct Job {
    pub(crate) work: Work,
    pub(crate) answer: oneshot::Sender<Result<(), StoreError>>,
    /// Its share of the queue, given back when it is answered.
    pub(crate) share: Option<OwnedSemaphorePermit>,
}

pub(crate) enum Work {
    Keep(Vec<Pair>),
    /// Sync, let go of the files, end.
    Close,
}

pub(crate) struct Pair {
    pub(crate) table: Table,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
}

#[derive(Clone, Copy)]
pub(crate) enum Table {
    Messages,
    Meta,
}

impl Pair {
    pub(crate) fn bytes(&self) -> usize {
        self.key.len() + self.value.len()
    }
}

pub(crate) struct Writer {
    pub(crate) files: Arc<Files>,
    pub(crate) jobs: Receiver<Job>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) linger: Duration,
    /// Bytes in the memtable at which it is sealed, to be sorted into a file.
    pub(crate) memtable_bytes: u64,
    /// Bytes written since it was sealed last.
    pub(crate) unsealed_bytes: u64,
}

/// Appends that are committed together.
#[derive(Default)]
struct Group {
    jobs: Vec<Job>,
    rows: usize,
    bytes: usize,
    /// The end of the queue was reached: nothing may be taken behind it.
    closing: Option<Job>,
}

impl Group {
    fn take(&mut self, job: Job) {
        match &job.work {
            Work::Keep(pairs) => {
                self.rows += pairs.len();
                self.bytes += pairs.iter().map(Pair::bytes).sum::<usize>();
                self.jobs.push(job);
            }
            Work::Close => self.closing = Some(job),
        }
    }

    fn full(&self) -> bool {
        self.rows >= COMMIT_ROWS_MAX || self.bytes >= COMMIT_BYTES_MAX || self.closing.is_some()
    }
}

impl Writer {
    /// Works until it is told to close, or the store is dropped and all that was queued is written.
    pub(crate) fn run(mut self) {
        let mut appends_before = 0;
        while let Ok(first) = self.jobs.recv() {
            let group = self.gather(first, appends_before);
            appends_before = group.jobs.len();
            let outcome = self.commit(&group.jobs);
            self.unsealed_bytes += group.bytes as u64;
            for job in group.jobs {
                // A caller that no longer waits is no fault.
                job.answer.send(outcome.clone()).ok();
                drop(job.share);
            }
            self.seal_when_large();
            if let Some(closing) = group.closing {
                let outcome = outcome.and_then(|()| self.guard(self.files.db.persist(PersistMode::SyncAll)));
                drop(self);
                closing.answer.send(outcome).ok();
                return;
            }
        }
    }

    /// The first append and everything already queued. Those answered by the last commit often come again at once, a
    /// little late for this one: when there were several, it waits a moment for as many.
    fn gather(&self, first: Job, appends_before: usize) -> Group {
        let mut group = Group::default();
        group.take(first);
        let deadline = Instant::now() + self.linger;
        while !group.full() {
            match self.jobs.try_recv() {
                Ok(job) => group.take(job),
                Err(TryRecvError::Disconnected) => break,
                Err(TryRecvError::Empty) => {
                    if appends_before < 2 || group.jobs.len() >= appends_before {
                        break;
                    }
                    match self.jobs.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                        Ok(job) => group.take(job),
                        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
                    }
                }
            }
        }
        group
    }

    fn commit(&self, jobs: &[Job]) -> Result<(), StoreError> {
        if let Some(why) = self.shared.broken.get() {
            return Err(StoreError::Broken(why.clone()));
        }
        let mut batch = self.files.db.batch().durability(Some(PersistMode::SyncData));
        // In order: when a key comes twice, the later one counts.
        for job in jobs {
            let Work::Keep(pairs) = &job.work else { continue };
            for pair in pairs {
                let table = match pair.table {
                    Table::Messages => &self.files.messages,
                    Table::Meta => &self.files.meta,
                };
                batch.insert(table, pair.key.as_slice(), pair.value.as_slice());
            }
        }
        if batch.is_empty() {
            return Ok(());
        }
        self.guard(batch.commit())?;
        self.shared.commits.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// After the answers, as none of them depends on it. Its failure fails the next commit.
    fn seal_when_large(&mut self) {
        if self.unsealed_bytes >= self.memtable_bytes
            && self.guard(self.files.messages.rotate_memtable()).is_ok()
        {
            self.unsealed_bytes = 0;
        }
    }

    /// After a failed write nobody knows what is on the disk, and a second fsync may lie: fjall takes nothing more, so
    /// every later call must hear of it.
    fn guard<T>(&self, outcome: fjall::Result<T>) -> Result<T, StoreError> {
        outcome.map_err(|error| {
            let why = format!(
                "writing to disk failed ({error}); nothing more is taken. Check disk space and disk, then start again"
            );
            tracing::error!(%error, "the embedded store is broken: a write failed");
            StoreError::Broken(self.shared.broken.get_or_init(|| why).clone())
        })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.shared.broken.get_or_init(|| "its writer has crashed; start moim again".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;
    use crate::EmbeddedConfig;

    #[test]
    fn of_two_writes_to_a_key_in_one_commit_the_later_counts() {
        let folder = tempfile::tempdir().unwrap();
        let config = EmbeddedConfig::at(folder.path());
        let files = Arc::new(Files::open(&config).unwrap());
        let (_, jobs) = sync_channel(1);
        let shared = Arc::default();
        let linger = Duration::ZERO;
        let writer = Writer { files, jobs, shared, linger, memtable_bytes: u64::MAX, unsealed_bytes: 0 };
        let job = |value: &str| {
            let pair = Pair { table: Table::Meta, key: b"key".to_vec(), value: value.into() };
            Job { work: Work::Keep(vec![pair]), answer: oneshot::channel().0, share: None }
        };
        writer.commit(&[job("first"), job("second"), job("third")]).unwrap();
        assert_eq!(&*writer.files.meta.get("key").unwrap().unwrap(), b"third");
        assert_eq!(writer.shared.commits.load(Ordering::Relaxed), 1);
        drop(writer);
        // The journal must tell the same.
        let files = Files::open(&config).unwrap();
        assert_eq!(&*files.meta.get("key").unwrap().unwrap(), b"third");
        // And so must the sorted file.
        files.meta.rotate_memtable_and_wait().unwrap();
        assert_eq!(&*files.meta.get("key").unwrap().unwrap(), b"third");
    }
}
