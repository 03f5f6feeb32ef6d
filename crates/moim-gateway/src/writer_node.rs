//! A node that only drains logs into the store: no public listener, nobody is in its rooms.
//! Not here: a node that serves people (`gateway`), how a log is drained (`writer`).

use std::{net::SocketAddr, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use moim_bus::{Bus, Logs};
use moim_store::MessageStore;
use moim_telemetry::{IntGauge, Registry};
use tokio::{sync::watch, time::timeout};

use crate::{
    config::GatewayConfig,
    drain::{self, DrainPhase},
    gateway::StartFault,
    http::Ops,
    listeners::{self, listen},
    metrics::drain_phase,
    spawn::Spawner,
    writer::{self, Flush, Writer, WriterMetrics},
};

/// What a writer node is made of.
pub struct WriterParts {
    /// The bus: its health is the node's readiness.
    pub bus: Arc<dyn Bus>,
    /// The logs that this node drains.
    pub logs: Logs,
    /// What the bus does beside its callers.
    pub driver: BoxFuture<'static, ()>,
    /// Where messages stay.
    pub store: Arc<dyn MessageStore>,
    /// Where it counts.
    pub registry: Registry,
}

/// A running writer node.
pub struct WriterNode {
    phase: watch::Sender<DrainPhase>,
    drain_phase: IntGauge,
    stop: watch::Sender<bool>,
    broken: watch::Receiver<Option<String>>,
    flush: Flush,
    grace: Duration,
    ops: SocketAddr,
}

impl WriterNode {
    /// Binds the operators' listener and starts every task.
    ///
    /// # Errors
    /// When the listener cannot be bound, before anything is started.
    ///
    /// # Cancel safety
    /// Call it once and keep the future: dropping it half way may leave the listener bound until the runtime stops.
    pub async fn start(config: GatewayConfig, parts: WriterParts) -> Result<Self, StartFault> {
        let fault = |error| StartFault::Ops(config.listen.ops, error);
        let listener = listen(config.listen.ops).map_err(fault)?;
        let ops = listener.local_addr().map_err(fault)?;
        let metrics = Arc::new(WriterMetrics::register(&parts.registry)?);
        let drain_phase = drain_phase(&parts.registry)?;
        let (phase, phases) = watch::channel(DrainPhase::Serving);
        let (stop, stopping) = watch::channel(false);
        let (broken_sender, broken) = watch::channel(None);
        let (spawner, writer) = (Spawner::default(), Spawner::default());
        spawner.spawn(parts.driver);
        let store = parts.store.clone();
        let drain_logs = Writer { store, metrics, spawner: writer.clone(), broken: broken_sender };
        writer.spawn(drain_logs.run(parts.logs, stopping));
        let asked = Ops { bus: parts.bus.clone(), phase: phases, registry: parts.registry };
        listeners::serve_operators(listener, asked, &config, &spawner, &stop);
        let flush = Flush { bus: parts.bus, store: parts.store, writer };
        let grace = Duration::from_secs(config.drain.grace_seconds);
        Ok(Self { phase, drain_phase, stop, broken, flush, grace, ops })
    }

    /// Where operators look, as bound.
    #[must_use]
    pub fn ops(&self) -> SocketAddr {
        self.ops
    }

    /// Answers only when the store is broken for good, with why: then the process must stop.
    ///
    /// # Cancel safety
    /// Safe: it only waits.
    pub async fn broken(&mut self) -> String {
        writer::why_broken(&mut self.broken).await
    }

    /// Stops: unready, what it has taken is stored, within `drain.grace_seconds`. Answers whether all of it was done in
    /// time; what was not is drained by another node.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the stop where it is; logs keep what is not stored.
    pub async fn drain(self) -> bool {
        let Self { phase, drain_phase, stop, flush, grace, .. } = self;
        drain::enter(&phase, &drain_phase, DrainPhase::Unready);
        drain::enter(&phase, &drain_phase, DrainPhase::FlushingWriter);
        let done = timeout(grace, flush.run(&stop)).await;
        if done.is_err() {
            tracing::warn!(
                ?grace,
                "not everything was stored within drain.grace_seconds; another node goes on"
            );
        }
        drain::enter(&phase, &drain_phase, DrainPhase::Stopped);
        done.unwrap_or(false)
    }
}
