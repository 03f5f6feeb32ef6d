//! How many writes to the store are on their way at once, over all logs: as many as it bears, the oldest messages first.
//! Not here: the writes (`one_log`).

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use moim_protocol::Timestamp;
use tokio::sync::Notify;

/// Writes at once when nothing is known of the store yet.
pub(super) const AT_START: usize = 4;
/// Writes at once at most. Full: further logs wait for their turn, and their messages stay in the log.
pub(crate) const WRITES_AT_ONCE_MAX: usize = 64;

/// The limit and who waits for it. It grows by one with a write that went well while all places were taken, and is halved
/// by one that did not (additive increase, multiplicative decrease, as in TCP), but once only for all that were on their
/// way together: they all tell of the same trouble.
pub(crate) struct Pace {
    /// A std mutex: never held across an await; sections look up one of a few hundred logs.
    state: Mutex<State>,
}

struct State {
    limit: usize,
    running: usize,
    /// How often it was halved.
    halvings: u64,
    asked: u64,
    /// By the time of the log's oldest message, then by who asked first.
    waiting: BTreeMap<Place, Arc<Notify>>,
}

type Place = (Timestamp, u64);

/// How a write went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Went {
    /// The store took it in good time.
    Well,
    /// It failed, or was slow.
    Badly,
}

impl Pace {
    /// With the limit it starts at.
    pub(crate) fn new() -> Arc<Self> {
        let state = State { limit: AT_START, running: 0, halvings: 0, asked: 0, waiting: BTreeMap::new() };
        Arc::new(Self { state: Mutex::new(state) })
    }

    /// Writes that may be on their way now.
    pub(crate) fn limit(&self) -> usize {
        self.lock().limit
    }

    /// Waits for a place. Whose oldest message is the oldest comes first.
    ///
    /// # Cancel safety
    /// Safe: dropping it gives the place in the queue up.
    pub(crate) async fn turn(self: &Arc<Self>, oldest: Timestamp) -> Turn {
        let mut asking = self.ask(oldest);
        loop {
            if let Some(turn) = self.take(asking.place) {
                asking.is_settled = true;
                return turn;
            }
            asking.called.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No section leaves the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, oldest: Timestamp) -> Asking<'_> {
        let called = Arc::new(Notify::new());
        let mut state = self.lock();
        state.asked += 1;
        let place = (oldest, state.asked);
        state.waiting.insert(place, called.clone());
        Asking { pace: self, place, called, is_settled: false }
    }

    fn take(self: &Arc<Self>, place: Place) -> Option<Turn> {
        let mut state = self.lock();
        let is_first = state.waiting.first_key_value().is_some_and(|(first, _)| *first == place);
        if !is_first || state.running >= state.limit {
            return None;
        }
        state.waiting.remove(&place);
        state.running += 1;
        state.call_first();
        Some(Turn { pace: self.clone(), halvings: state.halvings })
    }
}

impl State {
    /// Lets the first of the queue look whether there is a place.
    fn call_first(&self) {
        if self.running < self.limit
            && let Some(called) = self.waiting.values().next()
        {
            called.notify_one();
        }
    }
}

/// Somebody in the queue; dropping it leaves the queue.
struct Asking<'a> {
    pace: &'a Pace,
    place: Place,
    called: Arc<Notify>,
    is_settled: bool,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if !self.is_settled {
            let mut state = self.pace.lock();
            state.waiting.remove(&self.place);
            // It may have been called just now.
            state.call_first();
        }
    }
}

/// A place among the writes; dropping it gives it back and says nothing of the store.
pub(crate) struct Turn {
    pace: Arc<Pace>,
    /// What `halvings` was when it began.
    halvings: u64,
}

impl Turn {
    /// Gives it back and says how it went.
    pub(crate) fn end(self, went: Went) {
        let mut state = self.pace.lock();
        match went {
            Went::Well if state.running >= state.limit => {
                state.limit = (state.limit + 1).min(WRITES_AT_ONCE_MAX);
            }
            Went::Badly if state.halvings == self.halvings => {
                state.limit = (state.limit / 2).max(1);
                state.halvings += 1;
            }
            Went::Well | Went::Badly => {}
        }
        // Dropping it now takes the lock again.
        drop(state);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.pace.lock();
        state.running -= 1;
        state.call_first();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, poll};

    use super::*;

    fn at(micros: u64) -> Timestamp {
        Timestamp { micros }
    }

    fn take_all(pace: &Arc<Pace>) -> Vec<Turn> {
        std::iter::from_fn(|| pace.turn(at(1)).now_or_never()).collect()
    }

    #[test]
    fn the_limit_grows_by_one_with_each_success_while_it_is_used_up_to_its_bound() {
        let pace = Pace::new();
        let mut turns = take_all(&pace);
        assert_eq!(turns.len(), AT_START);
        for grown in AT_START + 1..=WRITES_AT_ONCE_MAX + 3 {
            turns.pop().unwrap().end(Went::Well);
            assert_eq!(pace.limit(), grown.min(WRITES_AT_ONCE_MAX));
            turns.extend(take_all(&pace));
        }
        assert_eq!(turns.len(), WRITES_AT_ONCE_MAX);
    }

    #[test]
    fn a_limit_that_is_not_used_does_not_grow() {
        let pace = Pace::new();
        for _ in 0..100 {
            pace.turn(at(1)).now_or_never().unwrap().end(Went::Well);
        }
        assert_eq!(pace.limit(), AT_START);
    }

    #[test]
    fn one_trouble_halves_once_and_the_next_again_down_to_one() {
        let pace = Pace::new();
        for halved in [AT_START / 2, AT_START / 4, 1, 1] {
            for turn in take_all(&pace) {
                turn.end(Went::Badly);
            }
            assert_eq!(pace.limit(), halved.max(1));
        }
        assert_eq!(take_all(&pace).len(), 1, "one always goes on, to find out when it is over");
    }

    #[tokio::test]
    async fn the_oldest_goes_first_whoever_asked_first() {
        let pace = Pace::new();
        let mut turns = take_all(&pace);
        let mut young = Box::pin(pace.turn(at(20)));
        let mut old = Box::pin(pace.turn(at(10)));
        assert!(poll!(&mut young).is_pending() && poll!(&mut old).is_pending());
        turns.pop();
        assert!(poll!(&mut young).is_pending());
        let Some(old) = old.now_or_never() else { panic!("the oldest has its turn") };
        assert!(poll!(&mut young).is_pending());
        drop(old);
        assert!(young.now_or_never().is_some());
    }

    #[tokio::test]
    async fn one_that_is_given_up_blocks_nobody() {
        let pace = Pace::new();
        let mut turns = take_all(&pace);
        let mut first = Box::pin(pace.turn(at(10)));
        let second = tokio::spawn({
            let pace = pace.clone();
            async move { pace.turn(at(20)).await }
        });
        assert!(poll!(&mut first).is_pending());
        tokio::task::yield_now().await;
        turns.pop();
        drop(first);
        second.await.unwrap();
    }
}
