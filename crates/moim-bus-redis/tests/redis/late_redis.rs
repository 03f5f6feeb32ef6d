//! A Redis that is late, or one of several that is away: what a node does then must not make it worse, nor delay what is elsewhere.
//! Not here: sends that wait for rooms (`cold`), deaths that are none (`presence`).

use std::time::Duration;

use moim_bus::{
    Bus,
    conformance::{Rows, draft_as, room},
    stable_hash,
};
use moim_bus_redis::{RedisBusConfig, Topology};
use moim_protocol::RoomId;
use tokio::{task::JoinSet, time::sleep};

use super::{
    PARTITIONS,
    own::{OwnRedis, until},
    peer::{Peer, nth_config},
    proxy::{AtEnd, Proxy},
    unused,
};

/// Rooms that are read anew on one Redis at the same time, and as many that are entered.
const COUNTED_AT_ONCE: usize = 64;
/// How long a call may take.
const CALL: Duration = Duration::from_secs(2);

fn rooms(count: usize) -> Vec<RoomId> {
    (0..count).map(|nth| room(&format!("r{nth}"))).collect()
}

async fn enter_all(peer: &Peer, rooms: &[RoomId]) {
    let mut entering = JoinSet::new();
    for room in rooms {
        let (bus, room) = (peer.bus.clone(), room.clone());
        entering.spawn(async move { bus.subscribe(&room).await.expect("subscribe") });
    }
    entering.join_all().await;
}

async fn two_nodes(urls: [String; 2]) -> (std::sync::Arc<Rows>, [Peer; 2]) {
    let (rows, prefix) = (Rows::new(), format!("l{:x}", unused()));
    let [first, second] = urls;
    let config = |url, nth| nth_config(&[url], Topology::Single, &prefix, nth);
    let first = Peer::start(&rows, config(first, 0)).await;
    let second = Peer::start(&rows, config(second, 1)).await;
    (rows, [first, second])
}

/// A call that times out says that Redis is late, and a new connection would not make it faster.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_times_out_costs_no_connection() {
    let redis = OwnRedis::start().await;
    let proxy = Proxy::before(redis.address(), AtEnd::Cut).await;
    let (_rows, peers) = two_nodes([proxy.url(), redis.url()]).await;
    peers[0].say(&room("warm"), "warm").await;
    let before = proxy.connections();
    proxy.hold();
    let sent = peers[0].bus.publish(draft_as(&room("warm"), "kim", "late", "late"));
    sleep(CALL + CALL / 4).await;
    proxy.release();
    sent.await.expect("it is taken with the next try");
    assert_eq!(proxy.connections(), before, "connections were made anew");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_that_cannot_be_read_are_not_asked_for_all_at_once() {
    let redis = OwnRedis::start().await;
    let proxy = Proxy::before(redis.address(), AtEnd::Cut).await;
    let (_rows, peers) = two_nodes([proxy.url(), redis.url()]).await;
    let rooms = rooms(2000);
    enter_all(&peers[0], &rooms).await;
    rooms.iter().for_each(|room| peers[1].holds(room, 2));
    let told = async || peers[0].elsewhere().await.iter().filter(|count| **count == 2).count();
    until("all are counted", async || told().await >= rooms.len()).await;
    // Every connection on which counts are asked for brings nothing any more, and every room has missed something.
    proxy.stick_at(Some(b"HGETALL"));
    assert_eq!(proxy.deafen(), 1);
    until("counts are asked for", async || proxy.said() > 0).await;
    let (before, calls) = (proxy.said(), 5);
    sleep(CALL * calls).await;
    let asked = proxy.said() - before;
    assert!(asked <= COUNTED_AT_ONCE * (calls as usize + 2), "{asked} counts were asked for");
    proxy.stick_at(None);
    let before = told().await;
    until("all are counted again", async || told().await >= before + rooms.len()).await;
}

/// Partitions are given to servers in turn.
fn is_on_first(room: &RoomId) -> bool {
    (stable_hash(room.as_str().as_bytes()) % u64::from(PARTITIONS)).is_multiple_of(2)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_away_keeps_no_counts_of_another_back() {
    let (rows, prefix, redis) =
        (Rows::new(), format!("l{:x}", unused()), [OwnRedis::start().await, OwnRedis::start().await]);
    let proxy = Proxy::before(redis[0].address(), AtEnd::Cut).await;
    let urls = [proxy.url(), redis[1].url()];
    let config = |nth| nth_config(&urls, Topology::Several, &prefix, nth);
    let [first, second]: [RedisBusConfig; 2] = [config(0), config(1)];
    let peers = [Peer::start(&rows, first).await, Peer::start(&rows, second).await];
    let (away, here): (Vec<_>, Vec<_>) = rooms(4000).into_iter().partition(is_on_first);
    let here = &here[..100];
    enter_all(&peers[1], here).await;
    proxy.hold();
    away.iter().for_each(|room| peers[0].holds(room, 1));
    here.iter().for_each(|room| peers[0].holds(room, 3));
    until("those on the other one are counted", async || {
        peers[1].elsewhere().await.iter().filter(|count| **count == 3).count() >= here.len()
    })
    .await;
}
