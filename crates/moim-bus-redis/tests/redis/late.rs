//! A node that comes back with messages which the others went on without.
//! Not here: what a room makes of them (`moim-core`).

use std::{collections::BTreeMap, time::Duration};

use moim_bus::{
    Bus, BusHealth, Ring,
    conformance::{Rows, draft_as, room},
};
use moim_bus_redis::Topology;
use moim_protocol::{RoomId, Seq};
use tokio::time::{sleep, timeout};

use super::{
    own::{OwnRedis, until},
    peer::{Peer, all_is_stored, nothing_is_lost, nth_config, talk},
    proxy::{AtEnd, Proxy},
    unused,
};

const LONGER_THAN_A_LEASE: Duration = Duration::from_secs(9);
/// A node that waits for no lease to end is ready long before.
const LONG_ENOUGH_TO_BEGIN: Duration = Duration::from_secs(5);
/// Less than a new node gives those before it to be heard.
const A_MOMENT: Duration = Duration::from_secs(1);

/// Where a page begins.
async fn ring(peer: &Peer, room: &RoomId) -> Ring {
    peer.bus.ring(room, 256).await.expect("the ring")
}

/// Whether it leads past one of these as if it had never been.
fn skips(ring: &Ring, seqs: &[Seq]) -> bool {
    let passes =
        |seq: &Seq| ring.rows.iter().any(|row| row.prev.is_none_or(|prev| prev < *seq) && *seq < row.seq);
    seqs.iter().any(passes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_paused_node_knows_is_handed_in_late() {
    let (rows, redis, room, prefix) =
        (Rows::new(), OwnRedis::start().await, room("late"), format!("l{:x}", unused()));
    let proxy = Proxy::before(redis.address(), AtEnd::Cut).await;
    // The second does not drain and is not in the room, so only the first knows what it publishes.
    let paused = Peer::start(&rows, nth_config(&[proxy.url()], Topology::Single, &prefix, 1)).await;
    let other = Peer::start(&rows, nth_config(&[redis.url()], Topology::Single, &prefix, 2)).await;
    let peers = [paused, other];
    let old = talk(&peers[..1], &room, "a", 10).await;
    proxy.hold();
    redis.lose_everything().await;
    // A client of the paused node tries again on the other, which waits for one lease and then goes on alone.
    let (again, receipt) = &old[4];
    let anew = peers[1].say(&room, again).await;
    assert_ne!(anew.position, receipt.position);
    peers[1].join(&room).await;
    let new = talk(&peers[1..], &room, "b", 5).await;
    proxy.release();
    until("the rows are announced", async || peers[1].late().await.len() >= old.len() - 1).await;
    let seqs: Vec<_> =
        old.iter().filter(|(text, _)| text != again).map(|(_, old)| old.position.seq).collect();
    let meanwhile = ring(&peers[1], &room).await;
    assert_eq!(meanwhile.late, Some((seqs[0], seqs[8])), "no page across them may say that it is complete");
    // Those who drain come last: until now nothing was stored.
    let writer = Peer::start(&rows, nth_config(&[redis.url()], Topology::Single, &prefix, 0)).await;
    until("all is stored", async || rows.of(&room).len() >= old.len() + new.len()).await;
    until("pages may be complete again", async || ring(&peers[1], &room).await.late.is_none()).await;
    let then = ring(&peers[1], &room).await;
    assert!(!skips(&then, &seqs), "no row leads past what came late: {then:?}");
    assert_ne!(then.version, meanwhile.version, "pages that were kept lack them");
    all_is_stored(&peers).await;
    all_is_stored(&[writer]).await;
    let late: Vec<_> = peers[1].late().await.iter().map(|row| row.content.to_string()).collect();
    let want: Vec<_> = old.iter().map(|(text, _)| text.clone()).filter(|text| text != again).collect();
    assert_eq!(late, want, "each once, but for the one that has another number by now");
    let stored: BTreeMap<_, _> =
        rows.of(&room).iter().map(|row| (row.seq, row.content.to_string())).collect();
    let old = old.iter().filter(|(text, _)| text != again);
    let all = old.chain(&new).map(|(text, receipt)| (receipt.position.seq, text.clone()));
    let want: BTreeMap<_, _> = all.chain([(anew.position.seq, again.clone())]).collect();
    assert_eq!(stored, want);
    let after_dropped = rows.of(&room).iter().find(|row| row.seq == seqs[4]).map(|row| row.prev);
    assert_eq!(after_dropped, Some(Some(seqs[3])), "nothing stands where the dropped one was");
}

/// It has no memory, and by the clock of a copy that lags for longer than a lease nobody lives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_begins_on_an_old_copy_waits_for_those_it_names() {
    let (rows, room, prefix) = (Rows::new(), room("copy"), format!("o{:x}", unused()));
    let mut master = OwnRedis::start().await;
    let replica = master.replica().await;
    let door = Proxy::before(master.address(), AtEnd::Cut).await;
    let knows = Peer::start(&rows, nth_config(&[door.url()], Topology::Single, &prefix, 1)).await;
    knows.join(&room).await;
    let mut peers = vec![knows];
    let mut said = talk(&peers, &room, "a", 10).await;
    replica.catches_up_with(&master).await;
    replica.cut_off().await;
    said.extend(talk(&peers, &room, "b", 10).await);
    sleep(LONGER_THAN_A_LEASE).await;
    door.hold();
    master.kill().await;
    replica.promote().await;
    // It drains: what it merges is stored.
    peers.push(Peer::begin(&rows, nth_config(&[replica.url()], Topology::Single, &prefix, 0)));
    sleep(LONG_ENOUGH_TO_BEGIN).await;
    assert_ne!(peers[1].bus.health(), BusHealth::Open, "it did not wait for who may know more");
    door.switch(replica.address());
    until("the new one is ready", async || peers[1].bus.health() == BusHealth::Open).await;
    peers[1].join(&room).await;
    said.extend(talk(&peers, &room, "c", 10).await);
    let stored = nothing_is_lost(&rows, &peers, &room, &said).await;
    assert_eq!(stored.len(), 30);
    assert!(peers[0].late().await.is_empty(), "nothing came late");
}

/// Redis shows it nobody, and the others have not heard yet that they are gone from there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_begins_as_redis_loses_everything_waits_for_those_before_it() {
    let (rows, redis, room, prefix) =
        (Rows::new(), OwnRedis::start().await, room("emptied"), format!("b{:x}", unused()));
    let door = Proxy::before(redis.address(), AtEnd::Cut).await;
    let knows = Peer::start(&rows, nth_config(&[door.url()], Topology::Single, &prefix, 1)).await;
    knows.join(&room).await;
    let mut peers = vec![knows];
    let mut said = talk(&peers, &room, "a", 10).await;
    door.hold();
    redis.lose_everything().await;
    peers.push(Peer::begin(&rows, nth_config(&[redis.url()], Topology::Single, &prefix, 0)));
    sleep(A_MOMENT).await;
    assert_ne!(peers[1].bus.health(), BusHealth::Open, "it did not wait for who may know more");
    door.release();
    until("the new one is ready", async || peers[1].bus.health() == BusHealth::Open).await;
    peers[1].join(&room).await;
    said.extend(talk(&peers, &room, "b", 10).await);
    nothing_is_lost(&rows, &peers, &room, &said).await;
    assert!(peers[0].late().await.is_empty(), "nothing came late");
}

/// The others have said nothing since, so what comes late is the newest there is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_late_above_the_head_is_in_every_page_at_once() {
    let (rows, room, prefix) = (Rows::new(), room("above"), format!("h{:x}", unused()));
    let mut master = OwnRedis::start().await;
    let replica = master.replica().await;
    let mut doors = Vec::new();
    for _ in 0..2 {
        doors.push(Proxy::before(master.address(), AtEnd::Cut).await);
    }
    let paused = Peer::start(&rows, nth_config(&[doors[0].url()], Topology::Single, &prefix, 1)).await;
    let other = Peer::start(&rows, nth_config(&[doors[1].url()], Topology::Single, &prefix, 2)).await;
    let peers = [paused, other];
    let mut said = talk(&peers[..1], &room, "a", 10).await;
    replica.catches_up_with(&master).await;
    replica.cut_off().await;
    said.extend(talk(&peers[..1], &room, "b", 10).await);
    doors.iter().for_each(Proxy::hold);
    master.kill().await;
    replica.promote().await;
    doors[1].switch(replica.address());
    // It waits for one lease, and then goes on alone.
    let head = async || ring(&peers[1], &room).await.head.seq;
    until("the other is ready", async || peers[1].bus.ring(&room, 1).await.is_ok()).await;
    assert_eq!(head().await, said[9].1.position.seq);
    doors[0].switch(replica.address());
    until("the head has risen", async || head().await == said[19].1.position.seq).await;
    let shown = ring(&peers[1], &room).await;
    assert_eq!(shown.late, None);
    let seqs = |ring: &Ring| ring.rows.iter().map(|row| row.seq).collect::<Vec<_>>();
    assert_eq!(seqs(&shown), said.iter().map(|(_, receipt)| receipt.position.seq).collect::<Vec<_>>());
    let next = peers[1].say(&room, "c").await;
    said.push(("c".into(), next));
    let shown = ring(&peers[1], &room).await;
    assert_eq!(seqs(&shown), said.iter().map(|(_, receipt)| receipt.position.seq).collect::<Vec<_>>());
    assert_eq!(shown.rows.last().map(|row| row.prev), Some(Some(said[19].1.position.seq)));
}

/// The others heard nothing of what it said, and have what was said next: that something stands between is all they know.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_paused_node_alone_knows_is_not_passed_over() {
    let (rows, room, prefix) = (Rows::new(), room("alone"), format!("a{:x}", unused()));
    let mut master = OwnRedis::start().await;
    let replica = master.replica().await;
    let mut doors = Vec::new();
    let mut peers = Vec::new();
    for nth in 1..3 {
        doors.push(Proxy::before(master.address(), AtEnd::Cut).await);
        let url = doors[nth - 1].url();
        peers.push(Peer::start(&rows, nth_config(&[url], Topology::Single, &prefix, nth)).await);
    }
    let mut said = talk(&peers[..1], &room, "a", 10).await;
    replica.catches_up_with(&master).await;
    replica.cut_off().await;
    doors.iter().for_each(|door| assert!(door.deafen() > 0));
    said.extend(talk(&peers, &room, "b", 2).await);
    doors.iter().for_each(Proxy::hold);
    master.kill().await;
    replica.promote().await;
    doors[1].switch(replica.address());
    let seqs: Vec<_> = said.iter().map(|(_, receipt)| receipt.position.seq).collect();
    let shown = async || peers[1].bus.ring(&room, 256).await.ok().filter(|ring| ring.head.seq == seqs[11]);
    until("the other went on alone", async || shown().await.is_some()).await;
    let alone = ring(&peers[1], &room).await;
    assert!(!skips(&alone, &seqs[10..11]), "a page would say that it is complete: {alone:?}");
    peers[1].join(&room).await;
    doors[0].switch(replica.address());
    until("it is announced", async || peers[1].late().await.iter().any(|row| row.seq == seqs[10])).await;
}

/// It was sent again while its first number came late: the answer to it is known.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_stored_before_a_node_came_late_is_not_said_twice() {
    let (rows, redis, room, prefix) =
        (Rows::new(), OwnRedis::start().await, room("twice"), format!("y{:x}", unused()));
    let proxy = Proxy::before(redis.address(), AtEnd::Cut).await;
    let paused = Peer::start(&rows, nth_config(&[proxy.url()], Topology::Single, &prefix, 1)).await;
    let other = Peer::start(&rows, nth_config(&[redis.url()], Topology::Single, &prefix, 2)).await;
    let writer = Peer::start(&rows, nth_config(&[redis.url()], Topology::Single, &prefix, 0)).await;
    let peers = [paused, other];
    let said = talk(&peers[..1], &room, "a", 3).await;
    until("all is stored", async || rows.of(&room).len() == said.len()).await;
    until("and committed", async || redis.in_logs().await == 0).await;
    // The writer knew them, too. Now only who sent them does.
    drop(writer);
    proxy.hold();
    redis.lose_everything().await;
    // The room is back in Redis with another message, so that no seed brings the answers.
    rows.set_seeds_fail(true);
    peers[1].say(&room, "b").await;
    proxy.release();
    let answers = async || redis.ask::<Vec<String>>(&format!("KEYS *:a:*kim{}", said[2].0)).await.len();
    until("its answers are handed in", async || answers().await > 0).await;
    let again = peers[1].say(&room, &said[2].0).await;
    assert_eq!(again.position, said[2].1.position);
}

/// Its last mark was lost with the generation, and in the next one nothing comes that would bring another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_missed_that_all_is_stored_is_told_by_the_next_generation() {
    let (rows, redis, room, prefix) =
        (Rows::new(), OwnRedis::start().await, room("mark"), format!("k{:x}", unused()));
    let proxy = Proxy::before(redis.address(), AtEnd::Cut).await;
    let sender = Peer::start(&rows, nth_config(&[proxy.url()], Topology::Single, &prefix, 1)).await;
    rows.set_stuck(true);
    let _writer = Peer::start(&rows, nth_config(&[redis.url()], Topology::Single, &prefix, 0)).await;
    let peers = [sender];
    let said = talk(&peers, &room, "a", 10).await;
    proxy.deafen();
    proxy.hold();
    rows.set_stuck(false);
    until("all is stored and committed", async || redis.in_logs().await == 0).await;
    // Nor can it be read any more.
    for key in redis.ask::<Vec<String>>("KEYS *:mark").await {
        let _: u64 = redis.ask(&format!("DEL {key}")).await;
    }
    let _replica = redis.replica().await;
    proxy.release();
    all_is_stored(&peers).await;
    assert_eq!(rows.of(&room).len(), said.len());
}

/// What it alone knows keeps its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_slow_is_waited_for() {
    let (rows, redis, room, prefix) =
        (Rows::new(), OwnRedis::start().await, room("slow"), format!("w{:x}", unused()));
    let proxy = Proxy::before(redis.address(), AtEnd::Cut).await;
    let slow = Peer::start(&rows, nth_config(&[proxy.url()], Topology::Single, &prefix, 1)).await;
    let other = Peer::start(&rows, nth_config(&[redis.url()], Topology::Single, &prefix, 2)).await;
    let peers = [slow, other];
    let mut said = talk(&peers[..1], &room, "a", 10).await;
    proxy.hold();
    redis.lose_everything().await;
    let next = peers[1].bus.publish(draft_as(&room, "kim", "b", "b"));
    // Far less than a lease, and far more than the other needs by itself.
    let mut next = std::pin::pin!(timeout(Duration::from_secs(2), next));
    assert!(next.as_mut().await.is_err(), "it did not wait for who may know more");
    proxy.release();
    said.push(("b".into(), peers[1].say(&room, "b").await));
    for peer in &peers {
        peer.join(&room).await;
        let seen = peer.seen(&room).await;
        let seen: Vec<_> = seen.iter().map(|row| (row.content.to_string(), row.seq)).collect();
        let want: Vec<_> = said.iter().map(|(text, receipt)| (text.clone(), receipt.position.seq)).collect();
        assert_eq!(seen, want);
        assert!(peer.late().await.is_empty());
    }
}

/// Whether a node was waited for that had just become ready when Redis lost everything.
async fn a_new_node_is_waited_for() -> bool {
    let (rows, redis, room, prefix) =
        (Rows::new(), OwnRedis::start().await, room("new"), format!("i{:x}", unused()));
    let proxy = Proxy::before(redis.address(), AtEnd::Cut).await;
    let old = Peer::start(&rows, nth_config(&[redis.url()], Topology::Single, &prefix, 2)).await;
    let new = Peer::start(&rows, nth_config(&[proxy.url()], Topology::Single, &prefix, 1)).await;
    // From now on it may know what nobody else knows.
    new.say(&room, "a").await;
    proxy.hold();
    redis.lose_everything().await;
    let next = old.bus.publish(draft_as(&room, "kim", "b", "b"));
    timeout(Duration::from_secs(2), next).await.is_err()
}

/// It takes nothing before every other node must have seen it. Twice, since on a machine that stands still for half a second
/// the others may be later than they must.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_has_just_come_is_waited_for() {
    let is_waited_for = a_new_node_is_waited_for().await || a_new_node_is_waited_for().await;
    assert!(is_waited_for, "a generation was opened without a node that may know more");
}
