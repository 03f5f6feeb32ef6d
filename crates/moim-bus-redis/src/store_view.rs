//! What the lease holders say of the store, and what that means for those who wait for it.
//! Not here: who waits (`partition`), who says it (`log`).

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use moim_bus::{BusError, Receipt, StoreState};
use moim_protocol::{AckLevel, Epoch, MessageId};

use crate::tail::LogId;

/// A backlog older than this is not waited for.
const SLOW: Duration = Duration::from_secs(1);
/// One younger than this for [`CALM`] is again.
const QUICK: Duration = Duration::from_millis(500);
const CALM: Duration = Duration::from_secs(10);
/// Bounds of what a sender is told to wait. While the store is away nobody knows how long; what is told then is at worst waited
/// for in vain once it is back.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));

/// A watermark as it is told: the log of a generation is stored up to an id, but for the dead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) epoch: Epoch,
    /// It says nothing of the dead at or below this. `None`: read from Redis, with all the dead that this node did not know.
    pub(crate) from: Option<LogId>,
    pub(crate) id: LogId,
    pub(crate) store: StoreState,
    /// Of the oldest message that is not stored.
    pub(crate) age: Duration,
    /// By what nothing changes, whatever generation they were sent in. `None`: there may be some, and nobody knows which.
    pub(crate) dead: Option<Vec<MessageId>>,
}

impl Mark {
    /// `epoch id h|a age-ms dead...`
    pub(crate) fn encode(&self) -> String {
        let Self { epoch, from: _, id, store, age, dead } = self;
        let store = if *store == StoreState::Here { 'h' } else { 'a' };
        let mut text = format!("{epoch} {id} {store} {}", age.as_millis());
        for id in dead.iter().flatten() {
            text.push_str(&format!(" {id}"));
        }
        text
    }

    /// As it comes over a channel: in front the script has put which one was before it.
    pub(crate) fn decode_told(text: &str) -> Option<Self> {
        let (from, text) = text.split_once(' ')?;
        Some(Self { from: Some(from.parse().ok()?), ..Self::decode(text)? })
    }

    /// Reads it back.
    pub(crate) fn decode(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let epoch = Epoch::trusted(words.next()?);
        let id = words.next()?.parse().ok()?;
        let store = if words.next()? == "h" { StoreState::Here } else { StoreState::Away };
        let age = Duration::from_millis(words.next()?.parse().ok()?);
        let dead = Some(words.map(MessageId::trusted).collect());
        Some(Self { epoch, from: None, id, store, age, dead })
    }
}

/// One partition's.
#[derive(Debug, Default)]
pub(crate) struct StoreView {
    is_away: bool,
    age: Duration,
    /// The last time it was away, slow or silent; waiting for it is no good for a while after.
    trouble: Option<Instant>,
}

impl StoreView {
    /// A watermark came.
    pub(crate) fn heard(&mut self, now: Instant, mark: &Mark) {
        self.is_away = mark.store == StoreState::Away;
        self.age = mark.age;
        let was_slow = self.trouble.is_some();
        if self.is_away || mark.age > SLOW || (was_slow && mark.age > QUICK) {
            self.trouble = Some(now);
        }
    }

    /// Somebody waited in vain for a word.
    pub(crate) fn no_word(&mut self, now: Instant) {
        self.trouble = Some(now);
    }

    /// Whether it is worth while to wait for it.
    pub(crate) fn is_quick(&mut self, now: Instant) -> bool {
        if self.trouble.is_some_and(|since| now.duration_since(since) >= CALM) && !self.is_away {
            self.trouble = None;
        }
        self.trouble.is_none()
    }

    /// When to ask again for what cannot be had now.
    pub(crate) fn away(&self) -> Option<Duration> {
        self.is_away.then(|| self.retry_after())
    }

    pub(crate) fn retry_after(&self) -> Duration {
        self.age.clamp(RETRY.0, RETRY.1)
    }
}

/// Messages that the store refuses for good. Full: the oldest go, and of what they may have been nobody is told that it is stored.
const DEAD_MAX: usize = 1024;

/// Those of one partition that this node has heard of.
#[derive(Debug, Default)]
pub(crate) struct Dead {
    ids: VecDeque<MessageId>,
    /// Those at or below this place in the log may be missing.
    unknown_to: LogId,
}

impl Dead {
    /// Another log: what is known of it is known from its beginning.
    pub(crate) fn begin_anew(&mut self) {
        self.unknown_to = 0;
    }

    pub(crate) fn heard(&mut self, mark: &Mark) {
        self.ids.extend(mark.dead.iter().flatten().cloned());
        if mark.dead.is_none() || self.ids.len() > DEAD_MAX {
            self.unknown_to = mark.id;
        }
        self.ids.drain(..self.ids.len().saturating_sub(DEAD_MAX));
    }

    pub(crate) fn has(&self, id: &MessageId) -> bool {
        self.ids.contains(id)
    }

    /// What a sender is told whose message the mark has passed.
    pub(crate) fn outcome(&self, log_id: LogId, receipt: Receipt) -> Result<Receipt, BusError> {
        if self.has(&receipt.id) {
            return Err(BusError::Refused);
        }
        if log_id <= self.unknown_to {
            let why = "it is stored or refused, and the same client id is safe to send again";
            return Err(BusError::Unavailable(why.into()));
        }
        Ok(Receipt { level: AckLevel::Stored, ..receipt })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(store: StoreState, age_ms: u64) -> Mark {
        let age = Duration::from_millis(age_ms);
        let dead = Some(vec![MessageId::trusted("a"), MessageId::trusted("b")]);
        Mark { epoch: Epoch::trusted("e"), from: None, id: 7, store, age, dead }
    }

    #[test]
    fn marks_are_read_as_written() {
        let none = Mark { dead: Some(Vec::new()), ..mark(StoreState::Away, 12) };
        for mark in [mark(StoreState::Here, 0), none] {
            let told = Mark { from: Some(5), ..mark.clone() };
            assert_eq!(Mark::decode_told(&format!("5 {}", mark.encode())), Some(told));
            assert_eq!(Mark::decode(&mark.encode()), Some(mark));
        }
        assert_eq!(Mark::decode("e x h 0"), None);
    }

    #[test]
    fn an_old_backlog_is_not_waited_for_until_it_has_been_young_for_ten_seconds() {
        let mut view = StoreView::default();
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        assert!(view.is_quick(at(0)));
        view.heard(at(0), &mark(StoreState::Here, 1001));
        assert!(!view.is_quick(at(0)));
        view.heard(at(5), &mark(StoreState::Here, 600));
        view.heard(at(6), &mark(StoreState::Here, 400));
        assert!(!view.is_quick(at(14)), "600 ms at second 5 was still trouble");
        assert!(view.is_quick(at(15)));
        view.heard(at(16), &mark(StoreState::Here, 900));
        assert!(view.is_quick(at(16)), "less than a second is no trouble by itself");
    }

    #[test]
    fn while_it_is_away_stored_cannot_be_had() {
        let mut view = StoreView::default();
        let now = Instant::now();
        view.heard(now, &mark(StoreState::Away, 90_000));
        assert_eq!(view.away(), Some(RETRY.1));
        assert!(!view.is_quick(now + 2 * CALM));
        view.heard(now, &mark(StoreState::Here, 0));
        assert_eq!(view.away(), None);
    }
}
