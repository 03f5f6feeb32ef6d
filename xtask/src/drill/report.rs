//! The table of a drill, a line for each fault, and what it means for the exit status.
//! Not here: how violations are found (`moim-loadtest check`).

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde_json::Value;

use crate::fault::Fault;

pub(crate) const HEAD: &str = "\
fault                   seed    sent   acked  stored  lost  repeated  reordered  holes  counts  pages  other  told  no ack s  no live s  p99 ms
-----------------------------------------------------------------------------------------------------------------------------------------------";

/// One fault.
pub(crate) struct Line {
    pub(crate) fault: &'static str,
    pub(crate) seed: u64,
    pub(crate) summary: Value,
    pub(crate) verdict: Value,
    /// What had to hold beside the promises, and did not.
    pub(crate) unmet: Vec<String>,
    pub(crate) evidence: PathBuf,
}

#[derive(Default)]
pub(crate) struct Report {
    pub(crate) lines: Vec<Line>,
    /// What kept these from their end was told when it happened.
    pub(crate) not_tried: Vec<(&'static str, u64)>,
}

impl Line {
    fn count(&self, key: &str) -> u64 {
        self.verdict[key].as_u64().unwrap_or(0)
    }

    fn violations(&self) -> usize {
        // Without a list there was no judgement, which must not look like a clean one.
        self.verdict["violations"].as_array().map_or(usize::MAX, Vec::len)
    }

    /// How many violations a judgement that was made has found.
    pub(crate) fn violations_found(&self) -> usize {
        self.verdict["violations"].as_array().map_or(0, Vec::len)
    }

    /// The kinds of violations, each with how many.
    pub(crate) fn kinds(&self) -> String {
        let mut kinds = BTreeMap::new();
        for violation in self.verdict["violations"].as_array().into_iter().flatten() {
            *kinds.entry(violation["kind"].as_str().unwrap_or("?")).or_insert(0) += 1;
        }
        let kinds = kinds.into_iter().map(|(kind, number)| format!("{number} {kind}"));
        kinds.chain(self.unmet.iter().cloned()).collect::<Vec<_>>().join(", ")
    }

    /// What was told to members and so is no violation: resumes that were none, and gaps.
    pub(crate) fn told(&self) -> u64 {
        self.count("unrecovered") + self.count("gaps")
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.violations() == 0 && self.unmet.is_empty()
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = [
            ("sent", 8),
            ("acked", 8),
            ("stored", 8),
            ("lost", 6),
            ("repeated", 10),
            ("reordered", 11),
            ("holes", 7),
            ("countsWrong", 8),
            ("pagesWrong", 7),
            ("others", 7),
        ];
        write!(f, "{:<24}{:>4}", self.fault, self.seed)?;
        for (key, width) in columns {
            write!(f, "{:>width$}", self.count(key))?;
        }
        let told = self.told();
        let seconds = |key: &str| self.verdict[key].as_f64().unwrap_or(f64::NAN);
        let p99 = self.summary["liveMs"]["p99"].as_f64().unwrap_or(f64::NAN);
        let (ack, live) = (seconds("secondsWithoutAck"), seconds("secondsWithoutLive"));
        write!(f, "{told:>6}{ack:>10.1}{live:>11.1}{p99:>8.0}")?;
        for unmet in &self.unmet {
            write!(f, "\n    {unmet}")?;
        }
        if !self.is_clean() {
            write!(f, "\n    evidence: {}", self.evidence.display())?;
        }
        Ok(())
    }
}

impl Report {
    /// A fault where anything did not hold.
    pub(crate) fn outcome(&self) -> Result<(), Fault> {
        let broken: Vec<_> =
            self.lines.iter().filter(|line| !line.is_clean()).map(|line| (line.fault, line.seed)).collect();
        let names = |of: &[(&str, u64)]| {
            of.iter().map(|(fault, seed)| format!("{fault} (seed {seed})")).collect::<Vec<_>>().join(", ")
        };
        let commands = [broken.clone(), self.not_tried.clone()].concat();
        let commands =
            commands.iter().map(|(fault, seed)| format!("cargo xtask drill {fault} --seed {seed}"));
        let again = format!("again: {}", commands.collect::<Vec<_>>().join("; "));
        if !self.not_tried.is_empty() {
            let what = format!("not every fault was tried to its end: {}", names(&self.not_tried));
            return Err(Fault::new(what, again));
        }
        if broken.is_empty() {
            let count = |key| self.lines.iter().map(|line| line.count(key)).sum::<u64>();
            let (runs, acked) = (self.lines.len(), count("acked"));
            println!("every promise was kept: {runs} runs, {acked} messages acknowledged");
            return Ok(());
        }
        Err(Fault::new(format!("a promise was broken under {}", names(&broken)), again))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn line(verdict: Value, unmet: &[&str]) -> Line {
        let summary = json!({ "liveMs": { "p99": 12.4 } });
        let unmet = unmet.iter().map(ToString::to_string).collect();
        Line { fault: "redis-kill", seed: 7, summary, verdict, unmet, evidence: "evidence".into() }
    }

    #[test]
    fn columns_stand_below_their_names() {
        let verdict = json!({ "sent": 1, "acked": 2, "lost": 4, "others": 7, "secondsWithoutAck": 1.25, "secondsWithoutLive": 2.0, "violations": [] });
        let shown = line(verdict, &[]).to_string();
        let head = HEAD.lines().next().unwrap();
        assert_eq!(shown.chars().count(), head.chars().count(), "{head}\n{shown}");
        let end = |name: &str| head.find(name).unwrap() + name.len();
        assert_eq!(&shown[..end("lost")].chars().last(), &Some('4'));
        assert_eq!(&shown[..end("other")].chars().last(), &Some('7'));
        assert!(shown.ends_with("      12"), "{shown}");
    }

    #[test]
    fn a_violation_an_unmet_demand_and_a_missing_verdict_are_faults() {
        let good = || line(json!({ "violations": [] }), &[]);
        let report = |lines| Report { lines, not_tried: Vec::new() };
        assert!(report(vec![good()]).outcome().is_ok());
        let bad = [
            line(json!({ "violations": [{}] }), &[]),
            line(json!({ "violations": [] }), &["not unready"]),
            line(json!({}), &[]),
        ];
        for bad in bad {
            let fault = report(vec![good(), bad]).outcome().unwrap_err();
            assert_eq!(fault.cure, "again: cargo xtask drill redis-kill --seed 7");
        }
        let untried =
            Report { lines: vec![good()], not_tried: vec![("redis-oom", 3)] }.outcome().unwrap_err();
        assert_eq!(untried.cure, "again: cargo xtask drill redis-oom --seed 3");
    }
}
