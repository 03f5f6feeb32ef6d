//! Cases about numbers: call order, no gaps, restarts, many rooms.
//! Not here: messages sent twice (`duplicates`).

use std::sync::Arc;

use futures_util::future;
use moim_protocol::{ClientId, Message, RoomId, Seq, UserName, limits};

use super::{Node, Rows, Subject, draft, draft_as, room};
use crate::Draft;

/// In a room that must be read first and in one that is in memory, with answers awaited in another order or never.
pub async fn numbers_follow_call_order(start: &impl AsyncFn(Arc<Rows>) -> Subject) {
    let node = Node::start(start, &Rows::new()).await;
    let rooms = [room("order-a"), room("order-b")];
    let mut want: [Vec<String>; 2] = Default::default();
    for round in 0..2 {
        let mut answers = Vec::new();
        for nth in 0..60 {
            let (which, content) = (nth % 2, format!("{round}/{nth}"));
            let answer = node.publish(draft(&rooms[which], &content));
            want[which].push(content);
            // Every third sender goes away; its message stays.
            if nth % 3 != 0 {
                answers.push((which, answer));
            }
        }
        let mut seqs: [Vec<Seq>; 2] = Default::default();
        for (which, answer) in answers.into_iter().rev() {
            seqs[which].push(node.answer(answer).await.position.seq);
        }
        for seqs in seqs {
            assert!(seqs.is_sorted_by(|later, earlier| later > earlier), "not in call order: {seqs:?}");
        }
    }
    for (room, want) in rooms.iter().zip(&want) {
        assert_eq!(node.contents(room).await, *want);
    }
    node.stop().await;
}

/// Eight senders at once: their receipts are one run of numbers, and the room is exactly their messages.
pub async fn numbers_are_gapless(start: &impl AsyncFn(Arc<Rows>) -> Subject) {
    let node = Node::start(start, &Rows::new()).await;
    let room = room("gapless");
    let senders = (0..8).map(|sender| {
        let (node, room) = (&node, &room);
        async move {
            let mut receipts = Vec::new();
            for nth in 0..40 {
                receipts.push(node.send(draft(room, &format!("{sender}/{nth}"))).await);
            }
            receipts
        }
    });
    let mut receipts: Vec<_> = future::join_all(senders).await.into_iter().flatten().collect();
    receipts.sort_unstable_by_key(|receipt| receipt.position.seq);
    for pair in receipts.windows(2) {
        assert_eq!(pair[1].position.seq, pair[0].position.seq.next());
        assert_eq!(pair[1].position.epoch, pair[0].position.epoch);
    }
    let whole = node.whole(&room).await;
    assert_eq!(whole.len(), 320);
    for (row, receipt) in whole.iter().zip(&receipts) {
        assert_eq!(
            (row.position(), &row.id, row.time),
            (receipt.position.clone(), &receipt.id, receipt.time)
        );
    }
    node.stop().await;
}

/// A bus that was stopped cleanly goes on above what it gave, with the right `prev`.
pub async fn numbers_go_on_after_a_restart(start: &impl AsyncFn(Arc<Rows>) -> Subject) {
    let (rows, room) = (Rows::new(), room("restart"));
    let mut want = Vec::new();
    for boot in 0..3 {
        let node = Node::start(start, &rows).await;
        for nth in 0..5 {
            want.push(format!("{boot}/{nth}"));
            node.send(draft(&room, &want[want.len() - 1])).await;
        }
        assert_eq!(node.contents(&room).await, want);
        node.stop().await;
        let stored: Vec<String> = rows.of(&room).iter().map(|row| row.content.to_string()).collect();
        if !stored.is_empty() {
            assert_eq!(stored, want, "a clean stop stores everything");
        }
    }
}

/// After a kill what was answered is there, what was not may be, and nothing has another's number.
pub async fn numbers_go_on_after_a_kill(start: &impl AsyncFn(Arc<Rows>) -> Subject) {
    let (rows, room) = (Rows::new(), room("kill"));
    let mut answered: Vec<String> = Vec::new();
    for boot in 0..3 {
        let node = Node::start(start, &rows).await;
        for nth in 0..5 {
            answered.push(format!("{boot}/{nth}"));
            node.send(draft(&room, &answered[answered.len() - 1])).await;
        }
        rows.set_stuck(true);
        let waiting: Vec<_> =
            (0..5).map(|nth| node.publish(draft(&room, &format!("{boot}?{nth}")))).collect();
        node.kill().await;
        drop(waiting);
        rows.set_stuck(false);
    }
    let node = Node::start(start, &rows).await;
    let contents = node.contents(&room).await;
    let of_answered: Vec<_> = contents.iter().filter(|content| !content.contains('?')).cloned().collect();
    assert_eq!(of_answered, answered);
    node.stop().await;
}

/// What is in the log is what was said, and the receipt says where.
pub async fn fields_are_those_of_the_draft(start: &impl AsyncFn(Arc<Rows>) -> Subject) {
    let node = Node::start(start, &Rows::new()).await;
    let room = room("fields");
    let drafts = [
        draft(&room, "없음"),
        draft_as(
            &room,
            "é\u{301} 👩‍👩‍👧 \"quote'",
            "id with {braces} and *",
            "line\nline\0tab\t\u{feff}\u{202e}끝",
        ),
        draft_as(&room, &"이".repeat(limits::USERNAME_CHARS_MAX), &"한".repeat(64), ""),
    ];
    for draft in drafts {
        let receipt = node.send(draft.clone()).await;
        let whole = node.whole(&room).await;
        let row = whole.last().expect("a row");
        assert_eq!(receipt.id, draft.id);
        assert_eq!((row.position(), &row.id, row.time), (receipt.position, &receipt.id, receipt.time));
        let Draft { client_id, sender, content, .. } = draft;
        // A bus may give a message without a client id one.
        assert!(client_id.is_none() || row.client_id == client_id);
        assert_eq!((&row.username, &row.content), (&sender, &content));
    }
    node.stop().await;
}

/// The largest content a client may send, among small ones: logged, relayed, stored, and known again.
pub async fn a_mebibyte_is_a_message(start: &impl AsyncFn(Arc<Rows>) -> Subject) {
    let mut node = Node::start(start, &Rows::new()).await;
    let room = room("mebibyte");
    let large = "가나다라".repeat(limits::MESSAGE_BYTES_MAX / 12);
    node.subscribe(&room).await;
    for content in ["before", &large, "after"] {
        let receipt = node.send(draft_as(&room, "kim", &content[..3], content)).await;
        let relayed = node.message().await;
        assert_eq!((relayed.seq, &*relayed.content), (receipt.position.seq, content));
    }
    assert_eq!(node.contents(&room).await, ["before", &large, "after"]);
    let again = node.send(draft_as(&room, "kim", &large[..3], &large)).await;
    assert_eq!(again.position.seq, node.whole(&room).await[1].seq);
    node.stop().await;
}

/// Names that begin with one another, in Latin and in Hangul, differ in case or blanks only, or mean something to a server
/// that might stand behind the bus.
pub async fn rooms_do_not_mix(start: &impl AsyncFn(Arc<Rows>) -> Subject) {
    let mut node = Node::start(start, &Rows::new()).await;
    let base = room("방");
    let names = [
        "",
        "a",
        "A",
        "ab",
        " ",
        "방",
        "방방",
        "바",
        "\u{1112}\u{1161}",
        "하",
        "\u{10ffff}",
        "/1",
        ":1",
        "{",
        "{}",
        "{a}",
        "}a{",
        "*",
        "?",
        "[a]",
        "\\",
        "\"",
        "%s",
        "$",
        "\n",
        "\0",
    ];
    let rooms: Vec<RoomId> = names.iter().map(|name| RoomId::trusted(format!("{base}{name}"))).collect();
    future::join_all(rooms.iter().map(|room| node.subscribe(room))).await;
    let mut relayed = Vec::new();
    for (nth, room) in rooms.iter().enumerate() {
        for turn in 0..=nth % 3 {
            node.send(draft(room, &format!("{nth}/{turn}"))).await;
            relayed.push(node.message().await);
        }
    }
    for (nth, room) in rooms.iter().enumerate() {
        let want: Vec<_> = (0..=nth % 3).map(|turn| format!("{nth}/{turn}")).collect();
        assert_eq!(node.contents(room).await, want, "{room:?}");
        let relayed = relayed.iter().filter(|message| message.room == *room);
        let relayed: Vec<_> = relayed.map(|message| message.content.to_string()).collect();
        assert_eq!(relayed, want, "relayed of {room:?}");
    }
    node.stop().await;
}

/// A thousand rooms that nobody has read yet, three messages each, all published before any is answered.
pub async fn a_thousand_rooms_at_once(start: &impl AsyncFn(Arc<Rows>) -> Subject) {
    let mut node = Node::start(start, &Rows::new()).await;
    let rooms: Vec<RoomId> = (0..1000).map(|nth| room(&format!("방{nth}"))).collect();
    future::join_all(rooms.iter().map(|room| node.subscribe(room))).await;
    let others: Vec<RoomId> = (0..1000).map(|nth| room(&format!("찬방{nth}"))).collect();
    let mut answers = Vec::new();
    for turn in 0..3 {
        for room in rooms.iter().chain(&others) {
            let draft = Draft {
                sender: UserName::trusted("kim"),
                client_id: Some(ClientId::trusted(format!("c{turn}"))),
                ..draft(room, &turn.to_string())
            };
            answers.push(node.publish(draft));
        }
    }
    for answer in answers {
        node.answer(answer).await;
    }
    let mut relayed: std::collections::HashMap<RoomId, Vec<Arc<Message>>> = Default::default();
    for _ in 0..3000 {
        let message = node.message().await;
        relayed.entry(message.room.clone()).or_default().push(message);
    }
    for room in &rooms {
        let whole = node.whole(room).await;
        assert_eq!(relayed[room], whole);
        assert_eq!(whole.iter().map(|row| &*row.content).collect::<Vec<_>>(), ["0", "1", "2"]);
    }
    for room in &others {
        assert_eq!(node.contents(room).await, ["0", "1", "2"]);
    }
    node.stop().await;
}
