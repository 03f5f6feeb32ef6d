//! A page of a room's log: the ring first, the store second, and an honest word on whether it is whole.
//! Not here: how a page is spliced with live messages (`moim-core`), how it looks on a wire (`moim-protocol`).
//!
//! Ring first, because what has left the ring before it was read is in the store by then; the other way round a message
//! could slip between the two reads.

mod store_reads;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use moim_bus::{Bus, BusError, Ring};
use moim_core::{Loaded, RoomLimits};
use moim_protocol::{Message, Position, RoomId, Seq, limits};
use moim_store::{MessageStore, PAGE_BYTES_MAX, PageRange};
use tokio::time::{Instant, timeout, timeout_at};

use crate::{metrics::Metrics, spawn::Spawner};
use store_reads::{Seen, StoreReads};

/// Rows asked of the ring at once.
const RING_ROWS: usize = 256;
/// How long the bus may take to say where the head is: a recovery of its servers is waited for.
const RING_TIMEOUT: Duration = Duration::from_secs(9);
/// How long the store may take for all that lets members in. Beyond it they go live with what is there, and are told that
/// their history is not complete: nobody waits for a slow store to chat.
const LOAD_STORE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the store may take for one page of somebody who asks for it, however many reads that is.
const PAGE_STORE_TIMEOUT: Duration = Duration::from_secs(4);

/// Which page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PageWanted {
    /// The newest messages below a number, or of all.
    Before(Option<Seq>),
    /// The oldest messages above a number.
    After(Seq),
}

impl PageWanted {
    fn range(self) -> PageRange {
        match self {
            Self::Before(None) => PageRange::Newest,
            Self::Before(Some(before)) => PageRange::Before(before),
            Self::After(after) => PageRange::After(after),
        }
    }
}

/// One page.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    /// The head, read after the page was asked for; `None` when the bus could not say.
    pub(crate) head: Option<Position>,
    /// Oldest first.
    pub(crate) rows: Vec<Arc<Message>>,
    /// Whether nothing is missing from it.
    pub(crate) complete: bool,
}

/// Reads pages. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Pages {
    bus: Arc<dyn Bus>,
    store: Arc<StoreReads>,
    /// What a resume may replay; reading more would only be thrown away.
    resume: RoomLimits,
}

/// Rows that end at a known place and are walked downward.
struct Walk {
    rows: Vec<Arc<Message>>,
    /// The number of the message before the first row: zero for none, `None` when unknown.
    before: Option<Seq>,
    /// Everything above this is in `rows`, as far as `before` is known.
    floor: Seq,
    complete: bool,
    /// The head: nothing above it is looked for.
    head: Seq,
    seen: Seen,
    /// See [`Ring::late`].
    late: Option<(Seq, Seq)>,
}

impl Walk {
    fn new(ring: Ring) -> Self {
        let Ring { head, last, stored, version, late, rows } = ring;
        let before = rows.first().map_or(last, |row| row.prev);
        let floor = floor_of(&rows, before, head.seq);
        Self { rows, before, floor, complete: true, head: head.seq, seen: Seen { stored, version }, late }
    }

    /// What came late is in neither of the two places yet: of what was walked only the part above it leads on to the head.
    fn end_above_late(&mut self) {
        if let Some((_, high)) = self.late.filter(|(_, high)| *high > self.floor) {
            self.rows.retain(|row| row.seq > high);
            self.floor = high;
            self.complete = false;
        }
    }

    /// Where what is not in `rows` yet ends: everything older is below this.
    fn below(&self) -> Seq {
        self.rows.first().map_or(self.head.next(), |row| row.seq)
    }

    /// Puts an older page in front; `false` when it does not lead up to what is there. Its last row may be above `before`:
    /// one that came late was not there yet when the row after it got its number.
    fn extend(&mut self, older: &[Arc<Message>]) -> bool {
        let leads = match self.before {
            Some(before) => older.last().is_some_and(|row| row.seq >= before),
            None => !older.is_empty() && self.rows.first().is_some_and(|row| row.seq <= self.seen.stored),
        };
        let fits = leads && is_chain(older, self.seen.stored);
        if fits {
            self.before = older.first().and_then(|row| row.prev);
            self.floor = floor_of(older, self.before, self.floor);
            self.rows.splice(..0, older.iter().cloned());
        }
        fits
    }
}

fn floor_of(rows: &[Arc<Message>], before: Option<Seq>, otherwise: Seq) -> Seq {
    before.unwrap_or_else(|| rows.first().map_or(otherwise, |row| Seq(row.seq.0.saturating_sub(1))))
}

/// Each row's `prev` is the row before; within an epoch the numbers say so too. Where `prev` is unknown, because the store was
/// away when the room got its number, being stored says it: a log is stored in its order, so what was said before it is too.
fn is_chain(rows: &[Arc<Message>], stored: Seq) -> bool {
    rows.windows(2).all(|pair| {
        let [earlier, later] = pair else { return true };
        let counts_on = earlier.epoch == later.epoch && later.seq == earlier.seq.next();
        // A `prev` below the earlier one: that came late, when the later one had its number already.
        let leads = later.prev.map_or(later.seq <= stored, |prev| prev <= earlier.seq);
        counts_on || leads
    })
}

impl Pages {
    /// Pages of this bus and store.
    #[must_use]
    pub(crate) fn new(
        bus: Arc<dyn Bus>,
        store: Arc<dyn MessageStore>,
        metrics: Arc<Metrics>,
        spawner: Spawner,
        resume: RoomLimits,
    ) -> Self {
        Self { bus, store: StoreReads::new(store, metrics, spawner), resume }
    }

    async fn ring(&self, room: &RoomId) -> Result<Ring, BusError> {
        let late = |_| Err(BusError::Unavailable("the bus took too long to say where the head is".into()));
        timeout(RING_TIMEOUT, self.bus.ring(room, RING_ROWS)).await.unwrap_or_else(late)
    }

    /// What a room needs to let members in: the head, the newest messages, and those from `from` on unless there are more
    /// than a resume may replay.
    ///
    /// # Errors
    /// When the bus cannot say where the head is. A store that is away or slow only makes it incomplete.
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    pub(crate) async fn load(&self, room: &RoomId, from: Option<Seq>) -> Result<Loaded, BusError> {
        let ring = self.ring(room).await?;
        let until = Instant::now() + LOAD_STORE_TIMEOUT;
        let (head, end_is_unknown) = (ring.head.clone(), ring.end_is_unknown());
        let mut walk = Walk::new(ring);
        loop {
            let reached = from.is_none_or(|from| walk.rows.first().is_some_and(|row| row.seq <= from));
            let beyond = walk.rows.len() > self.resume.resume_messages_max
                || walk.rows.iter().map(|row| row.weight_bytes()).sum::<usize>()
                    > self.resume.resume_bytes_max;
            let enough = walk.rows.len() >= limits::HISTORY_ON_JOIN && (reached || beyond);
            if enough || !self.older(room, &mut walk, until).await {
                break;
            }
        }
        walk.end_above_late();
        let complete = walk.complete && !end_is_unknown;
        Ok(Loaded { head, rows: walk.rows, floor: walk.floor, complete })
    }

    /// One page more in front; `false` when there is none or it cannot be had.
    async fn older(&self, room: &RoomId, walk: &mut Walk, until: Instant) -> bool {
        if walk.before == Some(Seq::ZERO) {
            return false;
        }
        let page = timeout_at(until, self.below(room, walk.below(), walk.seen)).await.ok().flatten();
        if walk.before.is_none() && page.as_ref().is_some_and(|page| page.is_empty()) {
            // Numbers began there with the past unknown, and there is none.
            walk.before = Some(Seq::ZERO);
            return false;
        }
        walk.complete = page.is_some_and(|page| walk.extend(&page));
        walk.complete
    }

    /// The rows below a number: from the bus, where they may not be stored yet, else from the store. `None` when one of them
    /// cannot be asked.
    async fn below(&self, room: &RoomId, below: Seq, seen: Seen) -> Option<Arc<Vec<Arc<Message>>>> {
        if below <= seen.stored.next() {
            return self.store.below(room, below, seen).await;
        }
        let rows = match self.bus.older(room, below, RING_ROWS).await {
            Ok(rows) if rows.is_empty() => {
                // They are in the store by now, but were not yet when the ring was read: a read that began then may miss them.
                self.store.once(room, PageRange::Before(below), limits::PAGE_LIMIT_MAX).await?
            }
            Ok(rows) => rows,
            Err(error) => {
                tracing::debug!(%room, %error, "the bus could not be asked for older messages");
                return None;
            }
        };
        Some(Arc::new(rows))
    }

    /// A page for a client that asks for one. While the bus cannot be asked it is what the store has, and incomplete.
    ///
    /// # Errors
    /// When a bound of the bus is reached.
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    pub(crate) async fn page(
        &self,
        room: &RoomId,
        wanted: PageWanted,
        limit: usize,
    ) -> Result<Page, BusError> {
        let ring = match self.ring(room).await {
            Ok(ring) => ring,
            Err(BusError::Unavailable(_)) => {
                let rows = self.store.once(room, wanted.range(), limit).await.unwrap_or_default();
                return Ok(Page { head: None, rows, complete: false });
            }
            Err(error) => return Err(error),
        };
        let beyond = ring.end_is_unknown().then_some((ring.head.seq.next(), Seq(u64::MAX)));
        let (head, missing) = (ring.head.clone(), [ring.late, beyond]);
        let walk = Walk::new(ring);
        let (rows, complete) = match wanted {
            PageWanted::Before(before) => self.page_before(room, walk, before, limit).await,
            PageWanted::After(after) => self.page_after(room, walk, after, limit).await,
        };
        let lacks = missing.into_iter().flatten().any(|numbers| is_across(&rows, wanted, limit, numbers));
        Ok(Page { head: Some(head), rows, complete: complete && !lacks })
    }

    async fn page_before(
        &self,
        room: &RoomId,
        mut walk: Walk,
        before: Option<Seq>,
        limit: usize,
    ) -> (Vec<Arc<Message>>, bool) {
        let below = |row: &Arc<Message>| before.is_none_or(|before| row.seq < before);
        let until = Instant::now() + PAGE_STORE_TIMEOUT;
        // Below a row whose `prev` is unknown the walk does not lead.
        let reach = if walk.before.is_none() { walk.below() } else { walk.floor };
        if let Some(before) = before.filter(|before| *before <= reach && walk.before != Some(Seq::ZERO)) {
            // The ring has nothing of it, and what it covers need not be walked through.
            let page = timeout_at(until, self.below(room, before, walk.seen)).await.ok().flatten();
            let Some(page) = page else { return (Vec::new(), false) };
            if !is_chain(&page, walk.seen.stored) {
                return (page[page.len().saturating_sub(limit)..].to_vec(), false);
            }
            walk.before = page.first().and_then(|row| row.prev).or(page.is_empty().then_some(Seq::ZERO));
            walk.rows = page.to_vec();
        }
        let bytes = |rows: &[Arc<Message>]| rows.iter().map(|row| row.weight_bytes()).sum::<usize>();
        while walk.rows.iter().filter(|row| below(row)).count() < limit && bytes(&walk.rows) < PAGE_BYTES_MAX
        {
            if !self.older(room, &mut walk, until).await {
                break;
            }
        }
        // The first row itself may not know that there is nothing before it.
        let (complete, begins) = (walk.complete, walk.before == Some(Seq::ZERO));
        let rows: Vec<_> = walk.rows.into_iter().filter(below).collect();
        let rows = rows[rows.len().saturating_sub(limit)..].to_vec();
        let whole = complete && (rows.len() == limit || begins || rows.is_empty());
        (rows, whole)
    }

    async fn page_after(
        &self,
        room: &RoomId,
        mut walk: Walk,
        after: Seq,
        limit: usize,
    ) -> (Vec<Arc<Message>>, bool) {
        let until = Instant::now() + PAGE_STORE_TIMEOUT;
        let mut rows = Vec::new();
        if after < walk.floor && after < walk.seen.stored {
            // Not shared: its upper end is wherever the room stands when it is read.
            let page = timeout_at(until, self.store.once(room, PageRange::After(after), limit)).await;
            let Some(page) = page.ok().flatten() else { return (rows, false) };
            // It must begin right after the cursor; the ring does not reach so far down, so it cannot be empty.
            let stored = walk.seen.stored;
            if !begins_after(&page, after, stored) || !is_chain(&page, stored) {
                return (page, false);
            }
            rows = page;
        }
        let reached = rows.last().map_or(after, |row| row.seq);
        if rows.len() < limit && (walk.seen.stored..walk.floor).contains(&reached) {
            self.lead_up_from(room, &mut walk, reached, limit - rows.len(), until).await;
            if rows.is_empty() && reached < walk.floor {
                return (rows, false);
            }
        }
        let upper: Vec<_> = walk.rows.into_iter().filter(|row| row.seq > reached).collect();
        // A page that was cut by its bytes ends before the ring begins: what lies between comes with the next one.
        let joins = match (rows.last(), upper.first()) {
            (Some(last), Some(first)) => is_chain(&[last.clone(), first.clone()], walk.seen.stored),
            _ => true,
        };
        if joins {
            let space = limit - rows.len();
            rows.extend(upper.into_iter().take(space));
        }
        (rows, true)
    }

    /// What follows a cursor that the ring does not reach down to, and that is not stored yet either: looked for where it
    /// must be if numbers count on, else the ring is walked down.
    async fn lead_up_from(&self, room: &RoomId, walk: &mut Walk, from: Seq, space: usize, until: Instant) {
        let below = Seq(from.0.saturating_add(space as u64 + 1)).min(walk.below());
        let near = timeout_at(until, self.bus.older(room, below, RING_ROWS)).await;
        let near = near.ok().and_then(Result::ok).unwrap_or_default();
        let mut near: Vec<_> = near.into_iter().filter(|row| row.seq > from).collect();
        let stored = walk.seen.stored;
        if begins_after(&near, from, stored) && is_chain(&near, stored) {
            let joint = [near.last(), walk.rows.first()].map(Option::<&Arc<Message>>::cloned);
            if let [Some(last), Some(first)] = joint
                && is_chain(&[last, first], stored)
            {
                near.append(&mut walk.rows);
            }
            (walk.rows, walk.floor) = (near, from);
            return;
        }
        while from < walk.floor && self.older(room, walk, until).await {}
    }
}

/// Nothing stands between the number and the first row.
fn begins_after(rows: &[Arc<Message>], after: Seq, stored: Seq) -> bool {
    rows.first().is_some_and(|row| row.prev.map_or(row.seq <= stored, |prev| prev <= after))
}

/// Whether a page covers any number of a range: it reaches from its bound to its last row, or as far as there is anything.
fn is_across(rows: &[Arc<Message>], wanted: PageWanted, limit: usize, (low, high): (Seq, Seq)) -> bool {
    let is_full = rows.len() >= limit;
    match wanted {
        PageWanted::Before(before) => {
            let first = rows.first().filter(|_| is_full).map_or(Seq::ZERO, |row| row.seq);
            first <= high && before.is_none_or(|before| low < before)
        }
        PageWanted::After(after) => {
            let last = rows.last().filter(|_| is_full).map(|row| row.seq);
            after < high && last.is_none_or(|last| low <= last)
        }
    }
}
