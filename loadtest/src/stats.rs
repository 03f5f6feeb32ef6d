//! The arithmetic of figures: medians, ratios of interleaved windows, percentiles of delays.
//! Not here: where the figures come from (`process`, `fleet`), how they are shown (`report`).

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Delays above it are counted as it: a drill gives up long before.
const DELAY_MAX: Duration = Duration::from_secs(600);
const SIGNIFICANT_DIGITS: u8 = 3;
const ROUGH_DIGITS: u8 = 2;

/// The middle one, or the mean of the two in the middle; `None` of nothing.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(sorted[sorted.len() / 2 - 1], upper))
}

/// The median of the ratios of windows that stood side by side: what disturbs the machine for a while disturbs both.
pub(crate) fn paired_ratio(upper: &[f64], lower: &[f64]) -> Option<f64> {
    let ratios: Vec<_> = upper.iter().zip(lower).map(|(upper, lower)| upper / lower).collect();
    median(&ratios)
}

/// How long things took, from when they were meant to happen (so that a stalled sender hides nothing).
pub(crate) struct Delays(Histogram<u64>);

/// Percentiles in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub(crate) struct Percentiles {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
}

impl Delays {
    pub(crate) fn new() -> Self {
        let max = DELAY_MAX.as_micros() as u64;
        // Fails only on bounds that are out of order, and these are constants.
        Self(Histogram::new_with_bounds(1, max, SIGNIFICANT_DIGITS).expect("bounds are in order"))
    }

    /// For many at a time: a tenth of the memory, and percentiles to one in a hundred.
    pub(crate) fn rough() -> Self {
        let max = DELAY_MAX.as_micros() as u64;
        Self(Histogram::new_with_bounds(1, max, ROUGH_DIGITS).expect("bounds are in order"))
    }

    pub(crate) fn len(&self) -> u64 {
        self.0.len()
    }

    /// The whole distribution: quantiles, ever closer to one, with their milliseconds.
    pub(crate) fn curve(&self) -> Vec<(f64, f64)> {
        let quantiles = [0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999, 0.99999];
        // Beyond the last of them there is less than one delay.
        let known = quantiles.into_iter().filter(|quantile| (1.0 - quantile) * self.0.len() as f64 >= 1.0);
        known.map(|quantile| (quantile, self.0.value_at_quantile(quantile) as f64 / 1000.0)).collect()
    }

    pub(crate) fn record(&mut self, delay: Duration) {
        self.0.saturating_record(u64::try_from(delay.as_micros()).unwrap_or(u64::MAX));
    }

    /// As if all of them had been recorded here.
    pub(crate) fn add(&mut self, others: &Self) {
        // Fails only on values beyond the bounds, and all have the same.
        self.0.add(&others.0).expect("the same bounds");
    }

    pub(crate) fn percentiles(&self) -> Percentiles {
        let at = |quantile| self.0.value_at_quantile(quantile) as f64 / 1000.0;
        Percentiles { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: self.0.max() as f64 / 1000.0 }
    }
}

/// Digits, and what was recorded how often: as processes tell each other.
#[derive(Serialize, Deserialize)]
struct Recorded(u8, Vec<(u64, u64)>);

impl Serialize for Delays {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let counts = self.0.iter_recorded().map(|one| (one.value_iterated_to(), one.count_at_value()));
        Recorded(self.0.sigfig(), counts.collect()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Delays {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Recorded(digits, counts) = Recorded::deserialize(deserializer)?;
        let max = DELAY_MAX.as_micros() as u64;
        let mut delays = Histogram::new_with_bounds(1, max, digits).map_err(de::Error::custom)?;
        counts.into_iter().for_each(|(value, count)| delays.saturating_record_n(value, count));
        Ok(Self(delays))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_processes_recorded_is_one_distribution() {
        let (mut one, mut other, mut both) = (Delays::new(), Delays::new(), Delays::new());
        for micros in 0..2000 {
            let delay = Duration::from_micros(micros * micros);
            both.record(delay);
            if micros % 3 == 0 { one.record(delay) } else { other.record(delay) }
        }
        let told: Delays = serde_json::from_str(&serde_json::to_string(&other).unwrap()).unwrap();
        one.add(&told);
        assert_eq!((one.len(), one.curve()), (both.len(), both.curve()));
    }

    #[test]
    fn the_median_is_the_middle_whatever_the_order() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[10.0, 1.0, 2.0, 4.0]), Some(3.0));
    }

    #[test]
    fn a_disturbance_of_one_pair_does_not_move_the_ratio() {
        let (ours, bare) = ([10.0, 55.0, 12.0], [8.0, 50.0, 10.0]);
        let ratio = paired_ratio(&ours, &bare).unwrap();
        assert!((ratio - 1.2).abs() < 1e-9, "{ratio}");
        assert_eq!(paired_ratio(&[1.0], &[]), None);
    }

    #[test]
    fn percentiles_are_milliseconds_of_what_was_recorded() {
        let mut delays = Delays::new();
        for micros in 1..=1000 {
            delays.record(Duration::from_micros(micros * 10));
        }
        let Percentiles { p50, p99, p999, max } = delays.percentiles();
        for (found, wanted) in [(p50, 5.0), (p99, 9.9), (p999, 9.99), (max, 10.0)] {
            assert!((found - wanted).abs() / wanted < 0.005, "{found} is not {wanted}");
        }
    }

    #[test]
    fn the_curve_ends_where_there_is_nothing_beyond() {
        let mut delays = Delays::rough();
        for micros in 1..=1000 {
            delays.record(Duration::from_micros(micros * 10));
        }
        let curve = delays.curve();
        let (quantile, millis) = curve[curve.len() - 1];
        assert!((quantile - 0.999).abs() < 1e-9 && (millis - 9.99).abs() < 0.2, "{curve:?}");
        assert!(Delays::new().curve().is_empty());
    }

    #[test]
    fn an_absurd_delay_is_counted_not_lost() {
        let mut delays = Delays::new();
        delays.record(Duration::from_secs(100_000));
        assert!(delays.percentiles().max >= 600_000.0);
    }
}
