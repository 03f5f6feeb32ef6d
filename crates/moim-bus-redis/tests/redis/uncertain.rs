//! An answer that is read when what it says is not so any more.
//! Not here: what was said in time and lost later (`nodes`, `failover`).

use moim_bus::{
    Bus, BusHealth,
    conformance::{Rows, draft_as, room},
};
use moim_bus_redis::Topology;

use super::{
    own::{OwnRedis, until},
    peer::{Peer, nth_config},
    proxy::{AtEnd, Proxy},
    unused,
};

/// It is not in Redis any more, and not among what is handed in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_of_a_generation_that_has_ended_is_no_acknowledgement() {
    let (rows, redis, room, prefix) =
        (Rows::new(), OwnRedis::start().await, room("ended"), format!("u{:x}", unused()));
    let proxy = Proxy::before(redis.address(), AtEnd::Cut).await;
    // It drains nothing and is not in the room, so that the answer is all it hears of its message.
    let peer = Peer::start(&rows, nth_config(&[proxy.url()], Topology::Single, &prefix, 1)).await;
    peer.say(&room, "first").await;
    proxy.leave_unanswered("second");
    let sent = tokio::spawn(peer.bus.publish(draft_as(&room, "kim", "second", "second")));
    until("it is in Redis", async || proxy.holds_an_answer()).await;
    redis.lose_everything().await;
    // Over another connection the node hears that the generation has ended.
    let (bus, of) = (peer.bus.clone(), room.clone());
    let reading = tokio::spawn(async move { bus.ring(&of, 1).await });
    until("it is noticed", async || peer.bus.health() != BusHealth::Open).await;
    proxy.answer();
    let receipt = match sent.await.expect("the answer") {
        Ok(receipt) => receipt,
        Err(_) => peer.say(&room, "second").await,
    };
    drop(reading.await);
    let ring = peer.bus.ring(&room, 10).await.expect("the ring");
    let rows: Vec<_> = ring.rows.iter().map(|row| (&*row.content, row.position())).collect();
    assert_eq!(rows.len(), 2, "acknowledged, and gone: {rows:?}");
    assert_eq!(rows[1], ("second", receipt.position));
}
