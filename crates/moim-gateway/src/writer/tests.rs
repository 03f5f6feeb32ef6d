//! Logs drained into a store that fails in every way it can.
//! Not here: the same over the real bus and stores (`moim`'s tests), how many writes at once (`pace`).

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use futures_util::future::{self, BoxFuture, FutureExt};
use moim_bus::{BusError, StoreState, WriteAhead};
use moim_protocol::{ClientId, Epoch, Message, MessageId, RoomId, Seq, Timestamp, UserName};
use moim_store::{Head, MessageStore, PageRange, StoreError};
use moim_telemetry::Registry;
use tokio::sync::{Notify, mpsc};

use super::*;

fn row(room: &str, seq: u64, content: &str) -> Arc<Message> {
    Arc::new(Message {
        room: RoomId::trusted(room),
        seq: Seq(seq),
        prev: Some(Seq(seq - 1)),
        epoch: Epoch::trusted("e"),
        id: MessageId::trusted(format!("{room}-{seq}")),
        client_id: Some(ClientId::trusted("c")),
        username: UserName::trusted("u"),
        content: content.into(),
        time: Timestamp { micros: seq },
    })
}

#[derive(Default)]
struct FakeLog {
    rows: Mutex<Vec<Arc<Message>>>,
    dead: Mutex<Vec<Seq>>,
    reports: Mutex<Vec<StoreState>>,
    commits_that_fail: Mutex<usize>,
    is_gone: Mutex<bool>,
    is_stale: Mutex<bool>,
    changed: Notify,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

impl FakeLog {
    fn of(rows: Vec<Arc<Message>>) -> Arc<Self> {
        Arc::new(Self { rows: Mutex::new(rows), ..Self::default() })
    }

    fn go(&self) {
        *lock(&self.is_gone) = true;
        self.changed.notify_one();
    }

    /// Until everything is committed.
    async fn emptied(&self) {
        let emptied = async {
            while !lock(&self.rows).is_empty() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(600), emptied).await.expect("it is drained");
    }

    fn has_told(&self, state: StoreState) -> bool {
        lock(&self.reports).contains(&state)
    }
}

impl WriteAhead for FakeLog {
    fn read(&self, rows_max: usize, _bytes_max: usize) -> BoxFuture<'_, Option<Vec<Arc<Message>>>> {
        async move {
            loop {
                let first: Vec<_> = lock(&self.rows).iter().take(rows_max).cloned().collect();
                if *lock(&self.is_gone) {
                    return None;
                }
                if !first.is_empty() {
                    return Some(first);
                }
                self.changed.notified().await;
            }
        }
        .boxed()
    }

    fn commit<'a>(
        &'a self,
        first: &'a [Arc<Message>],
        dead: &'a [(RoomId, Seq)],
    ) -> BoxFuture<'a, Result<(), BusError>> {
        let mut failing = lock(&self.commits_that_fail);
        if *failing > 0 {
            *failing -= 1;
            return future::ready(Err(BusError::Unavailable("cut off".into()))).boxed();
        }
        lock(&self.rows).drain(..first.len());
        lock(&self.dead).extend(dead.iter().map(|(_, seq)| *seq));
        future::ready(Ok(())).boxed()
    }

    fn is_current(&self) -> bool {
        !*lock(&self.is_stale)
    }

    fn report(&self, store: StoreState) {
        lock(&self.reports).push(store);
    }
}

/// Takes rows unless told otherwise; refuses those that say "bad".
#[derive(Default)]
struct FakeStore {
    kept: Mutex<BTreeMap<(RoomId, Seq), Arc<Message>>>,
    failures: Mutex<Vec<StoreError>>,
    refuses_all: bool,
    appends: Mutex<usize>,
    /// First rows of the appends, in their order.
    order: Mutex<Vec<Seq>>,
    /// How long an append takes.
    takes: Duration,
}

impl MessageStore for FakeStore {
    fn append(&self, rows: Vec<Arc<Message>>) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            *lock(&self.appends) += 1;
            lock(&self.order).extend(rows.first().map(|row| row.seq));
            tokio::time::sleep(self.takes).await;
            if let Some(error) = lock(&self.failures).pop() {
                return Err(error);
            }
            if self.refuses_all || rows.iter().any(|row| &*row.content == "bad") {
                return Err(StoreError::Refused("bad".into()));
            }
            lock(&self.kept).extend(rows.into_iter().map(|row| ((row.room.clone(), row.seq), row)));
            Ok(())
        }
        .boxed()
    }

    fn head<'a>(&'a self, _: &'a RoomId) -> BoxFuture<'a, Result<Option<Head>, StoreError>> {
        future::ready(Ok(None)).boxed()
    }

    fn page<'a>(
        &'a self,
        _: &'a RoomId,
        _: PageRange,
        _: usize,
    ) -> BoxFuture<'a, Result<Vec<Arc<Message>>, StoreError>> {
        future::ready(Ok(Vec::new())).boxed()
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

struct Running {
    logs: mpsc::Sender<Arc<dyn WriteAhead>>,
    stop: watch::Sender<bool>,
    spawner: Spawner,
    metrics: Arc<WriterMetrics>,
    broken: watch::Receiver<Option<String>>,
}

async fn start(store: &Arc<FakeStore>, logs: &[&Arc<FakeLog>]) -> Running {
    let (sender, receiver) = mpsc::channel(16);
    for log in logs {
        sender.send(Arc::clone(log) as Arc<dyn WriteAhead>).await.unwrap();
    }
    let metrics = Arc::new(WriterMetrics::register(&Registry::new("0").unwrap()).unwrap());
    let (stop, stopping) = watch::channel(false);
    let (broken_sender, broken) = watch::channel(None);
    let spawner = Spawner::default();
    let writer = Writer {
        store: store.clone(),
        metrics: metrics.clone(),
        spawner: spawner.clone(),
        broken: broken_sender,
    };
    spawner.spawn(writer.run(receiver, stopping));
    Running { logs: sender, stop, spawner, metrics, broken }
}

#[tokio::test(start_paused = true)]
async fn every_log_that_comes_is_drained_and_a_stop_waits_for_all() {
    let store = Arc::new(FakeStore::default());
    let (one, other) = (FakeLog::of(vec![row("a", 1, "x")]), FakeLog::of(vec![row("b", 1, "x")]));
    let running = start(&store, &[&one]).await;
    one.emptied().await;
    running.logs.send(other.clone()).await.unwrap();
    other.emptied().await;
    assert_eq!(lock(&store.kept).len(), 2);
    assert_eq!(running.metrics.logs.get(), 2);
    running.stop.send_replace(true);
    assert_eq!(running.spawner.finished(Duration::from_secs(1)).await, 2, "both logs are still there");
    one.go();
    assert_eq!(running.spawner.finished(Duration::from_secs(1)).await, 1);
    other.go();
    assert_eq!(running.spawner.finished(Duration::from_secs(1)).await, 0);
    assert_eq!(running.metrics.logs.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_was_handed_over_before_the_stop_is_drained() {
    // Many times: both may be noticed in any order.
    for _ in 0..50 {
        let log = FakeLog::of(vec![row("a", 1, "x")]);
        let running = start(&Arc::default(), &[&log]).await;
        running.stop.send_replace(true);
        log.emptied().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_waited_out_and_makes_no_dead_letter() {
    let away = StoreError::Unavailable("time-out".into());
    let store = Arc::new(FakeStore { failures: Mutex::new(vec![away; 50]), ..FakeStore::default() });
    let log = FakeLog::of((1..=3).map(|seq| row("a", seq, "x")).collect());
    let running = start(&store, &[&log]).await;
    log.emptied().await;
    assert!(log.has_told(StoreState::Away));
    assert_eq!(lock(&log.reports).last(), Some(&StoreState::Here));
    assert_eq!((running.metrics.store_write_errors.get(), running.metrics.dead_letters.get()), (50, 0));
    assert_eq!(running.metrics.stored.get(), 3);
    assert_eq!(
        running.metrics.writes_at_once.get(),
        2,
        "it fell to one while the store was away, and grows again"
    );
}

#[tokio::test(start_paused = true)]
async fn what_may_be_another_nodes_is_not_written_but_read_again() {
    let (store, log) = (Arc::new(FakeStore::default()), FakeLog::of(vec![row("a", 1, "old")]));
    *lock(&log.is_stale) = true;
    let running = start(&store, &[&log]).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(lock(&store.kept).is_empty(), "it was written though the log was not this node's");
    *lock(&log.rows) = vec![row("a", 2, "new")];
    *lock(&log.is_stale) = false;
    log.emptied().await;
    let seqs: Vec<_> = lock(&store.kept).keys().map(|(_, seq)| *seq).collect();
    assert_eq!((seqs, running.metrics.store_write_errors.get()), (vec![Seq(2)], 0));
}

#[tokio::test(start_paused = true)]
async fn a_row_that_is_refused_alone_is_stored_as_a_stub_and_named() {
    let store = Arc::new(FakeStore::default());
    let rows: Vec<_> = (1..=9).map(|seq| row("a", seq, if seq % 4 == 0 { "bad" } else { "good" })).collect();
    let log = FakeLog::of(rows.clone());
    let running = start(&store, &[&log]).await;
    log.emptied().await;
    assert_eq!(*lock(&log.dead), [Seq(4), Seq(8)]);
    assert_eq!((running.metrics.dead_letters.get(), running.metrics.stored.get()), (2, 7));
    assert!(!log.has_told(StoreState::Away));
    for row in rows {
        let kept = lock(&store.kept)[&(row.room.clone(), row.seq)].clone();
        if &*row.content == "bad" {
            let stub = Message { content: "".into(), client_id: None, ..(*row).clone() };
            assert_eq!(*kept, stub, "the chain is whole");
        } else {
            assert_eq!(kept, row);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_refuses_everything_makes_no_dead_letters() {
    let store = Arc::new(FakeStore { refuses_all: true, ..FakeStore::default() });
    let log = FakeLog::of(vec![row("a", 1, "x"), row("a", 2, "x")]);
    let running = start(&store, &[&log]).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(lock(&log.rows).len(), 2, "nothing is taken out of the log");
    assert!(log.has_told(StoreState::Away) && !log.has_told(StoreState::Here));
    assert_eq!(running.metrics.dead_letters.get(), 0);
    assert!(running.broken.borrow().is_none());
}

#[tokio::test(start_paused = true)]
async fn an_outage_in_the_middle_of_the_search_for_a_dead_letter_is_not_one() {
    let store = Arc::new(FakeStore {
        // The last is told first: the batch is refused, and its first half meets an outage.
        failures: Mutex::new(vec![
            StoreError::Unavailable("time-out".into()),
            StoreError::Refused("bad".into()),
        ]),
        ..FakeStore::default()
    });
    let log = FakeLog::of(vec![row("a", 1, "x"), row("a", 2, "x")]);
    let running = start(&store, &[&log]).await;
    log.emptied().await;
    assert_eq!(running.metrics.dead_letters.get(), 0);
    assert!(log.has_told(StoreState::Away));
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_fails_is_made_again_and_counts_once() {
    let store = Arc::new(FakeStore::default());
    let log = FakeLog::of(vec![row("a", 1, "bad")]);
    *lock(&log.commits_that_fail) = 3;
    let running = start(&store, &[&log]).await;
    log.emptied().await;
    assert_eq!(*lock(&log.dead), [Seq(1)]);
    assert_eq!(running.metrics.dead_letters.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_is_taken_away_during_an_outage_is_let_go() {
    let away = StoreError::Unavailable("away".into());
    let store = Arc::new(FakeStore { failures: Mutex::new(vec![away; 100_000]), ..FakeStore::default() });
    let log = FakeLog::of(vec![row("a", 1, "x")]);
    let running = start(&store, &[&log]).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let tries = *lock(&store.appends);
    assert!((12..40).contains(&tries), "pauses grow to five seconds and no more: {tries} tries in a minute");
    log.go();
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(running.metrics.logs.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_broken_store_is_told() {
    let store = Arc::new(FakeStore {
        failures: Mutex::new(vec![StoreError::Broken("disk".into())]),
        ..FakeStore::default()
    });
    let log = FakeLog::of(vec![row("a", 1, "x")]);
    let mut running = start(&store, &[&log]).await;
    let told = running.broken.wait_for(Option::is_some).await.unwrap().clone();
    assert!(told.unwrap().contains("disk"));
}

#[tokio::test(start_paused = true)]
async fn of_many_logs_the_one_with_the_oldest_message_goes_first() {
    let away = StoreError::Unavailable("away".into());
    // Halved to one at a time, and each write takes longer than any pause.
    let store = FakeStore {
        failures: Mutex::new(vec![away; 200]),
        takes: Duration::from_secs(60),
        ..FakeStore::default()
    };
    let store = Arc::new(store);
    let logs: Vec<_> = [5, 3, 9, 1, 7].map(|seq| FakeLog::of(vec![row("a", seq, "x")])).into();
    let running = start(&store, &logs.iter().collect::<Vec<_>>()).await;
    tokio::time::sleep(Duration::from_secs(3000)).await;
    assert_eq!(running.metrics.writes_at_once.get(), 1);
    let order = lock(&store.order);
    let last = &order[order.len() - 20..];
    assert!(
        last.iter().all(|seq| *seq <= Seq(3)),
        "the two oldest by turns, one pauses while one writes: {last:?}"
    );
}
