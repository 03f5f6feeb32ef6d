//! Which pages share a read: those asked for before it is sent, and no others.
//! Not here: the read itself (`page`), who runs it (`driver`).
//!
//! A page must have every row whose append was answered before the page was asked for. A read that was already sent may have
//! been answered by the server before that append, so it is never shared with a later question, whatever its range: rows
//! below a stored row may still come late, too. So of each page one read is on its way and one waits for it, and a thousand
//! questions at once are two reads.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use moim_protocol::{Message, RoomId, Seq};
use moim_store::{PageRange, StoreError};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// What is read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PageKey {
    pub(crate) room: RoomId,
    // `PageRange` as a pair that can be hashed.
    from: (u8, Seq),
    pub(crate) limit: usize,
}

impl PageKey {
    pub(crate) fn new(room: RoomId, range: PageRange, limit: usize) -> Self {
        let from = match range {
            PageRange::Newest => (0, Seq::ZERO),
            PageRange::Before(seq) => (1, seq),
            PageRange::After(seq) => (2, seq),
        };
        Self { room, from, limit }
    }

    pub(crate) fn range(&self) -> PageRange {
        match self.from {
            (0, _) => PageRange::Newest,
            (1, seq) => PageRange::Before(seq),
            (_, seq) => PageRange::After(seq),
        }
    }
}

/// A page, as everybody who asked for it gets it.
pub(crate) type Answer = Result<Vec<Arc<Message>>, StoreError>;

/// One question for a page.
pub(crate) struct Ask {
    pub(crate) key: PageKey,
    pub(crate) answer: oneshot::Sender<Answer>,
    /// Its place among those that wait, given back when it is answered.
    pub(crate) place: Option<OwnedSemaphorePermit>,
}

/// Those that wait. As many as have a place; no IO.
#[derive(Default)]
pub(crate) struct Loads {
    waiting: HashMap<PageKey, Vec<Ask>>,
    sent: HashMap<PageKey, Vec<Ask>>,
    /// Keys in `waiting` whose turn it may be: those of which no read is on its way.
    ready: VecDeque<PageKey>,
}

impl Loads {
    pub(crate) fn ask(&mut self, ask: Ask) {
        let waiting = self.waiting.entry(ask.key.clone()).or_default();
        if waiting.is_empty() && !self.sent.contains_key(&ask.key) {
            self.ready.push_back(ask.key.clone());
        }
        waiting.push(ask);
    }

    /// The next read to send now, and for how many. Those who have gone meanwhile do not count.
    pub(crate) fn next(&mut self) -> Option<(PageKey, usize)> {
        while let Some(key) = self.ready.pop_front() {
            let mut asks = self.waiting.remove(&key).unwrap_or_default();
            asks.retain(|ask| !ask.answer.is_closed());
            let count = asks.len();
            if count > 0 {
                self.sent.insert(key.clone(), asks);
                return Some((key, count));
            }
        }
        None
    }

    /// A read has ended: all that it was sent for are answered, and those that came later may have theirs.
    pub(crate) fn done(&mut self, key: PageKey, answer: &Answer) {
        for ask in self.sent.remove(&key).unwrap_or_default() {
            // A caller that no longer waits is no fault.
            ask.answer.send(answer.clone()).ok();
            drop(ask.place);
        }
        if self.waiting.contains_key(&key) {
            self.ready.push_back(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(room: &str, range: PageRange) -> PageKey {
        PageKey::new(RoomId::trusted(room), range, 100)
    }

    fn ask(loads: &mut Loads, key: &PageKey) -> oneshot::Receiver<Answer> {
        let (answer, answered) = oneshot::channel();
        loads.ask(Ask { key: key.clone(), answer, place: None });
        answered
    }

    #[test]
    fn a_key_is_its_range() {
        for range in [PageRange::Newest, PageRange::Before(Seq(5)), PageRange::After(Seq(5))] {
            assert_eq!(key("a", range).range(), range);
        }
        assert_ne!(key("a", PageRange::Before(Seq(5))), key("a", PageRange::After(Seq(5))));
    }

    /// The promise: who asks after a read was sent is not answered by it.
    #[test]
    fn a_read_is_shared_only_by_those_who_asked_before_it_was_sent() {
        let mut loads = Loads::default();
        for range in [PageRange::Newest, PageRange::Before(Seq(5)), PageRange::After(Seq(5))] {
            let key = key("a", range);
            let early: Vec<_> = (0..500).map(|_| ask(&mut loads, &key)).collect();
            assert_eq!(loads.next(), Some((key.clone(), 500)));
            let mut late: Vec<_> = (0..500).map(|_| ask(&mut loads, &key)).collect();
            assert_eq!(loads.next(), None, "one on its way, one waiting");
            loads.done(key.clone(), &Ok(Vec::new()));
            for mut answered in early {
                assert!(answered.try_recv().is_ok());
            }
            assert!(late.iter_mut().all(|answered| answered.try_recv().is_err()));
            assert_eq!(loads.next(), Some((key.clone(), 500)));
            loads.done(key, &Err(StoreError::Unavailable("away".into())));
            assert!(late.iter_mut().all(|answered| answered.try_recv().is_ok_and(|page| page.is_err())));
        }
        assert_eq!(loads.next(), None);
        assert!(loads.waiting.is_empty() && loads.sent.is_empty(), "nothing is kept");
    }

    #[test]
    fn different_pages_do_not_wait_for_each_other() {
        let mut loads = Loads::default();
        let keys =
            [key("a", PageRange::Newest), key("b", PageRange::Newest), key("a", PageRange::Before(Seq(9)))];
        let _answers: Vec<_> = keys.iter().map(|key| ask(&mut loads, key)).collect();
        let sent: Vec<_> = std::iter::from_fn(|| loads.next()).map(|(key, _)| key).collect();
        assert_eq!(sent, keys);
    }

    #[test]
    fn nothing_is_read_for_those_who_have_gone() {
        let mut loads = Loads::default();
        let key = key("a", PageRange::Newest);
        drop(ask(&mut loads, &key));
        assert_eq!(loads.next(), None);
        drop(ask(&mut loads, &key));
        let _stays = ask(&mut loads, &key);
        assert_eq!(loads.next(), Some((key.clone(), 1)));
        drop(ask(&mut loads, &key));
        loads.done(key, &Ok(Vec::new()));
        assert_eq!(loads.next(), None);
        assert!(loads.waiting.is_empty(), "nothing is kept");
    }
}
