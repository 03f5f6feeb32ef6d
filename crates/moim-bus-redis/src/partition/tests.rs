//! What a generation's change does to what a node knows: each case is one rule that no lost message may depend on luck for.
//! Not here: the same with real servers (`tests/redis`).

use moim_bus::StoreState;
use moim_protocol::{AckLevel, MessageId, Timestamp, UserName};

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
    let dead = Some(dead.iter().map(|id| MessageId::trusted(id.to_string())).collect());
    Mark { epoch: epoch(of), from: None, id, store: StoreState::Here, age: Duration::ZERO, dead }
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
    assert!(!partition.needs_marks());
    assert!(partition.keep(&epoch("b"), &row, &keys()), "an older row that is read in this generation");
    assert!(partition.needs_marks());
}

/// It may be gone from Redis's log, and in this node's memory only.
#[test]
fn while_redis_recovers_nothing_is_wal() {
    let (partition, now) = (partition(), Instant::now());
    partition.open(&epoch("a"), 0, false);
    let mut auto = accept(&partition, &row("a", 6), Wanted::Auto);
    partition.recovering(&epoch("b"));
    partition.expire(now + AUTO_WAIT * 2);
    assert!(auto.try_recv().is_err(), "it is acknowledged on one leg");
    partition.expire(now + STORED_WAIT * 2);
    assert!(matches!(auto.try_recv(), Ok(Err(BusError::Unavailable(_)))));
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
fn a_node_that_leaves_with_nothing_does_not_begin_to_wait() {
    let partition = partition();
    partition.open(&epoch("a"), 0, false);
    assert!(partition.is_flushed());
    partition.keep(&epoch("a"), &row("a", 5), &keys());
    assert!(partition.is_flushed(), "what others publish is theirs to keep");
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
    partition.recovering(&epoch("c"));
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
    assert_eq!(partition.hand_in().recent.len(), 1, "but that it was sent is known for a minute");
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

fn is_refused(answered: &mut Answered) -> bool {
    matches!(answered.try_recv(), Ok(Err(BusError::Refused)))
}

#[test]
fn the_dead_are_known_wherever_they_stand() {
    let partition = partition();
    partition.open(&epoch("a"), 0, false);
    let mut waiting = [5, 6, 7].map(|micros| accept(&partition, &row("a", micros), Wanted::Stored));
    partition.stale(&epoch("a"));
    // In the new log they are at or below 90.
    partition.open(&epoch("b"), 90, false);
    partition.marked(Instant::now(), &mark("b", 88, &[5]));
    assert!(is_refused(&mut waiting[0]), "a dead letter, although where it stood is not known");
    assert!(waiting[1].try_recv().is_err() && waiting[2].try_recv().is_err());
    partition.marked(Instant::now(), &mark("b", 89, &[6]));
    partition.marked(Instant::now(), &mark("b", 95, &[]));
    assert!(is_refused(&mut waiting[1]));
    assert_eq!(level(&mut waiting[2]), Some(AckLevel::Stored));
}

#[test]
fn who_followed_to_a_new_log_hears_first_of_the_dead_of_the_old_one() {
    let partition = partition();
    partition.open(&epoch("a"), 0, false);
    let mut waiting = accept(&partition, &row("a", 5), Wanted::Stored);
    partition.stale(&epoch("a"));
    partition.open(&epoch("b"), 9, false);
    let now = Instant::now();
    assert!(!partition.marked(now, &Mark { from: Some(0), ..mark("b", 9, &[]) }), "it may have died before");
    assert!(waiting.try_recv().is_err());
    assert!(partition.marked(now, &mark("b", 9, &[5])), "as it is read");
    assert!(is_refused(&mut waiting));
}

#[test]
fn nobody_says_of_a_dead_letter_that_it_is_stored() {
    let partition = partition();
    partition.open(&epoch("a"), 0, false);
    for micros in [5, 6] {
        assert!(partition.keep(&epoch("a"), &row("a", micros), &keys()));
    }
    partition.marked(Instant::now(), &mark("a", 6, &[5]));
    let known: Vec<_> = partition.hand_in().recent.iter().map(|recent| recent.seq.0).collect();
    assert_eq!(known, [6], "handed in without its row it would say so");
}

#[test]
fn an_answer_that_comes_after_the_mark_knows_the_dead() {
    let partition = partition();
    partition.open(&epoch("a"), 0, false);
    partition.marked(Instant::now(), &mark("a", 6, &[5]));
    assert!(is_refused(&mut accept(&partition, &row("a", 5), Wanted::Wal)));
    assert_eq!(level(&mut accept(&partition, &row("a", 6), Wanted::Wal)), Some(AckLevel::Stored));
}

#[test]
fn nobody_is_told_stored_while_it_is_not_known_who_is_dead() {
    let partition = partition();
    partition.open(&epoch("a"), 0, false);
    let now = Instant::now();
    assert!(partition.marked(now, &mark("a", 4, &[])));
    let mut waiting = [5, 6].map(|micros| accept(&partition, &row("a", micros), Wanted::Stored));
    assert!(
        !partition.marked(now, &Mark { from: Some(5), ..mark("a", 6, &[]) }),
        "the one up to 5 was missed"
    );
    assert!(waiting[0].try_recv().is_err() && waiting[1].try_recv().is_err());
    // It is read, and by then too many are dead to know them all.
    assert!(partition.marked(now, &Mark { dead: None, ..mark("a", 6, &[]) }));
    for answered in &mut waiting {
        assert!(matches!(answered.try_recv(), Ok(Err(BusError::Unavailable(_)))), "to be sent again");
    }
    assert!(partition.marked(now, &Mark { from: Some(6), ..mark("a", 7, &[]) }));
    assert_eq!(level(&mut accept(&partition, &row("a", 7), Wanted::Wal)), Some(AckLevel::Stored));
}

#[test]
fn who_waits_for_a_number_that_is_given_up_is_told_to_send_again() {
    let partition = partition();
    partition.open(&epoch("a"), 0, false);
    let (gone, other) = (row("a", 5), row("a", 6));
    assert!(partition.keep(&epoch("a"), &gone, &keys()) && partition.keep(&epoch("a"), &other, &keys()));
    let mut waiting = [&gone, &other].map(|row| accept(&partition, row, Wanted::Stored));
    partition.has_another_number(&gone);
    assert!(matches!(waiting[0].try_recv(), Ok(Err(BusError::Unavailable(_)))));
    assert!(waiting[1].try_recv().is_err());
    assert_eq!(partition.hand_in().rows, [other], "it is not handed in again, neither as a row");
    assert_eq!(partition.hand_in().recent.len(), 1, "nor as an answer");
}

#[test]
fn what_redis_still_has_is_not_handed_in() {
    let partition = partition();
    partition.open(&epoch("a"), 0, false);
    let room = RoomId::trusted("r");
    partition.open_room(&room);
    for micros in [5, 6, 7] {
        assert!(partition.keep(&epoch("a"), &row("a", micros), &keys()));
    }
    partition.recovering(&epoch("b"));
    let seqs_at = |top, of: &str, now| {
        let known = partition.hand_in_above(&StillThere { epoch: epoch(of), top, now });
        let rows: Vec<_> = known.rows.iter().map(|row| row.seq.0).collect();
        let places: Vec<_> = known.recent.iter().map(|recent| recent.place).collect();
        (rows, places, known.highest.len())
    };
    let seqs = |top, of| seqs_at(top, of, 0);
    assert_eq!(seqs(6, "a"), (vec![7], vec![0], 1));
    assert_eq!(seqs(7, "a"), (vec![], vec![], 0));
    assert_eq!(seqs(7, "x"), (vec![5, 6, 7], vec![0, 0, 0], 1), "the places of another log mean nothing");
    let a_minute_on = 7 + 60_000_000;
    assert_eq!(seqs_at(7, "a", a_minute_on), (vec![], vec![], 0));
    let set_forward = a_minute_on + 1;
    assert_eq!(seqs_at(7, "a", set_forward), (vec![], vec![5, 6, 7], 0), "the answers may have run out");
}

#[test]
fn what_was_handed_in_counts_for_one_round() {
    let partition = partition();
    partition.recovering(&epoch("b"));
    partition.handed_in(&epoch("b"), "1");
    assert!(partition.has_handed_in(&epoch("b"), "1"));
    assert!(!partition.has_handed_in(&epoch("b"), "2") && !partition.has_handed_in(&epoch("c"), "1"));
    partition.open(&epoch("b"), 9, false);
    assert!(partition.has_handed_in(&epoch("b"), "2"), "it is in it");
}

#[test]
fn who_has_dropped_rows_does_not_say_that_there_were_no_others() {
    let weight = row("a", 5).weight_bytes();
    let partition = Arc::new(Partition::new(0, Arc::default(), 2 * weight));
    assert_eq!(partition.hand_in().stored_to, None, "it was in no generation");
    partition.open(&epoch("a"), 0, false);
    partition.keep(&epoch("a"), &row("a", 5), &keys());
    partition.marked(Instant::now(), &mark("a", 5, &[]));
    assert_eq!(partition.hand_in().stored_to, Some((epoch("a"), 5)));
    for micros in 6..9 {
        partition.keep(&epoch("a"), &row("a", micros), &keys());
    }
    assert_eq!(partition.hand_in().stored_to, Some((epoch("a"), LogId::MAX)));
}
