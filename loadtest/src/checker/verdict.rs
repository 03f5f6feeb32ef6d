//! What came of a run: the figures of its line in the table, and the violations.
//! Not here: the table (`cargo xtask drill` prints it).

use std::collections::{BTreeSet, HashMap};

use serde::Serialize;

use super::known::{Known, Room};
use super::sender::left_waiting;
use super::times::standstill;
use super::{Evidence, Kind, Violation, What};

/// A run's figures.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Verdict {
    /// Different messages that were sent.
    pub(crate) sent: usize,
    /// Different messages that were acknowledged.
    pub(crate) acked: usize,
    /// Of those, as `wal`.
    pub(crate) acked_wal: usize,
    /// Rows of the store.
    pub(crate) stored: usize,
    /// In how many epochs the rows of a room are, at most.
    pub(crate) epochs: usize,
    /// Numbers within an epoch that no row has.
    pub(crate) skipped: u64,
    /// Messages seen live or on a resume, by all members together.
    pub(crate) delivered: usize,
    /// Pages of history that said they were complete, and all.
    pub(crate) pages_complete: usize,
    pub(crate) pages: usize,
    pub(crate) pages_unanswered: usize,
    /// Sends without an answer of any kind for long, on a connection that lived.
    pub(crate) left_waiting: usize,
    /// Joins and resumes; resumes that were not recovered, and gaps: losses that were told.
    pub(crate) joins: usize,
    pub(crate) unrecovered: usize,
    pub(crate) gaps: usize,
    /// Violations by column of the table.
    pub(crate) lost: usize,
    pub(crate) repeated: usize,
    pub(crate) reordered: usize,
    pub(crate) holes: usize,
    pub(crate) counts_wrong: usize,
    pub(crate) pages_wrong: usize,
    pub(crate) others: usize,
    /// The longest time without an acknowledgement, and without a live message, in a room that was spoken in.
    pub(crate) seconds_without_ack: f64,
    pub(crate) seconds_without_live: f64,
    pub(crate) violations: Vec<Violation>,
}

impl Verdict {
    pub(super) fn of(evidence: &Evidence, known: &Known<'_>, mut violations: Vec<Violation>) -> Self {
        violations.sort_by(|a, b| (a.kind, &a.room, a.at).cmp(&(b.kind, &b.room, b.at)));
        let still = standstill(known);
        let count = |is: fn(&What) -> bool| evidence.records.iter().filter(|record| is(&record.what)).count();
        let kinds =
            |kinds: &[Kind]| violations.iter().filter(|violation| kinds.contains(&violation.kind)).count();
        let lost = kinds(&[Kind::AckedNotStored, Kind::NotGiven, Kind::SeenNotStored, Kind::LeftBehind]);
        let repeated = kinds(&[Kind::StoredTwice, Kind::Repeated, Kind::NumberTwice]);
        let reordered = kinds(&[Kind::OutOfOrder]);
        let holes = kinds(&[Kind::SilentHole, Kind::StoreHole]);
        let counts_wrong = kinds(&[Kind::CountWrong]);
        let pages_wrong = kinds(&[Kind::PageMisses, Kind::JoinMisses, Kind::ServedDiffers]);
        Self {
            sent: known.rooms.values().map(|room| room.sent.len()).sum(),
            acked: acked(known, |_| true),
            acked_wal: acked(known, |level| level == "wal"),
            stored: evidence.rows.len(),
            epochs: known.rooms.values().map(epochs).max().unwrap_or(0),
            skipped: known.rooms.values().map(skipped).sum(),
            delivered: count(|what| matches!(what, What::Received(_))),
            pages_complete: count(|what| matches!(what, What::Page { complete: true, .. })),
            pages: count(|what| matches!(what, What::Page { .. })),
            pages_unanswered: count(|what| matches!(what, What::PageUnanswered { .. })),
            left_waiting: known.members.iter().map(left_waiting).sum(),
            joins: count(|what| matches!(what, What::Joined { .. })),
            unrecovered: count(|what| matches!(what, What::Joined { recovered: false, .. })),
            gaps: count(|what| matches!(what, What::Gap { .. })),
            lost,
            repeated,
            reordered,
            holes,
            counts_wrong,
            pages_wrong,
            others: violations.len() - lost - repeated - reordered - holes - counts_wrong - pages_wrong,
            seconds_without_ack: still.without_ack as f64 / 1e6,
            seconds_without_live: still.without_live as f64 / 1e6,
            violations,
        }
    }

    /// Whether every promise was kept.
    pub(crate) fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }
}

fn epochs(room: &Room<'_>) -> usize {
    room.rows.values().map(|row| row.epoch.as_str()).collect::<BTreeSet<_>>().len()
}

fn skipped(room: &Room<'_>) -> u64 {
    let mut last: HashMap<&str, u64> = HashMap::new();
    let steps = room.rows.values().filter_map(|row| Some(row.seq - last.insert(&row.epoch, row.seq)? - 1));
    steps.sum()
}

fn acked(known: &Known<'_>, is: fn(&str) -> bool) -> usize {
    let of_room = |room: &Room<'_>| {
        let acks = room.acks.iter().filter(|ack| is(ack.level));
        acks.map(|ack| (ack.member, ack.client_id)).collect::<std::collections::HashSet<_>>().len()
    };
    known.rooms.values().map(of_room).sum()
}
