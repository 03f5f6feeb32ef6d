//! One member of the plain profile: what one connection saw is in order, without repeat and without a hole.
//! Not here: resuming, which this profile does not have (`member`).

use super::known::Member;
use super::{Kind, Violation, What};

/// Everything such a member's story can show.
pub(super) fn check(member: &Member<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut last: Option<(u64, &str)> = None;
    let mut count: Option<u64> = None;
    for record in &member.records {
        let mut tell = |kind, evidence: String| {
            found.push(Violation::new(kind, member.room, evidence).seen_by(member.name, record.at));
        };
        match &record.what {
            What::Connected { .. } => last = None,
            What::History { rows, .. } | What::Page { rows, .. } if rows.is_empty() => {}
            What::History { .. } | What::Received(_) => {
                for seen in record.what.seen() {
                    let Some((before, epoch)) = last.replace((seen.seq, &seen.epoch)) else { continue };
                    // Over a jump it may name one further back, as with the other profile.
                    let names_another = |prev| prev > before || prev < before && epoch == seen.epoch.as_str();
                    if seen.seq == before {
                        tell(Kind::Repeated, format!("{before} came again"));
                    } else if seen.seq < before {
                        tell(Kind::OutOfOrder, format!("{} came after {before}", seen.seq));
                    } else if let Some(prev) = seen.prev.filter(|prev| names_another(*prev)) {
                        let evidence = format!("{} comes after {prev}, seen was {before}", seen.seq);
                        tell(Kind::SilentHole, evidence);
                    }
                }
            }
            What::Count { count: told } => count = Some(*told),
            What::Settled { connected } if count.is_some_and(|count| count != *connected) => {
                tell(Kind::CountWrong, format!("was last told {count:?}, and there are {connected}"));
            }
            What::Done { joined: false } => {
                tell(Kind::LeftBehind, "is not in its room at the end".to_owned());
            }
            _ => {}
        }
    }
    found
}
