//! A room read from Redis, and one that Redis holds nothing of brought there from the store.
//! Not here: pages (`moim-gateway`), the store itself.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use moim_bus::{ANSWER_KEPT, BusError, Ring, Seed};
use moim_protocol::{Epoch, Message, Position, RoomId, Seq, Timestamp};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, sleep, timeout, timeout_at},
};

use crate::{
    event,
    inner::Inner,
    link::{Args, CallError, Link, Over},
    lock::locked,
    partition::Partition,
};

/// How long a read waits for a generation to open, and for Redis to come back.
const READ_WAIT: Duration = Duration::from_secs(8);
/// How long the store may take to say what it knows of a room. Beyond it the room goes on above every number that can have been
/// used.
const SEED_WAIT: Duration = Duration::from_millis(500);
/// Rooms read from the store at the same time; more wait for their turn.
const SEEDS_AT_ONCE: usize = 64;
/// Rooms that are brought to Redis or wait for their turn. Full: `overloaded` to whoever comes with another one.
pub const SEEDS_MAX: usize = 16_384;
/// Bytes of one answer. More rows are read with another.
const RING_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Between two tries.
const RETRY: Duration = Duration::from_millis(50);
/// Apart from every number that one generation can use in a room.
const JUMP: u64 = 1 << 32;
/// The oldest answer of Redis on which a seed is still taken; less than the shortest time a head is kept.
const SEED_AGE_MAX: Duration = Duration::from_secs(60);
/// Recent sends brought along with a room. More: the oldest are not.
const SEED_ANSWERS_MAX: usize = 4096;

struct Seeding {
    done: Shared<BoxFuture<'static, ()>>,
    /// One for each who waits, and this one.
    wanted: Arc<()>,
}

/// Rooms being read from the store.
pub(crate) struct Seeds {
    /// A std mutex: never held across an await.
    running: Mutex<HashMap<RoomId, Seeding>>,
    turns: Semaphore,
}

impl Default for Seeds {
    fn default() -> Self {
        Self { running: Mutex::default(), turns: Semaphore::new(SEEDS_AT_ONCE) }
    }
}

impl Seeds {
    /// Whether anybody still waits for it.
    fn is_wanted(&self, room: &RoomId) -> bool {
        locked(&self.running).get(room).is_some_and(|seeding| Arc::strong_count(&seeding.wanted) > 1)
    }
}

/// Which rows of a ring.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) rows_max: usize,
    /// `None`: the newest.
    pub(crate) below: Option<Seq>,
}

impl Inner {
    /// The head, read after the call was made, and rows.
    pub(crate) async fn read_ring(&self, room: &RoomId, wanted: Wanted) -> Result<Ring, BusError> {
        let deadline = Instant::now() + READ_WAIT;
        let partition = self.partition_of(room);
        let mut why = self.why_closed(partition);
        while Instant::now() < deadline {
            let Ok(epoch) = timeout_at(deadline, partition.opened()).await else {
                why = self.why_closed(partition);
                break;
            };
            let Some(link) = self.map.link_of(partition.id) else {
                sleep(RETRY).await;
                continue;
            };
            let keys = self.ring_keys(partition, room);
            let below = wanted.below.map_or_else(|| "+".into(), |below| format!("({below}-0"));
            let known = self.known_of(partition, room);
            let args =
                Args::new().with(&epoch).with(wanted.rows_max).with(RING_BYTES_MAX).with(below).with(known);
            let answered: Result<Vec<Vec<u8>>, _> = link.call_aside(&self.scripts.ring, &keys, args).await;
            match answered {
                Ok(words) => match self.read_answer(partition, &epoch, room, &words) {
                    Answer::Ring(ring) => return Ok(ring),
                    Answer::Init(asked) => {
                        let seeded = timeout_at(deadline, self.seed(room, asked, &epoch)).await;
                        seeded.unwrap_or(Ok(()))?;
                    }
                    Answer::Stale => {
                        self.stale(partition, &epoch);
                        sleep(RETRY).await;
                    }
                    Answer::Broken => return Err(BusError::Unavailable("the ring cannot be read".into())),
                },
                Err(CallError::Moved) => {
                    self.moved.notify_one();
                    sleep(RETRY).await;
                }
                Err(error) => {
                    why = error.to_string();
                    sleep(RETRY).await;
                }
            }
        }
        Err(BusError::Unavailable(why))
    }

    fn read_answer(&self, partition: &Partition, epoch: &Epoch, room: &RoomId, words: &[Vec<u8>]) -> Answer {
        let text = |at: usize| words.get(at).and_then(|word| std::str::from_utf8(word).ok());
        match text(0) {
            Some("stale") => return Answer::Stale,
            Some("init") => return Answer::Init(text(1).unwrap_or_default().to_owned()),
            _ => {}
        }
        let numbers = || {
            let seq = Seq(text(1)?.parse().ok()?);
            let last = event::seq_or_unknown(text(3)?)?;
            let head = Position { epoch: Epoch::trusted(text(2)?), seq };
            Some((head, last, Seq(text(4)?.parse().ok()?), text(5)?.parse().ok()?))
        };
        let Some((head, last, stored, version)) = numbers() else { return Answer::Broken };
        let late = text(6).and_then(|late| late.split_once(' '));
        let late = late.and_then(|(low, high)| Some((Seq(low.parse().ok()?), Seq(high.parse().ok()?))));
        let mut rows: Vec<Arc<Message>> =
            words[7..].iter().rev().filter_map(|event| event::decode(room, event)).collect();
        // What is read is shown, so it is kept like what is relayed: Redis may lose it.
        let kept =
            rows.iter().filter(|row| row.seq > stored).all(|row| partition.keep(epoch, row, &self.keys));
        if !kept || !partition.is_in(epoch) {
            return Answer::Stale;
        }
        let newest = rows.iter().map(|row| row.time).max().unwrap_or_default();
        partition.saw_head(room, &head, newest);
        let chain =
            rows.windows(2).rposition(|pair| pair[1].prev != Some(pair[0].seq)).map_or(0, |at| at + 1);
        rows.drain(..chain);
        Answer::Ring(Ring { head, last, stored, version, late, rows })
    }

    /// Brings a room to Redis, or what Redis has of it up to what the store has. However many need it, the store is asked once.
    /// `asked`: the Redis time at which it was not there, or in doubt.
    ///
    /// # Errors
    /// When too many rooms wait for it already.
    ///
    /// # Cancel safety
    /// Safe: it goes on for whoever else waits, and is not begun when nobody does.
    pub(crate) async fn seed(&self, room: &RoomId, asked: String, epoch: &Epoch) -> Result<(), BusError> {
        let (done, _wanted) = {
            let mut running = locked(&self.seeds.running);
            if running.len() >= SEEDS_MAX && !running.contains_key(room) {
                return Err(BusError::Overloaded("queue of rooms that are read"));
            }
            let start = || {
                let (inner, room, epoch) = (self.this(), room.clone(), epoch.clone());
                let (sender, done) = tokio::sync::oneshot::channel::<()>();
                // A task of its own: whoever waits for it may go away.
                self.spawn(async move {
                    inner.bring(&room, asked, &epoch).await;
                    locked(&inner.seeds.running).remove(&room);
                    drop(sender);
                });
                Seeding { done: done.map(|_| ()).boxed().shared(), wanted: Arc::default() }
            };
            let seeding = running.entry(room.clone()).or_insert_with(start);
            (seeding.done.clone(), seeding.wanted.clone())
        };
        done.await;
        Ok(())
    }

    async fn bring(&self, room: &RoomId, asked: String, epoch: &Epoch) {
        let partition = self.partition_of(room);
        let Some(link) = self.map.link_of(partition.id) else { return };
        let Some((asked, _calls, reads)) = self.seed_turn(&link, room, asked, epoch).await else { return };
        let seed = self.read_seed(room).await;
        // The store's turn is not held over Redis, which may be late.
        drop(reads);
        let (keys, args) = self.seed_words(partition, room, &asked, epoch, seed);
        match link.call_over::<String>(Over::Seeds, &self.scripts.seed, &keys, args).await {
            Ok(answer) if answer == "stale" => self.stale(partition, epoch),
            Ok(answer) if answer == "later" => sleep(RETRY).await,
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(%room, %error, "a room could not be brought to redis; trying again");
                sleep(RETRY).await;
            }
        }
    }

    /// Waits for the turn, at Redis and at the store. Answers the Redis time at which the room was not there, too; `None`:
    /// there is nothing to do any more.
    async fn seed_turn<'a>(
        &'a self,
        link: &'a Link,
        room: &RoomId,
        asked: String,
        epoch: &Epoch,
    ) -> Option<(String, SemaphorePermit<'a>, SemaphorePermit<'a>)> {
        if let (Ok(calls), Ok(reads)) = (link.seed_turns.try_acquire(), self.seeds.turns.try_acquire()) {
            return Some((asked, calls, reads));
        }
        // In this order: who waits for a Redis that is late keeps nobody from the store.
        let calls = link.seed_turns.acquire().await.ok()?;
        let reads = self.seeds.turns.acquire().await.ok()?;
        if !self.seeds.is_wanted(room) {
            return None;
        }
        // What was said before the wait is old by now, and a seed that counts on it would be refused.
        let asked = self.is_still_cold(link, room, epoch).await?;
        Some((asked, calls, reads))
    }

    /// How far this node knows that a room went, for the scripts: a head of an older generation may be below that. Without a store
    /// there is nobody to ask.
    pub(crate) fn known_of(&self, partition: &Partition, room: &RoomId) -> String {
        match partition.highest_of(room) {
            _ if !self.config.has_store => "0".to_owned(),
            Some(seq) => seq.to_string(),
            None => "-".to_owned(),
        }
    }

    /// Of `lua/ring.lua`.
    fn ring_keys(&self, partition: &Partition, room: &RoomId) -> [String; 4] {
        let (keys, id) = (&self.keys, partition.id);
        [keys.generation(id), keys.head(room), keys.ring(room), keys.log(id)]
    }

    /// The Redis time, if the room is not there.
    async fn is_still_cold(&self, link: &Link, room: &RoomId, epoch: &Epoch) -> Option<String> {
        let partition = self.partition_of(room);
        let keys = self.ring_keys(partition, room);
        let args = Args::new().with(epoch).with(0).with(0).with("+").with(self.known_of(partition, room));
        let answered: Result<Vec<Vec<u8>>, _> = link.call(&self.scripts.ring, &keys, args).await;
        match answered.map(|words| self.read_answer(partition, epoch, room, &words)) {
            Ok(Answer::Init(asked)) => return Some(asked),
            Ok(Answer::Stale) => self.stale(partition, epoch),
            Ok(Answer::Ring(_) | Answer::Broken) => {}
            Err(error) => {
                tracing::debug!(%room, %error, "a room could not be asked for; trying again");
                sleep(RETRY).await;
            }
        }
        None
    }

    /// What the store knows of a room; `None`: it does not say.
    async fn read_seed(&self, room: &RoomId) -> Option<Seed> {
        match timeout(SEED_WAIT, self.source.seed(room.clone())).await {
            Ok(Ok(seed)) if self.config.has_store => Some(seed),
            Ok(Ok(_)) => None,
            Ok(Err(error)) => {
                tracing::warn!(%room, %error, "the room goes on above every number that can have been used");
                None
            }
            Err(_) => {
                tracing::warn!(%room, "the store is slow; the room goes on above every number that can have been used");
                None
            }
        }
    }

    fn seed_words(
        &self,
        partition: &Partition,
        room: &RoomId,
        asked: &str,
        epoch: &Epoch,
        seed: Option<Seed>,
    ) -> (Vec<String>, Args) {
        let start = start(partition, room, epoch, seed.as_ref());
        let Seed { newest, answers } = seed.unwrap_or_default();
        let age_max = SEED_AGE_MAX.min(Duration::from_secs(self.config.redis.room_idle_seconds) / 2);
        let rows = &newest[newest.len().saturating_sub(self.config.redis.ring_rows as usize)..];
        let mut keys = vec![self.keys.generation(partition.id), self.keys.head(room), self.keys.ring(room)];
        let mut args = Args::new()
            .with(epoch)
            .with(asked)
            .with(age_max.as_micros())
            .with(start.seq)
            .with(start.epoch.as_ref().map_or("", Epoch::as_str))
            .with(event::seq_text(start.last))
            .with(start.time.micros)
            .with(self.idle_ms())
            .with(rows.len());
        for row in rows {
            args.push(row.seq);
            args.push_bytes(event::encode(row));
        }
        let now = Timestamp { micros: asked.parse().unwrap_or_default() };
        for answer in answers.iter().rev().take(SEED_ANSWERS_MAX) {
            let left = ANSWER_KEPT.saturating_sub(now.since(answer.receipt.time));
            if left.is_zero() {
                continue;
            }
            let moim_bus::Receipt { position, id, time, .. } = &answer.receipt;
            keys.push(self.keys.answer(room, &answer.sender, Some(&answer.client_id), id));
            args.push(event::later_answer(0, position.seq, &position.epoch, *time, answer.content_hash, id));
            args.push(left.as_millis());
        }
        (keys, args)
    }
}

/// Where a room's numbers go on.
struct Start {
    seq: Seq,
    /// `None`: by the clock of Redis, above that number (`lua/seed.lua`).
    epoch: Option<Epoch>,
    last: Option<Seq>,
    time: Timestamp,
}

fn start(partition: &Partition, room: &RoomId, epoch: &Epoch, seed: Option<&Seed>) -> Start {
    let empty = |seq| Start {
        seq: Seq(seq),
        epoch: Some(epoch.clone()),
        last: Some(Seq::ZERO),
        time: Timestamp::default(),
    };
    match seed.map(|seed| seed.newest.last()) {
        Some(Some(newest)) => Start {
            seq: newest.seq,
            epoch: Some(newest.epoch.clone()),
            last: Some(newest.seq),
            time: newest.time,
        },
        Some(None) if partition.is_first() => empty(0),
        // Rows of it may have been lost with an earlier generation.
        Some(None) => empty(JUMP),
        None => {
            let above = partition.highest_of(room).unwrap_or_default();
            Start { seq: above, epoch: None, last: None, time: Timestamp::default() }
        }
    }
}

enum Answer {
    Ring(Ring),
    Init(String),
    Stale,
    Broken,
}
