//! What a node keeps of a partition in case Redis loses it: messages until they are stored, and who sent what in the last minute.
//! Not here: how it is handed in (`recovery`).

use std::{
    collections::{BTreeMap, HashMap, VecDeque, btree_map::Entry},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use moim_bus::{GiveBack, content_hash};
use moim_protocol::{Epoch, Message, MessageId, RoomId, Seq, Timestamp};

/// How long a send is known after Redis has lost it. The contract says so.
pub(crate) const RECENT_KEPT: Duration = Duration::from_secs(60);
/// Recent sends kept of a partition: 270 a second. Full: the oldest go, and a resend of one of those after a loss of Redis's
/// data could become a second message.
pub(crate) const RECENT_MAX: usize = 16_384;

/// An entry's place in a partition's log: microseconds, rising.
pub(crate) type LogId = u64;

/// A send, without its content.
#[derive(Debug, Clone)]
pub(crate) struct Recent {
    pub(crate) key: String,
    pub(crate) room: RoomId,
    pub(crate) seq: Seq,
    pub(crate) epoch: Epoch,
    pub(crate) time: Timestamp,
    pub(crate) hash: u64,
    pub(crate) id: MessageId,
    /// In a log that Redis still has, or 0: in none.
    pub(crate) place: LogId,
}

/// Bytes of all tails of a node.
#[derive(Debug, Default)]
pub(crate) struct TailBytes(AtomicUsize);

impl TailBytes {
    pub(crate) fn held(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A row, and which of the sends that were ever seen it is.
struct Kept {
    row: Arc<Message>,
    nth_send: u64,
}

struct Sent {
    seen: Instant,
    recent: Recent,
    /// Its row is not kept any more, though it is not stored before the log is up to here.
    unprotected: Option<LogId>,
}

/// One partition's.
pub(crate) struct Tail {
    bytes: Arc<TailBytes>,
    bytes_max: usize,
    rows: BTreeMap<(LogId, RoomId, Seq), Kept>,
    /// In the order in which they were seen.
    recent: VecDeque<Sent>,
    /// How many were seen before the first of them.
    recent_before: u64,
    /// The log is stored up to here.
    stored_to: LogId,
    /// The highest number seen in each room that is open here.
    highest: HashMap<RoomId, Option<(Seq, Epoch, Timestamp)>>,
    /// Rows dropped for want of space.
    pub(crate) unprotected: u64,
}

impl Tail {
    pub(crate) fn new(bytes: Arc<TailBytes>, bytes_max: usize) -> Self {
        Self {
            bytes,
            bytes_max,
            rows: BTreeMap::new(),
            recent: VecDeque::new(),
            recent_before: 0,
            stored_to: 0,
            highest: HashMap::new(),
            unprotected: 0,
        }
    }

    /// Keeps a row until the log up to this id is stored. `key`: under which its answer is kept in Redis.
    pub(crate) fn add(
        &mut self,
        now: Instant,
        log_id: LogId,
        row: &Arc<Message>,
        key: impl FnOnce() -> String,
    ) {
        let nth_send = self.recent_before + self.recent.len() as u64;
        match self.rows.entry((log_id, row.room.clone(), row.seq)) {
            Entry::Occupied(_) => return,
            Entry::Vacant(place) => place.insert(Kept { row: row.clone(), nth_send }),
        };
        self.bytes.0.fetch_add(row.weight_bytes(), Ordering::Relaxed);
        let mut unprotected = None;
        while self.bytes.held() > self.bytes_max && self.rows.len() > 1 {
            self.unprotected += 1;
            let Some(((place, ..), oldest)) = self.rows.pop_first() else { break };
            // Handed in without its row, its send would say that the row is stored.
            if oldest.nth_send == nth_send {
                unprotected = Some(place);
            }
            self.unprotect(oldest.nth_send, place);
            self.forgotten(&oldest);
        }
        self.sent(now, row, key(), unprotected);
    }

    /// Notes that it was sent, and how far the room's numbers went. `unprotected`: it is not stored, and its row is not kept.
    pub(crate) fn sent(&mut self, now: Instant, row: &Message, key: String, unprotected: Option<LogId>) {
        let recent = Recent {
            key,
            room: row.room.clone(),
            seq: row.seq,
            epoch: row.epoch.clone(),
            time: row.time,
            hash: content_hash(&row.content),
            id: row.id.clone(),
            place: 0,
        };
        self.recent.push_back(Sent { seen: now, recent, unprotected });
        self.forget_recent(now);
        self.saw(&row.room, row.seq, &row.epoch, row.time);
    }

    /// A number that is used in a room. A node that joined when all was stored keeps no row of it, and its members have seen it.
    pub(crate) fn saw(&mut self, room: &RoomId, seq: Seq, epoch: &Epoch, time: Timestamp) {
        if let Some(highest) = self.highest.get_mut(room)
            && highest.as_ref().map_or(Seq::ZERO, |(seq, ..)| *seq) < seq
        {
            *highest = Some((seq, epoch.clone(), time));
        }
    }

    fn forgotten(&self, kept: &Kept) {
        self.bytes.0.fetch_sub(kept.row.weight_bytes(), Ordering::Relaxed);
    }

    fn unprotect(&mut self, nth_send: u64, place: LogId) {
        let at = nth_send.checked_sub(self.recent_before).and_then(|at| usize::try_from(at).ok());
        if let Some(sent) = at.and_then(|at| self.recent.get_mut(at)) {
            sent.unprotected = Some(place);
        }
    }

    /// Forgets sends that are too old to be tried again, with the memory they took.
    pub(crate) fn forget_recent(&mut self, now: Instant) {
        let too_old = |sent: &Sent| now.duration_since(sent.seen) > RECENT_KEPT;
        while self.recent.len() > RECENT_MAX || self.recent.front().is_some_and(too_old) {
            self.recent.pop_front();
            self.recent_before += 1;
        }
        self.recent.give_back();
    }

    /// Forgets rows from before a time: where nothing is ever stored they are protected as long as Redis keeps them.
    pub(crate) fn forget_rows(&mut self, before: Timestamp) {
        while let Some(entry) = self.rows.first_entry() {
            if entry.get().row.time >= before {
                return;
            }
            let kept = entry.remove();
            self.forgotten(&kept);
        }
    }

    /// Somebody on this node enters the room.
    pub(crate) fn open_room(&mut self, room: &RoomId) {
        self.highest.entry(room.clone()).or_default();
    }

    /// The log up to this id is stored.
    pub(crate) fn stored(&mut self, log_id: LogId) {
        self.stored_to = self.stored_to.max(log_id);
        while let Some(entry) = self.rows.first_entry() {
            if entry.key().0 > log_id {
                return;
            }
            let kept = entry.remove();
            self.forgotten(&kept);
        }
    }

    /// The store refuses it for good: sent again, it is refused again.
    pub(crate) fn refused(&mut self, id: &MessageId) {
        for sent in self.recent.iter_mut().filter(|sent| sent.recent.id == *id) {
            sent.unprotected = Some(LogId::MAX);
        }
    }

    /// Forgets a row, wherever it stands, and that it was sent.
    pub(crate) fn remove(&mut self, room: &RoomId, seq: Seq) {
        let removed: Vec<_> = self
            .rows
            .extract_if(.., |(_, of, at), _| *at == seq && of == room)
            .map(|(_, kept)| kept)
            .collect();
        for kept in removed {
            self.unprotect(kept.nth_send, LogId::MAX);
            self.forgotten(&kept);
        }
    }

    /// All of it is in another log now, at or below this id.
    pub(crate) fn moved_to(&mut self, log_id: LogId) {
        for sent in &mut self.recent {
            // What was not kept may be nowhere.
            sent.unprotected = sent.unprotected.filter(|place| *place > self.stored_to).map(|_| LogId::MAX);
        }
        self.stored_to = 0;
        for ((_, room, seq), kept) in std::mem::take(&mut self.rows) {
            // Read and relayed it may have stood in two places.
            if let Some(same) = self.rows.insert((log_id, room, seq), kept) {
                self.forgotten(&same);
            }
        }
    }

    /// Nobody on this node is in the room.
    pub(crate) fn forget_room(&mut self, room: &RoomId) {
        self.highest.remove(room);
        self.highest.give_back();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The ids of the first row in the log and of the last.
    pub(crate) fn ends(&self) -> Option<(LogId, LogId)> {
        let ((first, ..), _) = self.rows.first_key_value()?;
        let ((last, ..), _) = self.rows.last_key_value()?;
        Some((*first, *last))
    }

    pub(crate) fn knows_nothing(&mut self, now: Instant) -> bool {
        self.forget_recent(now);
        self.rows.is_empty() && self.recent.is_empty() && self.highest.values().all(Option::is_none)
    }

    pub(crate) fn rows(&self) -> Vec<Arc<Message>> {
        self.rows.values().map(|kept| kept.row.clone()).collect()
    }

    /// Those whose place in the log is above this one.
    pub(crate) fn rows_above(&self, log_id: LogId) -> Vec<Arc<Message>> {
        let above = self.rows.iter().filter(|((at, ..), _)| *at > log_id);
        above.map(|(_, kept)| kept.row.clone()).collect()
    }

    pub(crate) fn recent(&mut self, now: Instant) -> Vec<Recent> {
        self.forget_recent(now);
        let is_known = |sent: &&Sent| sent.unprotected.is_none_or(|place| place <= self.stored_to);
        self.recent.iter().filter(is_known).map(|sent| sent.recent.clone()).collect()
    }

    pub(crate) fn highest(&self) -> Vec<(RoomId, Seq, Epoch, Timestamp)> {
        let all = self.highest.iter().filter_map(|(room, highest)| Some((room, highest.as_ref()?)));
        all.map(|(room, (seq, epoch, time))| (room.clone(), *seq, epoch.clone(), *time)).collect()
    }

    pub(crate) fn highest_of(&self, room: &RoomId) -> Option<Seq> {
        self.highest.get(room)?.as_ref().map(|(seq, ..)| *seq)
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.stored(LogId::MAX);
    }
}

#[cfg(test)]
mod tests {
    use moim_protocol::UserName;

    use super::*;

    fn row(seq: u64, content: &str) -> Arc<Message> {
        Arc::new(Message {
            room: RoomId::trusted("r"),
            seq: Seq(seq),
            prev: None,
            epoch: Epoch::trusted("e"),
            id: MessageId::trusted(seq.to_string()),
            client_id: None,
            username: UserName::trusted("kim"),
            content: content.into(),
            time: Timestamp { micros: seq },
        })
    }

    fn tail(bytes_max: usize) -> Tail {
        Tail::new(Arc::default(), bytes_max)
    }

    fn seqs(tail: &Tail) -> Vec<u64> {
        tail.rows().iter().map(|row| row.seq.0).collect()
    }

    #[test]
    fn rows_stay_until_they_are_stored() {
        let mut tail = tail(usize::MAX);
        let now = Instant::now();
        tail.open_room(&RoomId::trusted("r"));
        for seq in 1..=4 {
            tail.add(now, seq * 10, &row(seq, "x"), || seq.to_string());
            tail.add(now, seq * 10, &row(seq, "x"), || seq.to_string());
        }
        assert_eq!(tail.recent(now).len(), 4, "what is seen twice is kept once");
        tail.stored(20);
        assert_eq!(seqs(&tail), [3, 4]);
        tail.moved_to(5);
        tail.stored(4);
        assert_eq!(seqs(&tail), [3, 4], "they have new places");
        tail.stored(5);
        assert!(tail.is_empty());
        assert_eq!(tail.bytes.held(), 0);
        assert_eq!(tail.highest_of(&RoomId::trusted("r")), Some(Seq(4)));
    }

    #[test]
    fn the_highest_number_is_kept_of_rooms_that_are_open_here() {
        let (mut tail, room) = (tail(usize::MAX), RoomId::trusted("r"));
        tail.add(Instant::now(), 1, &row(1, "x"), String::new);
        assert_eq!((tail.highest_of(&room), tail.highest().len()), (None, 0));
        tail.open_room(&room);
        assert!(tail.highest().is_empty());
        tail.add(Instant::now(), 2, &row(2, "x"), String::new);
        tail.open_room(&room);
        assert_eq!((tail.highest_of(&room), tail.highest().len()), (Some(Seq(2)), 1));
        tail.forget_room(&room);
        tail.add(Instant::now(), 3, &row(3, "x"), String::new);
        assert!(tail.highest().is_empty(), "a writer sees rows of rooms that nobody here is in");
    }

    #[test]
    fn memory_returns() {
        let (mut tail, now) = (tail(usize::MAX), Instant::now());
        for seq in 1..=10_000 {
            tail.open_room(&RoomId::trusted(seq.to_string()));
            tail.add(now, seq, &row(seq, "x"), || seq.to_string());
        }
        tail.forget_rows(Timestamp { micros: 9_000 });
        assert_eq!(seqs(&tail)[0], 9_000);
        tail.forget_rows(Timestamp { micros: 10_001 });
        assert_eq!((tail.rows.len(), tail.bytes.held()), (0, 0));
        tail.forget_recent(now + RECENT_KEPT * 2);
        (1..=10_000).for_each(|seq: u64| tail.forget_room(&RoomId::trusted(seq.to_string())));
        assert!(tail.recent.capacity() < 200 && tail.highest.capacity() < 200);
    }

    #[test]
    fn the_oldest_go_when_it_is_full() {
        let weight = row(1, "x").weight_bytes();
        let mut tail = tail(3 * weight);
        for seq in 1..=5 {
            tail.add(Instant::now(), seq, &row(seq, "x"), String::new);
        }
        assert_eq!((seqs(&tail), tail.unprotected), (vec![3, 4, 5], 2));
    }

    #[test]
    fn what_is_dropped_unstored_is_not_said_to_be_stored() {
        let weight = row(1, "x").weight_bytes();
        let (mut tail, now) = (tail(3 * weight), Instant::now());
        tail.add(now, 1, &row(1, "x"), String::new);
        tail.stored(1);
        for seq in 2..=6 {
            tail.add(now, seq, &row(seq, "x"), String::new);
        }
        let known = |tail: &mut Tail| tail.recent(now).iter().map(|recent| recent.seq.0).collect::<Vec<_>>();
        assert_eq!(known(&mut tail), [1, 4, 5, 6], "of 2 and 3 nobody knows where they are");
        tail.remove(&RoomId::trusted("r"), Seq(5));
        assert_eq!((seqs(&tail), known(&mut tail)), (vec![4, 6], vec![1, 4, 6]));
        assert_eq!(tail.bytes.held(), 2 * weight);
        tail.stored(2);
        assert_eq!(known(&mut tail), [1, 2, 4, 6], "it was stored after all");
        tail.moved_to(9);
        tail.stored(9);
        assert_eq!(known(&mut tail), [1, 2, 4, 6], "3 may be nowhere, and 5 is elsewhere");
        for (place, seq) in [(13, 9), (12, 8), (11, 7), (10, 0)] {
            tail.add(now, place, &row(seq, "x"), String::new);
        }
        assert_eq!(
            known(&mut tail),
            [1, 2, 4, 6, 9, 8, 7],
            "the one that came last is the oldest, and was not kept"
        );
    }

    #[test]
    fn what_stands_in_two_places_is_counted_once_when_they_become_one() {
        let mut tail = tail(usize::MAX);
        tail.add(Instant::now(), 1, &row(1, "x"), String::new);
        tail.add(Instant::now(), 2, &row(1, "x"), String::new);
        tail.moved_to(5);
        tail.stored(5);
        assert_eq!(tail.bytes.held(), 0);
    }

    #[test]
    fn a_send_is_known_for_a_minute() {
        let mut tail = tail(usize::MAX);
        let now = Instant::now();
        tail.add(now, 1, &row(1, "x"), || "a".into());
        tail.stored(1);
        assert_eq!(tail.recent(now + RECENT_KEPT).len(), 1, "stored or not");
        assert!(tail.recent(now + RECENT_KEPT + Duration::from_millis(1)).is_empty());
        tail.forget_room(&RoomId::trusted("r"));
        assert!(tail.knows_nothing(now + RECENT_KEPT * 2));
    }

    #[test]
    fn recent_sends_are_bounded() {
        let mut tail = tail(usize::MAX);
        let now = Instant::now();
        for seq in 1..=RECENT_MAX as u64 + 1 {
            tail.add(now, seq, &row(seq, ""), || seq.to_string());
        }
        let recent = tail.recent(now);
        assert_eq!((recent.len(), recent[0].seq), (RECENT_MAX, Seq(2)));
    }
}
