//! Several nodes and one Redis: one log for all of them, and nothing lost when Redis loses everything.
//! Not here: what one node promises (the suite).

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use moim_bus::{
    WriteAhead,
    conformance::{Node, Rows, draft, draft_as, room},
};
use moim_bus_redis::{RedisBusConfig, Topology};
use tokio::time::{sleep, timeout};

use super::{
    config, node,
    own::{OwnRedis, until},
    peer::{Peer, nothing_is_lost, nth_config, talk},
    proxy::{AtEnd, Proxy},
    servers, unused,
};

/// With a writer that has the gateway's patience: a generation may end under a commit.
async fn start(rows: &Arc<Rows>, config: RedisBusConfig) -> Node {
    let subject = async move |rows: Arc<Rows>| {
        let mut subject = node(rows.clone(), config.clone()).await;
        for log in std::mem::take(&mut subject.logs) {
            tokio::spawn(drain(log, rows.clone()));
        }
        subject
    };
    Node::without_writers(&subject, rows).await
}

async fn drain(log: Arc<dyn WriteAhead>, rows: Arc<Rows>) {
    while let Some(batch) = log.read(64, usize::MAX).await {
        rows.append(&batch).await;
        if log.commit(&batch, &[]).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// One drains, the others do not: a test then need not know who has which lease.
async fn cluster(rows: &Arc<Rows>, urls: &[String], nodes: usize) -> Vec<Node> {
    let prefix = format!("n{:x}", unused());
    let mut all = Vec::new();
    for nth in 0..nodes {
        let config = config(urls.to_vec(), Topology::Single, &prefix);
        all.push(start(rows, RedisBusConfig { drains: nth == 0, ..config }).await);
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_node_acknowledged_every_node_shows() {
    let rows = Rows::new();
    let nodes = cluster(&rows, &servers("MOIM_TEST_REDIS"), 2).await;
    let room = room("two");
    for nth in 0..1000 {
        let receipt = nodes[0].send(draft(&room, &nth.to_string())).await;
        let ring = nodes[1].ring(&room, 10).await;
        assert!(ring.rows.iter().any(|row| row.seq == receipt.position.seq), "{nth} is not there yet");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_tried_on_three_nodes_is_one_message() {
    let rows = Rows::new();
    let nodes = cluster(&rows, &servers("MOIM_TEST_REDIS"), 3).await;
    let room = room("tries");
    let mut seqs = BTreeSet::new();
    for nth in 0..5 {
        seqs.insert(nodes[nth % 3].send(draft_as(&room, "kim", "c1", "말")).await.position.seq);
    }
    assert_eq!(seqs.len(), 1);
    assert_eq!(nodes[1].whole(&room).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_redis_loses_everything() {
    let (rows, redis) = (Rows::new(), OwnRedis::start().await);
    let nodes = cluster(&rows, &[redis.url()], 2).await;
    let room = room("lost");
    // Nothing is stored until later: only Redis and the nodes have it.
    rows.set_stuck(true);
    let mut said = Vec::new();
    for nth in 0..200 {
        let content = nth.to_string();
        let sender = &nodes[nth % 2];
        if nth == 100 {
            redis.lose_everything().await;
        }
        let first = sender.send(draft_as(&room, "kim", &content, &content)).await;
        let again = nodes[(nth + 1) % 2].send(draft_as(&room, "kim", &content, &content)).await;
        assert_eq!(first.position, again.position);
        said.push(content);
    }
    assert_eq!(nodes[0].contents(&room).await, said);
    rows.set_stuck(false);
    for node in &nodes {
        node.bus.close();
    }
    for node in &nodes {
        timeout(Duration::from_secs(30), node.bus.flushed()).await.expect("everything is stored in the end");
    }
    let stored: Vec<_> = rows.of(&room).iter().map(|row| row.content.to_string()).collect();
    assert_eq!(stored, said);
}

/// Its message is stored, and its room is back in Redis with others that are not: no seed brings the answers then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stored_message_that_is_sent_again_after_a_loss_is_the_same() {
    let (rows, redis, room) = (Rows::new(), OwnRedis::start().await, room("again"));
    let nodes = cluster(&rows, &[redis.url()], 2).await;
    let first = nodes[0].send(draft_as(&room, "kim", "c1", "one")).await;
    until("it is stored", async || rows.has(&room, first.position.seq)).await;
    // Nobody keeps it for Redis any more, only who sent it.
    until("it is committed", async || redis.ask::<Vec<String>>("KEYS *:mark").await.len() == 1).await;
    rows.set_stuck(true);
    nodes[1].send(draft_as(&room, "kim", "c2", "two")).await;
    redis.lose_everything().await;
    nodes[1].send(draft_as(&room, "kim", "c3", "three")).await;
    assert_eq!(nodes[0].send(draft_as(&room, "kim", "c1", "one")).await.position, first.position);
    assert_eq!(nodes[0].contents(&room).await, ["one", "two", "three"]);
}

/// Whoever has handed in must notice that it is gone: the others cannot know what there was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_handed_in_and_is_gone_is_handed_in_again() {
    let (rows, redis, room) = (Rows::new(), OwnRedis::start().await, room("staged"));
    let (door, prefix) = (Proxy::before(redis.address(), AtEnd::Cut).await, format!("n{:x}", unused()));
    let first = Peer::start(&rows, nth_config(&[redis.url()], Topology::Single, &prefix, 0)).await;
    // It knows nothing, and is waited for.
    let slow = Peer::start(&rows, nth_config(&[door.url()], Topology::Single, &prefix, 1)).await;
    rows.set_stuck(true);
    let peers = [first, slow];
    let mut said = talk(&peers[..1], &room, "a", 10).await;
    door.hold();
    redis.lose_everything().await;
    let keys = async |kind: &str| redis.ask::<Vec<String>>(&format!("KEYS *:{kind}")).await;
    let next = peers[0].say(&room, "b");
    let lose_it = async {
        until("it has handed in", async || !keys("staged").await.is_empty()).await;
        for kind in ["staged", "handed", "waited"] {
            for key in keys(kind).await {
                let _: u64 = redis.ask(&format!("PEXPIRE {key} 1")).await;
            }
        }
        door.release();
    };
    let (next, ()) = tokio::join!(next, lose_it);
    said.push(("b".into(), next));
    for peer in &peers {
        peer.join(&room).await;
    }
    nothing_is_lost(&rows, &peers, &room, &said).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_of_a_generation_that_has_ended_is_refused() {
    let (rows, redis, room) = (Rows::new(), OwnRedis::start().await, room("stale"));
    let prefix = format!("n{:x}", unused());
    let subject =
        async |rows: Arc<Rows>| node(rows, config(vec![redis.url()], Topology::Single, &prefix)).await;
    let mut subject = subject(rows.clone()).await;
    let running = tokio::spawn(subject.driver);
    subject.bus.publish(draft(&room, "one")).await.expect("publish");
    let logs = std::mem::take(&mut subject.logs);
    let reads = logs.iter().map(|log| Box::pin(log.read(9, usize::MAX)));
    let (batch, at, _) = futures_util::future::select_all(reads).await;
    redis.lose_everything().await;
    logs[at].commit(&batch.expect("the message"), &[]).await.expect_err("what it counts on is gone");
    running.abort();
}
