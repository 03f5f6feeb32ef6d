//! A gateway from its parts: listeners bound, tasks running, and the way it stops.
//! Not here: which bus and store (`moim`), signals and the banner (`moim`).

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use futures_util::future::BoxFuture;
use moim_bus::{Bus, Logs, RelaySink, Relayed};
use moim_core::RoomLimits;
use moim_store::MessageStore;
use moim_telemetry::{MetricError, Registry};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    time::{sleep, timeout},
};

use crate::{
    accept::{Acceptor, Capacity},
    address::Addresses,
    budget::{Budget, LARGE_ANSWERS_BYTES_MAX},
    config::GatewayConfig,
    cut_off,
    drain::{self, DrainPhase},
    http::{Ops, public_router},
    hub::Hub,
    listeners::{self, handler, listen},
    metrics::Metrics,
    pages::Pages,
    publisher::Publisher,
    room_worker::RoomWorker,
    shared::{Connections, Shared},
    spawn::Spawner,
    writer::{self, Flush, Writer, WriterMetrics},
};

/// What a gateway is made of.
pub struct Parts {
    /// The log of every room.
    pub bus: Arc<dyn Bus>,
    /// The logs that this node drains into the store. A channel that has ended: others drain them.
    pub logs: Logs,
    /// What the bus does beside its callers.
    pub driver: BoxFuture<'static, ()>,
    /// Where messages stay.
    pub store: Arc<dyn MessageStore>,
    /// Where the bus relays to, and the other ends.
    pub relay: (RelaySink, Vec<mpsc::Receiver<Relayed>>),
    /// Where it counts.
    pub registry: Registry,
}

/// Why a gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartFault {
    /// The public address cannot be listened on.
    #[error("listen.public = {0}: {1}")]
    Public(SocketAddr, #[source] io::Error),
    /// The operators' address cannot be listened on.
    #[error("listen.ops = {0}: {1}")]
    Ops(SocketAddr, #[source] io::Error),
    /// A metric cannot be registered.
    #[error(transparent)]
    Metrics(#[from] MetricError),
}

/// A running gateway.
pub struct Gateway {
    shared: Arc<Shared>,
    phase: watch::Sender<DrainPhase>,
    stop_accepting: watch::Sender<bool>,
    broken: watch::Receiver<Option<String>>,
    flush: Flush,
    public: SocketAddr,
    ops: SocketAddr,
}

impl Gateway {
    /// Binds both listeners and starts every task.
    ///
    /// # Errors
    /// When a listener cannot be bound, before anything is started.
    ///
    /// # Cancel safety
    /// Call it once and keep the future: dropping it half way may leave listeners bound until the runtime stops.
    pub async fn start(config: GatewayConfig, parts: Parts) -> Result<Self, StartFault> {
        let public =
            listen(config.listen.public).map_err(|error| StartFault::Public(config.listen.public, error))?;
        let ops = listen(config.listen.ops).map_err(|error| StartFault::Ops(config.listen.ops, error))?;
        let bound = (
            public.local_addr().map_err(|error| StartFault::Public(config.listen.public, error))?,
            ops.local_addr().map_err(|error| StartFault::Ops(config.listen.ops, error))?,
        );
        let metrics = Arc::new(Metrics::register(&parts.registry)?);
        let (phase, phases) = watch::channel(DrainPhase::Serving);
        let (spawner, writer) = (Spawner::default(), Spawner::default());
        let (broken_sender, broken) = watch::channel(None);
        spawner.spawn(parts.driver);
        let stop_accepting = watch::channel(false).0;
        let drain_logs = Writer {
            store: parts.store.clone(),
            metrics: Arc::new(WriterMetrics::register(&parts.registry)?),
            spawner: writer.clone(),
            broken: broken_sender,
        };
        writer.spawn(drain_logs.run(parts.logs, stop_accepting.subscribe()));
        let flush = Flush { bus: parts.bus.clone(), store: parts.store.clone(), writer };
        let limits = &config.limits;
        let room_limits = RoomLimits {
            resume_messages_max: limits.resume_messages_max,
            // Half: live messages that come during the replay must fit too.
            resume_bytes_max: limits.outbox_bytes_max / 2,
        };
        let pages = Pages::new(parts.bus.clone(), parts.store, metrics.clone(), spawner.clone(), room_limits);
        let (sink, relayed) = parts.relay;
        let (hub, commands) = Hub::new(sink, relayed.len());
        for (relayed, commands) in relayed.into_iter().zip(commands) {
            let (bus, pages, metrics) = (parts.bus.clone(), pages.clone(), metrics.clone());
            spawner.spawn(RoomWorker { bus, pages, metrics, limits: room_limits, relayed, commands }.run());
        }
        let shared = Arc::new(Shared {
            publisher: Publisher::new(parts.bus.clone(), metrics.clone()),
            bus: parts.bus,
            hub,
            pages,
            metrics,
            registry: parts.registry,
            capacity: Capacity::new(limits.connections_max),
            addresses: Addresses::new(
                config.listen.trusted_proxies.clone(),
                limits.connections_per_address_max,
            ),
            phase: phases,
            is_cut_off: AtomicBool::new(false),
            spawner,
            connections: Connections::default(),
            large_answers: Budget::new(LARGE_ANSWERS_BYTES_MAX),
            config,
        });
        shared.spawner.spawn(cut_off::watch(shared.clone()));
        accept(&shared, public, ops, &stop_accepting);
        let (public, ops) = bound;
        Ok(Self { shared, phase, stop_accepting, broken, flush, public, ops })
    }

    /// Where people connect, as bound.
    #[must_use]
    pub fn public(&self) -> SocketAddr {
        self.public
    }

    /// Where operators look, as bound.
    #[must_use]
    pub fn ops(&self) -> SocketAddr {
        self.ops
    }

    /// Answers only when the store is broken for good, with why: then the process must stop, for nothing can be kept.
    ///
    /// # Cancel safety
    /// Safe: it only waits.
    pub async fn broken(&mut self) -> String {
        writer::why_broken(&mut self.broken).await
    }

    /// Stops: unready, sockets closed in batches with a hint when to come back, the log stored, the store closed; within
    /// `drain.grace_seconds`. Answers whether all of it was done in time.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the stop where it is; what was acknowledged is safe at every point.
    pub async fn drain(self) -> bool {
        let grace = Duration::from_secs(self.shared.config.drain.grace_seconds);
        let Self { shared, phase, stop_accepting, flush, .. } = self;
        let enter = |next| drain::enter(&phase, &shared.metrics.drain_phase, next);
        let done = timeout(grace, async {
            enter(DrainPhase::Unready);
            sleep(Duration::from_secs(shared.config.drain.unready_seconds)).await;
            enter(DrainPhase::ClosingInBatches);
            drain::close_all(&shared).await;
            enter(DrainPhase::FlushingWriter);
            flush.run(&stop_accepting).await
        });
        let done = done.await;
        if done.is_err() {
            tracing::warn!(?grace, "not everything was closed within drain.grace_seconds");
        }
        enter(DrainPhase::Stopped);
        done.unwrap_or(false)
    }
}

fn accept(shared: &Arc<Shared>, public: TcpListener, ops: TcpListener, stop: &watch::Sender<bool>) {
    let limits = &shared.config.limits;
    let people = Acceptor {
        listener: public,
        capacity: shared.capacity.clone(),
        addresses: shared.addresses.clone(),
        sends_per_second: limits.messages_per_second,
        stalled_after: limits.stalled_reader_after(),
        spawner: shared.spawner.clone(),
    };
    shared.spawner.spawn(people.serve(handler(public_router(shared.clone())), stop.subscribe()));
    let phase = shared.phase.clone();
    let asked = Ops { bus: shared.bus.clone(), phase, registry: shared.registry.clone() };
    listeners::serve_operators(ops, asked, &shared.config, &shared.spawner, stop);
}
