//! Counts of members over nodes when Redis is away, or a node is.
//! Not here: counts while all is well (the suite).

use std::time::Duration;

use moim_bus::conformance::{Rows, room};
use moim_bus_redis::Topology;
use tokio::time::sleep;

use super::{
    own::{OwnRedis, until},
    peer::{Peer, all_is_stored, nth_config},
    proxy::{AtEnd, Proxy},
    unused,
};

/// A node's lease, and a heartbeat more.
const LONGER_THAN_A_LEASE: Duration = Duration::from_secs(11);
/// Heartbeats enough to see every lease, and to take for dead whoever has none, even after Redis was away.
const SEEN: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_taken_for_dead_because_redis_was_away() {
    let (rows, redis, room, prefix) =
        (Rows::new(), OwnRedis::start().await, room("away"), format!("a{:x}", unused()));
    let proxy = Proxy::before(redis.address(), AtEnd::Cut).await;
    let mut peers = Vec::new();
    for nth in 0..2 {
        peers.push(Peer::start(&rows, nth_config(&[proxy.url()], Topology::Single, &prefix, nth)).await);
        peers[nth].join(&room).await;
        peers[nth].holds(&room, 2 + nth as u64);
    }
    for (peer, others) in peers.iter().zip([3, 2]) {
        until("the others are counted", async || peer.elsewhere().await.last() == Some(&others)).await;
    }
    proxy.hold();
    sleep(LONGER_THAN_A_LEASE).await;
    proxy.release();
    peers[0].say(&room, "back").await;
    sleep(SEEN).await;
    for (peer, others) in peers.iter().zip([3, 2]) {
        let told = peer.elsewhere().await;
        let since = told.iter().position(|count| *count == others).expect("they were counted");
        assert!(told[since..].iter().all(|count| *count == others), "{told:?}, and there are {others}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_taken_for_dead_is_counted_again_when_it_is_back() {
    let (rows, redis, room, prefix) =
        (Rows::new(), OwnRedis::start().await, room("back"), format!("b{:x}", unused()));
    let proxy = Proxy::before(redis.address(), AtEnd::Cut).await;
    let mut peers = Vec::new();
    for (nth, url) in [redis.url(), proxy.url()].into_iter().enumerate() {
        peers.push(Peer::start(&rows, nth_config(&[url], Topology::Single, &prefix, nth)).await);
        peers[nth].join(&room).await;
        peers[nth].holds(&room, 2);
    }
    until("it is counted", async || peers[0].elsewhere().await.last() == Some(&2)).await;
    proxy.hold();
    until("it is taken for dead", async || peers[0].elsewhere().await.last() == Some(&0)).await;
    assert_eq!(peers[0].told().await, Some(0), "and its members have left");
    proxy.release();
    until("it is counted again", async || peers[0].elsewhere().await.last() == Some(&2)).await;
    until("its members are back", async || peers[0].told().await == Some(2)).await;
    sleep(SEEN).await;
    for peer in &peers {
        assert_eq!(peer.elsewhere().await.last(), Some(&2));
        assert_eq!(peer.bus_count(&room).await, 4, "in Redis, too");
    }
}

/// Between two heartbeats, and some more.
const LONGER_THAN_A_HEARTBEAT: Duration = Duration::from_secs(5);

/// A lease that comes after the last word is one that everybody waits for if Redis loses its data.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_left_does_not_come_back_by_a_heartbeat() {
    let (rows, redis, prefix) = (Rows::new(), OwnRedis::start().await, format!("g{:x}", unused()));
    let config = nth_config(&[redis.url()], Topology::Single, &prefix, 1);
    let name = format!("{:016x}", config.node.0);
    let peer = Peer::start(&rows, config).await;
    let nodes = format!("ZRANGE {{{prefix}:0}}:nodes 0 -1");
    assert_eq!(redis.ask::<Vec<String>>(&nodes).await, [name]);
    // Another one, which does not renew its lease meanwhile.
    let now: Vec<u64> = redis.ask("TIME").await;
    let _: u64 = redis.ask(&format!("ZADD {{{prefix}:0}}:nodes {} other", now[0] * 1000 + 7000)).await;
    let peers = [peer];
    all_is_stored(&peers).await;
    assert_eq!(redis.ask::<Vec<String>>(&nodes).await, ["other"], "who goes takes nobody along");
    sleep(LONGER_THAN_A_HEARTBEAT).await;
    assert_eq!(redis.ask::<Vec<String>>(&nodes).await, ["other"], "it has said that it goes");
    drop(peers);
}
