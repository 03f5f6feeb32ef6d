//! The same history with something wrong in what a member is shown first, told or answered.
//! Not here: what is lost, repeated or out of order (`tests`).

use super::*;

#[test]
fn a_plain_member_that_is_shown_too_little_is_told() {
    bad(|history| history.drop_if(2, |what| is_message(what, 5)), &[Kind::LeftBehind]);
    let comes_again = |rows: Vec<Seen>| {
        move |history: &mut History| {
            history.add(610, 2, What::Connected { address: "x".into(), asked: 605 });
            history.add(620, 2, What::History { rows, complete: true });
            // Behind the others in the list, and before its end.
            history.records.sort_by_key(|record| record.at);
        }
    };
    bad(comes_again(vec![seen(4), seen(5)]), &[]);
    bad(comes_again(vec![seen(3), seen(4)]), &[Kind::JoinMisses, Kind::LeftBehind]);
    bad(comes_again(vec![]), &[Kind::LeftBehind]);
}

#[test]
fn a_join_is_shown_all_of_its_last_rows() {
    let begins_with = |rows: Vec<Seen>, complete| {
        move |history: &mut History| {
            history.drop_if(1, |what| is_message(what, 3) || is_message(what, 4));
            history.change(1, |what| match what {
                What::Joined { since: Some(_), recovered, .. } => *recovered = false,
                what if is_message(what, 5) => *what = What::History { rows: rows.clone(), complete },
                _ => {}
            });
        }
    };
    let all = || (1..=5).map(seen).collect::<Vec<_>>();
    bad(begins_with(all(), true), &[]);
    bad(begins_with(all().split_off(1), true), &[Kind::PageMisses]);
    bad(begins_with(all().split_off(1), false), &[]);
}

#[test]
fn a_page_is_the_one_that_was_asked_for() {
    let page = |asked_before, asked_limit, shown: Vec<Seen>| {
        move |history: &mut History| {
            history.change(1, |what| {
                if let What::Page { before, limit, rows, .. } = what {
                    (*before, *limit) = (asked_before, asked_limit);
                    rows.clone_from(&shown);
                }
            });
        }
    };
    bad(page(Some(1005), 3, vec![seen(2), seen(3), seen(4)]), &[]);
    bad(page(Some(1004), 3, vec![seen(3), seen(4), seen(5)]), &[Kind::PageMisses]);
    bad(page(None, 2, vec![seen(3), seen(4), seen(5)]), &[Kind::PageMisses]);
}

#[test]
fn a_level_that_was_not_asked_for_or_could_not_be_given_is_told() {
    let answer = |given: &'static str| {
        move |history: &mut History| {
            history.change(0, |what| match what {
                What::Ack { client_id, level, .. } if client_id == "c3" => *level = given.into(),
                _ => {}
            });
        }
    };
    bad(answer("wal"), &[Kind::LevelFalse]);
    let away = |from, to| move |history: &mut History| history.away = vec![Away { from, to }];
    bad(away(290, 390), &[Kind::LevelFalse]);
    bad(away(305, 390), &[]);
    bad(away(290, 315), &[]);
}

#[test]
fn gaps_and_frames_that_cannot_be_are_told() {
    bad(|history| history.add(650, 1, What::Gap { from: 1005, to: 1004 }), &[Kind::FalseGap]);
    bad(|history| history.add(650, 1, What::Gap { from: 1006, to: 9999 }), &[Kind::FalseGap]);
    bad(|history| history.add(650, 2, What::Malformed { why: "x".into() }), &[Kind::Malformed]);
}

#[test]
fn a_sender_that_is_left_waiting_on_a_living_connection_is_counted() {
    const LONG: u64 = 16_000_000;
    let left = |how: &dyn Fn(&mut History)| {
        let mut history = History::good();
        history.drop_if(0, |what| matches!(what, What::Done { .. }));
        how(&mut history);
        history.verdict().left_waiting
    };
    let sent = || What::Sent { client_id: "c9".into(), hash: 1, intended: 0, attempt: 1, level: None };
    let error = || What::Error { code: "unavailable".into(), client_id: Some("c9".into()) };
    assert_eq!(left(&|history| history.add(1000, 0, sent())), 0);
    let answered = |at| {
        left(&|history| {
            history.add(1000, 0, sent());
            history.add(9_000_000, 0, sent());
            history.add(at, 0, error());
        })
    };
    assert_eq!((answered(9_100_000), answered(LONG + 1001)), (0, 1));
    let lost = |at| {
        left(&|history| {
            history.add(1000, 0, sent());
            history.add(at, 0, What::Lost { why: "reset".into() });
        })
    };
    assert_eq!((lost(2000), lost(LONG + 1001)), (0, 1));
}
