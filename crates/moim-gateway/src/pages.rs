//! A page of a room's log: the ring first, the store second, and an honest word on whether it is whole.
//! Not here: how a page is spliced with live messages (`moim-core`), how it looks on a wire (`moim-protocol`).
//!
//! Ring first, because what has left the ring before it was read is in the store by then; the other way round a message
//! could slip between the two reads.

use std::{sync::Arc, time::Duration};

use moim_bus::{ANSWER_KEPT, Bus, BusError, Seed, SeedAnswer, SeedError, SeedSource, content_hash};
use moim_core::{Loaded, RoomLimits};
use moim_protocol::{AckLevel, Message, Position, RoomId, Seq, limits};
use moim_store::{MessageStore, PAGE_BYTES_MAX, PageRange};
use tokio::time::timeout;

use crate::metrics::Metrics;

/// Rows asked of the ring at once.
const RING_ROWS: usize = 256;
/// How long the store may take for one page before the answer goes out incomplete.
const STORE_TIMEOUT: Duration = Duration::from_secs(3);
/// Rows of the last ten minutes that are looked through for recent sends when a room is first read; a resend of an older
/// one after a restart would become a second message.
const SEED_ROWS_MAX: usize = 20_000;

/// Which page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PageWanted {
    /// The newest messages below a number, or of all.
    Before(Option<Seq>),
    /// The oldest messages above a number.
    After(Seq),
}

/// One page.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    /// The head, read after the page was asked for.
    pub(crate) head: Position,
    /// Oldest first.
    pub(crate) rows: Vec<Arc<Message>>,
    /// Whether nothing is missing from it.
    pub(crate) complete: bool,
}

/// Reads pages. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Pages {
    bus: Arc<dyn Bus>,
    store: Arc<dyn MessageStore>,
    metrics: Arc<Metrics>,
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
}

impl Walk {
    fn new(rows: Vec<Arc<Message>>, head: Seq, last: Option<Seq>) -> Self {
        let before = rows.first().map_or(last, |row| row.prev);
        let floor = floor_of(&rows, before, head);
        Self { rows, before, floor, complete: true }
    }

    /// Puts an older page in front; `false` when it does not lead up to what is there.
    fn extend(&mut self, mut older: Vec<Arc<Message>>) -> bool {
        let fits = older.last().map(|row| row.seq) == self.before && is_chain(&older);
        if fits {
            self.before = older.first().and_then(|row| row.prev);
            self.floor = floor_of(&older, self.before, self.floor);
            older.append(&mut self.rows);
            self.rows = older;
        }
        fits
    }
}

fn floor_of(rows: &[Arc<Message>], before: Option<Seq>, otherwise: Seq) -> Seq {
    before.unwrap_or_else(|| rows.first().map_or(otherwise, |row| Seq(row.seq.0.saturating_sub(1))))
}

/// Each row's `prev` is the row before; within an epoch the numbers say so too.
fn is_chain(rows: &[Arc<Message>]) -> bool {
    rows.windows(2).all(|pair| {
        let [earlier, later] = pair else { return true };
        let counts_on = earlier.epoch == later.epoch && later.seq == earlier.seq.next();
        counts_on || later.prev == Some(earlier.seq)
    })
}

impl Pages {
    /// Pages of this bus and store.
    #[must_use]
    pub(crate) fn new(
        bus: Arc<dyn Bus>,
        store: Arc<dyn MessageStore>,
        metrics: Arc<Metrics>,
        resume: RoomLimits,
    ) -> Self {
        Self { bus, store, metrics, resume }
    }

    /// What a room needs to let members in: the head, the newest messages, and those from `from` on unless there are more
    /// than a resume may replay.
    ///
    /// # Errors
    /// When the bus cannot say where the head is. A store that is away only makes it incomplete.
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    pub(crate) async fn load(&self, room: &RoomId, from: Option<Seq>) -> Result<Loaded, BusError> {
        let ring = self.bus.ring(room, RING_ROWS).await?;
        let mut walk = Walk::new(ring.rows, ring.head.seq, ring.last);
        loop {
            let reached = from.is_none_or(|from| walk.rows.first().is_some_and(|row| row.seq <= from));
            let beyond = walk.rows.len() > self.resume.resume_messages_max
                || walk.rows.iter().map(|row| row.weight_bytes()).sum::<usize>()
                    > self.resume.resume_bytes_max;
            let enough = walk.rows.len() >= limits::HISTORY_ON_JOIN && (reached || beyond);
            if enough || !self.older(room, &mut walk).await {
                break;
            }
        }
        Ok(Loaded { head: ring.head, rows: walk.rows, floor: walk.floor, complete: walk.complete })
    }

    /// One page more in front; `false` when there is none or it cannot be had.
    async fn older(&self, room: &RoomId, walk: &mut Walk) -> bool {
        let Some(before) = walk.before.filter(|before| *before > Seq::ZERO) else { return false };
        let page = self.read(room, PageRange::Before(before.next()), limits::PAGE_LIMIT_MAX).await;
        walk.complete = page.is_some_and(|page| walk.extend(page));
        walk.complete
    }

    async fn read(&self, room: &RoomId, range: PageRange, limit: usize) -> Option<Vec<Arc<Message>>> {
        self.metrics.store_reads.inc();
        match timeout(STORE_TIMEOUT, self.store.page(room, range, limit)).await {
            Ok(Ok(rows)) => Some(rows),
            Ok(Err(error)) => {
                tracing::warn!(%room, %error, "page could not be read from the store");
                None
            }
            Err(_) => {
                tracing::warn!(%room, "the store took too long for a page");
                None
            }
        }
    }

    /// A page for a client that asks for one.
    ///
    /// # Errors
    /// When the bus cannot say where the head is.
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    pub(crate) async fn page(
        &self,
        room: &RoomId,
        wanted: PageWanted,
        limit: usize,
    ) -> Result<Page, BusError> {
        let ring = self.bus.ring(room, RING_ROWS).await?;
        let head = ring.head.clone();
        let walk = Walk::new(ring.rows, head.seq, ring.last);
        let (rows, complete) = match wanted {
            PageWanted::Before(before) => self.page_before(room, walk, before, limit).await,
            PageWanted::After(after) => self.page_after(room, walk, after, limit).await,
        };
        Ok(Page { head, rows, complete })
    }

    async fn page_before(
        &self,
        room: &RoomId,
        mut walk: Walk,
        before: Option<Seq>,
        limit: usize,
    ) -> (Vec<Arc<Message>>, bool) {
        let below = |row: &Arc<Message>| before.is_none_or(|before| row.seq < before);
        if before.is_some_and(|before| before <= walk.floor) && walk.before != Some(Seq::ZERO) {
            // The ring has nothing of it, and what it covers need not be walked through.
            let range = before.map_or(PageRange::Newest, PageRange::Before);
            let Some(rows) = self.read(room, range, limit).await else { return (Vec::new(), false) };
            let whole = is_chain(&rows) && is_whole(&rows, limit);
            return (rows, whole);
        }
        let bytes = |rows: &[Arc<Message>]| rows.iter().map(|row| row.weight_bytes()).sum::<usize>();
        while walk.rows.iter().filter(|row| below(row)).count() < limit && bytes(&walk.rows) < PAGE_BYTES_MAX
        {
            if !self.older(room, &mut walk).await {
                break;
            }
        }
        let complete = walk.complete;
        let rows: Vec<_> = walk.rows.into_iter().filter(below).collect();
        let rows = rows[rows.len().saturating_sub(limit)..].to_vec();
        let whole = complete && (is_whole(&rows, limit) || rows.is_empty());
        (rows, whole)
    }

    async fn page_after(
        &self,
        room: &RoomId,
        walk: Walk,
        after: Seq,
        limit: usize,
    ) -> (Vec<Arc<Message>>, bool) {
        let mut rows = Vec::new();
        if after < walk.floor {
            let Some(page) = self.read(room, PageRange::After(after), limit).await else {
                return (rows, false);
            };
            // It must begin right after the cursor; the ring does not reach so far down, so it cannot be empty.
            let begins = page.first().is_some_and(|row| row.prev.is_some_and(|prev| prev <= after));
            if !begins || !is_chain(&page) {
                return (page, false);
            }
            rows = page;
        }
        let reached = rows.last().map_or(after, |row| row.seq);
        let ring: Vec<_> = walk.rows.into_iter().filter(|row| row.seq > reached).collect();
        // A page that was cut by its bytes ends before the ring begins: what lies between comes with the next one.
        let joins = match (rows.last(), ring.first()) {
            (Some(last), Some(first)) => is_chain(&[last.clone(), first.clone()]),
            _ => true,
        };
        if joins {
            let space = limit - rows.len();
            rows.extend(ring.into_iter().take(space));
        }
        (rows, true)
    }
}

/// As many as were asked for, or all there are.
fn is_whole(rows: &[Arc<Message>], limit: usize) -> bool {
    rows.len() == limit || rows.first().is_none_or(|row| row.prev == Some(Seq::ZERO))
}

/// Reads rooms for the bus that it holds nothing of.
pub struct StoreSeeds {
    store: Arc<dyn MessageStore>,
}

impl StoreSeeds {
    /// From this store.
    #[must_use]
    pub fn new(store: Arc<dyn MessageStore>) -> Arc<Self> {
        Arc::new(Self { store })
    }
}

impl SeedSource for StoreSeeds {
    fn seed(&self, room: RoomId) -> futures_util::future::BoxFuture<'static, Result<Seed, SeedError>> {
        let store = self.store.clone();
        Box::pin(async move {
            let failed = |error: moim_store::StoreError| SeedError(error.to_string());
            let newest =
                store.page(&room, PageRange::Newest, limits::PAGE_LIMIT_MAX).await.map_err(failed)?;
            let mut answers: Vec<_> = newest.iter().rev().filter_map(answer_of).collect();
            let (mut oldest, mut seen) = (newest.first().cloned(), newest.len());
            while let Some(row) = oldest.take() {
                let age = newest.last().map_or(Duration::ZERO, |last| last.time.since(row.time));
                if age > ANSWER_KEPT || seen >= SEED_ROWS_MAX {
                    break;
                }
                let page = store
                    .page(&room, PageRange::Before(row.seq), limits::PAGE_LIMIT_MAX)
                    .await
                    .map_err(failed)?;
                answers.extend(page.iter().rev().filter_map(answer_of));
                seen += page.len();
                oldest = page.first().cloned();
            }
            answers.reverse();
            Ok(Seed { newest, answers })
        })
    }
}

fn answer_of(row: &Arc<Message>) -> Option<SeedAnswer> {
    Some(SeedAnswer {
        sender: row.username.clone(),
        client_id: row.client_id.clone()?,
        content_hash: content_hash(&row.content),
        receipt: moim_bus::Receipt {
            position: row.position(),
            id: row.id.clone(),
            time: row.time,
            level: AckLevel::Stored,
        },
    })
}
