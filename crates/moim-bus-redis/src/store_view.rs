//! What the lease holders say of the store, and what that means for those who wait for it.
//! Not here: who waits (`partition`), who says it (`log`).

use std::time::{Duration, Instant};

use moim_bus::StoreState;
use moim_protocol::Epoch;

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
    pub(crate) id: LogId,
    pub(crate) store: StoreState,
    /// Of the oldest message that is not stored.
    pub(crate) age: Duration,
    pub(crate) dead: Vec<LogId>,
}

impl Mark {
    /// `epoch id h|a age-ms dead...`
    pub(crate) fn encode(&self) -> String {
        let Self { epoch, id, store, age, dead } = self;
        let store = if *store == StoreState::Here { 'h' } else { 'a' };
        let mut text = format!("{epoch} {id} {store} {}", age.as_millis());
        for id in dead {
            text.push_str(&format!(" {id}"));
        }
        text
    }

    /// Reads it back.
    pub(crate) fn decode(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let epoch = Epoch::trusted(words.next()?);
        let id = words.next()?.parse().ok()?;
        let store = if words.next()? == "h" { StoreState::Here } else { StoreState::Away };
        let age = Duration::from_millis(words.next()?.parse().ok()?);
        let dead = words.map(|word| word.parse().ok()).collect::<Option<_>>()?;
        Some(Self { epoch, id, store, age, dead })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(store: StoreState, age_ms: u64) -> Mark {
        let age = Duration::from_millis(age_ms);
        Mark { epoch: Epoch::trusted("e"), id: 7, store, age, dead: vec![3, 5] }
    }

    #[test]
    fn marks_are_read_as_written() {
        for mark in [mark(StoreState::Here, 0), Mark { dead: Vec::new(), ..mark(StoreState::Away, 12) }] {
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
