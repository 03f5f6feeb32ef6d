//! The routes of both listeners.
//! Not here: the accept loop (`accept`), what each route does (the files below).

mod answer;
mod api;
mod chat;
mod ops;
mod page;

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use moim_protocol::ErrorCode;

pub(crate) use ops::{Ops, ops_router};

use crate::{accept::Peer, handshake, shared::Shared};
use answer::{Fault, language_of};

/// What everyone can reach.
pub(crate) fn public_router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/chat", get(chat::one_room))
        .route("/chat/", get(chat::one_room))
        .route("/chat/{room}", get(chat::one_room))
        .route("/ws", get(chat::many_rooms))
        .route("/api/v1/rooms/{room}", get(api::room))
        .route("/api/v1/rooms/{room}/messages", get(api::history).post(api::send))
        .route("/api/messages", get(api::article_history).post(api::article_send))
        .merge(page::router())
        .fallback(async |request: Request| Fault::new(ErrorCode::NotFound, language_of(request.headers())))
        .method_not_allowed_fallback(async |request: Request| {
            Fault::new(ErrorCode::MethodNotAllowed, language_of(request.headers()))
        })
        .layer(middleware::from_fn_with_state(shared.clone(), admit))
        .with_state(shared)
}

/// What is asked of every request before its route: is there room for it, and may its page and host ask at all.
async fn admit(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let language = language_of(request.headers());
    let full = request.extensions().get::<Peer>().and_then(|peer| peer.refused);
    let refused = full.or_else(|| handshake::admit(request.headers(), &shared.config.auth).err());
    match refused {
        Some(code) => {
            shared.metrics.refused[code].inc();
            Fault::new(code, language).into_response()
        }
        None => next.run(request).await,
    }
}

/// The body type of every answer.
pub(crate) type Answer = Response<Body>;
