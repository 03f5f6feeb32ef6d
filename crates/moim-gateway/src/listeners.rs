//! Listeners as every kind of node binds them, and routers as the accept loop calls them.
//! Not here: the accept loop (`accept`), the routes (`http`).

use std::{io, net::SocketAddr};

use axum::{body::Body, extract::Request, response::Response};
use futures_util::future::BoxFuture;
use hyper::body::Incoming;
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::watch,
};
use tower_service::Service;

use crate::{
    accept::{Acceptor, Capacity, Peer},
    address::Addresses,
    config::GatewayConfig,
    http::{Ops, ops_router},
    spawn::Spawner,
};

/// Connections waiting to be accepted: a thousand people may come back in one second.
const BACKLOG: u32 = 4096;
/// Connections to the operators' listener.
const OPS_CONNECTIONS_MAX: usize = 64;
/// Sends a second over one connection to the operators' listener, which has none.
const OPS_SENDS_PER_SECOND: u32 = 1;

/// A listener that may be bound again at once after a restart.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Starts the operators' listener.
pub(crate) fn serve_operators(
    listener: TcpListener,
    ops: Ops,
    config: &GatewayConfig,
    spawner: &Spawner,
    stop: &watch::Sender<bool>,
) {
    let operators = Acceptor {
        listener,
        capacity: Capacity::new(OPS_CONNECTIONS_MAX),
        addresses: Addresses::new(
            config.listen.trusted_proxies.clone(),
            config.limits.connections_per_address_max,
        ),
        sends_per_second: OPS_SENDS_PER_SECOND,
        stalled_after: config.limits.stalled_reader_after(),
        spawner: spawner.clone(),
    };
    spawner.spawn(operators.serve(handler(ops_router(ops)), stop.subscribe()));
}

/// A router as the accept loop calls it.
pub(crate) fn handler(
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
