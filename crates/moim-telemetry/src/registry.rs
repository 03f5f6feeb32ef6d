//! The metrics of this process: typed registration with checked names, and their text for Prometheus.
//! Not here: the metrics themselves (each crate's `metrics.rs`), the `/metrics` route (`moim-gateway`).

use std::fmt;

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    TextEncoder,
    core::{Collector, MetricVec, MetricVecBuilder},
};

use crate::family::{Family, Label};

/// The content type of [`Registry::gather_text`].
pub const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Every metric of one node. Clones are the same registry.
#[derive(Debug, Clone)]
pub struct Registry {
    inner: prometheus::Registry,
}

/// Why a metric was not registered. Always a bug of the caller, found at the first start.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetricError {
    /// The name breaks the rules.
    #[error("metric {name}: {rule}")]
    Name {
        /// The name.
        name: String,
        /// The rule it breaks.
        rule: &'static str,
    },
    /// Registered twice, or bad in a way only the library sees.
    #[error("metric {name}: {problem}")]
    Refused {
        /// The name.
        name: String,
        /// The library's words.
        problem: String,
    },
}

impl Registry {
    /// A registry that has `moim_build_info{version}` and, on Linux, the usual `process_*` metrics.
    ///
    /// # Errors
    /// Never in practice: the names are fixed.
    pub fn new(version: &str) -> Result<Self, MetricError> {
        let this = Self { inner: prometheus::Registry::new() };
        let name = "moim_build_info";
        let info =
            IntGaugeVec::new(Opts::new(name, "Always 1; the label is the version that runs."), &["version"])
                .map_err(refused(name))?;
        info.with_label_values(&[version]).set(1);
        this.register(name, info)?;
        #[cfg(target_os = "linux")]
        this.inner
            .register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
            .map_err(refused("process_*"))?;
        Ok(this)
    }

    /// A counter; its name ends in `_total`.
    ///
    /// # Errors
    /// When the name breaks the rules or is taken.
    pub fn counter(&self, name: &str, help: &str) -> Result<IntCounter, MetricError> {
        check_counter_name(name)?;
        self.register(name, IntCounter::new(name, help).map_err(refused(name))?)
    }

    /// A gauge.
    ///
    /// # Errors
    /// When the name breaks the rules or is taken.
    pub fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, MetricError> {
        check_name(name)?;
        self.register(name, IntGauge::new(name, help).map_err(refused(name))?)
    }

    /// A histogram over rising bucket bounds, in the base unit that its name ends in (`_seconds`, `_bytes`).
    ///
    /// # Errors
    /// When the name breaks the rules or is taken, or the buckets do not rise.
    pub fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Result<Histogram, MetricError> {
        check_name(name)?;
        let histogram = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()));
        self.register(name, histogram.map_err(refused(name))?)
    }

    /// A counter for each value of a label.
    ///
    /// # Errors
    /// When the name breaks the rules or is taken.
    pub fn counter_vec<L: Label>(
        &self,
        name: &str,
        help: &str,
    ) -> Result<Family<L, IntCounter>, MetricError> {
        self.counter_family(name, help, L::NAME, &values::<L>())
    }

    /// A gauge for each value of a label.
    ///
    /// # Errors
    /// When the name breaks the rules or is taken.
    pub fn gauge_vec<L: Label>(&self, name: &str, help: &str) -> Result<Family<L, IntGauge>, MetricError> {
        check_name(name)?;
        let vec = IntGaugeVec::new(Opts::new(name, help), &[L::NAME]).map_err(refused(name))?;
        self.family(name, vec, &values::<L>(), IntGauge::new(name, help))
    }

    /// A histogram for each value of a label.
    ///
    /// # Errors
    /// When the name breaks the rules or is taken, or the buckets do not rise.
    pub fn histogram_vec<L: Label>(
        &self,
        name: &str,
        help: &str,
        buckets: &[f64],
    ) -> Result<Family<L, Histogram>, MetricError> {
        check_name(name)?;
        let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        let vec = HistogramVec::new(opts.clone(), &[L::NAME]).map_err(refused(name))?;
        self.family(name, vec, &values::<L>(), Histogram::with_opts(opts))
    }

    /// As [`Self::counter_vec`], for a label whose type is another crate's and so cannot be given [`Label`] here.
    ///
    /// # Errors
    /// When the name breaks the rules or is taken.
    pub fn counter_family<L: Copy + PartialEq + fmt::Debug>(
        &self,
        name: &str,
        help: &str,
        label: &str,
        values: &[(L, &'static str)],
    ) -> Result<Family<L, IntCounter>, MetricError> {
        check_counter_name(name)?;
        let vec = IntCounterVec::new(Opts::new(name, help), &[label]).map_err(refused(name))?;
        self.family(name, vec, values, IntCounter::new(name, help))
    }

    /// Everything, in the text format that Prometheus scrapes ([`PROMETHEUS_TEXT`]).
    #[must_use]
    pub fn gather_text(&self) -> String {
        let mut text = String::new();
        if let Err(error) = TextEncoder::new().encode_utf8(&self.inner.gather(), &mut text) {
            tracing::warn!(%error, "metrics are incomplete");
        }
        text
    }

    fn register<C: Collector + Clone + 'static>(&self, name: &str, collector: C) -> Result<C, MetricError> {
        self.inner.register(Box::new(collector.clone())).map_err(refused(name))?;
        Ok(collector)
    }

    fn family<L, B>(
        &self,
        name: &str,
        vec: MetricVec<B>,
        values: &[(L, &'static str)],
        unlisted: prometheus::Result<B::M>,
    ) -> Result<Family<L, B::M>, MetricError>
    where
        L: Copy + PartialEq + fmt::Debug,
        B: MetricVecBuilder,
        MetricVec<B>: Collector + Clone + 'static,
    {
        let vec = self.register(name, vec)?;
        let children = values
            .iter()
            .map(|(label, value)| Ok((*label, vec.get_metric_with_label_values(&[*value])?)))
            .collect::<prometheus::Result<_>>()
            .map_err(refused(name))?;
        Ok(Family::new(children, unlisted.map_err(refused(name))?))
    }
}

fn values<L: Label>() -> Vec<(L, &'static str)> {
    L::all().iter().map(|label| (*label, label.value())).collect()
}

fn refused(name: &str) -> impl Fn(prometheus::Error) -> MetricError {
    move |error| MetricError::Refused { name: name.into(), problem: error.to_string() }
}

fn check_counter_name(name: &str) -> Result<(), MetricError> {
    check_prefix(name)?;
    if name.ends_with("_total") {
        return Ok(());
    }
    Err(MetricError::Name { name: name.into(), rule: "a counter's name ends in _total" })
}

fn check_name(name: &str) -> Result<(), MetricError> {
    check_prefix(name)?;
    if !name.ends_with("_total") {
        return Ok(());
    }
    Err(MetricError::Name { name: name.into(), rule: "only a counter's name ends in _total" })
}

fn check_prefix(name: &str) -> Result<(), MetricError> {
    if name.starts_with("moim_") {
        return Ok(());
    }
    Err(MetricError::Name { name: name.into(), rule: "a name starts with moim_" })
}

#[cfg(test)]
mod tests {
    use super::{Label, MetricError, Registry};

    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Reason {
        Normal,
        SlowReader,
        Forgotten,
    }

    impl Label for Reason {
        const NAME: &'static str = "reason";
        fn all() -> &'static [Self] {
            &[Self::Normal, Self::SlowReader]
        }
        fn value(&self) -> &'static str {
            match self {
                Self::Normal => "normal",
                Self::SlowReader => "slow_reader",
                Self::Forgotten => "forgotten",
            }
        }
    }

    fn registry() -> Registry {
        Registry::new("1.2.3").unwrap()
    }

    fn lines(registry: &Registry, prefix: &str) -> Vec<String> {
        registry.gather_text().lines().filter(|line| line.starts_with(prefix)).map(String::from).collect()
    }

    #[test]
    fn the_version_is_told() {
        assert_eq!(lines(&registry(), "moim_build_info"), ["moim_build_info{version=\"1.2.3\"} 1"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_process_is_told() {
        assert_eq!(lines(&registry(), "process_resident_memory_bytes ").len(), 1);
    }

    #[test]
    fn plain_metrics_are_told_with_their_help() {
        let registry = registry();
        registry.counter("moim_messages_total", "Messages taken.").unwrap().inc_by(3);
        registry.gauge("moim_rooms", "Rooms open.").unwrap().set(2);
        registry.histogram("moim_publish_duration_seconds", "Publish.", &[0.1, 1.0]).unwrap().observe(0.5);
        assert_eq!(lines(&registry, "moim_messages_total"), ["moim_messages_total 3"]);
        assert_eq!(lines(&registry, "# HELP moim_rooms"), ["# HELP moim_rooms Rooms open."]);
        assert_eq!(
            lines(&registry, "moim_publish_duration_seconds_bucket"),
            [
                "moim_publish_duration_seconds_bucket{le=\"0.1\"} 0",
                "moim_publish_duration_seconds_bucket{le=\"1\"} 1",
                "moim_publish_duration_seconds_bucket{le=\"+Inf\"} 1"
            ]
        );
    }

    #[test]
    fn every_value_of_a_label_is_told_before_its_first_count() {
        let registry = registry();
        let closed = registry.counter_vec::<Reason>("moim_closed_total", "Closed.").unwrap();
        closed[Reason::SlowReader].inc();
        assert_eq!(
            lines(&registry, "moim_closed_total"),
            ["moim_closed_total{reason=\"normal\"} 0", "moim_closed_total{reason=\"slow_reader\"} 1"]
        );
    }

    #[test]
    fn gauges_and_histograms_have_families_too() {
        let registry = registry();
        registry.gauge_vec::<Reason>("moim_open", "Open.").unwrap()[Reason::Normal].set(7);
        registry.histogram_vec::<Reason>("moim_wait_seconds", "Wait.", &[1.0]).unwrap()[Reason::Normal]
            .observe(2.0);
        assert_eq!(lines(&registry, "moim_open{reason=\"normal\"}"), ["moim_open{reason=\"normal\"} 7"]);
        assert_eq!(lines(&registry, "moim_wait_seconds_sum{reason=\"normal\"}").len(), 1);
    }

    #[test]
    fn a_foreign_label_is_given_as_a_table() {
        let registry = registry();
        let table = [(1012_u16, "restart"), (1013, "slow_reader")];
        registry.counter_family("moim_closed_total", "Closed.", "reason", &table).unwrap()[1013].inc();
        assert!(
            lines(&registry, "moim_closed_total")
                .contains(&"moim_closed_total{reason=\"slow_reader\"} 1".into())
        );
    }

    #[cfg(debug_assertions)]
    #[test]
    #[should_panic(expected = "Forgotten is not in the list of its label's values")]
    fn a_value_missing_from_its_list_is_a_bug() {
        registry().counter_vec::<Reason>("moim_closed_total", "Closed.").unwrap()[Reason::Forgotten].inc();
    }

    #[test]
    fn names_are_checked() {
        let rule = |error: MetricError| match error {
            MetricError::Name { rule, .. } => rule,
            MetricError::Refused { .. } => "refused",
        };
        let registry = registry();
        assert_eq!(rule(registry.counter("chat_x_total", "x").unwrap_err()), "a name starts with moim_");
        assert_eq!(rule(registry.gauge("rooms", "x").unwrap_err()), "a name starts with moim_");
        assert_eq!(rule(registry.counter("moim_x", "x").unwrap_err()), "a counter's name ends in _total");
        assert_eq!(
            rule(registry.gauge("moim_x_total", "x").unwrap_err()),
            "only a counter's name ends in _total"
        );
        assert_eq!(rule(registry.gauge("moim_with space", "x").unwrap_err()), "refused");
        assert_eq!(rule(registry.histogram("moim_x_seconds", "x", &[2.0, 1.0]).unwrap_err()), "refused");
    }

    #[test]
    fn a_name_is_registered_once() {
        let registry = registry();
        registry.gauge("moim_rooms", "x").unwrap();
        let again = registry.clone().gauge("moim_rooms", "x").unwrap_err();
        assert!(matches!(again, MetricError::Refused { name, .. } if name == "moim_rooms"));
    }
}
