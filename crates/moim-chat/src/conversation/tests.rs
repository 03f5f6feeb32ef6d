//! A room as a client hears it: joins, breaks, repeats, holes.
//! Not here: what the server must send (its own tests).

use moim_protocol::{Cursor, HeardFrame, HeardMessage};
use proptest::prelude::*;

use super::{Conversation, Step, Told};

fn message(seq: u64) -> HeardMessage {
    HeardMessage {
        username: "민수".into(),
        content: format!("m{seq}"),
        timestamp: "2026-11-23T06:15:45.123Z".into(),
        seq,
        prev: Some(seq - 1),
        epoch: "e".into(),
        client_id: None,
    }
}

fn joined(seq: u64, recovered: bool) -> HeardFrame {
    HeardFrame::Joined { epoch: "e".into(), seq, user_count: 2, recovered }
}

fn history(seqs: std::ops::RangeInclusive<u64>, limit: Option<u64>) -> HeardFrame {
    HeardFrame::History { messages: seqs.map(message).collect(), complete: true, limit }
}

/// Hears all of it, and gives what was shown: numbers of messages, `-n..m` for gaps.
fn heard(room: &mut Conversation, frames: impl IntoIterator<Item = HeardFrame>) -> (Vec<String>, Step) {
    let (mut told, mut step) = (Vec::new(), Step::None);
    for frame in frames {
        match room.hear(frame, &mut told) {
            Step::None => {}
            other => step = other,
        }
    }
    let shown = told.into_iter().map(|told| match told {
        Told::Message(message) => message.seq.to_string(),
        Told::Gap { after, to } => format!("-{}..{to}", after + 1),
        other => format!("{other:?}"),
    });
    (shown.collect(), step)
}

fn seq_of(room: &Conversation) -> Option<u64> {
    room.cursor().map(|Cursor { seq, .. }| seq.0)
}

#[test]
fn a_join_shows_as_much_history_as_was_asked_for() {
    let frames = || [joined(30, true), history(11..=30, None), HeardFrame::Message(message(31))];
    let (shown, step) = heard(&mut Conversation::new(3), frames());
    assert_eq!((shown.join(" ").as_str(), step), ("28 29 30 31", Step::CaughtUp { certain: true }));
    let (shown, _) = heard(&mut Conversation::new(0), frames());
    assert_eq!(shown, ["31"]);
    let mut room = Conversation::new(25);
    assert_eq!(heard(&mut room, frames()), (vec![], Step::AskHistory(25)));
    assert_eq!(seq_of(&room), None, "a break now begins anew");
    let (shown, _) = heard(&mut room, [history(7..=31, Some(25))]);
    assert_eq!((shown.len(), shown[0].as_str(), shown[24].as_str()), (25, "7", "31"));
}

#[test]
fn an_empty_room_has_a_cursor_too() {
    let mut room = Conversation::new(0);
    heard(
        &mut room,
        [joined(0, true), HeardFrame::History { messages: vec![], complete: true, limit: None }],
    );
    assert_eq!(seq_of(&room), Some(0));
}

#[test]
fn a_resume_is_caught_up_at_the_head() {
    let mut room = Conversation::new(20);
    heard(&mut room, [joined(2, true), history(1..=2, None)]);
    room.disconnected();
    assert_eq!(heard(&mut room, [joined(4, true)]).1, Step::None);
    assert_eq!(heard(&mut room, [HeardFrame::Message(message(3))]).1, Step::None);
    let (shown, step) = heard(&mut room, [HeardFrame::Message(message(4))]);
    assert_eq!((shown[0].as_str(), step), ("4", Step::CaughtUp { certain: true }));
    room.disconnected();
    assert_eq!(heard(&mut room, [joined(4, true)]).1, Step::CaughtUp { certain: true });
    room.disconnected();
    let elsewhere = HeardFrame::Joined { epoch: "f".into(), seq: 1 << 32, user_count: 1, recovered: true };
    assert_eq!(heard(&mut room, [elsewhere]).1, Step::CaughtUp { certain: true });
}

#[test]
fn what_a_resume_could_not_bring_is_told() {
    let mut room = Conversation::new(3);
    heard(&mut room, [joined(2, true), history(1..=2, None)]);
    room.disconnected();
    let (shown, step) = heard(&mut room, [joined(50, false), history(31..=50, None)]);
    assert_eq!((shown[0].as_str(), shown.len()), ("-3..30", 21));
    assert_eq!(step, Step::CaughtUp { certain: false });
    room.disconnected();
    let nothing = HeardFrame::History { messages: vec![], complete: false, limit: None };
    let (shown, _) = heard(&mut room, [joined(60, false), nothing]);
    assert_eq!(shown, ["Incomplete", "-51..60"]);
}

#[test]
fn gaps_and_holes_are_told_once() {
    let mut room = Conversation::new(20);
    heard(&mut room, [joined(2, true), history(1..=2, None)]);
    let gap = HeardFrame::Gap { epoch: "e".into(), from: 3, to: 5 };
    let (shown, _) =
        heard(&mut room, [gap, HeardFrame::Message(message(6)), HeardFrame::Message(message(9))]);
    assert_eq!(shown, ["-3..5", "6", "-7..8", "9"]);
    let late = HeardFrame::Gap { epoch: "e".into(), from: 7, to: 8 };
    assert_eq!(heard(&mut room, [late]).0, ["-7..8"]);
    assert_eq!(seq_of(&room), Some(9));
}

#[test]
fn a_log_that_is_behind_is_another_one() {
    let mut room = Conversation::new(20);
    heard(&mut room, [joined(9, true), history(1..=9, None)]);
    room.disconnected();
    let (shown, _) =
        heard(&mut room, [joined(2, false), history(1..=2, None), HeardFrame::Message(message(3))]);
    assert_eq!(shown, ["OtherLog", "1", "2", "3"]);
}

proptest! {
    /// A server that resumes, repeats, drops with a gap, and breaks; everything is shown once, in order, or told.
    #[test]
    fn nothing_is_lost_or_shown_twice(script in proptest::collection::vec((0_u8..6, 1_u64..30), 1..80)) {
        let (mut room, mut head, mut seen) = (Conversation::new(100), 0_u64, 0_u64);
        let mut told = Vec::new();
        room.hear(joined(0, true), &mut told);
        room.hear(HeardFrame::History { messages: vec![], complete: true, limit: None }, &mut told);
        room.hear(HeardFrame::History { messages: vec![], complete: true, limit: Some(100) }, &mut told);
        let mut at = 0;
        for (what, n) in script {
            match what {
                0 | 1 => for _ in 0..n {
                    head += 1;
                    at = head;
                    room.hear(HeardFrame::Message(message(head)), &mut told);
                },
                2 if at == 0 => {}
                2 => { room.hear(HeardFrame::Message(message(at.saturating_sub(n).max(1))), &mut told); }
                3 => { head += n; at = head; room.hear(HeardFrame::Gap { epoch: "e".into(), from: head - n + 1, to: head }, &mut told); }
                4 => {
                    room.disconnected();
                    head += n;
                    let since = seq_of(&room).unwrap();
                    at = head;
                    room.hear(joined(head, true), &mut told);
                    for seq in since + 1..=head { room.hear(HeardFrame::Message(message(seq)), &mut told); }
                }
                _ => {
                    room.disconnected();
                    head += n + 20;
                    at = head;
                    room.hear(joined(head, false), &mut told);
                    room.hear(history(head - 19..=head, None), &mut told);
                }
            }
        }
        for told in told {
            match told {
                Told::Message(message) => { prop_assert_eq!(message.seq, seen + 1); seen += 1; }
                Told::Gap { after, to } => { prop_assert_eq!(after, seen); seen = to; }
                other => prop_assert!(false, "{:?}", other),
            }
        }
        prop_assert_eq!(seen, head);
    }
}
