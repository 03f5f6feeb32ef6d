//! Messages that come when later ones were shown already: who is past one is told of the gap, the others get it in order.
//! Not here: why a log is put together again without them (`moim-bus-redis`).

use std::sync::Arc;

use moim_protocol::{GapFrame, Message, Profile, ServerFrame};

use super::{Loaded, MemberState, Place, Room, RoomOutput};
use crate::Outgoing;

/// Late messages that a load on its way may not have found. Full: members are told of a gap at once, and the load's
/// joiners wait for another load.
pub const LATE_MAX: usize = 1024;

/// Late messages that the next load's answer decides about.
#[derive(Default)]
pub(super) struct LateRows {
    rows: Vec<LateRow>,
}

struct LateRow {
    message: Arc<Message>,
    /// Members up to this turn have got it or were told of it; those let in by the load are after it.
    settled_turn: u64,
}

impl<H: Clone> Room<H> {
    pub(super) fn late(&mut self, message: Arc<Message>) {
        if self.cursor.is_none() && !self.loads.is_in_flight() {
            return;
        }
        let settled_turn = match self.place(&message) {
            Place::Seen => {
                self.tell_late(&message, 0);
                self.turns
            }
            Place::Next if self.held.is_empty() => {
                self.deliver(&message);
                self.turns
            }
            Place::Next | Place::BehindHole => {
                self.loads.want_advance();
                self.start_load();
                0
            }
        };
        if settled_turn == 0 || self.loads.is_in_flight() {
            self.keep_late(LateRow { message, settled_turn });
        }
    }

    fn keep_late(&mut self, row: LateRow) {
        if self.late.rows.len() >= LATE_MAX {
            for row in std::mem::take(&mut self.late.rows) {
                self.tell_late(&row.message, row.settled_turn);
            }
            self.loads.lose_tail();
        }
        self.late.rows.push(row);
    }

    /// A load came back: what it did not find at or below its head, its joiners are past.
    pub(super) fn settle_late(&mut self, loaded: &Loaded) {
        for row in std::mem::take(&mut self.late.rows) {
            let found = loaded.rows.iter().any(|found| found.seq == row.message.seq);
            if row.message.seq <= loaded.head.seq {
                if !found {
                    self.tell_late(&row.message, row.settled_turn);
                }
            } else if row.settled_turn == 0 {
                self.message(row.message);
            }
        }
    }

    /// Live members let in after that turn are past it and will not get it. The plain profile has no word for that.
    fn tell_late(&mut self, message: &Message, settled_turn: u64) {
        let gap = GapFrame { room: &self.id, epoch: &message.epoch, from: message.seq, to: message.seq };
        let outgoing = Outgoing::answer(&ServerFrame::Gap(gap));
        for member in self.members.values() {
            let is_told = member.state == MemberState::Live && member.turn > settled_turn;
            if is_told && member.profile == Profile::V1 {
                self.outputs
                    .push_back(RoomOutput::Send { to: member.handle.clone(), outgoing: outgoing.clone() });
            }
        }
    }
}
