//! Any interleaving of sends (some of them twice), steps of the writer, subscriptions, ring reads, restarts and a clock
//! that jumps: one log a room, without a hole or a repeat, each client id once, and everybody sees that one log.
//! Not here: bounds and failing stores (`bounds`, `life`), more than one thread (the suite).

use std::{collections::HashMap, sync::Arc};

use futures_util::{FutureExt, future::BoxFuture};
use moim_bus::{
    Bus, BusError, InProcessBus, InProcessConfig, InProcessDriver, Receipt, RelaySink, Relayed, WriteAhead,
    conformance::{Rows, draft, draft_as},
};
use moim_protocol::{Message, NodeId, RoomEvent, RoomId, Seq, Timestamp};
use proptest::prelude::*;
use tokio::{
    sync::mpsc,
    task::{JoinHandle, yield_now},
};

use super::{HandClock, kept};

const ROOMS: usize = 3;

#[derive(Debug, Clone)]
enum Op {
    /// `client`: which client id, if any. `other`: with content that is not the usual of that id.
    Send {
        room: usize,
        sender: usize,
        client: Option<usize>,
        other: bool,
        awaited: bool,
    },
    /// The writer reads so many and commits so many of them.
    Drain {
        read: usize,
        commit: usize,
    },
    Subscribe(usize),
    Unsubscribe(usize),
    Ring {
        room: usize,
        rows_max: usize,
    },
    /// Other tasks run.
    Turn(usize),
    Unreadable(bool),
    /// By so many seconds, backwards too; all of them together are less than ten minutes.
    Clock(i64),
    /// As by a kill.
    Restart,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let send = (0..ROOMS, 0..2_usize, prop::option::of(0..4_usize), prop::bool::weighted(0.1), any::<bool>());
    let op = prop_oneof![
        12 => send.prop_map(|(room, sender, client, other, awaited)| Op::Send { room, sender, client, other, awaited }),
        6 => (1..6_usize, 0..6_usize).prop_map(|(read, commit)| Op::Drain { read, commit }),
        2 => (0..ROOMS).prop_map(Op::Subscribe),
        1 => (0..ROOMS).prop_map(Op::Unsubscribe),
        3 => (0..ROOMS, 0..6_usize).prop_map(|(room, rows_max)| Op::Ring { room, rows_max }),
        6 => (1..6_usize).prop_map(Op::Turn),
        1 => any::<bool>().prop_map(Op::Unreadable),
        1 => (-3..3_i64).prop_map(Op::Clock),
        1 => Just(Op::Restart),
    ];
    prop::collection::vec(op, 1..150)
}

/// What a send must be answered with, once it is.
#[derive(Debug, Clone, PartialEq)]
enum Expected {
    /// The room's message of this number.
    Message(usize, Seq),
    Reused,
}

/// One subscription: it counts from when it is confirmed and the ring is read.
struct Listener {
    confirmed: Option<BoxFuture<'static, Result<(), BusError>>>,
    last: Seq,
}

struct World {
    rows: Arc<Rows>,
    clock: HandClock,
    bus: Arc<InProcessBus>,
    driver: JoinHandle<()>,
    relayed: mpsc::Receiver<Relayed>,
    rooms: Vec<RoomId>,
    /// What each room's log must be: contents in call order.
    logs: Vec<Vec<String>>,
    /// By room, sender and client id.
    known: HashMap<(usize, usize, usize), (Seq, String)>,
    answers: Vec<(BoxFuture<'static, Result<Receipt, BusError>>, Expected)>,
    listeners: HashMap<usize, Listener>,
    sends: usize,
}

fn boot(
    rows: &Arc<Rows>,
    clock: &HandClock,
) -> (Arc<InProcessBus>, InProcessDriver, mpsc::Receiver<Relayed>) {
    let clock = clock.clone();
    let clock = Arc::new(move || Timestamp { micros: clock.now() });
    let (sink, mut relayed) = RelaySink::new(1);
    let config = InProcessConfig { node: NodeId(1), numbering: kept(), clock };
    let (bus, driver) = InProcessBus::new(config, sink, rows.clone());
    (bus, driver, relayed.remove(0))
}

impl World {
    fn new() -> Self {
        let (rows, clock) = (Rows::new(), HandClock::at(1_000_000_000));
        let (bus, driver, relayed) = boot(&rows, &clock);
        Self {
            rows,
            clock,
            bus,
            driver: tokio::spawn(driver.run()),
            relayed,
            rooms: (0..ROOMS).map(|nth| RoomId::trusted(format!("방{nth}"))).collect(),
            logs: vec![Vec::new(); ROOMS],
            known: HashMap::new(),
            answers: Vec::new(),
            listeners: HashMap::new(),
            sends: 0,
        }
    }

    async fn step(&mut self, op: Op) {
        match op {
            Op::Send { room, sender, client, other, awaited } => {
                self.send(room, sender, client, other, awaited);
            }
            Op::Drain { read, commit } => self.drain(read, commit).await,
            Op::Subscribe(room) => {
                if !self.listeners.contains_key(&room) {
                    let (bus, id) = (self.bus.clone(), self.rooms[room].clone());
                    let confirmed = Some(async move { bus.subscribe(&id).await }.boxed());
                    self.listeners.insert(room, Listener { confirmed, last: Seq::ZERO });
                }
            }
            Op::Unsubscribe(room) => {
                self.bus.unsubscribe(&self.rooms[room]);
                self.listeners.remove(&room);
            }
            Op::Ring { room, rows_max } => self.read_ring(room, rows_max),
            Op::Turn(turns) => {
                for _ in 0..turns {
                    yield_now().await;
                }
            }
            Op::Unreadable(unreadable) => self.rows.set_unreadable(unreadable),
            Op::Clock(seconds) => {
                self.clock.set(self.clock.now().saturating_add_signed(seconds * 1_000_000));
            }
            Op::Restart => self.restart().await,
        }
        self.confirm_listeners();
        self.listen();
        self.check_answers();
    }

    fn send(&mut self, room: usize, sender: usize, client: Option<usize>, other: bool, awaited: bool) {
        self.sends += 1;
        let (id, name) = (&self.rooms[room], format!("kim{sender}"));
        let next = Seq(self.logs[room].len() as u64 + 1);
        let (draft, expected) = match client {
            None => (draft(id, &format!("말{}", self.sends)), Expected::Message(room, next)),
            Some(client) => {
                let content = format!("{name}의 {client}{}", if other { ", 다른 말" } else { "" });
                let draft = draft_as(id, &name, &format!("c{client}"), &content);
                let key = (room, sender, client);
                let (seq, known) = self.known.entry(key).or_insert((next, content.clone()));
                let same = *known == content;
                (draft, if same { Expected::Message(room, *seq) } else { Expected::Reused })
            }
        };
        if expected == Expected::Message(room, next) {
            self.logs[room].push(draft.content.to_string());
        }
        let answer = self.bus.publish(draft);
        if awaited {
            self.answers.push((answer, expected));
        }
    }

    async fn drain(&self, read: usize, commit: usize) {
        let Some(batch) = self.bus.read(read, usize::MAX).now_or_never() else { return };
        let batch = batch.expect("an open log ended");
        assert!(batch.len() <= read);
        // A writer that is killed between its two steps has stored what it did not commit.
        self.rows.append(&batch).await;
        self.bus.commit(&batch[..commit.min(batch.len())], &[]).await.expect("commit");
    }

    fn read_ring(&self, room: usize, rows_max: usize) {
        // Not in memory yet.
        let Some(ring) = self.bus.ring(&self.rooms[room], rows_max).now_or_never() else { return };
        let ring = ring.expect("ring");
        assert!(ring.rows.len() <= rows_max);
        assert!(ring.head.seq.0 <= self.stored(room).len() as u64, "shown before it is stored");
        let below = ring.head.seq.0 as usize - ring.rows.len();
        let want = &self.logs[room][below..ring.head.seq.0 as usize];
        assert_eq!(ring.rows.iter().map(|row| &*row.content).collect::<Vec<_>>(), want);
    }

    fn stored(&self, room: usize) -> Vec<Arc<Message>> {
        self.rows.of(&self.rooms[room])
    }

    async fn restart(&mut self) {
        self.driver.abort();
        let (bus, driver, relayed) = boot(&self.rows, &self.clock);
        (self.bus, self.driver, self.relayed) = (bus, tokio::spawn(driver.run()), relayed);
        self.listeners.clear();
        // Those that were not answered may be lost, and are, unless they are stored.
        self.answers.clear();
        for room in 0..ROOMS {
            let stored = self.stored(room).len();
            self.logs[room].truncate(stored);
        }
        self.known.retain(|(room, ..), (seq, _)| seq.0 <= self.logs[*room].len() as u64);
    }

    fn confirm_listeners(&mut self) {
        for (room, listener) in &mut self.listeners {
            let Some(confirmed) = &mut listener.confirmed else { continue };
            let Some(result) = confirmed.now_or_never() else { continue };
            result.expect("subscribe");
            let ring = self.bus.ring(&self.rooms[*room], 0).now_or_never().expect("it is in memory");
            listener.last = ring.expect("ring").head.seq;
            listener.confirmed = None;
        }
    }

    /// Everything that was relayed is the next message of its room, for somebody who subscribed.
    fn listen(&mut self) {
        while let Ok(Relayed { room, event }) = self.relayed.try_recv() {
            let RoomEvent::Message(message) = event else { panic!("{event:?}") };
            let nth = self.rooms.iter().position(|id| *id == room).expect("one of ours");
            let listener = self.listeners.get_mut(&nth).expect("nobody subscribed");
            if listener.confirmed.is_none() && message.seq > listener.last {
                assert_eq!(message.seq, listener.last.next(), "a hole in what is relayed");
                assert_eq!(*message.content, self.logs[nth][message.seq.0 as usize - 1]);
                listener.last = message.seq;
            }
        }
    }

    fn check_answers(&mut self) {
        let mut answers = std::mem::take(&mut self.answers);
        answers.retain_mut(|(answer, expected)| match answer.now_or_never() {
            None => true,
            Some(result) => {
                self.check_answer(result, expected);
                false
            }
        });
        self.answers = answers;
    }

    fn check_answer(&self, result: Result<Receipt, BusError>, expected: &Expected) {
        match expected {
            Expected::Reused => assert_eq!(result, Err(BusError::ClientIdReused)),
            Expected::Message(room, seq) => {
                let receipt = result.expect("publish");
                assert_eq!(receipt.position.seq, *seq);
                let stored = self.stored(*room);
                let row = stored.get(seq.0 as usize - 1).expect("answered before it is stored");
                assert_eq!((&row.id, row.time), (&receipt.id, receipt.time));
            }
        }
    }

    /// Everything is read and stored; then the logs are what they must be.
    async fn finish(&mut self) {
        self.rows.set_unreadable(false);
        for _ in 0..20 {
            yield_now().await;
        }
        self.bus.close();
        while let Some(batch) = self.bus.read(7, usize::MAX).await {
            self.rows.append(&batch).await;
            self.bus.commit(&batch, &[]).await.expect("commit");
            self.confirm_listeners();
            self.listen();
        }
        self.check_answers();
        assert!(self.answers.is_empty(), "not answered: {}", self.answers.len());
        for room in 0..ROOMS {
            let stored = self.stored(room);
            assert_eq!(stored.iter().map(|row| row.content.to_string()).collect::<Vec<_>>(), self.logs[room]);
            for (nth, row) in stored.iter().enumerate() {
                assert_eq!((row.seq, row.prev), (Seq(nth as u64 + 1), Some(Seq(nth as u64))));
                assert!(nth == 0 || row.time > stored[nth - 1].time, "time does not rise");
            }
            let mut ids: Vec<_> =
                stored.iter().filter_map(|row| Some((&row.username, row.client_id.as_ref()?))).collect();
            ids.sort_unstable();
            assert!(ids.is_sorted_by(|earlier, later| earlier < later), "a client id twice");
            if let Some(listener) = self.listeners.get(&room).filter(|listener| listener.confirmed.is_none())
            {
                assert_eq!(listener.last.0 as usize, stored.len(), "a listener missed the last messages");
            }
        }
        self.driver.abort();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn one_log_a_room_whatever_happens(ops in ops()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new();
            for op in ops {
                world.step(op).await;
            }
            world.finish().await;
        });
    }
}
