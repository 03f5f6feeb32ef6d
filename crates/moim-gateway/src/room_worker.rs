//! Drives the rooms of one worker: relayed events and commands in, frames straight to sockets out.
//! Not here: what a room decides (`moim-core`), how a frame is written (`connection`).

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    sync::Arc,
    time::Instant,
};

use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use moim_bus::{Bus, BusError, GiveBack, Relayed};
use moim_core::{Room, RoomInput, RoomLimits, RoomOutput};
use moim_protocol::{CloseReason, ErrorCode, RoomId};
use tokio::{
    sync::{mpsc, oneshot},
    task::yield_now,
    time::sleep_until,
};

use crate::{
    connection::{Connection, Control},
    hub::Command,
    metrics::Metrics,
    pages::Pages,
};

/// Frames given out before other tasks get a turn: about half a millisecond of system calls.
const FRAMES_PER_TURN: usize = 64;

type Input = RoomInput<Arc<Connection>>;

struct Slot {
    room: Room<Arc<Connection>>,
    waiters: HashMap<u64, oneshot::Sender<()>>,
    /// The time that stands for this room in the heap of timers.
    timer: Option<Instant>,
}

/// One worker. The gateway spawns [`RoomWorker::run`].
pub(crate) struct RoomWorker {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) pages: Pages,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) limits: RoomLimits,
    pub(crate) relayed: mpsc::Receiver<Relayed>,
    pub(crate) commands: mpsc::Receiver<Command>,
}

struct Rooms {
    bus: Arc<dyn Bus>,
    pages: Pages,
    metrics: Arc<Metrics>,
    limits: RoomLimits,
    slots: HashMap<RoomId, Slot>,
    timers: BinaryHeap<Reverse<(Instant, RoomId)>>,
    /// Subscriptions and loads on their way: at most one of each for a room.
    pending: FuturesUnordered<BoxFuture<'static, (RoomId, Input)>>,
    frames: usize,
}

impl RoomWorker {
    /// Runs until every hub is gone.
    ///
    /// # Cancel safety
    /// Dropping it drops the rooms: members hear nothing more.
    pub(crate) async fn run(mut self) {
        let mut rooms = Rooms {
            bus: self.bus,
            pages: self.pages,
            metrics: self.metrics,
            limits: self.limits,
            slots: HashMap::new(),
            timers: BinaryHeap::new(),
            pending: FuturesUnordered::new(),
            frames: 0,
        };
        loop {
            let timer = rooms.timers.peek().map(|Reverse((at, _))| *at);
            tokio::select! {
                Some(relayed) = self.relayed.recv() => {
                    rooms.handle(relayed.room, RoomInput::Event(relayed.event)).await;
                }
                command = self.commands.recv() => match command {
                    Some(command) => rooms.command(command).await,
                    None => return,
                },
                Some((room, input)) = rooms.pending.next(), if !rooms.pending.is_empty() => {
                    rooms.handle(room, input).await;
                }
                () = sleep_until_or_never(timer) => rooms.timeouts().await,
            }
        }
    }
}

async fn sleep_until_or_never(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

impl Rooms {
    async fn command(&mut self, command: Command) {
        match command {
            Command::Join { room, member, connection, username, profile, cursor } => {
                self.metrics.joins.inc();
                self.open(&room);
                self.handle(room, RoomInput::Join { member, handle: connection, username, profile, cursor })
                    .await;
            }
            Command::Leave { room, member } => self.handle(room, RoomInput::Leave { member }).await,
            Command::Wait { room, waiter, after, ready } => {
                self.open(&room).waiters.insert(waiter, ready);
                self.handle(room, RoomInput::Wait { waiter, after }).await;
            }
            Command::Unwait { room, waiter } => {
                if let Some(slot) = self.slots.get_mut(&room) {
                    slot.waiters.remove(&waiter);
                    self.handle(room, RoomInput::Unwait { waiter }).await;
                }
            }
        }
    }

    fn open(&mut self, room: &RoomId) -> &mut Slot {
        let (limits, rooms) = (self.limits, &self.metrics.rooms);
        self.slots.entry(room.clone()).or_insert_with(|| {
            // Counted, not set: the other workers have rooms too.
            rooms.inc();
            Slot { room: Room::new(room.clone(), limits), waiters: HashMap::new(), timer: None }
        })
    }

    async fn timeouts(&mut self) {
        let now = Instant::now();
        while let Some(Reverse((at, _))) = self.timers.peek()
            && *at <= now
        {
            let Some(Reverse((at, room))) = self.timers.pop() else { return };
            self.timers.give_back();
            if let Some(slot) = self.slots.get_mut(&room).filter(|slot| slot.timer == Some(at)) {
                slot.timer = None;
                self.handle(room, RoomInput::Timeout).await;
            }
        }
    }

    /// Gives a room one input and does what it asks for. Events of rooms that nobody is in are late ones, and dropped.
    async fn handle(&mut self, id: RoomId, input: Input) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        slot.room.handle(Instant::now(), input);
        while let Some(output) = self.slots.get_mut(&id).and_then(|slot| slot.room.poll_output()) {
            self.output(&id, output);
            if self.frames >= FRAMES_PER_TURN {
                self.frames = 0;
                yield_now().await;
            }
        }
        let Some(slot) = self.slots.get_mut(&id) else { return };
        if slot.room.is_idle() {
            self.slots.remove(&id);
            self.slots.give_back();
            self.metrics.rooms.dec();
        } else {
            let timer = slot.room.poll_timeout();
            if timer != slot.timer {
                slot.timer = timer;
                self.timers.extend(timer.map(|at| Reverse((at, id))));
            }
        }
    }

    fn output(&mut self, id: &RoomId, output: RoomOutput<Arc<Connection>>) {
        match output {
            RoomOutput::Send { to, outgoing } => {
                to.send(&outgoing);
                self.metrics.delivered.inc();
                self.frames += 1;
            }
            RoomOutput::Subscribe => {
                let (bus, room) = (self.bus.clone(), id.clone());
                self.pending.push(Box::pin(async move {
                    let input = match bus.subscribe(&room).await {
                        Ok(()) => RoomInput::Subscribed,
                        Err(error) => RoomInput::SubscribeFailed(code_of(&error)),
                    };
                    (room, input)
                }));
            }
            RoomOutput::Unsubscribe => self.bus.unsubscribe(id),
            RoomOutput::Load { load, from } => {
                self.metrics.loads.inc();
                let (pages, room) = (self.pages.clone(), id.clone());
                self.pending.push(Box::pin(async move {
                    let result = pages.load(&room, from).await.map_err(|error| code_of(&error));
                    (room, RoomInput::Loaded { load, result })
                }));
            }
            RoomOutput::Refuse { to, code } => to.control(Control::JoinRefused { room: id.clone(), code }),
            RoomOutput::CloseBehind { to } => to.control(Control::Close(CloseReason::SlowReader)),
            RoomOutput::Announce { here, notice } => self.bus.presence(id, here, notice),
            RoomOutput::Wake { waiter } => {
                let ready = self.slots.get_mut(id).and_then(|slot| slot.waiters.remove(&waiter));
                if ready.is_some_and(|ready| ready.send(()).is_err()) {
                    tracing::trace!(room = %id, "woke a poll that was given up");
                }
            }
        }
    }
}

/// What a client is told of an error of the bus.
pub(crate) fn code_of(error: &BusError) -> ErrorCode {
    match error {
        BusError::ClientIdReused => ErrorCode::ClientIdReused,
        BusError::Overloaded(_) => ErrorCode::Overloaded,
        BusError::Unavailable(_) => ErrorCode::Unavailable,
        BusError::StoreUnavailable(_) => ErrorCode::StoreUnavailable,
        BusError::Refused => ErrorCode::MessageRefused,
    }
}
