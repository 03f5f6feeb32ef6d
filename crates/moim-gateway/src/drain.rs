//! How a node stops without anybody losing anything: phases, and sockets closed in batches over a budget.
//! Not here: what a session tells its client then (`moim-core`), signals (`moim`).

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use moim_telemetry::IntGauge;
use tokio::{sync::watch, time::sleep};

use crate::{
    connection::{Connection, Control},
    shared::Shared,
};

/// Where a stop stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DrainPhase {
    /// Everything is open.
    Serving,
    /// Not ready any more: load balancers send nobody new; joins are still let in.
    Unready,
    /// Nobody new is let in, sockets are closed in batches.
    ClosingInBatches,
    /// All sockets are closed; what was said goes to the store.
    FlushingWriter,
    /// Nothing is left to do.
    Stopped,
}

/// Pause between two batches.
const BATCH_PAUSE: Duration = Duration::from_millis(50);
/// Time given to each socket when there are few: a small node stops at once, one of two thousand takes its whole budget.
/// Each socket is a leave and a join that whole rooms are told of: at 2 ms a cluster on two cores with its load balancers
/// was behind with joins all the time, and clients heard nothing for seconds.
const PER_SOCKET: Duration = Duration::from_millis(5);

/// When a client comes back, in milliseconds: within the second that follows a moment for its socket to close. Closing is
/// what spreads clients over the budget. Were each told a time of up to the whole budget besides, their silence would be as
/// long, and the sum of two even spreads is none: most would knock in its middle.
fn come_back_after(random: u32) -> u64 {
    250 + u64::from(random) % 1000
}

/// Sockets for the next batch, so that all are closed when the budget ends.
fn batch_size(left: usize, time_left: Duration) -> usize {
    let batches = (time_left.as_millis() / BATCH_PAUSE.as_millis()).max(1) as usize;
    left.div_ceil(batches).max(1)
}

/// Closes every socket, spread over the budget, and waits until all are closed.
///
/// # Cancel safety
/// Dropping it leaves the remaining sockets open.
pub(crate) async fn close_all(shared: &Shared) {
    let open = shared.connections.list();
    let spread = spread_of(shared, open.len());
    tracing::info!(sockets = open.len(), ?spread, "closing sockets");
    close_over(&open, spread, "drain", || true).await;
    // Those whose handshake was under way when the phase changed are few, and are told at once.
    let told: HashSet<_> = open.iter().map(|connection| connection.number()).collect();
    drop(open);
    loop {
        let left = shared.connections.list();
        if left.is_empty() {
            return;
        }
        let late: Vec<_> =
            left.into_iter().filter(|connection| !told.contains(&connection.number())).collect();
        close_over(&late, Duration::ZERO, "drain", || true).await;
        sleep(BATCH_PAUSE).await;
    }
}

/// How long closing so many sockets takes.
pub(crate) fn spread_of(shared: &Shared, sockets: usize) -> Duration {
    let budget = Duration::from_secs(shared.config.drain.spread_seconds);
    budget.min(PER_SOCKET * u32::try_from(sockets).unwrap_or(u32::MAX))
}

/// Tells these sockets to come back later, for that reason, spread over so long, as long as `goes_on` says so.
///
/// # Cancel safety
/// Dropping it leaves the rest untold.
pub(crate) async fn close_over(
    open: &[Arc<Connection>],
    spread: Duration,
    reason: &'static str,
    goes_on: impl Fn() -> bool,
) {
    let end = Instant::now() + spread;
    let mut rest = open;
    while !rest.is_empty() && goes_on() {
        let size = batch_size(rest.len(), end.saturating_duration_since(Instant::now())).min(rest.len());
        let (batch, later) = rest.split_at(size);
        for connection in batch {
            let random = getrandom::u32().unwrap_or(connection.number() as u32);
            connection.control(Control::Drain { after_ms: come_back_after(random), reason });
        }
        rest = later;
        if !rest.is_empty() {
            sleep(BATCH_PAUSE).await;
        }
    }
}

/// Moves to a phase, and says so.
pub(crate) fn enter(phase: &watch::Sender<DrainPhase>, gauge: &IntGauge, next: DrainPhase) {
    phase.send_replace(next);
    gauge.set(next as i64);
    tracing::info!(phase = ?next, "drain");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_fill_the_budget_evenly() {
        let (mut left, mut time) = (1000, Duration::from_secs(10));
        let mut sizes = Vec::new();
        while left > 0 {
            let size = batch_size(left, time).min(left);
            sizes.push(size);
            left -= size;
            time = time.saturating_sub(BATCH_PAUSE);
        }
        assert_eq!(sizes.len(), 200);
        assert!(sizes.iter().all(|size| *size == 5));
    }

    #[test]
    fn nobody_waits_for_longer_than_it_takes_to_spread_a_batch() {
        assert_eq!((come_back_after(0), come_back_after(999), come_back_after(1000)), (250, 1249, 250));
    }

    /// Batches over the budget, each client's own wait on top.
    #[test]
    fn clients_come_back_evenly_over_the_budget() {
        let (sockets, budget) = (2000, Duration::from_secs(4));
        let (mut left, mut closed, mut returns) = (sockets, Duration::ZERO, Vec::new());
        while left > 0 {
            let size = batch_size(left, budget.saturating_sub(closed)).min(left);
            left -= size;
            for _ in 0..size {
                // A step that shares no factor with the window: even, and the same each time.
                let random = returns.len() as u32 * 619;
                returns.push(closed + Duration::from_millis(come_back_after(random)));
            }
            closed += BATCH_PAUSE;
        }
        let window = budget + Duration::from_millis(1250);
        let tenths = (0..10).map(|tenth| {
            let (from, to) = (window * tenth / 10, window * (tenth + 1) / 10);
            returns.iter().filter(|at| (from..to).contains(*at)).count()
        });
        let largest = tenths.max().unwrap_or(0);
        assert!(largest * 100 <= sockets * 15, "{largest} of {sockets} come back in one tenth of it");
    }
}
