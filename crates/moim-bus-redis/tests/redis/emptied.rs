//! Servers on which nothing is any more, and one of several that is dead: the nodes are well as long as the rest answers.
//! Not here: messages while a slot moves (`moved_slot`), lost data (`failover`).

use std::time::Duration;

use moim_bus::{
    Bus, BusHealth,
    conformance::{Rows, room},
};
use moim_bus_redis::Topology;
use tokio::time::sleep;

use super::{
    moved_slot::{cluster, move_slot_of, server},
    own::{OwnRedis, until},
    peer::{Peer, nothing_is_lost, nth_config, peers_of, talk},
    proxy::{AtEnd, Proxy},
    unused,
};

/// Longer than any server in use may be silent.
const LONG: Duration = Duration::from_secs(11);

async fn all_are_well(peers: &[Peer]) {
    for peer in peers {
        until("the node is well", async || peer.bus.health() == BusHealth::Open).await;
    }
}

/// A server that has all of that master, and would take its place.
async fn replica_of(master: &OwnRedis) -> OwnRedis {
    let (replica, bus) = server().await;
    let id: String = master.ask("CLUSTER MYID").await;
    let _: String = master.ask(&format!("CLUSTER MEET 127.0.0.1 {} {bus}", replica.port())).await;
    until("it follows its master", async || {
        replica.try_ask::<String>(&format!("CLUSTER REPLICATE {id}")).await.is_ok()
    })
    .await;
    until("it has all", async || replica.info("replication", "master_link_status").await == "up").await;
    replica
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failover_in_a_cluster_the_nodes_are_well_again() {
    let (rows, mut masters, room) = (Rows::new(), cluster().await, room("failover"));
    let urls: Vec<_> = masters.iter().map(OwnRedis::url).collect();
    let peers = peers_of(&rows, &urls, Topology::Cluster, 2).await;
    for peer in &peers {
        peer.join(&room).await;
    }
    let mut said = talk(&peers, &room, "before", 4).await;
    let mut at = 0;
    for (nth, master) in masters.iter().enumerate() {
        if !master.ask::<Vec<String>>(&format!("KEYS *:h:{room}")).await.is_empty() {
            at = nth;
        }
    }
    let replica = replica_of(&masters[at]).await;
    masters[at].kill().await;
    for peer in &peers {
        until("they notice", async || peer.bus.health() != BusHealth::Open).await;
    }
    let _: String = replica.ask("CLUSTER FAILOVER TAKEOVER").await;
    all_are_well(&peers).await;
    said.extend(talk(&peers, &room, "after", 4).await);
    nothing_is_lost(&rows, &peers, &room, &said).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_is_emptied_is_not_missed() {
    let (rows, masters, room) = (Rows::new(), cluster().await, room("emptied"));
    let urls: Vec<_> = masters.iter().map(OwnRedis::url).collect();
    let peers = peers_of(&rows, &urls, Topology::Cluster, 1).await;
    peers[0].join(&room).await;
    let mut said = talk(&peers, &room, "before", 4).await;
    for (nth, master) in masters.iter().enumerate() {
        let generations: Vec<String> = master.ask("KEYS *:gen").await;
        if generations.is_empty() {
            continue;
        }
        for key in generations {
            move_slot_of(&masters, nth, &key).await;
        }
        break;
    }
    said.extend(talk(&peers, &room, "after", 4).await);
    sleep(LONG).await;
    all_are_well(&peers).await;
    nothing_is_lost(&rows, &peers, &room, &said).await;
}

/// People are sent elsewhere from a node that is cut off. Where one of several servers is dead, no other node is better.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_dead_server_of_several_cuts_nobody_off() {
    let (rows, redis, prefix) =
        (Rows::new(), [OwnRedis::start().await, OwnRedis::start().await], format!("s{:x}", unused()));
    let mut proxies = Vec::new();
    for redis in &redis {
        proxies.push(Proxy::before(redis.address(), AtEnd::Cut).await);
    }
    let urls: Vec<_> = proxies.iter().map(Proxy::url).collect();
    let peer = Peer::start(&rows, nth_config(&urls, Topology::Several, &prefix, 0)).await;
    let health = || peer.bus.health();
    proxies[0].hold();
    until("it is noticed", async || health() == BusHealth::CutOff(Duration::ZERO)).await;
    sleep(LONG).await;
    assert_eq!(health(), BusHealth::CutOff(Duration::ZERO), "the other server is there");
    proxies[1].hold();
    let is_long = |health| matches!(health, BusHealth::CutOff(since) if since > LONG);
    until("now it is cut off", async || is_long(health())).await;
    proxies.iter().for_each(Proxy::release);
    until("it is well again", async || health() == BusHealth::Open).await;
}
