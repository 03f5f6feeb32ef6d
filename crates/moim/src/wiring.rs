//! From a configuration to a running node: store, bus, gateway or writer, banner, signals, drain.
//! Not here: the parts themselves (their crates), reading the configuration (`config`).

use std::{future::Future, net::SocketAddr, sync::Arc, thread::available_parallelism, time::SystemTime};

use futures_util::future::{self, BoxFuture, FutureExt};
use moim_bus::{Bus, InProcessBus, InProcessConfig, Logs, Numbering, RelaySink};
use moim_bus_redis::{AckPolicy, RedisBus, RedisBusConfig};
use moim_gateway::{Gateway, Parts, StartFault, StoreSeeds, WriterNode, WriterParts};
use moim_protocol::{Epoch, NodeId, Timestamp};
use moim_store::{MemoryStore, MessageStore, NoStore};
use moim_store_cassandra::{CassandraStore, StoreMetrics};
use moim_store_fjall::EmbeddedStore;
use moim_telemetry::{MetricError, Registry};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use crate::{
    banner::Banner,
    config::{AckSetting, BusKind, Config, LogFormat, StoreKind},
    say,
    start_error::{Listener, StartError},
};

/// The one partition of a node that is alone.
const PARTITION: u32 = 0;

/// Serves people until it is told to stop, or its store breaks.
pub(crate) async fn serve(config: Config) -> Result<(), StartError> {
    let registry = registry()?;
    let store = store_of(&config, &registry)?;
    let (sink, relayed) = RelaySink::new(available_parallelism().map_or(1, usize::from));
    let bus = bus_of(&config, &store, sink.clone(), (config.writer.enabled, &registry)).await?;
    let parts = Parts {
        bus: bus.bus,
        logs: bus.logs,
        driver: future::join(bus.driver, store.driver).map(drop).boxed(),
        store: store.store,
        relay: (sink, relayed),
        registry,
    };
    let mut gateway = Gateway::start(config.gateway(), parts).await?;
    let banner = Banner::of(&config, gateway.public(), gateway.ops());
    greet(&config, &banner.render(), Some(gateway.public()), gateway.ops());
    let why = stopped_or(gateway.broken()).await?;
    judge(why, gateway.drain().await)
}

/// Drains logs until it is told to stop, or its store breaks.
pub(crate) async fn drain(config: Config) -> Result<(), StartError> {
    let registry = registry()?;
    let store = store_of(&config, &registry)?;
    // Nobody is in a room here: nothing is subscribed, nothing comes.
    let (sink, relayed) = RelaySink::new(1);
    let bus = bus_of(&config, &store, sink, (true, &registry)).await?;
    let parts = WriterParts {
        bus: bus.bus,
        logs: bus.logs,
        driver: future::join(bus.driver, store.driver).map(drop).boxed(),
        store: store.store,
        registry,
    };
    let mut writer = WriterNode::start(config.gateway(), parts).await?;
    let banner = Banner::of(&config, config.listen.public, writer.ops());
    greet(&config, &banner.render_writer(), None, writer.ops());
    let why = stopped_or(writer.broken()).await?;
    let result = judge(why, writer.drain().await);
    drop(relayed);
    result
}

/// Whoever collects JSON gets what is on stdout among it: there it is a line like the others.
fn greet(config: &Config, text: &str, public: Option<SocketAddr>, ops: SocketAddr) {
    match config.log.format {
        LogFormat::Text => {
            say(text);
        }
        LogFormat::Json => {
            let public = public.map(tracing::field::display);
            tracing::info!(version = env!("CARGO_PKG_VERSION"), public, %ops, "listening");
        }
    }
}

/// Makes the tables.
pub(crate) async fn migrate(config: Config) -> Result<(), StartError> {
    let report = moim_store_cassandra::migrate(&config.cassandra).await?;
    say(&format!("{report}\n"));
    Ok(())
}

/// Waits for the signal to stop; `Some`: why it must stop before.
async fn stopped_or(broken: impl Future<Output = String>) -> Result<Option<String>, StartError> {
    tokio::select! {
        stopped = stop_signal() => stopped.map(|()| None).map_err(StartError::Runtime),
        why = broken => Ok(Some(why)),
    }
}

fn judge(broken: Option<String>, clean: bool) -> Result<(), StartError> {
    match broken {
        Some(problem) => Err(StartError::Failed { what: "the store", problem }),
        None if clean => Ok(()),
        None => Err(StartError::Failed {
            what: "the stop",
            problem: "not everything was closed within drain.grace_seconds; what was acknowledged is safe"
                .into(),
        }),
    }
}

fn registry() -> Result<Registry, StartError> {
    Registry::new(env!("CARGO_PKG_VERSION")).map_err(StartError::from)
}

/// A store and what it does beside its callers.
struct Store {
    store: Arc<dyn MessageStore>,
    driver: BoxFuture<'static, ()>,
}

fn store_of(config: &Config, registry: &Registry) -> Result<Store, StartError> {
    let idle = || future::ready(()).boxed();
    Ok(match config.store.kind {
        StoreKind::Embedded => {
            Store { store: Arc::new(EmbeddedStore::open(config.embedded.clone())?), driver: idle() }
        }
        StoreKind::Memory => {
            Store { store: Arc::new(MemoryStore::new(config.memory.store())), driver: idle() }
        }
        StoreKind::Cassandra => {
            let metrics = StoreMetrics::register(registry)?;
            let (store, driver) = CassandraStore::new(config.cassandra.clone(), metrics);
            Store { store, driver: driver.run().boxed() }
        }
        StoreKind::None => Store { store: Arc::new(NoStore), driver: idle() },
    })
}

/// A bus as a node is made with it.
struct WiredBus {
    bus: Arc<dyn Bus>,
    logs: Logs,
    driver: BoxFuture<'static, ()>,
}

/// The bus of the configuration. `drains`: whether this node takes logs to drain.
async fn bus_of(
    config: &Config,
    store: &Store,
    sink: RelaySink,
    (drains, registry): (bool, &Registry),
) -> Result<WiredBus, StartError> {
    let node = config.node.id().unwrap_or_else(|| NodeId(random()));
    match config.bus.kind {
        BusKind::InProcess => in_process(config, node, &store.store, sink).await,
        BusKind::Redis => over_redis(config, node, &store.store, sink, (drains, registry)),
    }
}

fn over_redis(
    config: &Config,
    node: NodeId,
    store: &Arc<dyn MessageStore>,
    sink: RelaySink,
    (drains, registry): (bool, &Registry),
) -> Result<WiredBus, StartError> {
    let config = RedisBusConfig {
        redis: config.redis.clone(),
        node,
        ack: match config.ack.level {
            AckSetting::Auto => AckPolicy::Auto,
            AckSetting::Wal => AckPolicy::Wal,
            AckSetting::Stored => AckPolicy::Stored,
        },
        has_store: config.store.kind != StoreKind::None,
        drains,
    };
    let (bus, driver, logs) = RedisBus::new(config, sink, StoreSeeds::new(store.clone()), registry)
        .map_err(|error| StartError::Failed { what: "the bus", problem: error.to_string() })?;
    Ok(WiredBus { bus, logs, driver: driver.run().boxed() })
}

async fn in_process(
    config: &Config,
    node: NodeId,
    store: &Arc<dyn MessageStore>,
    sink: RelaySink,
) -> Result<WiredBus, StartError> {
    let numbering = match config.store.kind {
        // Of the others, which `Config` refuses with this bus, nothing is known to be lost.
        StoreKind::Embedded | StoreKind::Cassandra => Numbering::Kept(epoch_of(&**store).await?),
        StoreKind::Memory | StoreKind::None => Numbering::Volatile,
    };
    let seeds = StoreSeeds::new(store.clone());
    let (bus, driver) = InProcessBus::new(InProcessConfig::new(node, numbering), sink, seeds);
    let (hand_over, logs) = mpsc::channel(1);
    // One log in a queue of one: it is there before anybody reads.
    let handed_over = hand_over.try_send(bus.clone() as Arc<dyn moim_bus::WriteAhead>);
    handed_over.map_err(|error| StartError::Failed { what: "the log", problem: error.to_string() })?;
    Ok(WiredBus { bus, logs, driver: driver.run().boxed() })
}

/// The epoch of a store that forgets nothing: made once, kept with it.
async fn epoch_of(store: &dyn MessageStore) -> Result<Epoch, StartError> {
    let failed =
        |error: moim_store::StoreError| StartError::Failed { what: "the store", problem: error.to_string() };
    if let Some(epoch) = store.generation(PARTITION).await.map_err(failed)? {
        return Ok(epoch);
    }
    let epoch = Epoch::trusted(format!("{:016x}", random()));
    store.set_generation(PARTITION, epoch.clone()).await.map_err(failed)?;
    Ok(epoch)
}

/// Random, or on a system without randomness the time: it must only differ from one boot to the next.
fn random() -> u64 {
    getrandom::u64().unwrap_or_else(|_| Timestamp::from_system(SystemTime::now()).micros)
}

async fn stop_signal() -> std::io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("asked to stop");
    Ok(())
}

impl From<StartFault> for StartError {
    fn from(fault: StartFault) -> Self {
        match fault {
            StartFault::Public(address, error) => Self::bind(Listener::Public, address, error),
            StartFault::Ops(address, error) => Self::bind(Listener::Ops, address, error),
            StartFault::Metrics(error) => error.into(),
        }
    }
}

impl From<MetricError> for StartError {
    fn from(error: MetricError) -> Self {
        Self::Failed { what: "the metric registry", problem: error.to_string() }
    }
}
