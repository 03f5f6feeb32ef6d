//! When reads are not even tried: after several failures in a row, until one probe succeeds.
//! Not here: writes, which the writer repeats for ever with its own backoff; what counts as a failure (`link`).

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Reads in a row that must fail before it opens. Fewer would open it at one slow room.
const FAILURES_TO_OPEN: u32 = 5;
/// How long it stays open the first time; doubled at each probe that fails.
const OPEN_FIRST: Duration = Duration::from_secs(1);
/// And the longest: history comes back within this of the store.
const OPEN_MAX: Duration = Duration::from_secs(8);

const _: () = assert!(OPEN_FIRST.as_secs() <= OPEN_MAX.as_secs(), "doubling goes up");

/// Time is an argument: nothing here reads a clock.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    // A std mutex: never held across an await, the critical section is one match.
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant, period: Duration },
    Probing { since: Instant, period: Duration },
}

impl Default for State {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

/// A read that may be made. Dropped without a word (its caller went away), it leaves the next one free to probe.
#[derive(Debug)]
pub(crate) struct Pass<'a> {
    breaker: &'a Breaker,
    is_probe: bool,
    told: bool,
}

/// How the breaker stands, for the metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stands {
    Closed,
    Probing,
    Open,
}

impl Breaker {
    /// A read may be made; `None` while it is open, or while its one probe is on its way.
    pub(crate) fn admit(&self, now: Instant) -> Option<Pass<'_>> {
        let mut state = self.state();
        let is_probe = match *state {
            State::Closed { .. } => false,
            State::Open { until, period } if until <= now => {
                *state = State::Probing { since: now, period };
                true
            }
            State::Open { .. } | State::Probing { .. } => return None,
        };
        Some(Pass { breaker: self, is_probe, told: false })
    }

    pub(crate) fn stands(&self) -> Stands {
        match *self.state() {
            State::Closed { .. } => Stands::Closed,
            State::Open { .. } => Stands::Open,
            State::Probing { .. } => Stands::Probing,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass<'_> {
    /// The read was answered: whatever failed before, the store is there.
    pub(crate) fn succeeded(mut self) {
        self.told = true;
        *self.breaker.state() = State::default();
    }

    /// The read failed because of how the store is.
    pub(crate) fn failed(mut self, now: Instant) {
        self.told = true;
        let mut state = self.breaker.state();
        *state = match *state {
            State::Closed { failures } if failures + 1 < FAILURES_TO_OPEN => {
                State::Closed { failures: failures + 1 }
            }
            State::Closed { .. } => State::Open { until: now + OPEN_FIRST, period: OPEN_FIRST },
            State::Probing { period, .. } if self.is_probe => {
                let period = (period * 2).min(OPEN_MAX);
                State::Open { until: now + period, period }
            }
            // A read from before it opened: says nothing new.
            other => other,
        };
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.told || !self.is_probe {
            return;
        }
        let mut state = self.breaker.state();
        if let State::Probing { since, period } = *state {
            *state = State::Open { until: since, period };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(breaker: &Breaker, now: Instant, times: u32) {
        for _ in 0..times {
            breaker.admit(now).expect("still closed").failed(now);
        }
    }

    #[test]
    fn it_opens_after_failures_in_a_row_only() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        fail(&breaker, now, FAILURES_TO_OPEN - 1);
        breaker.admit(now).unwrap().succeeded();
        fail(&breaker, now, FAILURES_TO_OPEN - 1);
        assert_eq!(breaker.stands(), Stands::Closed);
        fail(&breaker, now, 1);
        assert_eq!(breaker.stands(), Stands::Open);
        assert!(breaker.admit(now).is_none());
        assert!(breaker.admit(now + OPEN_FIRST - Duration::from_millis(1)).is_none());
    }

    #[test]
    fn one_probe_at_a_time_and_its_success_closes() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        fail(&breaker, now, FAILURES_TO_OPEN);
        let later = now + OPEN_FIRST;
        let probe = breaker.admit(later).expect("a probe");
        assert_eq!(breaker.stands(), Stands::Probing);
        assert!(breaker.admit(later).is_none(), "a second probe");
        probe.succeeded();
        assert_eq!(breaker.stands(), Stands::Closed);
        fail(&breaker, later, FAILURES_TO_OPEN - 1);
        assert!(breaker.admit(later).is_some(), "counting starts again");
    }

    #[test]
    fn failed_probes_wait_longer_up_to_a_cap() {
        let (breaker, mut now) = (Breaker::default(), Instant::now());
        fail(&breaker, now, FAILURES_TO_OPEN);
        for seconds in [1, 2, 4, 8, 8, 8] {
            let period = Duration::from_secs(seconds);
            assert!(breaker.admit(now + period - Duration::from_millis(1)).is_none(), "{period:?}");
            now += period;
            breaker.admit(now).expect("a probe").failed(now);
        }
    }

    #[test]
    fn a_dropped_probe_leaves_the_next_one_free() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        fail(&breaker, now, FAILURES_TO_OPEN);
        let later = now + OPEN_FIRST;
        drop(breaker.admit(later).expect("a probe"));
        assert!(breaker.admit(later).is_some(), "the next probe");
    }

    #[test]
    fn reads_from_before_it_opened_change_little() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        let (slow, lucky) = (breaker.admit(now).unwrap(), breaker.admit(now).unwrap());
        fail(&breaker, now, FAILURES_TO_OPEN);
        slow.failed(now + OPEN_MAX);
        assert!(breaker.admit(now + OPEN_FIRST).is_some(), "it does not stay open longer");
        lucky.succeeded();
        assert_eq!(breaker.stands(), Stands::Closed, "an answer is an answer");
    }
}
