//! A slot of a Redis Cluster moves to another master while messages come.
//! Not here: a cluster at rest (the suite).

use std::cell::Cell;

use moim_bus::conformance::{Rows, room};
use moim_bus_redis::Topology;
use moim_protocol::RoomId;

use super::{
    own::{OwnRedis, free_port, until},
    peer::{Speaker, epochs, nothing_is_lost, peers_of},
};

/// All slots, a part for each master.
const SLOTS: [(u16, u16); 3] = [(0, 5460), (5461, 10_922), (10_923, 16_383)];

/// One that is to be in a cluster, and the port of its bus.
pub(crate) async fn server() -> (OwnRedis, u16) {
    let bus = Cell::new(0);
    let server = OwnRedis::run(|port| {
        bus.set(free_port());
        let (port, bus) = (port.to_string(), bus.get().to_string());
        let own = ["--port", &port, "--cluster-port", &bus, "--cluster-enabled", "yes"];
        let all = ["--cluster-node-timeout", "5000", "--save", "", "--bind", "127.0.0.1"];
        own.into_iter().chain(all).map(str::to_owned).collect()
    });
    (server.await, bus.get())
}

/// Three masters, one cluster.
pub(crate) async fn cluster() -> Vec<OwnRedis> {
    let (mut masters, mut buses) = (Vec::new(), Vec::new());
    for _ in SLOTS {
        let (master, bus) = server().await;
        masters.push(master);
        buses.push(bus);
    }
    for (nth, (master, (from, to))) in masters.iter().zip(SLOTS).enumerate() {
        let _: String = master.ask(&format!("CLUSTER SET-CONFIG-EPOCH {}", nth + 1)).await;
        let _: String = master.ask(&format!("CLUSTER ADDSLOTSRANGE {from} {to}")).await;
    }
    for master in &masters {
        for (other, bus) in masters.iter().zip(&buses) {
            let _: String = master.ask(&format!("CLUSTER MEET 127.0.0.1 {} {bus}", other.port())).await;
        }
    }
    for master in &masters {
        until("the cluster is whole", async || {
            let info: String = master.ask("CLUSTER INFO").await;
            ["cluster_state:ok", "cluster_known_nodes:3", "cluster_size:3"]
                .iter()
                .all(|line| info.contains(line))
        })
        .await;
    }
    masters
}

/// Moves the slot of a room's partition to the next master.
async fn move_slot(masters: &[OwnRedis], room: &RoomId) {
    for (nth, master) in masters.iter().enumerate() {
        let keys: Vec<String> = master.ask(&format!("KEYS *:h:{room}")).await;
        if let Some(key) = keys.first() {
            return move_slot_of(masters, nth, key).await;
        }
    }
}

/// Moves the slot of a key from that master to the next one, as `redis-cli --cluster reshard` does.
pub(crate) async fn move_slot_of(masters: &[OwnRedis], from: usize, key: &str) {
    let (from, to) = (&masters[from], &masters[(from + 1) % masters.len()]);
    let slot: u16 = from.ask(&format!("CLUSTER KEYSLOT {key}")).await;
    let (from_id, to_id): (String, String) = (from.ask("CLUSTER MYID").await, to.ask("CLUSTER MYID").await);
    let _: String = to.ask(&format!("CLUSTER SETSLOT {slot} IMPORTING {from_id}")).await;
    let _: String = from.ask(&format!("CLUSTER SETSLOT {slot} MIGRATING {to_id}")).await;
    loop {
        let keys: Vec<String> = from.ask(&format!("CLUSTER GETKEYSINSLOT {slot} 10")).await;
        if keys.is_empty() {
            break;
        }
        for key in keys {
            // It may have expired meanwhile.
            let _: String = from.ask(&format!("MIGRATE 127.0.0.1 {} {key} 0 5000", to.port())).await;
        }
    }
    for master in [to, from] {
        let _: String = master.ask(&format!("CLUSTER SETSLOT {slot} NODE {to_id}")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_moves_loses_nothing() {
    let (rows, masters, room) = (Rows::new(), cluster().await, room("slot"));
    let urls: Vec<_> = masters.iter().map(OwnRedis::url).collect();
    let peers = peers_of(&rows, &urls, Topology::Cluster, 2).await;
    for peer in &peers {
        peer.join(&room).await;
    }
    let speakers = [Speaker::start(&peers[0], &room, "a"), Speaker::start(&peers[1], &room, "b")];
    speakers[0].goes_on(20).await;
    rows.set_stuck(true);
    speakers[0].goes_on(20).await;
    move_slot(&masters, &room).await;
    let mut said = Vec::new();
    for speaker in speakers {
        speaker.goes_on(20).await;
        assert_eq!(speaker.errors(), 0, "it takes a moment longer, and that is all");
        said.extend(speaker.stop().await);
    }
    let stored = nothing_is_lost(&rows, &peers, &room, &said).await;
    assert_eq!(epochs(&stored), 2, "the other master is another Redis");
}
