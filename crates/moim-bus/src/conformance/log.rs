//! Cases about the ring, which readers see, and the write-ahead log, which the writer drains.
//! Not here: what is relayed and when (`relay`).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{
    FutureExt,
    future::{self, BoxFuture},
};
use moim_protocol::{AckLevel, Message, RoomId, Seq};
use tokio::{
    task::yield_now,
    time::{sleep, timeout},
};

use super::{Node, PATIENCE, Rows, SILENCE, Subject, draft, draft_as, room, within};
use crate::{BusError, BusHealth, Draft, Receipt, WriteAhead};

/// What was answered before the call is in it, whoever asks while others talk.
pub async fn ring_is_fresh(start: &impl AsyncFn(Arc<Rows>) -> Subject) {
    let node = Node::start(start, &Rows::new()).await;
    let room = room("fresh");
    let senders = (0..6).map(|sender| {
        let (node, room) = (&node, &room);
        async move {
            for nth in 0..60 {
                let content = format!("{sender}/{nth}");
                let receipt = node.send(draft(room, &content)).await;
                let ring = node.ring(room, 100).await;
                assert!(ring.head.seq >= receipt.position.seq, "the head is older than the question");
                assert_eq!(ring.head.epoch, receipt.position.epoch);
                let row = ring.rows.iter().find(|row| row.seq == receipt.position.seq);
                assert_eq!(row.map(|row| &*row.content), Some(&*content), "answered, but not in the ring");
            }
        }
    });
    future::join_all(senders).await;
    node.stop().await;
}

/// Readers that come while others talk, until the ring has turned over: nothing is ever missing between ring and store.
pub async fn ring_and_store_are_the_whole_room(start: &impl AsyncFn(Arc<Rows>) -> Subject) {
    let node = Node::start(start, &Rows::new()).await;
    let room = room("whole");
    let talk = async {
        for nth in 0..100 {
            let burst = (0..20).map(|turn| node.send(draft(&room, &format!("{nth}/{turn}"))));
            future::join_all(burst).await;
        }
    };
    let read = async {
        let mut known: Vec<Arc<Message>> = Vec::new();
        while known.len() < 2000 {
            let whole = node.whole(&room).await;
            assert!(whole.starts_with(&known), "a message once seen was taken back");
            known = whole;
            // A ring that is in memory is read without waiting, and the talkers are in the same task.
            yield_now().await;
        }
    };
    future::join(talk, read).await;
    node.stop().await;
}

/// At most as many as asked for, from the right end; the head in any case.
pub async fn ring_gives_the_newest_rows_asked_for(start: &impl AsyncFn(Arc<Rows>) -> Subject) {
    let node = Node::start(start, &Rows::new()).await;
    let room = room("rows-max");
    for nth in 0..10 {
        node.send(draft(&room, &nth.to_string())).await;
    }
    let head = node.ring(&room, 100).await.head;
    for rows_max in [0, 1, 3, 9, 10, 11, usize::MAX] {
        let ring = node.ring(&room, rows_max).await;
        let contents: Vec<_> = ring.rows.iter().map(|row| row.content.to_string()).collect();
        let want: Vec<_> =
            (0..10).map(|nth| nth.to_string()).skip(10_usize.saturating_sub(rows_max)).collect();
        assert_eq!(contents, want, "{rows_max}");
        assert_eq!(ring.head, head);
        assert_eq!(ring.last, Some(head.seq));
    }
    node.stop().await;
}

/// No rows, nothing before, and the first message comes right after the head.
pub async fn ring_of_a_new_room_is_empty(start: &impl AsyncFn(Arc<Rows>) -> Subject) {
    let node = Node::start(start, &Rows::new()).await;
    let room = room("new");
    let ring = node.ring(&room, 100).await;
    assert!(ring.rows.is_empty());
    // `None` when the bus cannot know, above zero numbers.
    assert!(ring.last == Some(Seq::ZERO) || (ring.last.is_none() && ring.head.seq > Seq::ZERO), "{ring:?}");
    let receipt = node.send(draft(&room, "첫 말")).await;
    assert_eq!((receipt.position.epoch, receipt.position.seq), (ring.head.epoch, ring.head.seq.next()));
    let first = &node.whole(&room).await[0];
    assert_eq!(first.prev, ring.last);
    node.stop().await;
}

/// A receipt that says `stored` is of a row that the store has by then. One who asked for it gets that or an error to
/// try again after, and no second message for trying.
pub async fn stored_is_in_the_store(start: &impl AsyncFn(Arc<Rows>) -> Subject) {
    let rows = Rows::new();
    let node = Node::start(start, &rows).await;
    let room = room("stored");
    let levels = [None, Some(AckLevel::Wal), Some(AckLevel::Stored)];
    for nth in 0..60 {
        let level = levels[nth % 3];
        let draft = Draft { level, ..draft_as(&room, "kim", &nth.to_string(), "말") };
        match within("answer", node.publish(draft.clone())).await {
            Ok(Receipt { position, level: given, .. }) => {
                assert!(given >= level.unwrap_or(AckLevel::Wal), "less than asked for");
                assert!(
                    given < AckLevel::Stored || rows.has(&room, position.seq),
                    "stored, but not in the store"
                );
            }
            Err(error) => {
                assert!(matches!(error, BusError::StoreUnavailable(_)), "{error}");
                assert_eq!(level, Some(AckLevel::Stored));
                assert!(error.retry_after().is_some());
                drop(within("answer", node.publish(draft)).await);
            }
        }
        assert_eq!(node.whole(&room).await.len(), nth + 1);
    }
    rows.set_stuck(true);
    let draft = Draft { level: Some(AckLevel::Stored), ..draft_as(&room, "kim", "stuck", "말") };
    let early = timeout(SILENCE, node.publish(draft)).await;
    assert!(!matches!(early, Ok(Ok(_))), "stored, but not in the store");
    rows.set_stuck(false);
    node.stop().await;
}

type Batch = (Arc<dyn WriteAhead>, Vec<Arc<Message>>);

/// The log that has something, and what it gives.
async fn read_any(node: &Node, rows_max: usize, bytes_max: usize) -> Batch {
    let reads = node.logs.iter().map(|log| -> BoxFuture<'_, Batch> {
        async move {
            let batch = log.read(rows_max, bytes_max).await.expect("an open log ended");
            (log.clone(), batch)
        }
        .boxed()
    });
    within("message in a log", future::select_all(reads)).await.0
}

/// Publishes messages to a room, and waits until a log has them all.
async fn fill(
    node: &Node,
    room: &RoomId,
    contents: &[&str],
) -> Vec<BoxFuture<'static, Result<Receipt, BusError>>> {
    let answers = contents.iter().map(|content| node.publish(draft(room, content))).collect();
    let began = Instant::now();
    while read_any(node, usize::MAX, usize::MAX).await.1.len() < contents.len() {
        assert!(began.elapsed() < PATIENCE, "not all came into the log");
        sleep(Duration::from_millis(5)).await;
    }
    answers
}

fn contents_of(batch: &[Arc<Message>]) -> Vec<&str> {
    batch.iter().map(|message| &*message.content).collect()
}

/// Whoever waits for a message that the store refuses for good is told so; its neighbours are stored, and the same client
/// id is free for another try.
pub async fn a_dead_letter_is_refused(start: &impl AsyncFn(Arc<Rows>) -> Subject) {
    let rows = Rows::new();
    let node = Node::without_writers(start, &rows).await;
    if node.logs.is_empty() {
        return;
    }
    let room = room("dead");
    let bad = Draft { level: Some(AckLevel::Stored), ..draft_as(&room, "kim", "bad", "bad") };
    let (before, bad_answer) = (node.publish(draft(&room, "before")), node.publish(bad.clone()));
    let after = node.publish(draft(&room, "after"));
    let (log, batch) = loop {
        let (log, batch) = read_any(&node, 100, usize::MAX).await;
        if batch.len() == 3 {
            break (log, batch);
        }
        sleep(Duration::from_millis(5)).await;
    };
    rows.append(&batch).await;
    within("commit", log.commit(&batch, &[(room.clone(), batch[1].seq)])).await.expect("commit");
    node.answer(before).await;
    node.answer(after).await;
    assert_eq!(within("answer", bad_answer).await, Err(BusError::Refused));
    let again = node.publish(bad);
    let (log, batch) = read_any(&node, 100, usize::MAX).await;
    assert_eq!(contents_of(&batch), ["bad"], "the same client id is another message now");
    rows.append(&batch).await;
    within("commit", log.commit(&batch, &[])).await.expect("commit");
    drop(within("answer", again).await);
    node.kill().await;
}

/// Reading takes nothing out, nor does a read that is given up; committing takes out what is committed, in part too, and
/// answers its senders with all that they can be told.
pub async fn read_gives_the_same_until_committed(start: &impl AsyncFn(Arc<Rows>) -> Subject) {
    let rows = Rows::new();
    let node = Node::without_writers(start, &rows).await;
    if node.logs.is_empty() {
        return;
    }
    let room = room("log");
    let want = ["0", "1", "2", "3", "4"];
    let answers = fill(&node, &room, &want).await;
    for _ in 0..3 {
        let (log, batch) = read_any(&node, 100, usize::MAX).await;
        assert_eq!(contents_of(&batch), want);
        drop(log.read(100, usize::MAX));
    }
    let (log, batch) = read_any(&node, 100, usize::MAX).await;
    rows.append(&batch).await;
    within("commit", log.commit(&batch[..2], &[])).await.expect("commit");
    let (log, batch) = read_any(&node, 100, usize::MAX).await;
    assert_eq!(contents_of(&batch), want[2..]);
    within("commit", log.commit(&batch, &[])).await.expect("commit");
    for answer in answers {
        node.answer(answer).await;
    }
    assert!(log.read(100, usize::MAX).now_or_never().is_none(), "an empty log is waited for");
    let waiting = {
        let log = log.clone();
        tokio::spawn(async move { log.read(100, usize::MAX).await })
    };
    let answer = node.publish(draft(&room, "5"));
    let batch = within("read", waiting).await.expect("the reader").expect("an open log ended");
    assert_eq!(contents_of(&batch), ["5"]);
    rows.append(&batch).await;
    within("commit", log.commit(&batch, &[])).await.expect("commit");
    node.answer(answer).await;
    assert_eq!(node.contents(&room).await, ["0", "1", "2", "3", "4", "5"]);
    node.kill().await;
}

/// Not more rows or bytes than asked for, but one message in any case.
pub async fn read_is_bounded(start: &impl AsyncFn(Arc<Rows>) -> Subject) {
    let node = Node::without_writers(start, &Rows::new()).await;
    if node.logs.is_empty() {
        return;
    }
    let large = "가".repeat(10_000);
    let room = room("log-bounds");
    let _answers = fill(&node, &room, &[&large, "1", "2", &large, "4"]).await;
    for (rows_max, bytes_max, want) in [
        (1, usize::MAX, 1),
        (3, usize::MAX, 3),
        (0, usize::MAX, 1),
        (100, 0, 1),
        (100, 30_000, 1),
        (100, 35_000, 3),
        (2, 35_000, 2),
        (100, 100_000, 5),
    ] {
        let (_, batch) = read_any(&node, rows_max, bytes_max).await;
        assert_eq!(batch.len(), want, "rows_max {rows_max}, bytes_max {bytes_max}");
        assert_eq!(&*batch[0].content, large);
    }
    node.kill().await;
}

/// What was taken before goes on to the store and is answered, then the log ends; nothing more is taken.
pub async fn closed_takes_no_more_and_drains_the_rest(start: &impl AsyncFn(Arc<Rows>) -> Subject) {
    let rows = Rows::new();
    let node = Node::start(start, &rows).await;
    let (warm, cold) = (room("closed"), room("closed"));
    node.send(draft(&warm, "before")).await;
    // One room's answer says nothing of the rest of the bus, which may still be on its way.
    within("health", async {
        while node.bus.health() != BusHealth::Open {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    rows.set_stuck(true);
    let taken: Vec<_> = (0..20)
        .flat_map(|nth| [draft(&warm, &nth.to_string()), draft(&cold, &nth.to_string())])
        .map(|draft| node.publish(draft))
        .collect();
    node.bus.close();
    node.bus.close();
    assert_eq!(node.bus.health(), BusHealth::Closed);
    for room in [&warm, &cold, &room("closed")] {
        let refused = node.refused(draft(room, "too late")).await;
        assert!(matches!(refused, BusError::Unavailable(_)), "{refused}");
        assert!(refused.retry_after().is_some());
    }
    rows.set_stuck(false);
    for answer in taken {
        node.answer(answer).await;
    }
    let want: Vec<_> = (0..20).map(|nth| nth.to_string()).collect();
    assert_eq!(node.contents(&warm).await[1..], want);
    assert_eq!(node.contents(&cold).await, want);
    let (logs, has_log) = (node.logs.clone(), !node.logs.is_empty());
    node.stop().await;
    assert!(!has_log || rows.of(&cold).len() == 20, "taken, but not stored by a clean stop");
    for log in logs {
        assert!(within("end", log.read(1, 1)).await.is_none(), "the log of a closed bus has more");
    }
}
