//! The bus over real Redis: the suite every bus must pass, over one, several and a cluster; several nodes; lost data.
//! Not here: the cases of the suite (`moim-bus`), faults under load with real gateways (the drill).

mod acl;
mod buried;
mod cold;
mod deaf;
mod emptied;
mod failover;
mod late;
mod late_redis;
mod log;
mod many_cold;
mod moved_slot;
mod nodes;
mod outage;
mod own;
mod peer;
mod presence;
mod pressure;
mod proxy;
mod scripts;
mod sentinel;
mod servers;
mod tls;
mod uncertain;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use moim_bus::{
    RelaySink, WriteAhead,
    conformance::{Rows, Subject},
};
use moim_bus_redis::{AckPolicy, RedisBus, RedisBusConfig, RedisConfig, Topology};
use moim_protocol::NodeId;
use moim_telemetry::Registry;
use servers::servers;

/// Few, so that a case need not wait for hundreds of leases.
const PARTITIONS: u32 = 4;

/// A number that no other node or case has, in this run or in another on the same servers.
fn unused() -> u64 {
    static CALLS: AtomicU64 = AtomicU64::new(1);
    let nanos =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_nanos();
    (nanos as u64).wrapping_mul(31).wrapping_add(CALLS.fetch_add(1, Ordering::Relaxed))
}

fn config(urls: Vec<String>, topology: Topology, key_prefix: &str) -> RedisBusConfig {
    let key_prefix = key_prefix.to_owned();
    let redis = RedisConfig { urls, topology, key_prefix, partitions: PARTITIONS, ..RedisConfig::default() };
    RedisBusConfig { redis, node: NodeId(unused()), ack: AckPolicy::Wal, has_store: true, drains: true }
}

/// A node, ready, with all the logs it can have.
async fn node(rows: Arc<Rows>, config: RedisBusConfig) -> Subject {
    let (sink, relayed) = RelaySink::new(3);
    let (partitions, drains) = (config.redis.partitions, config.drains && config.has_store);
    let registry = Registry::new("0").expect("a registry");
    let (bus, driver, mut logs) = RedisBus::new(config, sink, rows, &registry).expect("a bus");
    let running = tokio::spawn(driver.run());
    let mut held: Vec<Arc<dyn WriteAhead>> = Vec::new();
    while drains && held.len() < partitions as usize {
        held.push(logs.recv().await.expect("a log"));
    }
    // Dropping the subject must end the node where it is.
    let ends = Ends(running.abort_handle());
    let driver = async move {
        let _ends = ends;
        drop(running.await);
    };
    Subject { bus, logs: held, relayed, driver: Box::pin(driver), keep: Box::new(logs) }
}

struct Ends(tokio::task::AbortHandle);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.abort();
    }
}

macro_rules! suite {
    ($name:ident, $variable:literal, $topology:expr) => {
        mod $name {
            moim_bus::bus_suite!({
                let prefix = format!("t{:x}", super::unused());
                async move |rows| {
                    let config = super::config(super::servers($variable), $topology, &prefix);
                    super::node(rows, config).await
                }
            });
        }
    };
}

suite!(suite_single, "MOIM_TEST_REDIS", moim_bus_redis::Topology::Single);
suite!(suite_several, "MOIM_TEST_REDIS_SEVERAL", moim_bus_redis::Topology::Several);
suite!(suite_cluster, "MOIM_TEST_REDIS_CLUSTER", moim_bus_redis::Topology::Cluster);
