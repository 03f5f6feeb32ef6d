//! The operators' listener: metrics, liveness, readiness.
//! Not here: what is counted (`metrics`).

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};
use moim_bus::BusHealth;
use moim_telemetry::PROMETHEUS_TEXT;

use crate::shared::Shared;

/// The private routes.
pub(crate) fn ops_router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .with_state(shared)
}

async fn metrics(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, PROMETHEUS_TEXT)], shared.registry.gather_text())
}

/// 200 while the store is away: live chat does not need it. 503 while draining or cut off from the bus.
async fn ready(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    if !shared.is_serving() {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n");
    }
    match shared.bus.health() {
        BusHealth::Open => (StatusCode::OK, "ready\n"),
        BusHealth::Closed => (StatusCode::SERVICE_UNAVAILABLE, "the bus takes no messages\n"),
    }
}
