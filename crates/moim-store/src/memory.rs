//! The store in memory: for tests, and for those who want history only while the process lives.
//! Not here: anything that survives a restart (`moim-store-fjall`).

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, btree_map::Entry},
    convert::Infallible,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::future::BoxFuture;
use moim_protocol::{ConfigFault, Epoch, Message, RoomId, Seq, bilingual};

use crate::{Head, MessageStore, PageRange, StoreError, within_page_bytes};

/// Most partitions whose generation is kept. Full: `Unavailable`; a bus has a few hundred.
const PARTITIONS_MAX: usize = 65_536;
/// Least room for bytes that makes sense: one message of the largest size must not push out everything else.
const BYTES_LEAST: usize = 16 * 1024 * 1024;
/// What a room costs beside its rows: its name in three tables, a map, two set entries.
const ROOM_SHARE_BYTES: usize = 512;

/// How much a [`MemoryStore`] keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryConfig {
    /// Rows kept of one room. Full: its oldest row goes.
    pub rows_per_room_max: usize,
    /// Bytes kept in all ([`Message::weight_bytes`] and a share for each room). Full: the oldest rows of the largest room
    /// go, but never its newest; when every room is down to one row, the room longest without a new row goes whole, and
    /// its head with it.
    pub bytes_max: usize,
}

impl Default for MemoryConfig {
    fn default() -> Self {
        Self { rows_per_room_max: 100_000, bytes_max: 256 * 1024 * 1024 }
    }
}

impl MemoryConfig {
    /// Every fault in it; none when it is good.
    #[must_use]
    pub fn validate(&self) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        if self.rows_per_room_max == 0 {
            let nothing = bilingual!(
                "is 0: nothing could be kept, take 1 or more",
                "값이 0입니다. 아무것도 보관할 수 없으니 1 이상을 써 주세요"
            );
            faults.push(ConfigFault::new("memory.rows_per_room_max", nothing));
        }
        if self.bytes_max < BYTES_LEAST {
            let too_few = bilingual!(
                "is {}: take {BYTES_LEAST} or more",
                "값이 {}입니다. {BYTES_LEAST} 이상을 써 주세요",
                self.bytes_max
            );
            faults.push(ConfigFault::new("memory.bytes_max", too_few));
        }
        faults
    }
}

/// Keeps the newest rows, as many as its bounds allow, and forgets them with the process.
///
/// Here "survives" of [`MessageStore::append`] means: until the process ends or the bounds are reached.
#[derive(Debug, Default)]
pub struct MemoryStore {
    config: MemoryConfig,
    // A std mutex: never held across an await, and a call touches a page of rows at most.
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    rooms: HashMap<RoomId, Room>,
    /// Rooms with more than one row, by weight: the last is the one to shorten.
    by_weight: BTreeSet<(usize, RoomId)>,
    /// All rooms, by when they last got a row: the first is the one to forget.
    by_age: BTreeSet<(u64, RoomId)>,
    /// Rises with every change of a room.
    turn: u64,
    bytes: usize,
    generations: HashMap<u32, Epoch>,
    closed: bool,
}

#[derive(Debug, Default)]
struct Room {
    rows: BTreeMap<Seq, Arc<Message>>,
    bytes: usize,
    turn: u64,
}

impl MemoryStore {
    /// An empty store with these bounds.
    #[must_use]
    pub fn new(config: MemoryConfig) -> Self {
        Self { config, kept: Mutex::default() }
    }

    fn open(&self) -> Result<MutexGuard<'_, Kept>, StoreError> {
        // No code under the lock panics, and a map that a panic left is still a map.
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.closed { Err(StoreError::Broken("it was closed".to_owned())) } else { Ok(kept) }
    }
}

impl Kept {
    fn keep(&mut self, row: Arc<Message>, rows_max: usize) {
        let id = row.room.clone();
        let mut room = self.take(&id);
        // A row that is there stays as it is: it is the same row again.
        if let Entry::Vacant(place) = room.rows.entry(row.seq) {
            room.bytes += row.weight_bytes();
            place.insert(row);
            self.turn += 1;
            room.turn = self.turn;
        }
        while room.rows.len() > rows_max.max(1) {
            room.forget_oldest();
        }
        self.put_back(id, room);
    }

    fn shrink(&mut self, bytes_max: usize) {
        while self.bytes > bytes_max {
            if let Some((_, id)) = self.by_weight.last().cloned() {
                let mut room = self.take(&id);
                room.forget_oldest();
                self.put_back(id, room);
            } else if let Some((_, id)) = self.by_age.first().cloned() {
                self.take(&id);
            } else {
                return;
            }
        }
    }

    /// Takes a room, or a new one, out of every index, so that it can be changed and put back.
    fn take(&mut self, id: &RoomId) -> Room {
        let Some(room) = self.rooms.remove(id) else {
            let bytes = ROOM_SHARE_BYTES + 3 * id.as_str().len();
            return Room { bytes, ..Room::default() };
        };
        self.bytes -= room.bytes;
        self.by_weight.remove(&(room.bytes, id.clone()));
        self.by_age.remove(&(room.turn, id.clone()));
        room
    }

    fn put_back(&mut self, id: RoomId, room: Room) {
        self.bytes += room.bytes;
        if room.rows.len() > 1 {
            self.by_weight.insert((room.bytes, id.clone()));
        }
        self.by_age.insert((room.turn, id.clone()));
        self.rooms.insert(id, room);
    }
}

impl Room {
    fn forget_oldest(&mut self) {
        if let Some((_, row)) = self.rows.pop_first() {
            self.bytes -= row.weight_bytes();
        }
    }

    fn page(&self, range: PageRange, limit: usize) -> Vec<Arc<Message>> {
        let below = match range {
            PageRange::After(seq) => {
                let above = (Bound::Excluded(seq), Bound::Unbounded);
                return within(self.rows.range(above).take(limit));
            }
            PageRange::Before(seq) => Bound::Excluded(seq),
            PageRange::Newest => Bound::Unbounded,
        };
        let newest_first = self.rows.range((Bound::Unbounded, below)).rev().take(limit);
        let mut page = within(newest_first);
        page.reverse();
        page
    }
}

fn within<'a>(rows: impl Iterator<Item = (&'a Seq, &'a Arc<Message>)>) -> Vec<Arc<Message>> {
    within_page_bytes(rows.map(|(_, row)| Ok::<_, Infallible>(row.clone()))).flatten().collect()
}

impl MessageStore for MemoryStore {
    fn append(&self, rows: Vec<Arc<Message>>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let mut kept = self.open()?;
            for row in rows {
                kept.keep(row, self.config.rows_per_room_max);
                kept.shrink(self.config.bytes_max);
            }
            Ok(())
        })
    }

    fn head<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<Option<Head>, StoreError>> {
        Box::pin(async move {
            let kept = self.open()?;
            let newest = kept.rooms.get(room).and_then(|room| room.rows.last_key_value());
            Ok(newest.map(|(_, row)| Head { last: row.position(), time: row.time }))
        })
    }

    fn page<'a>(
        &'a self,
        room: &'a RoomId,
        range: PageRange,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Arc<Message>>, StoreError>> {
        Box::pin(async move {
            let kept = self.open()?;
            Ok(kept.rooms.get(room).map(|room| room.page(range, limit)).unwrap_or_default())
        })
    }

    fn generation(&self, partition: u32) -> BoxFuture<'_, Result<Option<Epoch>, StoreError>> {
        Box::pin(async move { Ok(self.open()?.generations.get(&partition).cloned()) })
    }

    fn set_generation(&self, partition: u32, epoch: Epoch) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let mut kept = self.open()?;
            if kept.generations.len() >= PARTITIONS_MAX && !kept.generations.contains_key(&partition) {
                let full = format!("it keeps the generations of at most {PARTITIONS_MAX} partitions");
                return Err(StoreError::Unavailable(full));
            }
            kept.generations.insert(partition, epoch);
            Ok(())
        })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.kept.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use moim_protocol::{MessageId, Timestamp, UserName};

    use super::*;

    fn row(room: &str, seq: u64, content_bytes: usize) -> Arc<Message> {
        Arc::new(Message {
            room: RoomId::trusted(room),
            seq: Seq(seq),
            prev: Some(Seq(seq - 1)),
            epoch: Epoch::trusted("e"),
            id: MessageId::trusted(format!("{room}-{seq}")),
            client_id: None,
            username: UserName::trusted("u"),
            content: "x".repeat(content_bytes).into(),
            time: Timestamp { micros: seq },
        })
    }

    fn append(store: &MemoryStore, rows: Vec<Arc<Message>>) {
        store.append(rows).now_or_never().unwrap().unwrap();
    }

    fn seqs(store: &MemoryStore, room: &str) -> Vec<u64> {
        let room = RoomId::trusted(room);
        let page = store.page(&room, PageRange::Newest, 1000).now_or_never().unwrap().unwrap();
        page.iter().map(|row| row.seq.0).collect()
    }

    fn bytes(store: &MemoryStore) -> usize {
        store.kept.lock().unwrap().bytes
    }

    #[test]
    fn a_room_keeps_exactly_its_newest_rows() {
        let store = MemoryStore::new(MemoryConfig { rows_per_room_max: 3, ..MemoryConfig::default() });
        append(&store, (1..=3).map(|seq| row("a", seq, 1)).collect());
        assert_eq!(seqs(&store, "a"), [1, 2, 3]);
        append(&store, vec![row("a", 4, 1), row("b", 1, 1)]);
        assert_eq!(seqs(&store, "a"), [2, 3, 4]);
        assert_eq!(seqs(&store, "b"), [1]);
        append(&store, vec![row("a", 1, 1)]);
        assert_eq!(seqs(&store, "a"), [2, 3, 4], "a late row below the bound does not push out a newer one");
    }

    #[test]
    fn at_the_byte_bound_nothing_goes_and_one_byte_more_takes_the_largest_rooms_oldest_row() {
        let probe = MemoryStore::default();
        let rows = || vec![row("big", 1, 900), row("big", 2, 900), row("small", 1, 10), row("small", 2, 10)];
        append(&probe, rows());
        let store = MemoryStore::new(MemoryConfig { bytes_max: bytes(&probe), ..MemoryConfig::default() });
        append(&store, rows());
        assert_eq!((seqs(&store, "big"), seqs(&store, "small")), (vec![1, 2], vec![1, 2]));

        let tight = MemoryConfig { bytes_max: bytes(&probe) - 1, ..MemoryConfig::default() };
        let store = MemoryStore::new(tight);
        append(&store, rows());
        assert_eq!((seqs(&store, "big"), seqs(&store, "small")), (vec![2], vec![1, 2]));
    }

    #[test]
    fn when_every_room_is_down_to_its_head_the_stalest_room_goes_whole() {
        let probe = MemoryStore::default();
        append(&probe, vec![row("r1", 1, 10), row("r2", 1, 10)]);
        let store = MemoryStore::new(MemoryConfig { bytes_max: bytes(&probe), ..MemoryConfig::default() });
        append(&store, vec![row("r1", 1, 10), row("r2", 1, 10)]);
        append(&store, vec![row("r1", 2, 10)]);
        assert_eq!(seqs(&store, "r1"), [2], "its own older row goes before another room's newest");
        assert_eq!(seqs(&store, "r2"), [1]);
        append(&store, vec![row("r3", 1, 10)]);
        assert!(seqs(&store, "r2").is_empty(), "r2 was longest without a new row");
        assert_eq!((seqs(&store, "r1"), seqs(&store, "r3")), (vec![2], vec![1]));
    }

    #[test]
    fn the_accounts_are_right_after_any_mix() {
        let store = MemoryStore::new(MemoryConfig { rows_per_room_max: 5, bytes_max: 20_000 });
        for step in 0..2_000_u64 {
            let room = format!("r{}", step % 37);
            let row = row(&room, 1 + step / 37 % 20, (step as usize * 131) % 3000);
            append(&store, vec![row.clone(), row]);
            let kept = store.kept.lock().unwrap();
            assert!(kept.bytes <= 20_000, "over the bound at step {step}");
            let weigh = |(id, room): (&RoomId, &Room)| {
                let rows = room.rows.values().map(|row| row.weight_bytes()).sum::<usize>();
                ROOM_SHARE_BYTES + 3 * id.as_str().len() + rows
            };
            assert_eq!(kept.bytes, kept.rooms.iter().map(weigh).sum::<usize>());
            assert_eq!(kept.by_age.len(), kept.rooms.len());
            assert_eq!(kept.by_weight.len(), kept.rooms.values().filter(|room| room.rows.len() > 1).count());
        }
    }

    #[test]
    fn config_tells_all_faults() {
        assert!(MemoryConfig::default().validate().is_empty());
        assert_eq!(MemoryConfig { rows_per_room_max: 0, bytes_max: 0 }.validate().len(), 2);
    }
}
