//! The splice: what a load found goes to those who joined, without hole or repeat, and the room's cursor moves on.
//! Not here: when a load is needed (`load`), live delivery (`room`).

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Instant,
};

use moim_protocol::{
    Cursor, Epoch, ErrorCode, HistoryFrame, JoinedFrame, MemberKey, Message, Position, PresenceChange,
    Profile, Seq, ServerFrame, UserName, limits,
};

use super::{
    LoadId, Loaded, MemberState, Phase, Place, Room, RoomOutput,
    load::{self, Finished},
};
use crate::Outgoing;

impl<H: Clone> Room<H> {
    /// Asks for a load if one is needed and none is on its way.
    pub(super) fn start_load(&mut self) {
        if self.phase != Phase::Subscribed {
            return;
        }
        let nothing_known = self.cursor.is_none() && (!self.waiters.is_empty() || !self.held.is_empty());
        let Some((load, joiners)) = self.loads.start(nothing_known) else { return };
        let wanted = joiners.iter().filter_map(|key| match &self.members.get(key)?.state {
            MemberState::Joining(cursor) => cursor.as_ref().map(|cursor| cursor.seq),
            MemberState::Live | MemberState::Behind => None,
        });
        // The room's own cursor is always part of it: what the head is ahead of it is delivered to the live members first.
        let from = wanted.chain(self.cursor.as_ref().map(|cursor| cursor.seq)).min();
        self.outputs.push_back(RoomOutput::Load { load, from });
    }

    pub(super) fn loaded(&mut self, now: Instant, load: LoadId, result: Result<Loaded, ErrorCode>) {
        let Some(finished) = self.loads.finish(load) else { return };
        match result {
            Ok(loaded) => {
                self.advance(&loaded);
                self.serve_all(now, &loaded, finished);
                self.settle_late(&loaded);
                self.replay_held();
            }
            Err(code) => {
                for joiner in finished.joiners {
                    self.refuse(now, joiner, code);
                }
                if !self.is_empty() {
                    self.loads.retry(now + load::retry_after(&self.id));
                }
            }
        }
        self.wake();
        self.start_load();
    }

    /// The room's cursor moves to the load's head, and live members get what lies between.
    fn advance(&mut self, loaded: &Loaded) {
        match self.cursor.clone() {
            None => self.cursor = Some(loaded.head.clone()),
            Some(cursor) if cursor.seq < loaded.head.seq => {
                let mut missed = loaded.rows.iter().filter(|row| row.seq > cursor.seq).peekable();
                if loaded.floor > cursor.seq {
                    let first = missed.peek().map_or(loaded.head.seq.next(), |row| row.seq);
                    self.tell_gap(&cursor, Seq(first.0 - 1));
                }
                let missed: Vec<_> = missed.cloned().collect();
                for row in &missed {
                    self.deliver(row);
                }
                self.cursor = Some(loaded.head.clone());
            }
            Some(_) => {}
        }
    }

    fn serve_all(&mut self, now: Instant, loaded: &Loaded, finished: Finished) {
        if finished.tail_lost {
            for joiner in finished.joiners {
                self.loads.wait(joiner);
            }
            return;
        }
        let mut images = Images::new(self);
        for joiner in finished.joiners {
            if let Some(username) = self.serve(joiner, loaded, &finished.tail, &mut images) {
                let notice = self.notices.note(now, PresenceChange::Join, &username, joiner);
                self.announce(notice);
            }
        }
    }

    /// One joiner gets its part of the log and is live; its name, unless it has gone.
    fn serve(
        &mut self,
        key: MemberKey,
        loaded: &Loaded,
        tail: &VecDeque<Arc<Message>>,
        images: &mut Images,
    ) -> Option<UserName> {
        let member = self.members.get_mut(&key)?;
        let MemberState::Joining(cursor) = std::mem::replace(&mut member.state, MemberState::Live) else {
            return None;
        };
        self.turns += 1;
        member.turn = self.turns;
        let username = member.username.clone();
        let to = &member.handle;
        let mut send = |outgoing: Arc<Outgoing>| {
            self.outputs.push_back(RoomOutput::Send { to: to.clone(), outgoing });
        };
        let cursor = cursor.filter(|_| member.profile == Profile::V1);
        let replay = cursor.as_ref().map(|cursor| self.limits.replay(loaded, cursor));
        if member.profile == Profile::V1 {
            send(images.joined(loaded, !matches!(replay, Some(None))));
        }
        match replay {
            Some(Some(after)) => {
                for row in loaded.rows.iter().filter(|row| row.seq > after) {
                    send(images.message(row));
                }
            }
            Some(None) | None => {
                if member.profile == Profile::V1 || !loaded.rows.is_empty() {
                    send(images.history(loaded));
                }
            }
        }
        for row in tail.iter().filter(|row| row.seq > loaded.head.seq) {
            send(images.message(row));
        }
        Some(username)
    }

    /// What was held while the hole was filled goes on, up to the next hole.
    fn replay_held(&mut self) {
        let mut held = std::mem::take(&mut self.held);
        while let Some(message) = held.pop_front() {
            match self.place(&message) {
                Place::Seen => {}
                Place::Next => self.deliver(&message),
                Place::BehindHole => {
                    held.push_front(message);
                    self.held = held;
                    self.loads.want_advance();
                    self.start_load();
                    return;
                }
            }
        }
    }
}

impl super::RoomLimits {
    /// From where on the load's rows are everything after the cursor; `None` when that cannot be said.
    fn replay(&self, loaded: &Loaded, cursor: &Cursor) -> Option<Seq> {
        if cursor.seq < loaded.floor || cursor.seq > loaded.head.seq || !same_epoch(loaded, cursor) {
            return None;
        }
        let missed = loaded.rows.iter().filter(|row| row.seq > cursor.seq);
        let (count, bytes) =
            missed.fold((0, 0), |(count, bytes), row| (count + 1, bytes + row.weight_bytes()));
        (count <= self.resume_messages_max && bytes <= self.resume_bytes_max).then_some(cursor.seq)
    }
}

/// Whether the number the client saw is the one we know: another log under the same name has other epochs.
fn same_epoch(loaded: &Loaded, cursor: &Cursor) -> bool {
    let Some(epoch) = &cursor.epoch else { return true };
    match loaded.rows.iter().find(|row| row.seq == cursor.seq) {
        Some(row) => row.epoch == *epoch,
        None => cursor.seq == Seq::ZERO || loaded.head.epoch == *epoch,
    }
}

/// The frames of one load, each encoded once for all its joiners.
struct Images {
    room: moim_protocol::RoomId,
    user_count: u64,
    joined: HashMap<bool, Arc<Outgoing>>,
    history: Option<Arc<Outgoing>>,
    messages: HashMap<(Epoch, Seq), Arc<Outgoing>>,
}

impl Images {
    fn new<H: Clone>(room: &Room<H>) -> Self {
        Self {
            room: room.id.clone(),
            user_count: room.user_count(),
            joined: HashMap::new(),
            history: None,
            messages: HashMap::new(),
        }
    }

    fn joined(&mut self, loaded: &Loaded, recovered: bool) -> Arc<Outgoing> {
        let image = self.joined.entry(recovered).or_insert_with(|| {
            let frame = JoinedFrame::at(&self.room, &loaded.head, self.user_count, recovered);
            Outgoing::answer(&ServerFrame::Joined(frame))
        });
        image.clone()
    }

    fn history(&mut self, loaded: &Loaded) -> Arc<Outgoing> {
        let image = self.history.get_or_insert_with(|| {
            let skip = loaded.rows.len().saturating_sub(limits::HISTORY_ON_JOIN);
            let messages = &loaded.rows[skip..];
            let complete = loaded.complete || messages.len() == limits::HISTORY_ON_JOIN;
            Outgoing::answer(&ServerFrame::History(HistoryFrame { room: &self.room, messages, complete }))
        });
        image.clone()
    }

    fn message(&mut self, row: &Arc<Message>) -> Arc<Outgoing> {
        let Position { epoch, seq } = row.position();
        self.messages.entry((epoch, seq)).or_insert_with(|| Outgoing::message(row)).clone()
    }
}
