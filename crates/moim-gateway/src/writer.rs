//! The async writer: what is in the log goes to the store, oldest first, for as long as it takes.
//! Not here: the log (`moim-bus`), the store (`moim-store`).

use std::{sync::Arc, time::Duration};

use moim_bus::WriteAhead;
use moim_protocol::Message;
use moim_store::{MessageStore, Retry, StoreError};
use tokio::time::sleep;

use crate::metrics::Metrics;

/// Messages taken from the log at once. While they are written the next ones gather: that is the group commit.
const BATCH_ROWS_MAX: usize = 512;
/// And their bytes.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The longest pause between two tries.
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Drains a log into a store. The gateway spawns [`Writer::run`].
pub(crate) struct Writer {
    pub(crate) log: Arc<dyn WriteAhead>,
    pub(crate) store: Arc<dyn MessageStore>,
    pub(crate) metrics: Arc<Metrics>,
}

impl Writer {
    /// Runs until the bus is closed and its log is empty.
    ///
    /// # Errors
    /// When the store says that nothing but a restart helps.
    ///
    /// # Cancel safety
    /// Dropping it leaves what is not committed in the log; rows that were written are written again.
    pub(crate) async fn run(self) -> Result<(), StoreError> {
        while let Some(batch) = self.log.read(BATCH_ROWS_MAX, BATCH_BYTES_MAX).await {
            self.store_batch(&batch).await?;
            self.metrics.stored.inc_by(batch.len() as u64);
            if let Err(error) = self.log.commit(&batch).await {
                tracing::warn!(%error, "stored messages could not be committed; they are written again");
                sleep(RETRY_MAX).await;
            }
        }
        Ok(())
    }

    async fn store_batch(&self, batch: &[Arc<Message>]) -> Result<(), StoreError> {
        let mut pause = Duration::ZERO;
        loop {
            let error = match self.store.append(batch.to_vec()).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            self.metrics.store_write_errors.inc();
            let Retry::After(after) = error.retry() else { return Err(error) };
            pause = (pause * 2).clamp(after, RETRY_MAX);
            tracing::warn!(%error, rows = batch.len(), ?pause, "store did not take a batch; trying again");
            sleep(pause).await;
        }
    }
}
