//! The bus of a single node: the log waits in memory until the store has it, and only then is it seen and acknowledged.
//! Not here: the store that the log drains into (`moim-store`), the loop that drains it (`moim-gateway`'s writer).
//!
//! Over Redis an event is relayed when it is in the log, because Redis keeps the log when a gateway dies. Here the log dies
//! with the process, so an event is relayed when it is *stored*: nobody ever sees a message that a crash takes back, and a
//! sender who sends again after a restart cannot make a second one of it.

mod driver;
mod room_log;
mod rooms;

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

pub use driver::InProcessDriver;
use futures_util::{
    FutureExt,
    future::{self, BoxFuture},
};
use moim_protocol::{
    AckLevel, Epoch, Message, NodeId, Notice, Position, RoomEvent, RoomId, Seq, Timestamp, Typing,
};
use room_log::{Appended, RoomLog, Space, Taken};
use rooms::{Room, Rooms, Waiting};
use tokio::sync::{
    Notify,
    mpsc::{self, error::TrySendError},
    oneshot,
};

use crate::{
    Bus, BusError, BusHealth, Draft, GiveBack, Here, Receipt, RelaySink, Relayed, Ring, Seed, SeedError,
    SeedSource, StoreState, WriteAhead,
};

/// Messages that wait for the store, or for their room to be read. Full: `overloaded` to senders.
pub const LOG_ROWS_MAX: usize = 65_536;
/// Their bytes. Full: `overloaded` to senders.
pub const LOG_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Recent sends remembered over all rooms. Full: those of ten minutes ago are forgotten, then `overloaded` to senders that
/// use a client id.
pub const ANSWERS_MAX: usize = 1_000_000;
/// Rooms held in memory. Full: rooms that nobody is in and that are stored are dropped, the longest unused first.
pub const ROOMS_MAX: usize = 65_536;
/// Typing signals and notices on their way. Full: they are dropped; counts are repaired by the next one.
const SIGNALS_MAX: usize = 65_536;
/// Sends that wait for one room to be read. Full: `overloaded`.
pub const SEED_DRAFTS_MAX: usize = 1024;

/// What a sender that asks for `stored` is told to wait for where that is never given.
const STORED_RETRY: Duration = Duration::from_secs(60);

/// Where the bus gets its time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How rooms are numbered, which follows from what the store keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Numbering {
    /// The store keeps everything: rooms it does not know start at 1, and the epoch is the store's, for ever, because no
    /// number that was ever seen is lost with the process. Acks say `stored`.
    Kept(Epoch),
    /// The store forgets: rooms it does not know start above every number that can have been used before, by the clock
    /// (milliseconds since 1970, 1024 numbers each), in an epoch of their own. Acks say `wal`, and `stored` cannot be given.
    Volatile,
}

/// How a bus inside the process starts.
#[derive(Clone)]
pub struct InProcessConfig {
    /// This node.
    pub node: NodeId,
    /// How rooms are numbered.
    pub numbering: Numbering,
    /// The time.
    pub clock: Clock,
}

impl InProcessConfig {
    /// With the wall clock.
    #[must_use]
    pub fn new(node: NodeId, numbering: Numbering) -> Self {
        Self { node, numbering, clock: Arc::new(|| Timestamp::from_system(SystemTime::now())) }
    }

    fn level(&self) -> AckLevel {
        match self.numbering {
            Numbering::Kept(_) => AckLevel::Stored,
            Numbering::Volatile => AckLevel::Wal,
        }
    }

    /// Where the numbers of a room go on.
    fn start(&self, seed: &Seed, now: Timestamp) -> Position {
        let newest = seed.newest.last().map(|row| row.position());
        match (&self.numbering, newest) {
            (Numbering::Kept(epoch), newest) => {
                Position { epoch: epoch.clone(), seq: newest.map_or(Seq::ZERO, |newest| newest.seq) }
            }
            (Numbering::Volatile, Some(newest)) => newest,
            (Numbering::Volatile, None) => Position {
                epoch: Epoch::trusted(format!("{:x}", now.micros)),
                seq: Seq((now.micros / 1000) << 10),
            },
        }
    }
}

#[derive(Default)]
struct State {
    rooms: Rooms,
    here: HashMap<RoomId, Here>,
    log: VecDeque<Arc<Message>>,
    /// Drafts whose room is being read: taken, but not in the log yet.
    drafts: usize,
    /// Of the log and the drafts.
    log_bytes: usize,
    signals: VecDeque<Relayed>,
    closed: bool,
}

/// The handle. Cheap to clone through its `Arc`.
pub struct InProcessBus {
    config: InProcessConfig,
    /// A std mutex: never held across an await. The longest section copies a ring of 256 pointers, except that when a table
    /// is full all rooms are looked through, for milliseconds, at most once a second in vain.
    state: Mutex<State>,
    seeds: mpsc::Sender<RoomId>,
    sink: RelaySink,
    log_grew: Notify,
    signal_came: Notify,
}

impl InProcessBus {
    /// A bus and its driver.
    #[must_use]
    pub fn new(
        config: InProcessConfig,
        sink: RelaySink,
        source: Arc<dyn SeedSource>,
    ) -> (Arc<Self>, InProcessDriver) {
        // A room stands in it once: it is never full before the table of rooms is.
        let (seeds, receiver) = mpsc::channel(ROOMS_MAX);
        let bus = Arc::new(Self {
            config,
            state: Mutex::default(),
            seeds,
            sink,
            log_grew: Notify::new(),
            signal_came: Notify::new(),
        });
        (bus.clone(), InProcessDriver { bus, source, seeds: receiver })
    }

    fn now(&self) -> Timestamp {
        (self.config.clock)()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No section leaves the state half changed, so what a panicking holder left is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, taken: Taken) {
        let now = self.now();
        let mut state = self.lock();
        if state.closed {
            return taken.refuse(BusError::Unavailable("it is stopping".into()));
        }
        let has_space = state.has_log_space(&taken);
        match self.room_or_seed(&mut state, &taken.draft.room, now) {
            Err(error) => taken.refuse(error),
            Ok(Room::Ready(_)) => self.append(&mut state, taken, now),
            Ok(Room::Seeding(_)) if !has_space => taken.refuse(BusError::Overloaded("log")),
            Ok(Room::Seeding(seeding)) if seeding.drafts.len() >= SEED_DRAFTS_MAX => {
                taken.refuse(BusError::Overloaded("queue of a room that is being read"));
            }
            Ok(Room::Seeding(seeding)) => {
                let bytes = taken.weight_bytes();
                seeding.drafts.push(taken);
                state.drafts += 1;
                state.log_bytes += bytes;
            }
        }
    }

    fn append(&self, state: &mut State, taken: Taken, now: Timestamp) {
        let space = Space { log: state.has_log_space(&taken), answers: state.rooms.has_answers(now) };
        let room = taken.draft.room.clone();
        let appended = state.rooms.change(&room, |log| log.append(taken, now, space));
        if let Some(Appended::New(message)) = appended {
            state.log_bytes += message.weight_bytes();
            state.log.push_back(message);
            self.log_grew.notify_one();
        }
    }

    /// The room, or the start of reading it from the store.
    fn room_or_seed<'a>(
        &self,
        state: &'a mut State,
        room: &RoomId,
        now: Timestamp,
    ) -> Result<&'a mut Room, BusError> {
        if state.rooms.get_mut(room).is_none() {
            if !state.rooms.has_space(now) {
                return Err(BusError::Overloaded("table of rooms"));
            }
            self.seeds.try_send(room.clone()).map_err(|error| match error {
                TrySendError::Full(_) => BusError::Overloaded("table of rooms"),
                TrySendError::Closed(_) => stopped(),
            })?;
            state.rooms.start_seeding(room);
        }
        state.rooms.get_mut(room).ok_or(BusError::Overloaded("table of rooms"))
    }

    /// What to wait for until the room's log is in memory; `None` when it is.
    fn ready(&self, state: &mut State, room: &RoomId) -> Result<Option<Waiting>, BusError> {
        match self.room_or_seed(state, room, self.now())? {
            Room::Ready(_) => Ok(None),
            Room::Seeding(seeding) => seeding.wait().map(Some),
        }
    }

    fn seeded(&self, room: &RoomId, result: Result<Seed, SeedError>) {
        let now = self.now();
        // Before the lock: there may be thousands of recent sends to remember.
        let (log, outcome) = match result {
            Ok(seed) => {
                let start = self.config.start(&seed, now);
                (Some(RoomLog::new(seed, start, self.config.level(), now)), Ok(()))
            }
            Err(error) => (None, Err(BusError::Unavailable(error.to_string()))),
        };
        let mut state = self.lock();
        let Some(mut seeding) = state.rooms.end_seeding(room, log) else { return };
        for taken in std::mem::take(&mut seeding.drafts) {
            state.drafts -= 1;
            state.log_bytes -= taken.weight_bytes();
            match &outcome {
                Ok(()) => self.append(&mut state, taken, now),
                Err(error) => taken.refuse(error.clone()),
            }
        }
        seeding.answer(&outcome);
        // When it is closed, the log's reader waits for the last draft as for a message.
        self.log_grew.notify_one();
    }

    fn signal(&self, room: &RoomId, event: RoomEvent) {
        let mut state = self.lock();
        if state.rooms.is_subscribed(room) && state.signals.len() < SIGNALS_MAX {
            state.signals.push_back(Relayed { room: room.clone(), event });
            self.signal_came.notify_one();
        }
    }

    fn next_signal(&self) -> Option<Relayed> {
        self.lock().signals.pop_front()
    }
}

async fn settled(ready: Result<Option<Waiting>, BusError>) -> Result<(), BusError> {
    match ready? {
        Some(waiting) => waiting.await.unwrap_or_else(|_| Err(stopped())),
        None => Ok(()),
    }
}

fn stopped() -> BusError {
    BusError::Unavailable("the bus has stopped".into())
}

impl State {
    fn has_log_space(&self, taken: &Taken) -> bool {
        self.log.len() + self.drafts < LOG_ROWS_MAX && self.log_bytes + taken.weight_bytes() <= LOG_BYTES_MAX
    }
}

impl Bus for InProcessBus {
    fn node(&self) -> NodeId {
        self.config.node
    }

    fn publish(&self, draft: Draft) -> BoxFuture<'static, Result<Receipt, BusError>> {
        let (answer, receiver) = oneshot::channel();
        let wanted = draft.level;
        self.take(Taken::new(draft, answer));
        let judge = move |receipt: Receipt| match wanted {
            Some(AckLevel::Stored) if receipt.level < AckLevel::Stored => {
                Err(BusError::StoreUnavailable(STORED_RETRY))
            }
            _ => Ok(receipt),
        };
        receiver.map(move |answer| answer.unwrap_or_else(|_| Err(stopped())).and_then(judge)).boxed()
    }

    fn typing(&self, room: &RoomId, typing: Typing) {
        self.signal(room, RoomEvent::Typing(typing));
    }

    fn presence(&self, room: &RoomId, here: Here, notice: Option<Notice>) {
        {
            let mut state = self.lock();
            if here.count == 0 {
                state.here.remove(room);
                state.here.give_back();
            } else {
                state.here.insert(room.clone(), here);
            }
        }
        if notice.is_some() {
            self.signal(room, RoomEvent::Presence { notice, elsewhere: 0, time: self.now() });
        }
    }

    fn subscribe<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<(), BusError>> {
        let mut state = self.lock();
        let ready = self.ready(&mut state, room);
        if ready.is_ok() {
            state.rooms.subscribe(room);
        }
        settled(ready).boxed()
    }

    fn unsubscribe(&self, room: &RoomId) {
        self.lock().rooms.unsubscribe(room);
    }

    fn ring<'a>(&'a self, room: &'a RoomId, rows_max: usize) -> BoxFuture<'a, Result<Ring, BusError>> {
        let ready = self.ready(&mut self.lock(), room);
        async move {
            settled(ready).await?;
            let now = self.now();
            let ring = self.lock().rooms.change(room, |log| {
                log.used = now;
                log.ring(rows_max)
            });
            // Dropped between the two locks to make space: as rare as it sounds.
            ring.ok_or(BusError::Overloaded("table of rooms"))
        }
        .boxed()
    }

    /// What is shown is stored.
    fn older<'a>(
        &'a self,
        _room: &'a RoomId,
        _below: Seq,
        _rows_max: usize,
    ) -> BoxFuture<'a, Result<Vec<Arc<Message>>, BusError>> {
        future::ready(Ok(Vec::new())).boxed()
    }

    fn who<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<Here, BusError>> {
        let here = self.lock().here.get(room).cloned().unwrap_or_default();
        future::ready(Ok(here)).boxed()
    }

    fn health(&self) -> BusHealth {
        if self.lock().closed { BusHealth::Closed } else { BusHealth::Open }
    }

    fn close(&self) {
        self.lock().closed = true;
        self.log_grew.notify_one();
    }

    fn flushed(&self) -> BoxFuture<'_, ()> {
        future::ready(()).boxed()
    }
}

impl WriteAhead for InProcessBus {
    fn read(&self, rows_max: usize, bytes_max: usize) -> BoxFuture<'_, Option<Vec<Arc<Message>>>> {
        async move {
            loop {
                let grew = self.log_grew.notified();
                {
                    let state = self.lock();
                    if !state.log.is_empty() {
                        return Some(first_of(&state.log, rows_max, bytes_max));
                    }
                    if state.closed && state.drafts == 0 {
                        // Whoever else reads is told, too.
                        self.log_grew.notify_one();
                        return None;
                    }
                }
                grew.await;
            }
        }
        .boxed()
    }

    /// There is one process, and one log.
    fn is_current(&self) -> bool {
        true
    }

    /// A dead letter was numbered, so it is shown like the others: the log has no hole.
    fn commit<'a>(
        &'a self,
        first: &'a [Arc<Message>],
        dead: &'a [(RoomId, Seq)],
    ) -> BoxFuture<'a, Result<(), BusError>> {
        async move {
            for message in first {
                let is_dead = dead.iter().any(|(room, seq)| *seq == message.seq && *room == message.room);
                let relayed = {
                    let mut state = self.lock();
                    let same = state.log.front().is_some_and(|front| Arc::ptr_eq(front, message));
                    if !same {
                        return Err(BusError::Unavailable(
                            "committed what is not the first of the log".into(),
                        ));
                    }
                    state.log.pop_front();
                    state.log_bytes -= message.weight_bytes();
                    state.rooms.change(&message.room, |log| log.commit(message, is_dead));
                    state.rooms.is_subscribed(&message.room)
                };
                if relayed {
                    let event = RoomEvent::Message(message.clone());
                    self.sink.deliver(Relayed { room: message.room.clone(), event }).await;
                }
            }
            Ok(())
        }
        .boxed()
    }

    /// Senders wait for the store here, whatever its state.
    fn report(&self, _store: StoreState) {}
}

/// At least one message, however large.
fn first_of(log: &VecDeque<Arc<Message>>, rows_max: usize, bytes_max: usize) -> Vec<Arc<Message>> {
    let mut bytes = 0;
    log.iter()
        .take(rows_max.max(1))
        .take_while(|message| {
            let first = bytes == 0;
            bytes += message.weight_bytes();
            first || bytes <= bytes_max
        })
        .cloned()
        .collect()
}

impl std::fmt::Debug for InProcessBus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InProcessBus").field("node", &self.config.node).finish_non_exhaustive()
    }
}
