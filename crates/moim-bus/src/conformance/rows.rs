//! The store as the suite sees it: rows in memory, kept over restarts of the bus, that can be stuck, slow to read or away.
//! Not here: the writer that fills it (`node`).

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::{
    FutureExt,
    future::{self, BoxFuture},
};
use moim_protocol::{Epoch, Message, RoomId, Seq};
use tokio::sync::watch;

use crate::{Seed, SeedAnswer, SeedError, SeedSource};

/// Newest rows given to a bus that reads a room.
const SEED_ROWS: usize = 100;

#[derive(Default)]
struct State {
    rooms: HashMap<RoomId, BTreeMap<Seq, Arc<Message>>>,
    seeds: u64,
    seeds_fail: bool,
    generations: HashMap<u32, Epoch>,
}

/// The rows.
pub struct Rows {
    state: Mutex<State>,
    stuck: watch::Sender<bool>,
    unreadable: watch::Sender<bool>,
}

impl Rows {
    /// None yet.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let (stuck, unreadable) = (watch::channel(false).0, watch::channel(false).0);
        Arc::new(Self { state: Mutex::default(), stuck, unreadable })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps rows, once it is not stuck.
    ///
    /// # Panics
    /// When a number was used for another message.
    ///
    /// # Cancel safety
    /// Dropping the future keeps nothing.
    pub async fn append(&self, batch: &[Arc<Message>]) {
        self.stuck.subscribe().wait_for(|stuck| !stuck).await.expect("the sender is in self");
        let mut state = self.lock();
        for row in batch {
            let kept = state.rooms.entry(row.room.clone()).or_default().entry(row.seq).or_insert(row.clone());
            assert_eq!(kept, row, "a number was used for two messages");
        }
    }

    /// While it is stuck it takes nothing, and says nothing.
    pub fn set_stuck(&self, stuck: bool) {
        self.stuck.send_replace(stuck);
    }

    /// While it is unreadable no room is read, and nothing is said.
    pub fn set_unreadable(&self, unreadable: bool) {
        self.unreadable.send_replace(unreadable);
    }

    /// While seeds fail, whoever reads a room is told so.
    pub fn set_seeds_fail(&self, fail: bool) {
        self.lock().seeds_fail = fail;
    }

    /// How many rooms were asked for.
    #[must_use]
    pub fn seeds(&self) -> u64 {
        self.lock().seeds
    }

    /// A room's rows, oldest first.
    #[must_use]
    pub fn of(&self, room: &RoomId) -> Vec<Arc<Message>> {
        self.lock().rooms.get(room).map(|rows| rows.values().cloned().collect()).unwrap_or_default()
    }

    /// Whether it has the row.
    #[must_use]
    pub fn has(&self, room: &RoomId, seq: Seq) -> bool {
        self.lock().rooms.get(room).is_some_and(|rows| rows.contains_key(&seq))
    }

    fn read(&self, room: &RoomId) -> Result<Seed, SeedError> {
        let rows = self.of(room);
        if self.lock().seeds_fail {
            return Err(SeedError("the suite says so".into()));
        }
        let answers = rows.iter().filter_map(|row| SeedAnswer::of(row)).collect();
        Ok(Seed { newest: rows[rows.len().saturating_sub(SEED_ROWS)..].to_vec(), answers })
    }
}

/// Rows as a [`SeedSource`], by their `Arc`.
impl SeedSource for Rows {
    fn seed(&self, room: RoomId) -> BoxFuture<'static, Result<Seed, SeedError>> {
        self.lock().seeds += 1;
        let mut unreadable = self.unreadable.subscribe();
        // What it would read is read when it is asked: a seed may be old when it comes.
        let seed = self.read(&room);
        Box::pin(async move {
            // An error says that the rows are gone, and with them who asked.
            drop(unreadable.wait_for(|unreadable| !unreadable).await);
            seed
        })
    }

    fn generation(&self, partition: u32) -> BoxFuture<'static, Result<Option<Epoch>, SeedError>> {
        future::ready(Ok(self.lock().generations.get(&partition).cloned())).boxed()
    }

    fn set_generation(&self, partition: u32, epoch: Epoch) -> BoxFuture<'static, Result<(), SeedError>> {
        self.lock().generations.insert(partition, epoch);
        future::ready(Ok(())).boxed()
    }
}
