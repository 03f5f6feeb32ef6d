//! A pub/sub socket that is healthy and brings nothing.
//! Not here: one that is cut (every failover).

use moim_bus::conformance::{Rows, room};
use moim_bus_redis::Topology;

use super::{
    own::OwnRedis,
    peer::{Peer, nothing_is_lost, nth_config, talk},
    proxy::{AtEnd, Proxy},
    unused,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deaf_socket_is_made_anew_and_rooms_read_on() {
    let (rows, redis, room, prefix) =
        (Rows::new(), OwnRedis::start().await, room("deaf"), format!("d{:x}", unused()));
    let proxy = Proxy::before(redis.address(), AtEnd::Cut).await;
    let mut peers = Vec::new();
    for (nth, url) in [redis.url(), proxy.url()].into_iter().enumerate() {
        peers.push(Peer::start(&rows, nth_config(&[url], Topology::Single, &prefix, nth)).await);
        peers[nth].join(&room).await;
    }
    let mut said = talk(&peers, &room, "a", 10).await;
    let lost = peers[1].lost().await;
    assert_eq!(proxy.deafen(), 1);
    said.extend(talk(&peers[..1], &room, "b", 10).await);
    let stored = nothing_is_lost(&rows, &peers, &room, &said).await;
    assert!(peers[1].lost().await > lost, "its rooms are told");
    assert_eq!(stored.len(), 20);
}
