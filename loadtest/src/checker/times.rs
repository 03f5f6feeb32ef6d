//! How long things stood still: the longest time without an answer, and without a live message.
//! Not here: latency, which members measure as they go (`record`).

use std::collections::BTreeMap;

use super::What;
use super::known::Known;

/// The longest standstills of any room, in microseconds, while it was spoken in.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Standstill {
    pub(super) without_ack: u64,
    pub(super) without_live: u64,
}

/// From the first send to the last one of each room: before and after that, silence is right.
pub(super) fn standstill(known: &Known<'_>) -> Standstill {
    let mut longest = Standstill::default();
    for name in known.rooms.keys() {
        let mut happened: BTreeMap<u8, Vec<u64>> = BTreeMap::new();
        for member in known.members.iter().filter(|member| member.room == *name) {
            for record in &member.records {
                match record.what {
                    What::Sent { intended, attempt: 1, .. } => happened.entry(0).or_default().push(intended),
                    What::Ack { .. } => happened.entry(1).or_default().push(record.at),
                    What::Received(_) => happened.entry(2).or_default().push(record.at),
                    _ => {}
                }
            }
        }
        let sent = happened.remove(&0).unwrap_or_default();
        let (Some(first), Some(last)) = (sent.iter().min(), sent.iter().max()) else { continue };
        let mut longest_of = |kind| widest(*first, *last, happened.remove(&kind).unwrap_or_default());
        longest.without_ack = longest.without_ack.max(longest_of(1));
        longest.without_live = longest.without_live.max(longest_of(2));
    }
    longest
}

/// The widest step from `first` over `times` to `last`; what comes later than `last` still ends the last step.
fn widest(first: u64, last: u64, mut times: Vec<u64>) -> u64 {
    times.retain(|time| *time >= first);
    times.sort_unstable();
    let mut before = first;
    let mut widest = 0;
    for time in times {
        if before < last {
            widest = widest.max(time - before);
        }
        before = time;
    }
    widest.max(last.saturating_sub(before))
}

#[cfg(test)]
mod tests {
    use super::widest;

    #[test]
    fn the_widest_step_counts_both_ends() {
        assert_eq!(widest(10, 100, vec![20, 30, 90]), 60);
        assert_eq!(widest(10, 100, vec![80]), 70);
        assert_eq!(widest(10, 100, vec![]), 90);
        assert_eq!(widest(10, 100, vec![95, 500]), 405, "an answer long after the last send");
        assert_eq!(widest(10, 100, vec![50, 100, 500]), 50, "after the last send silence is right");
    }
}
