//! One message, tried on three gateways, at once and one after the other, is one message.
//! Not here: what a try that broke leaves (`cargo xtask drill`).

use futures_util::future;
use serde_json::{Value, json};

use crate::{
    harness::{Client, post, until},
    nodes::Cluster,
};

const ROOM: &str = "tries";
const ROUNDS: usize = 50;

async fn attempt(client: &mut Client, nth: usize) -> Value {
    let (id, content) = (format!("c{nth}"), format!("말 {nth}"));
    client.send(json!({"type": "message", "content": content, "clientId": id})).await;
    client.skip_to("ack").await
}

fn place(ack: &Value) -> (Value, Value) {
    (ack["epoch"].clone(), ack["seq"].clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_tried_on_three_gateways_is_one_message() {
    let cluster = Cluster::start(3, &[]).await;
    let mut watcher = Client::v1_joined(&cluster.gateways[1], ROOM, "보는 이").await;
    let joining = cluster.gateways.iter().map(|gateway| Client::v1_joined(gateway, ROOM, "민"));
    let mut same = future::join_all(joining).await;
    let mut first = Value::Null;
    for nth in 0..ROUNDS {
        let at_once = future::join_all(same.iter_mut().map(|client| attempt(client, nth))).await;
        let later = attempt(&mut same[nth % 3], nth).await;
        for ack in at_once.iter().chain([&later]) {
            assert_eq!(place(ack), place(&at_once[0]), "{nth}");
        }
        first = if nth == 0 { later["seq"].clone() } else { first };
        let heard = watcher.skip_to("message").await;
        assert_eq!((place(&heard), &heard["clientId"]), (place(&later), &json!(format!("c{nth}"))));
    }
    // Over HTTP it is the same message, too.
    let path = format!("/api/v1/rooms/{ROOM}/messages");
    let body = json!({"content": "말 0", "username": "민"});
    let answer = post(cluster.gateways[2].public, &path, &[("Idempotency-Key", "c0")], &body).await.json();
    assert_eq!(answer["seq"], first, "{answer}");
    let other = json!({"content": "다른 말", "username": "민"});
    post(cluster.gateways[0].public, &path, &[("Idempotency-Key", "c0")], &other)
        .await
        .assert_error(409, "client_id_reused");
    // Somebody else's c0 is another message.
    let theirs = json!({"content": "말 0", "username": "선"});
    let answer = post(cluster.gateways[0].public, &path, &[("Idempotency-Key", "c0")], &theirs).await.json();
    assert_eq!(answer["seq"], first.as_u64().unwrap() + ROUNDS as u64, "{answer}");
    until("all rows", async || (cluster.rows(ROOM).await.len() == ROUNDS + 1).then_some(())).await;
}
