//! What was heard of a room, so that everything is shown once, in order, or told to be missing.
//! Not here: own messages (`outbox`), how anything looks (`screen`, `lines`), the connection (`wire`).

use moim_protocol::{Cursor, Epoch, HeardFrame, HeardMessage, Seq};

/// Messages a join shows by itself; more are asked for as a page.
const SHOWN_ON_JOIN: usize = 20;

/// Something to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    /// A message, once, in order.
    Message(HeardMessage),
    /// `join` or `leave`: who first, how many.
    Presence { joined: bool, username: String, count: u64 },
    /// Messages that were not shown: after the first number, up to and including the second.
    Gap { after: u64, to: u64 },
    /// The store could not be asked for the messages before.
    Incomplete,
    /// The server's log is not the one that was read here.
    OtherLog,
}

/// What the client is to do beside showing things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing.
    None,
    /// Ask for that many of the newest messages.
    AskHistory(usize),
    /// All that was missed is shown; `certain`: nothing of it was left out.
    CaughtUp { certain: bool },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Not in the room.
    Away,
    /// A first join: the history of it is still to come.
    Entering,
    /// A first join: a longer history was asked for, and live messages wait behind it.
    Paging,
    /// What was missed is being heard, up to this number.
    Resuming(u64),
    /// The cursor could not be resumed: the newest messages are still to come.
    Renewing,
    /// Up to date.
    Live,
}

/// One room as one client has seen it.
#[derive(Debug)]
pub(crate) struct Conversation {
    history: usize,
    cursor: Option<Cursor>,
    phase: Phase,
    behind: Vec<HeardMessage>,
    /// Where the room stood at the join.
    head: (String, u64),
    /// Connections in the room.
    pub(crate) user_count: Option<u64>,
}

/// Live messages that may wait behind a page. Full: the page is not waited for.
const BEHIND_MAX: usize = 1_000;

impl Conversation {
    /// `history`: messages from before the join to show.
    pub(crate) fn new(history: usize) -> Self {
        let (behind, head) = (Vec::new(), (String::new(), 0));
        Self { history, cursor: None, phase: Phase::Away, behind, head, user_count: None }
    }

    /// Where to go on from after a break.
    pub(crate) fn cursor(&self) -> Option<&Cursor> {
        self.cursor.as_ref()
    }

    pub(crate) fn disconnected(&mut self) {
        self.phase = Phase::Away;
        self.behind.clear();
        self.user_count = None;
    }

    /// Takes what was heard; what is to be shown is added to `told`.
    pub(crate) fn hear(&mut self, frame: HeardFrame, told: &mut Vec<Told>) -> Step {
        match frame {
            HeardFrame::Joined { epoch, seq, user_count, recovered } => {
                self.user_count = Some(user_count);
                return self.joined(epoch, seq, recovered, told);
            }
            HeardFrame::Message(message) if self.phase == Phase::Paging => {
                self.behind.push(message);
                if self.behind.len() >= BEHIND_MAX {
                    told.push(Told::Incomplete);
                    return self.page(Vec::new(), told);
                }
            }
            HeardFrame::Message(message) => {
                self.message(message, told);
                return self.resumed();
            }
            HeardFrame::Gap { epoch, from, to } => {
                self.gap(&epoch, from, to, told);
                return self.resumed();
            }
            HeardFrame::History { messages, complete, limit } => {
                return self.history(messages, complete, limit.is_some(), told);
            }
            HeardFrame::System { event, username, count, user_count } => {
                self.user_count = Some(user_count);
                told.push(Told::Presence { joined: event == "join", username, count });
            }
            HeardFrame::Typing { .. }
            | HeardFrame::Error(_)
            | HeardFrame::Ack { .. }
            | HeardFrame::Reconnect { .. }
            | HeardFrame::Pong
            | HeardFrame::Unknown => {}
        }
        Step::None
    }

    fn joined(&mut self, epoch: String, seq: u64, recovered: bool, told: &mut Vec<Told>) -> Step {
        // An unasked one announces a new epoch; the messages say it too.
        if self.phase != Phase::Away {
            return Step::None;
        }
        self.head = (epoch.clone(), seq);
        let Some(cursor) = &self.cursor else {
            self.phase = Phase::Entering;
            return Step::None;
        };
        if !recovered {
            if seq < cursor.seq.0 {
                told.push(Told::OtherLog);
                self.cursor = Some(Cursor { seq: Seq::ZERO, epoch: Some(Epoch::trusted(epoch)) });
            }
            self.phase = Phase::Renewing;
            return Step::None;
        }
        // Over a jump of numbers there may be nothing to hear up to the head.
        let jumped = cursor.epoch.as_ref().is_none_or(|known| known.as_str() != epoch);
        self.phase = Phase::Resuming(if jumped { cursor.seq.0 } else { seq });
        self.resumed()
    }

    fn resumed(&mut self) -> Step {
        match (self.phase, &self.cursor) {
            (Phase::Resuming(to), Some(cursor)) if cursor.seq.0 >= to => {
                self.phase = Phase::Live;
                Step::CaughtUp { certain: true }
            }
            _ => Step::None,
        }
    }

    fn message(&mut self, message: HeardMessage, told: &mut Vec<Told>) {
        if let Some(Cursor { seq: Seq(last), .. }) = self.cursor {
            // A number is never used twice, over a jump too.
            if message.seq <= last {
                return;
            }
            if let Some(prev) = message.prev.filter(|prev| *prev > last) {
                told.push(Told::Gap { after: last, to: prev });
            }
        }
        self.advance(message.seq, &message.epoch);
        told.push(Told::Message(message));
    }

    fn gap(&mut self, epoch: &str, from: u64, to: u64, told: &mut Vec<Told>) {
        let last = self.cursor.as_ref().map_or(from.saturating_sub(1), |cursor| cursor.seq.0);
        // One that begins before what was seen tells of messages that came late: they were not shown either.
        told.push(Told::Gap { after: last.min(from.saturating_sub(1)), to });
        self.advance(last.max(to), epoch);
    }

    fn advance(&mut self, seq: u64, epoch: &str) {
        self.cursor = Some(Cursor { seq: Seq(seq), epoch: Some(Epoch::trusted(epoch.to_owned())) });
    }

    fn history(
        &mut self,
        messages: Vec<HeardMessage>,
        complete: bool,
        is_page: bool,
        told: &mut Vec<Told>,
    ) -> Step {
        let expected = match self.phase {
            Phase::Entering | Phase::Renewing => !is_page,
            Phase::Paging => is_page,
            Phase::Away | Phase::Resuming(_) | Phase::Live => false,
        };
        if !expected {
            return Step::None;
        }
        if self.phase == Phase::Entering && self.history > SHOWN_ON_JOIN {
            // The page will show these too.
            self.phase = Phase::Paging;
            return Step::AskHistory(self.history);
        }
        if !complete {
            told.push(Told::Incomplete);
        }
        self.page(messages, told)
    }

    /// The messages before; then those that waited behind them.
    fn page(&mut self, mut messages: Vec<HeardMessage>, told: &mut Vec<Told>) -> Step {
        let renewed = self.phase == Phase::Renewing;
        if !renewed {
            let hidden = messages.len().saturating_sub(self.history);
            for message in messages.drain(..hidden) {
                self.advance(message.seq, &message.epoch);
            }
        }
        self.phase = Phase::Live;
        messages.into_iter().for_each(|message| self.message(message, told));
        self.at_head(told);
        std::mem::take(&mut self.behind).into_iter().for_each(|message| self.message(message, told));
        Step::CaughtUp { certain: !renewed }
    }

    /// A history ends at the head. One that does not is told; in an empty room, or right after a jump, there is none.
    fn at_head(&mut self, told: &mut Vec<Told>) {
        let (epoch, seq) = std::mem::take(&mut self.head);
        let seen = self.cursor.as_ref().map(|Cursor { seq, epoch }| (seq.0, epoch.as_ref()));
        match seen {
            Some((last, _)) if last >= seq => return,
            Some((last, known)) if known.is_some_and(|known| known.as_str() == epoch) => {
                told.push(Told::Gap { after: last, to: seq });
            }
            _ => {}
        }
        self.advance(seq, &epoch);
    }
}

#[cfg(test)]
mod tests;
