//! What the store does beside its callers: connecting until it succeeds, reading the pages they share.
//! Not here: the calls themselves (`lib`), how a session is made (`session`), which pages are shared (`loads`).

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use scylla::client::session::Session;
use tokio::sync::mpsc;

use crate::{
    loads::{Ask, Loads},
    page,
    session::{self, Link},
    shared::Shared,
};

/// Longest wait before the second try to connect, and what the waits grow to: whoever waits for history has it soon after the
/// cluster is back, and a hundred gateways do not come in the same moment.
const BACKOFF_FIRST: Duration = Duration::from_millis(200);
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// How often it is looked whether any node is connected, for the metric and the log. The session connects again by itself.
const LOOK_EVERY: Duration = Duration::from_secs(2);

const _: () = assert!(BACKOFF_FIRST.as_millis() <= BACKOFF_MAX.as_millis(), "waits grow");

/// What the store does beside its callers; the gateway spawns [`CassandraDriver::run`].
pub struct CassandraDriver {
    pub(crate) shared: Arc<Shared>,
    pub(crate) asks: mpsc::Receiver<Ask>,
}

impl CassandraDriver {
    /// Connects, and connects again, for as long as it takes; reads pages. Ends when the store is closed.
    ///
    /// # Cancel safety
    /// Dropping it stops the store: it connects no more, and pages are not answered.
    pub async fn run(self) {
        let Self { shared, asks } = self;
        let work = async { tokio::join!(stay_connected(&shared), read_pages(&shared, asks)) };
        tokio::select! {
            _ = work => {}
            () = shared.closed() => {}
        }
    }
}

async fn stay_connected(shared: &Shared) {
    let link = connect(shared).await;
    let nodes = shared.config.nodes();
    tracing::info!(%nodes, "connected to the message store");
    let mut was_connected = true;
    shared.metrics.connected.set(1);
    let watched = Arc::downgrade(&link);
    shared.connected(link);
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(link) = watched.upgrade() else { return };
        let is_connected =
            link.session.get_cluster_state().get_nodes_info().iter().any(|node| node.is_connected());
        if is_connected != was_connected {
            was_connected = is_connected;
            shared.metrics.connected.set(is_connected.into());
            if is_connected {
                tracing::info!("connected to the message store again");
            } else {
                tracing::warn!(%nodes, "no node of the message store is connected; trying again until one is");
            }
        }
    }
}

/// Tries until it has a session whose tables are all there. A session without tables is kept: they may be made meanwhile.
async fn connect(shared: &Shared) -> Arc<Link> {
    let mut session = None;
    let mut wait_most = BACKOFF_FIRST;
    let mut told = String::new();
    loop {
        let why = match try_once(shared, session.take()).await {
            Ok(link) => return Arc::new(link),
            Err((kept, why)) => {
                session = kept;
                why
            }
        };
        // The same again every few seconds is not news.
        if why != told {
            tracing::warn!(error = %why, "the message store is away; trying again until it is there");
            told.clone_from(&why);
        }
        shared.not_connected(&why);
        tokio::time::sleep(jittered(wait_most)).await;
        wait_most = (wait_most * 2).min(BACKOFF_MAX);
    }
}

async fn try_once(shared: &Shared, session: Option<Session>) -> Result<Link, (Option<Session>, String)> {
    let session = match session {
        Some(session) => session,
        None => session::connect(&shared.config).await.map_err(|why| (None, why))?,
    };
    session::prepare(&shared.config, session).await.map_err(|(session, why)| (Some(session), why))
}

/// Between half of it and all of it.
fn jittered(most: Duration) -> Duration {
    // Without randomness it is the longest wait, which is only less polite.
    let random = getrandom::u32().unwrap_or(u32::MAX);
    most.mul_f64(0.5 + 0.5 * f64::from(random) / f64::from(u32::MAX))
}

/// Reads run here and not in their callers: one that goes away stalls nobody who shares its read.
async fn read_pages(shared: &Shared, mut asks: mpsc::Receiver<Ask>) {
    let mut loads = Loads::default();
    let mut reading = FuturesUnordered::new();
    let at_once = shared.config.reads_at_once_max as usize;
    loop {
        while reading.len() < at_once {
            let Some((key, count)) = loads.next() else { break };
            shared.metrics.coalesced.inc_by(count as u64 - 1);
            reading.push(async move {
                let read =
                    shared.read(async |link| page::page(link, &key.room, key.range(), key.limit).await);
                let answer = read.await;
                (key, answer)
            });
        }
        tokio::select! {
            // Questions first: as many as are there when a read ends share the next one. They are bounded by their places.
            biased;
            Some(ask) = asks.recv() => loads.ask(ask),
            Some((key, answer)) = reading.next(), if !reading.is_empty() => loads.done(key, &answer),
            else => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_spread_below_their_cap() {
        let waits: Vec<_> = (0..100).map(|_| jittered(BACKOFF_MAX)).collect();
        assert!(waits.iter().all(|wait| (BACKOFF_MAX / 2..=BACKOFF_MAX).contains(wait)));
        assert!(waits.iter().any(|wait| wait != &waits[0]));
    }
}
