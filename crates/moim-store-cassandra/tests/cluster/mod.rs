//! The cluster that the tests use: where it is, a keyspace of this run, a store with its driver running.
//! Not here: starting a cluster (`cargo xtask test`).

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::{
    ops::Deref,
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use moim_protocol::{Epoch, Message, MessageId, RoomId, Seq, Timestamp, UserName};
use moim_store::{MessageStore, PageRange, StoreError};
use moim_store_cassandra::{CassandraConfig, CassandraStore, StoreMetrics, migrate};
use moim_telemetry::Registry;
use scylla::{
    client::{session::Session, session_builder::SessionBuilder},
    policies::load_balancing::{NodeIdentifier, SingleTargetLoadBalancingPolicy},
    statement::unprepared::Statement,
};
use tokio::{sync::OnceCell, task::JoinHandle};

const PLACE: &str = "MOIM_TEST_CASSANDRA";

/// Where it is. Without one the test fails: nothing is skipped.
pub(crate) fn contact_points() -> Vec<String> {
    let place = std::env::var(PLACE).unwrap_or_default();
    assert!(
        !place.is_empty(),
        "these tests need a real Cassandra. Run `cargo xtask test --only rust`, which starts one, or set {PLACE} to the \
         host:port of its nodes, with commas between them"
    );
    place.split(',').map(|point| point.trim().to_owned()).collect()
}

/// A text that no other test of this or any other run uses.
pub(crate) fn unused(name: &str) -> String {
    static CALLS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let call = CALLS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{name}_{:x}_{:x}_{call}", now.as_micros() & 0xffff_ffff_ffff, std::process::id())
}

/// Settings for a keyspace. Longer time-outs than by default: a test machine has few cores, and everything runs at once.
pub(crate) fn config(keyspace: &str) -> CassandraConfig {
    CassandraConfig {
        contact_points: contact_points(),
        keyspace: keyspace.to_owned(),
        replication_factor: 1,
        read_timeout_millis: 10_000,
        write_timeout_millis: 10_000,
        ..CassandraConfig::default()
    }
}

/// The keyspace of this test program, made once. It stays: dropping it while another program runs would help nobody.
pub(crate) async fn keyspace() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    static MADE: OnceCell<()> = OnceCell::const_new();
    let name = NAME.get_or_init(|| unused("moim_test"));
    let make = async || {
        migrate(&config(name)).await.expect("migrate");
    };
    MADE.get_or_init(make).await;
    name
}

/// A store whose driver runs while this lives.
pub(crate) struct Running {
    pub(crate) store: Arc<CassandraStore>,
    pub(crate) registry: Registry,
    driver: JoinHandle<()>,
}

impl Deref for Running {
    type Target = CassandraStore;

    fn deref(&self) -> &CassandraStore {
        &self.store
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Running {
    /// Waits until its driver has ended by itself.
    pub(crate) async fn ended(&self) {
        for _ in 0..100 {
            if self.driver.is_finished() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the driver still runs after 5 s");
    }

    /// The value of a metric without labels.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.registry.gather_text();
        let line =
            text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).expect("a metric");
        line.parse().expect("a number")
    }

    /// Waits until it answers.
    pub(crate) async fn ready(&self) {
        let room = RoomId::trusted("nobody");
        for _ in 0..600 {
            match self.store.head(&room).await {
                Ok(_) => return,
                Err(StoreError::Unavailable(_)) => tokio::time::sleep(Duration::from_millis(100)).await,
                Err(error) => panic!("{error}"),
            }
        }
        panic!("not ready after a minute: {:?}", self.store.head(&room).await);
    }
}

/// Starts a store, and does not wait for it.
pub(crate) fn start(config: CassandraConfig) -> Running {
    let registry = Registry::new("test").expect("a registry");
    let (store, driver) = CassandraStore::new(config, StoreMetrics::register(&registry).expect("metrics"));
    Running { store, registry, driver: tokio::spawn(driver.run()) }
}

/// A store of its own for one test, in this program's keyspace, ready.
pub(crate) async fn store() -> Running {
    let running = start(config(keyspace().await));
    running.ready().await;
    running
}

/// A store in a keyspace that nobody else uses, for tests that count what the server does. A read is never sent twice.
pub(crate) async fn store_alone() -> (Running, String) {
    let keyspace = unused("moim_test_alone");
    let config = CassandraConfig { speculative_after_millis: 0, ..config(&keyspace) };
    migrate(&config).await.expect("migrate");
    let running = start(config);
    running.ready().await;
    (running, keyspace)
}

pub(crate) fn room(name: &str) -> RoomId {
    RoomId::trusted(unused(name))
}

/// A message of a room in an epoch, everything else following from its number.
pub(crate) fn row_in(room: &RoomId, epoch: &str, seq: u64, content: &str) -> Arc<Message> {
    Arc::new(Message {
        room: room.clone(),
        seq: Seq(seq),
        prev: None,
        epoch: Epoch::trusted(epoch),
        id: MessageId::trusted(format!("{room}/{seq}")),
        client_id: None,
        username: UserName::trusted("민수"),
        content: content.into(),
        time: Timestamp { micros: 1_700_000_000_000_000 + (seq & 0xffff_ffff) },
    })
}

pub(crate) fn row(room: &RoomId, seq: u64) -> Arc<Message> {
    row_in(room, &format!("e{}", seq >> 32), seq, "안녕")
}

pub(crate) async fn seqs(store: &CassandraStore, room: &RoomId, range: PageRange, limit: usize) -> Vec<u64> {
    store.page(room, range, limit).await.expect("page").iter().map(|row| row.seq.0).collect()
}

/// A session beside the store's, to look at what the server has and to disturb it.
pub(crate) async fn session() -> Session {
    SessionBuilder::new().known_nodes(contact_points()).build().await.expect("a session")
}

/// How often the server coordinated reads of single partitions, scans and writes of a table, and wrote it itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    pub(crate) reads: i64,
    pub(crate) scans: i64,
    pub(crate) writes: i64,
}

/// The sum over all nodes: each counts only what it does itself.
pub(crate) async fn counts(session: &Session, keyspace: &str, table: &str) -> Counts {
    let mut sum = Counts::default();
    for node in session.get_cluster_state().get_nodes_info() {
        let count = async |of: &str| {
            let cql =
                format!("SELECT count FROM system_views.{of} WHERE keyspace_name = ? AND table_name = ?");
            let mut statement = Statement::new(cql);
            let target = NodeIdentifier::Node(node.clone());
            statement.set_load_balancing_policy(Some(SingleTargetLoadBalancingPolicy::new(target, None)));
            let rows = session.query_unpaged(statement, (keyspace, table)).await.expect("a count");
            let rows = rows.into_rows_result().expect("rows");
            rows.maybe_first_row::<(i64,)>().expect("a count").map_or(0, |(count,)| count)
        };
        sum.reads += count("coordinator_read_latency").await;
        sum.scans += count("coordinator_scan_latency").await;
        sum.writes += count("local_write_latency").await;
    }
    sum
}
