//! Drills that measure instead of breaking a promise: latency and reconnects of many members, with a report of charts.
//! Not here: faults (`faults`), members (`moim-loadtest play`).

mod latency;
mod player;
mod rolling;

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use crate::fault::Fault;
use crate::servers::place::Place;
use crate::workspace::Workspace;

use super::DrillArgs;
use super::acts;
use super::backends::Store;
use super::faults::{Named, Needs};
use super::members::Load;
use super::page;
use super::stage::{Programs, Stage};

use player::Player;

const NO_RECORDS: Load = Load { members: 0, plain: 0, rooms: 0, rate: 0, pages: 0, ack: "mixed" };
/// Before and after: that it goes on shows as well.
const CALM: Duration = Duration::from_secs(3);

/// One of them. The cluster is that of a fault, with members of another kind.
pub(super) struct Scale {
    fault: Named,
    scenario: &'static str,
    make: fn(&mut Stage<'_>, &Player) -> Result<(), Fault>,
    judge: fn(&Value) -> Judged,
}

/// What a result is held against, and lines for its table.
#[derive(Default)]
pub(super) struct Judged {
    aims: Vec<Value>,
    rows: Vec<Value>,
}

const fn cluster(name: &'static str, about: &'static str, needs: Needs) -> Named {
    Named { name, about, load: NO_RECORDS, needs, must: &[], make: acts::none }
}

/// Members are so many that whatever stands in their way would be what is measured.
const ONE_DOOR: Needs = Needs { ring: false, second_haproxy: false, front: false, settings: &[] };
/// Each of them lets four thousand in; the gateways' budget is as by default.
const TWO_DOORS: Needs =
    Needs { second_haproxy: true, settings: &[("MOIM__DRAIN__SPREAD_SECONDS", "10")], ..ONE_DOOR };

static SCALES: [Scale; 2] = [
    Scale {
        fault: cluster(
            "cassandra-latency",
            "live p99 while Cassandra is slow or away, against undisturbed stretches of the same run, for --minutes",
            ONE_DOOR,
        ),
        scenario: latency::SCENARIO,
        make: latency::make,
        judge: latency::judge,
    },
    Scale {
        fault: cluster(
            "rolling-restart-2000",
            "three gateways of 2,000 members each are restarted in turn: silence, evenness of returns, nothing lost",
            TWO_DOORS,
        ),
        scenario: rolling::SCENARIO,
        make: rolling::make,
        judge: rolling::judge,
    },
];

/// Names with what each does.
pub(super) fn list() -> impl Iterator<Item = (&'static str, &'static str)> {
    SCALES.iter().map(|scale| (scale.fault.name, scale.fault.about))
}

pub(super) fn named(name: &str) -> Option<&'static Scale> {
    SCALES.iter().find(|scale| scale.fault.name == name)
}

/// Plays it, writes its report, and says what was missed.
pub(super) fn run(
    workspace: &Workspace,
    args: &DrillArgs,
    programs: &Programs,
    place: &Place,
    store: &mut Store,
    scale: &'static Scale,
) -> Result<Vec<String>, Fault> {
    let name = scale.fault.name;
    let evidence = workspace.kept("drill-evidence").join(format!("{name}-{}", args.seed));
    fs::remove_dir_all(&evidence).ok();
    fs::create_dir_all(&evidence).map_err(Fault::io(format!("make {}", evidence.display())))?;
    println!("{name}: {}", scale.fault.about);
    let mut stage = Stage::start(workspace, args, programs, place, store, &scale.fault, &evidence)?;
    let player = Player::start(&mut stage, scale.scenario)?;
    sleep(CALM);
    (scale.make)(&mut stage, &player)?;
    sleep(CALM);
    let mut result = player.end()?;
    let mut judged = (scale.judge)(&result);
    let wrong = result["figures"]["wrong"].as_f64().unwrap_or(f64::NAN);
    judged.aims.insert(0, aim("promises broken: lost, repeated, out of order, or a hole", wrong, 0.0));
    let (mut missed, logs) = stage.end()?;
    for aim in &judged.aims {
        let what = aim["what"].as_str().unwrap_or_default();
        let shown =
            format!("{what}: {:.2}, at most {}", aim["figure"].as_f64().unwrap_or(f64::NAN), aim["most"]);
        let is_met = aim["met"] == true;
        println!("  {} {shown}", if is_met { "met   " } else { "MISSED" });
        missed.extend((!is_met).then_some(shown));
    }
    for row in &judged.rows {
        println!("  {}: {}", row[0].as_str().unwrap_or_default(), row[1].as_str().unwrap_or_default());
    }
    result["title"] = name.into();
    result["aims"] = judged.aims.into();
    if let Some(rows) = result["rows"].as_array_mut() {
        rows.extend(judged.rows);
    }
    page::write(workspace, programs, name, &result)?;
    super::keep_logs(&logs, &evidence);
    if missed.is_empty() && !args.keep {
        fs::remove_dir_all(&evidence).ok();
    }
    Ok(missed)
}

fn stretches(result: &Value) -> impl Iterator<Item = &Value> {
    result["figures"]["stretches"].as_array().into_iter().flatten()
}

/// A figure that is no number meets nothing.
fn aim(what: &str, figure: f64, most: f64) -> Value {
    json!({ "what": what, "figure": figure, "most": most, "met": figure <= most })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_found_by_names_that_no_fault_has() {
        for (name, _) in list() {
            assert!(named(name).is_some() && crate::drill::faults::named(name).is_err(), "{name}");
        }
        assert!(named("earthquake").is_none());
    }

    #[test]
    fn a_figure_that_is_no_number_is_missed() {
        assert_eq!(aim("x", f64::NAN, 1.0)["met"], false);
        assert_eq!(aim("x", 1.0, 1.0)["met"], true);
    }
}
