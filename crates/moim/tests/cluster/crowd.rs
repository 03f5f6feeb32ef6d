//! Five thousand people come back to one room at once: each gateway asks the store once.
//! Not here: a crowd on one node (`crowd` beside this folder).

use futures_util::{StreamExt, stream};
use serde_json::json;

use crate::{
    harness::{Client, until},
    nodes::Cluster,
};

const ROOM: &str = "crowd";
const PEOPLE: usize = 5_000;
const MESSAGES: u64 = 700;
const MISSED: u64 = 90;
/// Handshakes at the same time.
const AT_ONCE: usize = 200;

async fn resume(cluster: &Cluster, nth: usize, epoch: &str, head: u64) {
    let gateway = &cluster.gateways[nth % cluster.gateways.len()];
    let since = head - MISSED;
    let path = format!("/chat/{ROOM}?username=p{nth}&since={since}&epoch={epoch}");
    let mut client = Client::at(gateway, &path, Some("moim.v1")).await;
    let joined = client.expect("joined").await;
    assert_eq!((&joined["recovered"], &joined["seq"]), (&json!(true), &json!(head)), "{joined}");
    for seq in since + 1..=head {
        assert_eq!(client.skip_to("message").await["seq"], seq);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_that_resumes_is_one_read_of_the_store_on_each_gateway() {
    // A ring so short that what they missed is in the store alone, in part.
    let settings = [("redis.ring_rows", "32"), ("limits.connections_per_address_max", "10000")];
    let cluster = Cluster::start(2, &settings).await;
    let mut client = Client::v1_joined(&cluster.gateways[0], ROOM, "min").await;
    let (mut epoch, mut head) = (String::new(), 0);
    for nth in 0..MESSAGES {
        let id = format!("c{nth}");
        client.send(json!({"type": "message", "content": id, "clientId": id, "ack": "wal"})).await;
        let ack = client.skip_to("ack").await;
        (epoch, head) = (ack["epoch"].as_str().unwrap().to_owned(), ack["seq"].as_u64().unwrap());
    }
    // The ring holds back what is not stored.
    until("all rows", async || (cluster.rows(ROOM).await.len() as u64 == MESSAGES).then_some(())).await;
    client.close(1000).await;
    let mut before = Vec::new();
    for gateway in &cluster.gateways {
        before.push(gateway.metric("moim_store_reads_total").await);
    }
    stream::iter(0..PEOPLE)
        .for_each_concurrent(AT_ONCE, async |nth| resume(&cluster, nth, &epoch, head).await)
        .await;
    let mut any = 0.0;
    for (gateway, before) in cluster.gateways.iter().zip(before) {
        let reads = gateway.metric("moim_store_reads_total").await - before;
        assert!(reads <= 1.0, "{reads} reads");
        any += reads;
    }
    assert!(any > 0.0, "the ring alone was enough: this shows nothing");
}
