//! Histories that are known to be good, and for each violation one that is known to be bad.
//! Not here: histories of real runs (`cargo xtask drill`).

use super::*;

mod shown;

const ROOM: &str = "r";

fn hash_of(seq: u64) -> u64 {
    hash(&format!("content {seq}"))
}

/// Message `seq` was sent by `a` as `c{seq}`; numbers up to 3 are of epoch `e`, the rest of `f`, 1000 higher.
fn seen(seq: u64) -> Seen {
    let (epoch, at) = if seq <= 3 { ("e", seq) } else { ("f", 1000 + seq) };
    let prev = if seq == 4 { 3 } else { at - 1 };
    Seen {
        seq: at,
        prev: Some(prev),
        epoch: epoch.into(),
        id: format!("id{seq}"),
        username: "a".into(),
        client_id: Some(format!("c{seq}")),
        hash: hash_of(seq),
    }
}

fn row(seq: u64) -> Row {
    Row { room: ROOM.into(), seen: seen(seq) }
}

fn ack(seq: u64) -> What {
    let Seen { seq: at, epoch, .. } = seen(seq);
    What::Ack { client_id: format!("c{seq}"), seq: at, epoch, level: "stored".into() }
}

fn joined(seq: u64, since: Option<u64>, recovered: bool, asked: u64) -> What {
    What::Joined { seq, epoch: "e".into(), since, recovered, asked }
}

fn sent(seq: u64) -> What {
    What::Sent {
        client_id: format!("c{seq}"),
        hash: hash_of(seq),
        intended: 100 * seq,
        attempt: 1,
        level: Some("stored".into()),
    }
}

fn member(name: &str, profile: Profile) -> What {
    What::Member { name: name.into(), room: ROOM.into(), profile }
}

/// A sender `a` (0), a reader `b` (1) that loses its connection after 2 and resumes, a plain reader `p` (2).
struct History {
    records: Vec<Record>,
    rows: Vec<Row>,
    served: Vec<Row>,
    away: Vec<Away>,
}

impl History {
    fn good() -> Self {
        let mut history = Self {
            records: Vec::new(),
            rows: (1..=5).map(row).collect(),
            served: Vec::new(),
            away: Vec::new(),
        };
        history.served.clone_from(&history.rows);
        for (number, name, profile) in
            [(0, "a", Profile::V1), (1, "b", Profile::V1), (2, "p", Profile::Plain)]
        {
            history.add(0, number, member(name, profile));
            history.add(1, number, What::Connected { address: "x".into(), asked: 0 });
            if profile == Profile::V1 {
                history.add(2, number, joined(0, None, true, 1));
                history.add(2, number, What::History { rows: Vec::new(), complete: true });
            }
        }
        for seq in 1..=5 {
            history.add(100 * seq, 0, sent(seq));
            history.add(100 * seq + 10, 0, What::Received(seen(seq)));
            history.add(100 * seq + 20, 0, ack(seq));
            history.add(100 * seq + 30, 2, What::Received(seen(seq)));
            if seq <= 2 {
                history.add(100 * seq + 30, 1, What::Received(seen(seq)));
            }
        }
        history.add(230, 1, What::Lost { why: "reset".into() });
        history.add(530, 1, joined(1005, Some(2), true, 525));
        for seq in 3..=5 {
            history.add(540, 1, What::Received(seen(seq)));
        }
        let rows = vec![seen(3), seen(4), seen(5)];
        history.add(600, 1, What::Page { asked: 590, before: None, limit: 3, complete: true, rows });
        for number in 0..3 {
            history.add(700, number, What::Count { count: 3 });
            history.add(800, number, What::Settled { connected: 3 });
            history.add(900, number, What::Done { joined: true });
        }
        history.add(850, 0, What::Asked { node: "n".into(), count: 3, connected: 3 });
        history
    }

    fn add(&mut self, at: u64, member: u32, what: What) {
        self.records.push(Record { at, member, what });
    }

    /// Drops what the member saw of that kind; the place where it first stood.
    fn drop_if(&mut self, member: u32, is: impl Fn(&What) -> bool) {
        self.records.retain(|record| record.member != member || !is(&record.what));
    }

    fn change(&mut self, member: u32, mut how: impl FnMut(&mut What)) {
        for record in self.records.iter_mut().filter(|record| record.member == member) {
            how(&mut record.what);
        }
    }

    fn verdict(self) -> Verdict {
        let served = vec![self.rows.clone(), self.served];
        check(&Evidence { records: self.records, rows: self.rows, served, away: self.away })
    }
}

fn is_message(what: &What, seq: u64) -> bool {
    matches!(what, What::Received(it) if it.id == format!("id{seq}"))
}

#[track_caller]
fn bad(how: impl FnOnce(&mut History), kinds: &[Kind]) -> Verdict {
    let mut history = History::good();
    how(&mut history);
    let verdict = history.verdict();
    let mut found: Vec<_> = verdict.violations.iter().map(|violation| violation.kind).collect();
    found.dedup();
    assert_eq!(found, kinds, "{:#?}", verdict.violations);
    verdict
}

#[test]
fn a_good_history_over_a_jump_and_a_resume_is_clean() {
    let verdict = History::good().verdict();
    assert!(verdict.is_clean(), "{:#?}", verdict.violations);
    assert_eq!((verdict.sent, verdict.acked, verdict.stored, verdict.delivered), (5, 5, 5, 15));
    assert_eq!((verdict.pages, verdict.pages_complete, verdict.joins), (1, 1, 3));
}

#[test]
fn what_was_told_to_be_missing_is_no_hole() {
    // A gap instead of 3 and 4, told before the next one.
    bad(
        |history| {
            history.drop_if(1, |what| is_message(what, 3));
            history.change(1, |what| {
                if is_message(what, 4) {
                    *what = What::Gap { from: 3, to: 1004 };
                }
            });
        },
        &[],
    );
    // A resume that is not recovered, and the newest row.
    bad(
        |history| {
            history.drop_if(1, |what| is_message(what, 3) || is_message(what, 4));
            history.change(1, |what| match what {
                What::Joined { since: Some(_), recovered, .. } => *recovered = false,
                what if is_message(what, 5) => {
                    *what = What::History { rows: vec![seen(5)], complete: false };
                }
                _ => {}
            });
        },
        &[],
    );
    // A new epoch's base at the join, `prev` below it.
    bad(
        |history| {
            history.drop_if(1, |what| is_message(what, 1) || is_message(what, 2) || is_message(what, 3));
            history.change(1, |what| {
                if let What::Joined { since: None, seq, .. } = what {
                    *seq = 1000;
                }
            });
        },
        &[],
    );
}

#[test]
fn acknowledged_and_missing_is_told() {
    let verdict = bad(
        |history| {
            history.rows.pop();
            history.served.pop();
        },
        &[Kind::AckedNotStored, Kind::SeenNotStored],
    );
    assert_eq!(verdict.lost, 2);
    assert!(verdict.violations[0].evidence.contains("c5 acknowledged as 1005"), "{verdict:#?}");
}

#[test]
fn a_message_that_a_member_never_got_is_told() {
    bad(
        |history| {
            history.drop_if(1, |what| is_message(what, 4));
        },
        &[Kind::NotGiven, Kind::SilentHole],
    );
    // `prev` is unknown everywhere: only the store shows it.
    bad(
        |history| {
            history.drop_if(1, |what| is_message(what, 4));
            history.change(1, |what| {
                if let What::Received(seen) = what {
                    seen.prev = None;
                }
            });
        },
        &[Kind::NotGiven],
    );
    bad(|history| history.drop_if(1, |what| is_message(what, 5)), &[Kind::LeftBehind]);
    bad(|history| history.drop_if(2, |what| is_message(what, 3)), &[Kind::SilentHole]);
}

#[test]
fn a_wrong_chain_of_prevs_is_told() {
    bad(
        |history| {
            history.change(0, |what| {
                if let What::Received(seen) = what
                    && seen.id == "id3"
                {
                    seen.prev = Some(1);
                }
            });
        },
        &[Kind::SilentHole],
    );
}

#[test]
fn over_a_jump_prev_may_name_one_before_what_was_handed_in_late() {
    bad(
        |history| {
            for number in 0..3 {
                history.change(number, |what| match what {
                    What::Received(seen) if seen.id == "id4" => seen.prev = Some(2),
                    What::Page { rows, .. } => rows[1].prev = Some(2),
                    _ => {}
                });
            }
        },
        &[],
    );
}

#[test]
fn stored_twice_is_told() {
    bad(
        |history| {
            let mut again = row(5);
            (again.seen.seq, again.seen.prev) = (1006, Some(1005));
            history.rows.push(again.clone());
            history.served.push(again.clone());
            for number in 0..3 {
                // Nobody may see it twice either; here nobody does.
                let what = match number {
                    2 => What::Received(again.seen.clone()),
                    _ => What::Gap { from: 1006, to: 1006 },
                };
                history.records.insert(history.records.len() - 4, Record { at: 650, member: number, what });
            }
        },
        &[Kind::StoredTwice],
    );
}

#[test]
fn repeated_and_late_messages_are_told() {
    let verdict = bad(|history| history.add(650, 1, What::Received(seen(5))), &[Kind::Repeated]);
    assert_eq!(verdict.repeated, 1);
    // Under another number, in the place of a message it never saw.
    bad(
        |history| {
            history.change(1, |what| {
                if let What::Received(seen) = what
                    && seen.id == "id4"
                {
                    seen.client_id = Some("c2".into());
                }
            });
        },
        &[Kind::Repeated, Kind::NumberTwice],
    );
    let verdict = bad(
        |history| {
            history.drop_if(1, |what| is_message(what, 3));
            history.add(650, 1, What::Received(seen(3)));
        },
        &[Kind::OutOfOrder, Kind::SilentHole],
    );
    assert_eq!(verdict.reordered, 1);
    bad(|history| history.add(650, 2, What::Received(seen(5))), &[Kind::Repeated]);
    bad(|history| history.add(650, 2, What::Received(seen(2))), &[Kind::OutOfOrder]);
}

#[test]
fn a_number_for_two_messages_is_told() {
    bad(
        |history| {
            history.change(0, |what| {
                if let What::Ack { client_id, seq, .. } = what
                    && client_id == "c3"
                {
                    *seq = 2;
                }
            });
        },
        &[Kind::NumberTwice, Kind::AckDisagrees],
    );
}

#[test]
fn an_ack_of_another_epoch_and_two_different_acks_are_told() {
    bad(
        |history| {
            history.change(0, |what| {
                if let What::Ack { client_id, epoch, .. } = what
                    && client_id == "c3"
                {
                    *epoch = "f".into();
                }
            });
        },
        &[Kind::AckDisagrees],
    );
    let second = What::Ack { client_id: "c5".into(), seq: 1007, epoch: "f".into(), level: "stored".into() };
    bad(|history| history.add(650, 0, second), &[Kind::AckDisagrees]);
}

/// 2 is nowhere: not sent, not seen, but 1 and 3 are there, and members were told that nothing stands between.
fn without_two(history: &mut History) {
    history.rows.remove(1);
    history.served.remove(1);
    let is_two = |what: &What| match what {
        What::Sent { client_id, .. } | What::Ack { client_id, .. } => client_id == "c2",
        what => is_message(what, 2),
    };
    for number in 0..3 {
        history.drop_if(number, is_two);
        history.change(number, |what| match what {
            What::Received(seen) if seen.id == "id3" => seen.prev = Some(1),
            What::Joined { since: Some(since), .. } => *since = 1,
            What::Page { rows, .. } => rows[0].prev = Some(1),
            _ => {}
        });
    }
}

#[test]
fn a_hole_in_an_epoch_of_the_store_is_told() {
    bad(without_two, &[Kind::StoreHole]);
}

#[test]
fn a_number_that_nobody_heard_of_is_no_hole() {
    bad(
        |history| {
            without_two(history);
            history.rows[1].seen.prev = Some(1);
            history.served[1].seen.prev = Some(1);
        },
        &[],
    );
}

#[test]
fn a_changed_content_is_told() {
    let change = |history: &mut History| {
        history.rows[2].seen.hash = 7;
        history.served[2].seen.hash = 7;
    };
    bad(change, &[Kind::Changed]);
}

#[test]
fn a_page_or_a_join_that_misses_what_was_acknowledged_is_told() {
    let short = |rows: Vec<Seen>, complete| {
        move |history: &mut History| {
            history.change(1, |what| {
                if let What::Page { rows: page, complete: claim, .. } = what {
                    page.clone_from(&rows);
                    *claim = complete;
                }
            });
        }
    };
    bad(short(vec![seen(2), seen(3), seen(4)], true), &[Kind::PageMisses]);
    // The second: a hole inside it, which its `prev` shows as well.
    bad(short(vec![seen(2), seen(3), seen(5)], true), &[Kind::PageMisses]);
    bad(short(vec![seen(2), seen(3), seen(4)], false), &[]);
    bad(short(vec![seen(4), seen(5)], true), &[Kind::PageMisses]);
    let low = |history: &mut History| {
        history.change(1, |what| {
            if let What::Joined { since: Some(_), seq, .. } = what {
                *seq = 3;
            }
        });
    };
    bad(low, &[Kind::JoinMisses]);
}

#[test]
fn a_page_need_not_have_what_was_acknowledged_while_it_was_on_its_way() {
    bad(
        |history| {
            history.change(1, |what| {
                if let What::Page { asked, rows, .. } = what {
                    *asked = 515;
                    *rows = vec![seen(2), seen(3), seen(4)];
                }
            });
        },
        &[],
    );
}

#[test]
fn what_gateways_serve_is_held_against_the_store() {
    bad(|history| drop(history.served.remove(2)), &[Kind::ServedDiffers]);
    bad(|history| history.served[2].seen.epoch = "g".into(), &[Kind::ServedDiffers]);
    bad(|history| history.served[2].seen.hash = 7, &[Kind::ServedDiffers]);
}

#[test]
fn wrong_counts_are_told() {
    let verdict = bad(
        |history| {
            history.change(2, |what| {
                if let What::Count { count } = what {
                    *count = 2;
                }
            });
            history.add(950, 0, What::Asked { node: "n".into(), count: 4, connected: 3 });
        },
        &[Kind::CountWrong],
    );
    assert_eq!(verdict.counts_wrong, 2);
}

#[test]
fn a_send_without_an_end_and_a_refusal_are_told() {
    bad(|history| history.add(880, 0, What::Unanswered { client_id: "c6".into() }), &[Kind::NeverAnswered]);
    let refusal = |code: &str| What::Error { code: code.into(), client_id: Some("c6".into()) };
    bad(|history| history.add(650, 0, refusal("client_id_reused")), &[Kind::Refused]);
    bad(|history| history.add(650, 0, refusal("unavailable")), &[]);
}

#[test]
fn who_is_not_there_at_the_end_is_told() {
    bad(
        |history| {
            history.change(1, |what| {
                if let What::Done { joined } = what {
                    *joined = false;
                }
            });
        },
        &[Kind::LeftBehind],
    );
}
