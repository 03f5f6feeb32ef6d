//! What the Cassandra store counts about itself.
//! Not here: the registry and its text (`moim-telemetry`), what the gateway counts about its calls (`moim-gateway`).

use moim_telemetry::{Family, Histogram, IntCounter, IntGauge, Label, MetricError, Registry};

/// From the call to the answer: 0.5 ms to 5 s, above the longest time-outs by default.
const LATENCY_SECONDS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// Every metric of a Cassandra store. Its names are taken in the registry, so one store for one registry.
#[derive(Debug)]
pub struct StoreMetrics {
    pub(crate) read_seconds: Histogram,
    pub(crate) write_seconds: Histogram,
    pub(crate) failures: Family<Call, IntCounter>,
    pub(crate) circuit: IntGauge,
    pub(crate) coalesced: IntCounter,
    pub(crate) connected: IntGauge,
}

/// What failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Read,
    Write,
}

impl Label for Call {
    const NAME: &'static str = "call";

    fn all() -> &'static [Self] {
        &[Self::Read, Self::Write]
    }

    fn value(&self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

impl StoreMetrics {
    /// Registers them all.
    ///
    /// # Errors
    /// When a name is taken: two stores in one registry.
    pub fn register(registry: &Registry) -> Result<Self, MetricError> {
        Ok(Self {
            read_seconds: registry.histogram(
                "moim_store_read_duration_seconds",
                "From a read that is sent to Cassandra to its last row: a page is one, with all its queries.",
                LATENCY_SECONDS,
            )?,
            write_seconds: registry.histogram(
                "moim_store_write_duration_seconds",
                "From an append to its answer, waiting for its turn included.",
                LATENCY_SECONDS,
            )?,
            failures: registry.counter_vec(
                "moim_store_failures_total",
                "Reads and appends that Cassandra did not answer.",
            )?,
            circuit: registry.gauge(
                "moim_store_circuit_state",
                "Circuit breaker of reads: 0 closed, 1 one probe on its way, 2 open, no read is tried.",
            )?,
            coalesced: registry.counter(
                "moim_store_reads_coalesced_total",
                "Pages that were answered by a read made for another.",
            )?,
            connected: registry.gauge(
                "moim_store_connected",
                "1 once a session with the cluster is there and its tables are known.",
            )?,
        })
    }
}
