//! A bus and a store whose answers a test decides, and how long they take.
//! Not here: what pages make of them.

use std::sync::{
    Mutex,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use futures_util::{
    FutureExt,
    future::{self, BoxFuture},
};
use moim_bus::{BusHealth, Draft, Here, Receipt};
use moim_protocol::{Epoch, MessageId, NodeId, Notice, Timestamp, Typing, UserName};
use moim_store::{Head, StoreError};
use moim_telemetry::Registry;
use tokio::time::sleep;

use super::super::*;

pub(super) fn row(seq: u64, prev: Option<u64>, epoch: &str) -> Arc<Message> {
    Arc::new(Message {
        room: room(),
        seq: Seq(seq),
        prev: prev.map(Seq),
        epoch: Epoch::trusted(epoch),
        id: MessageId::trusted(format!("i{seq}")),
        client_id: None,
        username: UserName::trusted("u"),
        content: "x".into(),
        time: Timestamp { micros: seq },
    })
}

pub(super) fn rows(seqs: std::ops::RangeInclusive<u64>) -> Vec<Arc<Message>> {
    seqs.map(|seq| row(seq, Some(seq - 1), "e")).collect()
}

pub(super) fn room() -> RoomId {
    RoomId::trusted("r")
}

/// A bus that holds the newest rows of a log.
#[derive(Default)]
pub(super) struct FakeBus {
    pub(super) ring: Vec<Arc<Message>>,
    /// What is below the ring and not in the store.
    pub(super) unstored: Vec<Arc<Message>>,
    pub(super) takes: Duration,
    pub(super) version: Arc<AtomicU64>,
    pub(super) late: Option<(Seq, Seq)>,
    /// It may have lost what came after the ring.
    pub(super) end_is_unknown: bool,
    pub(super) is_away: bool,
    /// The ring is read, and then the bus is cut off.
    pub(super) is_cut_off_midway: bool,
    /// While the ring is read, as many messages are said as it holds, and what they push out of it is stored here.
    pub(super) moves_on: Option<Arc<SlowStore>>,
}

impl Bus for FakeBus {
    fn node(&self) -> NodeId {
        NodeId(1)
    }

    fn publish(&self, _: Draft) -> BoxFuture<'static, Result<Receipt, BusError>> {
        future::ready(Err(BusError::Refused)).boxed()
    }

    fn typing(&self, _: &RoomId, _: Typing) {}

    fn presence(&self, _: &RoomId, _: Here, _: Option<Notice>) {}

    fn subscribe<'a>(&'a self, _: &'a RoomId) -> BoxFuture<'a, Result<(), BusError>> {
        future::ready(Ok(())).boxed()
    }

    fn unsubscribe(&self, _: &RoomId) {}

    fn ring<'a>(&'a self, _: &'a RoomId, _: usize) -> BoxFuture<'a, Result<Ring, BusError>> {
        async move {
            sleep(self.takes).await;
            if self.is_away {
                return Err(BusError::Unavailable("cut off".into()));
            }
            let mut ring = self.ring.clone();
            if let (Some(store), Some(last)) = (&self.moves_on, self.ring.last()) {
                store.rows.lock().unwrap().extend(self.ring.iter().cloned());
                ring = rows(last.seq.0 + 1..=last.seq.0 + self.ring.len() as u64);
            }
            let last = ring.last();
            let none = Position { epoch: Epoch::trusted("e"), seq: Seq::ZERO };
            Ok(Ring {
                head: last.map_or(none, |row| row.position()),
                last: (!self.end_is_unknown).then(|| last.map_or(Seq::ZERO, |row| row.seq)),
                stored: match self.unstored.first() {
                    Some(row) => Seq(row.seq.0 - 1),
                    None => last.map_or(Seq::ZERO, |row| row.seq),
                },
                version: self.version.load(Ordering::Relaxed),
                late: self.late,
                rows: ring,
            })
        }
        .boxed()
    }

    fn older<'a>(
        &'a self,
        _: &'a RoomId,
        below: Seq,
        rows_max: usize,
    ) -> BoxFuture<'a, Result<Vec<Arc<Message>>, BusError>> {
        if self.is_cut_off_midway {
            return future::ready(Err(BusError::Unavailable("cut off".into()))).boxed();
        }
        let rows: Vec<_> = self.unstored.iter().filter(|row| row.seq < below).cloned().collect();
        future::ready(Ok(rows[rows.len().saturating_sub(rows_max)..].to_vec())).boxed()
    }

    fn flushed(&self) -> BoxFuture<'_, ()> {
        future::ready(()).boxed()
    }

    fn who<'a>(&'a self, _: &'a RoomId) -> BoxFuture<'a, Result<Here, BusError>> {
        future::ready(Ok(Here::default())).boxed()
    }

    fn health(&self) -> BusHealth {
        BusHealth::Open
    }

    fn close(&self) {}
}

/// A store that takes its time.
#[derive(Default)]
pub(super) struct SlowStore {
    pub(super) rows: Mutex<Vec<Arc<Message>>>,
    pub(super) takes: Duration,
    pub(super) reads: AtomicUsize,
    pub(super) is_away: bool,
}

impl SlowStore {
    pub(super) fn of(rows: Vec<Arc<Message>>, takes: Duration) -> Arc<Self> {
        Arc::new(Self { rows: Mutex::new(rows), takes, ..Self::default() })
    }

    pub(super) fn reads(&self) -> usize {
        self.reads.load(Ordering::Relaxed)
    }
}

impl MessageStore for SlowStore {
    fn append(&self, _: Vec<Arc<Message>>) -> BoxFuture<'_, Result<(), StoreError>> {
        future::ready(Ok(())).boxed()
    }

    fn head<'a>(&'a self, _: &'a RoomId) -> BoxFuture<'a, Result<Option<Head>, StoreError>> {
        future::ready(Ok(None)).boxed()
    }

    fn page<'a>(
        &'a self,
        _: &'a RoomId,
        range: PageRange,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Arc<Message>>, StoreError>> {
        async move {
            self.reads.fetch_add(1, Ordering::Relaxed);
            sleep(self.takes).await;
            if self.is_away {
                return Err(StoreError::Unavailable("away".into()));
            }
            let rows = self.rows.lock().unwrap();
            let newest = |rows: Vec<Arc<Message>>| {
                let newest_first = rows.into_iter().rev().take(limit).map(Ok::<_, StoreError>);
                let mut page: Vec<_> = moim_store::within_page_bytes(newest_first).flatten().collect();
                page.reverse();
                page
            };
            Ok(match range {
                PageRange::Newest => newest(rows.clone()),
                PageRange::Before(seq) => newest(rows.iter().filter(|row| row.seq < seq).cloned().collect()),
                PageRange::After(seq) => {
                    rows.iter().filter(|row| row.seq > seq).take(limit).cloned().collect()
                }
            })
        }
        .boxed()
    }

    fn generation(&self, _: u32) -> BoxFuture<'_, Result<Option<Epoch>, StoreError>> {
        future::ready(Ok(None)).boxed()
    }

    fn set_generation(&self, _: u32, _: Epoch) -> BoxFuture<'_, Result<(), StoreError>> {
        future::ready(Ok(())).boxed()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        future::ready(Ok(())).boxed()
    }
}

pub(super) struct Tried {
    pub(super) pages: Pages,
    pub(super) metrics: Arc<Metrics>,
}

pub(super) fn pages(bus: FakeBus, store: &Arc<SlowStore>) -> Tried {
    let metrics = Arc::new(Metrics::register(&Registry::new("0").unwrap()).unwrap());
    let limits = RoomLimits { resume_messages_max: 1000, resume_bytes_max: 1_000_000 };
    let pages = Pages::new(Arc::new(bus), store.clone(), metrics.clone(), Spawner::default(), limits);
    Tried { pages, metrics }
}

pub(super) fn ring(seqs: std::ops::RangeInclusive<u64>) -> FakeBus {
    FakeBus { ring: rows(seqs), ..FakeBus::default() }
}
