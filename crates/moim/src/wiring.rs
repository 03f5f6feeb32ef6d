//! From a configuration to a running node: store, bus, gateway, banner, signals, drain.
//! Not here: the parts themselves (their crates), reading the configuration (`config`).

use std::{sync::Arc, thread::available_parallelism, time::SystemTime};

use moim_bus::{InProcessBus, InProcessConfig, Numbering, RelaySink};
use moim_gateway::{Gateway, Parts, StartFault, StoreSeeds};
use moim_protocol::{Epoch, NodeId, Timestamp};
use moim_store::{MemoryStore, MessageStore};
use moim_store_fjall::EmbeddedStore;
use moim_telemetry::Registry;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    banner::Banner,
    config::{Config, StoreKind},
    say,
    start_error::{Listener, StartError},
};

/// The one partition of a node that is alone.
const PARTITION: u32 = 0;

/// Runs a node until it is told to stop, or its store breaks.
pub(crate) async fn run(config: Config) -> Result<(), StartError> {
    let parts = parts(&config).await?;
    let mut gateway = Gateway::start(config.gateway(), parts).await.map_err(StartError::from)?;
    say(&Banner::of(&config, gateway.public(), gateway.ops()).render());
    let broken = tokio::select! {
        stopped = stop_signal() => stopped.map(|()| None).map_err(StartError::Runtime)?,
        why = gateway.broken() => Some(why),
    };
    let clean = gateway.drain().await;
    match broken {
        Some(problem) => Err(StartError::Failed { what: "the store", problem }),
        None if clean => Ok(()),
        None => Err(StartError::Failed {
            what: "the stop",
            problem: "not everything was closed within drain.grace_seconds; what was acknowledged is stored"
                .into(),
        }),
    }
}

async fn parts(config: &Config) -> Result<Parts, StartError> {
    let node = NodeId(random());
    let (store, numbering): (Arc<dyn MessageStore>, _) = match config.store.kind {
        StoreKind::Embedded => {
            let store = Arc::new(EmbeddedStore::open(config.embedded.clone())?);
            let epoch = epoch_of(&*store).await?;
            (store, Numbering::Kept(epoch))
        }
        StoreKind::Memory => (Arc::new(MemoryStore::new(config.memory.store())), Numbering::Volatile),
    };
    let workers = available_parallelism().map_or(1, usize::from);
    let (sink, relayed) = RelaySink::new(workers);
    let (bus, driver) = InProcessBus::new(
        InProcessConfig::new(node, numbering),
        sink.clone(),
        StoreSeeds::new(store.clone()),
    );
    let registry = Registry::new(env!("CARGO_PKG_VERSION"))
        .map_err(|error| StartError::Failed { what: "the metric registry", problem: error.to_string() })?;
    Ok(Parts {
        bus: bus.clone(),
        log: bus,
        driver: Box::pin(driver.run()),
        store,
        relay: (sink, relayed),
        registry,
    })
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
            StartFault::Metrics(error) => {
                Self::Failed { what: "the metric registry", problem: error.to_string() }
            }
        }
    }
}
