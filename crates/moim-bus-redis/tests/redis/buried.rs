//! A node that dies with many rooms, on a Redis that is slow: nobody else may seem to die for the work that makes.
//! Not here: who counts as dead (`presence`).

use std::time::Duration;

use moim_bus::{
    conformance::{Rows, room},
    stable_hash,
};
use moim_bus_redis::Topology;
use moim_protocol::RoomId;
use tokio::time::{sleep, timeout};

use super::{
    PARTITIONS,
    own::{OwnRedis, PATIENCE, until},
    peer::{Peer, nth_config},
    proxy::{AtEnd, Proxy},
    unused,
};

/// So many that clearing them on the slow Redis takes longer than a lease, were they cleared 64 at a time.
const ROOMS: usize = 6000;
const LATE_MS: u64 = 100;
/// One room of so many is looked at.
const LOOK_AT: usize = 120;

/// Whether so many nodes are counted in each room.
async fn counted(redis: &OwnRedis, prefix: &str, rooms: &[RoomId], nodes: usize) -> bool {
    for room in rooms.iter().step_by(LOOK_AT) {
        let partition = stable_hash(room.as_str().as_bytes()) % u64::from(PARTITIONS);
        let counted: usize = redis.ask(&format!("HLEN {{{prefix}:{partition}}}:n:{room}")).await;
        if counted != nodes {
            return false;
        }
    }
    true
}

/// Of nodes that Redis knows: how many leases have not ended.
async fn alive(redis: &OwnRedis) -> usize {
    let (seconds, _): (u64, u64) = redis.ask("TIME").await;
    let keys: Vec<String> = redis.ask("KEYS *:nodes").await;
    let [key] = &keys[..] else { panic!("{keys:?}") };
    redis.ask(&format!("ZCOUNT {key} {} +inf", seconds * 1000)).await
}

/// Calls to forget something.
async fn forgotten(redis: &OwnRedis) -> usize {
    let hdel = redis.info("commandstats", "cmdstat_hdel").await;
    let calls = hdel.split([',', '=']).nth(1).and_then(|calls| calls.parse().ok());
    calls.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_death_makes_no_others() {
    let (rows, redis, prefix) = (Rows::new(), OwnRedis::start().await, format!("d{:x}", unused()));
    let (mut peers, mut proxies) = (Vec::new(), Vec::new());
    for nth in 0..2 {
        proxies.push(Proxy::before(redis.address(), AtEnd::Cut).await);
        let config = nth_config(&[proxies[nth].url()], Topology::Single, &prefix, nth);
        peers.push(Peer::start(&rows, config).await);
    }
    let victim = Peer::start(&rows, nth_config(&[redis.url()], Topology::Single, &prefix, 2)).await;
    let rooms: Vec<_> = (0..ROOMS).map(|nth| room(&format!("r{nth}"))).collect();
    for peer in &peers {
        let bus = &peer.bus;
        let all = rooms.iter().map(|room| async move { moim_bus::Bus::subscribe(&**bus, room).await });
        let entered = futures_util::future::join_all(all).await;
        assert!(entered.iter().all(Result::is_ok), "subscribed");
    }
    for peer in peers.iter().chain([&victim]) {
        rooms.iter().for_each(|room| peer.holds(room, 1));
    }
    until("all are counted", async || counted(&redis, &prefix, &rooms, 3).await).await;
    for peer in &peers {
        let told = async || peer.elsewhere().await.iter().filter(|count| **count == 2).count();
        until("and everybody knows", async || told().await >= ROOMS).await;
    }
    assert_eq!(alive(&redis).await, 3);
    let before = forgotten(&redis).await;
    proxies.iter().for_each(|proxy| proxy.delay(LATE_MS));
    drop(victim);
    let clearing = async {
        while !counted(&redis, &prefix, &rooms, 2).await {
            assert!(alive(&redis).await >= peers.len(), "somebody else seems dead");
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(PATIENCE * 2, clearing).await.expect("the dead is forgotten");
    assert_eq!(alive(&redis).await, peers.len());
    let calls = forgotten(&redis).await - before;
    assert!(calls < ROOMS * 3 / 2, "{calls} calls for {ROOMS} rooms");
}
