//! What a run came to: of one process, or of several together, summed so that it reads as one.
//! Not here: how it is shown (`play`), how processes play together (`parts`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    crowd::{Crowd, Timeline},
    stats::Delays,
};

/// Evidence that is kept: the first few tell why.
const EVIDENCE_KEPT: usize = 20;

#[derive(Serialize, Deserialize)]
pub(super) struct Found {
    pub(super) seconds: f64,
    pub(super) timeline: Timeline,
    pub(super) silences: Delays,
    /// Promises broken, and the first of them.
    pub(super) wrong: u64,
    pub(super) evidence: Vec<String>,
    pub(super) resent: u64,
    pub(super) gaps: u64,
    pub(super) unrecovered: u64,
    pub(super) errors: BTreeMap<String, u64>,
    pub(super) ends: BTreeMap<String, u64>,
}

impl Found {
    /// Everything that these members saw, who spoke for so long.
    pub(super) fn of(crowd: Crowd, seconds: f64) -> Self {
        let mut silences = Delays::new();
        crowd.silences().for_each(|silence| silences.record(silence));
        let (wrong, evidence) = crowd.books.all_wrong();
        Self {
            seconds,
            silences,
            wrong,
            evidence: evidence.to_vec(),
            resent: crowd.books.resent(),
            gaps: crowd.books.gaps(),
            unrecovered: crowd.books.unrecovered(),
            errors: crowd.books.errors().clone(),
            ends: crowd.books.ends().clone(),
            timeline: crowd.timeline,
        }
    }

    /// What others found who played the same scenario in the same time.
    pub(super) fn add(&mut self, others: Self) {
        self.seconds = self.seconds.max(others.seconds);
        self.timeline.add(others.timeline);
        self.silences.add(&others.silences);
        self.wrong += others.wrong;
        self.evidence.extend(others.evidence);
        self.evidence.truncate(EVIDENCE_KEPT);
        self.resent += others.resent;
        self.gaps += others.gaps;
        self.unrecovered += others.unrecovered;
        for (sum, more) in [(&mut self.errors, others.errors), (&mut self.ends, others.ends)] {
            more.into_iter().for_each(|(code, times)| *sum.entry(code).or_default() += times);
        }
    }
}
