//! The splice under any interleaving: every member gets one gapless, repeat-free sequence, or is told what it misses.
//! Not here: the same over real sockets and a real store (`moim`'s tests).

use std::collections::HashMap;

use moim_protocol::{Epoch, MessageId, NodeId};
use proptest::prelude::*;
use serde_json::Value;

use super::*;

const ROWS_PER_LOAD: usize = 12;

#[derive(Debug, Clone)]
enum Op {
    Publish,
    /// The same message again from the log's side: a relay that repeats.
    RelayAgain(usize),
    Jump,
    Relay,
    RelayLost,
    /// Everything on its way is lost, and the bus says so.
    Lost,
    ReadLoad,
    AnswerLoad,
    FailLoad,
    Join {
        v1: bool,
    },
    /// A member's connection breaks and it comes back with its cursor.
    Resume(usize),
    Leave(usize),
    Timeout,
}

/// A bus that loses events without a word shows it with the next message; one that says `Lost` needs no next message.
fn ops(silent: bool) -> impl Strategy<Value = Vec<Op>> {
    let lost = if silent { Op::RelayLost } else { Op::Lost };
    let op = prop_oneof![
        6 => Just(Op::Publish),
        1 => (0..8usize).prop_map(Op::RelayAgain),
        1 => Just(Op::Jump),
        6 => Just(Op::Relay),
        1 => Just(lost),
        4 => Just(Op::ReadLoad),
        4 => Just(Op::AnswerLoad),
        1 => Just(Op::FailLoad),
        3 => any::<bool>().prop_map(|v1| Op::Join { v1 }),
        3 => (0..8usize).prop_map(Op::Resume),
        1 => (0..8usize).prop_map(Op::Leave),
        1 => Just(Op::Timeout),
    ];
    proptest::collection::vec(op, 1..120)
}

/// One client: what it saw over all its connections.
#[derive(Debug, Clone)]
struct Client {
    profile: Profile,
    connected: bool,
    /// What this connection was sent.
    frames: Vec<Value>,
    /// The last number it knows to have seen, with its epoch.
    cursor: Option<Cursor>,
    /// What this connection asked for.
    asked: Option<Cursor>,
    /// The head when it asked: what it is shown may not be older.
    head: Seq,
}

struct World {
    room: Room<u64>,
    now: Instant,
    log: Vec<Arc<Message>>,
    head: Position,
    relay: VecDeque<Arc<Message>>,
    subscribed: bool,
    /// Loads asked for, oldest first: one for each subscription, since an old one's may still be on its way.
    loads: VecDeque<(LoadId, Option<Seq>)>,
    reads: VecDeque<(LoadId, Loaded)>,
    loads_since_subscribed: usize,
    clients: HashMap<u64, Client>,
    connections: u64,
    announced: Option<Here>,
}

fn key(connection: u64) -> MemberKey {
    MemberKey { node: NodeId(1), connection }
}

impl World {
    fn new() -> Self {
        let limits = RoomLimits { resume_messages_max: 10, resume_bytes_max: 1_000_000 };
        Self {
            room: Room::new(RoomId::trusted("r"), limits),
            now: Instant::now(),
            log: Vec::new(),
            head: Position { epoch: Epoch::trusted("e0"), seq: Seq(0) },
            relay: VecDeque::new(),
            subscribed: false,
            loads: VecDeque::new(),
            reads: VecDeque::new(),
            loads_since_subscribed: 0,
            clients: HashMap::new(),
            connections: 0,
            announced: None,
        }
    }

    fn publish(&mut self) {
        let prev = self.log.last().map_or(Seq::ZERO, |row| row.seq);
        self.head.seq = self.head.seq.next();
        let message = Arc::new(Message {
            room: RoomId::trusted("r"),
            seq: self.head.seq,
            prev: Some(prev),
            epoch: self.head.epoch.clone(),
            id: MessageId::trusted("i"),
            client_id: None,
            username: UserName::trusted("u"),
            content: "x".into(),
            time: Timestamp::default(),
        });
        self.log.push(message.clone());
        if self.subscribed {
            self.relay.push_back(message);
        }
    }

    fn input(&mut self, input: RoomInput<u64>) {
        self.room.handle(self.now, input);
        while let Some(output) = self.room.poll_output() {
            match output {
                RoomOutput::Subscribe => {
                    self.subscribed = true;
                    self.loads_since_subscribed = 0;
                    self.input(RoomInput::Subscribed);
                }
                // What is on its way still comes.
                RoomOutput::Unsubscribe => self.subscribed = false,
                RoomOutput::Load { load, from } => {
                    self.loads_since_subscribed += 1;
                    assert_eq!(self.loads_since_subscribed, 1, "one load at a time");
                    self.loads.push_back((load, from));
                }
                RoomOutput::Send { to, outgoing } => {
                    let client = self.clients.get_mut(&to).unwrap();
                    assert!(client.connected, "sent to a member that left");
                    client.frames.push(serde_json::from_slice(&outgoing.frame.json()).unwrap());
                }
                RoomOutput::Refuse { to, .. } | RoomOutput::CloseBehind { to } => self.drop_client(to),
                RoomOutput::Announce { here, .. } => self.announced = Some(here),
                RoomOutput::Wake { .. } => {}
            }
        }
    }

    fn drop_client(&mut self, id: u64) {
        if let Some(client) = self.clients.get_mut(&id).filter(|client| client.connected) {
            client.connected = false;
            client.check(&self.log, false);
            self.input(RoomInput::Leave { member: key(id) });
        }
    }

    fn join(&mut self, profile: Profile, cursor: Option<Cursor>) {
        self.connections += 1;
        let id = self.connections;
        let client = Client {
            profile,
            connected: true,
            frames: Vec::new(),
            cursor: cursor.clone(),
            asked: cursor.clone(),
            head: self.head.seq,
        };
        self.clients.insert(id, client);
        let username = UserName::trusted("u");
        self.input(RoomInput::Join { member: key(id), handle: id, username, profile, cursor });
    }

    fn pick(&self, index: usize) -> Option<u64> {
        let mut ids: Vec<_> =
            self.clients.iter().filter(|(_, client)| client.connected).map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids.get(index % ids.len().max(1)).copied()
    }

    /// What ring and store hold at this moment, bounded as they are.
    fn read_load(&mut self) {
        let Some((load, from)) = self.loads.pop_front() else { return };
        let wanted = self.log.iter().filter(|row| from.is_none_or(|from| row.seq >= from)).count().max(20);
        let skip = self.log.len().saturating_sub(wanted.min(ROWS_PER_LOAD.max(20)));
        let rows = self.log[skip..].to_vec();
        let floor = rows.first().map_or(Seq::ZERO, |row| row.prev.unwrap());
        self.reads.push_back((load, Loaded { head: self.head.clone(), rows, floor, complete: true }));
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::Publish => self.publish(),
            Op::Jump => {
                let epoch = Epoch::trusted(format!("e{}", self.head.seq));
                self.head = Position { epoch, seq: Seq(self.head.seq.0 + 1000) };
            }
            Op::RelayAgain(back) => {
                if let Some(message) = self.log.iter().rev().nth(back).filter(|_| self.subscribed).cloned() {
                    // Only what was relayed before can be repeated; what is still queued comes in its turn.
                    if self.relay.front().is_none_or(|next| message.seq < next.seq) {
                        self.input(RoomInput::Event(RoomEvent::Message(message)));
                    }
                }
            }
            Op::Relay => {
                if let Some(message) = self.relay.pop_front() {
                    self.input(RoomInput::Event(RoomEvent::Message(message)));
                }
            }
            Op::RelayLost => drop(self.relay.pop_front()),
            Op::Lost => {
                self.relay.clear();
                if self.subscribed {
                    self.input(RoomInput::Event(RoomEvent::Lost));
                }
            }
            Op::ReadLoad => self.read_load(),
            Op::AnswerLoad => {
                if let Some((load, loaded)) = self.reads.pop_front() {
                    self.loads_since_subscribed = 0;
                    self.input(RoomInput::Loaded { load, result: Ok(loaded) });
                }
            }
            Op::FailLoad => {
                if let Some((load, _)) = self.reads.pop_front() {
                    self.loads_since_subscribed = 0;
                    self.input(RoomInput::Loaded { load, result: Err(ErrorCode::Unavailable) });
                }
            }
            Op::Join { v1 } => self.join(if v1 { Profile::V1 } else { Profile::Plain }, None),
            Op::Resume(index) => {
                if let Some(id) = self.pick(index) {
                    let client = self.clients[&id].clone();
                    self.drop_client(id);
                    let cursor = self.clients[&id].cursor.clone();
                    self.join(client.profile, cursor);
                }
            }
            Op::Leave(index) => {
                if let Some(id) = self.pick(index) {
                    self.drop_client(id);
                }
            }
            Op::Timeout => {
                self.now = self.room.poll_timeout().unwrap_or(self.now);
                self.input(RoomInput::Timeout);
            }
        }
    }

    /// Everything that is on its way arrives, and one more message shows the holes that nobody was told of.
    fn settle(&mut self, silent: bool) {
        for last in [!silent, true] {
            for _ in 0..50 {
                self.run(Op::Relay);
                self.run(Op::ReadLoad);
                self.run(Op::AnswerLoad);
                if self.loads.is_empty() && self.reads.is_empty() && self.room.loads.retry_at().is_some() {
                    self.run(Op::Timeout);
                }
            }
            while !self.relay.is_empty() {
                self.run(Op::Relay);
                self.run(Op::ReadLoad);
                self.run(Op::AnswerLoad);
            }
            if !last {
                self.publish();
            }
        }
        for client in self.clients.values_mut().filter(|client| client.connected) {
            client.check(&self.log, true);
        }
    }
}

fn seq(value: &Value) -> u64 {
    value["seq"].as_u64().unwrap()
}

impl Client {
    /// Holds what one connection was sent against the log; `to_the_end` when nothing is on its way any more.
    fn check(&mut self, log: &[Arc<Message>], to_the_end: bool) {
        let mut frames = self.frames.iter().filter(|frame| frame["type"] != "system").peekable();
        let mut start = None;
        if self.profile == Profile::V1 {
            let Some(joined) = frames.next() else { return };
            assert_eq!(joined["type"], "joined", "the first frame of a join");
            start = Some(seq(joined));
            assert!(start >= Some(self.head.0), "joined at a head older than the request");
            if let Some(asked) = self.asked.as_ref().filter(|_| joined["recovered"] == true) {
                start = Some(asked.seq.0);
            }
        }
        if let Some(history) = frames.next_if(|frame| frame["type"] == "history") {
            let told: Vec<_> = history["messages"].as_array().unwrap().iter().map(seq).collect();
            let end = start.or(told.last().copied()).unwrap();
            let upto: Vec<_> = log.iter().map(|row| row.seq.0).filter(|seq| *seq <= end).collect();
            assert_eq!(
                told,
                upto[upto.len().saturating_sub(20)..],
                "history is the last 20 up to joined.seq"
            );
            start = Some(end);
        }
        let start = start.unwrap_or(0);
        let (mut seen, mut gaps) = (Vec::new(), Vec::new());
        for frame in frames {
            match frame["type"].as_str().unwrap() {
                "message" => seen.push(seq(frame)),
                "gap" => gaps.push(frame["from"].as_u64().unwrap()..=frame["to"].as_u64().unwrap()),
                other => panic!("unexpected {other}"),
            }
        }
        assert!(seen.is_sorted_by(|a, b| a < b), "in order, each once: {seen:?}");
        let end = if to_the_end { u64::MAX } else { seen.last().copied().unwrap_or(start) };
        let known = |seq: &u64| gaps.iter().any(|gap| gap.contains(seq));
        let due: Vec<_> = log
            .iter()
            .map(|row| row.seq.0)
            .filter(|seq| *seq > start && *seq <= end && !known(seq))
            .collect();
        let live = to_the_end && self.profile == Profile::Plain && seen.is_empty() && self.frames.is_empty();
        assert!(live || seen == due, "from {start}: seen {seen:?}, due {due:?}, gaps {gaps:?}");
        let last = seen.last().copied().unwrap_or(start);
        let epoch = log.iter().find(|row| row.seq.0 == last).map(|row| row.epoch.clone());
        self.cursor = Some(Cursor { seq: Seq(last), epoch });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn every_member_sees_one_gapless_sequence(
        (silent, ops) in any::<bool>().prop_flat_map(|silent| (Just(silent), ops(silent)))
    ) {
        let mut world = World::new();
        for op in ops {
            world.run(op);
        }
        world.settle(silent);
    }
}

mod cases;
