//! An echo server made of the gateway's own accept loop, handshake and socket: what the WebSocket conformance suite is run
//! against (`cargo xtask autobahn`). It has no rooms and no limits worth the name.

use std::{net::SocketAddr, time::Duration};

use axum::{
    body::Body,
    http::{Request, Response, StatusCode},
};
use moim_gateway::{
    Budget, Ending, Incoming, Socket, SocketOptions, Spawner,
    accept::{Acceptor, Capacity, Peer},
    address::Addresses,
    handshake::{self, Upgrading},
};
use moim_protocol::{FramePayload, data_image};
use tokio::{net::TcpListener, sync::watch};

/// The suite's largest message is 16 MiB.
const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Long enough for one connection of the suite.
const CONNECTIONS_MAX: usize = 1000;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().skip_while(|arg| arg != "--listen").nth(1);
    let address: SocketAddr =
        address.and_then(|arg| arg.parse().ok()).unwrap_or(([127, 0, 0, 1], 9001).into());
    let listener = TcpListener::bind(address).await?;
    println!("echo listening on ws://{}", listener.local_addr()?);
    let spawner = Spawner::default();
    let acceptor = Acceptor {
        listener,
        capacity: Capacity::new(CONNECTIONS_MAX),
        addresses: Addresses::new(Vec::new(), CONNECTIONS_MAX),
        stalled_after: Duration::from_secs(60),
        sends_per_second: 1,
        spawner: spawner.clone(),
    };
    let (_stop, stopped) = watch::channel(false);
    acceptor.serve(move |request, peer| answer(request.map(Body::new), peer, spawner.clone()), stopped).await;
    Ok(())
}

async fn answer(request: Request<Body>, peer: Peer, spawner: Spawner) -> Response<Body> {
    match handshake::answer(request) {
        Ok((response, upgrading)) => {
            spawner.spawn(async move {
                echo(upgrading).await;
                drop(peer);
            });
            response
        }
        Err(code) => {
            let mut response = Response::new(Body::from(code.as_str()));
            *response.status_mut() = StatusCode::BAD_REQUEST;
            response
        }
    }
}

async fn echo(upgrading: Upgrading) {
    let options = SocketOptions {
        message_bytes_max: MESSAGE_BYTES_MAX,
        outbox_bytes_max: MESSAGE_BYTES_MAX,
        profile: upgrading.profile,
        large_answers: Budget::new(usize::MAX),
    };
    let Some(mut socket) = upgrading.open(0, &options).await else { return };
    let ending = talk(&mut socket).await;
    socket.finish(ending).await;
}

async fn talk(socket: &mut Socket) -> Ending {
    let connection = socket.connection().clone();
    loop {
        tokio::select! {
            incoming = socket.next() => match incoming {
                Incoming::Text(text) => connection.send_image(data_image(FramePayload::Text, &text)),
                Incoming::Binary(bytes) => connection.send_image(data_image(FramePayload::Binary, &bytes)),
                Incoming::Ping | Incoming::Pong => {}
                Incoming::Ended(ending) => return ending,
            },
            open = connection.drive() => if !open { return Ending::Lost },
        }
    }
}
