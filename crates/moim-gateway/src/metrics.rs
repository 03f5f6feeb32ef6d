//! What a gateway counts about itself.
//! Not here: the registry and its text (`moim-telemetry`).

use moim_protocol::{CloseReason, ErrorCode, Profile};
use moim_telemetry::{Family, Histogram, IntCounter, IntGauge, MetricError, Registry};

/// From a frame read to its answer: 0.5 ms to 5 s.
const LATENCY_SECONDS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// Every metric of the gateway.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// WebSockets open, by profile.
    pub(crate) connections: [IntGauge; 2],
    /// WebSockets opened.
    pub(crate) opened: IntCounter,
    /// WebSockets closed, by who and why.
    pub(crate) closed: Family<CloseReason, IntCounter>,
    /// Requests and frames refused, by code.
    pub(crate) refused: Family<ErrorCode, IntCounter>,
    /// Messages taken into the log and acknowledged.
    pub(crate) published: IntCounter,
    /// How long that took.
    pub(crate) publish_seconds: Histogram,
    /// Frames given to members.
    pub(crate) delivered: IntCounter,
    /// Rooms with members or polls on this node.
    pub(crate) rooms: IntGauge,
    /// Loads of rooms: one lets in all who wait for it.
    pub(crate) loads: IntCounter,
    /// Joins let in.
    pub(crate) joins: IntCounter,
    /// Pages read from the store.
    pub(crate) store_reads: IntCounter,
    /// Pages that were answered by a read on its way for another.
    pub(crate) pages_coalesced: IntCounter,
    /// 0 serving, 1 unready, 2 closing, 3 flushing, 4 stopped.
    pub(crate) drain_phase: IntGauge,
}

impl Metrics {
    /// Registers them all.
    ///
    /// # Errors
    /// When a name is taken: two gateways in one registry.
    pub(crate) fn register(registry: &Registry) -> Result<Self, MetricError> {
        let closes: Vec<_> = CloseReason::ALL.iter().map(|reason| (*reason, reason.row().label)).collect();
        let codes: Vec<_> = ErrorCode::ALL.iter().map(|code| (*code, code.as_str())).collect();
        let open = |profile| {
            registry.gauge(
                if profile == Profile::Plain { "moim_connections_plain" } else { "moim_connections_v1" },
                "WebSockets open in that profile.",
            )
        };
        Ok(Self {
            connections: [open(Profile::Plain)?, open(Profile::V1)?],
            opened: registry.counter("moim_connections_opened_total", "WebSockets opened.")?,
            closed: registry.counter_family(
                "moim_connections_closed_total",
                "WebSockets closed.",
                "reason",
                &closes,
            )?,
            refused: registry.counter_family(
                "moim_refused_total",
                "Requests and frames refused.",
                "code",
                &codes,
            )?,
            published: registry.counter("moim_messages_published_total", "Messages acknowledged.")?,
            publish_seconds: registry.histogram(
                "moim_publish_duration_seconds",
                "From the publish call to its answer.",
                LATENCY_SECONDS,
            )?,
            delivered: registry
                .counter("moim_frames_delivered_total", "Frames given to members of rooms.")?,
            rooms: registry.gauge("moim_rooms", "Rooms that somebody on this node is in.")?,
            loads: registry
                .counter("moim_room_loads_total", "Loads of a room's head and newest messages.")?,
            joins: registry.counter("moim_joins_total", "Joins asked for.")?,
            store_reads: registry.counter("moim_store_reads_total", "Pages read from the store.")?,
            pages_coalesced: registry.counter(
                "moim_pages_coalesced_total",
                "Pages of the store that were answered by a read already on its way for another.",
            )?,
            drain_phase: drain_phase(registry)?,
        })
    }

    /// The gauge of a profile's connections.
    #[must_use]
    pub(crate) fn connections(&self, profile: Profile) -> &IntGauge {
        &self.connections[usize::from(profile == Profile::V1)]
    }
}

/// The gauge of a stop, on every kind of node.
///
/// # Errors
/// When it is registered already.
pub(crate) fn drain_phase(registry: &Registry) -> Result<IntGauge, MetricError> {
    registry.gauge("moim_drain_phase", "0 serving, 1 unready, 2 closing, 3 flushing, 4 stopped.")
}
