//! Tries plants: what must catch each passes on the tree as it is, and fails on the copy without the rule.
//! Not here: the copy (`tree`), the faults and their judgement (`drill`), the tests themselves.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::drill::{DrillArgs, Programs, Store, faults, one};
use crate::fault::Fault;
use crate::guarded::{Farewell, Guarded, Output};
use crate::process::show;
use crate::servers::place::Place;
use crate::servers::{Kind, Servers};
use crate::workspace::Workspace;

use super::tree::Tree;
use super::{CaughtBy, Plant, Test};

/// A build from nothing, on a busy machine.
const BUILD_TIMEOUT: Duration = Duration::from_secs(3600);
/// A test that waits for what never comes gives up by itself, after a minute or so for each wait.
const TEST_TIMEOUT: Duration = Duration::from_secs(600);
/// Of what a test said, in the table.
const SHOWN_CHARS: usize = 110;

/// What became of one plant.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// And how that showed.
    Caught(String),
    Missed,
    /// Why not, or not to its end: which says nothing about the rule.
    NotTried(String),
}

/// Everything that plants are tried with.
struct Grounds<'a> {
    workspace: &'a Workspace,
    args: &'a DrillArgs,
    tree: Tree<'a>,
    place: Place,
    store: Option<(Store, Programs)>,
    servers: Option<Servers>,
}

/// Each must be caught: one that is not is a hole in the drill, or in a test.
pub(crate) fn run(workspace: &Workspace, args: &DrillArgs, chosen: &[&Plant]) -> Result<(), Fault> {
    let start = Instant::now();
    let mut grounds = Grounds::start(workspace, args, chosen)?;
    let unfit = grounds.as_it_is(chosen)?;
    let mut lines = Vec::new();
    for (nth, plant) in chosen.iter().enumerate() {
        println!("[{}/{}] {}: without \"{}\"", nth + 1, chosen.len(), plant.name, plant.rule);
        let since = Instant::now();
        let outcome = match unfit.get(&plant.caught_by.to_string()) {
            Some(why) => Outcome::NotTried(why.clone()),
            None => grounds.without(plant).unwrap_or_else(|why| Outcome::NotTried(why.to_string())),
        };
        println!("    {outcome} ({} s, {})", since.elapsed().as_secs(), plant.caught_by);
        lines.push((*plant, outcome));
    }
    print!("\n{}", table(&lines));
    println!("{} plants, {} s", lines.len(), start.elapsed().as_secs());
    let result = judge(&lines);
    grounds.end(result)
}

impl<'a> Grounds<'a> {
    fn start(workspace: &'a Workspace, args: &'a DrillArgs, chosen: &[&Plant]) -> Result<Self, Fault> {
        let place = Place::make(workspace, "drill")?;
        let drills = chosen.iter().any(|plant| matches!(plant.caught_by, CaughtBy::Drill(_)));
        let tests = chosen.iter().any(|plant| matches!(plant.caught_by, CaughtBy::Test(_)));
        let mut store = match drills {
            true => Some((Store::start(workspace, &place)?, Programs::build(workspace, args)?)),
            false => None,
        };
        let mut servers = tests.then(|| Servers::start(workspace, &[Kind::Redis])).transpose()?;
        if let Some((store, _)) = &mut store {
            store.ready(workspace, &place)?;
        }
        if let Some(servers) = &mut servers {
            servers.ready(workspace)?;
        }
        Ok(Self { workspace, args, tree: Tree::new(workspace), place, store, servers })
    }

    /// What is to catch them, on the tree as it is. Answers what fails there already, and so can catch nothing.
    fn as_it_is(&mut self, chosen: &[&Plant]) -> Result<BTreeMap<String, String>, Fault> {
        let mut all: Vec<_> = chosen.iter().map(|plant| plant.caught_by).collect();
        all.sort_by_key(ToString::to_string);
        all.dedup();
        println!("the tree as it is: {} tests and faults that must pass", all.len());
        self.tree.become_of(None)?;
        let mut unfit = BTreeMap::new();
        for caught_by in all {
            let outcome = match caught_by {
                CaughtBy::Drill(fault) => self.drill(fault)?,
                CaughtBy::Test(test) => self.test(test, "as it is")?,
            };
            match outcome {
                Outcome::Missed => println!("    passes: {caught_by}"),
                Outcome::Caught(how) | Outcome::NotTried(how) => {
                    println!("    FAILS: {caught_by}: {how}");
                    unfit.insert(caught_by.to_string(), format!("it fails without the plant, too: {how}"));
                }
            }
        }
        Ok(unfit)
    }

    fn without(&mut self, plant: &Plant) -> Result<Outcome, Fault> {
        self.tree.become_of(Some(plant))?;
        match plant.caught_by {
            CaughtBy::Test(test) => self.test(test, plant.name),
            CaughtBy::Drill(fault) => {
                let mut build = self.tree.cargo();
                build.args(["build", "--package", "moim"]);
                self.quietly(&build, plant.name, BUILD_TIMEOUT)?;
                let moim = self.tree.moim();
                let own =
                    self.store.as_mut().map(|(_, programs)| std::mem::replace(&mut programs.moim, moim));
                let outcome = self.drill(fault);
                if let (Some((_, programs)), Some(own)) = (&mut self.store, own) {
                    programs.moim = own;
                }
                outcome
            }
        }
    }

    /// One fault under the moim of the moment.
    fn drill(&mut self, fault: &str) -> Result<Outcome, Fault> {
        let Some((store, programs)) = &mut self.store else {
            return Err(Fault::plain("no store was started for a drill"));
        };
        let line = one(self.workspace, self.args, programs, &self.place, store, faults::named(fault)?)?;
        let violations = line.violations_found();
        Ok(match line.is_clean() {
            true => Outcome::Missed,
            false if violations > 0 => Outcome::Caught(line.kinds()),
            // Something else than the checker's judgement: a server that was late, or no judgement at all.
            false => Outcome::NotTried(format!("no violation, but {}", line.kinds())),
        })
    }

    /// One test in the copy as it is now. That it does not build is no violation.
    fn test(&self, test: Test, name: &str) -> Result<Outcome, Fault> {
        let mut build = self.tree.cargo();
        build.arg("test").args(test.selection()).arg("--no-run");
        self.quietly(&build, name, BUILD_TIMEOUT)?;
        let mut run = self.tree.cargo();
        run.arg("test").args(test.selection()).args(["--", "--exact", test.name]);
        if let Some(servers) = &self.servers {
            servers.tell(&mut run);
        }
        let log = self.place.log(&format!("{name}-test"));
        let ended = run_into(&run, &log, TEST_TIMEOUT)?;
        let said = fs::read_to_string(&log).map_err(Fault::io(format!("read {}", log.display())))?;
        Ok(match ended {
            Some(true) => passed(&said, test),
            Some(false) => failed(&said, test),
            None => Outcome::NotTried(format!("had not ended after {} s", TEST_TIMEOUT.as_secs())),
        })
    }

    /// Its output is kept for the fault.
    fn quietly(&self, command: &Command, name: &str, limit: Duration) -> Result<(), Fault> {
        let log = self.place.log(&format!("{name}-build"));
        match run_into(command, &log, limit)? {
            Some(true) => Ok(()),
            Some(false) => Err(Fault::plain(format!("`{}` failed: {}", show(command), log.display()))),
            None => Err(Fault::plain(format!("`{}` had not ended in time", show(command)))),
        }
    }

    fn end(self, result: Result<(), Fault>) -> Result<(), Fault> {
        let Self { place, store, servers, .. } = self;
        drop(store);
        let result = match servers {
            Some(servers) => servers.end(result),
            None => result,
        };
        match result {
            Ok(()) => {
                place.forget();
                Ok(())
            }
            Err(fault) => Err(place.blame(fault)),
        }
    }
}

/// Whether it ended well; `None`: it did not end.
fn run_into(command: &Command, log: &Path, limit: Duration) -> Result<Option<bool>, Fault> {
    // Of another try of the same.
    fs::remove_file(log).ok();
    let mut running = Guarded::start(command, &Farewell::Terminate, &Output::File(log))?;
    Ok(running.wait_within(limit).map(|status| status.success()))
}

/// A name that selects nothing passes as well.
fn passed(said: &str, test: Test) -> Outcome {
    if said.contains("test result: ok. 1 passed") {
        return Outcome::Missed;
    }
    Outcome::NotTried(format!("there is no test {}", test.name))
}

fn failed(said: &str, test: Test) -> Outcome {
    let has_failed = said.contains(&format!("test {} ... FAILED", test.name));
    let mut lines = said.lines();
    let what = lines.find(|line| line.contains(test.says));
    match what {
        Some(what) if has_failed => Outcome::Caught(shortened(what.trim())),
        _ => {
            // What was said first, after where it was said.
            let after = said.lines().skip_while(|line| !line.contains(" panicked at ")).nth(1);
            Outcome::NotTried(format!(
                "it failed for something else than {:?}: {}",
                test.says,
                after.unwrap_or_default()
            ))
        }
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Caught(how) => write!(f, "caught: {how}"),
            Self::Missed => f.write_str("NOT CAUGHT"),
            Self::NotTried(why) => write!(f, "NOT TRIED to its end: {why}"),
        }
    }
}

fn table(lines: &[(&Plant, Outcome)]) -> String {
    let widest = |of: &dyn Fn(&Plant) -> usize| lines.iter().map(|(plant, _)| of(plant)).max().unwrap_or(0);
    let name = widest(&|plant| plant.name.len());
    let rule = widest(&|plant| plant.rule.chars().count());
    let by = widest(&|plant| plant.caught_by.to_string().len());
    let mut text =
        format!("{:<name$}  {:<rule$}  {:<by$}  how it showed\n", "plant", "rule left out", "caught by");
    for (plant, outcome) in lines {
        let caught_by = plant.caught_by.to_string();
        text.push_str(&format!(
            "{:<name$}  {:<rule$}  {caught_by:<by$}  {outcome}\n",
            plant.name, plant.rule
        ));
    }
    text
}

fn judge(lines: &[(&Plant, Outcome)]) -> Result<(), Fault> {
    let names = |is_meant: &dyn Fn(&Outcome) -> bool| {
        let names = lines.iter().filter(|(_, outcome)| is_meant(outcome)).map(|(plant, _)| plant.name);
        names.collect::<Vec<_>>().join(", ")
    };
    let missed = names(&|outcome| *outcome == Outcome::Missed);
    if !missed.is_empty() {
        let cure = "sharpen the fault or the test it must show under, or the checker";
        return Err(Fault::new(format!("planted and not caught: {missed}"), cure));
    }
    let not_tried = names(&|outcome| matches!(outcome, Outcome::NotTried(_)));
    if !not_tried.is_empty() {
        let what = format!("not every plant was tried to its end: {not_tried}");
        return Err(Fault::new(what, "see why above"));
    }
    println!("every plant was caught");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEST: Test = Test { package: "p", target: Some("t"), name: "a::b", says: "stored twice" };

    #[test]
    fn only_its_own_failure_for_its_own_reason_is_a_catch() {
        let said = "test a::b ... FAILED\nthread 'a::b' panicked at x.rs:1:\n  a row is stored twice: 7\n";
        assert_eq!(failed(said, TEST), Outcome::Caught("a row is stored twice: 7".into()));
        for other in [
            "test a::b ... FAILED\nthread 'a::b' panicked at x.rs:1:\nnot in time: the node is ready\n",
            "test a::c ... FAILED\na row is stored twice\n",
            "error: could not compile `p`: stored twice\n",
        ] {
            assert!(matches!(failed(other, TEST), Outcome::NotTried(_)), "{other}");
        }
    }

    #[test]
    fn a_name_that_selects_nothing_has_not_passed() {
        assert_eq!(passed("test result: ok. 1 passed; 0 failed", TEST), Outcome::Missed);
        let none = passed("test result: ok. 0 passed; 0 failed; 9 filtered out", TEST);
        assert!(matches!(none, Outcome::NotTried(_)));
    }

    #[test]
    fn what_was_missed_or_not_tried_is_a_fault() {
        let plant = &super::super::PLANTS[0];
        let caught = || (plant, Outcome::Caught("1 lost".into()));
        assert!(judge(&[caught()]).is_ok());
        let missed = judge(&[caught(), (plant, Outcome::Missed)]).unwrap_err();
        assert_eq!(missed.what, format!("planted and not caught: {}", plant.name));
        assert!(judge(&[caught(), (plant, Outcome::NotTried("late".into()))]).is_err());
    }
}
