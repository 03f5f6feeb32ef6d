//! Another server, or what is left of one, behind the same address.
//! Not here: sentinels (`sentinel`), slots of a cluster (`moved_slot`).

use moim_bus::{
    Bus,
    conformance::{Rows, room},
};
use moim_bus_redis::Topology;
use moim_protocol::Seq;

use super::{
    own::{OwnRedis, until},
    peer::{Peer, Speaker, epochs, nothing_is_lost, nth_config, peers, talk},
    proxy::{AtEnd, Proxy},
    unused,
};

/// Apart from every number that one generation can use in a room.
const JUMP: u64 = 1 << 32;

/// A master, its replica, and the one address of both.
async fn pair(at_end: AtEnd) -> (OwnRedis, OwnRedis, Proxy) {
    let master = OwnRedis::start().await;
    let replica = master.replica().await;
    let proxy = Proxy::before(master.address(), at_end).await;
    (master, replica, proxy)
}

/// The master dies, the replica takes its place.
async fn fail_over(master: &mut OwnRedis, replica: &OwnRedis, proxy: &Proxy) {
    proxy.hold();
    master.kill().await;
    replica.promote().await;
    proxy.switch(replica.address());
}

async fn a_lagging_replica_takes_over(at_end: AtEnd) {
    let rows = Rows::new();
    let (mut master, replica, proxy) = pair(at_end).await;
    let (peers, room) = (peers(&rows, &proxy.url(), 2).await, room("lag"));
    for peer in &peers {
        peer.join(&room).await;
    }
    let mut said = talk(&peers, &room, "a", 40).await;
    replica.catches_up_with(&master).await;
    replica.cut_off().await;
    // Of what the replica does not know the first are stored, and nobody keeps them any more; the others are not.
    said.extend(talk(&peers, &room, "b", 40).await);
    until("all is stored", async || rows.of(&room).len() == said.len()).await;
    rows.set_stuck(true);
    said.extend(talk(&peers, &room, "c", 40).await);
    fail_over(&mut master, &replica, &proxy).await;
    said.extend(talk(&peers, &room, "d", 40).await);
    if at_end == AtEnd::Keep {
        assert!(proxy.kept() >= peers.len(), "no connection outlived its server, so this shows nothing");
    }
    let stored = nothing_is_lost(&rows, &peers, &room, &said).await;
    assert_eq!(epochs(&stored), 2);
    assert_eq!(
        stored[120].seq,
        Seq(stored[119].seq.0 + JUMP + 1),
        "the new generation's numbers are far above"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lagging_replica_loses_nothing() {
    a_lagging_replica_takes_over(AtEnd::Cut).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lagging_replica_behind_living_connections_loses_nothing() {
    a_lagging_replica_takes_over(AtEnd::Keep).await;
}

/// What is stored is in nobody's tail. Nobody is in the room either, so only who sent it knows how far its numbers went.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_stored_and_is_lost_from_redis_is_not_passed_over() {
    let (rows, room) = (Rows::new(), room("passed"));
    let (mut master, replica, proxy) = pair(AtEnd::Cut).await;
    let peers = peers(&rows, &proxy.url(), 2).await;
    let mut said = talk(&peers[1..], &room, "a", 20).await;
    replica.catches_up_with(&master).await;
    replica.cut_off().await;
    said.extend(talk(&peers[1..], &room, "b", 20).await);
    until("all is stored and committed", async || master.in_logs().await == 0).await;
    fail_over(&mut master, &replica, &proxy).await;
    let mut ring = None;
    until("the ring can be read", async || {
        ring = peers[0].bus.ring(&room, 256).await.ok();
        ring.is_some()
    })
    .await;
    let head = ring.map(|ring| ring.head.seq);
    assert_eq!(
        head,
        Some(said[39].1.position.seq),
        "a page would end too early, and say that it is complete"
    );
    said.push(("c".into(), peers[0].say(&room, "c").await));
    for peer in &peers {
        peer.join(&room).await;
    }
    nothing_is_lost(&rows, &peers, &room, &said).await;
}

/// Who said it is gone, and nobody else was in the room: only the store knows of it. Neither may a page end before it, nor its
/// number be used again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_the_store_knows_is_not_passed_over() {
    let (rows, prefix, room) = (Rows::new(), format!("s{:x}", unused()), room("only stored"));
    let (mut master, replica, proxy) = pair(AtEnd::Cut).await;
    let urls = [proxy.url()];
    let node = async || Peer::start(&rows, nth_config(&urls, Topology::Single, &prefix, 0)).await;
    let first = [node().await];
    let mut said = talk(&first, &room, "a", 20).await;
    until("all is stored and committed", async || master.in_logs().await == 0).await;
    replica.catches_up_with(&master).await;
    replica.cut_off().await;
    said.extend(talk(&first, &room, "b", 5).await);
    until("all is stored and committed", async || master.in_logs().await == 0).await;
    drop(first);
    let others = [node().await];
    rows.set_seeds_fail(true);
    fail_over(&mut master, &replica, &proxy).await;
    let newest = async |is_known: bool| {
        let mut head = None;
        until("the ring can be read", async || {
            let read = others[0].bus.ring(&room, 256).await;
            head = read.ok().filter(|ring| ring.end_is_unknown() != is_known).map(|ring| ring.head.seq);
            head.is_some()
        })
        .await;
        head
    };
    assert_eq!(newest(false).await, Some(said[19].1.position.seq), "nobody says how far it went");
    rows.set_seeds_fail(false);
    assert_eq!(newest(true).await, Some(said[24].1.position.seq), "what is stored is passed over");
    said.push(("c".into(), others[0].say(&room, "c").await));
    assert_eq!(said[25].1.position.seq, Seq(25 + JUMP + 1));
    others[0].join(&room).await;
    let stored = nothing_is_lost(&rows, &others, &room, &said).await;
    assert_eq!(stored[25].prev, Some(said[24].1.position.seq));
}

/// Loss of Redis's data and of the publisher at once is not covered: the messages are gone, their numbers are not free.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_that_nobody_remembers_are_not_used_again() {
    let (rows, prefix, room) = (Rows::new(), format!("p{:x}", unused()), room("gone"));
    let (mut master, replica, proxy) = pair(AtEnd::Cut).await;
    let urls = [proxy.url()];
    let mut nodes = Vec::new();
    for nth in 1..3 {
        nodes.push(Peer::start(&rows, nth_config(&urls, Topology::Single, &prefix, nth)).await);
    }
    talk(&nodes[..1], &room, "a", 20).await;
    replica.catches_up_with(&master).await;
    replica.cut_off().await;
    let gone = talk(&nodes[..1], &room, "b", 20).await;
    drop(nodes.remove(0));
    fail_over(&mut master, &replica, &proxy).await;
    let next = nodes[0].say(&room, "c").await.position;
    assert_eq!(next.seq, Seq(20 + JUMP + 1));
    assert!(gone.iter().all(|(_, receipt)| receipt.position.epoch != next.epoch));
}

/// What is stored is in nobody's tail: that it was there at all is known by the highest number that somebody has seen. So nobody waits
/// for the store, which could say it as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_follows_names_the_message_before_it_though_only_the_store_has_that() {
    let rows = Rows::new();
    let (mut master, replica, proxy) = pair(AtEnd::Cut).await;
    let (peers, room) = (peers(&rows, &proxy.url(), 2).await, room("highest"));
    for peer in &peers {
        peer.join(&room).await;
    }
    let mut said = talk(&peers, &room, "a", 20).await;
    replica.catches_up_with(&master).await;
    replica.cut_off().await;
    said.extend(talk(&peers, &room, "b", 20).await);
    until("all is stored and committed", async || master.in_logs().await == 0).await;
    rows.set_seeds_fail(true);
    fail_over(&mut master, &replica, &proxy).await;
    said.extend(talk(&peers, &room, "c", 20).await);
    rows.set_seeds_fail(false);
    let stored = nothing_is_lost(&rows, &peers, &room, &said).await;
    assert_eq!((epochs(&stored), stored.len()), (2, 60));
}

/// It was given to a message that was sent when Redis died: nobody has heard of that, and whoever sent it sends it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_that_nobody_has_heard_of_leaves_no_hole() {
    let rows = Rows::new();
    let (mut master, replica, proxy) = pair(AtEnd::Cut).await;
    let (peers, room) = (peers(&rows, &proxy.url(), 2).await, room("unheard"));
    for peer in &peers {
        peer.join(&room).await;
    }
    let mut said = talk(&peers, &room, "a", 20).await;
    until("all is stored and committed", async || master.in_logs().await == 0).await;
    rows.set_stuck(true);
    said.extend(talk(&peers, &room, "b", 2).await);
    replica.catches_up_with(&master).await;
    replica.cut_off().await;
    proxy.deafen();
    let head = master.ask::<Vec<String>>("KEYS *:h:*").await.remove(0);
    let unheard: u64 = master.ask(&format!("HINCRBY {head} seq 1")).await;
    let _: u64 = master.ask(&format!("HSET {head} last {unheard}")).await;
    said.extend(talk(&peers[..1], &room, "c", 1).await);
    assert_eq!(said[22].1.position.seq, Seq(unheard + 1));
    fail_over(&mut master, &replica, &proxy).await;
    said.extend(talk(&peers, &room, "d", 4).await);
    let stored = nothing_is_lost(&rows, &peers, &room, &said).await;
    assert_eq!((epochs(&stored), stored[22].prev), (2, Some(Seq(unheard - 1))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_replica_is_a_short_barrier() {
    let (rows, master, room) = (Rows::new(), OwnRedis::start().await, room("first"));
    let peers = peers(&rows, &master.url(), 2).await;
    for peer in &peers {
        peer.join(&room).await;
    }
    let speakers = [Speaker::start(&peers[0], &room, "a"), Speaker::start(&peers[1], &room, "b")];
    speakers[0].goes_on(20).await;
    let _replica = master.replica().await;
    let mut said = Vec::new();
    for speaker in speakers {
        speaker.goes_on(20).await;
        assert_eq!(speaker.errors(), 0, "it takes a moment longer, and that is all");
        said.extend(speaker.stop().await);
    }
    let stored = nothing_is_lost(&rows, &peers, &room, &said).await;
    assert_eq!(epochs(&stored), 2, "a replication id that changes is a new generation");
}
