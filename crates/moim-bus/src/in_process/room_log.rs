//! One room's log in memory: numbers, duplicates, what is not committed, the ring of what is. Pure state, no tasks.
//! Not here: locks, queues over all rooms, relaying (`in_process`).

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use moim_protocol::{AckLevel, ClientId, Epoch, Message, Position, Seq, Timestamp, UserName};
use tokio::sync::oneshot;

use crate::{ANSWER_KEPT, BusError, Draft, Receipt, Ring, Seed, content_hash};

/// Newest committed messages kept per room.
pub(super) const RING_ROWS_MAX: usize = 256;
/// And their bytes: a room of large messages keeps fewer.
pub(super) const RING_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Tries of one message that wait for it to be stored. Full: those given up are forgotten, then `overloaded`.
pub(super) const TRIES_MAX: usize = 64;

pub(super) type Answer = oneshot::Sender<Result<Receipt, BusError>>;

/// The fixed share in [`Message::weight_bytes`].
const MESSAGE_SHARE_BYTES: usize = 256;

/// A draft in the bus's hands.
pub(super) struct Taken {
    pub(super) draft: Draft,
    /// Of its content, when it has a client id: a mebibyte is not hashed under the lock of all rooms.
    content_hash: u64,
    pub(super) answer: Answer,
}

impl Taken {
    pub(super) fn new(draft: Draft, answer: Answer) -> Self {
        let content_hash = draft.client_id.as_ref().map_or(0, |_| content_hash(&draft.content));
        Self { draft, content_hash, answer }
    }

    /// That of the message it becomes.
    pub(super) fn weight_bytes(&self) -> usize {
        self.draft.content.len() + self.draft.sender.as_str().len() + MESSAGE_SHARE_BYTES
    }

    pub(super) fn refuse(self, error: BusError) {
        reply(self.answer, Err(error));
    }
}

/// What all rooms together still have room for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Space {
    /// One more in the log.
    pub(super) log: bool,
    /// One more recent send.
    pub(super) answers: bool,
}

/// What a room holds of what is bounded over all rooms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// Recent sends.
    pub(super) answers: usize,
    /// Bytes of the ring.
    pub(super) ring_bytes: usize,
}

type AnswerKey = (UserName, ClientId);

struct Answered {
    content_hash: u64,
    receipt: Receipt,
    last_try: Timestamp,
}

struct Pending {
    message: Arc<Message>,
    waiting: Vec<Answer>,
}

impl Pending {
    fn wait(&mut self, answer: Answer) {
        if self.waiting.len() >= TRIES_MAX {
            self.waiting.retain(|waiting| !waiting.is_closed());
        }
        if self.waiting.len() >= TRIES_MAX {
            return reply(answer, Err(BusError::Overloaded("list of tries of this message")));
        }
        self.waiting.push(answer);
    }
}

/// What became of a draft.
pub(super) enum Appended {
    /// It has a number; this is the log's new entry.
    New(Arc<Message>),
    /// It was sent before, or is refused; its sender is or will be answered.
    Settled,
}

pub(super) struct RoomLog {
    level: AckLevel,
    epoch: Epoch,
    /// The last number given, or the base.
    head: Seq,
    /// The last message's number: zero for none, `None` when unknown.
    last: Option<Seq>,
    last_time: Timestamp,
    pending: VecDeque<Pending>,
    ring: VecDeque<Arc<Message>>,
    ring_bytes: usize,
    committed: Seq,
    committed_last: Option<Seq>,
    committed_epoch: Epoch,
    answers: HashMap<AnswerKey, Answered>,
    /// When to look at a key again, oldest first. Each key of `answers` stands here once, however often it is tried.
    expiry: VecDeque<(Timestamp, AnswerKey)>,
    pub(super) used: Timestamp,
}

impl RoomLog {
    /// A room as the store knows it; its numbers go on after `start`, its acks say `level`.
    pub(super) fn new(seed: Seed, start: Position, level: AckLevel, now: Timestamp) -> Self {
        let newest = seed.newest.last();
        let Position { epoch, seq: head } = start;
        // A start above zero without a row is a run of numbers whose past is not known.
        let last = newest.map(|row| row.seq).or((head == Seq::ZERO).then_some(Seq::ZERO));
        let committed_epoch = newest.map_or_else(|| epoch.clone(), |row| row.epoch.clone());
        let mut log = Self {
            last_time: newest.map_or(Timestamp::default(), |row| row.time),
            level,
            epoch,
            head,
            last,
            pending: VecDeque::new(),
            ring: VecDeque::new(),
            ring_bytes: 0,
            committed: head,
            committed_last: last,
            committed_epoch,
            answers: HashMap::new(),
            expiry: VecDeque::new(),
            used: now,
        };
        for row in seed.newest {
            log.push_ring(row);
        }
        for mut answer in seed.answers {
            answer.receipt.level = level;
            let last_try = answer.receipt.time;
            // Forgotten ones are not taken up: so all rooms together hold no more than was sent in ten minutes.
            if now.since(last_try) < ANSWER_KEPT {
                let known = Answered { content_hash: answer.content_hash, receipt: answer.receipt, last_try };
                log.remember((answer.sender, answer.client_id), known);
            }
        }
        log
    }

    /// Duplicate check, then a number: what was sent before needs no space, so it is answered when there is none.
    pub(super) fn append(&mut self, taken: Taken, now: Timestamp, space: Space) -> Appended {
        self.used = now;
        self.expire(now);
        let Taken { draft, content_hash, answer } = taken;
        let key = draft.client_id.clone().map(|client_id| (draft.sender.clone(), client_id));
        if let Some(known) = key.as_ref().and_then(|key| self.answers.get_mut(key))
            && now.since(known.last_try) < ANSWER_KEPT
        {
            known.last_try = now;
            let known = (known.content_hash == content_hash).then(|| known.receipt.clone());
            self.answer_again(known, answer);
            return Appended::Settled;
        }
        let full = match space {
            Space { log: false, .. } => Some("log"),
            Space { answers: false, .. } if key.is_some() => Some("table of recent sends"),
            Space { .. } => None,
        };
        if let Some(full) = full {
            reply(answer, Err(BusError::Overloaded(full)));
            return Appended::Settled;
        }
        let message = self.number(draft, now);
        if let Some(key) = key {
            let receipt = receipt(&message, self.level);
            self.remember(key, Answered { content_hash, receipt, last_try: now });
        }
        self.pending.push_back(Pending { message: message.clone(), waiting: vec![answer] });
        Appended::New(message)
    }

    fn remember(&mut self, key: AnswerKey, known: Answered) {
        let last_try = known.last_try;
        if self.answers.insert(key.clone(), known).is_none() {
            self.expiry.push_back((last_try, key));
        }
    }

    fn number(&mut self, draft: Draft, now: Timestamp) -> Arc<Message> {
        // A clock that steps back must not make a later message older than an earlier one.
        let time = now.max(Timestamp { micros: self.last_time.micros + 1 });
        let message = Arc::new(Message {
            room: draft.room,
            seq: self.head.next(),
            prev: self.last,
            epoch: self.epoch.clone(),
            id: draft.id,
            client_id: draft.client_id,
            username: draft.sender,
            content: draft.content,
            time,
        });
        self.head = message.seq;
        self.last = Some(message.seq);
        self.last_time = time;
        message
    }

    /// `receipt`: of the first try, unless that had other content.
    fn answer_again(&mut self, receipt: Option<Receipt>, answer: Answer) {
        let Some(receipt) = receipt else { return reply(answer, Err(BusError::ClientIdReused)) };
        let seq = receipt.position.seq;
        match self.pending.binary_search_by_key(&seq, |entry| entry.message.seq) {
            // Not durable yet: it is answered with the first one.
            Ok(at) => self.pending[at].wait(answer),
            Err(_) => reply(answer, Ok(receipt)),
        }
    }

    /// Forgets sends whose last try is ten minutes ago. Costs nothing when there are none.
    pub(super) fn expire(&mut self, now: Timestamp) {
        while self.expiry.front().is_some_and(|(tried, _)| now.since(*tried) >= ANSWER_KEPT) {
            let Some((_, key)) = self.expiry.pop_front() else { return };
            match self.answers.get(&key).map(|known| known.last_try) {
                // Tried again since: it is looked at again when that try may be forgotten.
                Some(last_try) if now.since(last_try) < ANSWER_KEPT => {
                    self.expiry.push_back((last_try, key));
                }
                Some(_) | None => drop(self.answers.remove(&key)),
            }
        }
    }

    /// The first pending messages up to this one are stored: they become visible and their senders are answered. `dead`: this
    /// one is refused by the store, so that the same client id is another message from now on.
    pub(super) fn commit(&mut self, message: &Arc<Message>, dead: bool) {
        while self.pending.front().is_some_and(|entry| entry.message.seq <= message.seq) {
            let Some(entry) = self.pending.pop_front() else { return };
            self.committed = entry.message.seq;
            self.committed_last = Some(entry.message.seq);
            self.committed_epoch = entry.message.epoch.clone();
            let refused = dead && entry.message.seq == message.seq;
            if let (true, Some(client_id)) = (refused, &message.client_id) {
                self.answers.remove(&(message.username.clone(), client_id.clone()));
            }
            for answer in entry.waiting {
                let receipt = receipt(&entry.message, self.level);
                reply(answer, if refused { Err(BusError::Refused) } else { Ok(receipt) });
            }
            self.push_ring(entry.message);
        }
    }

    fn push_ring(&mut self, row: Arc<Message>) {
        self.ring_bytes += row.weight_bytes();
        self.ring.push_back(row);
        while self.ring.len() > RING_ROWS_MAX || (self.ring_bytes > RING_BYTES_MAX && self.ring.len() > 1) {
            if let Some(old) = self.ring.pop_front() {
                self.ring_bytes -= old.weight_bytes();
            }
        }
    }

    /// Only what is committed is shown: a message once seen is never taken back.
    pub(super) fn ring(&self, rows_max: usize) -> Ring {
        let skip = self.ring.len().saturating_sub(rows_max);
        Ring {
            head: Position { epoch: self.committed_epoch.clone(), seq: self.committed },
            last: self.committed_last,
            stored: self.committed,
            // Rows are stored in their order.
            version: 0,
            late: None,
            rows: self.ring.iter().skip(skip).cloned().collect(),
        }
    }

    /// Gives up the ring's memory: all of it is in the store.
    pub(super) fn clear_ring(&mut self) {
        self.ring = VecDeque::new();
        self.ring_bytes = 0;
    }

    pub(super) fn held(&self) -> Held {
        Held { answers: self.answers.len(), ring_bytes: self.ring_bytes }
    }

    /// Nothing in it that the store does not have.
    pub(super) fn is_stored(&self) -> bool {
        self.pending.is_empty()
    }
}

fn receipt(message: &Message, level: AckLevel) -> Receipt {
    Receipt { position: message.position(), id: message.id.clone(), time: message.time, level }
}

pub(super) fn reply(answer: Answer, result: Result<Receipt, BusError>) {
    // A sender that went away needs no answer.
    drop(answer.send(result));
}

#[cfg(test)]
mod tests {
    use moim_protocol::{MessageId, RoomId};

    use super::*;

    fn draft(content: &str, client_id: Option<&str>) -> Draft {
        Draft {
            room: RoomId::trusted("r"),
            id: MessageId::trusted("id"),
            client_id: client_id.map(ClientId::trusted),
            sender: UserName::trusted("kim"),
            content: content.into(),
            level: None,
        }
    }

    fn log() -> RoomLog {
        let start = Position { epoch: Epoch::trusted("e"), seq: Seq::ZERO };
        RoomLog::new(Seed::default(), start, AckLevel::Stored, Timestamp::default())
    }

    type Outcome = oneshot::Receiver<Result<Receipt, BusError>>;

    fn send_into(log: &mut RoomLog, draft: Draft, now: u64, space: Space) -> (Option<Arc<Message>>, Outcome) {
        let (answer, outcome) = oneshot::channel();
        match log.append(Taken::new(draft, answer), Timestamp { micros: now }, space) {
            Appended::New(message) => (Some(message), outcome),
            Appended::Settled => (None, outcome),
        }
    }

    const SPACE: Space = Space { log: true, answers: true };

    fn send(log: &mut RoomLog, content: &str, id: Option<&str>, now: u64) -> Option<Arc<Message>> {
        send_into(log, draft(content, id), now, SPACE).0
    }

    #[test]
    fn a_duplicate_is_forgotten_ten_minutes_after_its_last_try() {
        let mut log = log();
        let kept = ANSWER_KEPT.as_micros() as u64;
        assert!(send(&mut log, "a", Some("c"), 0).is_some());
        assert!(send(&mut log, "a", Some("c"), kept - 1).is_none());
        assert!(send(&mut log, "a", Some("c"), 2 * kept - 2).is_none(), "a hit renews");
        assert!(send(&mut log, "a", Some("c"), 3 * kept - 2).is_some());
        assert_eq!(log.held().answers, 1);
    }

    #[test]
    fn a_duplicate_costs_nothing_however_often_it_is_tried() {
        let mut log = log();
        let kept = ANSWER_KEPT.as_micros() as u64;
        let first = send(&mut log, "a", Some("c"), 0).unwrap();
        for now in 1..10_000 {
            // Given up at once: the senders of these must not wait in memory for a store that is stuck.
            assert!(send(&mut log, "a", Some("c"), now).is_none());
        }
        assert_eq!(log.expiry.len(), 1);
        assert!(log.pending[0].waiting.len() <= TRIES_MAX);
        log.commit(&first, false);
        log.expire(Timestamp { micros: kept + 9_998 });
        assert_eq!((log.answers.len(), log.expiry.len()), (1, 1), "the last try is not ten minutes ago");
        log.expire(Timestamp { micros: kept + 9_999 });
        assert_eq!((log.answers.len(), log.expiry.len()), (0, 0));
    }

    #[test]
    fn a_forgotten_send_that_is_sent_again_is_remembered_once() {
        let mut log = log();
        let kept = ANSWER_KEPT.as_micros() as u64;
        assert!(send(&mut log, "a", Some("c"), 0).is_some());
        assert!(send(&mut log, "a", Some("c"), 1).is_none());
        assert!(send(&mut log, "b", Some("d"), kept - 1).is_some());
        // Looked at, and found to have been tried again: now it stands behind the other.
        log.expire(Timestamp { micros: kept });
        assert!(send(&mut log, "a", Some("c"), kept + 1).is_some());
        assert_eq!((log.answers.len(), log.expiry.len()), (2, 2));
    }

    #[test]
    fn tries_that_wait_are_bounded_and_those_given_up_do_not_count() {
        let mut log = log();
        let tries: Vec<_> =
            (0..TRIES_MAX).map(|_| send_into(&mut log, draft("a", Some("c")), 0, SPACE).1).collect();
        let (_, mut refused) = send_into(&mut log, draft("a", Some("c")), 0, SPACE);
        let full = BusError::Overloaded("list of tries of this message");
        assert_eq!(refused.try_recv().unwrap(), Err(full));
        drop(tries);
        let (_, mut waits) = send_into(&mut log, draft("a", Some("c")), 0, SPACE);
        assert!(waits.try_recv().is_err());
        let first = log.pending[0].message.clone();
        log.commit(&first, false);
        assert_eq!(waits.try_recv().unwrap().unwrap().position.seq, Seq(1));
    }

    #[test]
    fn what_was_sent_before_is_answered_without_space() {
        let mut log = log();
        let first = send(&mut log, "a", Some("c"), 0).unwrap();
        log.commit(&first, false);
        for space in [Space { log: false, answers: true }, Space { log: true, answers: false }] {
            let (_, mut again) = send_into(&mut log, draft("a", Some("c")), 1, space);
            assert_eq!(again.try_recv().unwrap().unwrap().position.seq, Seq(1));
            let (_, mut other) = send_into(&mut log, draft("b", Some("d")), 1, space);
            assert!(matches!(other.try_recv().unwrap(), Err(BusError::Overloaded(_))));
        }
        let (message, _) = send_into(&mut log, draft("c", None), 1, Space { log: true, answers: false });
        assert_eq!(message.unwrap().seq, Seq(2), "without a client id there is nothing to remember");
    }

    #[test]
    fn seeded_sends_of_more_than_ten_minutes_ago_are_not_taken_up() {
        let kept = ANSWER_KEPT.as_micros() as u64;
        let receipt = |micros| Receipt {
            position: Position { epoch: Epoch::trusted("e"), seq: Seq(1) },
            id: MessageId::trusted("id"),
            time: Timestamp { micros },
            level: AckLevel::Stored,
        };
        let answer = |id: &str, micros| crate::SeedAnswer {
            sender: UserName::trusted("kim"),
            client_id: ClientId::trusted(id),
            content_hash: content_hash("a"),
            receipt: receipt(micros),
        };
        let seed = Seed { newest: Vec::new(), answers: vec![answer("old", 0), answer("new", 1)] };
        let start = receipt(0).position;
        let mut log = RoomLog::new(seed, start, AckLevel::Stored, Timestamp { micros: kept });
        assert_eq!(log.held().answers, 1);
        assert!(send(&mut log, "a", Some("new"), kept).is_none());
        assert!(send(&mut log, "a", Some("old"), kept).is_some());
    }

    #[test]
    fn a_draft_weighs_what_its_message_does() {
        let taken = Taken::new(draft("말", Some("c")), oneshot::channel().0);
        let weight = taken.weight_bytes();
        let Appended::New(message) = log().append(taken, Timestamp::default(), SPACE) else { panic!() };
        assert_eq!(message.weight_bytes(), weight);
    }

    #[test]
    fn time_never_steps_back() {
        let mut log = log();
        let first = send(&mut log, "a", None, 1000).unwrap();
        let second = send(&mut log, "b", None, 10).unwrap();
        assert_eq!(second.time.micros, first.time.micros + 1);
    }

    #[test]
    fn the_ring_is_bounded_in_rows_and_bytes() {
        let mut log = log();
        for _ in 0..RING_ROWS_MAX + 5 {
            let message = send(&mut log, "x", None, 0).unwrap();
            log.commit(&message, false);
        }
        assert_eq!(log.ring(usize::MAX).rows.len(), RING_ROWS_MAX);
        let large = "x".repeat(RING_BYTES_MAX / 2);
        for _ in 0..3 {
            let message = send(&mut log, &large, None, 0).unwrap();
            log.commit(&message, false);
        }
        let ring = log.ring(usize::MAX);
        assert_eq!(ring.rows.len(), 1, "two would be over the bytes");
        assert_eq!(ring.rows[0].seq, ring.head.seq);
    }

    #[test]
    fn what_is_not_committed_is_not_shown() {
        let mut log = log();
        let message = send(&mut log, "x", None, 0).unwrap();
        assert_eq!(log.ring(10).head.seq, Seq::ZERO);
        assert!(log.ring(10).rows.is_empty());
        log.commit(&message, false);
        assert_eq!(log.ring(10).head.seq, Seq(1));
    }
}
