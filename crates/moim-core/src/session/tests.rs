//! A session's answers to frames, in both profiles.
//! Not here: the same over a socket (`moim`'s tests).

use std::time::Duration;

use moim_protocol::{Epoch, limits::MESSAGES_PER_SECOND};

use super::*;

const LIMITS: SessionLimits = SessionLimits {
    rooms_max: 2,
    messages_per_second: MESSAGES_PER_SECOND,
    room_name_chars_max: 8,
    username_chars_max: 8,
};

struct Driven {
    session: Session,
    now: Instant,
}

impl Driven {
    fn new(route: Route, profile: Profile) -> Self {
        let now = Instant::now();
        Self { session: Session::new(now, route, profile, Language::English, LIMITS), now }
    }

    fn home(profile: Profile) -> Self {
        let (room, username) = (RoomId::trusted("r"), UserName::trusted("kim"));
        let mut driven = Self::new(Route::Room { room, username, cursor: None }, profile);
        assert!(driven.outputs()[0].starts_with("Join"));
        driven
    }

    fn outputs(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.session.poll_output())
            .map(|output| match output {
                SessionOutput::Send(outgoing) => String::from_utf8(outgoing.frame.json().to_vec()).unwrap(),
                other => format!("{other:?}"),
            })
            .collect()
    }

    fn text(&mut self, json: &str) -> Vec<String> {
        self.session.handle(self.now, SessionInput::Text(json.as_bytes()));
        self.outputs()
    }
}

#[test]
fn a_plain_client_hears_the_articles_error_and_nothing_new() {
    let mut plain = Driven::home(Profile::Plain);
    let told = plain.text("not json");
    assert!(told[0].contains(r#""message":"잘못된 메시지 형식입니다.""#), "{told:?}");
    for ignored in
        [r#"{"type":"ping"}"#, r#"{"type":"join","room":"x"}"#, r#"{"type":"leave"}"#, r#"{"type":"no"}"#]
    {
        assert!(plain.text(ignored).is_empty(), "{ignored}");
    }
    let told = plain.text(r#"{"type":"message","content":"hi","clientId":"c","room":"other"}"#);
    assert!(told[0].starts_with(r#"Publish { room: "r", sender: "kim", client_id: None"#), "{told:?}");
    let position = Position { epoch: Epoch::trusted("e"), seq: Seq(1) };
    let result = Ok((position, AckLevel::Stored));
    plain
        .session
        .handle(plain.now, SessionInput::Published { room: RoomId::trusted("r"), client_id: None, result });
    assert!(plain.outputs().is_empty(), "no ack in the plain profile");
}

#[test]
fn frames_about_rooms_are_held_to_membership() {
    let mut many = Driven::new(Route::Many, Profile::V1);
    assert!(many.text(r#"{"content":"x","clientId":"c1"}"#)[0].contains(r#""code":"room_missing""#));
    let told = many.text(r#"{"room":"a","content":"x","clientId":"c1"}"#);
    assert!(told[0].contains("not_joined") && told[0].contains(r#""clientId":"c1""#), "{told:?}");
    assert!(
        many.text(r#"{"type":"join","room":"a","username":"kim","since":3,"epoch":"e"}"#)[0]
            .starts_with("Join")
    );
    assert!(many.text(r#"{"type":"join","room":"a"}"#)[0].contains("already_joined"));
    assert!(many.text(r#"{"type":"join","room":"b"}"#)[0].starts_with("Join"));
    assert!(many.text(r#"{"type":"join","room":"c"}"#)[0].contains("too_many_rooms"));
    assert!(many.text(r#"{"type":"leave","room":"b"}"#)[0].starts_with("Leave"));
    assert!(many.text(r#"{"type":"join","room":"123456789"}"#)[0].contains("room_invalid"));
    assert!(
        many.text(r#"{"type":"join","room":"c","username":"123456789"}"#)[0].contains("username_invalid")
    );
    assert!(
        many.text(r#"{"type":"join","room":"c","since":9007199254740992}"#)[0].contains("cursor_invalid")
    );
}

#[test]
fn pages_are_bounded_at_their_edges() {
    let mut v1 = Driven::home(Profile::V1);
    for (limit, answer) in [("1", "Page"), ("100", "Page"), ("0", "limit_invalid"), ("101", "limit_invalid")]
    {
        let told = v1.text(&format!(r#"{{"type":"history","before":22,"limit":{limit}}}"#));
        assert!(told[0].contains(answer), "{limit}: {told:?}");
    }
}

#[test]
fn too_many_frames_are_refused_by_name_and_a_flood_closes() {
    let mut v1 = Driven::home(Profile::V1);
    for _ in 0..MESSAGES_PER_SECOND {
        assert!(v1.text(r#"{"type":"ping"}"#)[0].contains("pong"));
    }
    let told = v1.text(r#"{"content":"x","clientId":"c9"}"#);
    assert!(
        told[0].contains("rate_limited") && told[0].contains("c9") && told[0].contains("retryAfterMs"),
        "{told:?}"
    );
    let closed =
        (0..10 * MESSAGES_PER_SECOND).any(|_| v1.text("{}").iter().any(|told| told == "Close(Flood)"));
    assert!(closed);
}

#[test]
fn a_refused_join_closes_only_where_it_was_the_only_room() {
    let mut home = Driven::home(Profile::V1);
    let refused = || SessionInput::JoinRefused { room: RoomId::trusted("r"), code: ErrorCode::Unavailable };
    home.session.handle(home.now, refused());
    let told = home.outputs();
    assert!(told[0].contains("unavailable") && told[1] == "Close(TryLater)", "{told:?}");
    let mut many = Driven::new(Route::Many, Profile::V1);
    many.text(r#"{"type":"join","room":"r"}"#);
    many.session.handle(many.now, refused());
    assert_eq!(many.outputs().len(), 1);
}

#[test]
fn a_drain_tells_v1_when_to_come_back() {
    for (profile, frames) in [(Profile::V1, 2), (Profile::Plain, 1)] {
        let mut driven = Driven::home(profile);
        driven.session.handle(driven.now, SessionInput::Drain { after_ms: 1234, reason: "drain" });
        let told = driven.outputs();
        assert_eq!(told.len(), frames);
        assert_eq!(told[frames - 1], "Close(Restart)");
    }
}

#[test]
fn a_silent_connection_is_pinged_then_closed() {
    let mut v1 = Driven::home(Profile::V1);
    v1.now = v1.session.poll_timeout();
    v1.session.handle(v1.now, SessionInput::Timeout);
    assert_eq!(v1.outputs(), ["Ping"]);
    v1.now += Duration::from_secs(10);
    v1.session.handle(v1.now, SessionInput::Timeout);
    assert_eq!(v1.outputs(), ["Close(PongTimeout)"]);
}
