//! The WebSocket routes: `/chat/{room}` and `/ws`.
//! Not here: the handshake's rules (`handshake`), the session (`session_task`).

use std::sync::{Arc, atomic::Ordering};

use axum::{
    extract::{Request, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use moim_core::{Outgoing, Route};
use moim_protocol::{
    CloseReason, ErrorCode, ErrorFrame, JoinQuery, Language, Profile, RoomId, ServerFrame, UserName,
    decode_segment,
};

use super::answer::{Fault, language_of};
use crate::{
    accept::Peer,
    address::Admission,
    drain::DrainPhase,
    handshake::{self, Upgrading},
    session_task,
    shared::Shared,
    socket::Ending,
};

/// One room, named by the URL.
pub(super) async fn one_room(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let route = route_of(&shared, request.uri().path(), request.uri().query().unwrap_or(""));
    open(&shared, request, route, None)
}

/// Many rooms, named by frames: v1 only.
pub(super) async fn many_rooms(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    open(&shared, request, Ok(Route::Many), Some(Profile::V1))
}

fn route_of(shared: &Shared, path: &str, query: &str) -> Result<Route, ErrorCode> {
    let limits = &shared.config.limits;
    let name = room_named(path).ok_or(ErrorCode::RoomInvalid)?;
    let room = RoomId::from_client(&name, limits.room_name_chars_max).map_err(|_| ErrorCode::RoomInvalid)?;
    let JoinQuery { username, cursor } = JoinQuery::parse(query)?;
    let username = UserName::from_client(&username, limits.username_chars_max)
        .map_err(|_| ErrorCode::UsernameInvalid)?;
    Ok(Route::Room { room, username, cursor })
}

fn open(
    shared: &Arc<Shared>,
    request: Request,
    route: Result<Route, ErrorCode>,
    only: Option<Profile>,
) -> Response {
    let language = language_of(request.headers());
    match try_open(shared, request, route, only, language) {
        Ok(response) => response,
        Err(code) => {
            shared.metrics.refused[code].inc();
            Fault::new(code, language).into_response()
        }
    }
}

fn try_open(
    shared: &Arc<Shared>,
    request: Request,
    route: Result<Route, ErrorCode>,
    only: Option<Profile>,
    language: Language,
) -> Result<Response, ErrorCode> {
    if *shared.phase.borrow() >= DrainPhase::ClosingInBatches {
        return Err(ErrorCode::Draining);
    }
    if shared.is_cut_off.load(Ordering::Relaxed) {
        return Err(ErrorCode::Unavailable);
    }
    let path = request.uri().path().to_owned();
    let peer = request.extensions().get::<Peer>().cloned().ok_or(ErrorCode::Internal)?;
    let place = place_of(shared, &peer, request.headers())?;
    let (response, upgrading) = handshake::answer(request)?;
    if only.is_some_and(|only| only != upgrading.profile) {
        return Err(ErrorCode::HandshakeInvalid);
    }
    match (route, upgrading.profile) {
        (Ok(route), _) => {
            shared.spawner.spawn(run(shared.clone(), upgrading, route, language, (peer, place)));
        }
        // A browser cannot see why a handshake was refused, so v1 is told in words: `error`, then the close.
        (Err(code), Profile::V1) => {
            shared.metrics.refused[code].inc();
            let room = room_named(&path);
            shared.spawner.spawn(refuse(shared.clone(), upgrading, language, code, room, (peer, place)));
        }
        (Err(code), Profile::Plain) => return Err(code),
    }
    Ok(response)
}

/// The room as the URL names it, if that can be read at all.
fn room_named(path: &str) -> Option<String> {
    decode_segment(path.strip_prefix("/chat").unwrap_or("").trim_start_matches('/')).ok()
}

/// The client's place under the bound for its address, when a proxy forwards it.
fn place_of(shared: &Shared, peer: &Peer, headers: &HeaderMap) -> Result<Admission, ErrorCode> {
    let forwarded = headers.get("x-forwarded-for").and_then(|value| value.to_str().ok());
    match shared.addresses.enter_forwarded(peer.address, forwarded) {
        Admission::Refused => Err(ErrorCode::AddressFull),
        place @ (Admission::Counted(_) | Admission::Exempt) => Ok(place),
    }
}

/// The connection's whole life; its places under the bounds are given back when it ends.
async fn run(
    shared: Arc<Shared>,
    upgrading: Upgrading,
    route: Route,
    language: Language,
    places: (Peer, Admission),
) {
    let profile = upgrading.profile;
    let (number, options) = (shared.connections.next_number(), shared.socket_options(profile));
    // Boxed: the handshake's state would else be part of every open connection's task for its whole life.
    let opening = Box::pin(upgrading.open(number, &options));
    let opened = opening.await;
    if let Some(socket) = opened {
        session_task::run(shared, socket, route, profile, language).await;
    }
    drop(places);
}

/// A join that cannot be: told why, and closed.
async fn refuse(
    shared: Arc<Shared>,
    upgrading: Upgrading,
    language: Language,
    code: ErrorCode,
    room: Option<String>,
    places: (Peer, Admission),
) {
    let (number, options) = (shared.connections.next_number(), shared.socket_options(upgrading.profile));
    if let Some(socket) = upgrading.open(number, &options).await {
        let room = room.as_deref();
        let error = ErrorFrame { code, language, room, client_id: None, retry_after_ms: None };
        socket.connection().send(&Outgoing::answer(&ServerFrame::Error(error)));
        socket.finish(Ending::ByUs(CloseReason::JoinRefused)).await;
    }
    drop(places);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_task<A, B, C, D, E, F>(_: impl Fn(A, B, C, D, E) -> F) -> usize {
        size_of::<F>()
    }

    /// Every open connection holds one of these: what is only needed at its start or end is boxed.
    #[test]
    fn an_idle_connections_task_is_small() {
        let bytes = size_of_task(run);
        assert!(bytes <= 1536, "{bytes} bytes");
    }
}
