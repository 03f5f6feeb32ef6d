//! What a room's members were last told of how many are here, and what to tell them where no notice has said so: a node that
//! was taken for dead is back, a notice was lost, or spared while Redis was full.
//! Not here: who is here (`presence`), the notices of those who come and go (`moim-core`).

use std::{
    cmp::Ordering,
    time::{Duration, Instant},
};

use moim_bus::Here;
use moim_protocol::{Notice, PresenceChange, UserName};

/// How long a count may differ from what was told: notices of a crowd are merged for a second, and then are on their way.
pub(super) const SETTLE: Duration = Duration::from_secs(3);

/// One room's.
#[derive(Default)]
pub(super) struct Told {
    /// Over all nodes. `None`: nothing was known yet, and those who join are told by their welcome.
    total: Option<u64>,
    /// How many of those were on other nodes.
    elsewhere: u64,
    /// Since when there are more or fewer.
    differs: Option<Instant>,
    /// Somebody was not told: who had just come, and was welcomed with what was known then.
    but_one: bool,
    /// Who came and who went last, of those who are not told of.
    came: Option<UserName>,
    went: Option<UserName>,
}

impl Told {
    /// Members were told that so many are here, so many of them on other nodes.
    pub(super) fn told(&mut self, total: u64, elsewhere: u64) {
        *self = Self { total: Some(total), elsewhere, ..Self::default() };
    }

    /// Whether there are more or fewer on other nodes than was told.
    pub(super) fn is_news(&self, elsewhere: u64) -> bool {
        self.total.is_some() && self.elsewhere != elsewhere
    }

    /// All were told but the one whose coming it was, who may have come before the news.
    pub(super) fn told_to_others(&mut self, now: Instant) {
        self.but_one = true;
        self.differs.get_or_insert(now);
    }

    /// What is there before the first members are live is theirs to begin with.
    pub(super) fn begins(&mut self, total: u64, elsewhere: u64) {
        if self.total.is_none() {
            self.told(total, elsewhere);
        }
    }

    /// A node has others than before.
    pub(super) fn changed(&mut self, before: Option<&Here>, after: Option<&Here>) {
        let count = |here: Option<&Here>| here.map_or(0, |here| here.count);
        match count(after).cmp(&count(before)) {
            Ordering::Greater => self.came = one_more(before, after).or(self.came.take()),
            Ordering::Less => self.went = one_more(after, before).or(self.went.take()),
            Ordering::Equal => {}
        }
    }

    /// So many are here now. Answers whether members were told otherwise.
    pub(super) fn is_off(&mut self, now: Instant, total: u64, elsewhere: u64) -> bool {
        match self.total {
            Some(told) if told != total || self.but_one => {
                self.differs.get_or_insert(now);
                true
            }
            Some(_) if self.elsewhere == elsewhere => {
                self.told(total, elsewhere);
                false
            }
            // As many came as went: those who come next are welcomed with one, and told of neither.
            Some(_) => {
                self.differs = None;
                false
            }
            None => false,
        }
    }

    /// What to tell of the difference, if it has lasted.
    pub(super) fn due(&self, now: Instant, total: u64) -> Option<Notice> {
        if now.duration_since(self.differs?) < SETTLE {
            return None;
        }
        let told = self.total?;
        let came = self.came.clone().map(|name| (PresenceChange::Join, name));
        let went = self.went.clone().map(|name| (PresenceChange::Leave, name));
        let (change, username) = match total.cmp(&told) {
            Ordering::Greater => came?,
            Ordering::Less => went?,
            // As many came here as went elsewhere.
            Ordering::Equal => went.or(came)?,
        };
        let count = u32::try_from(total.abs_diff(told).max(1)).unwrap_or(u32::MAX);
        Some(Notice { change, username, count, except: None })
    }
}

/// A name that the larger has and the smaller has not, or has less often.
fn one_more(smaller: Option<&Here>, larger: Option<&Here>) -> Option<UserName> {
    let names = &larger?.names;
    let mut known: Vec<_> = smaller.map_or(&[][..], |here| &here.names).iter().collect();
    let is_new = |name: &&UserName| match known.iter().position(|it| it == name) {
        Some(at) => {
            known.swap_remove(at);
            false
        }
        None => true,
    };
    names.iter().find(is_new).or(names.first()).cloned()
}

#[cfg(test)]
mod tests {
    use moim_bus::Relayed;
    use moim_protocol::{MemberKey, NodeId, RoomEvent, RoomId, Timestamp};

    use super::*;
    use crate::{
        event::PresenceEvent,
        keys::Keys,
        presence::{Buried, Presence},
    };

    const OWN: NodeId = NodeId(1);
    const OTHER: NodeId = NodeId(2);

    fn here(names: &[&str]) -> Here {
        Here { count: names.len() as u64, names: names.iter().map(|name| UserName::trusted(*name)).collect() }
    }

    fn notice(change: PresenceChange, name: &str, count: u32) -> Notice {
        Notice { change, username: UserName::trusted(name), count, except: None }
    }

    /// A room where `kim` is on this node, and `lee` and `park` on another, as everybody was told.
    struct Case {
        presence: Presence,
        room: RoomId,
        start: Instant,
    }

    impl Case {
        fn new() -> Self {
            let (presence, room, start) =
                (Presence::new(OWN, Keys::new("moim", 1)), RoomId::trusted("r"), Instant::now());
            presence.leases(start, &[(OTHER, start + Duration::from_secs(8))]);
            presence.loads(&room);
            let all = vec![(OWN, here(&["kim"])), (OTHER, here(&["lee", "park"]))];
            presence.loaded(start, &room, Timestamp::default(), Some(all));
            Self { presence, room, start }
        }

        fn at(&self, seconds: u64) -> Instant {
            self.start + Duration::from_secs(seconds)
        }

        /// It is heard, and what members must be told of it is.
        fn heard(&self, seconds: u64, node: NodeId, names: &[&str], notices: Vec<Notice>) {
            let event = PresenceEvent { node, here: here(names), notices };
            for event in self.presence.heard(self.at(seconds), &self.room, Timestamp::default(), event) {
                self.presence.was_told(self.at(seconds), &self.room, &event);
            }
        }

        /// What is put right, and told.
        fn due(&self, seconds: u64) -> Vec<(Notice, u64)> {
            let due = self.presence.untold(self.at(seconds), |_| Timestamp::default());
            let one = |Relayed { room, event }| {
                self.presence.was_told(self.at(seconds), &room, &event);
                let RoomEvent::Presence { notice: Some(notice), elsewhere, .. } = event else {
                    panic!("{event:?}")
                };
                (notice, elsewhere)
            };
            due.into_iter().map(one).collect()
        }
    }

    #[test]
    fn a_node_that_is_back_from_the_dead_brings_its_members() {
        let case = Case::new();
        let Buried { told, .. } = case.presence.bury(case.at(8), Timestamp::default());
        told.iter().for_each(|relayed| case.presence.was_told(case.at(8), &case.room, &relayed.event));
        assert!(case.due(20).is_empty(), "they were told");
        case.heard(20, OTHER, &["lee", "park"], Vec::new());
        assert!(case.due(22).is_empty(), "a notice may be on its way");
        assert_eq!(case.due(23), [(notice(PresenceChange::Join, "lee", 2), 2)]);
        assert!(case.due(30).is_empty(), "once");
    }

    #[test]
    fn who_came_and_went_with_a_notice_is_not_told_of_again() {
        let case = Case::new();
        case.heard(1, OTHER, &["lee", "park", "choi"], vec![notice(PresenceChange::Join, "choi", 1)]);
        // A crowd's notice comes after its count.
        case.heard(2, OTHER, &["lee", "park", "choi", "a", "b"], Vec::new());
        assert!(case.due(3).is_empty());
        case.heard(4, OTHER, &["lee", "park", "choi", "a", "b"], vec![notice(PresenceChange::Join, "a", 2)]);
        assert!(case.due(9).is_empty());
        case.heard(10, OTHER, &["lee"], Vec::new());
        case.heard(11, OTHER, &["lee", "park", "choi", "a", "b"], Vec::new());
        assert!(case.due(20).is_empty(), "it is as it was told");
    }

    #[test]
    fn a_notice_that_is_lost_is_made_up_for_with_the_right_name() {
        let case = Case::new();
        case.heard(1, OTHER, &["lee"], Vec::new());
        assert_eq!(case.due(4), [(notice(PresenceChange::Leave, "park", 1), 1)]);
        case.heard(5, OTHER, &["lee", "lee"], Vec::new());
        assert_eq!(case.due(8), [(notice(PresenceChange::Join, "lee", 1), 2)]);
        case.heard(9, OWN, &[], Vec::new());
        assert_eq!(case.due(12), [(notice(PresenceChange::Leave, "kim", 1), 2)], "of this node, too");
    }

    /// Who comes is welcomed with what is known, and not told of its own coming.
    #[test]
    fn who_came_before_the_news_is_told_of_it() {
        let case = Case::new();
        let joins = |name: &str| {
            let except = Some(MemberKey { node: OWN, connection: 7 });
            vec![Notice { except, ..notice(PresenceChange::Join, name, 1) }]
        };
        case.heard(1, OWN, &["kim", "mina"], joins("mina"));
        assert!(case.due(9).is_empty(), "nothing was news");
        // Mina's welcome knew of nobody more, and everybody else hears of choi by the count of another notice.
        case.heard(10, OTHER, &["lee", "park", "choi"], Vec::new());
        case.heard(11, OWN, &["kim", "mina", "jun"], joins("jun"));
        assert_eq!(case.due(13), [(notice(PresenceChange::Join, "jun", 2), 3)]);
        case.heard(20, OTHER, &["lee", "park"], Vec::new());
        case.heard(21, OWN, &["kim", "mina", "jun", "han"], joins("han"));
        assert_eq!(case.due(24), [(notice(PresenceChange::Leave, "choi", 1), 2)], "as many as were told");
        assert!(case.due(40).is_empty(), "once");
    }

    #[test]
    fn what_could_not_be_delivered_is_not_told() {
        let case = Case::new();
        let gone = notice(PresenceChange::Leave, "park", 1);
        let event = PresenceEvent { node: OTHER, here: here(&["lee"]), notices: vec![gone.clone()] };
        case.presence.heard(case.at(1), &case.room, Timestamp::default(), event);
        assert_eq!(case.due(4), [(gone, 1)]);
        case.heard(5, OTHER, &[], Vec::new());
        case.presence.forget(&case.room);
        assert!(case.due(9).is_empty(), "nobody wants it any more");
    }

    #[test]
    fn what_is_there_at_first_is_no_news() {
        let case = Case::new();
        assert!(case.due(9).is_empty());
        let presence = Presence::new(OWN, Keys::new("moim", 1));
        presence.leases(case.start, &[(OTHER, case.start)]);
        presence.loads(&case.room);
        // It could not be read, and is heard of later.
        presence.loaded(case.start, &case.room, Timestamp::default(), None);
        presence.loads(&case.room);
        presence.loaded(case.start, &case.room, Timestamp::default(), Some(vec![(OTHER, here(&["lee"]))]));
        let told = presence.untold(case.at(3), |_| Timestamp::default());
        assert_eq!(told.len(), 1, "who joined meanwhile was told that nobody is there");
    }
}
