//! What the bus over Redis counts about itself.
//! Not here: the registry and its text (`moim-telemetry`).

use moim_telemetry::{Histogram, IntCounter, IntGauge, MetricError, Registry};

/// From 10 ms to half an hour.
const AGE_SECONDS: &[f64] = &[0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0, 1800.0];

/// Every metric of the bus.
pub(crate) struct Metrics {
    /// Script calls that carried messages: one carries all that gathered in a room.
    pub(crate) publish_calls: IntCounter,
    pub(crate) relay_reconnects: IntCounter,
    /// Events whose worker had no space.
    pub(crate) relay_dropped: IntCounter,
    /// Messages handed in when a generation was open already.
    pub(crate) late_rows: IntCounter,
    pub(crate) backlog_age: Histogram,
    /// The same while nothing is committed.
    pub(crate) oldest_unstored_ms: IntGauge,
    /// Of the pub/sub socket that has been silent longest.
    pub(crate) probe_age_ms: IntGauge,
    pub(crate) leases: IntGauge,
    pub(crate) partitions_open: IntGauge,
    pub(crate) tail_bytes: IntGauge,
    pub(crate) tail_unprotected: IntGauge,
    pub(crate) redis_memory_percent: IntGauge,
}

impl Metrics {
    pub(crate) fn register(registry: &Registry) -> Result<Self, MetricError> {
        Ok(Self {
            publish_calls: registry.counter(
                "moim_bus_publish_calls_total",
                "Calls of Redis that carried messages to a room's log.",
            )?,
            relay_reconnects: registry.counter(
                "moim_bus_relay_reconnects_total",
                "Pub/sub sockets that broke or went deaf and were made anew.",
            )?,
            relay_dropped: registry.counter(
                "moim_bus_relay_dropped_total",
                "Relayed events for which a room worker had no space; the hole is filled from the log.",
            )?,
            late_rows: registry.counter(
                "moim_bus_late_rows_total",
                "Messages that came back to the log after later ones had been shown.",
            )?,
            backlog_age: registry.histogram(
                "moim_writer_backlog_age_seconds",
                "Age of the oldest message that is not stored, at each commit.",
                AGE_SECONDS,
            )?,
            oldest_unstored_ms: registry.gauge(
                "moim_writer_oldest_unstored_milliseconds",
                "Age of the oldest message that this node is to store and has not; 0 when there is none.",
            )?,
            probe_age_ms: registry.gauge(
                "moim_bus_probe_age_milliseconds",
                "Since a pub/sub socket last proved that it hears; the worst of them.",
            )?,
            leases: registry.gauge("moim_writer_leases", "Partitions whose logs this node drains.")?,
            partitions_open: registry.gauge("moim_bus_partitions_open", "Partitions that take messages.")?,
            tail_bytes: registry.gauge(
                "moim_bus_tail_bytes",
                "Messages kept here until they are stored, in case Redis loses them.",
            )?,
            tail_unprotected: registry.gauge(
                "moim_bus_tail_unprotected",
                "Messages not kept for want of space: only Redis has them until they are stored.",
            )?,
            redis_memory_percent: registry.gauge(
                "moim_bus_redis_memory_percent",
                "Of Redis's maxmemory, as last told; 0 without one.",
            )?,
        })
    }
}
