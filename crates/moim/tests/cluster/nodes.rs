//! A cluster for one test: its own keyspace and key prefix on the shared servers, gateways as processes, the store's own view.
//! Not here: starting servers (`cargo xtask test` does, and names them in variables).

use std::{
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::future;
use moim_protocol::{Message, RoomId, Seq};
use moim_store::{MessageStore, PageRange};
use moim_store_cassandra::{CassandraConfig, CassandraStore, StoreMetrics, migrate};
use moim_telemetry::Registry;
use tempfile::TempDir;
use tokio::{net::TcpStream, time::sleep};

use crate::harness::Server;

/// Fewer than by default, so that each log has something to do.
const PARTITIONS: &str = "16";

/// Where a server of the test run is. Without one the test fails: nothing is skipped.
pub(crate) fn server(variable: &str) -> String {
    let value = std::env::var(variable).unwrap_or_default();
    assert!(
        !value.is_empty(),
        "these tests need real servers. Run `cargo xtask test --only rust`, which starts them, or \
         `cargo xtask with-servers -- cargo test …`, or set {variable}"
    );
    value
}

fn unused() -> String {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
    format!("c{now:x}_{}", CALLS.fetch_add(1, Ordering::Relaxed))
}

/// Gateways over one Redis and one Cassandra.
pub(crate) struct Cluster {
    pub(crate) gateways: Vec<Server>,
    cassandra: CassandraConfig,
}

/// Where it lives, when not where the other tests do.
pub(crate) struct Place<'a> {
    pub(crate) redis: &'a str,
    pub(crate) cassandra: &'a str,
    pub(crate) is_migrated: bool,
}

impl Cluster {
    /// On the shared servers.
    pub(crate) async fn start(gateways: usize, settings: &[(&str, &str)]) -> Self {
        let (redis, cassandra) = (server("MOIM_TEST_REDIS"), server("MOIM_TEST_CASSANDRA"));
        let place = Place { redis: &redis, cassandra: &cassandra, is_migrated: true };
        Self::start_at(&place, gateways, settings).await
    }

    /// With a Redis of its own.
    pub(crate) async fn start_on(redis: &OwnRedis, gateways: usize, settings: &[(&str, &str)]) -> Self {
        let cassandra = server("MOIM_TEST_CASSANDRA");
        let place = Place { redis: &redis.url, cassandra: &cassandra, is_migrated: true };
        Self::start_at(&place, gateways, settings).await
    }

    pub(crate) async fn start_at(place: &Place<'_>, gateways: usize, settings: &[(&str, &str)]) -> Self {
        let name = unused();
        let cassandra = CassandraConfig {
            contact_points: vec![place.cassandra.to_owned()],
            keyspace: name.clone(),
            replication_factor: 1,
            // A test machine has few cores, and everything runs at once.
            read_timeout_millis: 10_000,
            write_timeout_millis: 10_000,
            ..CassandraConfig::default()
        };
        if place.is_migrated {
            migrate(&cassandra).await.unwrap();
        }
        let common = [
            ("bus.kind", "redis"),
            ("redis.urls", place.redis),
            ("redis.key_prefix", &name),
            ("redis.partitions", PARTITIONS),
            ("store.kind", "cassandra"),
            ("cassandra.contact_points", place.cassandra),
            ("cassandra.keyspace", &name),
            ("cassandra.replication_factor", "1"),
            ("cassandra.read_timeout_millis", "10000"),
            ("cassandra.write_timeout_millis", "10000"),
            ("limits.messages_per_second", "100000"),
        ];
        let all: Vec<_> = common.into_iter().chain(settings.iter().copied()).collect();
        let gateways = future::join_all((0..gateways).map(|_| Server::start_with(&all))).await;
        Self { gateways, cassandra }
    }

    /// The tables, made now.
    pub(crate) async fn migrate(&self, contact_point: &str) {
        let cassandra =
            CassandraConfig { contact_points: vec![contact_point.to_owned()], ..self.cassandra.clone() };
        migrate(&cassandra).await.unwrap();
    }

    /// Every row of a room, as it lies in the tables, oldest first.
    pub(crate) async fn rows(&self, room: &str) -> Vec<Arc<Message>> {
        let registry = Registry::new("test").unwrap();
        let metrics = StoreMetrics::register(&registry).unwrap();
        let (store, driver) = CassandraStore::new(self.cassandra.clone(), metrics);
        let running = tokio::spawn(driver.run());
        let room = RoomId::trusted(room);
        let mut rows: Vec<Arc<Message>> = Vec::new();
        loop {
            let after = rows.last().map_or(Seq(0), |row| row.seq);
            match store.page(&room, PageRange::After(after), 100).await {
                Ok(page) if page.is_empty() => break,
                Ok(page) => rows.extend(page),
                // It is still connecting.
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
        running.abort();
        rows
    }

    /// The sum of one series over all gateways.
    pub(crate) async fn sum(&self, series: &str) -> f64 {
        future::join_all(self.gateways.iter().map(|gateway| gateway.metric(series))).await.iter().sum()
    }
}

/// A Redis of its own, which dies with the test.
pub(crate) struct OwnRedis {
    server: Child,
    _folder: TempDir,
    pub(crate) url: String,
}

impl OwnRedis {
    pub(crate) async fn start() -> Self {
        let program = server("MOIM_TEST_REDIS_SERVER");
        let folder = tempfile::tempdir().unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let server = Command::new(program)
            .args(["--port", &port.to_string(), "--save", "", "--appendonly", "no", "--bind", "127.0.0.1"])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            sleep(Duration::from_millis(10)).await;
        }
        Self { server, _folder: folder, url: format!("redis://127.0.0.1:{port}") }
    }

    /// Host and port.
    pub(crate) fn address(&self) -> &str {
        self.url.trim_start_matches("redis://")
    }
}

impl Drop for OwnRedis {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.server.kill());
        drop(self.server.wait());
    }
}
