//! The write-ahead log of one partition, as its lease holder drains it.
//! Not here: who holds the lease (`nodes`), the store (`moim-gateway`'s writer).

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{FutureExt, future::BoxFuture};
use moim_bus::{BusError, StoreState, WriteAhead};
use moim_protocol::{Epoch, Message, MessageId, RoomId, Seq};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

use crate::{
    event,
    inner::Inner,
    link::{Args, CallError, Over},
    lock::locked,
    nodes::PARTITION_LEASE,
    partition::Partition,
    store_view::Mark,
    tail::LogId,
};

/// How long a reader of an empty log waits for the doorbell, which may be lost.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// The same while the bus is closed and everybody waits for the end.
const LOOK_AGAIN_CLOSED: Duration = Duration::from_millis(50);
/// Between two tries of a call that failed.
const RETRY: Duration = Duration::from_millis(100);

/// The logs this node drains, and how the gateway comes to know of them.
pub(crate) struct Held {
    /// A std mutex: never held across an await.
    state: Mutex<HeldState>,
    sender: mpsc::Sender<Arc<dyn WriteAhead>>,
}

#[derive(Default)]
struct HeldState {
    logs: HashMap<u32, Arc<PartitionLog>>,
    /// Partitions whose lease nobody had when it was last looked at.
    free: HashSet<u32>,
}

impl Held {
    pub(crate) fn new(sender: mpsc::Sender<Arc<dyn WriteAhead>>) -> Self {
        Self { state: Mutex::default(), sender }
    }

    fn lock(&self) -> MutexGuard<'_, HeldState> {
        locked(&self.state)
    }

    pub(crate) fn holds(&self, partition: u32) -> bool {
        self.lock().logs.contains_key(&partition)
    }

    /// Nobody here drains what is not drained already: a lease of it would only keep others from it.
    pub(crate) fn takes_none(&self) -> bool {
        self.sender.is_closed()
    }

    pub(crate) fn count(&self) -> usize {
        self.lock().logs.len()
    }

    /// Age of the oldest message that was read from these logs and is not stored.
    pub(crate) fn oldest(&self) -> Duration {
        let logs: Vec<_> = self.lock().logs.values().cloned().collect();
        logs.iter().map(|log| log.age()).max().unwrap_or_default()
    }

    pub(crate) fn was_free(&self, partition: u32) -> bool {
        self.lock().free.contains(&partition)
    }

    pub(crate) fn seen_free(&self, partition: u32, is_free: bool) {
        let mut state = self.lock();
        if is_free {
            state.free.insert(partition);
        } else {
            state.free.remove(&partition);
        }
    }

    pub(crate) fn begin(&self, partition: u32, log: impl FnOnce() -> PartitionLog) {
        let mut state = self.lock();
        state.free.remove(&partition);
        if state.logs.contains_key(&partition) {
            return;
        }
        let log = Arc::new(log());
        // A gateway that stops takes none; as many fit as there are partitions.
        if self.sender.try_send(log.clone()).is_ok() {
            state.logs.insert(partition, log);
        }
    }

    /// The lease of this log is this node's for another while, since it was asked for.
    pub(crate) fn renewed(&self, partition: u32, asked: Instant) {
        if let Some(log) = self.lock().logs.get(&partition) {
            *locked(&log.renewed) = asked;
        }
    }

    /// This node drains it no more. Answers whether it did.
    pub(crate) fn end(&self, partition: u32) -> bool {
        let Some(log) = self.lock().logs.remove(&partition) else { return false };
        log.ended.store(true, Ordering::Release);
        log.partition().doorbell.notify_one();
        true
    }
}

/// One partition's log while this node has its lease.
pub(crate) struct PartitionLog {
    inner: Arc<Inner>,
    id: u32,
    ended: AtomicBool,
    is_away: AtomicBool,
    /// When Redis last said that the lease is this node's. A std mutex: never held across an await.
    renewed: Mutex<Instant>,
    /// An entry that could not be read, told once.
    unreadable: AtomicU64,
    /// What was read and is not committed, with its places.
    read: Mutex<Read>,
}

#[derive(Default)]
struct Read {
    epoch: Option<Epoch>,
    rows: VecDeque<(LogId, Arc<Message>)>,
}

impl PartitionLog {
    pub(crate) fn new(inner: Arc<Inner>, id: u32) -> Self {
        Self {
            inner,
            id,
            ended: AtomicBool::new(false),
            is_away: AtomicBool::new(false),
            renewed: Mutex::new(Instant::now()),
            unreadable: AtomicU64::new(0),
            read: Mutex::default(),
        }
    }

    fn partition(&self) -> &Arc<Partition> {
        &self.inner.partitions[self.id as usize]
    }

    fn lock(&self) -> MutexGuard<'_, Read> {
        locked(&self.read)
    }

    /// `None`: there is nothing, or it could not be asked.
    async fn first_of(&self, rows_max: usize, bytes_max: usize) -> Option<Vec<Arc<Message>>> {
        let opened = timeout(LOOK_AGAIN, self.partition().opened()).await;
        let epoch = opened.ok()?;
        let link = self.inner.map.link_of(self.id)?;
        let keys = [self.inner.keys.generation(self.id), self.inner.keys.log(self.id)];
        // The weight of a message is more than its bytes in the log.
        let args = Args::new().with(&epoch).with(rows_max.max(1)).with(bytes_max.min(READ_BYTES_MAX));
        let answered: Result<Vec<Vec<u8>>, _> = {
            let _turn = link.log_turns.acquire().await.ok()?;
            link.call_over(Over::Logs, &self.inner.scripts.read_log, &keys, args).await
        };
        let words = match answered {
            Ok(words) => words,
            Err(error) => {
                tracing::debug!(partition = self.id, %error, "the log cannot be read; trying again");
                sleep(RETRY).await;
                return None;
            }
        };
        if words.first().is_some_and(|word| word == b"stale") {
            self.inner.stale(self.partition(), &epoch);
            sleep(RETRY).await;
            return None;
        }
        // Up to the first that cannot be read: a commit trims all that is before the last row it is about.
        let rows: VecDeque<_> = words[1..].chunks(3).map_while(|entry| self.entry(entry)).collect();
        let mut bytes = 0;
        let fits = |row: &Arc<Message>| {
            let first = bytes == 0;
            bytes += row.weight_bytes();
            first || bytes <= bytes_max
        };
        let batch: Vec<_> =
            rows.iter().map(|(_, row)| row.clone()).take(rows_max.max(1)).take_while(fits).collect();
        // The writer may be the only one who knows them, if the publisher dies and Redis forgets.
        if !batch.iter().all(|row| self.partition().keep(&epoch, row, &self.inner.keys)) {
            return None;
        }
        *self.lock() = Read { epoch: Some(epoch), rows };
        (!batch.is_empty()).then_some(batch)
    }

    fn entry(&self, entry: &[Vec<u8>]) -> Option<(LogId, Arc<Message>)> {
        let [id, head, event] = entry else { return None };
        let id = std::str::from_utf8(id).ok()?.split_once('-')?.0.parse().ok()?;
        let room = self.inner.keys.room_of_head(std::str::from_utf8(head).ok()?)?;
        let row = event::decode(&room, event);
        if row.is_none() && self.unreadable.swap(id, Ordering::AcqRel) != id {
            tracing::error!(
                partition = self.id,
                id,
                "an entry of the log cannot be read: a newer node's? It stays there, and nothing after it is stored, until a \
                 node that can read it drains the log"
            );
        }
        Some((id, row?))
    }

    /// The bus is closed, and nothing of it is anywhere but in the store.
    fn is_over(&self) -> bool {
        self.inner.is_closed() && self.inner.is_flushed()
    }

    async fn commit_first(&self, first: &[Arc<Message>], dead: &[(RoomId, Seq)]) -> Result<(), BusError> {
        let Some((epoch, last)) = self.place_of(first) else {
            return Err(BusError::Unavailable("committed what is not the first of the log".into()));
        };
        let Some(link) = self.inner.map.link_of(self.id) else {
            return Err(BusError::Unavailable("the partition is nowhere".into()));
        };
        let dead: Vec<_> = {
            let read = self.lock();
            let is_dead = |row: &Message| dead.iter().any(|(room, seq)| *seq == row.seq && *room == row.room);
            read.rows.iter().take(first.len()).filter(|(_, row)| is_dead(row)).cloned().collect()
        };
        let (keys, args) = self.commit_words(&epoch, last, first, &dead);
        let answer: Result<String, CallError> = link.call(&self.inner.scripts.commit, &keys, args).await;
        match answer {
            Ok(answer) if answer == "ok" => {
                let mut read = self.lock();
                if read.epoch.as_ref() == Some(&epoch) {
                    while read.rows.front().is_some_and(|(id, _)| *id <= last) {
                        read.rows.pop_front();
                    }
                }
                Ok(())
            }
            Ok(_) => {
                self.inner.stale(self.partition(), &epoch);
                Err(BusError::Unavailable("the generation has ended; what was stored is stored again".into()))
            }
            Err(error) => Err(BusError::Unavailable(error.to_string())),
        }
    }

    /// The generation in which these are the first of what was read, and where the last of them stands.
    fn place_of(&self, first: &[Arc<Message>]) -> Option<(Epoch, LogId)> {
        let read = self.lock();
        let same = |((_, row), given): (&(LogId, Arc<Message>), &Arc<Message>)| Arc::ptr_eq(row, given);
        let are_first = read.rows.len() >= first.len() && read.rows.iter().zip(first).all(same);
        let (last, _) = read.rows.get(first.len().checked_sub(1)?)?;
        are_first.then(|| read.epoch.clone().map(|epoch| (epoch, *last)))?
    }

    fn commit_words(
        &self,
        epoch: &Epoch,
        last: LogId,
        first: &[Arc<Message>],
        dead: &[(LogId, Arc<Message>)],
    ) -> (Vec<String>, Args) {
        let names = &self.inner.keys;
        let mut rooms: HashMap<&RoomId, (Seq, Seq)> = HashMap::new();
        for row in first {
            let (lowest, highest) = rooms.entry(&row.room).or_insert((row.seq, row.seq));
            (*lowest, *highest) = ((*lowest).min(row.seq), (*highest).max(row.seq));
        }
        let mark = self.mark(epoch, last, dead.iter().map(|(_, row)| row.id.clone()).collect());
        let mut keys = vec![
            names.generation(self.id),
            names.absent(self.id),
            names.log(self.id),
            names.mark(self.id),
            names.dead(self.id),
        ];
        let mut args = Args::new()
            .with(epoch)
            .with(last)
            .with(self.inner.idle_ms())
            .with(self.inner.config.redis.ring_rows)
            .with(names.partition_channel(self.id))
            .with(mark.encode())
            .with(dead.len());
        for (id, row) in dead {
            args.push(id);
            args.push_bytes(event::encode(row));
        }
        args.push(rooms.len());
        for (room, (lowest, highest)) in rooms {
            keys.extend([names.head(room), names.ring(room)]);
            args.push(lowest);
            args.push(highest);
        }
        keys.extend(dead.iter().map(|(_, row)| names.answer_of(row)));
        (keys, args)
    }

    fn mark(&self, epoch: &Epoch, id: LogId, dead: Vec<MessageId>) -> Mark {
        let store = if self.is_away.load(Ordering::Acquire) { StoreState::Away } else { StoreState::Here };
        let oldest = self.oldest().unwrap_or(id);
        let age = if oldest == 0 { Duration::ZERO } else { self.since(oldest) };
        self.inner.metrics.backlog_age.observe(age.as_secs_f64());
        Mark { epoch: epoch.clone(), from: None, id, store, age, dead: Some(dead) }
    }

    fn oldest(&self) -> Option<LogId> {
        self.lock().rows.front().map(|(id, _)| *id)
    }

    fn age(&self) -> Duration {
        self.oldest().map_or(Duration::ZERO, |oldest| self.since(oldest))
    }

    /// By Redis's clock, which numbers the entries.
    fn since(&self, id: LogId) -> Duration {
        Duration::from_micros(self.inner.redis_now(self.id).micros.saturating_sub(id))
    }

    async fn tell_state(&self) {
        let Some(epoch) = self.lock().epoch.clone() else { return };
        let Some(link) = self.inner.map.link_of(self.id) else { return };
        let mark = self.mark(&epoch, 0, Vec::new());
        let keys = [
            self.inner.keys.generation(self.id),
            self.inner.keys.absent(self.id),
            self.inner.keys.mark(self.id),
        ];
        let args =
            Args::new().with(&epoch).with(self.inner.keys.partition_channel(self.id)).with(mark.encode());
        if let Err(error) = link.call::<String>(&self.inner.scripts.mark, &keys, args).await {
            tracing::debug!(partition = self.id, %error, "the state of the store could not be told");
        }
    }
}

/// Bytes of one answer of Redis.
const READ_BYTES_MAX: usize = 8 * 1024 * 1024;

impl WriteAhead for PartitionLog {
    fn read(&self, rows_max: usize, bytes_max: usize) -> BoxFuture<'_, Option<Vec<Arc<Message>>>> {
        async move {
            loop {
                if self.ended.load(Ordering::Acquire) || self.is_over() {
                    return None;
                }
                if let Some(batch) = self.first_of(rows_max, bytes_max).await {
                    return Some(batch);
                }
                let wait = if self.inner.is_closed() { LOOK_AGAIN_CLOSED } else { LOOK_AGAIN };
                drop(timeout(wait, self.partition().doorbell.notified()).await);
            }
        }
        .boxed()
    }

    fn commit<'a>(
        &'a self,
        first: &'a [Arc<Message>],
        dead: &'a [(RoomId, Seq)],
    ) -> BoxFuture<'a, Result<(), BusError>> {
        self.commit_first(first, dead).boxed()
    }

    /// In its generation, and under a lease that nobody else can have taken.
    fn is_current(&self) -> bool {
        let is_in = self.lock().epoch.as_ref().is_some_and(|epoch| self.partition().is_in(epoch));
        is_in && !self.ended.load(Ordering::Acquire) && locked(&self.renewed).elapsed() < PARTITION_LEASE
    }

    /// Told when it changes, and again with every commit.
    fn report(&self, store: StoreState) {
        let is_away = store == StoreState::Away;
        if self.is_away.swap(is_away, Ordering::AcqRel) == is_away && !is_away {
            return;
        }
        let held = self.inner.logs.lock().logs.get(&self.id).cloned();
        if let Some(log) = held {
            self.inner.spawn(async move { log.tell_state().await });
        }
    }
}
