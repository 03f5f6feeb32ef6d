//! How a node tells what it does: log lines and metrics.
//! Not here: which metrics exist (each crate registers its own), the `/metrics` route (`moim-gateway`).

mod family;
pub mod log;
mod registry;

pub use family::{Family, Label};
pub use prometheus::{Histogram, HistogramTimer, IntCounter, IntGauge};
pub use registry::{MetricError, PROMETHEUS_TEXT, Registry};
