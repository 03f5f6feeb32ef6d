//! What a member takes for right and for wrong, frame by frame.
//! Not here: its socket (`socket`), when it connects (`crowd`).

use super::*;

struct World {
    member: Member,
    books: Books,
    timeline: Timeline,
    now: u64,
}

impl World {
    fn of(profile: Profile) -> Self {
        let mut books = Books::new(1);
        for _ in 0..4 {
            books.say(0);
        }
        Self { member: Member::new(0, 0, profile, None), books, timeline: Timeline::new(), now: 0 }
    }

    /// A v1 member that came in at 10.
    fn joined() -> Self {
        let mut world = Self::of(Profile::V1);
        world.hear(r#"{"type":"joined","seq":10,"epoch":"e","recovered":true}"#);
        assert!(!world.member.in_room, "its history is not here yet");
        world.hear(r#"{"type":"history","messages":[]}"#);
        assert!(world.member.in_room);
        world
    }

    fn hear(&mut self, frame: &str) {
        self.now += 1_000_000;
        let mut shared = Shared { books: &mut self.books, timeline: &mut self.timeline, now: self.now };
        self.member.hear(frame.as_bytes(), &mut shared);
    }

    fn message(&mut self, seq: u64, prev: u64) {
        self.hear(&format!(
            r#"{{"type":"message","content":"0 0 x","seq":{seq},"prev":{prev},"epoch":"e"}}"#
        ));
    }

    fn wrong(&self) -> u64 {
        self.books.all_wrong().0
    }
}

#[test]
fn what_is_next_is_right_and_what_is_repeated_or_missing_is_not() {
    for (messages, wrong) in [
        (&[(11, 10), (12, 11)][..], 0),
        // A jump that says what came before it hides nothing.
        (&[(11, 10), (900, 11)], 0),
        (&[(11, 10), (11, 10)], 1),
        (&[(12, 10), (11, 10)], 1),
        (&[(11, 10), (13, 12)], 1),
        (&[(9, 8)], 1),
    ] {
        let mut world = World::joined();
        for (seq, prev) in messages {
            world.message(*seq, *prev);
        }
        assert_eq!(world.wrong(), wrong, "{messages:?}");
    }
}

#[test]
fn a_gap_that_is_told_is_no_hole() {
    let mut world = World::joined();
    world.hear(r#"{"type":"gap","from":11,"to":14}"#);
    world.message(15, 14);
    assert_eq!((world.wrong(), world.books.gaps()), (0, 4));
}

#[test]
fn a_return_goes_on_at_the_cursor() {
    let mut world = World::joined();
    world.message(11, 10);
    assert!(world.member.lost());
    assert_eq!(world.member.query(), "&since=11&epoch=e");
    world.hear(r#"{"type":"joined","seq":13,"epoch":"e","recovered":true}"#);
    assert!(world.member.in_room);
    world.message(13, 12);
    assert_eq!(world.wrong(), 1, "12 was never told");
}

#[test]
fn a_return_that_is_not_recovered_is_told_and_counted() {
    let mut world = World::joined();
    world.member.lost();
    world.hear(r#"{"type":"joined","seq":99,"epoch":"e","recovered":false}"#);
    world.hear(r#"{"type":"history","messages":[{"seq":98},{"seq":99}]}"#);
    world.message(100, 99);
    assert_eq!((world.wrong(), world.books.unrecovered()), (0, 1));
}

#[test]
fn a_plain_member_starts_again_at_each_history() {
    let mut world = World::of(Profile::Plain);
    let mut shared = Shared { books: &mut world.books, timeline: &mut world.timeline, now: 0 };
    world.member.opened(&mut shared);
    world.hear(r#"{"type":"history","messages":[{"seq":4},{"seq":5}]}"#);
    world.message(6, 5);
    assert_eq!((world.member.query(), world.wrong()), (String::new(), 0));
    world.hear(r#"{"type":"history","messages":[{"seq":8},{"seq":7}]}"#);
    assert_eq!(world.wrong(), 1);
}

#[test]
fn an_answer_ends_the_waiting_and_a_refusal_is_wrong() {
    let mut world = World::joined();
    for number in 0..3 {
        world.member.say(Mark { intended: 0, number }, "{}".into());
    }
    let now = Instant::now();
    let mut shared = Shared { books: &mut world.books, timeline: &mut world.timeline, now: 0 };
    assert_eq!(world.member.due(now, &mut shared).len(), 3);
    assert_eq!(world.member.due(now, &mut shared).len(), 0);
    world.hear(r#"{"type":"ack","clientId":"n0","seq":11,"epoch":"e"}"#);
    world.hear(r#"{"type":"error","code":"unavailable","clientId":"n1","retryAfterMs":20}"#);
    assert_eq!(world.wrong(), 0);
    world.hear(r#"{"type":"error","code":"client_id_reused","clientId":"n2"}"#);
    assert_eq!(world.wrong(), 1);
    let mut shared = Shared { books: &mut world.books, timeline: &mut world.timeline, now: 0 };
    assert_eq!(world.member.due(now + Duration::from_secs(2), &mut shared).len(), 1);
    assert_eq!(world.books.resent(), 1);
}

#[test]
fn silence_is_the_time_between_two_messages() {
    let mut world = World::joined();
    world.member.listen_from(world.now);
    world.message(11, 10);
    world.now += 4_000_000;
    world.message(12, 11);
    assert_eq!(world.member.silence_longest(), Some(Duration::from_secs(5)));
    world.member.listened_until(world.now + 9_000_000, &mut world.timeline);
    assert_eq!(world.member.silence_longest(), Some(Duration::from_secs(9)));
}
