//! A gateway from its parts: listeners bound, tasks running, and the way it stops.
//! Not here: which bus and store (`moim`), signals and the banner (`moim`).

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{body::Body, extract::Request, response::Response};
use futures_util::future::BoxFuture;
use hyper::body::Incoming;
use moim_bus::{Bus, RelaySink, Relayed, WriteAhead};
use moim_core::RoomLimits;
use moim_store::MessageStore;
use moim_telemetry::{MetricError, Registry};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::{mpsc, watch},
    time::{sleep, timeout},
};
use tower_service::Service;

use crate::{
    accept::{Acceptor, Capacity, Peer},
    address::Addresses,
    budget::{Budget, LARGE_ANSWERS_BYTES_MAX},
    config::GatewayConfig,
    drain::{self, DrainPhase},
    http::{ops_router, public_router},
    hub::Hub,
    metrics::Metrics,
    pages::Pages,
    publisher::Publisher,
    room_worker::RoomWorker,
    shared::{Connections, Shared},
    spawn::Spawner,
    writer::Writer,
};

/// Connections waiting to be accepted: a thousand people may come back in one second.
const BACKLOG: u32 = 4096;
/// Connections to the operators' listener.
const OPS_CONNECTIONS_MAX: usize = 64;
/// Sends a second over one connection to the operators' listener, which has none.
const OPS_SENDS_PER_SECOND: u32 = 1;

/// What a gateway is made of.
pub struct Parts {
    /// The log of every room.
    pub bus: Arc<dyn Bus>,
    /// The same log as the writer sees it.
    pub log: Arc<dyn WriteAhead>,
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
    /// The writer, which must be the last to go.
    writer: Spawner,
    store: Arc<dyn MessageStore>,
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
        let drain_log = Writer { log: parts.log, store: parts.store.clone(), metrics: metrics.clone() };
        writer.spawn(async move {
            if let Err(error) = drain_log.run().await {
                broken_sender.send_replace(Some(error.to_string()));
            }
        });
        let limits = &config.limits;
        let room_limits = RoomLimits {
            resume_messages_max: limits.resume_messages_max,
            // Half: live messages that come during the replay must fit too.
            resume_bytes_max: limits.outbox_bytes_max / 2,
        };
        let pages = Pages::new(parts.bus.clone(), parts.store.clone(), metrics.clone(), room_limits);
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
            spawner,
            connections: Connections::default(),
            large_answers: Budget::new(LARGE_ANSWERS_BYTES_MAX),
            config,
        });
        let stop_accepting = watch::channel(false).0;
        accept(&shared, public, ops, &stop_accepting);
        let (public, ops) = bound;
        Ok(Self { shared, phase, stop_accepting, broken, writer, store: parts.store, public, ops })
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
        match self.broken.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or_default(),
            // The writer ended in peace: nothing is broken.
            Err(_) => std::future::pending().await,
        }
    }

    /// Stops: unready, sockets closed in batches with a hint when to come back, the log stored, the store closed; within
    /// `drain.grace_seconds`. Answers whether all of it was done in time.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the stop where it is; what was acknowledged is safe at every point.
    pub async fn drain(self) -> bool {
        let grace = Duration::from_secs(self.shared.config.drain.grace_seconds);
        let done = timeout(grace, self.drain_in_phases()).await;
        if done.is_err() {
            tracing::warn!(?grace, "not everything was closed within drain.grace_seconds");
        }
        drain::enter(&self.phase, &self.shared, DrainPhase::Stopped);
        done.unwrap_or(false)
    }

    async fn drain_in_phases(&self) -> bool {
        drain::enter(&self.phase, &self.shared, DrainPhase::Unready);
        sleep(Duration::from_secs(self.shared.config.drain.unready_seconds)).await;
        drain::enter(&self.phase, &self.shared, DrainPhase::ClosingInBatches);
        drain::close_all(&self.shared).await;
        drain::enter(&self.phase, &self.shared, DrainPhase::FlushingWriter);
        self.stop_accepting.send_replace(true);
        self.shared.bus.close();
        self.writer.finished(Duration::MAX).await;
        match self.store.close().await {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(%error, "the store did not close cleanly");
                false
            }
        }
    }
}

/// A listener that may be bound again at once after a restart.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn accept(shared: &Arc<Shared>, public: TcpListener, ops: TcpListener, stop: &watch::Sender<bool>) {
    let limits = &shared.config.limits;
    let acceptor = |listener, capacity, sends_per_second| Acceptor {
        listener,
        capacity,
        addresses: shared.addresses.clone(),
        sends_per_second,
        stalled_after: limits.stalled_reader_after(),
        spawner: shared.spawner.clone(),
    };
    let people = acceptor(public, shared.capacity.clone(), limits.messages_per_second);
    let operators = acceptor(ops, Capacity::new(OPS_CONNECTIONS_MAX), OPS_SENDS_PER_SECOND);
    shared.spawner.spawn(people.serve(handler(public_router(shared.clone())), stop.subscribe()));
    shared.spawner.spawn(operators.serve(handler(ops_router(shared.clone())), stop.subscribe()));
}

/// A router as the accept loop calls it.
fn handler(
    router: axum::Router,
) -> impl Fn(hyper::Request<Incoming>, Peer) -> BoxFuture<'static, Response> + Clone + Send + Sync + 'static {
    move |request, peer| {
        let mut router = router.clone();
        let mut request: Request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        Box::pin(async move {
            match router.call(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        })
    }
}
