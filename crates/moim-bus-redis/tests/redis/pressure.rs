//! A Redis that forgets scripts all the time, one that is full, and two nodes that drain the same log.
//! Not here: a Redis that loses messages (`nodes`, `failover`).

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use moim_bus::{
    Bus, BusError,
    conformance::{Rows, draft_as, room},
    stable_hash,
};
use moim_bus_redis::{LANES_BYTES_MAX, RedisBusConfig, RedisConfig, Topology};
use moim_protocol::NodeId;
use tokio::time::timeout;

use super::{
    node,
    own::{OwnRedis, PATIENCE, until},
    peer::{Peer, nothing_is_lost, nth_config, peers, talk},
    proxy::{AtEnd, Proxy},
    unused,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_may_be_flushed_at_any_time() {
    let (rows, redis, room) = (Rows::new(), Arc::new(OwnRedis::start().await), room("flush"));
    let peers = peers(&rows, &redis.url(), 2).await;
    for peer in &peers {
        peer.join(&room).await;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let (flushed, stops) = (redis.clone(), stop.clone());
    let flushing = tokio::spawn(async move {
        while !stops.load(Ordering::Acquire) {
            let _: String = flushed.ask("SCRIPT FLUSH").await;
        }
    });
    let mut said = Vec::new();
    for nth in 0..200 {
        let text = nth.to_string();
        // At once: nobody is bothered with it.
        let answer = peers[nth % 2].bus.publish(draft_as(&room, "kim", &text, &text)).await;
        said.push((text, answer.expect("publish")));
    }
    stop.store(true, Ordering::Release);
    flushing.await.expect("flushing");
    nothing_is_lost(&rows, &peers, &room, &said).await;
}

/// What is under way to Redis is held as much as what waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_redis_does_not_answer_is_bounded() {
    const BYTES: usize = 1024 * 1024;
    let (rows, redis, prefix) = (Rows::new(), OwnRedis::start().await, format!("h{:x}", unused()));
    let proxy = Proxy::before(redis.address(), AtEnd::Cut).await;
    let peer = Peer::start(&rows, nth_config(&[proxy.url()], Topology::Single, &prefix, 0)).await;
    proxy.hold();
    let text = "x".repeat(BYTES);
    let mut held = Vec::new();
    for nth in 0..200 {
        let mut sent = peer.bus.publish(draft_as(&room(&format!("held{nth}")), "kim", "c", &text));
        // Its queue is empty as soon as it is under way.
        match timeout(Duration::from_millis(10), &mut sent).await {
            Ok(answer) => {
                assert!(matches!(answer, Err(BusError::Overloaded(_))), "{answer:?}");
                break;
            }
            Err(_) => held.push(sent),
        }
    }
    assert!(held.len() * BYTES <= LANES_BYTES_MAX, "{} MiB are held", held.len());
    proxy.release();
    // What was held has been taken or given back by then.
    let all = futures_util::future::join_all(held);
    timeout(PATIENCE, all).await.expect("all of them are answered");
    peer.say(&room("held"), &text).await;
}

/// One partition, so that it is clear what is drained.
fn one_log(url: &str, prefix: &str) -> RedisBusConfig {
    let config = nth_config(&[url.to_owned()], Topology::Single, prefix, 0);
    RedisBusConfig { redis: RedisConfig { partitions: 1, ..config.redis }, ..config }
}

/// A node that comes before that one where a log's holder is chosen (rendezvous hashing).
fn drains_rather_than(node: NodeId) -> NodeId {
    let weight = |node: NodeId| stable_hash(format!("{:x}/0", node.0).as_bytes());
    loop {
        let other = NodeId(unused());
        if weight(other) > weight(node) {
            return other;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_who_drain_one_log_do_no_harm() {
    let (rows, redis, room, prefix) =
        (Rows::new(), OwnRedis::start().await, room("two"), format!("t{:x}", unused()));
    let config = one_log(&redis.url(), &prefix);
    let should_drain = drains_rather_than(config.node);
    let first = node(rows.clone(), config).await;
    let running = tokio::spawn(first.driver);
    let mut texts = Vec::new();
    for nth in 0..30 {
        let text = nth.to_string();
        first.bus.publish(draft_as(&room, "kim", &text, &text)).await.expect("publish");
        texts.push(text);
    }
    let early = first.logs[0].read(10, usize::MAX).await.expect("the first ten");
    assert_eq!(early.len(), 10);
    // The other takes the log over, while the first still has what it read.
    let second =
        node(rows.clone(), RedisBusConfig { node: should_drain, ..one_log(&redis.url(), &prefix) }).await;
    let other = tokio::spawn(second.driver);
    let all = second.logs[0].read(64, usize::MAX).await.expect("all of it");
    assert_eq!(all.len(), texts.len(), "the first has committed nothing");
    rows.append(&all).await;
    rows.append(&early).await;
    second.logs[0].commit(&all, &[]).await.expect("commit");
    let id = async || redis.ask::<u64>(&format!("HGET {{{prefix}:0}}:mark id")).await;
    let stored_up_to = id().await;
    first.logs[0].commit(&early, &[]).await.expect("a late commit");
    assert_eq!(id().await, stored_up_to, "what is stored stays stored");
    let receipt = second.bus.publish(draft_as(&room, "kim", "more", "more")).await.expect("publish");
    let more = second.logs[0].read(64, usize::MAX).await.expect("the rest");
    assert_eq!(
        more.iter().map(|row| row.seq).collect::<Vec<_>>(),
        [receipt.position.seq],
        "nothing comes twice"
    );
    rows.append(&more).await;
    second.logs[0].commit(&more, &[]).await.expect("commit");
    texts.push("more".into());
    let stored: Vec<_> = rows.of(&room).iter().map(|row| row.content.to_string()).collect();
    assert_eq!(stored, texts);
    running.abort();
    other.abort();
}

/// What happens to a full Redis before it is drained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meanwhile {
    AnotherHolder,
    AnotherGeneration,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_redis_is_drained_by_a_new_lease_holder() {
    a_full_redis_is_drained_after(Meanwhile::AnotherHolder).await;
}

/// Nothing is drained before the generation is open, so it must open in a Redis that takes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_redis_is_drained_in_a_new_generation() {
    a_full_redis_is_drained_after(Meanwhile::AnotherGeneration).await;
}

async fn a_full_redis_is_drained_after(meanwhile: Meanwhile) {
    const BYTES: usize = 64 * 1024;
    let (rows, redis, room, prefix) = (
        Rows::new(),
        OwnRedis::start_with(&["--maxmemory", "16mb"]).await,
        room("full"),
        format!("m{:x}", unused()),
    );
    let urls = [redis.url()];
    let writer = Peer::start(&rows, nth_config(&urls, Topology::Single, &prefix, 0)).await;
    let sender = Peer::start(&rows, nth_config(&urls, Topology::Single, &prefix, 1)).await;
    sender.join(&room).await;
    rows.set_stuck(true);
    let mut said = Vec::new();
    let refused = loop {
        let text = format!("{}{}", said.len(), "x".repeat(BYTES));
        match sender.bus.publish(draft_as(&room, "kim", &said.len().to_string(), &text)).await {
            Ok(receipt) => said.push((text, receipt)),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, BusError::Overloaded(_)), "{refused:?}");
    // It is as full as it can be: no write is taken that does not come after another one.
    let used: u64 = redis.info("memory", "used_memory").await.parse().expect("a number");
    let _: String = redis.ask(&format!("CONFIG SET maxmemory {}", used / 10 * 9)).await;
    redis.try_ask::<String>("SET x y").await.expect_err("it is full");
    let (writer, _replica) = match meanwhile {
        Meanwhile::AnotherHolder => {
            drop(writer);
            (Peer::start(&rows, nth_config(&urls, Topology::Single, &prefix, 0)).await, None)
        }
        Meanwhile::AnotherGeneration => (writer, Some(redis.replica().await)),
    };
    rows.set_stuck(false);
    until("it is drained", async || rows.of(&room).len() >= said.len()).await;
    let peers = [sender, writer];
    let more = talk(&peers[..1], &room, "more", 5).await;
    said.extend(more);
    peers[1].join(&room).await;
    nothing_is_lost(&rows, &peers, &room, &said).await;
}
