//! What stands in a partition's log, and what a holder that cannot read it all does with it.
//! Not here: two holders, a full Redis (`pressure`).

use std::time::Duration;

use moim_bus::conformance::{Rows, draft, room};
use moim_bus_redis::{RedisBusConfig, RedisConfig, Topology};
use tokio::time::timeout;

use super::{node, own::OwnRedis, peer::nth_config, unused};

/// As an old holder meets it in a rolling upgrade: to a newer one it is an acknowledged message.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_cannot_be_read_stays_with_all_that_follows() {
    let (rows, redis, room, prefix) =
        (Rows::new(), OwnRedis::start().await, room("odd"), format!("o{:x}", unused()));
    let config = nth_config(&[redis.url()], Topology::Single, &prefix, 0);
    let config = RedisBusConfig { redis: RedisConfig { partitions: 1, ..config.redis }, ..config };
    let node = node(rows.clone(), config).await;
    let running = tokio::spawn(node.driver);
    node.bus.publish(draft(&room, "one")).await.expect("publish");
    let newest: u64 = redis.ask(&format!("HGET {{{prefix}:0}}:gen lid")).await;
    let log = format!("{{{prefix}:0}}:log");
    let odd = format!("XADD {log} {}-0 r {{{prefix}:0}}:h:{room} m of-a-newer-kind", newest + 1);
    let _: String = redis.ask(&odd).await;
    node.bus.publish(draft(&room, "two")).await.expect("publish");
    let batch = node.logs[0].read(64, usize::MAX).await.expect("what is before it");
    assert_eq!(batch.iter().map(|row| &*row.content).collect::<Vec<_>>(), ["one"]);
    rows.append(&batch).await;
    node.logs[0].commit(&batch, &[]).await.expect("commit");
    assert_eq!(redis.ask::<u64>(&format!("XLEN {log}")).await, 2);
    let more = timeout(Duration::from_secs(2), node.logs[0].read(64, usize::MAX)).await;
    assert!(more.is_err(), "what follows would be committed, and the odd one with it: {more:?}");
    running.abort();
}
