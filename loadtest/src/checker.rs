//! What a run of members under faults proves: their records and the store's rows, held against the promises.
//! Not here: making records (`record`), reading rows (`rows`); nothing here does IO or knows a clock.

mod known;
mod member;
mod pages;
mod plain;
mod record;
mod sender;
mod store;
mod times;
mod verdict;
mod violation;

pub(crate) use record::{Away, Profile, Record, Row, Seen, What, hash};
pub(crate) use verdict::Verdict;
pub(crate) use violation::{Kind, Violation};

use known::Known;

/// Everything that was written down about one run.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    /// What members saw and did, each member's in the order in which it happened.
    pub(crate) records: Vec<Record>,
    /// What the store holds in the end, all rooms.
    pub(crate) rows: Vec<Row>,
    /// What was read through each gateway in the end, where that was done.
    pub(crate) served: Vec<Vec<Row>>,
    /// When the store was away, where somebody took it away.
    pub(crate) away: Vec<Away>,
}

/// Holds all of it against the promises.
pub(crate) fn check(evidence: &Evidence) -> Verdict {
    let known = Known::of(evidence);
    let mut violations = known.numbers_used_twice();
    violations.extend(store::check(evidence, &known));
    for member in &known.members {
        violations.extend(match member.profile {
            Profile::V1 => member::check(member, &known),
            Profile::Plain => plain::check(member, &known),
        });
        violations.extend(sender::levels(member, &evidence.away));
    }
    violations.extend(pages::check(&known));
    Verdict::of(evidence, &known, violations)
}

#[cfg(test)]
mod tests;
