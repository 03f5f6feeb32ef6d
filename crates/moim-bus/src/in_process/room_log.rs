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

pub(super) type Answer = oneshot::Sender<Result<Receipt, BusError>>;

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
    /// Keys by the time of a try, oldest first; a key stands here again for each later try.
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
            let key = (answer.sender, answer.client_id);
            log.expiry.push_back((answer.receipt.time, key.clone()));
            let last_try = answer.receipt.time;
            log.answers.insert(
                key,
                Answered { content_hash: answer.content_hash, receipt: answer.receipt, last_try },
            );
        }
        log
    }

    /// Duplicate check, then a number. `answers_left` is how many answers all rooms together may still take.
    pub(super) fn append(
        &mut self,
        draft: Draft,
        answer: Answer,
        now: Timestamp,
        answers_left: usize,
    ) -> Appended {
        self.used = now;
        self.expire(now);
        let hash = content_hash(&draft.content);
        let key = draft.client_id.clone().map(|client_id| (draft.sender.clone(), client_id));
        if let Some(key) = &key {
            if self.answers.contains_key(key) {
                self.answer_again(key, hash, answer, now);
                return Appended::Settled;
            }
            if answers_left == 0 {
                reply(answer, Err(BusError::Overloaded("table of recent sends")));
                return Appended::Settled;
            }
        }
        let message = self.number(draft, now);
        if let Some(key) = key {
            let receipt = receipt(&message, self.level);
            self.expiry.push_back((now, key.clone()));
            self.answers.insert(key, Answered { content_hash: hash, receipt, last_try: now });
        }
        self.pending.push_back(Pending { message: message.clone(), waiting: vec![answer] });
        Appended::New(message)
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

    fn answer_again(&mut self, key: &AnswerKey, hash: u64, answer: Answer, now: Timestamp) {
        let Some(known) = self.answers.get_mut(key) else { return };
        if known.content_hash != hash {
            reply(answer, Err(BusError::ClientIdReused));
            return;
        }
        known.last_try = now;
        self.expiry.push_back((now, key.clone()));
        let receipt = known.receipt.clone();
        let waiting = self.pending.iter_mut().find(|entry| entry.message.seq == receipt.position.seq);
        match waiting {
            // Not durable yet: it is answered with the first one.
            Some(entry) => entry.waiting.push(answer),
            None => reply(answer, Ok(receipt)),
        }
    }

    fn expire(&mut self, now: Timestamp) {
        while let Some((tried, key)) = self.expiry.front() {
            if now.since(*tried) < ANSWER_KEPT {
                break;
            }
            if self.answers.get(key).is_some_and(|known| known.last_try <= *tried) {
                self.answers.remove(key);
            }
            self.expiry.pop_front();
        }
    }

    /// The first pending messages up to this one are stored: they become visible and their senders are answered.
    pub(super) fn commit(&mut self, message: &Arc<Message>) {
        while self.pending.front().is_some_and(|entry| entry.message.seq <= message.seq) {
            let Some(entry) = self.pending.pop_front() else { return };
            self.committed = entry.message.seq;
            self.committed_last = Some(entry.message.seq);
            self.committed_epoch = entry.message.epoch.clone();
            for answer in entry.waiting {
                reply(answer, Ok(receipt(&entry.message, self.level)));
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
            rows: self.ring.iter().skip(skip).cloned().collect(),
        }
    }

    pub(super) fn answers_len(&self) -> usize {
        self.answers.len()
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

    fn send(log: &mut RoomLog, content: &str, id: Option<&str>, now: u64) -> Option<Arc<Message>> {
        let (answer, _) = oneshot::channel();
        match log.append(draft(content, id), answer, Timestamp { micros: now }, 1000) {
            Appended::New(message) => Some(message),
            Appended::Settled => None,
        }
    }

    #[test]
    fn a_duplicate_is_forgotten_ten_minutes_after_its_last_try() {
        let mut log = log();
        let kept = ANSWER_KEPT.as_micros() as u64;
        assert!(send(&mut log, "a", Some("c"), 0).is_some());
        assert!(send(&mut log, "a", Some("c"), kept - 1).is_none());
        assert!(send(&mut log, "a", Some("c"), 2 * kept - 2).is_none(), "a hit renews");
        assert!(send(&mut log, "a", Some("c"), 3 * kept - 2).is_some());
        assert_eq!(log.answers_len(), 1);
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
            log.commit(&message);
        }
        assert_eq!(log.ring(usize::MAX).rows.len(), RING_ROWS_MAX);
        let large = "x".repeat(RING_BYTES_MAX / 2);
        for _ in 0..3 {
            let message = send(&mut log, &large, None, 0).unwrap();
            log.commit(&message);
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
        log.commit(&message);
        assert_eq!(log.ring(10).head.seq, Seq(1));
    }
}
