//! `cargo xtask drill`: breaks a real cluster under load, one fault at a time, and lets the checker judge what members saw.
//! Not here: the judgement (`moim-loadtest check`), members and proxy (`moim-loadtest`), the faults (`faults`).

mod acts;
mod away;
mod backends;
mod clock;
mod faults;
mod members;
mod must;
mod orders;
mod page;
mod plants;
mod random;
mod report;
mod scale;
mod stage;
mod together;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use clap::Args;

use crate::fault::Fault;
use crate::process::stream;
use crate::servers::place::Place;
use crate::workspace::Workspace;

use backends::Store;
use faults::{FAULTS, Named};
use report::{Line, Report};
use stage::{GATEWAYS, Programs, Stage};

/// Before the fault: what is normal shows in the same records.
const CALM_BEFORE: Duration = Duration::from_secs(4);
/// After everything has healed: that it goes on shows as well.
const CALM_AFTER: Duration = Duration::from_secs(6);

#[derive(Args, Clone, Debug)]
pub(crate) struct DrillArgs {
    /// Which: names of the table (--list), `all` faults, or `random` for schedules of several
    #[arg(value_name = "FAULT")]
    faults: Vec<String>,
    /// Name the faults and stop
    #[arg(long)]
    list: bool,
    /// Where rooms, texts, times, victims and schedules come from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How long the schedules of `random` go on, and the stretches of `cassandra-latency`
    #[arg(long, default_value_t = 3)]
    minutes: u64,
    /// How often, each time with the next seed
    #[arg(long, default_value_t = 1, value_name = "N")]
    times: u64,
    /// Keep the evidence of runs without a violation as well
    #[arg(long)]
    keep: bool,
    /// Outages as long as the promises name them, ten minutes instead of half a one
    #[arg(long)]
    full: bool,
    /// Leave a rule out of a copy of the code, and see that its fault or its test catches it: names of the table, or `all`
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', conflicts_with = "faults")]
    plant: Vec<String>,
    /// Another moim than the one built from here
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// Another moim-loadtest than the one built from here
    #[arg(long, value_name = "PATH")]
    loadtest: Option<PathBuf>,
}

/// Of `cargo xtask test`: a loss on either side of the log, in about two minutes.
const SHORT: [&str; 2] = ["gateway-kill", "redis-wipe-unstored"];

/// The selection for every day.
pub(crate) fn short(workspace: &Workspace) -> Result<(), Fault> {
    let args = DrillArgs {
        faults: SHORT.map(str::to_owned).into(),
        list: false,
        seed: 1,
        minutes: 0,
        times: 1,
        keep: false,
        full: false,
        plant: Vec::new(),
        binary: None,
        loadtest: None,
    };
    run(workspace, &args)
}

pub(crate) fn run(workspace: &Workspace, args: &DrillArgs) -> Result<(), Fault> {
    if args.list || args.faults.is_empty() && args.plant.is_empty() {
        print!("{}", faults::list());
        println!("\nMeasures, which are in no `all` and want a quiet machine:");
        scale::list().for_each(|(name, about)| println!("{name:22}  {about}"));
        return Ok(());
    }
    if !args.plant.is_empty() {
        return plants::trial::run(workspace, args, &plants::chosen(&args.plant)?);
    }
    let (scales, faults): (Vec<_>, Vec<_>) =
        args.faults.iter().cloned().partition(|name| scale::named(name).is_some());
    let chosen = chosen(&faults)?;
    let place = Place::make(workspace, "drill")?;
    let mut store = Store::start(workspace, &place)?;
    // While Cassandra starts.
    let programs = Programs::build(workspace, args)?;
    store.ready(workspace, &place)?;
    let mut missed = Vec::new();
    for scale in scales.iter().filter_map(|name| scale::named(name)) {
        missed.extend(scale::run(workspace, args, &programs, &place, &mut store, scale)?);
    }
    let outcome = each(workspace, args, &programs, &place, &mut store, &chosen);
    drop(store);
    let outcome = outcome.and_then(|()| match missed.is_empty() {
        true => Ok(()),
        false => Err(Fault::new(format!("missed: {}", missed.join("; ")), "look at the report named above")),
    });
    match outcome {
        Ok(()) => {
            place.forget();
            Ok(())
        }
        Err(fault) => Err(place.blame(fault)),
    }
}

/// One fault after the other, a line of the table for each.
fn each(
    workspace: &Workspace,
    args: &DrillArgs,
    programs: &Programs,
    place: &Place,
    store: &mut Store,
    chosen: &[&'static Named],
) -> Result<(), Fault> {
    if chosen.is_empty() {
        return Ok(());
    }
    let mut report = Report::default();
    println!("{}", report::HEAD);
    let seeds = args.seed..args.seed + args.times;
    for (seed, fault) in seeds.flat_map(|seed| chosen.iter().map(move |fault| (seed, *fault))) {
        let args = DrillArgs { seed, ..args.clone() };
        match one(workspace, &args, programs, place, store, fault) {
            Ok(line) => {
                println!("{line}");
                report.lines.push(line);
            }
            // One that could not be tried keeps nobody from trying the others.
            Err(why) => {
                println!("{:<24}not tried to its end: {why}", fault.name);
                report.not_tried.push((fault.name, seed));
            }
        }
    }
    page::write(workspace, programs, "faults", &page::of_faults(&report, args.seed))?;
    report.outcome()
}

fn chosen(names: &[String]) -> Result<Vec<&'static Named>, Fault> {
    if names.iter().any(|name| name == "all") {
        return Ok(FAULTS.iter().collect());
    }
    names.iter().map(|name| faults::named(name)).collect()
}

/// One fault from an empty cluster to a line of the table.
fn one(
    workspace: &Workspace,
    args: &DrillArgs,
    programs: &Programs,
    place: &Place,
    store: &mut Store,
    fault: &'static Named,
) -> Result<Line, Fault> {
    let evidence = workspace.kept("drill-evidence").join(format!("{}-{}", fault.name, args.seed));
    fs::remove_dir_all(&evidence).ok();
    fs::create_dir_all(&evidence).map_err(Fault::io(format!("make {}", evidence.display())))?;
    let mut stage = Stage::start(workspace, args, programs, place, store, fault, &evidence)?;
    let mut members = stage.members(&fault.load)?;
    sleep(CALM_BEFORE);
    (fault.make)(&mut stage, &mut members)?;
    sleep(CALM_AFTER);
    for gateway in 0..GATEWAYS {
        let is_ready = stage.is_gateway_ready(gateway);
        stage.demand(is_ready, || format!("gateway-{} is not ready when all has healed", gateway + 1));
    }
    let summary = members.end()?;
    let verdict = stage.check()?;
    let unmet: Vec<_> = fault.must.iter().filter_map(|must| must.unmet(&summary, &verdict)).collect();
    unmet.into_iter().for_each(|what| stage.demand(false, || what));
    let (unmet, logs) = stage.end()?;
    let line =
        Line { fault: fault.name, seed: args.seed, summary, verdict, unmet, evidence: evidence.clone() };
    if line.is_clean() && !args.keep {
        fs::remove_dir_all(&evidence).ok();
    } else {
        keep_logs(&logs, &evidence);
    }
    Ok(line)
}

/// The logs of the servers beside what the members saw of them.
fn keep_logs(logs: &[PathBuf], evidence: &Path) {
    for log in logs {
        if let Some(name) = log.file_name() {
            // Evidence without a log is still evidence.
            fs::copy(log, evidence.join(name)).ok();
        }
    }
}

/// The two programs that a drill needs beside the servers.
fn build(workspace: &Workspace, package: &str) -> Result<(), Fault> {
    stream(workspace.cargo().args(["build", "--package", package]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_selection_for_every_day_is_there() {
        assert_eq!(chosen(&SHORT.map(str::to_owned)).unwrap().len(), SHORT.len());
    }
}
