//! What one gateway acknowledged, history on any other contains, from that moment on.
//! Not here: order (`order`), history when the store is away (`store_away`).

use std::time::Duration;

use futures_util::future;
use serde_json::{Value, json};

use crate::{
    harness::{Client, Server, get},
    nodes::Cluster,
};

/// Over all ways to ask.
const TRIES: u64 = 10_000;
const ROOMS: u64 = 4;
/// A minute, at the second that a page asks for.
const ASKED_AGAIN: u64 = 60;

#[derive(Clone, Copy)]
enum Ask {
    Page,
    Join,
    Http,
}

/// Mostly the cheapest way to ask; the others are the same read behind another door.
fn way(nth: u64) -> Ask {
    match nth % 20 {
        7 => Ask::Join,
        13 => Ask::Http,
        _ => Ask::Page,
    }
}

async fn asked(reader: &mut Client, server: &Server, room: &str, ack: &Value, ask: Ask) -> Value {
    match ask {
        Ask::Page => {
            let before = ack["seq"].as_u64().unwrap() + 1;
            reader.send(json!({"type": "history", "before": before, "limit": 3})).await;
            reader.skip_to("history").await
        }
        Ask::Join => {
            let mut joiner = Client::v1(server, room, "지나가는 이").await;
            assert_eq!(joiner.expect("joined").await["seq"], ack["seq"]);
            joiner.expect("history").await
        }
        Ask::Http => get(server.public, &format!("/api/v1/rooms/{room}/messages?limit=3")).await.json(),
    }
}

/// Every page has what was acknowledged. A room's first pages need the store to say that nothing is before them, and a store that
/// is slow to say so makes them incomplete, with a time to ask again: they must become complete.
async fn expect_newest(reader: &mut Client, server: &Server, room: &str, ack: &Value, ask: Ask) {
    for _ in 0..ASKED_AGAIN {
        let page = asked(reader, server, room, ack, ask).await;
        let newest = page["messages"].as_array().unwrap().last().cloned().unwrap_or_default();
        assert_eq!((&newest["seq"], &newest["clientId"]), (&ack["seq"], &ack["clientId"]), "{page}");
        if page["complete"] == true {
            return;
        }
        let wait = page["retryAfterMs"].as_u64().expect("an incomplete page says when to ask again");
        tokio::time::sleep(Duration::from_millis(wait)).await;
    }
    panic!("{room}: no page was complete in {ASKED_AGAIN} times, {ack}");
}

async fn one_room(cluster: &Cluster, nth_room: u64) {
    let room = format!("fresh-{nth_room}");
    let (a, b) = (&cluster.gateways[0], &cluster.gateways[1]);
    let mut sender = Client::v1_joined(a, &room, "보내는 이").await;
    let mut reader = Client::v1_joined(b, &room, "묻는 이").await;
    for nth in 0..TRIES / ROOMS {
        // Every level: each must be as fresh.
        let level = ["wal", "stored"][usize::from(nth % 5 == 4)];
        let id = format!("c{nth}");
        sender.send(json!({"type": "message", "content": id, "clientId": id, "ack": level})).await;
        let ack = sender.skip_to("ack").await;
        // The writer may have been quicker than the answer.
        assert!(ack["level"] == level || ack["level"] == "stored", "{ack}");
        assert_eq!(ack["clientId"], id, "{ack}");
        expect_newest(&mut reader, b, &room, &ack, way(nth)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_on_one_gateway_has_what_another_acknowledged() {
    let cluster = Cluster::start(2, &[]).await;
    future::join_all((0..ROOMS).map(|nth| one_room(&cluster, nth))).await;
}
