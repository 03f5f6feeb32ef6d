//! The async writer: what is in the logs goes to the store, oldest first, for as long as it takes.
//! Not here: the logs (`moim-bus`), the store (`moim-store`).

mod metrics;
mod one_log;
mod pace;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use moim_bus::{Bus, Logs};
use moim_store::MessageStore;
use tokio::sync::watch;

use crate::spawn::Spawner;
pub(crate) use metrics::WriterMetrics;
use one_log::OneLog;
use pace::Pace;

/// Drains the logs that come to this node, each in a task of its own.
pub(crate) struct Writer {
    pub(crate) store: Arc<dyn MessageStore>,
    pub(crate) metrics: Arc<WriterMetrics>,
    /// What runs the tasks: when it has none left, everything that could be stored is.
    pub(crate) spawner: Spawner,
    /// Where it says why nothing more can be stored, if that happens.
    pub(crate) broken: watch::Sender<Option<String>>,
}

impl Writer {
    /// Takes logs until the bus gives no more, or `stopping` turns true. Those that it has taken are drained to their end
    /// then, by the tasks it started.
    ///
    /// # Cancel safety
    /// Dropping it leaves the logs that it took to their tasks.
    pub(crate) async fn run(self, mut logs: Logs, mut stopping: watch::Receiver<bool>) {
        let pace = Pace::new();
        self.metrics.writes_at_once.set(pace::AT_START as i64);
        loop {
            let log = tokio::select! {
                // What was handed over before the stop is drained.
                biased;
                log = logs.recv() => log,
                _ = stopping.wait_for(|stopping| *stopping) => None,
            };
            let Some(log) = log else { return };
            let (store, pace, metrics) = (self.store.clone(), pace.clone(), self.metrics.clone());
            let broken = self.broken.clone();
            self.spawner.spawn(async move {
                metrics.logs.inc();
                if let Err(error) = (OneLog { log, store, pace, metrics: metrics.clone() }).run().await {
                    broken.send_replace(Some(error.to_string()));
                }
                metrics.logs.dec();
            });
        }
    }
}

/// Answers only when the store is broken for good, with why.
///
/// # Cancel safety
/// Safe: it only waits.
pub(crate) async fn why_broken(broken: &mut watch::Receiver<Option<String>>) -> String {
    match broken.wait_for(Option::is_some).await {
        Ok(why) => why.clone().unwrap_or_default(),
        // The writer ended in peace: nothing is broken.
        Err(_) => std::future::pending().await,
    }
}

/// The last part of a stop: nothing new is taken, what was taken is stored, the others are told.
pub(crate) struct Flush {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) store: Arc<dyn MessageStore>,
    /// The writer's tasks.
    pub(crate) writer: Spawner,
}

impl Flush {
    /// Answers whether the store closed cleanly.
    ///
    /// # Cancel safety
    /// Dropping it leaves the stop where it is; what was acknowledged is safe at every point.
    pub(crate) async fn run(self, stop: &watch::Sender<bool>) -> bool {
        self.bus.close();
        stop.send_replace(true);
        self.writer.finished(Duration::MAX).await;
        // What this node took may be in a log that another one drains.
        self.bus.flushed().await;
        match self.store.close().await {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(%error, "the store did not close cleanly");
                false
            }
        }
    }
}
