//! Runs steps in order: announces each, stops at the first failure, and closes with a table.
//! Not here: which steps there are (`steps`).

use std::fmt::Write as _;
use std::io::Write;
use std::time::{Duration, Instant};

use crate::fault::Fault;
use crate::workspace::Workspace;

/// One line of the table in `steps`.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    /// What is true once the step has passed.
    pub(crate) about: &'static str,
    /// What to do when it fails; a fault that knows better says so itself.
    pub(crate) cure: &'static str,
    pub(crate) run: fn(&Workspace) -> Result<(), Fault>,
}

enum Outcome {
    Passed(Duration),
    Failed(Duration, Fault),
    NotReached,
}

/// The steps asked for, in the order of the table. A name that is no step is a fault: it would else test nothing.
pub(crate) fn select(steps: &[Step], only: &[String], from: Option<&str>) -> Result<Vec<Step>, Fault> {
    let known = |name: &str| steps.iter().any(|step| step.name == name);
    if let Some(name) = only.iter().map(String::as_str).chain(from).find(|name| !known(name)) {
        let names: Vec<_> = steps.iter().map(|step| step.name).collect();
        return Err(Fault::new(format!("no step is called {name}"), format!("one of {}", names.join(", "))));
    }
    let start = from.and_then(|from| steps.iter().position(|step| step.name == from)).unwrap_or(0);
    let wanted = |step: &&Step| only.is_empty() || only.iter().any(|name| name == step.name);
    Ok(steps[start..].iter().filter(wanted).copied().collect())
}

/// The steps with what each is for.
pub(crate) fn list(steps: &[Step]) -> String {
    let width = width(steps);
    steps.iter().fold(String::new(), |mut text, step| {
        writeln!(text, "{:width$}  {}", step.name, step.about).ok();
        text
    })
}

pub(crate) fn run(workspace: &Workspace, steps: &[Step], out: &mut impl Write) -> Result<(), Fault> {
    let start = Instant::now();
    let mut outcomes = Vec::with_capacity(steps.len());
    for (index, step) in steps.iter().enumerate() {
        if matches!(outcomes.last(), Some(Outcome::Failed(..) | Outcome::NotReached)) {
            outcomes.push(Outcome::NotReached);
            continue;
        }
        say(out, &format!("\n==> {}/{} {}: {}", index + 1, steps.len(), step.name, step.about))?;
        let begun = Instant::now();
        let result = (step.run)(workspace);
        let took = begun.elapsed();
        let (word, outcome) = match result {
            Ok(()) => ("passed", Outcome::Passed(took)),
            Err(fault) => ("FAILED", Outcome::Failed(took, fault)),
        };
        say(out, &format!("<== {} {word} in {}", step.name, seconds(took)))?;
        outcomes.push(outcome);
    }
    say(out, &table(steps, &outcomes, start.elapsed()))?;
    match steps.iter().zip(outcomes).find_map(|(step, outcome)| failure(step, outcome)) {
        Some(fault) => Err(fault),
        None => Ok(()),
    }
}

/// The fault that ended the run, with the step's cure where it has none of its own and how to go on from there.
fn failure(step: &Step, outcome: Outcome) -> Option<Fault> {
    let Outcome::Failed(_, fault) = outcome else { return None };
    let cure = if fault.cure.is_empty() { step.cure } else { &fault.cure };
    let again = format!("{cure}\n  then: cargo xtask test --from {}", step.name);
    Some(Fault::new(format!("step {} failed: {}", step.name, fault.what), again))
}

fn table(steps: &[Step], outcomes: &[Outcome], total: Duration) -> String {
    let width = width(steps);
    let mut text = String::new();
    let (mut passed, mut failed) = (0, 0);
    for (step, outcome) in steps.iter().zip(outcomes) {
        let (word, took) = match outcome {
            Outcome::Passed(took) => ("passed", seconds(*took)),
            Outcome::Failed(took, _) => ("FAILED", seconds(*took)),
            Outcome::NotReached => ("not reached", String::new()),
        };
        passed += usize::from(word == "passed");
        failed += usize::from(word == "FAILED");
        writeln!(text, "{}", format!("{:width$}  {word:11}  {took:>9}", step.name).trim_end()).ok();
    }
    writeln!(text, "{:width$}  {:11}  {:>9}", "total", "", seconds(total)).ok();
    format!("\n{text}steps: {passed} passed, {failed} failed")
}

fn width(steps: &[Step]) -> usize {
    steps.iter().map(|step| step.name.len()).max().unwrap_or(0).max("total".len())
}

fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}

/// Flushed, since the programs that steps run write to the same place without asking us.
fn say(out: &mut impl Write, line: &str) -> Result<(), Fault> {
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(Fault::io("write the report"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn step(name: &'static str, run: fn(&Workspace) -> Result<(), Fault>) -> Step {
        Step { name, about: "it holds", cure: "mend it", run }
    }

    fn three() -> [Step; 3] {
        let red = |_: &Workspace| Err(Fault::plain("it broke"));
        [step("one", |_| Ok(())), step("two", red), step("three", |_| panic!("must not be reached"))]
    }

    fn nowhere() -> Workspace {
        Workspace { root: PathBuf::from("."), target: PathBuf::from(".") }
    }

    #[test]
    fn the_first_failure_stops_the_run_and_brings_its_cure() {
        let mut out = Vec::new();
        let fault = run(&nowhere(), &three(), &mut out).unwrap_err();
        assert_eq!(
            fault.to_string(),
            "step two failed: it broke\n  cure: mend it\n  then: cargo xtask test --from two"
        );
        let out = String::from_utf8(out).unwrap();
        assert!(out.contains("==> 1/3 one: it holds\n<== one passed in 0.0 s\n"), "{out}");
        assert!(out.contains("\ntwo    FAILED"), "{out}");
        assert!(out.contains("\nthree  not reached\n"), "{out}");
        assert!(out.ends_with("\nsteps: 1 passed, 1 failed\n"), "{out}");
    }

    #[test]
    fn a_fault_with_its_own_cure_keeps_it() {
        let own = step("own", |_| Err(Fault::new("no node", "install Node 20")));
        let fault = run(&nowhere(), &[own], &mut Vec::new()).unwrap_err();
        assert!(fault.cure.starts_with("install Node 20\n"), "{fault}");
    }

    #[test]
    fn steps_can_be_chosen_by_name_or_by_where_to_begin() {
        let names = |steps: Vec<Step>| steps.iter().map(|step| step.name).collect::<Vec<_>>();
        let only = ["three".to_owned(), "one".to_owned()];
        assert_eq!(names(select(&three(), &only, None).unwrap()), ["one", "three"]);
        assert_eq!(names(select(&three(), &[], Some("two")).unwrap()), ["two", "three"]);
        assert_eq!(names(select(&three(), &[], None).unwrap()).len(), 3);
    }

    #[test]
    fn an_unknown_step_is_a_fault() {
        let fault = select(&three(), &[], Some("four")).err().unwrap();
        assert_eq!(fault.to_string(), "no step is called four\n  cure: one of one, two, three");
    }
}
