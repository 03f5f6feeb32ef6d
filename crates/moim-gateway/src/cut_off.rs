//! A node that cannot reach its bus sends its people elsewhere, and lets them in again when it can.
//! Not here: readiness, which turns earlier (`http::ops`), the stop of a node (`drain`).

use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use moim_bus::BusHealth;
use tokio::time::sleep;

use crate::{drain, shared::Shared};

/// How long the bus may be out of reach before sockets are closed: till then its return is more likely to help them.
const MOVE_AFTER: Duration = Duration::from_secs(30);
/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Looks at the bus's health for ever, and moves sockets while it is cut off.
///
/// # Cancel safety
/// Dropping it leaves the sockets that are not told yet.
pub(crate) async fn watch(shared: Arc<Shared>) {
    // Who was told, as long as it is open: nobody is told twice.
    let mut told = HashSet::new();
    loop {
        sleep(LOOK_EVERY).await;
        let is_cut_off = is_cut_off(&shared.bus.health());
        if shared.is_cut_off.swap(is_cut_off, Ordering::Relaxed) != is_cut_off {
            tracing::warn!(is_cut_off, "the bus; sockets are closed while it is out of reach");
        }
        if !is_cut_off {
            told.clear();
            continue;
        }
        let open = shared.connections.list();
        let numbers: HashSet<_> = open.iter().map(|connection| connection.number()).collect();
        told.retain(|number| numbers.contains(number));
        let fresh: Vec<_> = open.into_iter().filter(|connection| told.insert(connection.number())).collect();
        let spread = drain::spread_of(&shared, fresh.len());
        drain::close_over(&fresh, spread, "cut_off", || is_cut_off_now(&shared)).await;
    }
}

fn is_cut_off_now(shared: &Shared) -> bool {
    is_cut_off(&shared.bus.health())
}

fn is_cut_off(health: &BusHealth) -> bool {
    matches!(health, BusHealth::CutOff(since) if *since >= MOVE_AFTER)
}
