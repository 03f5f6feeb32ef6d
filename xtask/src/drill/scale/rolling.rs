//! `rolling-restart-2000`: three gateways of two thousand members each are restarted one after the other under load.
//! Not here: the same with thirty members and everything they see in a file (the fault `rolling-restart`).

use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use crate::drill::stage::{GATEWAYS, Stage};
use crate::fault::Fault;

use super::player::Player;
use super::{Judged, aim, stretches};

/// A message a second in each room: a silence of much more is none of theirs.
pub(super) const SCENARIO: &str = "\
about = 'Three gateways of 2,000 members each are restarted one after the other while people talk'
about_ko = '2,000명씩 붙은 게이트웨이 셋을 대화 중에 하나씩 다시 시작'
members = 6000
rooms = 200
rate = 200
";

/// What gateways take at most (their default), what they give each socket when that is less, and the second within which a
/// client comes back by itself.
const SPREAD_SECONDS: f64 = 10.0;
const SECONDS_EACH: f64 = 0.005;
const SECONDS_OF_ITS_OWN: f64 = 1.0;
const BETWEEN: Duration = Duration::from_secs(8);
/// The last who was told to come back later has done so: it belongs to the stretch in which its gateway drained.
const COMING_BACK: Duration = Duration::from_secs(3);
const SILENCE_SECONDS_MOST: f64 = 5.0;
/// What is told beside it: what as many joins cost in the same run when no gateway drains.
const BREAKS: &str = "as many connections break, as evenly, and no gateway drains";
/// Of half of all, as many as two gateways have of a third's members besides their own.
const BREAK_STEPS: u32 = 40;
const BREAK_SHARE: f64 = 0.5;
const BREAK_PAUSE: Duration = Duration::from_millis(250);
const BACK_WITHIN: Duration = Duration::from_millis(1250);
/// Twice what an even spread puts there.
const TENTH_MOST: f64 = 0.2;

pub(super) fn make(stage: &mut Stage<'_>, player: &Player) -> Result<(), Fault> {
    player.mark("calm", "undisturbed")?;
    sleep(BETWEEN);
    player.mark("fault", BREAKS)?;
    for _ in 0..BREAK_STEPS {
        player.cut(BREAK_SHARE / f64::from(BREAK_STEPS), BACK_WITHIN)?;
        sleep(BREAK_PAUSE);
    }
    sleep(COMING_BACK);
    player.mark("calm", "undisturbed")?;
    sleep(BETWEEN);
    for gateway in 0..GATEWAYS {
        player.mark("fault", &format!("gateway-{} drains and starts again", gateway + 1))?;
        stage.drain_gateway(gateway);
        stage.start_gateway(gateway)?;
        stage.gateway_ready(gateway)?;
        sleep(COMING_BACK);
        player.mark("calm", "undisturbed")?;
        sleep(BETWEEN);
    }
    Ok(())
}

pub(super) fn judge(result: &Value) -> Judged {
    let mut judged = Judged::default();
    let (silence, breaks) = silences(result);
    let what = "seconds of the longest silence of any member while gateways drain";
    judged.aims.push(aim(what, silence, SILENCE_SECONDS_MOST));
    judged.rows.push(json!([BREAKS, format!("longest silence of any member: {breaks:.1} s")]));
    for stretch in drains(result) {
        let returns: Vec<f64> =
            stretch["returnsMs"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
        let name = stretch["name"].as_str().unwrap_or_default();
        let what = format!(
            "{name}: share of its {} returns in the fullest tenth of a budget of {:.1} s (even: 0.1)",
            returns.len(),
            budget_seconds(returns.len())
        );
        judged.aims.push(aim(&what, fullest_tenth(&returns), TENTH_MOST));
    }
    judged
}

fn drains(result: &Value) -> impl Iterator<Item = &Value> {
    stretches(result).filter(|stretch| stretch["kind"] == "fault" && stretch["name"] != BREAKS)
}

/// The longest while gateways drain, and the longest while connections break, in seconds. Of nothing it is no number.
fn silences(result: &Value) -> (f64, f64) {
    let of = |stretch: &Value| stretch["longestSilenceMs"].as_f64().unwrap_or(f64::NAN) / 1e3;
    let drains = drains(result).map(of).reduce(f64::max).unwrap_or(f64::NAN);
    let breaks = stretches(result).find(|stretch| stretch["name"] == BREAKS).map_or(f64::NAN, of);
    (drains, breaks)
}

fn budget_seconds(returns: usize) -> f64 {
    SPREAD_SECONDS.min(returns as f64 * SECONDS_EACH) + SECONDS_OF_ITS_OWN
}

/// Of times in milliseconds: the largest share in one tenth of the budget, which begins at the first; what is later is in
/// the last. Of nothing it is no number.
fn fullest_tenth(returns: &[f64]) -> f64 {
    let first = returns.iter().copied().fold(f64::INFINITY, f64::min);
    let mut tenths = [0u32; 10];
    for at in returns {
        let tenth = (at - first) / (budget_seconds(returns.len()) * 1e3) * 10.0;
        tenths[(tenth as usize).min(9)] += 1;
    }
    f64::from(tenths.into_iter().max().unwrap_or(0)) / returns.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_held_against_five_seconds_while_gateways_drain() {
        let met = |drain: Option<f64>, breaks: f64| {
            let stretch =
                |name: &str, ms: f64| json!({ "kind": "fault", "name": name, "longestSilenceMs": ms });
            let mut all = vec![stretch(BREAKS, breaks)];
            all.extend(drain.map(|ms| stretch("gateway-1", ms)));
            judge(&json!({ "figures": { "stretches": all } })).aims[0]["met"] == true
        };
        assert!(met(Some(4900.0), 9000.0));
        assert!(!met(Some(5100.0), 1500.0) && !met(None, 1500.0));
    }

    #[test]
    fn an_even_spread_is_a_tenth_each_and_a_spike_is_seen() {
        let even: Vec<_> = (0..2000).map(|index| 3250.0 + f64::from(index) * 5.5).collect();
        assert!((fullest_tenth(&even) - 0.1).abs() < 0.001);
        let spike: Vec<_> = (0..2000).map(|index| 3250.0 + f64::from(index % 20)).collect();
        assert!((fullest_tenth(&spike) - 1.0).abs() < 1e-9);
        // All of them too late, but for the first.
        let late: Vec<_> = (0..2000).map(|index| if index == 0 { 0.0 } else { 60_000.0 }).collect();
        assert!(fullest_tenth(&late) > 0.99);
        assert!(fullest_tenth(&[]).is_nan());
    }
}
