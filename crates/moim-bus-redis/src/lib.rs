//! The bus over Redis: every room's log in Redis streams, relayed over pub/sub, drained by lease holders.
//! Not here: the promise of a bus (`moim-bus`), the store (`moim-store`), the loop that drains a log (`moim-gateway`).

mod burials;
mod config;
mod counts;
mod deliver;
mod driver;
mod event;
mod inner;
mod keys;
mod lane;
mod late;
mod line;
mod link;
mod lock;
mod log;
mod marks;
mod metrics;
mod news;
mod nodes;
mod partition;
mod presence;
mod reads;
mod recovery;
mod relay;
mod script;
mod staged;
mod store_view;
mod tail;
mod topology;

use std::sync::Arc;

use futures_util::{
    FutureExt,
    future::{self, BoxFuture},
};
use moim_bus::{Bus, BusError, BusHealth, Draft, Here, Logs, Receipt, RelaySink, Ring, SeedSource};
use moim_protocol::{AckLevel, Message, NodeId, Notice, RoomId, Seq, Typing};
use moim_telemetry::{MetricError, Registry};
use tokio::sync::oneshot;

pub use config::{RedisConfig, Topology};
pub use driver::RedisDriver;
pub use lane::{LANES_BYTES_MAX, LANES_ROWS_MAX};
pub use reads::SEEDS_MAX;
pub use topology::MapError;

use inner::Inner;
use lane::Taken;
use partition::Wanted;
use reads::Wanted as RowsWanted;

/// When a sender that says nothing about it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AckPolicy {
    /// When it is stored, or, while the store is away or slow, when it is in the log.
    #[default]
    Auto,
    /// When it is in the log.
    Wal,
    /// When it is stored.
    Stored,
}

/// How a bus over Redis starts.
#[derive(Debug, Clone)]
pub struct RedisBusConfig {
    /// Which servers, and how they are used.
    pub redis: RedisConfig,
    /// This node, random for each boot.
    pub node: NodeId,
    /// When senders are answered.
    pub ack: AckPolicy,
    /// Without a store, rooms are as deep as Redis keeps them, and no ack says `stored`.
    pub has_store: bool,
    /// Whether this node drains logs into the store.
    pub drains: bool,
}

/// Why a bus could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RedisBusError {
    /// The servers cannot be named.
    #[error(transparent)]
    Servers(#[from] MapError),
    /// A metric cannot be registered.
    #[error(transparent)]
    Metrics(#[from] MetricError),
}

/// The handle.
pub struct RedisBus {
    inner: Arc<Inner>,
}

impl RedisBus {
    /// A bus, its driver, and the logs as this node comes to drain them. Connects to nothing yet: the driver does, and
    /// goes on trying for ever.
    ///
    /// # Errors
    /// When an address, a file of certificates or a metric's name is wrong.
    pub fn new(
        config: RedisBusConfig,
        sink: RelaySink,
        source: Arc<dyn SeedSource>,
        registry: &Registry,
    ) -> Result<(Arc<Self>, RedisDriver, Logs), RedisBusError> {
        let (inner, driver, logs) = Inner::new(config, sink, source, registry)?;
        Ok((Arc::new(Self { inner }), driver, logs))
    }
}

impl Bus for RedisBus {
    fn node(&self) -> NodeId {
        self.inner.config.node
    }

    fn publish(&self, draft: Draft) -> BoxFuture<'static, Result<Receipt, BusError>> {
        let (answer, answered) = oneshot::channel();
        let policy = match self.inner.config.ack {
            AckPolicy::Auto => Wanted::Auto,
            AckPolicy::Wal => Wanted::Wal,
            AckPolicy::Stored => Wanted::Stored,
        };
        let wanted = match draft.level {
            None if !self.inner.config.has_store => Wanted::Wal,
            None => policy,
            Some(AckLevel::Wal) => Wanted::Wal,
            Some(AckLevel::Stored) => Wanted::Stored,
        };
        self.inner.take(Taken::new(draft, wanted, answer));
        let stopped = || Err(BusError::Unavailable("the bus has stopped".into()));
        answered.map(move |answer| answer.unwrap_or_else(|_| stopped())).boxed()
    }

    fn typing(&self, room: &RoomId, typing: Typing) {
        self.inner.tell_typing(room, &typing);
    }

    fn presence(&self, room: &RoomId, here: Here, notice: Option<Notice>) {
        self.inner.set_presence(room, here, notice);
    }

    fn subscribe<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<(), BusError>> {
        self.inner.subscribe(room).boxed()
    }

    fn unsubscribe(&self, room: &RoomId) {
        self.inner.unsubscribe(room);
    }

    fn ring<'a>(&'a self, room: &'a RoomId, rows_max: usize) -> BoxFuture<'a, Result<Ring, BusError>> {
        self.inner.read_ring(room, RowsWanted { rows_max, below: None }).boxed()
    }

    fn older<'a>(
        &'a self,
        room: &'a RoomId,
        below: Seq,
        rows_max: usize,
    ) -> BoxFuture<'a, Result<Vec<Arc<Message>>, BusError>> {
        let read = self.inner.read_ring(room, RowsWanted { rows_max, below: Some(below) });
        read.map(|ring| ring.map(|ring| ring.rows)).boxed()
    }

    fn who<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<Here, BusError>> {
        self.inner.who(room).boxed()
    }

    fn health(&self) -> BusHealth {
        self.inner.health()
    }

    fn close(&self) {
        self.inner.close();
    }

    fn flushed(&self) -> BoxFuture<'_, ()> {
        if !self.inner.is_closed() {
            return future::pending().boxed();
        }
        self.inner.flushed().boxed()
    }
}

impl std::fmt::Debug for RedisBus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisBus").field("node", &self.inner.config.node).finish_non_exhaustive()
    }
}
