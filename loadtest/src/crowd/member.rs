//! One member over all its connections: what it has seen, what it must see next, what it waits for.
//! Not here: its socket (`socket`), when it connects (`crowd`).

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use moim_protocol::Profile;

use crate::checker::What;

use super::{
    books::Books,
    socket::Socket,
    timeline::{Count, Timeline},
    wire::{Frame, Mark, number_of},
};

/// A message that is not answered by then is sent again: the server answers within two seconds when it can.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(8);
const RETRY_DEFAULT: Duration = Duration::from_secs(1);

/// What is said and has no answer.
struct Waiting {
    frame: String,
    /// When it was meant to be said, in microseconds of the run.
    intended: u64,
    due: Instant,
    attempts: u32,
}

/// What all members write into.
pub(super) struct Shared<'a> {
    pub(super) books: &'a mut Books,
    pub(super) timeline: &'a mut Timeline,
    /// Microseconds since the run began.
    pub(super) now: u64,
}

pub(super) struct Member {
    pub(super) number: usize,
    /// Raised when somebody else takes its place.
    pub(super) generation: u32,
    pub(super) room: u32,
    pub(super) profile: Profile,
    /// How many bytes a second it reads, where that is few.
    pub(super) drip: Option<u32>,
    pub(super) socket: Option<Socket>,
    pub(super) in_room: bool,
    /// When it was meant to come in, in microseconds of the run.
    pub(super) meant_in: u64,
    /// It has been in its room before.
    pub(super) was_here: bool,
    pub(super) come_back: Option<Duration>,
    pub(super) tries: u32,
    pub(super) place: usize,
    /// The last number seen and its epoch: what it resumes from.
    cursor: Option<(u64, String)>,
    waiting: BTreeMap<u64, Waiting>,
    /// When it last saw a message.
    heard: Option<u64>,
    silence_longest: Duration,
}

impl Member {
    pub(super) fn new(number: usize, room: u32, profile: Profile, drip: Option<u32>) -> Self {
        Self {
            number,
            generation: 0,
            room,
            profile,
            drip,
            socket: None,
            in_room: false,
            meant_in: 0,
            was_here: false,
            come_back: None,
            tries: 0,
            place: number,
            cursor: None,
            waiting: BTreeMap::new(),
            heard: None,
            silence_longest: Duration::ZERO,
        }
    }

    pub(super) fn name(&self) -> String {
        format!("m{}-{}", self.number, self.generation)
    }

    /// The end of its URL.
    pub(super) fn query(&self) -> String {
        match (&self.cursor, self.profile) {
            (Some((seq, epoch)), Profile::V1) => format!("&since={seq}&epoch={epoch}"),
            _ => String::new(),
        }
    }

    /// Somebody else takes its place, who has seen nothing yet.
    pub(super) fn renew(&mut self) {
        self.generation += 1;
        self.cursor = None;
        self.was_here = false;
        self.heard = None;
    }

    pub(super) fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn say(&mut self, mark: Mark, frame: String) {
        let waiting = Waiting { frame, intended: mark.intended, due: Instant::now(), attempts: 0 };
        self.waiting.insert(mark.number, waiting);
    }

    /// Frames that are due, if they can be sent.
    pub(super) fn due(&mut self, now: Instant, shared: &mut Shared<'_>) -> Vec<String> {
        if !self.in_room {
            return Vec::new();
        }
        let due = self.waiting.values_mut().filter(|waiting| waiting.due <= now);
        due.map(|waiting| {
            waiting.due = now + ANSWER_TIMEOUT;
            waiting.attempts += 1;
            match waiting.attempts {
                1 => shared.timeline.count(shared.now, Count::Sent),
                _ => shared.books.resent += 1,
            }
            waiting.frame.clone()
        })
        .collect()
    }

    /// The socket is open. In the plain profile that is all one is told.
    pub(super) fn opened(&mut self, shared: &mut Shared<'_>) {
        if self.profile == Profile::Plain {
            // It comes back without a cursor: the history tells it where it is.
            self.cursor = None;
            self.enter(shared);
        }
    }

    fn enter(&mut self, shared: &mut Shared<'_>) {
        self.in_room = true;
        self.was_here = true;
        self.tries = 0;
        shared.timeline.joined(self.meant_in, shared.now);
        self.heard.get_or_insert(shared.now);
        let now = Instant::now();
        for waiting in self.waiting.values_mut() {
            waiting.due = now;
        }
    }

    /// The socket is gone; whether it was in its room.
    pub(super) fn lost(&mut self) -> bool {
        self.socket = None;
        std::mem::take(&mut self.in_room)
    }

    /// From now on its silence counts.
    pub(super) fn listen_from(&mut self, now: u64) {
        self.heard = self.heard.map(|_| now);
    }

    /// Its silence up to now counts as well.
    pub(super) fn listened_until(&mut self, now: u64, timeline: &mut Timeline) {
        let Some(heard) = self.heard.filter(|_| self.drip.is_none()) else { return };
        let silence = Duration::from_micros(now.saturating_sub(heard));
        self.silence_longest = self.silence_longest.max(silence);
        timeline.silence(now, silence);
    }

    pub(super) fn silence_longest(&self) -> Option<Duration> {
        self.heard.filter(|_| self.drip.is_none()).map(|_| self.silence_longest)
    }

    /// How far behind its room it is.
    pub(super) fn is_behind(&self, books: &Books) -> bool {
        !self.in_room || self.cursor.as_ref().map_or(0, |(seq, _)| *seq) < books.head(self.room)
    }

    pub(super) fn hear(&mut self, payload: &[u8], shared: &mut Shared<'_>) {
        let frame = match serde_json::from_slice::<Frame<'_>>(payload) {
            Ok(frame) => frame,
            Err(error) => {
                let text = String::from_utf8_lossy(payload).into_owned();
                return shared.books.wrong(format!("{} heard {text}: {error}", self.name()));
            }
        };
        match &*frame.kind {
            "message" => self.message(&frame, shared),
            "joined" => self.joined(&frame, shared),
            "history" => self.history(&frame, shared),
            "ack" => self.acked(&frame, shared),
            "error" => self.refused(&frame, shared),
            "gap" => {
                if let (Some((seq, _)), Some(to)) = (&mut self.cursor, frame.to) {
                    shared.books.gaps += to.saturating_sub(*seq);
                    *seq = to.max(*seq);
                }
            }
            "reconnect" => self.come_back = frame.after_ms.map(Duration::from_millis),
            _ => {}
        }
    }

    fn message(&mut self, frame: &Frame<'_>, shared: &mut Shared<'_>) {
        let seq = frame.seq.unwrap_or_default();
        if let Some((cursor, _)) = &self.cursor {
            if seq <= *cursor {
                let name = self.name();
                shared.books.wrong(format!("{name} saw {seq} after {cursor}: repeated, or out of order"));
                return;
            }
            if let Some(prev) = frame.prev.filter(|prev| prev > cursor) {
                let name = self.name();
                shared.books.wrong(format!("{name} saw {seq} after {cursor}, and was not told of {prev}"));
            }
        }
        self.come_to(seq, &frame.epoch, shared);
        shared.timeline.count(shared.now, Count::Received);
        if let Some(mark) = Mark::of(&frame.content).filter(|_| self.drip.is_none()) {
            shared.timeline.live(mark.intended, shared.now);
        }
        self.listened_until(shared.now, shared.timeline);
        self.heard = Some(shared.now);
    }

    fn joined(&mut self, frame: &Frame<'_>, shared: &mut Shared<'_>) {
        if self.in_room {
            // Unasked: it only tells of a new epoch.
            return;
        }
        if self.cursor.is_some() && frame.recovered == Some(true) {
            return self.enter(shared);
        }
        shared.books.unrecovered += u64::from(self.cursor.is_some());
        // Live frames start above it; the `history` that comes next ends at it.
        self.cursor = None;
        self.come_to(frame.seq.unwrap_or_default(), &frame.epoch, shared);
    }

    fn history(&mut self, frame: &Frame<'_>, shared: &mut Shared<'_>) {
        let order = frame.messages.windows(2).all(|pair| pair[0].seq < pair[1].seq);
        if !order {
            let name = self.name();
            shared.books.wrong(format!("{name} got a history that is not in order"));
        }
        if self.profile == Profile::Plain {
            if let Some(last) = frame.messages.last() {
                self.come_to(last.seq.unwrap_or_default(), &last.epoch, shared);
            }
        } else if !self.in_room {
            self.enter(shared);
        }
    }

    fn come_to(&mut self, seq: u64, epoch: &str, shared: &mut Shared<'_>) {
        shared.books.reached(self.room, seq);
        match &mut self.cursor {
            Some((cursor, known)) if known == epoch => *cursor = seq,
            cursor => *cursor = Some((seq, epoch.to_owned())),
        }
    }

    fn acked(&mut self, frame: &Frame<'_>, shared: &mut Shared<'_>) {
        let number = frame.client_id.as_deref().and_then(number_of);
        let (Some(number), Some(seq)) = (number, frame.seq) else { return };
        shared.books.acked(number, seq);
        if let Some(waiting) = self.waiting.remove(&number) {
            shared.timeline.acked(waiting.intended, shared.now);
        }
    }

    fn refused(&mut self, frame: &Frame<'_>, shared: &mut Shared<'_>) {
        *shared.books.errors.entry(frame.code.clone().into_owned()).or_default() += 1;
        let Some(number) = frame.client_id.as_deref().and_then(number_of) else { return };
        if What::is_refusal(&frame.code) {
            self.waiting.remove(&number);
            let (name, code) = (self.name(), &frame.code);
            shared.books.wrong(format!("{name} said message {number}, and was refused: {code}"));
        } else if let Some(waiting) = self.waiting.get_mut(&number) {
            let after = frame.retry_after_ms.map_or(RETRY_DEFAULT, Duration::from_millis);
            waiting.due = Instant::now() + after;
        }
    }
}

#[cfg(test)]
#[path = "member_tests.rs"]
mod tests;
