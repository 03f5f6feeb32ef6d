//! Every bound of the bus of a single node, at its edge: what is said when it is full, and that it goes on afterwards.
//! Not here: one room's (`src/in_process/room_log.rs`).

use std::sync::Arc;

use futures_util::{
    FutureExt,
    future::{self, BoxFuture},
};
use moim_bus::{
    ANSWER_KEPT, ANSWERS_MAX, BusError, Draft, LOG_BYTES_MAX, LOG_ROWS_MAX, ROOMS_MAX, Receipt,
    SEED_DRAFTS_MAX, Seed, SeedAnswer, SeedError, SeedSource,
    conformance::{Node, Rows, draft, draft_as, room},
    content_hash,
};
use moim_protocol::{AckLevel, ClientId, Epoch, MessageId, Position, RoomId, Seq, Timestamp, UserName};

use super::{HandClock, kept, start, start_at};

const SECOND: u64 = 1_000_000;
const MEBIBYTE: usize = 1024 * 1024;

type Answer = BoxFuture<'static, Result<Receipt, BusError>>;

async fn undrained(rows: &Arc<Rows>) -> Node {
    Node::without_writers(&async |rows| start(rows, kept()).await, rows).await
}

/// What the writer does once.
async fn drain(node: &Node, rows: &Rows, rows_max: usize) {
    let batch = node.log().read(rows_max, usize::MAX).await.expect("an open log ended");
    rows.append(&batch).await;
    node.log().commit(&batch, &[]).await.expect("commit");
}

fn is_overloaded(answer: &mut Answer) -> bool {
    match answer.now_or_never() {
        Some(Err(BusError::Overloaded(_))) => true,
        Some(other) => panic!("{other:?}"),
        None => false,
    }
}

#[tokio::test]
async fn rows_of_the_log() {
    let rows = Rows::new();
    let node = undrained(&rows).await;
    let rooms: Vec<_> = (0..7).map(|_| room("log-rows")).collect();
    for room in &rooms {
        node.ring(room, 0).await;
    }
    let known = draft_as(&rooms[0], "kim", "c", "말");
    let mut answers = vec![node.publish(known.clone())];
    answers.extend((1..LOG_ROWS_MAX).map(|nth| node.publish(draft(&rooms[nth % 7], "말"))));
    assert!(answers.iter_mut().all(|answer| !is_overloaded(answer)), "full before its bound");
    let mut more: Vec<_> = rooms.iter().map(|room| node.publish(draft(room, "더"))).collect();
    assert!(more.iter_mut().all(is_overloaded));
    let mut again = node.publish(known);
    assert!(!is_overloaded(&mut again), "what is in the log needs no space in it");
    drain(&node, &rows, 3).await;
    let mut more: Vec<_> = (0..4).map(|_| node.publish(draft(&rooms[0], "더"))).collect();
    assert_eq!(more.iter_mut().map(is_overloaded).collect::<Vec<_>>(), [false, false, false, true]);
    while rows.of(&rooms[0]).last().is_none_or(|row| &*row.content != "더") {
        drain(&node, &rows, 5000).await;
    }
    answers.push(again);
    answers.extend(more.into_iter().take(3));
    assert!(future::join_all(answers).await.iter().all(Result::is_ok));
    let sum: usize = rooms.iter().map(|room| rows.of(room).len()).sum();
    assert_eq!(sum, LOG_ROWS_MAX + 3);
    node.kill().await;
}

/// So many messages of about a mebibyte are the bound: each has its fixed share beside its text.
const LARGE_MAX: usize = LOG_BYTES_MAX / MEBIBYTE - 1;

/// Publishes until it is full; each draft has the same mebibyte in it.
fn fill(node: &Node, mut next_room: impl FnMut() -> RoomId) -> Vec<Answer> {
    let content: Arc<str> = "가나다라".repeat(MEBIBYTE / 12).into();
    let mut answers = Vec::new();
    loop {
        let mut answer = node.publish(Draft { content: content.clone(), ..draft(&next_room(), "") });
        if is_overloaded(&mut answer) {
            return answers;
        }
        answers.push(answer);
        assert!(answers.len() * content.len() <= LOG_BYTES_MAX, "more than its bound");
    }
}

#[tokio::test]
async fn bytes_of_the_log() {
    let rows = Rows::new();
    let node = undrained(&rows).await;
    let room = room("log-bytes");
    node.ring(&room, 0).await;
    for _ in 0..2 {
        let answers = fill(&node, || room.clone());
        assert_eq!(answers.len(), LARGE_MAX, "full before its bound");
        drain(&node, &rows, usize::MAX).await;
        assert!(future::join_all(answers).await.iter().all(Result::is_ok));
    }
    node.kill().await;
}

#[tokio::test]
async fn drafts_of_rooms_that_are_being_read_count_as_log() {
    let rows = Rows::new();
    let node = undrained(&rows).await;
    let (warm, mut nth) = (room("warm"), 0);
    node.ring(&warm, 0).await;
    for _ in 0..2 {
        rows.set_unreadable(true);
        let answers = fill(&node, || {
            nth += 1;
            RoomId::trusted(format!("cold{nth}"))
        });
        assert_eq!(answers.len(), LARGE_MAX, "full before its bound");
        let mut in_memory = node.publish(draft(&warm, &"x".repeat(MEBIBYTE)));
        assert!(is_overloaded(&mut in_memory), "the log has its own bound beside them");
        rows.set_unreadable(false);
        while answers.len() > node.log().read(usize::MAX, usize::MAX).await.unwrap().len() {
            tokio::task::yield_now().await;
        }
        drain(&node, &rows, usize::MAX).await;
        assert!(future::join_all(answers).await.iter().all(Result::is_ok));
    }
    node.kill().await;
}

#[tokio::test]
async fn drafts_of_one_room_that_is_being_read() {
    let rows = Rows::new();
    let node = Node::start(&async |rows| start(rows, kept()).await, &rows).await;
    let (cold, other) = (room("cold"), room("cold"));
    rows.set_unreadable(true);
    let mut answers: Vec<_> =
        (0..SEED_DRAFTS_MAX).map(|nth| node.publish(draft(&cold, &nth.to_string()))).collect();
    assert!(answers.iter_mut().all(|answer| !is_overloaded(answer)), "full before its bound");
    assert!(is_overloaded(&mut node.publish(draft(&cold, "더"))));
    answers.push(node.publish(draft(&other, "말")));
    rows.set_unreadable(false);
    assert!(future::join_all(answers).await.iter().all(Result::is_ok));
    node.send(draft(&cold, "더")).await;
    let want = (0..SEED_DRAFTS_MAX).map(|nth| nth.to_string()).chain(["더".into()]);
    assert_eq!(node.contents(&cold).await, want.collect::<Vec<_>>());
    node.stop().await;
}

#[tokio::test]
async fn readers_of_one_room_that_is_being_read() {
    let rows = Rows::new();
    let node = undrained(&rows).await;
    let cold = room("cold");
    rows.set_unreadable(true);
    for _ in 0..10_000 {
        // Readers that give up must not stand in the way of those that wait.
        assert!(node.bus.ring(&cold, 1).now_or_never().is_none(), "refused, or read");
    }
    let mut waiting: Vec<_> = (0..10_000).map(|_| node.bus.ring(&cold, 1)).collect();
    let refused = waiting.iter_mut().filter_map(|ring| ring.now_or_never());
    let refused = refused.filter(|ring| matches!(ring, Err(BusError::Overloaded(_)))).count();
    assert!((8000..9500).contains(&refused), "{refused} of 10,000 are refused");
    rows.set_unreadable(false);
    assert!(waiting.swap_remove(0).await.is_ok());
    drop(waiting);
    node.kill().await;
}

#[tokio::test]
async fn rooms_that_are_being_read() {
    let rows = Rows::new();
    let node = undrained(&rows).await;
    let rooms: Vec<_> = (0..3000).map(|_| room("cold")).collect();
    rows.set_unreadable(true);
    let rings: Vec<_> = rooms.iter().map(|room| node.bus.ring(room, 1)).collect();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(rows.seeds(), 64, "more are read at the same time than the bound, or fewer");
    rows.set_unreadable(false);
    assert!(future::join_all(rings).await.iter().all(Result::is_ok), "more wait for their turn");
    node.kill().await;
}

/// Fills the table of rooms up to its bound.
async fn fill_rooms(node: &Node, taken: usize) -> Vec<RoomId> {
    let rooms: Vec<_> = (taken..ROOMS_MAX).map(|nth| RoomId::trusted(format!("fill{nth}"))).collect();
    let rings = future::join_all(rooms.iter().map(|room| node.bus.ring(room, 0))).await;
    assert!(rings.iter().all(Result::is_ok), "full before its bound");
    rooms
}

#[tokio::test]
async fn rooms_that_are_stored_and_empty_make_space_for_others() {
    let (rows, clock) = (Rows::new(), HandClock::at(SECOND));
    let node = Node::without_writers(&async |rows| start_at(rows, kept(), &clock), &rows).await;
    let [quiet, subscribed, pending] = ["quiet", "subscribed", "pending"].map(room);
    node.subscribe(&subscribed).await;
    node.ring(&quiet, 0).await;
    let mut answers: Vec<_> =
        (0..3).map(|nth| node.publish(draft_as(&quiet, "kim", &nth.to_string(), "말"))).collect();
    drain(&node, &rows, usize::MAX).await;
    let receipts = future::try_join_all(answers.drain(..)).await.unwrap();
    node.ring(&pending, 0).await;
    let mut waiting = node.publish(draft_as(&pending, "kim", "p", "말"));
    clock.set(2 * SECOND);
    let others = fill_rooms(&node, 3).await;
    assert_eq!(rows.seeds(), ROOMS_MAX as u64);

    // It would be among the first to go.
    let read_again = others.iter().min().unwrap();
    clock.set(3 * SECOND);
    node.ring(read_again, 0).await;
    node.ring(&room("one more"), 0).await;
    for room in [&subscribed, &pending, read_again, others.iter().max().unwrap()] {
        node.ring(room, 0).await;
    }
    assert_eq!(rows.seeds(), ROOMS_MAX as u64 + 1, "one was dropped that must not be, or need not");
    assert!((&mut waiting).now_or_never().is_none());
    let again = node.publish(draft_as(&quiet, "kim", "1", "말")).await.unwrap();
    assert_eq!(rows.seeds(), ROOMS_MAX as u64 + 2, "the longest unused was not dropped");
    assert_eq!(again, receipts[1]);
    let next = node.publish(draft_as(&quiet, "kim", "3", "말"));
    drain(&node, &rows, usize::MAX).await;
    assert_eq!(next.await.unwrap().position.seq, receipts[2].position.seq.next());
    assert_eq!(waiting.await.unwrap().position.seq, Seq(1));
    assert_eq!(node.whole(&quiet).await.len(), 4);
    node.kill().await;
}

#[tokio::test]
async fn rooms_that_are_all_in_use_make_no_space_until_one_is_not() {
    let (rows, clock) = (Rows::new(), HandClock::at(10 * SECOND));
    let node = Node::without_writers(&async |rows| start_at(rows, kept(), &clock), &rows).await;
    let rooms = fill_rooms(&node, 0).await;
    for room in &rooms {
        node.subscribe(room).await;
    }
    let (new, full) = (room("new"), BusError::Overloaded("table of rooms"));
    assert_eq!(node.bus.ring(&new, 1).await.unwrap_err(), full);
    assert_eq!(node.bus.subscribe(&new).await.unwrap_err(), full);
    assert_eq!(node.refused(draft(&new, "말")).await, full);
    let answer = node.publish(draft(&rooms[0], "말"));
    drain(&node, &rows, 1).await;
    assert_eq!(answer.await.unwrap().position.seq, Seq(1), "rooms that are in it go on");
    node.bus.unsubscribe(&rooms[0]);
    // Not looked for again at once; a clock that steps back does not stop it.
    clock.set(9 * SECOND);
    assert!(node.bus.ring(&new, 1).await.is_ok());
    assert!(node.bus.ring(&rooms[0], 1).await.is_ok(), "a subscription that failed keeps the room");
    node.kill().await;
}

/// Many recent sends of each room.
struct Sends {
    clock: HandClock,
    of_a_room: usize,
}

impl SeedSource for Sends {
    fn seed(&self, room: RoomId) -> BoxFuture<'static, Result<Seed, SeedError>> {
        let quiet = room.as_str().starts_with("quiet");
        let receipt = Receipt {
            position: Position { epoch: Epoch::trusted("e"), seq: Seq(1) },
            id: MessageId::trusted("id"),
            time: Timestamp { micros: self.clock.now() },
            level: AckLevel::Stored,
        };
        let answers = (0..if quiet { self.of_a_room } else { 0 }).map(|nth| SeedAnswer {
            sender: UserName::trusted("kim"),
            client_id: ClientId::trusted(nth.to_string()),
            content_hash: content_hash("말"),
            receipt: receipt.clone(),
        });
        future::ready(Ok(Seed { newest: Vec::new(), answers: answers.collect() })).boxed()
    }

    fn generation(&self, _partition: u32) -> BoxFuture<'static, Result<Option<Epoch>, SeedError>> {
        future::ready(Ok(None)).boxed()
    }

    fn set_generation(&self, _partition: u32, _epoch: Epoch) -> BoxFuture<'static, Result<(), SeedError>> {
        future::ready(Ok(())).boxed()
    }
}

#[tokio::test]
async fn recent_sends_of_quiet_rooms_are_forgotten_for_those_of_others() {
    const ROOMS: usize = 10;
    let clock = HandClock::at(SECOND);
    let source = Arc::new(Sends { clock: clock.clone(), of_a_room: ANSWERS_MAX / ROOMS });
    let node = Node::start(&async |_| start_at(source.clone(), kept(), &clock), &Rows::new()).await;
    let talking = room("talking");
    node.send(draft_as(&talking, "kim", "before", "말")).await;
    for nth in 0..ROOMS {
        node.ring(&RoomId::trusted(format!("quiet{nth}")), 0).await;
    }
    let send = |id: &str| node.publish(draft_as(&talking, "kim", id, "말"));
    let full = BusError::Overloaded("table of recent sends");
    assert_eq!(send("full").await.unwrap_err(), full);
    assert_eq!(send("before").await.unwrap().position.seq, Seq(1), "what is known needs no space");
    assert_eq!(node.send(draft(&talking, "말")).await.position.seq, Seq(2));
    clock.set(SECOND + ANSWER_KEPT.as_micros() as u64 - 1);
    assert_eq!(send("full").await.unwrap_err(), full, "forgotten too early");
    assert_eq!(send("before").await.unwrap().position.seq, Seq(1));
    clock.set(SECOND + ANSWER_KEPT.as_micros() as u64 + SECOND);
    assert_eq!(send("full").await.unwrap().position.seq, Seq(3));
    assert_eq!(send("before").await.unwrap().position.seq, Seq(1), "it was tried again since");
    node.stop().await;
}

#[tokio::test]
async fn rings_of_rooms_that_are_not_used_are_given_up() {
    let (rows, clock) = (Rows::new(), HandClock::at(SECOND));
    let node = Node::without_writers(&async |rows| start_at(rows, kept(), &clock), &rows).await;
    let rooms: Vec<_> = (0..150).map(|_| room("rings")).collect();
    let content: Arc<str> = "x".repeat(MEBIBYTE - 1000).into();
    for room in &rooms {
        clock.set(clock.now() + SECOND);
        for _ in 0..2 {
            let answer = node.publish(Draft { content: content.clone(), ..draft(room, "") });
            drain(&node, &rows, 1).await;
            answer.await.unwrap();
        }
    }
    let mut held = Vec::new();
    for room in &rooms {
        held.push(node.ring(room, 10).await.rows.len());
        assert_eq!(node.whole(room).await.len(), 2, "ring and store are the whole room");
    }
    assert!(held.is_sorted(), "not the longest unused: {held:?}");
    let held: usize = held.iter().sum();
    assert!((200..=256).contains(&held), "{held} MiB are held");
    node.kill().await;
}
