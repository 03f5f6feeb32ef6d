//! Redis away for longer than every lease, and what comes back lags; a loss of more than one answer of Redis can bring.
//! Not here: short cuts (`failover`), nodes that stay away (`late`).

use std::time::Duration;

use moim_bus::{
    Bus,
    conformance::{Rows, draft_as, room},
};
use moim_bus_redis::Topology;
use tokio::time::sleep;

use super::{
    own::{OwnRedis, until},
    peer::{Peer, nothing_is_lost, nth_config, talk},
    proxy::{AtEnd, Proxy},
    unused,
};

/// Longer than a lease. What ends in that time ends for a reason that is not a node's death.
const AWAY: Duration = Duration::from_secs(12);
/// Far less than a lease, and far more than the first node needs by itself.
const LATER: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_back_second_is_waited_for() {
    let (rows, room, prefix) = (Rows::new(), room("away"), format!("o{:x}", unused()));
    let mut master = OwnRedis::start().await;
    let replica = master.replica().await;
    let (mut doors, mut peers) = (Vec::new(), Vec::new());
    // None of them drains, and the first is not in the room: only the second knows what it publishes.
    for nth in 1..3 {
        let door = Proxy::before(master.address(), AtEnd::Cut).await;
        peers.push(Peer::start(&rows, nth_config(&[door.url()], Topology::Single, &prefix, nth)).await);
        doors.push(door);
    }
    let mut said = talk(&peers[1..], &room, "a", 10).await;
    replica.catches_up_with(&master).await;
    replica.cut_off().await;
    said.extend(talk(&peers[1..], &room, "b", 10).await);
    doors.iter().for_each(Proxy::hold);
    master.kill().await;
    sleep(AWAY).await;
    replica.promote().await;
    doors[0].switch(replica.address());
    sleep(LATER).await;
    doors[1].switch(replica.address());
    peers[0].join(&room).await;
    said.push(("c".into(), peers[1].say(&room, "c").await));
    until("the first has seen the last message", async || {
        peers[0].seen(&room).await.last().is_some_and(|row| &*row.content == "c")
    })
    .await;
    assert!(peers[0].late().await.is_empty(), "it went on without the second");
    let seen: Vec<_> =
        peers[0].seen(&room).await.iter().map(|row| (row.content.to_string(), row.seq)).collect();
    let want: Vec<_> = said.iter().map(|(text, receipt)| (text.clone(), receipt.position.seq)).collect();
    assert_eq!(seen, want);
}

/// Large messages, all of them unstored, over a link that brings two answers' worth in the time one may take.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_messages_are_handed_in_over_a_slow_link() {
    const BYTES: usize = 1024 * 1024;
    let (rows, redis, room) = (Rows::new(), OwnRedis::start().await, room("large"));
    let door = Proxy::before(redis.address(), AtEnd::Cut).await;
    let prefix = format!("o{:x}", unused());
    let mut peers = Vec::new();
    for nth in 0..2 {
        peers.push(Peer::start(&rows, nth_config(&[door.url()], Topology::Single, &prefix, nth)).await);
    }
    rows.set_stuck(true);
    let mut said = Vec::new();
    for nth in 0..100 {
        let text = format!("{nth}{}", "x".repeat(BYTES));
        let receipt = peers[1].bus.publish(draft_as(&room, "kim", &nth.to_string(), &text)).await;
        said.push((text, receipt.expect("publish")));
    }
    door.slow_down(32 * BYTES);
    redis.lose_everything().await;
    said.push(("b".into(), peers[0].say(&room, "b").await));
    door.speed_up();
    rows.set_stuck(false);
    until("all is stored", async || rows.of(&room).len() == said.len()).await;
    for peer in &peers {
        peer.join(&room).await;
    }
    nothing_is_lost(&rows, &peers, &room, &said).await;
}
