//! What a node knows of a partition that Redis may have lost, and in which generation it has said so.
//! Not here: how it is said (`recovery`, `late`), how long it is kept (`tail`).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use moim_bus::BusError;
use moim_protocol::{Epoch, Message, RoomId, Seq, Timestamp};

use super::{Partition, State, Waiting, reply};
use crate::{
    event,
    tail::{LogId, RECENT_KEPT, Recent},
};

/// What Redis must still have, as it has not lost the record of its last open generation.
pub(crate) struct StillThere {
    pub(crate) epoch: Epoch,
    /// Everything in that generation's log up to here is there, or was and is stored.
    pub(crate) top: LogId,
    /// Microseconds: Redis's clock now.
    pub(crate) now: u64,
}

impl StillThere {
    /// Whether it has the answers, too, which it keeps for ten minutes of its own clock. A node knows sends of one minute: with
    /// nothing in the log for longer there is either no such send, or Redis came back with its clock set forward.
    fn has_answers(&self) -> bool {
        Duration::from_micros(self.now.saturating_sub(self.top)) <= RECENT_KEPT
    }
}

/// What a node hands in.
pub(crate) struct HandIn {
    pub(crate) rows: Vec<Arc<Message>>,
    pub(crate) recent: Vec<Recent>,
    pub(crate) highest: Vec<(RoomId, Seq, Epoch, Timestamp)>,
    /// The last generation it was in, and up to where it knows that its log is stored.
    pub(crate) stored_to: Option<(Epoch, LogId)>,
}

impl State {
    /// See [`HandIn::stored_to`]. Who has dropped rows for want of space does not know what else there was.
    fn stored_to(&self) -> Option<(Epoch, LogId)> {
        let place = if self.tail.unprotected == 0 { self.mark } else { LogId::MAX };
        self.opened.clone().map(|epoch| (epoch, place))
    }
}

impl Partition {
    /// What it knows is in that generation. `round`: what was handed in before it is gone.
    pub(crate) fn has_handed_in(&self, epoch: &Epoch, round: &str) -> bool {
        let state = self.lock();
        let has = |(of, at): &(Epoch, String)| of == epoch && at == round;
        state.opened.as_ref() == Some(epoch) || state.handed_in.as_ref().is_some_and(has)
    }

    pub(crate) fn handed_in(&self, epoch: &Epoch, round: &str) {
        self.lock().handed_in = Some((epoch.clone(), round.to_owned()));
    }

    /// What Redis may have lost. What it still has would only fill a Redis that is nearly full.
    pub(crate) fn hand_in_above(&self, still_there: &StillThere) -> HandIn {
        let StillThere { epoch, top, .. } = still_there;
        if self.lock().opened.as_ref() != Some(epoch) {
            return self.hand_in();
        }
        let is_there =
            |of: &Epoch, time: Timestamp| event::generation_of(of) == *epoch && time.micros <= *top;
        let mut state = self.lock();
        let mut recent = state.tail.recent(Instant::now());
        if still_there.has_answers() {
            recent.retain(|recent| !is_there(&recent.epoch, recent.time));
        }
        for recent in recent.iter_mut().filter(|recent| is_there(&recent.epoch, recent.time)) {
            // An entry's time is its place, in the log of the generation that gave it out.
            recent.place = recent.time.micros;
        }
        let mut highest = state.tail.highest();
        highest.retain(|(_, _, of, time)| !is_there(of, *time));
        HandIn { rows: state.tail.rows_above(*top), recent, highest, stored_to: state.stored_to() }
    }

    pub(crate) fn hand_in(&self) -> HandIn {
        let mut state = self.lock();
        let recent = state.tail.recent(Instant::now());
        let (highest, stored_to) = (state.tail.highest(), state.stored_to());
        HandIn { rows: state.tail.rows(), recent, highest, stored_to }
    }

    /// A row that was sent again meanwhile, and is in the log under another number: this one will never be stored, nor be handed
    /// in once more. Who waits for it gets the other one when it is sent again.
    pub(crate) fn has_another_number(&self, row: &Message) {
        let mut state = self.lock();
        state.tail.remove(&row.room, row.seq);
        let mut gone = Vec::new();
        for list in state.waiting.values_mut() {
            gone.extend(list.extract_if(.., |waiting| waiting.receipt.id == row.id));
        }
        state.waiting.retain(|_, list| !list.is_empty());
        drop(state);
        for Waiting { answer, .. } in gone {
            let why = "it has another number now, and the same client id is safe to send again";
            reply(answer, Err(BusError::Unavailable(why.into())));
        }
    }

    pub(crate) fn knows_nothing(&self) -> bool {
        self.lock().tail.knows_nothing(Instant::now())
    }
}
