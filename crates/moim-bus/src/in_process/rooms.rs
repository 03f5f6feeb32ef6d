//! The rooms that the bus of a single node holds, and the bounds over all of them: how many, their rings, their sends.
//! Not here: one room's log (`room_log`), the lock around this (`in_process`).

use std::collections::{HashMap, HashSet};

use moim_protocol::{RoomId, Timestamp};
use tokio::sync::oneshot;

use super::room_log::{Held, RoomLog, Taken};
use crate::{ANSWERS_MAX, BusError, GiveBack, ROOMS_MAX};

/// Bytes of the rings of all rooms. Full: the longest unused rooms give up theirs, all of which is in the store.
pub(super) const RINGS_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Calls that wait for one room to be read. Full: those given up are forgotten, then `overloaded`.
pub(super) const SEED_WAITERS_MAX: usize = 1024;
/// Looking through all rooms takes milliseconds, in which nobody publishes: when it was in vain, not again for so long.
const LOOK_AGAIN_MICROS: u64 = 1_000_000;

pub(super) type Waiting = oneshot::Receiver<Result<(), BusError>>;

/// A room that is being read from the store.
#[derive(Default)]
pub(super) struct Seeding {
    pub(super) drafts: Vec<Taken>,
    waiting: Vec<oneshot::Sender<Result<(), BusError>>>,
}

impl Seeding {
    pub(super) fn wait(&mut self) -> Result<Waiting, BusError> {
        if self.waiting.len() >= SEED_WAITERS_MAX {
            self.waiting.retain(|waiting| !waiting.is_closed());
        }
        if self.waiting.len() >= SEED_WAITERS_MAX {
            return Err(BusError::Overloaded("queue of a room that is being read"));
        }
        let (waiter, waiting) = oneshot::channel();
        self.waiting.push(waiter);
        Ok(waiting)
    }

    pub(super) fn answer(self, outcome: &Result<(), BusError>) {
        for waiter in self.waiting {
            // A caller that went away needs no answer.
            drop(waiter.send(outcome.clone()));
        }
    }
}

pub(super) enum Room {
    Seeding(Seeding),
    Ready(Box<RoomLog>),
}

#[derive(Default)]
pub(super) struct Rooms {
    table: HashMap<RoomId, Room>,
    /// Only rooms of the table: a subscription that fails is none.
    subscribed: HashSet<RoomId>,
    held: Held,
    no_space_at: Option<Timestamp>,
    no_answers_at: Option<Timestamp>,
}

impl Rooms {
    pub(super) fn get_mut(&mut self, room: &RoomId) -> Option<&mut Room> {
        self.table.get_mut(room)
    }

    /// Whether one more room fits in, after those that nobody is in and that are stored have been dropped for it.
    pub(super) fn has_space(&mut self, now: Timestamp) -> bool {
        if self.table.len() >= ROOMS_MAX && is_due(self.no_space_at, now) {
            self.make_space();
            self.no_space_at = (self.table.len() >= ROOMS_MAX).then_some(now);
        }
        self.table.len() < ROOMS_MAX
    }

    /// Drops a tenth of the rooms, longest unused first. They can be read again.
    fn make_space(&mut self) {
        let mut idle: Vec<_> = self
            .table
            .iter()
            .filter_map(|(id, room)| match room {
                Room::Ready(log) if log.is_stored() && !self.subscribed.contains(id) => {
                    Some((log.used, id.clone()))
                }
                Room::Ready(_) | Room::Seeding(_) => None,
            })
            .collect();
        idle.sort_unstable();
        idle.truncate(ROOMS_MAX / 10);
        for (_, id) in idle {
            if let Some(Room::Ready(log)) = self.table.remove(&id) {
                self.recount(log.held(), Held::default());
            }
        }
    }

    pub(super) fn start_seeding(&mut self, room: &RoomId) {
        self.table.insert(room.clone(), Room::Seeding(Seeding::default()));
    }

    /// Takes what waits for a room that has been read, or could not be.
    pub(super) fn end_seeding(&mut self, room: &RoomId, log: Option<RoomLog>) -> Option<Seeding> {
        let Some(Room::Seeding(seeding)) = self.table.get_mut(room) else { return None };
        let seeding = std::mem::take(seeding);
        match log {
            Some(log) => {
                let held = log.held();
                self.table.insert(room.clone(), Room::Ready(Box::new(log)));
                self.recount(Held::default(), held);
            }
            None => {
                // Nobody has been told that it is subscribed: whoever asked for that waits for this.
                self.subscribed.remove(room);
                self.table.remove(room);
            }
        }
        Some(seeding)
    }

    /// Does something with a room's log, if it is in memory, and keeps the sums.
    pub(super) fn change<T>(&mut self, room: &RoomId, change: impl FnOnce(&mut RoomLog) -> T) -> Option<T> {
        let Some(Room::Ready(log)) = self.table.get_mut(room) else { return None };
        let before = log.held();
        let result = change(log);
        let after = log.held();
        self.recount(before, after);
        Some(result)
    }

    fn recount(&mut self, before: Held, after: Held) {
        self.held.answers = self.held.answers + after.answers - before.answers;
        self.held.ring_bytes = self.held.ring_bytes + after.ring_bytes - before.ring_bytes;
        if self.held.ring_bytes > RINGS_BYTES_MAX {
            self.trim_rings();
        }
    }

    /// An eighth, so that it is not done for every message.
    fn trim_rings(&mut self) {
        let mut logs: Vec<_> = self
            .table
            .values_mut()
            .filter_map(|room| match room {
                Room::Ready(log) if log.held().ring_bytes > 0 => Some(log),
                Room::Ready(_) | Room::Seeding(_) => None,
            })
            .collect();
        logs.sort_unstable_by_key(|log| log.used);
        for log in logs {
            if self.held.ring_bytes <= RINGS_BYTES_MAX / 8 * 7 {
                return;
            }
            self.held.ring_bytes -= log.held().ring_bytes;
            log.clear_ring();
        }
    }

    /// Whether one more recent send can be remembered, after old ones of quiet rooms have been forgotten for it.
    pub(super) fn has_answers(&mut self, now: Timestamp) -> bool {
        if self.held.answers >= ANSWERS_MAX && is_due(self.no_answers_at, now) {
            self.held.answers = 0;
            for room in self.table.values_mut() {
                if let Room::Ready(log) = room {
                    log.expire(now);
                    self.held.answers += log.held().answers;
                }
            }
            self.no_answers_at = (self.held.answers >= ANSWERS_MAX).then_some(now);
        }
        self.held.answers < ANSWERS_MAX
    }

    pub(super) fn subscribe(&mut self, room: &RoomId) {
        self.subscribed.insert(room.clone());
    }

    pub(super) fn unsubscribe(&mut self, room: &RoomId) {
        self.subscribed.remove(room);
        self.subscribed.give_back();
    }

    pub(super) fn is_subscribed(&self, room: &RoomId) -> bool {
        self.subscribed.contains(room)
    }
}

/// Not by `since`: a clock that steps back must not stop it for as long.
fn is_due(in_vain_at: Option<Timestamp>, now: Timestamp) -> bool {
    in_vain_at.is_none_or(|at| at.micros.abs_diff(now.micros) >= LOOK_AGAIN_MICROS)
}
