//! `rolling-restart-2000`: three gateways of two thousand members each are restarted one after the other under load.
//! Not here: the same with thirty members and everything they see in a file (the fault `rolling-restart`).

use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;

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
const SILENCE_SECONDS_MOST: f64 = 5.0;
/// Twice what an even spread puts there.
const TENTH_MOST: f64 = 0.2;

pub(super) fn make(stage: &mut Stage<'_>, player: &Player) -> Result<(), Fault> {
    player.mark("calm", "undisturbed")?;
    sleep(BETWEEN);
    for gateway in 0..GATEWAYS {
        player.mark("fault", &format!("gateway-{} drains and starts again", gateway + 1))?;
        stage.drain_gateway(gateway);
        stage.start_gateway(gateway)?;
        stage.gateway_ready(gateway)?;
        player.mark("calm", "undisturbed")?;
        sleep(BETWEEN);
    }
    Ok(())
}

pub(super) fn judge(result: &Value) -> Judged {
    let mut judged = Judged::default();
    let silence = result["figures"]["silenceMs"]["max"].as_f64().unwrap_or(f64::NAN) / 1e3;
    judged.aims.push(aim("seconds of the longest silence of any member", silence, SILENCE_SECONDS_MOST));
    for stretch in stretches(result).filter(|stretch| stretch["kind"] == "fault") {
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
