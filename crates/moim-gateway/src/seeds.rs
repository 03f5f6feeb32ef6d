//! What the store knows of a room that the bus holds nothing of, and the generations of its partitions.
//! Not here: how long it may take (the bus), what is made of it (the bus), pages for people (`pages`).

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::future::BoxFuture;
use moim_bus::{ANSWER_KEPT, Seed, SeedAnswer, SeedError, SeedSource};
use moim_protocol::{Epoch, RoomId, Timestamp, limits};
use moim_store::{MessageStore, PageRange, StoreError};

/// Pages that are looked through for the sends of the last ten minutes when a room is first read. Full: a resend of an
/// older one would become a second message; a room has then had twenty thousand messages in these minutes.
const SEED_PAGES_MAX: usize = 200;
/// How far the clock of whoever gave the times may be ahead of ours.
const CLOCK_SKEW_MAX: Duration = Duration::from_secs(300);

/// Reads rooms for the bus that it holds nothing of.
pub struct StoreSeeds {
    store: Arc<dyn MessageStore>,
}

impl StoreSeeds {
    /// From this store.
    #[must_use]
    pub fn new(store: Arc<dyn MessageStore>) -> Arc<Self> {
        Arc::new(Self { store })
    }
}

impl SeedSource for StoreSeeds {
    fn seed(&self, room: RoomId) -> BoxFuture<'static, Result<Seed, SeedError>> {
        let store = self.store.clone();
        Box::pin(async move { seed(&*store, &room).await.map_err(failed) })
    }

    fn generation(&self, partition: u32) -> BoxFuture<'static, Result<Option<Epoch>, SeedError>> {
        let store = self.store.clone();
        Box::pin(async move { store.generation(partition).await.map_err(failed) })
    }

    fn set_generation(&self, partition: u32, epoch: Epoch) -> BoxFuture<'static, Result<(), SeedError>> {
        let store = self.store.clone();
        Box::pin(async move { store.set_generation(partition, epoch).await.map_err(failed) })
    }
}

fn failed(error: StoreError) -> SeedError {
    SeedError(error.to_string())
}

async fn seed(store: &dyn MessageStore, room: &RoomId) -> Result<Seed, StoreError> {
    let newest = store.page(room, PageRange::Newest, limits::PAGE_LIMIT_MAX).await?;
    let Some(last) = newest.last() else { return Ok(Seed::default()) };
    // A room that was quiet for ten minutes has nothing to be remembered: one page is read of it.
    let recent = last.time.max(before(Timestamp::from_system(SystemTime::now()), CLOCK_SKEW_MAX));
    let mut answers: Vec<_> = newest.iter().rev().filter_map(|row| SeedAnswer::of(row)).collect();
    let mut oldest = newest.first().cloned();
    for _ in 1..SEED_PAGES_MAX {
        let Some(row) = oldest.filter(|row| recent.since(row.time) <= ANSWER_KEPT) else { break };
        let page = store.page(room, PageRange::Before(row.seq), limits::PAGE_LIMIT_MAX).await?;
        answers.extend(page.iter().rev().filter_map(|row| SeedAnswer::of(row)));
        oldest = page.first().cloned();
    }
    answers.reverse();
    Ok(Seed { newest, answers })
}

fn before(time: Timestamp, by: Duration) -> Timestamp {
    Timestamp { micros: time.micros.saturating_sub(u64::try_from(by.as_micros()).unwrap_or(u64::MAX)) }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use moim_protocol::{ClientId, Message, MessageId, Seq, UserName};
    use moim_store::{MemoryConfig, MemoryStore};

    use super::*;

    fn rows(count: u64, newest: Timestamp, apart: Duration) -> Vec<Arc<Message>> {
        let row = |seq: u64| {
            let age = apart * u32::try_from(count - seq).unwrap();
            Arc::new(Message {
                room: RoomId::trusted("r"),
                seq: Seq(seq),
                prev: Some(Seq(seq - 1)),
                epoch: Epoch::trusted("e"),
                id: MessageId::trusted("i"),
                client_id: Some(ClientId::trusted(format!("c{seq}"))),
                username: UserName::trusted("u"),
                content: "x".into(),
                time: before(newest, age),
            })
        };
        (1..=count).map(row).collect()
    }

    fn seeded(rows: Vec<Arc<Message>>) -> Seed {
        let store = Arc::new(MemoryStore::new(MemoryConfig::default()));
        store.append(rows).now_or_never().unwrap().unwrap();
        StoreSeeds::new(store).seed(RoomId::trusted("r")).now_or_never().unwrap().unwrap()
    }

    fn now() -> Timestamp {
        Timestamp::from_system(SystemTime::now())
    }

    #[test]
    fn the_sends_of_ten_minutes_are_remembered_in_their_order() {
        let seed = seeded(rows(1000, now(), Duration::from_secs(1)));
        assert_eq!(seed.newest.len(), limits::PAGE_LIMIT_MAX);
        let seqs: Vec<_> = seed.answers.iter().map(|answer| answer.receipt.position.seq.0).collect();
        assert!(seqs.is_sorted() && *seqs.last().unwrap() == 1000);
        assert!((300..=400).contains(&seqs[0]), "600 of them, and what is left of a page: {}", seqs[0]);
    }

    #[test]
    fn of_a_quiet_room_one_page_is_read() {
        let long_ago = before(now(), ANSWER_KEPT + CLOCK_SKEW_MAX + Duration::from_secs(1));
        let seed = seeded(rows(1000, long_ago, Duration::from_micros(1)));
        assert_eq!((seed.newest.len(), seed.answers.len()), (100, 100));
    }

    #[test]
    fn pages_are_bounded() {
        let seed = seeded(rows(30_000, now(), Duration::from_micros(1)));
        assert_eq!(seed.answers.len(), SEED_PAGES_MAX * limits::PAGE_LIMIT_MAX);
    }

    #[test]
    fn generations_are_the_stores() {
        let seeds = StoreSeeds::new(Arc::new(MemoryStore::new(MemoryConfig::default())));
        assert_eq!(seeds.generation(7).now_or_never(), Some(Ok(None)));
        assert_eq!(seeds.set_generation(7, Epoch::trusted("g")).now_or_never(), Some(Ok(())));
        assert_eq!(seeds.generation(7).now_or_never(), Some(Ok(Some(Epoch::trusted("g")))));
    }
}
