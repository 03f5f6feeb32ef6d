//! The accept loop: who may connect at all, and HTTP with time-outs and bounds until the upgrade.
//! Not here: routes (`http`), the WebSocket handshake (`handshake`).
//!
//! Not `axum::serve`: it installs no timer, so hyper's header time-out never fires and slow handshakes hold sockets for ever.

use std::{
    convert::Infallible,
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::body::Body;
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use moim_core::RateLimit;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::sleep,
};

use crate::spawn::Spawner;

/// How long the head of a request may take, and how long a connection may idle between requests.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Header fields of a request. Over it: 431.
const HEADERS_MAX: usize = 64;
/// Bytes of a request's head. Over it: 431.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Connections over the cap that still get their 503; beyond them sockets are closed at once.
const REFUSED_MAX: usize = 256;
/// Pause after the process runs out of files: accepting in a tight loop would only burn a core.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// The cap on open connections, and its count.
#[derive(Debug)]
pub struct Capacity {
    open: AtomicUsize,
    max: usize,
}

/// One counted connection; dropping it counts it out.
#[derive(Debug)]
pub struct CapacityGuard(Arc<Capacity>);

impl Capacity {
    /// None open yet.
    #[must_use]
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { open: AtomicUsize::new(0), max })
    }

    /// Connections open now.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Counts a connection in; `None` beyond `extra` over the cap.
    fn enter(self: &Arc<Self>, extra: usize) -> Option<CapacityGuard> {
        let taken = self.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| {
            (open < self.max + extra).then_some(open + 1)
        });
        taken.is_ok().then(|| CapacityGuard(self.clone()))
    }

    fn is_over(&self) -> bool {
        self.open() > self.max
    }
}

impl Drop for CapacityGuard {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a handler knows of the connection a request came on.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The other end of the TCP connection.
    pub address: IpAddr,
    /// The node holds more connections than it may: answer 503.
    pub over_capacity: bool,
    /// The connection's place under the cap: kept by whoever keeps the socket.
    pub guard: Arc<CapacityGuard>,
    /// How fast HTTP requests on this connection may send.
    pub sends: Arc<Mutex<RateLimit>>,
}

/// A listener with its rules.
pub struct Acceptor {
    /// Where connections come from.
    pub listener: TcpListener,
    /// The cap over all of them.
    pub capacity: Arc<Capacity>,
    /// Sends a second over HTTP on one connection.
    pub sends_per_second: u32,
    /// What runs connections.
    pub spawner: Spawner,
}

impl Acceptor {
    /// Accepts until `stop` turns true. Connections that are open then go on.
    ///
    /// # Cancel safety
    /// Dropping the future stops accepting.
    pub async fn serve<H, F>(self, handler: H, mut stop: watch::Receiver<bool>)
    where
        H: Fn(Request<Incoming>, Peer) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            match accepted {
                Ok((stream, peer)) => self.open(stream, peer, handler.clone()),
                Err(error) => {
                    if is_out_of_files(&error) {
                        tracing::error!(%error, "cannot accept: raise the open file limit (ulimit -n)");
                    }
                    sleep(ACCEPT_RETRY).await;
                }
            }
        }
    }

    fn open<H, F>(&self, stream: TcpStream, peer: SocketAddr, handler: H)
    where
        H: Fn(Request<Incoming>, Peer) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let Some(guard) = self.capacity.enter(REFUSED_MAX) else { return };
        let over_capacity = self.capacity.is_over();
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "accepted a connection that is gone");
            return;
        }
        let peer = Peer {
            address: peer.ip().to_canonical(),
            over_capacity,
            guard: Arc::new(guard),
            sends: Arc::new(Mutex::new(RateLimit::new(Instant::now(), self.sends_per_second))),
        };
        self.spawner.spawn(serve_http(stream, peer, handler));
    }
}

async fn serve_http<H, F>(stream: TcpStream, peer: Peer, handler: H)
where
    H: Fn(Request<Incoming>, Peer) -> F,
    F: Future<Output = Response<Body>>,
{
    let service = service_fn(|request| {
        let answer = handler(request, peer.clone());
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .keep_alive(!peer.over_capacity)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "HTTP connection ended");
    }
}

/// EMFILE and ENFILE: this process, or the machine, has too many files open.
fn is_out_of_files(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(23 | 24))
}
