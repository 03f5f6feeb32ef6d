//! Pages of history: one that claims to be complete misses nothing that was acknowledged before it was asked for.
//! Not here: pages that say they are incomplete, which promise nothing.

use std::collections::BTreeSet;

use super::known::{Known, Room};
use super::{Kind, Seen, Violation, What};

/// What a joiner is shown.
const JOIN_ROWS: u64 = 20;

/// Every page that any member got: those it asked for, and those that a join begins with.
pub(super) fn check(known: &Known<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    for member in &known.members {
        let Some(room) = known.room(member.room) else { continue };
        let mut joined = None;
        for record in &member.records {
            let page = match &record.what {
                What::Joined { seq, asked, .. } => {
                    joined = Some((*seq, *asked));
                    continue;
                }
                What::History { complete: true, rows } => joined.take().map(|(head, asked)| Page {
                    asked,
                    before: Some(head + 1),
                    limit: JOIN_ROWS,
                    rows,
                }),
                What::Page { asked, before, limit, complete: true, rows } => {
                    Some(Page { asked: *asked, before: *before, limit: *limit, rows })
                }
                _ => continue,
            };
            let faults = page.map(|page| page.faults(room)).into_iter().flatten();
            found.extend(
                faults
                    .map(|evidence| Violation::new(Kind::PageMisses, member.room, evidence))
                    .map(|violation| violation.seen_by(member.name, record.at)),
            );
        }
    }
    found
}

struct Page<'a> {
    asked: u64,
    before: Option<u64>,
    limit: u64,
    rows: &'a [Seen],
}

impl Page<'_> {
    fn faults(&self, room: &Room<'_>) -> Vec<String> {
        let numbers: BTreeSet<u64> = self.rows.iter().map(|row| row.seq).collect();
        // A page that is not full claims to be the beginning of the room.
        let is_full = self.rows.len() as u64 >= self.limit;
        let lowest = if is_full { numbers.first().copied().unwrap_or(0) } else { 0 };
        let within = |seq: u64| {
            seq >= lowest && self.before.is_none_or(|before| seq < before) && !numbers.contains(&seq)
        };
        let mut faults: Vec<String> = room
            .acked_before(self.asked)
            .filter(|ack| within(ack.seq))
            .map(|ack| {
                let (Self { asked, before, limit, .. }, seq) = (self, ack.seq);
                let age = (asked - ack.at) / 1000;
                format!(
                    "{seq} was acknowledged ({}) {age} ms before the page was asked for (before {before:?}, \
                     limit {limit}); it goes from {:?} to {:?}",
                    ack.level,
                    numbers.first(),
                    numbers.last()
                )
            })
            .collect();
        if let Some(row) = self.rows.iter().find(|row| self.before.is_some_and(|before| row.seq >= before)) {
            faults.push(format!("{} is in a page before {:?}", row.seq, self.before));
        }
        if self.rows.len() as u64 > self.limit {
            faults.push(format!("a page of {} has {} messages", self.limit, self.rows.len()));
        }
        for pair in self.rows.windows(2) {
            if pair[1].seq <= pair[0].seq {
                faults.push(format!("{} stands after {} in a page", pair[1].seq, pair[0].seq));
            }
            // Further back over a jump: what lies between was handed in late, after the second had its number.
            let is_late = |prev| prev < pair[0].seq && pair[0].epoch != pair[1].epoch;
            if pair[1].prev.is_some_and(|prev| prev != pair[0].seq && !is_late(prev)) {
                faults.push(format!(
                    "{} follows {} in a page, but its prev is {:?}",
                    pair[1].seq, pair[0].seq, pair[1].prev
                ));
            }
        }
        faults
    }
}
