//! Which nodes are alive, who comes with those that were not known to be, who leaves with those whose leases have ended, and
//! which of the living clears them away in Redis.
//! Not here: telling and clearing (`burials`), the leases (`nodes`).

use std::time::Instant;

use moim_bus::{GiveBack, Relayed, stable_hash};
use moim_protocol::{NodeId, Notice, PresenceChange, RoomEvent, RoomId, Timestamp};

use super::{Nodes, Presence, State};

/// What follows from deaths.
pub(crate) struct Buried {
    pub(crate) dead: Vec<NodeId>,
    /// To the members of each room that the dead were in.
    pub(crate) told: Vec<Relayed>,
    /// Rooms in which this node clears them away; in the others another one does.
    pub(crate) cleared: Vec<RoomId>,
}

impl Presence {
    /// Leases as one Redis has them. Those it does not name count as alive until theirs ends: it may have lost them.
    /// Answers the rooms with others in them than was known: those who were read there before their node was known to live.
    pub(crate) fn leases(&self, now: Instant, alive: &[(NodeId, Instant)]) -> Vec<RoomId> {
        let mut state = self.lock();
        for (node, until) in alive {
            let known = state.alive.entry(*node).or_insert(*until);
            *known = (*known).max(*until);
        }
        let State { rooms, strange, alive, .. } = &mut *state;
        let mut has_more = |room: &RoomId| rooms.get_mut(room).is_some_and(|nodes| nodes.let_in(alive));
        let more: Vec<_> = strange.extract_if(|room| has_more(room)).collect();
        strange.give_back();
        more.iter().for_each(|room| state.compare(now, self.node, room));
        more
    }

    /// Every node that counts as alive does so at least until then.
    pub(crate) fn nobody_dies_before(&self, until: Instant) {
        for known in self.lock().alive.values_mut() {
            *known = (*known).max(until);
        }
    }

    /// Whether a node counts as alive: it has been heard of, and is not buried. While Redis is away leases end that nobody can
    /// renew, and counts that are read before the next heartbeat are not without their nodes for that.
    pub(crate) fn is_alive(&self, node: NodeId) -> bool {
        node == self.node || self.lock().alive.contains_key(&node)
    }

    /// Nodes that may know something of a lost generation: all that are not buried. By memory, and not by the clock: Redis may
    /// lose its leases with the rest, and while it is away they end without anybody having died. One memory for all servers:
    /// a master that takes over in a cluster is a new one to this node, its people are not.
    pub(crate) fn not_buried(&self, now: Instant) -> Vec<NodeId> {
        let mut state = self.lock();
        state.silent.retain(|_, until| *until > now);
        let State { alive, silent, .. } = &*state;
        let others = alive.keys().chain(silent.keys().filter(|node| !alive.contains_key(node)));
        others.copied().filter(|node| *node != self.node).chain([self.node]).collect()
    }

    /// Nodes whose leases had ended when this node first asked. It has no memory of them, and what it asked may be an old copy: they may
    /// live, and know what the copy does not. They count for nothing else.
    pub(crate) fn may_live(&self, nodes: &[NodeId], until: Instant) {
        self.lock().silent.extend(nodes.iter().map(|node| (*node, until)));
    }

    /// Nodes whose leases have ended: their members are gone from every room, with one notice for each.
    pub(crate) fn bury(&self, now: Instant, time: Timestamp) -> Buried {
        let mut state = self.lock();
        let is_dead = |node: NodeId, until: Instant| until <= now && node != self.node;
        let dead = state.alive.iter().filter(|(node, until)| is_dead(**node, **until));
        let dead: Vec<_> = dead.map(|(node, _)| *node).collect();
        let mut told = Vec::new();
        for node in &dead {
            state.alive.remove(node);
            let gone = |(room, nodes): (&RoomId, &mut Nodes)| {
                nodes.change(*node, None).map(|here| (room.clone(), here))
            };
            let gone: Vec<_> = state.rooms.iter_mut().filter_map(gone).collect();
            for (room, here) in gone {
                state.compare(now, self.node, &room);
                let elsewhere = state.elsewhere(&room, self.node);
                let notice = here.names.first().filter(|_| here.count > 0).map(|username| Notice {
                    change: PresenceChange::Leave,
                    username: username.clone(),
                    count: u32::try_from(here.count).unwrap_or(u32::MAX),
                    except: None,
                });
                told.push(Relayed { room, event: RoomEvent::Presence { notice, elsewhere, time } });
            }
        }
        let mut cleared: Vec<_> = told.iter().map(|relayed| relayed.room.clone()).collect();
        cleared.retain(|room| {
            let own = state.own.get(room).is_some_and(|own| own.here.count > 0).then_some(self.node);
            let others = state.rooms.get(room).into_iter().flat_map(|nodes| nodes.nodes.keys().copied());
            // Where nobody is left, nobody else may look at the room.
            clears(room, others.chain(own)).is_none_or(|node| node == self.node)
        });
        Buried { dead, told, cleared }
    }
}

/// Who of the nodes in a room clears the dead away: all choose the same (rendezvous hashing).
fn clears(room: &RoomId, nodes: impl Iterator<Item = NodeId>) -> Option<NodeId> {
    nodes.max_by_key(|node| stable_hash(format!("{:x}/{room}", node.0).as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use moim_bus::Here;
    use moim_protocol::UserName;

    use super::*;
    use crate::keys::Keys;

    #[test]
    fn one_of_those_who_are_left_clears_a_room() {
        let nodes = [NodeId(1), NodeId(2), NodeId(3)];
        let (dead, now, time) = (NodeId(9), Instant::now(), Timestamp::default());
        let here = || Here { count: 1, names: vec![UserName::trusted("kim")] };
        let room = |nth: usize| RoomId::trusted(format!("r{nth}"));
        let cleared = nodes.map(|own| {
            let presence = Presence::new(own, Keys::new("moim", 1));
            let until = |node| (node, now + Duration::from_secs(if node == dead { 0 } else { 8 }));
            presence.leases(now, &nodes.map(until));
            presence.leases(now, &[until(dead)]);
            for nth in 0..60 {
                presence.set(&room(nth), here(), None);
                presence.loads(&room(nth));
                let all = nodes.iter().chain([&dead]).map(|node| (*node, here())).collect();
                presence.loaded(now, &room(nth), time, Some(all));
            }
            let buried = presence.bury(now, time);
            assert_eq!((buried.dead, buried.told.len()), (vec![dead], 60));
            buried.cleared
        });
        assert!(cleared.iter().all(|rooms| !rooms.is_empty()), "each has its part");
        let mut all: Vec<_> = cleared.concat().iter().map(ToString::to_string).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!((all.len(), cleared.concat().len()), (60, 60), "each room once");
    }

    #[test]
    fn a_room_that_nobody_is_left_in_is_cleared_by_who_knows_it() {
        let (dead, now, time) = (NodeId(9), Instant::now(), Timestamp::default());
        let (presence, room) = (Presence::new(NodeId(1), Keys::new("moim", 1)), RoomId::trusted("r"));
        presence.leases(now, &[(dead, now)]);
        presence.loads(&room);
        presence.loaded(now, &room, time, Some(vec![(dead, Here { count: 1, names: Vec::new() })]));
        assert_eq!(presence.bury(now, time).cleared, [room]);
    }
}
