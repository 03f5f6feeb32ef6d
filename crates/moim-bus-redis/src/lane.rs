//! Sends on their way to Redis: one queue and one call in flight per room, so that a sender's order survives resends; while a
//! call is under way the next ones gather, and go as one.
//! Not here: duplicates and numbers (`lua/publish.lua`), who answers a sender when (`partition`).

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use moim_bus::{BusError, Draft, GiveBack, Receipt, content_hash};
use moim_protocol::{AckLevel, Epoch, Message, MessageId, Position, RoomId, Seq, Timestamp};
use tokio::time::{sleep, timeout};

use crate::{
    event,
    inner::Inner,
    link::{Args, CallError},
    lock::locked,
    partition::{Answer, Partition, Wanted, reply},
    tail::LogId,
};

/// Messages of a room in one call.
const BATCH_ROWS_MAX: usize = 64;
/// And their bytes; one larger message goes alone.
const BATCH_BYTES_MAX: usize = 512 * 1024;
/// Messages that wait for Redis or are under way to it, over all rooms. Full: `overloaded` to senders.
pub const LANES_ROWS_MAX: usize = 65_536;
/// And their bytes. Full: `overloaded` to senders.
pub const LANES_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long a message is tried before its sender is told that nobody knows.
const GIVE_UP: Duration = Duration::from_secs(10);
/// Between two tries.
const RETRY: Duration = Duration::from_millis(50);

/// A draft in the bus's hands.
pub(crate) struct Taken {
    draft: Draft,
    hash: u64,
    wanted: Wanted,
    since: Instant,
    answer: Answer,
    /// Given back when it is settled.
    space: Option<Held>,
}

impl Taken {
    pub(crate) fn new(draft: Draft, wanted: Wanted, answer: Answer) -> Self {
        let hash = content_hash(&draft.content);
        Self { draft, hash, wanted, since: Instant::now(), answer, space: None }
    }

    pub(crate) fn room(&self) -> &RoomId {
        &self.draft.room
    }

    pub(crate) fn into_answer(self) -> Answer {
        self.answer
    }

    fn bytes(&self) -> usize {
        self.draft.content.len() + self.draft.sender.as_str().len() + 256
    }
}

/// What all messages that are not settled take, together.
#[derive(Default)]
struct Space {
    /// Rows and bytes. A std mutex: never held across an await.
    used: Mutex<(usize, usize)>,
}

/// The part of one message.
struct Held {
    space: Arc<Space>,
    bytes: usize,
}

impl Space {
    fn hold(self: &Arc<Self>, bytes: usize) -> Option<Held> {
        let mut used = locked(&self.used);
        if used.0 >= LANES_ROWS_MAX || used.1 + bytes > LANES_BYTES_MAX {
            return None;
        }
        *used = (used.0 + 1, used.1 + bytes);
        Some(Held { space: self.clone(), bytes })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut used = locked(&self.space.used);
        *used = (used.0 - 1, used.1 - self.bytes);
    }
}

/// The queues of all rooms.
#[derive(Default)]
pub(crate) struct Lanes {
    /// A room is in it while a task drains its queue. A std mutex: never held across an await.
    queues: Mutex<HashMap<RoomId, VecDeque<Taken>>>,
    space: Arc<Space>,
}

impl Lanes {
    /// Queues it. Answers whether the room's queue needs a task now ([`drain`]).
    pub(crate) fn push(&self, mut taken: Taken) -> bool {
        taken.space = self.space.hold(taken.bytes());
        if taken.space.is_none() {
            reply(taken.answer, Err(BusError::Overloaded("queue to redis")));
            return false;
        }
        let room = taken.draft.room.clone();
        let mut queues = locked(&self.queues);
        match queues.get_mut(&room) {
            Some(queue) => {
                queue.push_back(taken);
                false
            }
            None => {
                queues.insert(room, VecDeque::from([taken]));
                true
            }
        }
    }

    /// The next messages of a room; `None`: none are left, and the queue is gone.
    fn next(&self, room: &RoomId) -> Option<Vec<Taken>> {
        let mut queues = locked(&self.queues);
        let queue = queues.get_mut(room)?;
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while let Some(first) = queue.front() {
            if batch.len() >= BATCH_ROWS_MAX || (!batch.is_empty() && bytes + first.bytes() > BATCH_BYTES_MAX)
            {
                break;
            }
            bytes += first.bytes();
            batch.extend(queue.pop_front());
        }
        if batch.is_empty() {
            queues.remove(room);
            queues.give_back();
            return None;
        }
        Some(batch)
    }

    pub(crate) fn is_empty(&self) -> bool {
        locked(&self.queues).is_empty()
    }
}

/// Sends what is queued for a room, until nothing is.
///
/// # Cancel safety
/// Dropping it leaves the queue without anybody to drain it: only when the bus stops.
pub(crate) async fn drain(inner: Arc<Inner>, room: RoomId) {
    while let Some(batch) = inner.lanes.next(&room) {
        send(&inner, &room, batch).await;
    }
}

async fn send(inner: &Inner, room: &RoomId, mut batch: Vec<Taken>) {
    let partition = inner.partition_of(room);
    while !batch.is_empty() {
        let over: Vec<_> = batch.extract_if(.., |taken| taken.since.elapsed() > GIVE_UP).collect();
        for taken in over {
            let why = inner.why_closed(partition);
            let why = format!("not in time, and the same client id is safe to send again: {why}");
            reply(taken.answer, Err(BusError::Unavailable(why)));
        }
        let Some((epoch, call)) = partition.begin_call() else {
            drop(timeout(RETRY * 10, partition.opened()).await);
            continue;
        };
        let next = attempt(inner, partition, &epoch, room, &mut batch).await;
        drop(call);
        match next {
            Next::Again => {}
            Next::Later => sleep(RETRY).await,
            Next::Stale => inner.stale(partition, &epoch),
            Next::Seed(asked) => {
                // Whoever waits longer is told so, whatever becomes of the room.
                let oldest = batch.iter().map(|taken| taken.since.elapsed()).max().unwrap_or_default();
                let seeded = timeout(GIVE_UP.saturating_sub(oldest), inner.seed(room, asked, &epoch)).await;
                if let Ok(Err(error)) = seeded {
                    refuse(&mut batch, &error);
                }
            }
        }
    }
}

enum Next {
    Again,
    Later,
    Stale,
    /// The room is not in Redis, or in doubt, at that Redis time.
    Seed(String),
}

/// One call. What is settled leaves the batch, the rest stays in order.
async fn attempt(
    inner: &Inner,
    partition: &Arc<Partition>,
    epoch: &Epoch,
    room: &RoomId,
    batch: &mut Vec<Taken>,
) -> Next {
    if batch.is_empty() {
        return Next::Again;
    }
    let Some(link) = inner.map.link_of(partition.id) else { return Next::Later };
    let (keys, args) = words(inner, partition, epoch, room, batch);
    inner.metrics.publish_calls.inc();
    let answered: Result<Vec<Vec<String>>, _> = link.call(&inner.scripts.publish, &keys, args).await;
    let replies = match answered {
        Ok(replies) => replies,
        Err(CallError::OutOfMemory) => {
            refuse(batch, &BusError::Overloaded("memory of redis"));
            return Next::Again;
        }
        Err(CallError::Refused(why)) => {
            tracing::error!(redis = %link.name, %why, "redis refuses a publish");
            refuse(batch, &BusError::Unavailable(why));
            return Next::Again;
        }
        Err(CallError::Moved) => {
            inner.moved.notify_one();
            return Next::Later;
        }
        Err(error @ (CallError::Down(_) | CallError::Uncertain(_))) => {
            if matches!(error, CallError::Down(_)) {
                // A cluster may have failed it over.
                inner.moved.notify_one();
            }
            tracing::debug!(redis = %link.name, %error, "a publish is tried again");
            return Next::Later;
        }
    };
    let (mut rest, mut next) = (Vec::new(), Next::Again);
    for (taken, words) in std::mem::take(batch).into_iter().zip(replies) {
        match settle(inner, partition, epoch, taken, &words) {
            Ok(()) => {}
            Err(unsettled) => {
                let (taken, why) = *unsettled;
                if rest.is_empty() {
                    next = why;
                }
                rest.push(taken);
            }
        }
    }
    *batch = rest;
    next
}

fn refuse(batch: &mut Vec<Taken>, error: &BusError) {
    for taken in batch.drain(..) {
        reply(taken.answer, Err(error.clone()));
    }
}

fn words(
    inner: &Inner,
    partition: &Partition,
    epoch: &Epoch,
    room: &RoomId,
    batch: &[Taken],
) -> (Vec<String>, Args) {
    let (names, known) = (&inner.keys, inner.known_of(partition, room));
    let partition = partition.id;
    let mut keys =
        vec![names.generation(partition), names.head(room), names.ring(room), names.log(partition)];
    let mut args = Args::new()
        .with(epoch)
        .with(inner.config.redis.ring_rows)
        .with(u8::from(inner.config.has_store))
        .with(inner.idle_ms())
        .with(names.room_channel(room))
        .with(names.partition_channel(partition))
        .with(known);
    for taken in batch {
        let Draft { sender, client_id, id, .. } = &taken.draft;
        keys.push(names.answer(room, sender, client_id.as_ref(), id));
        args.push(event::hash_text(taken.hash));
        args.push(event::answer_kept(client_id.as_ref()).as_millis());
        args.push_bytes(event::body(&taken.draft));
    }
    (keys, args)
}

/// What one reply says: settles the message, or gives it back with what to do first.
fn settle(
    inner: &Inner,
    partition: &Arc<Partition>,
    epoch: &Epoch,
    taken: Taken,
    words: &[String],
) -> Result<(), Box<(Taken, Next)>> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let now = Instant::now();
    match words[..] {
        ["n", seq, prev, time, of] => {
            let row = row(&taken, seq, prev, time, Epoch::trusted(of), taken.draft.id.clone());
            let Some(row) = row else {
                return Err(Box::new((taken, Next::Later)));
            };
            if !partition.keep(epoch, &row, &inner.keys) {
                // The generation ended meanwhile: whether this one is in it will show.
                return Err(Box::new((taken, Next::Later)));
            }
            partition.accepted(now, row.time.micros, receipt(&row), taken.wanted, taken.answer);
            Ok(())
        }
        ["d", .., same, _, _] if same != "1" => {
            reply(taken.answer, Err(BusError::ClientIdReused));
            Ok(())
        }
        ["d", seq, prev, time, of, id, _, stored, log_id] => {
            let row = row(&taken, seq, prev, time, Epoch::trusted(of), MessageId::trusted(id));
            let (Some(row), Ok(log_id)) = (row, log_id.parse::<LogId>()) else {
                return Err(Box::new((taken, Next::Later)));
            };
            if stored == "1" {
                reply(taken.answer, Ok(Receipt { level: AckLevel::Stored, ..receipt(&row) }));
                return Ok(());
            }
            // Its first answer may have been lost on the way here, and with it the only copy of a tail.
            if !partition.keep(epoch, &row, &inner.keys) {
                return Err(Box::new((taken, Next::Later)));
            }
            partition.accepted(now, log_id, receipt(&row), taken.wanted, taken.answer);
            Ok(())
        }
        ["i", asked] => {
            let asked = asked.to_owned();
            Err(Box::new((taken, Next::Seed(asked))))
        }
        ["s"] => Err(Box::new((taken, Next::Stale))),
        _ => Err(Box::new((taken, Next::Later))),
    }
}

fn row(
    taken: &Taken,
    seq: &str,
    prev: &str,
    time: &str,
    epoch: Epoch,
    id: MessageId,
) -> Option<Arc<Message>> {
    let Draft { room, client_id, sender, content, .. } = &taken.draft;
    Some(Arc::new(Message {
        room: room.clone(),
        seq: Seq(seq.parse().ok()?),
        prev: event::seq_or_unknown(prev)?,
        epoch,
        id,
        client_id: client_id.clone(),
        username: sender.clone(),
        content: content.clone(),
        time: Timestamp { micros: time.parse().ok()? },
    }))
}

fn receipt(row: &Message) -> Receipt {
    let position = Position { epoch: row.epoch.clone(), seq: row.seq };
    Receipt { position, id: row.id.clone(), time: row.time, level: AckLevel::Wal }
}
