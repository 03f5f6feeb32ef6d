//! The bus of a single node: the log waits in memory until the store has it, and only then is it seen and acknowledged.
//! Not here: the store that the log drains into (`moim-store`), the loop that drains it (`moim-gateway`'s writer).
//!
//! Over Redis an event is relayed when it is in the log, because Redis keeps the log when a gateway dies. Here the log dies
//! with the process, so an event is relayed when it is *stored*: nobody ever sees a message that a crash takes back, and a
//! sender who sends again after a restart cannot make a second one of it.

mod room_log;

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use futures_util::{
    FutureExt, StreamExt,
    future::{self, BoxFuture},
    stream::FuturesUnordered,
};
use moim_protocol::{
    AckLevel, Epoch, Message, NodeId, Notice, Position, RoomEvent, RoomId, Seq, Timestamp, Typing,
};
use room_log::{Answer, Appended, RoomLog, reply};
use tokio::sync::{Notify, mpsc, oneshot};

use crate::{
    Bus, BusError, BusHealth, Draft, Receipt, RelaySink, Relayed, Ring, Seed, SeedError, SeedSource,
    WriteAhead,
};

/// Messages that wait for the store. Full: `overloaded` to senders.
pub const LOG_ROWS_MAX: usize = 65_536;
/// Their bytes. Full: `overloaded` to senders.
pub const LOG_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Recent sends remembered over all rooms. Full: `overloaded` to senders that use a client id.
pub const ANSWERS_MAX: usize = 1_000_000;
/// Rooms held in memory. Full: rooms that nobody is in and that are stored are dropped, the longest unused first.
pub const ROOMS_MAX: usize = 65_536;
/// Typing signals and notices on their way. Full: they are dropped; counts are repaired by the next one.
const SIGNALS_MAX: usize = 65_536;
/// Rooms being read from the store for the first time. Full: `overloaded`.
const SEEDS_MAX: usize = 1024;
/// Sends that wait for one room to be read. Full: `overloaded`.
const SEED_DRAFTS_MAX: usize = 1024;

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

enum Room {
    Seeding { drafts: Vec<(Draft, Answer)>, waiting: Vec<oneshot::Sender<Result<(), BusError>>> },
    Ready(Box<RoomLog>),
}

#[derive(Default)]
struct State {
    rooms: HashMap<RoomId, Room>,
    subscribed: HashMap<RoomId, ()>,
    counts: HashMap<RoomId, u64>,
    log: VecDeque<Arc<Message>>,
    log_bytes: usize,
    answers: usize,
    signals: VecDeque<Relayed>,
    closed: bool,
}

/// The handle. Cheap to clone through its `Arc`.
pub struct InProcessBus {
    config: InProcessConfig,
    /// A std mutex: never held across an await, the longest section copies a ring of 256 pointers.
    state: Mutex<State>,
    seeds: mpsc::Sender<RoomId>,
    sink: RelaySink,
    log_grew: Notify,
    signal_came: Notify,
}

/// What the bus does beside its callers; the gateway spawns [`InProcessDriver::run`].
pub struct InProcessDriver {
    bus: Arc<InProcessBus>,
    source: Arc<dyn SeedSource>,
    seeds: mpsc::Receiver<RoomId>,
}

impl InProcessBus {
    /// A bus and its driver.
    #[must_use]
    pub fn new(
        config: InProcessConfig,
        sink: RelaySink,
        source: Arc<dyn SeedSource>,
    ) -> (Arc<Self>, InProcessDriver) {
        let (seeds, receiver) = mpsc::channel(SEEDS_MAX);
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

    fn take(&self, draft: Draft, answer: Answer) {
        let now = self.now();
        let mut state = self.lock();
        if state.closed {
            return reply(answer, Err(BusError::Unavailable("it is stopping".into())));
        }
        let entry = match self.room_or_seed(&mut state, &draft.room) {
            Ok(entry) => entry,
            Err(error) => return reply(answer, Err(error)),
        };
        match entry {
            Room::Seeding { drafts, .. } if drafts.len() >= SEED_DRAFTS_MAX => {
                reply(answer, Err(BusError::Overloaded("queue of a room that is being read")));
            }
            Room::Seeding { drafts, .. } => drafts.push((draft, answer)),
            Room::Ready(_) => self.append(&mut state, draft, answer, now),
        }
    }

    fn append(&self, state: &mut State, draft: Draft, answer: Answer, now: Timestamp) {
        let bytes = draft.content.len();
        if state.log.len() >= LOG_ROWS_MAX || state.log_bytes + bytes > LOG_BYTES_MAX {
            return reply(answer, Err(BusError::Overloaded("log")));
        }
        let answers_left = ANSWERS_MAX.saturating_sub(state.answers);
        let Some(Room::Ready(log)) = state.rooms.get_mut(&draft.room) else { return };
        let before = log.answers_len();
        let appended = log.append(draft, answer, now, answers_left);
        state.answers = (state.answers + log.answers_len()).saturating_sub(before);
        if let Appended::New(message) = appended {
            state.log_bytes += message.weight_bytes();
            state.log.push_back(message);
            self.log_grew.notify_one();
        }
    }

    /// The room, or the start of reading it from the store.
    fn room_or_seed<'a>(&self, state: &'a mut State, room: &RoomId) -> Result<&'a mut Room, BusError> {
        if !state.rooms.contains_key(room) {
            if state.rooms.len() >= ROOMS_MAX {
                state.make_space();
            }
            if state.rooms.len() >= ROOMS_MAX || self.seeds.try_send(room.clone()).is_err() {
                return Err(BusError::Overloaded("table of rooms"));
            }
            state.rooms.insert(room.clone(), Room::Seeding { drafts: Vec::new(), waiting: Vec::new() });
        }
        state.rooms.get_mut(room).ok_or(BusError::Overloaded("table of rooms"))
    }

    /// Answers when the room's log is in memory.
    fn ready(&self, room: &RoomId) -> BoxFuture<'static, Result<(), BusError>> {
        let mut state = self.lock();
        match self.room_or_seed(&mut state, room) {
            Err(error) => future::ready(Err(error)).boxed(),
            Ok(Room::Ready(_)) => future::ready(Ok(())).boxed(),
            Ok(Room::Seeding { waiting, .. }) => {
                let (sender, receiver) = oneshot::channel();
                waiting.push(sender);
                receiver.map(|answer| answer.unwrap_or_else(|_| Err(stopped()))).boxed()
            }
        }
    }

    fn seeded(&self, room: &RoomId, result: Result<Seed, SeedError>) {
        let now = self.now();
        let mut state = self.lock();
        let Some(Room::Seeding { drafts, waiting }) = state.rooms.remove(room) else { return };
        let outcome = match result {
            Ok(seed) => {
                let start = self.config.start(&seed, now);
                let log = RoomLog::new(seed, start, self.config.level(), now);
                state.answers += log.answers_len();
                state.rooms.insert(room.clone(), Room::Ready(Box::new(log)));
                for (draft, answer) in drafts {
                    self.append(&mut state, draft, answer, now);
                }
                Ok(())
            }
            Err(error) => {
                let error = BusError::Unavailable(error.to_string());
                for (_, answer) in drafts {
                    reply(answer, Err(error.clone()));
                }
                Err(error)
            }
        };
        for waiter in waiting {
            drop(waiter.send(outcome.clone()));
        }
    }

    fn signal(&self, room: &RoomId, event: RoomEvent) {
        let mut state = self.lock();
        if state.subscribed.contains_key(room) && state.signals.len() < SIGNALS_MAX {
            state.signals.push_back(Relayed { room: room.clone(), event });
            self.signal_came.notify_one();
        }
    }
}

fn stopped() -> BusError {
    BusError::Unavailable("the bus has stopped".into())
}

impl State {
    /// Drops a tenth of the rooms that nobody is in and that are stored, longest unused first. They can be read again.
    fn make_space(&mut self) {
        let mut idle: Vec<_> = self
            .rooms
            .iter()
            .filter_map(|(id, room)| match room {
                Room::Ready(log) if log.is_stored() && !self.subscribed.contains_key(id) => {
                    Some((log.used, id.clone()))
                }
                Room::Ready(_) | Room::Seeding { .. } => None,
            })
            .collect();
        idle.sort_unstable();
        idle.truncate(ROOMS_MAX / 10);
        for (_, id) in idle {
            if let Some(Room::Ready(log)) = self.rooms.remove(&id) {
                self.answers -= log.answers_len();
            }
        }
    }
}

impl Bus for InProcessBus {
    fn node(&self) -> NodeId {
        self.config.node
    }

    fn publish(&self, draft: Draft) -> BoxFuture<'static, Result<Receipt, BusError>> {
        let (answer, receiver) = oneshot::channel();
        let wanted = draft.level;
        self.take(draft, answer);
        let judge = move |receipt: Receipt| match wanted {
            Some(AckLevel::Stored) if receipt.level < AckLevel::Stored => Err(BusError::StoreUnavailable),
            _ => Ok(receipt),
        };
        receiver.map(move |answer| answer.unwrap_or_else(|_| Err(stopped())).and_then(judge)).boxed()
    }

    fn typing(&self, room: &RoomId, typing: Typing) {
        self.signal(room, RoomEvent::Typing(typing));
    }

    fn presence(&self, room: &RoomId, count: u64, notice: Option<Notice>) {
        {
            let mut state = self.lock();
            match count {
                0 => state.counts.remove(room),
                _ => state.counts.insert(room.clone(), count),
            };
        }
        if notice.is_some() {
            self.signal(room, RoomEvent::Presence { notice, elsewhere: 0, time: self.now() });
        }
    }

    fn subscribe<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<(), BusError>> {
        self.lock().subscribed.insert(room.clone(), ());
        self.ready(room)
    }

    fn unsubscribe(&self, room: &RoomId) {
        self.lock().subscribed.remove(room);
    }

    fn ring<'a>(&'a self, room: &'a RoomId, rows_max: usize) -> BoxFuture<'a, Result<Ring, BusError>> {
        let ready = self.ready(room);
        async move {
            ready.await?;
            let mut state = self.lock();
            match state.rooms.get_mut(room) {
                Some(Room::Ready(log)) => {
                    log.used = self.now();
                    Ok(log.ring(rows_max))
                }
                // Dropped between the two locks by `make_space`: as rare as it sounds.
                Some(Room::Seeding { .. }) | None => Err(BusError::Overloaded("table of rooms")),
            }
        }
        .boxed()
    }

    fn user_count<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<u64, BusError>> {
        let count = self.lock().counts.get(room).copied().unwrap_or(0);
        future::ready(Ok(count)).boxed()
    }

    fn health(&self) -> BusHealth {
        if self.lock().closed { BusHealth::Closed } else { BusHealth::Open }
    }

    fn close(&self) {
        self.lock().closed = true;
        self.log_grew.notify_one();
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
                    if state.closed {
                        return None;
                    }
                }
                grew.await;
            }
        }
        .boxed()
    }

    fn commit<'a>(&'a self, stored: &'a [Arc<Message>]) -> BoxFuture<'a, Result<(), BusError>> {
        async move {
            for message in stored {
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
                    if let Some(Room::Ready(log)) = state.rooms.get_mut(&message.room) {
                        log.commit(message);
                    }
                    state.subscribed.contains_key(&message.room)
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

impl InProcessDriver {
    /// Reads rooms from the store and relays signals, until the bus is dropped by everyone else or the future is.
    ///
    /// # Cancel safety
    /// Dropping it stops the bus: rooms that are not in memory are never answered.
    pub async fn run(mut self) {
        let mut reading = FuturesUnordered::new();
        loop {
            tokio::select! {
                room = self.seeds.recv() => {
                    let Some(room) = room else { return };
                    let seed = self.source.seed(room.clone());
                    reading.push(async move { (room, seed.await) });
                }
                Some((room, result)) = reading.next(), if !reading.is_empty() => self.bus.seeded(&room, result),
                () = self.bus.signal_came.notified() => self.relay_signals().await,
            }
        }
    }

    async fn relay_signals(&self) {
        loop {
            let signal = self.bus.lock().signals.pop_front();
            let Some(signal) = signal else { return };
            self.bus.sink.deliver(signal).await;
        }
    }
}

impl std::fmt::Debug for InProcessBus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InProcessBus").field("node", &self.config.node).finish_non_exhaustive()
    }
}
