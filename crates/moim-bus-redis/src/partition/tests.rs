//! What a generation's change does to what a node knows: each case is one rule that no lost message may depend on luck for.
//! Not here: the same with real servers (`tests/redis`).

use moim_bus::StoreState;
use moim_protocol::{MessageId, Position, Timestamp, UserName};

use super::*;

fn epoch(name: &str) -> Epoch {
    Epoch::trusted(name)
}

fn partition() -> Arc<Partition> {
    Arc::new(Partition::new(0, Arc::default(), usize::MAX))
}

fn keys() -> Keys {
    Keys::new("moim", 1)
}

fn row(of: &str, micros: u64) -> Arc<Message> {
    Arc::new(Message {
        room: RoomId::trusted("r"),
        seq: Seq(micros),
        prev: Some(Seq(micros - 1)),
        epoch: epoch(of),
        id: MessageId::trusted(micros.to_string()),
        client_id: None,
        username: UserName::trusted("kim"),
        content: "x".into(),
        time: Timestamp { micros },
    })
}

fn mark(of: &str, id: LogId, dead: &[LogId]) -> Mark {
    Mark { epoch: epoch(of), id, store: StoreState::Here, age: Duration::ZERO, dead: dead.to_vec() }
}

type Answered = oneshot::Receiver<Result<Receipt, BusError>>;

fn accept(partition: &Partition, row: &Message, wanted: Wanted) -> Answered {
    let (answer, answered) = oneshot::channel();
    let position = Position { epoch: row.epoch.clone(), seq: row.seq };
    let receipt = Receipt { position, id: row.id.clone(), time: row.time, level: AckLevel::Wal };
    partition.accepted(Instant::now(), row.time.micros, receipt, wanted, answer);
    answered
}

fn level(answered: &mut Answered) -> Option<AckLevel> {
    answered.try_recv().ok().map(|answer| answer.expect("a receipt").level)
}

#[test]
fn what_is_of_another_generation_is_neither_kept_nor_shown() {
    let partition = partition();
    let row = row("a", 5);
    assert!(!partition.keep(&epoch("a"), &row, &keys()), "nothing is open");
    partition.open(&epoch("b"), 9, false);
    assert!(!partition.keep(&epoch("a"), &row, &keys()), "it came too late");
    assert!(partition.is_flushed());
    assert!(partition.keep(&epoch("b"), &row, &keys()), "an older row that is read in this generation");
    assert!(!partition.is_flushed());
}

#[test]
fn a_node_that_leaves_does_not_wait_for_what_others_go_on_publishing() {
    let partition = partition();
    partition.open(&epoch("a"), 0, false);
    for micros in [5, 6] {
        partition.keep(&epoch("a"), &row("a", micros), &keys());
    }
    assert!(!partition.is_flushed());
    // Relayed while it waits.
    partition.keep(&epoch("a"), &row("a", 7), &keys());
    partition.marked(Instant::now(), &mark("a", 5, &[]));
    assert!(!partition.is_flushed(), "6 is not stored");
    partition.marked(Instant::now(), &mark("a", 6, &[]));
    assert!(partition.is_flushed());
    // In another generation's log the same rows have other ids: all of them are waited for again.
    partition.open(&epoch("b"), 9, false);
    assert!(!partition.is_flushed());
    partition.marked(Instant::now(), &mark("b", 9, &[]));
    assert!(partition.is_flushed());
}

#[test]
fn nothing_is_handed_in_before_calls_are_answered_and_the_fence_has_come() {
    let partition = partition();
    partition.open(&epoch("a"), 0, false);
    let (_, call) = partition.begin_call().expect("it is open");
    partition.recovering(&epoch("b"));
    assert!(partition.begin_call().is_none());
    partition.fence_came(epoch("b"));
    assert!(!partition.is_quiet(&epoch("b")), "a call is under way");
    assert!(!partition.has_no_calls());
    drop(call);
    assert!(partition.is_quiet(&epoch("b")));
    assert!(!partition.is_quiet(&epoch("c")), "the fence of another generation");
}

#[test]
fn rows_and_those_who_wait_for_them_follow_to_the_new_log() {
    let partition = partition();
    partition.open(&epoch("a"), 0, false);
    let row = row("a", 5);
    assert!(partition.keep(&epoch("a"), &row, &keys()));
    let mut answered = accept(&partition, &row, Wanted::Stored);
    partition.stale(&epoch("a"));
    partition.open(&epoch("b"), 9, false);
    partition.marked(Instant::now(), &mark("b", 8, &[]));
    assert!(level(&mut answered).is_none() && !partition.is_flushed(), "in the new log it is at or below 9");
    partition.marked(Instant::now(), &mark("b", 9, &[]));
    assert_eq!(level(&mut answered), Some(AckLevel::Stored));
    assert!(partition.is_flushed());
}

#[test]
fn a_mark_of_another_generation_means_nothing() {
    let partition = partition();
    partition.open(&epoch("b"), 0, false);
    let row = row("b", 5);
    assert!(partition.keep(&epoch("b"), &row, &keys()));
    let mut answered = accept(&partition, &row, Wanted::Stored);
    partition.marked(Instant::now(), &mark("a", 9, &[]));
    assert!(level(&mut answered).is_none() && !partition.is_flushed());
}

#[test]
fn what_the_mark_has_passed_is_stored() {
    let partition = partition();
    partition.open(&epoch("a"), 0, false);
    partition.marked(Instant::now(), &mark("a", 5, &[]));
    assert_eq!(level(&mut accept(&partition, &row("a", 5), Wanted::Wal)), Some(AckLevel::Stored));
    assert_eq!(level(&mut accept(&partition, &row("a", 6), Wanted::Wal)), Some(AckLevel::Wal));
    assert!(partition.keep(&epoch("a"), &row("a", 5), &keys()));
    assert!(partition.is_flushed(), "what is stored needs no keeping");
}

#[test]
fn the_dead_are_refused_and_their_neighbours_stored() {
    let partition = partition();
    partition.open(&epoch("a"), 0, false);
    let mut dead = accept(&partition, &row("a", 5), Wanted::Stored);
    let mut other = accept(&partition, &row("a", 6), Wanted::Stored);
    partition.marked(Instant::now(), &mark("a", 6, &[5]));
    assert!(matches!(dead.try_recv(), Ok(Err(BusError::Refused))));
    assert_eq!(level(&mut other), Some(AckLevel::Stored));
}

#[test]
fn who_waits_too_long_is_told_what_there_is() {
    let partition = partition();
    partition.open(&epoch("a"), 0, false);
    let mut auto = accept(&partition, &row("a", 5), Wanted::Auto);
    let mut stored = accept(&partition, &row("a", 5), Wanted::Stored);
    let now = Instant::now();
    partition.expire(now);
    assert!(level(&mut auto).is_none());
    partition.expire(now + AUTO_WAIT);
    assert_eq!(level(&mut auto), Some(AckLevel::Wal));
    assert!(stored.try_recv().is_err());
    partition.expire(now + STORED_WAIT);
    assert!(matches!(stored.try_recv(), Ok(Err(BusError::StoreUnavailable(_)))));
}

#[test]
fn what_is_in_no_log_is_stored_but_nobody_is_told() {
    let partition = partition();
    partition.open(&epoch("a"), 0, false);
    let row = row("a", 5);
    assert!(partition.keep(&epoch("a"), &row, &keys()));
    let mut answered = accept(&partition, &row, Wanted::Stored);
    partition.all_is_stored();
    assert!(partition.is_flushed());
    assert!(level(&mut answered).is_none(), "it may be a dead letter");
}
