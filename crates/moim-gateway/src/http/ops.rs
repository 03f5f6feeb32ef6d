//! The operators' listener: metrics, liveness, readiness.
//! Not here: what is counted (`metrics`).

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};
use moim_bus::{Bus, BusHealth};
use moim_telemetry::{PROMETHEUS_TEXT, Registry};
use tokio::sync::watch;

use crate::drain::DrainPhase;

/// How long the bus may be out of reach before load balancers are told: short cuts are ridden out.
const CUT_OFF_READY: Duration = Duration::from_secs(10);

/// What the private routes look at.
#[derive(Clone)]
pub(crate) struct Ops {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) phase: watch::Receiver<DrainPhase>,
    pub(crate) registry: Registry,
}

/// The private routes.
pub(crate) fn ops_router(ops: Ops) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .with_state(ops)
}

async fn metrics(State(ops): State<Ops>) -> impl IntoResponse {
    ([(CONTENT_TYPE, PROMETHEUS_TEXT)], ops.registry.gather_text())
}

/// 200 while the store is away: live chat does not need it. 503 while draining, cut off from the bus, or unfit.
async fn ready(State(ops): State<Ops>) -> impl IntoResponse {
    if *ops.phase.borrow() != DrainPhase::Serving {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n".to_owned());
    }
    readiness(&ops.bus.health())
}

fn readiness(health: &BusHealth) -> (StatusCode, String) {
    match health {
        BusHealth::Open => (StatusCode::OK, "ready\n".into()),
        BusHealth::CutOff(since) if *since < CUT_OFF_READY => {
            (StatusCode::OK, format!("ready, though cut off from the bus for {} s\n", since.as_secs()))
        }
        BusHealth::CutOff(since) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("cut off from the bus for {} s\n", since.as_secs()))
        }
        BusHealth::Unfit(why) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("the bus must not be used: {why}\n"))
        }
        BusHealth::Closed => (StatusCode::SERVICE_UNAVAILABLE, "the bus takes no messages\n".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_cuts_are_ridden_out_and_longer_ones_told() {
        for (health, status, words) in [
            (BusHealth::Open, 200, "ready\n"),
            (
                BusHealth::CutOff(Duration::from_millis(9_999)),
                200,
                "ready, though cut off from the bus for 9 s\n",
            ),
            (BusHealth::CutOff(CUT_OFF_READY), 503, "cut off from the bus for 10 s\n"),
            (BusHealth::Unfit("it evicts keys".into()), 503, "the bus must not be used: it evicts keys\n"),
            (BusHealth::Closed, 503, "the bus takes no messages\n"),
        ] {
            let (told_status, told) = readiness(&health);
            assert_eq!((told_status.as_u16(), told.as_str()), (status, words));
        }
    }
}
