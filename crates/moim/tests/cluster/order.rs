//! Fifty people on three gateways talk at once in one room: everyone sees the same, and the tables hold the same.
//! Not here: several tries of one message (`tries`).

use futures_util::future;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{harness::Client, nodes::Cluster};

const ROOM: &str = "시끄러운-방";
const SENDERS: usize = 50;
const EACH: usize = 60;
const MESSAGES: usize = SENDERS * EACH;

/// Says all and hears all: what it heard, in order.
async fn talk(mut client: Client, sender: usize) -> Vec<Value> {
    let (mut heard, mut said, mut acked) = (Vec::new(), 0, 0);
    while heard.len() < MESSAGES || acked < EACH {
        // A few at a time, so that senders mix.
        while said < EACH && said < acked + 4 {
            let id = format!("{sender}-{said}");
            let content = format!("{sender}의 {said}번째 말");
            client.send(json!({"type": "message", "content": content, "clientId": id})).await;
            said += 1;
        }
        let frame = client.frame().await;
        match frame["type"].as_str().unwrap() {
            "message" => heard.push(frame),
            "ack" => {
                // A sender's order is the order of its acks.
                assert_eq!(frame["clientId"], format!("{sender}-{acked}"), "{frame}");
                acked += 1;
            }
            "system" => {}
            _ => panic!("{frame}"),
        }
    }
    heard
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everyone_sees_one_order_and_the_tables_hold_it() {
    let cluster = Cluster::start(3, &[]).await;
    let names: Vec<_> = (0..SENDERS).map(|nth| format!("사람 {nth}")).collect();
    let joining = names.iter().enumerate().map(|(nth, name)| {
        let gateway = &cluster.gateways[nth % cluster.gateways.len()];
        Client::v1_joined(gateway, ROOM, name)
    });
    let clients = future::join_all(joining).await;
    let mut talking = JoinSet::new();
    for (nth, client) in clients.into_iter().enumerate() {
        talking.spawn(talk(client, nth));
    }
    let mut all = talking.join_all().await;
    let heard = all.pop().unwrap();
    let first = heard[0]["seq"].as_u64().unwrap();
    for (nth, message) in heard.iter().enumerate().skip(1) {
        let prev = first + nth as u64 - 1;
        assert_eq!((&message["seq"], &message["prev"]), (&json!(prev + 1), &json!(prev)), "{message}");
        assert_eq!(message["epoch"], heard[0]["epoch"]);
    }
    for other in &all {
        assert!(*other == heard, "two members saw different rooms");
    }
    // Acknowledged as `auto`: the last few may still be on their way to the tables.
    let stored = crate::harness::until("the last row", async || {
        let rows = cluster.rows(ROOM).await;
        (rows.len() == MESSAGES).then_some(rows)
    })
    .await;
    for (row, seen) in stored.iter().zip(&heard) {
        let row = json!({
            "seq": row.seq.0, "prev": row.prev.map(|seq| seq.0), "epoch": row.epoch.as_str(),
            "id": row.id.as_str(), "clientId": row.client_id.as_ref().map(|id| id.as_str()),
            "username": row.username.as_str(), "content": &*row.content,
        });
        for (key, value) in row.as_object().unwrap() {
            assert_eq!(&seen[key], value, "{key} of {seen}");
        }
    }
}
