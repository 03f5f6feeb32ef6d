//! Rooms that fall silent leave nothing behind: no key in Redis, no memory in a gateway.
//! Not here: a million of them (`moim-loadtest rooms`).

use std::time::Duration;

use futures_util::future;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::{
    harness::Client,
    nodes::{Cluster, OwnRedis},
};

const CONNECTIONS: usize = 10;
const ROOMS_EACH: usize = 1000;
/// What a round may cost a gateway that has seen others: 300 bytes for each of its rooms.
const GROWN_BYTES_MAX: usize = 3 << 19;
/// What 16 partitions and two nodes have of their own, whatever is said.
const PARTITION_KEYS_MAX: usize = 16 * 4 + 8;
/// A minute after it was said, the answer to a message is forgotten; then some rounds more. On a machine that does other things as well a
/// round takes most of a minute.
const PATIENCE: Duration = Duration::from_secs(480);

async fn ask(redis: &OwnRedis, command: &str) -> String {
    let mut stream = TcpStream::connect(redis.address()).await.unwrap();
    stream.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn keys(redis: &OwnRedis) -> usize {
    let answer = ask(redis, "DBSIZE").await;
    answer.lines().next().unwrap().trim_start_matches(':').parse().unwrap()
}

async fn touch(cluster: &Cluster, round: usize) {
    let touching = (0..CONNECTIONS).map(|nth| async move {
        let mut client = Client::many(&cluster.gateways[nth % cluster.gateways.len()]).await;
        for room in 0..ROOMS_EACH {
            let room = format!("r{round}-{nth}-{room}");
            client.send(json!({"type": "join", "room": room, "username": "민"})).await;
            client.skip_to("history").await;
            client.send(json!({"type": "message", "room": room, "content": "안녕"})).await;
            client.skip_to("message").await;
            client.send(json!({"type": "leave", "room": room})).await;
        }
        client.close(1000).await;
    });
    future::join_all(touching).await;
}

async fn no_rooms(cluster: &Cluster) {
    while cluster.sum("moim_rooms").await > 0.0 {
        sleep(Duration::from_millis(200)).await;
    }
}

/// Rounds, until one costs no gateway anything: a leak costs the same in each, an allocator's habits and answers that are
/// remembered for a minute do not.
async fn costs_nothing(cluster: &Cluster, redis: &OwnRedis) {
    let memory = || cluster.gateways.iter().map(super::harness::Server::memory_bytes).collect::<Vec<_>>();
    for round in 0.. {
        let before = memory();
        touch(cluster, round).await;
        assert!(keys(redis).await > ROOMS_EACH, "the rooms are not in Redis: this shows nothing");
        no_rooms(cluster).await;
        let grown = memory().into_iter().zip(before).map(|(after, before)| after.saturating_sub(before));
        let grown = grown.max().unwrap();
        println!("round {round}: a gateway grew by {} KiB", grown / 1024);
        if grown < GROWN_BYTES_MAX {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_rooms_leave_nothing_behind() {
    let redis = OwnRedis::start().await;
    let cluster = Cluster::start_on(&redis, 2, &[("redis.room_idle_seconds", "2")]).await;
    let rounds = timeout(PATIENCE, costs_nothing(&cluster, &redis));
    rounds.await.expect("no round without growth: a gateway keeps rooms that are gone");
    let empty = async {
        while keys(&redis).await > PARTITION_KEYS_MAX {
            sleep(Duration::from_millis(500)).await;
        }
    };
    if timeout(PATIENCE, empty).await.is_err() {
        panic!("{} keys are left:\n{}", keys(&redis).await, ask(&redis, "SCAN 0 COUNT 20").await);
    }
}
