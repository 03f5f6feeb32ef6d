//! Merging of join and leave notices: N joins never cost N times N frames.
//! Not here: the sentence (`moim_protocol::text`), who is told (`room`).

use std::time::{Duration, Instant};

use moim_protocol::{MemberKey, Notice, PresenceChange, UserName, limits::NOTICES_PER_SECOND};

const WINDOW: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Notices {
    joins: Merger,
    leaves: Merger,
}

#[derive(Default)]
struct Merger {
    window_start: Option<Instant>,
    told: u32,
    merged: Option<(UserName, MemberKey, u32)>,
}

impl Notices {
    /// Somebody came or went: the notice to tell now, or `None` when it is told with others at the deadline.
    pub(super) fn note(
        &mut self,
        now: Instant,
        change: PresenceChange,
        username: &UserName,
        member: MemberKey,
    ) -> Option<Notice> {
        let merger = match change {
            PresenceChange::Join => &mut self.joins,
            PresenceChange::Leave => &mut self.leaves,
        };
        merger.note(now, username, member).then(|| Notice {
            change,
            username: username.clone(),
            count: 1,
            except: Some(member),
        })
    }

    /// When merged notices are due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        [&self.joins, &self.leaves].into_iter().filter_map(Merger::deadline).min()
    }

    /// Merged notices that are due now.
    pub(super) fn flush(&mut self, now: Instant) -> impl Iterator<Item = Notice> + use<> {
        let joins = self.joins.flush(now, PresenceChange::Join);
        let leaves = self.leaves.flush(now, PresenceChange::Leave);
        joins.into_iter().chain(leaves)
    }
}

impl Merger {
    fn note(&mut self, now: Instant, username: &UserName, member: MemberKey) -> bool {
        if let Some((_, _, count)) = &mut self.merged {
            *count += 1;
            return false;
        }
        if self.window_start.is_none_or(|start| now >= start + WINDOW) {
            self.window_start = Some(now);
            self.told = 0;
        }
        if self.told < NOTICES_PER_SECOND {
            self.told += 1;
            return true;
        }
        self.merged = Some((username.clone(), member, 1));
        false
    }

    fn deadline(&self) -> Option<Instant> {
        self.merged.as_ref().and(self.window_start).map(|start| start + WINDOW)
    }

    fn flush(&mut self, now: Instant, change: PresenceChange) -> Option<Notice> {
        if self.deadline().is_none_or(|at| now < at) {
            return None;
        }
        let (username, member, count) = self.merged.take()?;
        // The merged notice is the first one of the new second.
        self.window_start = Some(now);
        self.told = 1;
        Some(Notice { change, username, count, except: (count == 1).then_some(member) })
    }
}

#[cfg(test)]
mod tests {
    use moim_protocol::NodeId;

    use super::*;

    fn member(connection: u64) -> MemberKey {
        MemberKey { node: NodeId(1), connection }
    }

    #[test]
    fn the_twenty_first_in_a_second_is_merged() {
        let (mut notices, start) = (Notices::default(), Instant::now());
        let name = UserName::trusted("n");
        for connection in 0..20 {
            assert!(notices.note(start, PresenceChange::Join, &name, member(connection)).is_some());
        }
        for connection in 20..1000 {
            assert!(notices.note(start, PresenceChange::Join, &name, member(connection)).is_none());
        }
        assert!(
            notices.note(start, PresenceChange::Leave, &name, member(1)).is_some(),
            "leaves are counted apart"
        );
        assert_eq!(notices.deadline(), Some(start + WINDOW));
        assert_eq!(notices.flush(start + WINDOW / 2).count(), 0);
        let told: Vec<_> = notices.flush(start + WINDOW).collect();
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].count, told[0].except), (980, None));
        assert_eq!(notices.deadline(), None);
    }

    #[test]
    fn a_single_one_left_over_is_told_as_one() {
        let (mut notices, start) = (Notices::default(), Instant::now());
        let name = UserName::trusted("n");
        for connection in 0..21 {
            notices.note(start, PresenceChange::Join, &name, member(connection));
        }
        let told: Vec<_> = notices.flush(start + WINDOW).collect();
        assert_eq!((told[0].count, told[0].except), (1, Some(member(20))));
    }
}
