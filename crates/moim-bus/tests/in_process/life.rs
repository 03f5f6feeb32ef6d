//! What the bus of a single node promises beside the suite: nothing is seen before it is stored, how numbers start, what
//! happens when a room cannot be read, and how it ends.
//! Not here: bounds (`bounds`).

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt;
use moim_bus::{
    Bus, BusError, Draft, InProcessBus, InProcessConfig, Numbering, RELAY_QUEUE_MAX, RelaySink, Relayed,
    WriteAhead,
    conformance::{Node, Rows, draft, draft_as, room, typing},
};
use moim_protocol::{AckLevel, Epoch, NodeId, RoomEvent, Seq};
use tokio::time::{sleep, timeout};

use super::{HandClock, kept, start, start_at};

const SOON: Duration = Duration::from_secs(10);

async fn node(rows: &Arc<Rows>, numbering: Numbering) -> Node {
    Node::start(&async |rows| start(rows, numbering.clone()).await, rows).await
}

#[tokio::test]
async fn nothing_is_answered_relayed_or_shown_before_it_is_stored() {
    let rows = Rows::new();
    let mut node = node(&rows, kept()).await;
    let room = room("stuck");
    node.subscribe(&room).await;
    rows.set_stuck(true);
    let mut answer = node.publish(draft(&room, "말"));
    assert!(node.event_soon().await.is_none(), "relayed before it is stored");
    assert!((&mut answer).now_or_never().is_none(), "answered before it is stored");
    assert_eq!(node.ring(&room, 10).await.head.seq, Seq::ZERO);
    rows.set_stuck(false);
    assert_eq!(node.message().await.seq, Seq(1));
    assert_eq!(answer.await.unwrap().level, AckLevel::Stored);
    assert_eq!(node.ring(&room, 10).await.head.seq, Seq(1));
    node.stop().await;
}

#[tokio::test]
async fn a_store_that_keeps_has_rooms_from_one_in_its_own_epoch() {
    let rows = Rows::new();
    let room = room("kept");
    for boot in 0..3 {
        let node = node(&rows, kept()).await;
        let receipt = node.send(draft(&room, "말")).await;
        assert_eq!((receipt.position.seq, receipt.position.epoch), (Seq(boot + 1), Epoch::trusted("e")));
        assert_eq!(receipt.level, AckLevel::Stored);
        let asked = Draft { level: Some(AckLevel::Stored), ..draft(&self::room("other"), "말") };
        assert_eq!(node.send(asked).await.level, AckLevel::Stored);
        node.kill().await;
    }
    assert_eq!(rows.of(&room)[0].prev, Some(Seq::ZERO));
}

#[tokio::test]
async fn a_store_that_forgets_has_rooms_above_the_clock_in_an_epoch_of_the_boot() {
    const NOW: u64 = 1_700_000_000_123_456;
    let room = room("volatile");
    let clock = HandClock::at(NOW);
    let mut epochs = Vec::new();
    for boot in 0..2 {
        // Other rows for each boot: the store has forgotten.
        let rows = Rows::new();
        clock.set(NOW + boot * 1000);
        let start = async |rows: Arc<Rows>| start_at(rows, Numbering::Volatile, &clock);
        let node = Node::start(&start, &rows).await;
        let base = (1_700_000_000_123 + boot) << 10;
        assert_eq!(node.ring(&room, 10).await.head.seq, Seq(base));
        let receipt = node.send(draft(&room, "말")).await;
        assert_eq!((receipt.position.seq, receipt.level), (Seq(base + 1), AckLevel::Wal));
        assert_eq!(rows.of(&room)[0].prev, None, "what was before is not known");
        assert_eq!(node.send(draft(&room, "말")).await.position.seq, Seq(base + 2));
        assert_eq!(rows.of(&room)[1].prev, Some(Seq(base + 1)));
        assert!(Seq(base + 2) < Seq::MAX);
        epochs.push(receipt.position.epoch);
        node.stop().await;
    }
    assert_ne!(epochs[0], epochs[1]);
}

#[tokio::test]
async fn a_store_that_forgets_cannot_give_stored_but_has_the_message_once() {
    let node = node(&Rows::new(), Numbering::Volatile).await;
    let room = room("asked");
    let asked = Draft { level: Some(AckLevel::Stored), ..draft_as(&room, "kim", "c", "말") };
    for _ in 0..2 {
        assert!(matches!(node.refused(asked.clone()).await, BusError::StoreUnavailable(_)));
    }
    let receipt = node.send(Draft { level: None, ..asked }).await;
    assert_eq!(receipt.level, AckLevel::Wal);
    assert_eq!(node.whole(&room).await.len(), 1);
    node.stop().await;
}

#[tokio::test]
async fn a_room_that_cannot_be_read_is_unavailable_until_it_can() {
    let rows = Rows::new();
    let mut node = node(&rows, kept()).await;
    let room = room("unreadable");
    rows.set_seeds_fail(true);
    for _ in 0..3 {
        let drafts = [draft_as(&room, "kim", "a", "하나"), draft_as(&room, "kim", "b", "둘")];
        for answer in drafts.map(|draft| node.publish(draft)) {
            assert!(matches!(answer.await, Err(BusError::Unavailable(_))));
        }
        assert!(matches!(node.bus.subscribe(&room).await, Err(BusError::Unavailable(_))));
        assert!(matches!(node.bus.ring(&room, 1).await, Err(BusError::Unavailable(_))));
    }
    assert_eq!(rows.seeds(), 9, "each is a new try");
    rows.set_seeds_fail(false);
    assert_eq!(node.send(draft_as(&room, "kim", "a", "하나")).await.position.seq, Seq(1));
    node.bus.typing(&room, typing(1));
    let late = node.event_soon().await;
    assert!(late.is_none(), "a subscription that failed is none: {late:?}");
    node.subscribe(&room).await;
    node.send(draft_as(&room, "kim", "b", "둘")).await;
    assert_eq!(node.message().await.seq, Seq(2));
    node.stop().await;
}

#[tokio::test]
async fn a_subscription_made_while_the_room_is_read_stands_when_it_is() {
    let rows = Rows::new();
    let mut node = node(&rows, kept()).await;
    let (kept_up, given_up, ended) = (room("kept-up"), room("given-up"), room("ended"));
    rows.set_unreadable(true);
    let mut first = node.bus.subscribe(&kept_up);
    assert!((&mut first).now_or_never().is_none(), "subscribed to a room that is not read");
    drop(first);
    drop(node.bus.subscribe(&given_up));
    drop(node.bus.subscribe(&ended));
    node.bus.unsubscribe(&given_up);
    node.bus.unsubscribe(&ended);
    rows.set_unreadable(false);
    node.subscribe(&kept_up).await;
    for room in [&given_up, &ended, &kept_up] {
        node.send(draft(room, "말")).await;
    }
    assert_eq!(node.message().await.room, kept_up);
    assert!(node.event_soon().await.is_none());
    node.stop().await;
}

#[tokio::test]
async fn closed_while_a_room_is_read_still_stores_what_was_taken() {
    let rows = Rows::new();
    let node = node(&rows, kept()).await;
    let room = room("closed-unread");
    rows.set_unreadable(true);
    let answer = node.publish(draft(&room, "말"));
    node.bus.close();
    sleep(Duration::from_millis(50)).await;
    rows.set_unreadable(false);
    assert_eq!(timeout(SOON, answer).await.expect("an answer").unwrap().position.seq, Seq(1));
    node.stop().await;
    assert_eq!(rows.of(&room).len(), 1);
}

#[tokio::test]
async fn closed_while_a_room_that_cannot_be_read_is_read_ends() {
    let rows = Rows::new();
    let (sink, _relayed) = RelaySink::new(1);
    let (bus, driver) = InProcessBus::new(InProcessConfig::new(NodeId(1), kept()), sink, rows.clone());
    let driver = tokio::spawn(driver.run());
    rows.set_unreadable(true);
    rows.set_seeds_fail(true);
    let answer = bus.publish(draft(&room("closed-unreadable"), "말"));
    let reader = tokio::spawn({
        let bus = bus.clone();
        async move { bus.read(1, 1).await }
    });
    bus.close();
    sleep(Duration::from_millis(50)).await;
    assert!(!reader.is_finished(), "what was taken may still come");
    rows.set_unreadable(false);
    assert!(matches!(timeout(SOON, answer).await.expect("an answer"), Err(BusError::Unavailable(_))));
    assert!(timeout(SOON, reader).await.expect("the end").unwrap().is_none());
    driver.abort();
}

#[tokio::test]
async fn a_worker_that_takes_no_signals_does_not_stop_rooms_from_being_read() {
    let clock = HandClock::at(1);
    let node = Node::start(&async |rows| start_at(rows, kept(), &clock), &Rows::new()).await;
    let busy = room("busy");
    node.subscribe(&busy).await;
    for nth in 0..RELAY_QUEUE_MAX as u64 + 100 {
        node.bus.typing(&busy, typing(nth));
    }
    sleep(Duration::from_millis(50)).await;
    assert_eq!(node.ring(&room("quiet"), 1).await.head.seq, Seq::ZERO);
    node.kill().await;
}

#[tokio::test]
async fn without_its_driver_it_says_that_it_has_stopped() {
    let (sink, _relayed) = RelaySink::new(1);
    let (bus, driver) = InProcessBus::new(InProcessConfig::new(NodeId(1), kept()), sink, Rows::new());
    drop(driver);
    let answer = timeout(SOON, bus.publish(draft(&room("stopped"), "말"))).await.expect("an answer");
    assert_eq!(answer, Err(BusError::Unavailable("the bus has stopped".into())));
}

#[tokio::test]
async fn only_the_first_of_the_log_can_be_committed() {
    let (sink, mut relayed) = RelaySink::new(1);
    let (bus, driver) = InProcessBus::new(InProcessConfig::new(NodeId(1), kept()), sink, Rows::new());
    let driver = tokio::spawn(driver.run());
    let room = room("commit");
    bus.subscribe(&room).await.unwrap();
    let answers: Vec<_> = (0..3).map(|nth| bus.publish(draft(&room, &nth.to_string()))).collect();
    let batch = bus.read(10, usize::MAX).await.unwrap();
    assert!(bus.commit(&batch[1..], &[]).await.is_err());
    bus.commit(&batch[..1], &[]).await.unwrap();
    assert!(bus.commit(&batch, &[]).await.is_err(), "the first is no longer in it");
    bus.commit(&batch[1..], &[]).await.unwrap();
    for (seq, answer) in (1..).zip(answers) {
        assert_eq!(answer.await.unwrap().position.seq, Seq(seq));
        let Relayed { event: RoomEvent::Message(message), .. } = relayed[0].recv().await.unwrap() else {
            panic!("not a message")
        };
        assert_eq!(message.seq, Seq(seq));
    }
    driver.abort();
}

#[tokio::test]
async fn time_rises_over_a_restart_with_a_clock_that_steps_back() {
    let (rows, room) = (Rows::new(), room("clock"));
    let clock = HandClock::at(1_000_000_000);
    let mut times = Vec::new();
    for step in [0, 400_000_000, 0] {
        clock.set(1_000_000_000 - step);
        let node = Node::start(&async |rows| start_at(rows, kept(), &clock), &rows).await;
        times.push(node.send(draft(&room, "말")).await.time);
        node.kill().await;
    }
    assert!(times.is_sorted_by(|earlier, later| earlier < later), "{times:?}");
}

#[tokio::test]
async fn two_readers_are_both_told_of_the_end() {
    let (sink, _relayed) = RelaySink::new(1);
    let (bus, _driver) = InProcessBus::new(InProcessConfig::new(NodeId(1), kept()), sink, Rows::new());
    let readers = [1, 2].map(|_| {
        let bus = bus.clone();
        tokio::spawn(async move { bus.read(1, 1).await })
    });
    sleep(Duration::from_millis(20)).await;
    bus.close();
    for reader in readers {
        assert!(timeout(SOON, reader).await.expect("the end").unwrap().is_none());
    }
}
