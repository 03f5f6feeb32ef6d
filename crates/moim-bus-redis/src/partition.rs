//! What a node knows of one partition: its generation, what is in flight, what waits for the store, its tail. State under one
//! lock; no calls to Redis.
//! Not here: how a generation is opened (`recovery`), what is sent (`lane`).

mod hand_in;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use moim_bus::{BusError, Receipt};
use moim_protocol::{Epoch, Message, Position, RoomId, Seq, Timestamp};
use tokio::sync::{Notify, oneshot, watch};

use crate::{
    event,
    keys::Keys,
    lock::locked,
    store_view::{Dead, Mark, StoreView},
    tail::{LogId, Tail, TailBytes},
};

pub(crate) use hand_in::{HandIn, StillThere};

pub(crate) type Answer = oneshot::Sender<Result<Receipt, BusError>>;

/// Where a partition stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Not asked yet, or it changed and nobody knows to what.
    Unknown,
    /// A generation is being put together from what all nodes know.
    Recovering(Epoch),
    /// Publishes are taken in this generation.
    Open(Epoch),
}

/// Who decides when a sender is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// As the store allows.
    Auto,
    /// When it is in the log.
    Wal,
    /// When it is stored, or never.
    Stored,
}

struct Waiting {
    since: Instant,
    wanted: Wanted,
    receipt: Receipt,
    answer: Answer,
}

struct State {
    phase: Phase,
    /// Rows of an older generation are in this one's log at or below this id.
    open_top: LogId,
    /// The log is stored up to here, in this generation, but for the dead.
    mark: LogId,
    dead: Dead,
    /// Somebody waits who did so in an older generation already, and has not heard yet of all who were dead there.
    has_followed: bool,
    in_flight: usize,
    /// The newest fence that came through the pub/sub socket.
    fence: Option<Epoch>,
    /// The generation and the round of it in which this node has handed in.
    handed_in: Option<(Epoch, String)>,
    /// The last generation this node was in: places in its log are what the tail and those who wait have.
    opened: Option<Epoch>,
    tail: Tail,
    /// The last row that a node which leaves waits for; 0 is none.
    leaving: Option<LogId>,
    waiting: BTreeMap<LogId, Vec<Waiting>>,
    store: StoreView,
}

/// One partition. Shared by its `Arc`.
pub(crate) struct Partition {
    pub(crate) id: u32,
    /// A std mutex: never held across an await.
    state: Mutex<State>,
    phase: watch::Sender<Phase>,
    /// The log was empty and is not any more.
    pub(crate) doorbell: Notify,
    /// Its generation is the first there ever was: a room that the store does not know is new.
    is_first: AtomicBool,
}

impl Partition {
    pub(crate) fn new(id: u32, bytes: Arc<TailBytes>, tail_bytes_max: usize) -> Self {
        let state = State {
            phase: Phase::Unknown,
            open_top: 0,
            mark: 0,
            dead: Dead::default(),
            has_followed: false,
            in_flight: 0,
            fence: None,
            handed_in: None,
            opened: None,
            tail: Tail::new(bytes, tail_bytes_max),
            leaving: None,
            waiting: BTreeMap::new(),
            store: StoreView::default(),
        };
        Self {
            id,
            state: Mutex::new(state),
            phase: watch::channel(Phase::Unknown).0,
            doorbell: Notify::new(),
            is_first: AtomicBool::new(false),
        }
    }

    pub(crate) fn is_first(&self) -> bool {
        self.is_first.load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.lock().phase, Phase::Open(_))
    }

    /// Waits until it is open, and in which generation.
    ///
    /// # Cancel safety
    /// Safe: it only waits.
    pub(crate) async fn opened(&self) -> Epoch {
        let mut phases = self.phase.subscribe();
        loop {
            if let Phase::Open(epoch) = &*phases.borrow_and_update() {
                return epoch.clone();
            }
            if phases.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    fn enter(&self, state: &mut State, phase: Phase) {
        state.phase = phase.clone();
        self.phase.send_replace(phase);
    }

    /// The generation to call in, if it is open. While the call is under way nothing is handed in.
    pub(crate) fn begin_call(self: &Arc<Self>) -> Option<(Epoch, Call)> {
        let mut state = self.lock();
        let Phase::Open(epoch) = state.phase.clone() else { return None };
        state.in_flight += 1;
        Some((epoch, Call(self.clone())))
    }

    /// It is not, or no longer, in that generation.
    pub(crate) fn stale(&self, epoch: &Epoch) {
        let mut state = self.lock();
        if state.phase == Phase::Open(epoch.clone()) {
            self.enter(&mut state, Phase::Unknown);
        }
    }

    pub(crate) fn recovering(&self, epoch: &Epoch) {
        let mut state = self.lock();
        if state.phase != Phase::Recovering(epoch.clone()) {
            self.enter(&mut state, Phase::Recovering(epoch.clone()));
        }
    }

    pub(crate) fn fence_came(&self, epoch: Epoch) {
        self.lock().fence = Some(epoch);
    }

    /// All that may be handed in is here: no call is under way, and every event of the old generation has been read.
    pub(crate) fn is_quiet(&self, epoch: &Epoch) -> bool {
        let state = self.lock();
        state.in_flight == 0 && state.fence.as_ref() == Some(epoch)
    }

    /// No call is under way: enough to hand in late, when the fence was missed with the rest.
    pub(crate) fn has_no_calls(&self) -> bool {
        self.lock().in_flight == 0
    }

    /// A generation is open, its log at least up to `top`.
    pub(crate) fn open(&self, epoch: &Epoch, top: LogId, is_first: bool) {
        self.is_first.store(is_first, Ordering::Release);
        let mut state = self.lock();
        state.open_top = top;
        state.mark = 0;
        state.dead.begin_anew();
        state.opened = Some(epoch.clone());
        state.tail.moved_to(top);
        state.leaving = None;
        // Those who wait for the store follow their rows to the new log.
        let waiting = std::mem::take(&mut state.waiting);
        let all: Vec<_> = waiting.into_values().flatten().collect();
        state.has_followed = !all.is_empty();
        if !all.is_empty() {
            state.waiting.insert(top, all);
        }
        self.enter(&mut state, Phase::Open(epoch.clone()));
    }

    /// All that this node keeps is stored. Who waits for that is not told: a row may be a dead letter.
    pub(crate) fn all_is_stored(&self) {
        self.lock().tail.stored(LogId::MAX);
    }

    /// Keeps a row that was published, relayed, filled or read for the store. `false`: it is of another generation than
    /// this node is in, so it must not be shown.
    pub(crate) fn keep(&self, epoch: &Epoch, row: &Arc<Message>, keys: &Keys) -> bool {
        let mut state = self.lock();
        if state.phase != Phase::Open(epoch.clone()) {
            return false;
        }
        let is_of_it = event::generation_of(&row.epoch) == *epoch;
        let log_id = if is_of_it { row.time.micros } else { state.open_top };
        if log_id > state.mark {
            state.tail.add(Instant::now(), log_id, row, || keys.answer_of(row));
        } else if is_of_it && !state.dead.has(&row.id) {
            // The mark overtook it. It is stored, and sent again after a loss it must not be another message.
            state.tail.sent(Instant::now(), row, keys.answer_of(row), None);
        }
        true
    }

    /// Whether an event of that generation is one to show.
    pub(crate) fn is_in(&self, epoch: &Epoch) -> bool {
        self.lock().phase == Phase::Open(epoch.clone())
    }

    /// A message is in the log: answers its sender, or lets it wait for the store.
    pub(crate) fn accepted(
        &self,
        now: Instant,
        log_id: LogId,
        receipt: Receipt,
        wanted: Wanted,
        answer: Answer,
    ) {
        let mut state = self.lock();
        let settled = match wanted {
            _ if log_id <= state.mark => Some(state.dead.outcome(log_id, receipt.clone())),
            Wanted::Wal => Some(Ok(receipt.clone())),
            Wanted::Auto if !state.store.is_quick(now) => Some(Ok(receipt.clone())),
            Wanted::Stored => state.store.away().map(|after| Err(BusError::StoreUnavailable(after))),
            Wanted::Auto => None,
        };
        match settled {
            Some(result) => reply(answer, result),
            None => {
                let waiting = Waiting { since: now, wanted, receipt, answer };
                state.waiting.entry(log_id).or_default().push(waiting);
            }
        }
    }

    /// The log up to this id is stored, but for the dead; and what its writer sees of the store. `false`: an earlier mark was
    /// missed and with it who is dead, so this one says too little; the marks are to be read.
    pub(crate) fn marked(&self, now: Instant, mark: &Mark) -> bool {
        let mut state = self.lock();
        state.store.heard(now, mark);
        if state.phase != Phase::Open(mark.epoch.clone()) || mark.id <= state.mark {
            return true;
        }
        if mark.from.is_some_and(|from| from > state.mark || state.has_followed) {
            return false;
        }
        state.has_followed = false;
        state.mark = mark.id;
        state.tail.stored(mark.id);
        mark.dead.iter().flatten().for_each(|id| state.tail.refused(id));
        state.dead.heard(mark);
        let later = state.waiting.split_off(&(mark.id + 1));
        let done = std::mem::replace(&mut state.waiting, later);
        let mut over = Vec::new();
        for (log_id, list) in done {
            over.extend(
                list.into_iter().map(|waiting| (state.dead.outcome(log_id, waiting.receipt), waiting.answer)),
            );
        }
        // Whoever followed its row from an older log does not know where the row stands in this one.
        if mark.dead.as_ref().is_none_or(|dead| !dead.is_empty()) {
            let State { waiting, dead, .. } = &mut *state;
            for list in waiting.values_mut() {
                let refused = list.extract_if(.., |waiting| dead.has(&waiting.receipt.id));
                over.extend(refused.map(|waiting| (Err(BusError::Refused), waiting.answer)));
            }
            waiting.retain(|_, list| !list.is_empty());
        }
        drop(state);
        for (outcome, answer) in over {
            reply(answer, outcome);
        }
        true
    }

    /// Up to where it is known what is stored.
    pub(crate) fn mark(&self) -> LogId {
        self.lock().mark
    }

    /// Those who have waited long enough are told what there is: `auto` gets `wal`, `stored` an error to retry.
    ///
    /// While a generation is not open what is acknowledged as `wal` would stand on this node's memory alone, so nobody is told that.
    pub(crate) fn expire(&self, now: Instant) {
        let mut state = self.lock();
        let is_open = matches!(state.phase, Phase::Open(_));
        let mut over = Vec::new();
        let State { waiting, store, .. } = &mut *state;
        for list in waiting.values_mut() {
            let is_over = |waiting: &mut Waiting| {
                let waited = now.duration_since(waiting.since);
                match waiting.wanted {
                    Wanted::Auto | Wanted::Wal if is_open => waited >= AUTO_WAIT || !store.is_quick(now),
                    Wanted::Auto | Wanted::Wal => waited >= STORED_WAIT,
                    Wanted::Stored => waited >= STORED_WAIT || store.away().is_some(),
                }
            };
            over.extend(list.extract_if(.., is_over));
        }
        waiting.retain(|_, list| !list.is_empty());
        if over.iter().any(|waiting| now.duration_since(waiting.since) >= AUTO_WAIT) {
            store.no_word(now);
        }
        let retry = store.retry_after();
        drop(state);
        for Waiting { wanted, receipt, answer, .. } in over {
            let result = match wanted {
                Wanted::Auto | Wanted::Wal if is_open => Ok(receipt),
                Wanted::Auto | Wanted::Wal => {
                    let why = "redis recovers, and the same client id is safe to send again";
                    Err(BusError::Unavailable(why.into()))
                }
                Wanted::Stored => Err(BusError::StoreUnavailable(retry)),
            };
            reply(answer, result);
        }
    }

    /// Forgets what need not be kept any longer. `unstored_before`: where nothing is ever stored, rows from before that time.
    pub(crate) fn forget_old(&self, now: Instant, unstored_before: Option<Timestamp>) {
        let mut state = self.lock();
        state.tail.forget_recent(now);
        if let Some(before) = unstored_before {
            state.tail.forget_rows(before);
        }
    }

    /// Somebody on this node enters the room.
    pub(crate) fn open_room(&self, room: &RoomId) {
        self.lock().tail.open_room(room);
    }

    /// Nobody on this node is in the room.
    pub(crate) fn forget_room(&self, room: &RoomId) {
        self.lock().tail.forget_room(room);
    }

    /// A room that is open here was read, and its numbers were at that place.
    pub(crate) fn saw_head(&self, room: &RoomId, head: &Position, time: Timestamp) {
        self.lock().tail.saw(room, head.seq, &head.epoch, time);
    }

    pub(crate) fn highest_of(&self, room: &RoomId) -> Option<Seq> {
        self.lock().tail.highest_of(room)
    }

    /// Everything is stored that this node knew of when it was first asked. It is asked when nothing more is published here:
    /// what others publish meanwhile is theirs to keep, and where they never pause a tail is never empty.
    pub(crate) fn is_flushed(&self) -> bool {
        let mut state = self.lock();
        if state.in_flight > 0 {
            return false;
        }
        let (first, last) = state.tail.ends().unzip();
        // Nothing to wait for when it was asked first is nothing to wait for later.
        let leaving = *state.leaving.get_or_insert(last.unwrap_or(0));
        first.is_none_or(|first| first > leaving)
    }

    /// Whether marks that may have been lost are of interest.
    pub(crate) fn needs_marks(&self) -> bool {
        let state = self.lock();
        !state.tail.is_empty() || !state.waiting.is_empty()
    }

    pub(crate) fn unprotected(&self) -> u64 {
        self.lock().tail.unprotected
    }
}

/// How long a sender that left the level to us waits for the store.
const AUTO_WAIT: Duration = Duration::from_secs(2);
/// How long one that asked for it waits.
const STORED_WAIT: Duration = Duration::from_secs(8);

/// A call that is under way. Its end is its drop.
pub(crate) struct Call(Arc<Partition>);

impl Drop for Call {
    fn drop(&mut self) {
        self.0.lock().in_flight -= 1;
    }
}

pub(crate) fn reply(answer: Answer, result: Result<Receipt, BusError>) {
    // A sender that went away needs no answer.
    drop(answer.send(result));
}

#[cfg(test)]
mod tests;
