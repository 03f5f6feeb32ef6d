//! Cases about messages sent twice: the same (room, sender, client id) is one message.
//! Not here: how long it is remembered, which needs a clock of the implementation's.

use std::sync::Arc;

use futures_util::{FutureExt, future};

use super::{Node, Rows, Subject, draft, draft_as, room, within};
use crate::{BusError, Receipt};

/// The same message. The level may have risen since.
fn assert_same(receipt: &Receipt, again: &Receipt) {
    assert_eq!(again.position, receipt.position);
    assert_eq!((&again.id, again.time), (&receipt.id, receipt.time));
}

/// One after the other: the same receipt with the first one's id and time, and nothing in the log but the first.
pub async fn same_client_id_is_one_message(start: &impl AsyncFn(Arc<Rows>) -> Subject) {
    let mut node = Node::start(start, &Rows::new()).await;
    let room = room("twice");
    node.subscribe(&room).await;
    let first = node.send(draft_as(&room, "kim", "c1", "하나")).await;
    for _ in 0..3 {
        assert_same(&first, &node.send(draft_as(&room, "kim", "c1", "하나")).await);
    }
    let second = node.send(draft_as(&room, "kim", "c2", "하나")).await;
    assert_eq!(second.position.seq, first.position.seq.next());
    assert_same(&first, &node.send(draft_as(&room, "kim", "c1", "하나")).await);
    assert_eq!(node.contents(&room).await, ["하나", "하나"]);
    assert_eq!(node.message().await.seq, first.position.seq);
    assert_eq!(node.message().await.seq, second.position.seq);
    node.stop().await;
}

/// Many tries at once, of many messages, in a room that must be read first: each message once.
pub async fn same_client_id_at_once_is_one_message(start: &impl AsyncFn(Arc<Rows>) -> Subject) {
    let node = Node::start(start, &Rows::new()).await;
    let room = room("at-once");
    let tries = (0..10).flat_map(|_| 0..20_usize).map(|nth| {
        let answer = node.publish(draft_as(&room, "kim", &format!("c{nth}"), &nth.to_string()));
        let node = &node;
        async move { (nth, node.answer(answer).await) }
    });
    let receipts = future::join_all(tries).await;
    let whole = node.whole(&room).await;
    assert_eq!(whole.len(), 20);
    for (nth, receipt) in receipts {
        assert_eq!(whole[nth].position(), receipt.position);
        assert_eq!((&whole[nth].id, &*whole[nth].content), (&receipt.id, &*nth.to_string()));
    }
    node.stop().await;
}

/// While the first try waits for the store, others come; all are answered with the first one's receipt.
pub async fn same_client_id_while_the_store_is_stuck_is_one_message(
    start: &impl AsyncFn(Arc<Rows>) -> Subject,
) {
    let rows = Rows::new();
    let node = Node::start(start, &rows).await;
    let room = room("stuck");
    node.send(draft(&room, "before")).await;
    rows.set_stuck(true);
    let tries: Vec<_> = (0..5).map(|_| node.publish(draft_as(&room, "kim", "c", "하나"))).collect();
    let other = node.publish(draft_as(&room, "kim", "c", "둘"));
    let mut given_up = node.publish(draft_as(&room, "kim", "c", "하나"));
    // Polled once, so that it has begun to wait, wherever it waits.
    drop((&mut given_up).now_or_never());
    drop(given_up);
    let after = node.publish(draft(&room, "after"));
    rows.set_stuck(false);
    let mut receipts = Vec::new();
    for answer in tries {
        receipts.push(node.answer(answer).await);
    }
    let first = &receipts[0];
    receipts.iter().for_each(|again| assert_same(first, again));
    assert_eq!(within("answer", other).await, Err(BusError::ClientIdReused));
    assert_eq!(node.answer(after).await.position.seq, first.position.seq.next());
    assert_eq!(node.contents(&room).await, ["before", "하나", "after"]);
    node.stop().await;
}

/// The ring goes on for as long as it takes to leave the message behind.
pub async fn same_client_id_after_the_message_left_the_ring_is_one_message(
    start: &impl AsyncFn(Arc<Rows>) -> Subject,
) {
    const ROWS_MAX: usize = 50_000;
    let node = Node::start(start, &Rows::new()).await;
    let room = room("left-the-ring");
    let first = node.send(draft_as(&room, "kim", "c", "하나")).await;
    let mut sent = 1;
    while node.ring(&room, ROWS_MAX).await.rows.first().is_some_and(|row| row.id == first.id) {
        assert!(sent < ROWS_MAX, "the ring drops nothing of what is stored");
        let more = (0..200).map(|_| node.send(draft(&room, "more")));
        future::join_all(more).await;
        sent += 200;
    }
    assert_same(&first, &node.send(draft_as(&room, "kim", "c", "하나")).await);
    assert_eq!(node.refused(draft_as(&room, "kim", "c", "둘")).await, BusError::ClientIdReused);
    assert_eq!(node.whole(&room).await.len(), sent);
    node.stop().await;
}

/// A bus that was stopped, cleanly or not, knows what the one before it has answered.
pub async fn same_client_id_after_a_restart_is_one_message(start: &impl AsyncFn(Arc<Rows>) -> Subject) {
    let (rows, room) = (Rows::new(), room("restart"));
    let node = Node::start(start, &rows).await;
    let mut receipts = Vec::new();
    for nth in 0..150 {
        // More than a bus is given as the newest rows.
        receipts.push(node.send(draft_as(&room, "kim", &nth.to_string(), "말")).await);
    }
    node.stop().await;
    for _ in 0..2 {
        let node = Node::start(start, &rows).await;
        for (nth, receipt) in receipts.iter().enumerate() {
            assert_same(receipt, &node.send(draft_as(&room, "kim", &nth.to_string(), "말")).await);
        }
        assert_eq!(node.refused(draft_as(&room, "kim", "3", "다른 말")).await, BusError::ClientIdReused);
        assert_eq!(node.whole(&room).await.len(), 150);
        node.kill().await;
    }
}

/// A sender whose answer was lost does not know whether it was taken; it sends again.
pub async fn same_client_id_after_a_dropped_answer_is_one_message(
    start: &impl AsyncFn(Arc<Rows>) -> Subject,
) {
    let node = Node::start(start, &Rows::new()).await;
    let room = room("dropped");
    for nth in 0..20 {
        let draft = || draft_as(&room, "kim", &nth.to_string(), &nth.to_string());
        drop(node.publish(draft()));
        node.send(draft()).await;
    }
    assert_eq!(node.contents(&room).await, (0..20).map(|nth| nth.to_string()).collect::<Vec<_>>());
    node.stop().await;
}

/// The client id is the sender's own, in each room: of another sender, or in another room, it is another message, whatever
/// the names are put together from.
pub async fn same_client_id_of_others_is_another_message(start: &impl AsyncFn(Arc<Rows>) -> Subject) {
    let node = Node::start(start, &Rows::new()).await;
    let rooms = [room("others"), room("others")];
    let senders =
        [("kim", "c"), ("Kim", "c"), ("ki", "mc"), ("kim:", "c"), ("kim", ":c"), ("", "kimc"), ("김", "c")];
    for room in &rooms {
        for (nth, (sender, client_id)) in senders.iter().enumerate() {
            let receipt = node.send(draft_as(room, sender, client_id, &nth.to_string())).await;
            let again = node.send(draft_as(room, sender, client_id, &nth.to_string())).await;
            assert_same(&receipt, &again);
            assert_eq!(node.whole(room).await.len(), nth + 1);
        }
    }
    node.stop().await;
}

/// Refused while the first waits and after it is answered; the first stays what it was.
pub async fn other_content_is_client_id_reused(start: &impl AsyncFn(Arc<Rows>) -> Subject) {
    let node = Node::start(start, &Rows::new()).await;
    let room = room("reused");
    let first = node.publish(draft_as(&room, "kim", "c", "하나"));
    let second = node.publish(draft_as(&room, "kim", "c", "둘"));
    let first = node.answer(first).await;
    assert_eq!(within("answer", second).await, Err(BusError::ClientIdReused));
    for other in ["둘", "", "하나 ", "하나하나"] {
        let refused = node.refused(draft_as(&room, "kim", "c", other)).await;
        assert_eq!(refused, BusError::ClientIdReused);
        assert_eq!(refused.retry_after(), None);
    }
    assert_same(&first, &node.send(draft_as(&room, "kim", "c", "하나")).await);
    assert_eq!(node.contents(&room).await, ["하나"]);
    node.stop().await;
}
