//! A bus that runs, with the suite's writer behind it: calls that must succeed, and what holds after each.
//! Not here: the cases.

use std::{
    any::Any,
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use futures_util::{
    FutureExt,
    future::{self, BoxFuture},
};
use moim_protocol::{Message, RoomEvent, RoomId, Seq};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{PATIENCE, Rows, SILENCE, Subject, within};
use crate::{Bus, BusError, Draft, Receipt, Relayed, Ring, WriteAhead};

/// More rows than any bus keeps in its ring.
const ALL: usize = 1 << 20;
/// What the writer takes at once: small, so that a case has many batches.
const BATCH_ROWS: usize = 64;
const BATCH_BYTES: usize = 1024 * 1024;

/// A bus that runs. It stops when this is dropped, as by a kill.
pub struct Node {
    /// The bus.
    pub bus: Arc<dyn Bus>,
    pub(super) rows: Arc<Rows>,
    pub(super) logs: Vec<Arc<dyn WriteAhead>>,
    relayed: Vec<mpsc::Receiver<Relayed>>,
    /// The last seen of each room.
    seen: HashMap<RoomId, Seq>,
    driver: Option<JoinHandle<()>>,
    writers: Vec<JoinHandle<()>>,
    _keep: Box<dyn Any + Send>,
}

/// The gateway's writer, without its patience for errors.
async fn drain(log: Arc<dyn WriteAhead>, rows: Arc<Rows>) {
    while let Some(batch) = log.read(BATCH_ROWS, BATCH_BYTES).await {
        rows.append(&batch).await;
        log.commit(&batch, &[]).await.expect("commit");
    }
}

impl Node {
    /// Starts a bus and a writer for each of its logs.
    pub async fn start(start: &impl AsyncFn(Arc<Rows>) -> Subject, rows: &Arc<Rows>) -> Self {
        let mut node = Self::without_writers(start, rows).await;
        let drains = node.logs.iter().map(|log| tokio::spawn(drain(log.clone(), rows.clone())));
        node.writers = drains.collect();
        node
    }

    /// Starts a bus whose log nobody drains.
    pub async fn without_writers(start: &impl AsyncFn(Arc<Rows>) -> Subject, rows: &Arc<Rows>) -> Self {
        let Subject { bus, logs, relayed, driver, keep } = within("bus", start(rows.clone())).await;
        Self {
            bus,
            rows: rows.clone(),
            logs,
            relayed,
            seen: HashMap::new(),
            driver: Some(tokio::spawn(driver)),
            writers: Vec::new(),
            _keep: keep,
        }
    }

    /// Closes the bus, waits for its writers, and stops it.
    pub async fn stop(mut self) {
        self.bus.close();
        for writer in self.writers.drain(..) {
            within("end of the log of a closed bus", writer).await.expect("the writer");
        }
        self.kill().await;
    }

    /// Stops it where it is.
    pub async fn kill(mut self) {
        for task in self.writers.drain(..).chain(self.driver.take()) {
            task.abort();
            let ended = task.await;
            assert!(!ended.is_err_and(|error| error.is_panic()), "a task panicked");
        }
    }

    /// Its first log, for those who drain it by hand.
    #[must_use]
    pub fn log(&self) -> &dyn WriteAhead {
        &*self.logs[0]
    }

    /// Publishes, and gives the answer to wait for.
    pub fn publish(&self, draft: Draft) -> BoxFuture<'static, Result<Receipt, BusError>> {
        self.bus.publish(draft)
    }

    /// Publishes; that must succeed.
    pub async fn send(&self, draft: Draft) -> Receipt {
        self.answer(self.bus.publish(draft)).await
    }

    pub(super) async fn answer(&self, answer: impl Future<Output = Result<Receipt, BusError>>) -> Receipt {
        within("answer to a publish", answer).await.expect("publish")
    }

    /// Publishes; that must be refused.
    pub async fn refused(&self, draft: Draft) -> BusError {
        within("answer to a publish", self.bus.publish(draft)).await.expect_err("it was taken")
    }

    /// Subscribes; that must succeed.
    pub async fn subscribe(&self, room: &RoomId) {
        within("subscription", self.bus.subscribe(room)).await.expect("subscribe");
    }

    /// The ring, which is one piece of a log that ends at its head.
    pub async fn ring(&self, room: &RoomId, rows_max: usize) -> Ring {
        let ring = within("ring", self.bus.ring(room, rows_max)).await.expect("ring");
        assert!(ring.rows.len() <= rows_max, "more rows than asked for");
        assert_chain(room, &ring.rows);
        if let Some(newest) = ring.rows.last() {
            assert_eq!(Some(newest.seq), ring.last, "the ring does not end at its head");
        }
        if let Some(last) = ring.last {
            // Above only right after a jump.
            assert!(last <= ring.head.seq, "the last message is above the head");
        }
        ring
    }

    /// Ring and store together, which are the whole room up to a head read after the call.
    pub async fn whole(&self, room: &RoomId) -> Vec<Arc<Message>> {
        let ring = self.ring(room, ALL).await;
        let stored = self.rows.of(room).into_iter().filter(|row| row.seq <= ring.head.seq);
        let mut all: BTreeMap<Seq, Arc<Message>> = stored.map(|row| (row.seq, row)).collect();
        for row in ring.rows {
            let kept = all.entry(row.seq).or_insert_with(|| row.clone());
            assert_eq!(*kept, row, "ring and store differ");
        }
        let all: Vec<_> = all.into_values().collect();
        assert_chain(room, &all);
        if let Some(first) = all.first() {
            assert!(first.prev.is_none_or(|prev| prev == Seq::ZERO), "{room}: what was before {first:?}?");
        }
        assert_eq!(all.last().map(|row| row.seq), ring.last.filter(|last| *last > Seq::ZERO));
        all
    }

    /// The contents of the whole room.
    pub async fn contents(&self, room: &RoomId) -> Vec<String> {
        self.whole(room).await.iter().map(|row| row.content.to_string()).collect()
    }

    /// The next event of any room.
    pub async fn event(&mut self) -> Relayed {
        within("event", self.next_event()).await
    }

    async fn next_event(&mut self) -> Relayed {
        let next = future::select_all(self.relayed.iter_mut().map(|queue| queue.recv().boxed()));
        next.await.0.expect("the relay ended")
    }

    /// The next message of any room, past other events and past those that come again.
    pub async fn message(&mut self) -> Arc<Message> {
        loop {
            if let RoomEvent::Message(message) = self.event().await.event {
                let seen = self.seen.entry(message.room.clone()).or_default();
                if message.seq > *seen {
                    *seen = message.seq;
                    return message;
                }
            }
        }
    }

    /// The next event, if one comes soon.
    pub async fn event_soon(&mut self) -> Option<Relayed> {
        timeout(SILENCE, self.next_event()).await.ok()
    }

    /// Reads the count until it is that: over a network it takes a while.
    pub async fn counts(&self, room: &RoomId, want: u64) {
        let mut count = None;
        let counted = async {
            while count != Some(want) {
                count = Some(self.bus.who(room).await.expect("who").count);
                sleep(SILENCE / 10).await;
            }
        };
        assert!(timeout(PATIENCE, counted).await.is_ok(), "{count:?} are counted instead of {want}");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.writers.iter().chain(&self.driver).for_each(JoinHandle::abort);
    }
}

/// One piece of one room's log: numbers rise by one within an epoch, `prev` is the row before, over a jump too, and time
/// does not step back.
pub(super) fn assert_chain(room: &RoomId, rows: &[Arc<Message>]) {
    assert!(rows.iter().all(|row| row.room == *room), "rows of another room");
    for pair in rows.windows(2) {
        let [earlier, later] = pair else { continue };
        assert_eq!(later.prev, Some(earlier.seq), "{room}: prev is not the row before");
        assert!(later.time > earlier.time, "{room}: time does not rise");
        if later.epoch == earlier.epoch {
            assert_eq!(later.seq, earlier.seq.next(), "{room}: a hole in the numbers");
        } else {
            assert!(later.seq > earlier.seq, "{room}: a new epoch begins below");
        }
    }
}
