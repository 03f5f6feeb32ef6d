//! A node as a gateway runs it: it drains what it is given, fills its rooms' holes, and remembers what it saw; clients who say
//! things and try again; what must be true of a room in the end.
//! Not here: the bus, the faults.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use moim_bus::{
    Bus, BusError, BusHealth, Here, Logs, Receipt, RelaySink, Relayed, WriteAhead,
    conformance::{Rows, draft_as},
};
use moim_bus_redis::{RedisBus, RedisBusConfig, Topology};
use moim_protocol::{Message, RoomEvent, RoomId, Seq, UserName};
use moim_telemetry::Registry;
use tokio::{
    sync::{Mutex, mpsc},
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};

use super::{
    config,
    own::{PATIENCE, until},
    unused,
};

/// More rows than any ring has.
const ALL: usize = 1 << 20;
/// Between two messages of a client.
const PAUSE: Duration = Duration::from_millis(5);
const RETRY: Duration = Duration::from_millis(20);

/// What a node's members have seen.
#[derive(Default)]
struct Seen {
    rooms: HashMap<RoomId, Vec<Arc<Message>>>,
    late: Vec<Arc<Message>>,
    lost: usize,
    /// How many were said to be on other nodes, each time it was said.
    elsewhere: Vec<u64>,
    /// The last of those of which the members were told, too.
    told: Option<u64>,
}

/// A node. Dropped, it is gone as by kill -9.
pub(crate) struct Peer {
    pub(crate) bus: Arc<RedisBus>,
    rows: Arc<Rows>,
    seen: Arc<Mutex<Seen>>,
    _tasks: JoinSet<()>,
}

/// How a node of this Redis starts; `nth` of them, and only the first drains.
pub(crate) fn nth_config(urls: &[String], topology: Topology, prefix: &str, nth: usize) -> RedisBusConfig {
    RedisBusConfig { drains: nth == 0, ..config(urls.to_vec(), topology, prefix) }
}

/// That many nodes, all ready.
pub(crate) async fn peers(rows: &Arc<Rows>, url: &str, count: usize) -> Vec<Peer> {
    peers_of(rows, &[url.to_owned()], Topology::Single, count).await
}

pub(crate) async fn peers_of(
    rows: &Arc<Rows>,
    urls: &[String],
    topology: Topology,
    count: usize,
) -> Vec<Peer> {
    let prefix = format!("p{:x}", unused());
    let mut peers = Vec::new();
    for nth in 0..count {
        peers.push(Peer::start(rows, nth_config(urls, topology, &prefix, nth)).await);
    }
    peers
}

impl Peer {
    /// Starts one, and waits until it is ready.
    pub(crate) async fn start(rows: &Arc<Rows>, config: RedisBusConfig) -> Self {
        let peer = Self::begin(rows, config);
        until("the node is ready", async || peer.bus.health() == BusHealth::Open).await;
        peer
    }

    /// Starts one.
    pub(crate) fn begin(rows: &Arc<Rows>, config: RedisBusConfig) -> Self {
        let (sink, mut relayed) = RelaySink::new(1);
        let registry = Registry::new("0").expect("a registry");
        let (bus, driver, logs) = RedisBus::new(config, sink, rows.clone(), &registry).expect("a bus");
        let (seen, mut tasks) = (Arc::default(), JoinSet::new());
        tasks.spawn(driver.run());
        tasks.spawn(drain_all(logs, rows.clone()));
        tasks.spawn(watch(bus.clone(), rows.clone(), relayed.remove(0), Arc::clone(&seen)));
        Self { bus, rows: rows.clone(), seen, _tasks: tasks }
    }

    /// A member comes, and is shown the room.
    pub(crate) async fn join(&self, room: &RoomId) {
        self.bus.subscribe(room).await.expect("subscribe");
        let mut seen = self.seen.lock().await;
        seen.rooms.entry(room.clone()).or_default();
        fill(&self.bus, &self.rows, room, &mut seen).await;
    }

    /// Says it until it is acknowledged, as a client does.
    pub(crate) async fn say(&self, room: &RoomId, text: &str) -> Receipt {
        say(&self.bus, room, text, &AtomicUsize::new(0)).await
    }

    /// What its members have seen, in that order.
    pub(crate) async fn seen(&self, room: &RoomId) -> Vec<Arc<Message>> {
        self.seen.lock().await.rooms.get(room).cloned().unwrap_or_default()
    }

    /// What came to the log when it had been passed.
    pub(crate) async fn late(&self) -> Vec<Arc<Message>> {
        self.seen.lock().await.late.clone()
    }

    /// So many members are here.
    pub(crate) fn holds(&self, room: &RoomId, count: u64) {
        self.bus.presence(room, Here { count, names: vec![UserName::trusted("kim")] }, None);
    }

    /// How many are in the room, asked anew.
    pub(crate) async fn bus_count(&self, room: &RoomId) -> u64 {
        self.bus.who(room).await.expect("who is here").count
    }

    /// What it was told of members on other nodes, each time.
    pub(crate) async fn elsewhere(&self) -> Vec<u64> {
        self.seen.lock().await.elsewhere.clone()
    }

    /// How many members on other nodes its own were told of last, by a notice.
    pub(crate) async fn told(&self) -> Option<u64> {
        self.seen.lock().await.told
    }

    /// How often it was told that events may be lost.
    pub(crate) async fn lost(&self) -> usize {
        self.seen.lock().await.lost
    }
}

async fn say(bus: &RedisBus, room: &RoomId, text: &str, errors: &AtomicUsize) -> Receipt {
    let trying = async {
        loop {
            match bus.publish(draft_as(room, "kim", text, text)).await {
                Ok(receipt) => return receipt,
                Err(BusError::Unavailable(_) | BusError::Overloaded(_)) => {
                    errors.fetch_add(1, Ordering::AcqRel);
                    sleep(RETRY).await;
                }
                Err(error) => panic!("{text}: {error}"),
            }
        }
    };
    timeout(PATIENCE, trying).await.unwrap_or_else(|_| panic!("{text} is never acknowledged"))
}

/// With the patience of the gateway's writer: a generation may end under a commit.
async fn drain(log: Arc<dyn WriteAhead>, rows: Arc<Rows>) {
    while let Some(batch) = log.read(64, usize::MAX).await {
        rows.append(&batch).await;
        if log.commit(&batch, &[]).await.is_err() {
            sleep(RETRY).await;
        }
    }
}

async fn drain_all(mut logs: Logs, rows: Arc<Rows>) {
    let mut drains = JoinSet::new();
    while let Some(log) = logs.recv().await {
        drains.spawn(drain(log, rows.clone()));
    }
}

/// What a room does with its events, in short: shows what follows, and reads what it missed.
async fn watch(
    bus: Arc<RedisBus>,
    rows: Arc<Rows>,
    mut relayed: mpsc::Receiver<Relayed>,
    seen: Arc<Mutex<Seen>>,
) {
    while let Some(Relayed { room, event }) = relayed.recv().await {
        let mut seen = seen.lock().await;
        match event {
            RoomEvent::Message(message) => {
                let Some(shown) = seen.rooms.get_mut(&room) else { continue };
                let cursor = cursor(shown);
                if message.seq > cursor && message.prev == Some(cursor) {
                    shown.push(message);
                } else if message.seq > cursor {
                    fill(&bus, &rows, &room, &mut seen).await;
                }
            }
            RoomEvent::Lost => {
                seen.lost += 1;
                fill(&bus, &rows, &room, &mut seen).await;
            }
            RoomEvent::Late(message) => seen.late.push(message),
            RoomEvent::Presence { notice, elsewhere, .. } => {
                seen.elsewhere.push(elsewhere);
                seen.told = notice.map(|_| elsewhere).or(seen.told);
            }
            _ => {}
        }
    }
}

fn cursor(shown: &[Arc<Message>]) -> Seq {
    shown.last().map_or(Seq::ZERO, |message| message.seq)
}

/// Reads on from the cursor: ring first, store second.
async fn fill(bus: &RedisBus, rows: &Rows, room: &RoomId, seen: &mut Seen) {
    let Some(shown) = seen.rooms.get_mut(room) else { return };
    let ring = loop {
        match bus.ring(room, ALL).await {
            Ok(ring) => break ring,
            Err(_) => sleep(RETRY).await,
        }
    };
    let all = rows.of(room).into_iter().filter(|row| row.seq <= ring.head.seq).chain(ring.rows);
    let all: BTreeMap<Seq, Arc<Message>> = all.map(|row| (row.seq, row)).collect();
    let cursor = cursor(shown);
    shown.extend(all.into_values().filter(|row| row.seq > cursor));
}

/// What was acknowledged.
pub(crate) type Said = Vec<(String, Receipt)>;

/// A client that says one thing after the other.
pub(crate) struct Speaker {
    stop: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
    errors: Arc<AtomicUsize>,
    task: JoinHandle<Said>,
}

impl Speaker {
    pub(crate) fn start(peer: &Peer, room: &RoomId, name: &str) -> Self {
        let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (bus, room, name) = (peer.bus.clone(), room.clone(), name.to_owned());
        let errors = Arc::new(AtomicUsize::new(0));
        let (stops, counts, bothered) = (stop.clone(), count.clone(), errors.clone());
        let task = tokio::spawn(async move {
            let mut said = Vec::new();
            while !stops.load(Ordering::Acquire) {
                let text = format!("{name}{}", said.len());
                let receipt = say(&bus, &room, &text, &bothered).await;
                said.push((text, receipt));
                counts.fetch_add(1, Ordering::AcqRel);
                sleep(PAUSE).await;
            }
            said
        });
        Self { stop, count, errors, task }
    }

    /// Waits until that many more have been acknowledged.
    pub(crate) async fn goes_on(&self, more: usize) {
        let want = self.count.load(Ordering::Acquire) + more;
        until("messages are acknowledged", async || self.count.load(Ordering::Acquire) >= want).await;
    }

    /// How often it was told to try again.
    pub(crate) fn errors(&self) -> usize {
        self.errors.load(Ordering::Acquire)
    }

    pub(crate) async fn stop(self) -> Said {
        self.stop.store(true, Ordering::Release);
        self.task.await.expect("the speaker")
    }
}

/// Says some things, turn by turn on each node.
pub(crate) async fn talk(peers: &[Peer], room: &RoomId, name: &str, count: usize) -> Said {
    let mut said = Vec::new();
    for nth in 0..count {
        let text = format!("{name}{nth}");
        let receipt = peers[nth % peers.len()].say(room, &text).await;
        said.push((text, receipt));
    }
    said
}

/// Every acknowledged message is stored once, at its number; the room is one piece; every node saw every message once, in order.
/// The nodes are closed. Answers the room.
pub(crate) async fn nothing_is_lost(
    rows: &Rows,
    peers: &[Peer],
    room: &RoomId,
    said: &Said,
) -> Vec<Arc<Message>> {
    let last = said.iter().map(|(_, receipt)| receipt.position.seq).max();
    for peer in peers {
        until("everybody has seen the last message", async || {
            peer.seen(room).await.last().map(|message| message.seq) >= last
        })
        .await;
    }
    rows.set_stuck(false);
    all_is_stored(peers).await;
    let stored = rows.of(room);
    is_one_piece(&stored, peers.len());
    let texts: Vec<_> = stored.iter().map(|row| row.content.to_string()).collect();
    let distinct: BTreeSet<_> = texts.iter().collect();
    assert_eq!(distinct.len(), texts.len(), "a message is stored twice");
    assert_eq!(
        distinct,
        said.iter().map(|(text, _)| text).collect(),
        "what is stored is not what was acknowledged"
    );
    for (text, receipt) in said {
        let row =
            stored.iter().find(|row| row.seq == receipt.position.seq).map(|row| (&*row.content, &row.epoch));
        assert_eq!(row, Some((&**text, &receipt.position.epoch)), "acknowledged at {:?}", receipt.position);
    }
    for peer in peers {
        assert_eq!(peer.seen(room).await, stored, "a node's members saw something else");
    }
    stored
}

/// Closes the nodes, and waits for the store.
pub(crate) async fn all_is_stored(peers: &[Peer]) {
    peers.iter().for_each(|peer| peer.bus.close());
    for peer in peers {
        timeout(PATIENCE, peer.bus.flushed()).await.expect("everything is stored in the end");
    }
}

/// `calls`: so many messages may have been under way when a generation ended, each with a number that nobody heard of.
fn is_one_piece(stored: &[Arc<Message>], calls: usize) {
    let mut before = Seq::ZERO;
    for row in stored {
        assert_eq!(row.prev, Some(before), "prev is not the row before");
        before = row.seq;
    }
    for of_epoch in stored.chunk_by(|one, next| one.epoch == next.epoch) {
        let [first, last] = [of_epoch[0].seq, of_epoch[of_epoch.len() - 1].seq];
        let numbers = usize::try_from(last.0 - first.0 + 1).expect("fewer than 2^32 of one epoch");
        assert!(numbers - of_epoch.len() < calls, "a hole in the numbers");
    }
}

/// How many generations its messages were made in.
pub(crate) fn epochs(stored: &[Arc<Message>]) -> usize {
    stored.iter().map(|row| row.epoch.to_string()).collect::<BTreeSet<_>>().len()
}
