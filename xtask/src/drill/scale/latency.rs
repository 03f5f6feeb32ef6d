//! `cassandra-latency`: live delivery while the store is slow or away, against the same members and load undisturbed.
//! Not here: what the store's absence does to acknowledgements and history (the faults `cassandra-stop`, `cassandra-slow`).

use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use crate::drill::stage::Stage;
use crate::fault::Fault;

use super::player::Player;
use super::{Judged, aim, stretches};

pub(super) const SCENARIO: &str = "\
about = 'Live delivery while Cassandra is slow or away, against the same members and load undisturbed'
about_ko = 'Cassandra가 느리거나 없을 때의 실시간 전달을, 같은 멤버와 같은 부하의 평상시와 비교'
members = 100
rooms = 10
rate = 100
";

/// Long enough for a thousand messages, short enough that what else the machine does is the same in two neighbours.
const STRETCH: Duration = Duration::from_secs(8);
/// What was not stored goes to the store, and connections to it are made again.
const SETTLING: Duration = Duration::from_secs(7);
/// One disturbed by something else must not be the median: single pairs on a busy machine were 0.3 to 1.7.
const ROUNDS_MIN: u64 = 5;
const CALM: &str = "undisturbed";
const SLOW: &str = "every answer of Cassandra takes 5 s and more";
const AWAY: &str = "Cassandra is away";
/// The promise: live chat does not need the store.
const RATIO_MOST: f64 = 1.25;

/// Undisturbed, disturbed, healing; undisturbed, disturbed otherwise, healing; and again.
pub(super) fn make(stage: &mut Stage<'_>, player: &Player) -> Result<(), Fault> {
    let round = 4 * STRETCH + 2 * SETTLING;
    let rounds = (stage.minutes * 60 / round.as_secs()).max(ROUNDS_MIN);
    player.mark("settling", "members have just come in")?;
    sleep(SETTLING);
    for _ in 0..rounds {
        for (name, order) in [(SLOW, "delay cassandra-* 5000"), (AWAY, "cut cassandra-*")] {
            player.mark("calm", CALM)?;
            sleep(STRETCH);
            // The mark first: the moment in which it happens belongs to it.
            player.mark("fault", name)?;
            stage.order(order)?;
            sleep(STRETCH);
            player.mark("settling", "the store is back, and gets what it missed")?;
            stage.order("heal cassandra-*")?;
            sleep(SETTLING);
        }
    }
    Ok(())
}

pub(super) fn judge(result: &Value) -> Judged {
    let mut judged = Judged::default();
    for name in [SLOW, AWAY] {
        let pairs = pairs(result, name);
        let ratios: Vec<f64> = pairs.iter().map(|(calm, disturbed)| disturbed / calm).collect();
        let shown: Vec<_> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
        let what = format!(
            "live p99 while {name}, over that of the undisturbed stretch before it (median of {})",
            shown.join(", ")
        );
        judged.aims.push(aim(&what, median(&ratios), RATIO_MOST));
    }
    for name in [CALM, SLOW, AWAY] {
        let of = |percentile: &str| {
            let values: Vec<_> = stretches(result)
                .filter(|stretch| stretch["name"] == name)
                .map(|stretch| stretch["liveMs"][percentile].as_f64().unwrap_or(f64::NAN))
                .collect();
            median(&values)
        };
        let value = format!(
            "live ms, medians of stretches: p50 {:.1}, p99 {:.1}, p99.9 {:.1}",
            of("p50"),
            of("p99"),
            of("p999")
        );
        judged.rows.push(json!([name, value]));
    }
    judged
}

/// The p99 of each disturbed stretch of that name, behind that of the calm one before it.
fn pairs(result: &Value, name: &str) -> Vec<(f64, f64)> {
    let all: Vec<_> = stretches(result).collect();
    let p99 = |stretch: &Value| stretch["liveMs"]["p99"].as_f64().unwrap_or(f64::NAN);
    let pairs = all.windows(2).filter(|pair| pair[0]["kind"] == "calm" && pair[1]["name"] == name);
    pairs.map(|pair| (p99(pair[0]), p99(pair[1]))).collect()
}

/// Of nothing it is no number, which meets no aim.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[odd / 2],
        even => f64::midpoint(sorted[even / 2 - 1], sorted[even / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretch(kind: &str, name: &str, p99: f64) -> Value {
        json!({ "kind": kind, "name": name, "liveMs": { "p50": 1.0, "p99": p99, "p999": p99 } })
    }

    fn result(slow: &[f64], away: &[f64]) -> Value {
        let mut all = vec![stretch("settling", "in", 900.0)];
        for (slow, away) in slow.iter().zip(away) {
            for (name, p99) in [(SLOW, slow), (AWAY, away)] {
                all.push(stretch("calm", CALM, 10.0));
                all.push(stretch("fault", name, *p99));
                all.push(stretch("settling", "back", 500.0));
            }
        }
        json!({ "figures": { "stretches": all } })
    }

    #[test]
    fn one_noisy_stretch_is_no_failure_and_a_slower_path_is() {
        let met = |slow: &[f64], away: &[f64]| {
            let judged = judge(&result(slow, away));
            judged.aims.iter().map(|aim| aim["met"] == true).collect::<Vec<_>>()
        };
        assert_eq!(met(&[10.0, 90.0, 11.0], &[9.0, 12.0, 10.0]), [true, true]);
        assert_eq!(met(&[14.0, 13.0, 11.0], &[9.0, 12.0, 30.0]), [false, true]);
        assert_eq!(met(&[10.0; 3], &[5000.0; 3]), [true, false]);
        assert_eq!(met(&[], &[]), [false, false]);
    }
}
