//! Own messages until the server answers for them: their order, their bound, their retries.
//! Not here: the connection (`wire`), clocks: time is an argument.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use moim_protocol::{AckLevel, ClientFrame, HeardError};

use crate::backoff::full_jitter;

/// Messages that wait for an answer. Full: the keyboard or the pipe is not read on.
pub(crate) const OUTBOX_MAX: usize = 500;
/// The server promises an answer, never silence; after this the same message is sent again.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
const UNANSWERED_MAX: u32 = 5;
/// The server knows a `clientId` for 10 minutes from its last try; later the same send could become a second message.
const IDEMPOTENT_FOR: Duration = Duration::from_secs(570);
/// A server that asks for a longer pause is not believed: it would forget the `clientId` meanwhile.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// Refusals that pass: the same message is sent again. All others are final.
const PASSING: [&str; 4] = ["rate_limited", "overloaded", "unavailable", "store_unavailable"];

/// How it stands with an own message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Not known to be anywhere but here.
    Pending,
    /// In the room's log; its ack is still to come.
    Logged,
}

/// One own message.
#[derive(Debug)]
pub(crate) struct Own {
    pub(crate) client_id: String,
    pub(crate) content: String,
    pub(crate) state: State,
    in_flight: bool,
    due: Option<Instant>,
    tried: Option<Instant>,
    refusals: u32,
    unanswered: u32,
}

/// What became of an own message, once and for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Acknowledged, with that durability.
    Acked(AckLevel),
    /// Refused for good: the stable code and the server's sentence.
    Refused(String, String),
    /// It may or may not be in the room, and trying again could double it.
    Unknown,
    /// The server took it and never answered.
    NoAnswer,
}

/// The end of an own message's wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) client_id: String,
    pub(crate) content: String,
    pub(crate) fate: Fate,
    /// Its epoch and number, where its ack told them.
    pub(crate) place: Option<(String, u64)>,
}

/// Own messages in the order they were written. One at a time is under way, so that none overtakes another.
#[derive(Debug)]
pub(crate) struct Outbox {
    session: String,
    written: u64,
    level: Option<AckLevel>,
    waiting: VecDeque<Own>,
}

impl Outbox {
    /// `session` tells this client's messages from all others'.
    pub(crate) fn new(session: String, level: Option<AckLevel>) -> Self {
        Self { session, written: 0, level, waiting: VecDeque::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.waiting.len() >= OUTBOX_MAX
    }

    pub(crate) fn waiting(&self) -> impl ExactSizeIterator<Item = &Own> {
        self.waiting.iter()
    }

    /// Whether a message with that id was written here.
    pub(crate) fn wrote(&self, client_id: Option<&str>) -> bool {
        client_id
            .and_then(|id| id.strip_prefix(self.session.as_str()))
            .is_some_and(|rest| rest.starts_with('-'))
    }

    pub(crate) fn add(&mut self, content: String) {
        self.written += 1;
        self.waiting.push_back(Own {
            client_id: format!("{}-{}", self.session, self.written),
            content,
            state: State::Pending,
            in_flight: false,
            due: None,
            tried: None,
            refusals: 0,
            unanswered: 0,
        });
    }

    /// What to send now; it counts as sent from here on.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<ClientFrame> {
        let is_due = |own: &Own| !own.in_flight && own.due.is_none_or(|due| due <= now);
        let logged = self.waiting.iter().position(|own| own.state == State::Logged && is_due(own));
        // Nobody overtakes one that has to wait.
        let pending = self.waiting.iter().position(|own| own.state == State::Pending);
        let next = logged.or(pending.filter(|at| is_due(&self.waiting[*at])))?;
        let own = &mut self.waiting[next];
        (own.in_flight, own.tried, own.due) = (true, Some(now), Some(now + ANSWER_WITHIN));
        Some(ClientFrame::Message {
            room: None,
            content: own.content.as_str().into(),
            client_id: Some(own.client_id.clone()),
            ack: self.level,
        })
    }

    /// When `take_due` or `give_up_waiting` may next have something to do by itself.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.waiting.iter().filter_map(|own| own.due).min()
    }

    /// Who got no answer in time is sent again, some times.
    pub(crate) fn give_up_waiting(&mut self, now: Instant) -> Option<Settled> {
        let overdue = |own: &Own| own.in_flight && own.due.is_some_and(|due| due <= now);
        let at = self.waiting.iter().position(overdue)?;
        let own = &mut self.waiting[at];
        (own.in_flight, own.due, own.unanswered) = (false, None, own.unanswered + 1);
        if own.unanswered < UNANSWERED_MAX {
            return None;
        }
        let fate = if own.state == State::Logged { Fate::Acked(AckLevel::Wal) } else { Fate::NoAnswer };
        self.settle(at, fate)
    }

    pub(crate) fn acked(
        &mut self,
        client_id: &str,
        place: (String, u64),
        level: AckLevel,
    ) -> Option<Settled> {
        let settled = self.settle(self.position(client_id)?, Fate::Acked(level))?;
        Some(Settled { place: Some(place), ..settled })
    }

    /// An own message among those of the room: it is in the log, whatever its ack will say.
    pub(crate) fn seen(&mut self, client_id: &str) {
        if let Some(at) = self.position(client_id) {
            self.waiting[at].state = State::Logged;
        }
    }

    /// `None`: it is not final, or not about a message that waits here.
    pub(crate) fn refused(&mut self, error: &HeardError, now: Instant, random: u64) -> Option<Settled> {
        let at = self.position(error.client_id.as_deref()?)?;
        if !PASSING.contains(&error.code.as_str()) {
            return self.settle(at, Fate::Refused(error.code.clone(), error.message.clone()));
        }
        let own = &mut self.waiting[at];
        let asked = error.retry_after_ms.map(Duration::from_millis);
        let pause = asked.unwrap_or_else(|| full_jitter(own.refusals, random)).min(PAUSE_MAX);
        (own.in_flight, own.due) = (false, Some(now + pause));
        (own.refusals, own.unanswered) = (own.refusals + 1, 0);
        if error.code == "store_unavailable" {
            // It is in the log; only its ack is late.
            own.state = State::Logged;
        }
        None
    }

    pub(crate) fn disconnected(&mut self) {
        for own in &mut self.waiting {
            (own.in_flight, own.due) = (false, None);
        }
    }

    /// After the missed messages were seen and before anything is sent again: what was tried too long ago to be tried
    /// safely. `certain`: every message since was seen, so that what was not seen was not taken.
    pub(crate) fn reconnected(&mut self, now: Instant, certain: bool) -> Vec<Settled> {
        let is_old =
            |own: &Own| own.tried.is_some_and(|tried| now.saturating_duration_since(tried) >= IDEMPOTENT_FOR);
        let mut settled = Vec::new();
        for at in (0..self.waiting.len()).rev() {
            let fate = match &self.waiting[at] {
                own if !is_old(own) => continue,
                Own { state: State::Logged, .. } => Fate::Acked(AckLevel::Wal),
                Own { .. } if certain => continue,
                Own { .. } => Fate::Unknown,
            };
            settled.extend(self.settle(at, fate));
        }
        settled.reverse();
        settled
    }

    fn position(&self, client_id: &str) -> Option<usize> {
        self.waiting.iter().position(|own| own.client_id == client_id)
    }

    fn settle(&mut self, at: usize, fate: Fate) -> Option<Settled> {
        let Own { client_id, content, .. } = self.waiting.remove(at)?;
        Some(Settled { client_id, content, fate, place: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox(contents: &[&str]) -> Outbox {
        let mut outbox = Outbox::new("s".into(), None);
        contents.iter().for_each(|content| outbox.add((*content).into()));
        outbox
    }

    fn sent(outbox: &mut Outbox, now: Instant) -> Option<String> {
        match outbox.take_due(now)? {
            ClientFrame::Message { client_id, .. } => client_id,
            other => panic!("{other:?}"),
        }
    }

    fn refusal(code: &str, id: &str) -> HeardError {
        let retry_after_ms = Some(500);
        HeardError { code: code.into(), message: String::new(), client_id: Some(id.into()), retry_after_ms }
    }

    #[test]
    fn one_at_a_time_and_again_after_a_break() {
        let (mut outbox, now) = (outbox(&["a", "b"]), Instant::now());
        assert_eq!(sent(&mut outbox, now).as_deref(), Some("s-1"));
        assert_eq!(sent(&mut outbox, now), None);
        outbox.disconnected();
        assert!(outbox.reconnected(now, true).is_empty());
        assert_eq!(sent(&mut outbox, now).as_deref(), Some("s-1"));
        assert_eq!(
            outbox.acked("s-1", (String::new(), 1), AckLevel::Stored).unwrap().fate,
            Fate::Acked(AckLevel::Stored)
        );
        assert_eq!(outbox.acked("s-1", (String::new(), 1), AckLevel::Stored), None);
        assert_eq!(sent(&mut outbox, now).as_deref(), Some("s-2"));
    }

    #[test]
    fn a_refusal_that_passes_holds_the_rest_back() {
        let (mut outbox, now) = (outbox(&["a", "b"]), Instant::now());
        sent(&mut outbox, now);
        assert_eq!(outbox.refused(&refusal("rate_limited", "s-1"), now, 0), None);
        assert_eq!(sent(&mut outbox, now), None);
        let later = now + Duration::from_millis(500);
        assert_eq!(outbox.next_due(), Some(later));
        assert_eq!(sent(&mut outbox, later).as_deref(), Some("s-1"));
        let told = outbox.refused(&refusal("message_refused", "s-1"), later, 0).unwrap();
        assert_eq!(told.fate, Fate::Refused("message_refused".into(), String::new()));
        assert_eq!(sent(&mut outbox, later).as_deref(), Some("s-2"));
    }

    #[test]
    fn who_waits_for_the_store_holds_nobody_back() {
        let (mut outbox, now) = (outbox(&["a", "b"]), Instant::now());
        sent(&mut outbox, now);
        assert_eq!(outbox.refused(&refusal("store_unavailable", "s-1"), now, 0), None);
        assert_eq!(outbox.waiting().next().map(|own| own.state), Some(State::Logged));
        assert_eq!(sent(&mut outbox, now).as_deref(), Some("s-2"));
        assert_eq!(sent(&mut outbox, now + PAUSE_MAX).as_deref(), Some("s-1"));
    }

    #[test]
    fn silence_is_asked_again_and_then_told() {
        let (mut outbox, mut now) = (outbox(&["a"]), Instant::now());
        for _ in 1..UNANSWERED_MAX {
            sent(&mut outbox, now).unwrap();
            assert_eq!(outbox.give_up_waiting(now), None);
            now += ANSWER_WITHIN;
            assert_eq!(outbox.give_up_waiting(now), None);
        }
        sent(&mut outbox, now).unwrap();
        assert_eq!(outbox.give_up_waiting(now + ANSWER_WITHIN).unwrap().fate, Fate::NoAnswer);
    }

    #[test]
    fn what_the_server_may_have_forgotten_is_not_sent_again_blindly() {
        let (mut outbox, now) = (outbox(&["seen", "not seen", "never tried"]), Instant::now());
        sent(&mut outbox, now);
        outbox.seen("s-1");
        sent(&mut outbox, now);
        outbox.disconnected();
        let late = now + IDEMPOTENT_FOR;
        let told: Vec<_> = outbox.reconnected(late, false).into_iter().map(|settled| settled.fate).collect();
        assert_eq!(told, [Fate::Acked(AckLevel::Wal), Fate::Unknown]);
        assert_eq!(sent(&mut outbox, late).as_deref(), Some("s-3"));
    }

    #[test]
    fn own_messages_are_known_by_their_session() {
        let outbox = outbox(&[]);
        assert!(outbox.wrote(Some("s-7")) && !outbox.wrote(Some("s7")) && !outbox.wrote(Some("t-1")));
        assert!(!outbox.wrote(None));
    }
}
