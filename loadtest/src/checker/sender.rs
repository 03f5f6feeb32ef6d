//! Senders: an answer says what it was asked to say and what is true, and none is left without one.
//! Not here: whether what was acknowledged is in the store in the end (`store`).

use std::collections::HashMap;

use super::known::Member;
use super::{Away, Kind, Violation, What};

/// A gateway gives a publish 10 s; whoever has no answer much later, on a connection that lives, was forgotten.
const ANSWER_MICROS_MAX: u64 = 15_000_000;

/// `stored` that was asked for is what was given, and nothing is `stored` that was first sent while nothing could be.
pub(super) fn levels(member: &Member<'_>, away: &[Away]) -> Vec<Violation> {
    let mut sent: HashMap<&str, (u64, Option<&str>)> = HashMap::new();
    let mut found = Vec::new();
    for record in &member.records {
        match &record.what {
            What::Sent { client_id, level, .. } => {
                sent.entry(client_id).or_insert((record.at, level.as_deref()));
            }
            What::Ack { client_id, level, .. } => {
                let Some((first, wanted)) = sent.get(client_id.as_str()) else { continue };
                let mut tell = |evidence| {
                    found.push(
                        Violation::new(Kind::LevelFalse, member.room, evidence)
                            .seen_by(member.name, record.at),
                    );
                };
                if *wanted == Some("stored") && level != "stored" {
                    tell(format!("{client_id} asked for `stored` and was acknowledged as `{level}`"));
                }
                let is_within = |away: &&Away| away.from < *first && record.at < away.to;
                if let Some(away) = away.iter().find(is_within).filter(|_| level == "stored") {
                    let (from, to) = (away.from / 1000, away.to / 1000);
                    tell(format!(
                        "{client_id} was first sent and acknowledged as `stored` while the store was away, from \
                         {from} to {to} ms"
                    ));
                }
            }
            _ => {}
        }
    }
    found
}

/// How many sends had no answer of any kind for long while their connection lived.
pub(super) fn left_waiting(member: &Member<'_>) -> usize {
    let mut open: HashMap<&str, u64> = HashMap::new();
    let mut left = 0;
    for record in &member.records {
        let is_late = |sent: u64| record.at - sent > ANSWER_MICROS_MAX;
        match &record.what {
            What::Sent { client_id, .. } => {
                open.entry(client_id).or_insert(record.at);
            }
            What::Ack { client_id, .. } | What::Error { client_id: Some(client_id), .. } => {
                left += usize::from(open.remove(client_id.as_str()).is_some_and(is_late));
            }
            What::Lost { .. } | What::Done { .. } => {
                left += open.drain().filter(|(_, sent)| is_late(*sent)).count();
            }
            _ => {}
        }
    }
    left
}
