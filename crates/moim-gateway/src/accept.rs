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
use moim_protocol::ErrorCode;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::sleep,
};

use crate::{
    address::{Addresses, Admission},
    http_stream::HttpStream,
    spawn::Spawner,
};

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

/// A connection's places under the caps; dropping them gives them back.
#[derive(Debug)]
pub struct Places {
    _capacity: CapacityGuard,
    _address: Admission,
}

/// What a handler knows of the connection a request came on.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The other end of the TCP connection.
    pub address: IpAddr,
    /// Why every request on this connection is refused, if it is.
    pub refused: Option<ErrorCode>,
    /// The connection's places under the caps: kept by whoever keeps the socket.
    pub places: Arc<Places>,
    /// How fast HTTP requests on this connection may send.
    pub sends: Arc<Mutex<RateLimit>>,
}

/// A listener with its rules.
pub struct Acceptor {
    /// Where connections come from.
    pub listener: TcpListener,
    /// The cap over all of them.
    pub capacity: Arc<Capacity>,
    /// The cap for each address.
    pub addresses: Arc<Addresses>,
    /// Sends a second over HTTP on one connection.
    pub sends_per_second: u32,
    /// How long a client may take nothing of an answer.
    pub stalled_after: Duration,
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
        let Some(capacity) = self.capacity.enter(REFUSED_MAX) else { return };
        let address = self.addresses.enter(peer.ip());
        let refused = match address {
            Admission::Refused => Some(ErrorCode::AddressFull),
            _ if self.capacity.is_over() => Some(ErrorCode::ServerFull),
            Admission::Counted(_) | Admission::Exempt => None,
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "accepted a connection that is gone");
            return;
        }
        let peer = Peer {
            address: peer.ip().to_canonical(),
            refused,
            places: Arc::new(Places { _capacity: capacity, _address: address }),
            sends: Arc::new(Mutex::new(RateLimit::new(Instant::now(), self.sends_per_second))),
        };
        self.spawner.spawn(serve_http(stream, self.stalled_after, peer, handler));
    }
}

async fn serve_http<H, F>(stream: TcpStream, stalled_after: Duration, peer: Peer, handler: H)
where
    H: Fn(Request<Incoming>, Peer) -> F,
    F: Future<Output = Response<Body>>,
{
    let service = service_fn(|request| {
        let answer = handler(request, peer.clone());
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let stream = HttpStream::new(stream, stalled_after);
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .keep_alive(peer.refused.is_none())
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
