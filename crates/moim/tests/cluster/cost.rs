//! A publish is one command to Redis, and asks the store nothing.
//! Not here: what an append costs in Cassandra (`moim-store-cassandra` counts it there), the price of the script (README).

use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use crate::{
    harness::{Client, within},
    nodes::{Cluster, OwnRedis},
};

const ROOM: &str = "cost-room";
const ONE_BY_ONE: usize = 500;
const AT_ONCE: usize = 640;
/// Messages of a room in one call.
const BATCH_MAX: usize = 64;

/// Everything that a Redis is told, as its MONITOR says it.
struct Monitor(tokio::io::Lines<BufReader<TcpStream>>);

impl Monitor {
    async fn of(redis: &OwnRedis) -> Self {
        let mut stream = TcpStream::connect(redis.address()).await.unwrap();
        stream.write_all(b"MONITOR\r\n").await.unwrap();
        let mut lines = BufReader::new(stream).lines();
        assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("+OK"));
        Self(lines)
    }

    /// Commands of clients until one that says this; what a script does inside is not theirs.
    async fn until(&mut self, mark: &str) -> Vec<String> {
        let mut all = Vec::new();
        within(mark, async {
            loop {
                let line = self.0.next_line().await.unwrap().unwrap();
                if !line.contains(" lua] ") {
                    all.push(line);
                }
                if all.last().is_some_and(|line| line.contains(mark)) {
                    return;
                }
            }
        })
        .await;
        all
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publish_is_one_call_to_redis_and_none_to_the_store() {
    let redis = OwnRedis::start().await;
    let cluster = Cluster::start_on(&redis, 2, &[]).await;
    let mut client = Client::v1_joined(&cluster.gateways[0], ROOM, "min").await;
    // Before the first, the room is cold: that is one more call and a read of the store.
    client.say_as("first", "first").await;
    client.skip_to("ack").await;
    let mut monitor = Monitor::of(&redis).await;
    let reads = cluster.sum("moim_store_reads_total").await;
    for nth in 0..ONE_BY_ONE {
        client.say_as(&format!("c{nth}"), &format!("say-{nth}.")).await;
        client.skip_to("ack").await;
    }
    client.say_as("last", "the last one").await;
    client.skip_to("ack").await;
    let told = monitor.until("the last one").await;
    for nth in 0..ONE_BY_ONE {
        let of_this: Vec<_> = told.iter().filter(|line| line.contains(&format!("say-{nth}."))).collect();
        assert!(matches!(of_this[..], [call] if call.contains("\"EVALSHA\"")), "{of_this:?}");
    }

    for nth in 0..AT_ONCE {
        client.say_as(&format!("d{nth}"), &format!("talk-{nth}.")).await;
    }
    for _ in 0..AT_ONCE {
        client.skip_to("ack").await;
    }
    client.send(json!({"type": "message", "content": "the very last one", "clientId": "end"})).await;
    client.skip_to("ack").await;
    let told = monitor.until("the very last one").await;
    let calls: Vec<_> = told.iter().filter(|line| line.contains("talk-")).collect();
    let carried: Vec<_> = calls.iter().map(|call| call.matches("talk-").count()).collect();
    assert_eq!(carried.iter().sum::<usize>(), AT_ONCE);
    assert!(carried.iter().all(|count| *count <= BATCH_MAX), "{carried:?}");
    assert!(calls.len() < AT_ONCE, "what gathers while a call is under way goes as one: {carried:?}");
    println!("{AT_ONCE} messages at once were {} calls", calls.len());
    assert_eq!(cluster.sum("moim_store_reads_total").await, reads, "a write asks the store nothing");
}
