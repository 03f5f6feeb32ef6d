//! Who is in which room on which node: this node's counts on their way out, all nodes' as they tell them, and nodes that died.
//! Not here: who is a live member (`moim-core`), the leases (`nodes`), what members were told (`told`), who dies (`burial`).

mod burial;
mod told;

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

use moim_bus::{GiveBack, HERE_NAMES_MAX, Here, Relayed};
use moim_protocol::{NodeId, Notice, PresenceChange, RoomEvent, RoomId, Timestamp};

pub(crate) use self::burial::Buried;
use self::told::Told;
use crate::{event::PresenceEvent, keys::Keys, lock::locked};

/// Changes of a room gather so long before they are told.
pub(crate) const GATHER: Duration = Duration::from_millis(100);
/// Every room is told again so often, over the whole minute, in case it was lost.
pub(crate) const REPEAT: Duration = Duration::from_secs(60);
/// How long Redis keeps what nobody repeats.
pub(crate) const KEPT: Duration = Duration::from_secs(150);
/// Notices of a room that wait to be told. Full: further ones are not; the counts are.
const NOTICES_MAX: usize = 64;

#[derive(Default)]
struct Own {
    here: Here,
    notices: Vec<Notice>,
}

/// Who is in a room on each node, this one among them.
#[derive(Default)]
struct Nodes {
    nodes: HashMap<NodeId, Here>,
    /// Reads of the whole on their way.
    loading: u32,
    /// Nodes that were heard of since the first of those began: what was heard is newer than what was read.
    heard: HashSet<NodeId>,
    /// As they were read last, of nodes that are not known to live: dead ones that nobody has cleared away, or new ones.
    strangers: HashMap<NodeId, Here>,
    told: Told,
}

impl Nodes {
    fn change(&mut self, node: NodeId, here: Option<Here>) -> Option<Here> {
        if self.loading > 0 {
            self.heard.insert(node);
        }
        self.strangers.remove(&node);
        self.told.changed(self.nodes.get(&node), here.as_ref());
        match here {
            Some(here) => self.nodes.insert(node, here),
            None => self.nodes.remove(&node),
        }
    }

    /// A read has ended, with or without an answer.
    fn loaded(&mut self, own: NodeId, all: Option<Vec<(NodeId, Here)>>, is_alive: impl Fn(NodeId) -> bool) {
        if let Some(all) = all {
            let (mut all, mut strangers): (HashMap<_, _>, HashMap<_, _>) =
                all.into_iter().partition(|(node, _)| is_alive(*node));
            strangers.retain(|node, _| !self.heard.contains(node));
            self.strangers = strangers;
            for node in &self.heard {
                match self.nodes.get(node).cloned() {
                    Some(here) => all.insert(*node, here),
                    None => all.remove(node),
                };
            }
            for node in self.nodes.keys().chain(all.keys()) {
                self.told.changed(self.nodes.get(node), all.get(node));
            }
            self.nodes = all;
        }
        self.told.begins(self.total(), self.elsewhere(own));
        self.loading = self.loading.saturating_sub(1);
        if self.loading == 0 {
            self.heard = HashSet::new();
        }
    }

    /// Strangers who live are none. Answers whether there were any.
    fn let_in(&mut self, alive: &HashMap<NodeId, Instant>) -> bool {
        let known: Vec<_> = self.strangers.extract_if(|node, _| alive.contains_key(node)).collect();
        let were_there = !known.is_empty();
        for (node, here) in known {
            self.told.changed(None, Some(&here));
            self.nodes.insert(node, here);
        }
        were_there
    }

    fn total(&self) -> u64 {
        self.nodes.values().map(|here| here.count).sum()
    }

    fn on(&self, node: NodeId) -> u64 {
        self.nodes.get(&node).map_or(0, |here| here.count)
    }

    fn elsewhere(&self, own: NodeId) -> u64 {
        self.total() - self.on(own)
    }
}

#[derive(Default)]
struct State {
    own: HashMap<RoomId, Own>,
    /// Rooms to be told, by partition: those on a Redis that is late are not to be in the way of others.
    dirty: HashMap<u32, HashSet<RoomId>>,
    /// Of the rooms that are subscribed here.
    rooms: HashMap<RoomId, Nodes>,
    /// Of those, where members were told of more or fewer than there are.
    off: HashSet<RoomId>,
    /// And where nodes were read that were not known to live.
    strange: HashSet<RoomId>,
    /// Nodes with a lease, and until when they count as alive.
    alive: HashMap<NodeId, Instant>,
    /// Nodes without one that may live all the same, and until when.
    silent: HashMap<NodeId, Instant>,
}

/// One node's.
pub(crate) struct Presence {
    node: NodeId,
    keys: Keys,
    /// A std mutex: never held across an await. The longest section goes through all rooms when a node dies.
    state: Mutex<State>,
}

/// One room's news, to be told.
pub(crate) struct News {
    pub(crate) room: RoomId,
    pub(crate) here: Here,
    pub(crate) notices: Vec<Notice>,
}

impl Presence {
    pub(crate) fn new(node: NodeId, keys: Keys) -> Self {
        Self { node, keys, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }

    /// These are here now.
    pub(crate) fn set(&self, room: &RoomId, here: Here, notice: Option<Notice>) {
        let mut state = self.lock();
        let own = state.own.entry(room.clone()).or_default();
        own.here = here;
        if own.notices.len() < NOTICES_MAX {
            own.notices.extend(notice);
        }
        state.is_dirty(&self.keys, room.clone());
    }

    /// What is to be told of these partitions, at most so many rooms.
    pub(crate) fn take_news(&self, partitions: &[u32], rooms_max: usize) -> Vec<News> {
        let mut state = self.lock();
        let mut rooms = Vec::new();
        for partition in partitions {
            let Some(dirty) = state.dirty.get_mut(partition) else { continue };
            let some: Vec<_> = dirty.iter().take(rooms_max - rooms.len()).cloned().collect();
            some.iter().for_each(|room| drop(dirty.take(room)));
            dirty.give_back();
            rooms.extend(some);
        }
        let mut news = Vec::new();
        for room in rooms {
            let Some(own) = state.own.get_mut(&room) else { continue };
            let (here, notices) = (own.here.clone(), std::mem::take(&mut own.notices));
            if here.count == 0 {
                state.own.remove(&room);
                state.own.give_back();
            }
            news.push(News { room, here, notices });
        }
        news
    }

    /// It could not be told: it is tried again, with the count of then. `may_be_told`: nobody knows whether its notices were,
    /// and nobody shall hear them twice.
    pub(crate) fn failed(&self, news: News, may_be_told: bool) {
        let News { room, here, mut notices } = news;
        let mut state = self.lock();
        let own = state.own.entry(room.clone()).or_insert_with(|| Own { here, ..Own::default() });
        if !may_be_told {
            notices.append(&mut own.notices);
            notices.truncate(NOTICES_MAX);
            own.notices = notices;
        }
        state.is_dirty(&self.keys, room);
    }

    /// Some of the rooms, so that after `parts` calls all have been told again.
    pub(crate) fn repeat(&self, part: u64, parts: u64) {
        let mut state = self.lock();
        let of_part = |room: &RoomId| moim_bus::stable_hash(room.as_str().as_bytes()) % parts == part % parts;
        let rooms: Vec<_> = state.own.keys().filter(|room| of_part(room)).cloned().collect();
        rooms.into_iter().for_each(|room| state.is_dirty(&self.keys, room));
    }

    /// All rooms for which this holds are told again.
    pub(crate) fn repeat_if(&self, is_wanted: impl Fn(&RoomId) -> bool) {
        let mut state = self.lock();
        let rooms: Vec<_> = state.own.keys().filter(|room| is_wanted(room)).cloned().collect();
        rooms.into_iter().for_each(|room| state.is_dirty(&self.keys, room));
    }

    /// A room is subscribed here, and who is there on other nodes is about to be read.
    pub(crate) fn loads(&self, room: &RoomId) {
        self.lock().rooms.entry(room.clone()).or_default().loading += 1;
    }

    /// It was read, or could not be. `None`: there is nothing to say.
    pub(crate) fn loaded(
        &self,
        now: Instant,
        room: &RoomId,
        time: Timestamp,
        all: Option<Vec<(NodeId, Here)>>,
    ) -> Option<RoomEvent> {
        let was_read = all.is_some();
        let mut state = self.lock();
        let State { rooms, strange, alive, .. } = &mut *state;
        let nodes = rooms.get_mut(room)?;
        nodes.loaded(self.node, all, |node| node == self.node || alive.contains_key(&node));
        if !nodes.strangers.is_empty() {
            strange.insert(room.clone());
        }
        state.compare(now, self.node, room);
        was_read.then(|| RoomEvent::Presence {
            notice: None,
            elsewhere: state.elsewhere(room, self.node),
            time,
        })
    }

    /// The room is not subscribed any more.
    pub(crate) fn forget(&self, room: &RoomId) {
        let mut state = self.lock();
        state.rooms.remove(room);
        state.rooms.give_back();
        state.off.remove(room);
        state.off.give_back();
        state.strange.remove(room);
        state.strange.give_back();
    }

    /// A node told who is there. What of it was delivered is told back ([`Self::was_told`]).
    pub(crate) fn heard(
        &self,
        now: Instant,
        room: &RoomId,
        time: Timestamp,
        event: PresenceEvent,
    ) -> Vec<RoomEvent> {
        let PresenceEvent { node, here, notices } = event;
        let (is_own, count) = (node == self.node, here.count);
        let mut state = self.lock();
        if !is_own {
            // Until its lease is seen, which is at most a refresh away.
            state.alive.entry(node).or_insert_with(|| now + crate::nodes::LEASE);
        }
        let changed = match state.rooms.get_mut(room) {
            Some(nodes) => {
                let before = nodes.change(node, (count > 0).then_some(here));
                !is_own && before.is_none_or(|before| before.count != count)
            }
            None if is_own => false,
            None => return Vec::new(),
        };
        state.compare(now, self.node, room);
        let elsewhere = state.elsewhere(room, self.node);
        let event = |notice| RoomEvent::Presence { notice, elsewhere, time };
        match notices.len() {
            0 if changed => vec![event(None)],
            _ => notices.into_iter().map(|notice| event(Some(notice))).collect(),
        }
    }

    /// How many are in a room on other nodes, as far as it is known; `None`: it is not subscribed here.
    pub(crate) fn now(&self, room: &RoomId, time: Timestamp) -> Option<RoomEvent> {
        let state = self.lock();
        state.rooms.get(room)?;
        Some(RoomEvent::Presence { notice: None, elsewhere: state.elsewhere(room, self.node), time })
    }

    /// What is known by now, if it is another count than that event says.
    pub(crate) fn newer_than(&self, room: &RoomId, event: &RoomEvent) -> Option<RoomEvent> {
        let RoomEvent::Presence { elsewhere: told, time, .. } = event else { return None };
        let now = self.now(room, *time)?;
        matches!(now, RoomEvent::Presence { elsewhere, .. } if elsewhere != *told).then_some(now)
    }

    /// It was delivered to the room's members.
    pub(crate) fn was_told(&self, now: Instant, room: &RoomId, event: &RoomEvent) {
        let RoomEvent::Presence { notice: Some(notice), elsewhere, .. } = event else { return };
        let mut state = self.lock();
        let Some(nodes) = state.rooms.get_mut(room) else { return };
        let of_ours = notice.except.is_some_and(|member| member.node == self.node);
        if of_ours && notice.change == PresenceChange::Join && nodes.told.is_news(*elsewhere) {
            nodes.told.told_to_others(now);
            state.off.insert(room.clone());
            return;
        }
        let total = elsewhere + nodes.on(self.node);
        nodes.told.told(total, *elsewhere);
        state.off.remove(room);
    }

    /// What is to be told where counts have been others for a while than members were told. `time`: by the bus's clock.
    pub(crate) fn untold(&self, now: Instant, time: impl Fn(&RoomId) -> Timestamp) -> Vec<Relayed> {
        let state = self.lock();
        let one = |room: &RoomId| {
            let nodes = state.rooms.get(room)?;
            let notice = Some(nodes.told.due(now, nodes.total())?);
            let elsewhere = state.elsewhere(room, self.node);
            let event = RoomEvent::Presence { notice, elsewhere, time: time(room) };
            Some(Relayed { room: room.clone(), event })
        };
        state.off.iter().filter_map(one).collect()
    }

    /// All of them together, as far as their nodes live.
    pub(crate) fn sum(&self, all: Vec<(NodeId, Here)>) -> Here {
        let mut sum = Here::default();
        for (node, here) in all {
            if self.is_alive(node) {
                sum.count += here.count;
                sum.names.extend(here.names);
            }
        }
        sum.names.truncate(HERE_NAMES_MAX);
        sum
    }
}

impl State {
    fn is_dirty(&mut self, keys: &Keys, room: RoomId) {
        self.dirty.entry(keys.partition_of(&room)).or_default().insert(room);
    }

    fn elsewhere(&self, room: &RoomId, own: NodeId) -> u64 {
        self.rooms.get(room).map_or(0, |nodes| nodes.elsewhere(own))
    }

    /// Whether members were told otherwise is to be known without looking at every room.
    fn compare(&mut self, now: Instant, own: NodeId, room: &RoomId) {
        let Some(nodes) = self.rooms.get_mut(room) else { return };
        let (total, elsewhere) = (nodes.total(), nodes.elsewhere(own));
        if nodes.told.is_off(now, total, elsewhere) {
            self.off.insert(room.clone());
        } else {
            self.off.remove(room);
        }
    }
}

#[cfg(test)]
mod tests {
    use moim_protocol::UserName;

    use super::*;

    const OWN: NodeId = NodeId(1);
    const OTHER: NodeId = NodeId(2);

    fn room() -> RoomId {
        RoomId::trusted("r")
    }

    fn here(count: u64) -> Here {
        Here { count, names: vec![UserName::trusted("kim"); usize::try_from(count).unwrap().min(2)] }
    }

    fn told_of(node: NodeId, count: u64) -> PresenceEvent {
        PresenceEvent { node, here: here(count), notices: Vec::new() }
    }

    /// A node that knows of others for so long.
    fn beside(others: impl IntoIterator<Item = NodeId>, until: Instant) -> Presence {
        let presence = Presence::new(OWN, Keys::new("moim", 1));
        let alive: Vec<_> = others.into_iter().map(|node| (node, until)).collect();
        presence.leases(Instant::now(), &alive);
        presence
    }

    fn elsewhere(events: &[RoomEvent]) -> Vec<u64> {
        let one = |event: &RoomEvent| match event {
            RoomEvent::Presence { elsewhere, .. } => *elsewhere,
            other => panic!("{other:?}"),
        };
        events.iter().map(one).collect()
    }

    #[test]
    fn counts_of_others_are_absolute_and_our_own_are_not_among_them() {
        let (presence, time) = (beside([OTHER], Instant::now()), Timestamp::default());
        presence.loads(&room());
        presence.loaded(Instant::now(), &room(), time, Some(vec![(OWN, here(5)), (OTHER, here(3))]));
        let heard =
            |node, count| elsewhere(&presence.heard(Instant::now(), &room(), time, told_of(node, count)));
        assert_eq!(heard(OTHER, 3), [0; 0], "nothing new");
        assert_eq!(heard(OTHER, 4), [4]);
        assert_eq!(heard(NodeId(3), 10), [14]);
        assert_eq!(heard(OWN, 6), [0; 0]);
        assert_eq!(heard(OTHER, 0), [10]);
    }

    #[test]
    fn a_dead_nodes_members_are_gone_with_one_notice() {
        let (now, time) = (Instant::now(), Timestamp::default());
        let until = now + Duration::from_secs(8);
        let presence = beside([OTHER], until);
        presence.leases(now, &[(NodeId(3), until + Duration::from_secs(9))]);
        presence.loads(&room());
        presence.loaded(now, &room(), time, Some(vec![(OTHER, here(3)), (NodeId(3), here(1))]));
        // A Redis that has lost its leases kills nobody.
        presence.leases(now, &[]);
        assert!(presence.bury(now, time).dead.is_empty());
        let Buried { dead, told, .. } = presence.bury(until, time);
        assert_eq!(dead, [OTHER]);
        let [Relayed { event: RoomEvent::Presence { notice: Some(notice), elsewhere: 1, .. }, .. }] =
            &told[..]
        else {
            panic!("{told:?}")
        };
        assert_eq!((notice.count, notice.change), (3, PresenceChange::Leave));
        assert!(presence.bury(until, time).dead.is_empty());
    }

    /// It may have begun after this node's last heartbeat, and its people come before the next.
    #[test]
    fn who_is_read_before_their_node_is_known_is_counted_once_it_is() {
        let (now, time, new) = (Instant::now(), Timestamp::default(), NodeId(3));
        let presence = beside([OTHER], now);
        presence.loads(&room());
        let all = vec![(OTHER, here(1)), (new, here(2)), (NodeId(4), here(4))];
        let loaded = presence.loaded(now, &room(), time, Some(all)).unwrap();
        assert_eq!(elsewhere(&[loaded]), [1], "they may be dead");
        assert!(presence.leases(now, &[(OTHER, now)]).is_empty());
        assert_eq!(presence.leases(now, &[(new, now)]), [room()]);
        assert_eq!(elsewhere(&presence.now(&room(), time).into_iter().collect::<Vec<_>>()), [3]);
        let told = presence.untold(now + told::SETTLE, |_| time);
        let [Relayed { event: RoomEvent::Presence { notice: Some(notice), elsewhere: 3, .. }, .. }] =
            &told[..]
        else {
            panic!("{told:?}")
        };
        assert_eq!((notice.count, notice.change), (2, PresenceChange::Join), "members are told of them");
        presence.heard(now, &room(), time, told_of(NodeId(4), 0));
        assert!(presence.leases(now, &[(NodeId(4), now)]).is_empty(), "what was heard is newer");
    }

    #[test]
    fn what_is_heard_during_a_read_is_newer_than_what_is_read() {
        let (presence, time) = (beside([OTHER, NodeId(4)], Instant::now()), Timestamp::default());
        let heard = |node, count| presence.heard(Instant::now(), &room(), time, told_of(node, count));
        let loaded = |all| {
            presence.loaded(Instant::now(), &room(), time, all).map_or(vec![], |event| elsewhere(&[event]))
        };
        heard(OTHER, 9);
        presence.loads(&room());
        presence.loads(&room());
        heard(OTHER, 4);
        heard(NodeId(3), 0);
        assert_eq!(loaded(Some(vec![(OTHER, here(1)), (NodeId(3), here(2)), (NodeId(4), here(1))])), [5]);
        heard(NodeId(4), 0);
        assert_eq!(loaded(None), [0; 0], "a read that failed says nothing");
        assert_eq!(elsewhere(&heard(OTHER, 3)), [3]);
        presence.loads(&room());
        assert_eq!(loaded(Some(vec![(OTHER, here(7))])), [7], "what was heard before is older");
        presence.loads(&room());
        presence.forget(&room());
        assert_eq!(loaded(Some(vec![(OTHER, here(7))])), [0; 0], "nobody wants it any more");
    }

    #[test]
    fn notices_that_were_surely_not_told_are_told_later_in_their_order() {
        let presence = Presence::new(OWN, Keys::new("moim", 1));
        let notice = |name: &str| Notice {
            change: PresenceChange::Join,
            username: UserName::trusted(name),
            count: 1,
            except: None,
        };
        let names = |news: &[News]| -> Vec<String> {
            news[0].notices.iter().map(|notice| notice.username.as_str().to_owned()).collect()
        };
        presence.set(&room(), here(1), Some(notice("kim")));
        let failed = presence.take_news(&[0], 10).remove(0);
        presence.set(&room(), here(2), Some(notice("lee")));
        presence.failed(failed, false);
        let news = presence.take_news(&[0], 10);
        assert_eq!((names(&news), news[0].here.count), (vec!["kim".to_owned(), "lee".to_owned()], 2));
        presence.failed(news.into_iter().next().unwrap(), true);
        assert!(names(&presence.take_news(&[0], 10)).is_empty());
    }

    #[test]
    fn nobody_is_dead_because_redis_was_away() {
        let (now, time) = (Instant::now(), Timestamp::default());
        let presence = beside([OTHER], now);
        presence.loads(&room());
        presence.loaded(now, &room(), time, Some(vec![(OTHER, here(3))]));
        assert_eq!(
            presence.not_buried(now),
            [OTHER, OWN],
            "its lease has ended, and it may know what nobody else does"
        );
        let lease = Duration::from_secs(8);
        presence.nobody_dies_before(now + lease);
        presence.leases(now, &[(OTHER, now - lease)]);
        assert!(presence.bury(now + lease / 2, time).dead.is_empty());
        assert_eq!(presence.bury(now + lease, time).dead, [OTHER]);
        assert_eq!(presence.not_buried(now), [OWN]);
    }

    /// A copy that lags by more than a lease names nobody who lives.
    #[test]
    fn who_is_silent_when_a_node_begins_is_waited_for_and_not_counted() {
        let (now, time) = (Instant::now(), Timestamp::default());
        let presence = beside([NodeId(3)], now);
        presence.may_live(&[OTHER, NodeId(3)], now + Duration::from_secs(8));
        let mut waited = presence.not_buried(now);
        waited.sort_unstable_by_key(|node| node.0);
        assert_eq!(waited, [OWN, OTHER, NodeId(3)]);
        presence.loads(&room());
        let loaded = presence.loaded(now, &room(), time, Some(vec![(OTHER, here(2))])).unwrap();
        assert_eq!(elsewhere(&[loaded]), [0]);
        assert_eq!(presence.bury(now + Duration::from_secs(8), time).dead, [NodeId(3)]);
        assert_eq!(presence.not_buried(now + Duration::from_secs(8)), [OWN]);
    }

    #[test]
    fn news_gather_and_are_told_until_they_are_taken() {
        let presence = Presence::new(OWN, Keys::new("moim", 1));
        presence.set(&room(), here(1), None);
        presence.set(&room(), here(2), None);
        let news = presence.take_news(&[0], 10);
        assert_eq!(news.len(), 1);
        assert_eq!(news[0].here.count, 2);
        assert!(presence.take_news(&[0], 10).is_empty());
        presence.failed(news.into_iter().next().unwrap(), true);
        assert_eq!(presence.take_news(&[0], 10)[0].here.count, 2);
        presence.set(&room(), here(0), None);
        let news = presence.take_news(&[0], 10);
        presence.failed(news.into_iter().next().unwrap(), true);
        assert_eq!(presence.take_news(&[0], 10)[0].here.count, 0, "that nobody is here must be told too");
        presence.set(&room(), here(3), None);
        presence.take_news(&[0], 10);
        for part in 0..4 {
            presence.repeat(part, 4);
        }
        assert_eq!(presence.take_news(&[0], 10).len(), 1);
    }
}
