//! Many rooms that are not in Redis, while something they might wait for is slow: the connections for pages, the store, Redis.
//! Not here: what a room is when it is back (the suite).

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use moim_bus::{
    Bus, BusError,
    conformance::{Rows, draft_as, room},
};
use moim_bus_redis::{RedisBusConfig, RedisConfig, SEEDS_MAX, Topology};
use moim_protocol::RoomId;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    own::{OwnRedis, PATIENCE, until},
    peer::{Peer, nth_config},
    proxy::{AtEnd, Proxy},
    servers, unused,
};

/// What only a page's read says: how many bytes it may be.
const OF_A_PAGE: &[u8] = b"2097152";
/// As many pages as keep every connection for them taken.
const READERS: usize = 64;

fn rooms(name: &str, count: usize) -> Vec<RoomId> {
    (0..count).map(|nth| room(&format!("{name}{nth}"))).collect()
}

/// Says one thing in each room, at once. Answers how often somebody was told to try again.
async fn talk_in_all(peer: &Peer, rooms: &[RoomId]) -> usize {
    let (mut senders, errors) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
    for room in rooms {
        let (bus, room, errors) = (peer.bus.clone(), room.clone(), errors.clone());
        senders.spawn(async move {
            while let Err(error) = bus.publish(draft_as(&room, "kim", "c", "text")).await {
                assert!(matches!(error, BusError::Unavailable(_) | BusError::Overloaded(_)), "{error}");
                errors.fetch_add(1, Ordering::AcqRel);
                sleep(Duration::from_millis(20)).await;
            }
        });
    }
    timeout(PATIENCE, senders.join_all()).await.expect("everybody is answered");
    errors.load(Ordering::Acquire)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_pages_keeps_nobody_from_sending() {
    let (rows, redis, prefix) = (Rows::new(), OwnRedis::start().await, format!("c{:x}", unused()));
    let proxy = Proxy::before(redis.address(), AtEnd::Cut).await;
    let peer = Peer::start(&rows, nth_config(&[proxy.url()], Topology::Single, &prefix, 0)).await;
    let warm = rooms("warm", 20);
    talk_in_all(&peer, &warm).await;
    proxy.stick_at(Some(OF_A_PAGE));
    let mut readers = JoinSet::new();
    for nth in 0..READERS {
        let (bus, room) = (peer.bus.clone(), warm[nth % warm.len()].clone());
        readers.spawn(async move {
            loop {
                bus.ring(&room, 10).await.expect_err("no page comes");
            }
        });
    }
    let cold = rooms("cold", 1000);
    let before = rows.seeds();
    let errors = talk_in_all(&peer, &cold).await + talk_in_all(&peer, &warm).await;
    let read = rows.seeds() - before;
    assert!(read <= (cold.len() + errors) as u64, "{read} rooms were read, and {errors} had to try again");
    // Nor anybody from storing.
    for room in &cold {
        until("it is stored", async || rows.of(room).len() == 1).await;
    }
}

fn idle_soon(prefix: &str) -> RedisBusConfig {
    let config = nth_config(&servers("MOIM_TEST_REDIS"), Topology::Single, prefix, 0);
    RedisBusConfig { redis: RedisConfig { room_idle_seconds: 2, ..config.redis }, ..config }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_waits_long_for_its_turn_is_not_too_old_then() {
    let (rows, prefix) = (Rows::new(), format!("c{:x}", unused()));
    let peer = Peer::start(&rows, idle_soon(&prefix)).await;
    // Each turn takes as long as one may, so that all of them take several times as long as a seed is good for.
    rows.set_unreadable(true);
    let cold = rooms("slow", 600);
    let errors = talk_in_all(&peer, &cold).await;
    // On a busy machine some may be too old all the same.
    assert!(rows.seeds() <= (cold.len() * 2 + errors) as u64, "{} rooms were read", rows.seeds());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rooms_that_nobody_waits_for_are_not_read() {
    let (rows, prefix) = (Rows::new(), format!("c{:x}", unused()));
    let peer = Peer::start(&rows, idle_soon(&prefix)).await;
    rows.set_unreadable(true);
    let mut readers = JoinSet::new();
    for room in rooms("left", 500) {
        let bus = peer.bus.clone();
        readers.spawn(async move { bus.ring(&room, 10).await });
    }
    // Three turns of them, so that by then the others wait for theirs.
    until("some are read", async || rows.seeds() >= 3 * 64).await;
    readers.shutdown().await;
    talk_in_all(&peer, &rooms("next", 1)).await;
    assert!(rows.seeds() < 400, "{} rooms were read, and nobody asked any more", rows.seeds());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_rooms_than_can_wait_are_refused_at_once() {
    let (rows, prefix) = (Rows::new(), format!("c{:x}", unused()));
    let peer = Peer::start(&rows, idle_soon(&prefix)).await;
    rows.set_unreadable(true);
    let mut senders = JoinSet::new();
    for room in rooms("many", SEEDS_MAX + 4 * READERS) {
        let bus = peer.bus.clone();
        senders.spawn(async move { bus.publish(draft_as(&room, "kim", "c", "text")).await });
    }
    let refused = async {
        while let Some(answer) = senders.join_next().await {
            if matches!(answer, Ok(Err(BusError::Overloaded(_)))) {
                return true;
            }
        }
        false
    };
    assert!(timeout(PATIENCE, refused).await.expect("answers"), "more waited than may");
}
