//! What a writer counts about itself.
//! Not here: what is counted of people and rooms (`crate::metrics`), the log's backlog (its bus).

use moim_telemetry::{Histogram, IntCounter, IntGauge, MetricError, Registry};

/// From a call of the store to its answer: 0.5 ms to 10 s.
const LATENCY_SECONDS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// Messages of a batch.
const BATCH_ROWS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// Every metric of the writer.
#[derive(Debug)]
pub(crate) struct WriterMetrics {
    /// Messages written to the store.
    pub(crate) stored: IntCounter,
    /// Tries to write to the store that failed.
    pub(crate) store_write_errors: IntCounter,
    /// Messages that the store refuses for good.
    pub(crate) dead_letters: IntCounter,
    /// Messages given to the store at once.
    pub(crate) batch_rows: Histogram,
    /// How long it took to answer.
    pub(crate) write_seconds: Histogram,
    /// Logs that this node drains.
    pub(crate) logs: IntGauge,
    /// Writes that may be on their way at once.
    pub(crate) writes_at_once: IntGauge,
}

impl WriterMetrics {
    /// Registers them all.
    ///
    /// # Errors
    /// When a name is taken: two writers in one registry.
    pub(crate) fn register(registry: &Registry) -> Result<Self, MetricError> {
        Ok(Self {
            stored: registry.counter("moim_messages_stored_total", "Messages written to the store.")?,
            store_write_errors: registry.counter(
                "moim_store_write_errors_total",
                "Writes to the store that failed and were tried again.",
            )?,
            dead_letters: registry.counter(
                "moim_dead_letters_total",
                "Messages that the store refuses for good: stored without their content, their senders told.",
            )?,
            batch_rows: registry.histogram(
                "moim_writer_batch_rows",
                "Messages given to the store at once.",
                BATCH_ROWS,
            )?,
            write_seconds: registry.histogram(
                "moim_writer_write_duration_seconds",
                "From a write to the store to its answer.",
                LATENCY_SECONDS,
            )?,
            logs: registry.gauge("moim_writer_logs", "Logs that this node drains into the store.")?,
            writes_at_once: registry.gauge(
                "moim_writer_writes_at_once",
                "Writes to the store that may be on their way at once: falls while it is slow or away.",
            )?,
        })
    }
}
