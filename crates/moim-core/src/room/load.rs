//! Which loads a room needs: one on its way, one waiting, never more, however many join.
//! Not here: what is done with what they found (`serve`).

use std::{
    collections::VecDeque,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    sync::Arc,
    time::{Duration, Instant},
};

use moim_protocol::{MemberKey, Message, Position, RoomId, Seq};

use super::TAIL_MAX;

/// How soon after a failed load the next one is tried.
const RETRY: Duration = Duration::from_millis(500);
/// And how much later at most, each room at its own moment: what failed for all of them may only be busy.
const RETRY_SPREAD_MS: u64 = 500;

/// When the next load is tried.
pub(super) fn retry_after(room: &RoomId) -> Duration {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(room);
    RETRY + Duration::from_millis(hash % RETRY_SPREAD_MS)
}

/// A load's number in its room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct LoadId(u64);

/// What a load found: the head, read after the load was asked for, and what leads to it without a hole.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The last number used, or the new base right after a jump.
    pub head: Position,
    /// Messages up to the head, oldest first, each one's `prev` the one before.
    pub rows: Vec<Arc<Message>>,
    /// No message stands above this number and below the first row (or the head, without rows).
    pub floor: Seq,
    /// Whether the store could be asked for all that was wanted.
    pub complete: bool,
}

struct InFlight {
    id: LoadId,
    joiners: Vec<MemberKey>,
    /// What was delivered since it was asked for.
    tail: VecDeque<Arc<Message>>,
    tail_lost: bool,
}

#[derive(Default)]
pub(super) struct Loads {
    last_id: LoadId,
    /// Asked for and not answered, stale ones included.
    unanswered: usize,
    in_flight: Option<InFlight>,
    waiting: Vec<MemberKey>,
    advance: bool,
    retry_at: Option<Instant>,
}

/// A load that came back: who asked for it, and what happened meanwhile.
pub(super) struct Finished {
    pub(super) joiners: Vec<MemberKey>,
    pub(super) tail: VecDeque<Arc<Message>>,
    pub(super) tail_lost: bool,
}

impl Loads {
    /// None, but numbers go on, so that an answer still on its way is not taken for a later one's.
    pub(super) fn after(earlier: &Self) -> Self {
        Self { last_id: earlier.last_id, unanswered: earlier.unanswered, ..Self::default() }
    }

    /// No answer is on its way. A room that is dropped earlier and made again would take it for its own.
    pub(super) fn is_quiet(&self) -> bool {
        self.unanswered == 0
    }

    /// A joiner needs a load that is asked for after it came.
    pub(super) fn wait(&mut self, joiner: MemberKey) {
        self.waiting.push(joiner);
    }

    /// The room's own cursor needs one, to fill a hole.
    pub(super) fn want_advance(&mut self) {
        self.advance = true;
    }

    /// Whether one is on its way: what it found may be older than what happens now.
    pub(super) fn is_in_flight(&self) -> bool {
        self.in_flight.is_some()
    }

    /// The joiners of the load on its way must wait for another one.
    pub(super) fn lose_tail(&mut self) {
        if let Some(flight) = &mut self.in_flight {
            flight.tail.clear();
            flight.tail_lost = true;
        }
    }

    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    pub(super) fn clear_retry(&mut self) {
        self.retry_at = None;
    }

    pub(super) fn retry(&mut self, at: Instant) {
        self.advance = true;
        self.retry_at = Some(at);
    }

    /// The next load, if one is needed and none is on its way.
    pub(super) fn start(&mut self, needed: bool) -> Option<(LoadId, &[MemberKey])> {
        let wanted = needed || self.advance || !self.waiting.is_empty();
        if self.in_flight.is_some() || !wanted || self.retry_at.is_some() {
            return None;
        }
        self.advance = false;
        self.last_id.0 += 1;
        self.unanswered += 1;
        let flight = self.in_flight.insert(InFlight {
            id: self.last_id,
            joiners: std::mem::take(&mut self.waiting),
            tail: VecDeque::new(),
            tail_lost: false,
        });
        Some((flight.id, &flight.joiners))
    }

    /// A message was delivered to the live members.
    pub(super) fn keep_tail(&mut self, message: &Arc<Message>) {
        if self.in_flight.as_ref().is_some_and(|flight| flight.tail.len() >= TAIL_MAX) {
            self.lose_tail();
        }
        if let Some(flight) = &mut self.in_flight {
            flight.tail.push_back(message.clone());
        }
    }

    /// A load came back; `None` when it is not the one that is awaited.
    pub(super) fn finish(&mut self, id: LoadId) -> Option<Finished> {
        self.unanswered -= 1;
        let flight = self.in_flight.take_if(|flight| flight.id == id)?;
        Some(Finished { joiners: flight.joiners, tail: flight.tail, tail_lost: flight.tail_lost })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_do_not_all_try_again_at_the_same_moment() {
        let at = |nth: usize| retry_after(&RoomId::trusted(format!("room-{nth}"))).as_millis();
        let mut all: Vec<_> = (0..1000).map(at).collect();
        all.sort_unstable();
        assert!(all[0] >= 500 && all[999] < 1000, "{all:?}");
        all.dedup();
        assert!(all.len() > 250, "{} moments", all.len());
    }
}
