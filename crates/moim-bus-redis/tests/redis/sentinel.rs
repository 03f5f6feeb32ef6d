//! The master of three sentinels dies.
//! Not here: sentinels that speak TLS (`tls`).

use std::path::Path;

use moim_bus::conformance::{Rows, room};
use moim_bus_redis::{RedisBusConfig, Topology};

use super::{
    own::{OwnRedis, until},
    peer::{Peer, Speaker, epochs, nothing_is_lost, nth_config},
    unused,
};

/// What they call the master.
pub(crate) const MASTER: &str = "chat";

/// One of them; two must agree.
async fn sentinel(folder: &Path, master: u16) -> OwnRedis {
    OwnRedis::run(|port| {
        let file = folder.join(format!("{port}.conf"));
        let text = format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor {MASTER} 127.0.0.1 {master} 2\n\
             sentinel down-after-milliseconds {MASTER} 1500\nsentinel failover-timeout {MASTER} 3000\n"
        );
        std::fs::write(&file, text).expect("its file");
        vec![file.display().to_string(), "--sentinel".into()]
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_go_on_under_another_master() {
    let (rows, room, folder) = (Rows::new(), room("sentinel"), tempfile::tempdir().expect("a folder"));
    let mut master = OwnRedis::start().await;
    let replica = master.replica().await;
    let mut sentinels = Vec::new();
    for _ in 0..3 {
        sentinels.push(sentinel(folder.path(), master.port()).await);
    }
    for sentinel in &sentinels {
        until("the sentinels know one another and the replica", async || {
            let quorum = sentinel.try_ask::<String>(&format!("SENTINEL CKQUORUM {MASTER}")).await;
            let replicas: Vec<redis::Value> = sentinel.ask(&format!("SENTINEL REPLICAS {MASTER}")).await;
            quorum.is_ok_and(|said| said.starts_with("OK 3")) && !replicas.is_empty()
        })
        .await;
    }
    let urls: Vec<_> = sentinels.iter().map(OwnRedis::url).collect();
    let prefix = format!("s{:x}", unused());
    let mut peers = Vec::new();
    for nth in 0..2 {
        let config = nth_config(&urls, Topology::Sentinel, &prefix, nth);
        let redis = moim_bus_redis::RedisConfig { sentinel_master: MASTER.into(), ..config.redis };
        peers.push(Peer::start(&rows, RedisBusConfig { redis, ..config }).await);
        peers[nth].join(&room).await;
    }
    let speakers = [Speaker::start(&peers[0], &room, "a"), Speaker::start(&peers[1], &room, "b")];
    speakers[0].goes_on(20).await;
    rows.set_stuck(true);
    speakers[0].goes_on(20).await;
    master.kill().await;
    let mut said = Vec::new();
    for speaker in speakers {
        speaker.goes_on(20).await;
        said.extend(speaker.stop().await);
    }
    assert_eq!(replica.info("replication", "role").await, "master");
    let stored = nothing_is_lost(&rows, &peers, &room, &said).await;
    assert_eq!(epochs(&stored), 2);
}
