//! The v1 profile, frame by frame: joins, acknowledged sends, several rooms over one socket, pages, limits, errors.
//! Not here: resuming (`resume`), crowds (`crowd`), HTTP (`http_contract`).

#![allow(clippy::unwrap_used, reason = "a test's helpers are tests, which clippy does not see")]

mod harness;

use std::{collections::BTreeSet, time::Duration};

use harness::{Client, Server, get_with, post};
use serde_json::{Value, json};

fn keys(frame: &Value) -> BTreeSet<&str> {
    frame.as_object().unwrap().keys().map(String::as_str).collect()
}

fn set<const N: usize>(keys: [&'static str; N]) -> BTreeSet<&'static str> {
    BTreeSet::from(keys)
}

async fn join(client: &mut Client, room: &str, username: &str) {
    client.send(json!({"type": "join", "room": room, "username": username})).await;
}

async fn enter(client: &mut Client, room: &str, username: &str) -> Value {
    join(client, room, username).await;
    let joined = client.skip_to("joined").await;
    assert_eq!(joined["room"], room, "{joined}");
    client.expect("history").await;
    joined
}

#[tokio::test]
async fn joined_comes_first_and_then_one_history() {
    let server = Server::start().await;
    let mut min = Client::v1(&server, "방", "민").await;
    let joined = min.expect("joined").await;
    assert_eq!(keys(&joined), set(["type", "room", "epoch", "seq", "userCount", "recovered"]));
    assert_eq!(joined["room"], "방");
    assert_eq!(
        (&joined["seq"], &joined["userCount"], &joined["recovered"]),
        (&json!(0), &json!(1), &json!(true))
    );
    assert!(joined["epoch"].as_str().is_some_and(|epoch| !epoch.is_empty()));
    let history = min.expect("history").await;
    assert_eq!(
        (&history["room"], &history["messages"], &history["complete"]),
        (&json!("방"), &json!([]), &json!(true))
    );
    let mut sent = Vec::new();
    for number in 0..25 {
        min.say(&format!("말 {number}")).await;
        sent.push(min.expect("message").await);
    }
    let mut sun = Client::v1(&server, "방", "선").await;
    let joined = sun.expect("joined").await;
    assert_eq!((&joined["seq"], &joined["userCount"]), (&json!(25), &json!(2)));
    let history = sun.expect("history").await;
    assert_eq!(history["messages"].as_array().unwrap(), &sent[5..]);
}

#[tokio::test]
async fn messages_are_numbered_and_name_the_one_before() {
    let server = Server::start().await;
    let mut min = Client::v1_joined(&server, "방", "민").await;
    let mut ids = BTreeSet::new();
    for number in 1..=10_u64 {
        min.say("말").await;
        let message = min.expect("message").await;
        let fields = ["type", "room", "username", "content", "timestamp", "seq", "prev", "id", "epoch"];
        assert_eq!(keys(&message), set(fields));
        assert_eq!((message["seq"].as_u64(), message["prev"].as_u64()), (Some(number), Some(number - 1)));
        assert_eq!((&message["room"], &message["username"]), (&json!("방"), &json!("민")));
        ids.insert(message["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(ids.len(), 10);
    min.say_as("c1", "말").await;
    let (message, ack) = message_and_ack(&mut min).await;
    assert_eq!(message["clientId"], "c1");
    assert_eq!(keys(&ack), set(["type", "room", "clientId", "seq", "epoch", "level"]));
    let expected = json!({
        "type": "ack", "room": "방", "clientId": "c1", "seq": 11, "epoch": message["epoch"], "level": "stored",
    });
    assert_eq!(ack, expected);
}

/// A message and its ack come in either order.
async fn message_and_ack(client: &mut Client) -> (Value, Value) {
    let (one, other) = (client.frame().await, client.frame().await);
    let (message, ack) = if one["type"] == "ack" { (other, one) } else { (one, other) };
    assert_eq!((&message["type"], &ack["type"]), (&json!("message"), &json!("ack")));
    (message, ack)
}

#[tokio::test]
async fn one_client_id_is_one_message() {
    let server = Server::start().await;
    let mut min = Client::v1_joined(&server, "방", "민").await;
    // The second comes while the first waits for the store: both were sent before anything was heard.
    for _ in 0..3 {
        min.say_as("c1", "하나").await;
    }
    let mut heard = Vec::new();
    for _ in 0..4 {
        heard.push(min.frame().await);
    }
    let acks: Vec<_> = heard.iter().filter(|frame| frame["type"] == "ack").collect();
    assert_eq!(acks.len(), 3, "{heard:?}");
    assert!(
        acks.iter().all(|ack| *ack == acks[0] && ack["seq"] == 1 && ack["level"] == "stored"),
        "{heard:?}"
    );

    // From another connection of the same person, and over HTTP.
    let mut again = Client::v1_joined(&server, "방", "민").await;
    again.say_as("c1", "하나").await;
    assert_eq!(again.expect("ack").await, *acks[0]);
    let path = "/api/v1/rooms/%EB%B0%A9/messages";
    let body = json!({"username": "민", "content": "하나"});
    let answer = post(server.public, path, &[("Idempotency-Key", "c1")], &body).await;
    assert_eq!((answer.status, &answer.json()["seq"]), (201, &json!(1)));
    let body = json!({"username": "민", "content": "둘"});
    post(server.public, path, &[("Idempotency-Key", "c1")], &body)
        .await
        .assert_error(409, "client_id_reused");
    again.say_as("c1", "둘").await;
    let error = again.expect_error("client_id_reused").await;
    assert_eq!((&error["clientId"], &error["room"]), (&json!("c1"), &json!("방")));

    // Somebody else's is another one, and so is one in another room.
    let mut sun = Client::v1_joined(&server, "방", "선").await;
    sun.say_as("c1", "둘").await;
    assert_eq!(sun.skip_to("ack").await["seq"], 2);
    let mut elsewhere = Client::v1_joined(&server, "다른 방", "민").await;
    elsewhere.say_as("c1", "셋").await;
    assert_eq!(elsewhere.skip_to("ack").await["seq"], 1);
}

#[tokio::test]
async fn client_ids_have_edges() {
    let server = Server::start().await;
    let mut min = Client::v1_joined(&server, "방", "민").await;
    for good in ["c".repeat(64), "가".repeat(64), " ".to_owned(), "\"\\".to_owned()] {
        min.say_as(&good, "말").await;
        assert_eq!(min.skip_to("ack").await["clientId"], good);
        // The ack may come before the message.
        min.send(json!({"type": "ping"})).await;
        min.skip_to("pong").await;
    }
    for bad in ["c".repeat(65), "가".repeat(65), String::new(), "a\nb".to_owned()] {
        min.say_as(&bad, "말").await;
        assert_eq!(min.skip_to("error").await["code"], "client_id_invalid");
    }
    for (level, code) in [("wal", None), ("stored", None), ("fast", Some("bad_frame"))] {
        min.send(json!({"type": "message", "content": "말", "clientId": format!("l-{level}"), "ack": level}))
            .await;
        match code {
            // A level that is higher than what was asked for will do.
            None => assert!(["wal", "stored"].contains(&min.skip_to("ack").await["level"].as_str().unwrap())),
            Some(code) => assert_eq!(min.skip_to("error").await["code"], code),
        }
    }
}

#[tokio::test]
async fn comings_and_goings_are_events() {
    let server = Server::start().await;
    let mut min = Client::v1_joined(&server, "방", "민").await;
    let mut sun = Client::v1_joined(&server, "방", "선").await;
    let mut system = min.expect("system").await;
    let fields = ["type", "room", "message", "userCount", "timestamp", "event", "username", "count"];
    assert_eq!(keys(&system), set(fields));
    system.as_object_mut().unwrap().remove("timestamp");
    let expected = json!({
        "type": "system", "room": "방", "message": "선님이 입장했습니다.", "userCount": 2,
        "event": "join", "username": "선", "count": 1,
    });
    assert_eq!(system, expected);
    sun.send(json!({"type": "typing", "isTyping": true})).await;
    let typing = min.expect("typing").await;
    assert_eq!(typing, json!({"type": "typing", "room": "방", "username": "선", "isTyping": true}));
    // On `/chat/{room}` who leaves the room has nothing left to do.
    sun.send(json!({"type": "leave"})).await;
    sun.expect_close(1000).await;
    let system = min.expect("system").await;
    assert_eq!(system["message"], "선님이 퇴장했습니다.");
    let told = (&system["event"], &system["username"], &system["count"], &system["userCount"]);
    assert_eq!(told, (&json!("leave"), &json!("선"), &json!(1), &json!(1)));
}

#[tokio::test]
async fn one_socket_is_in_many_rooms() {
    let server = Server::start_with(&[("limits.rooms_per_connection_max", "3")]).await;
    let mut min = Client::many(&server).await;
    for room in ["하나", "둘", "셋"] {
        assert_eq!(enter(&mut min, room, "민").await["userCount"], 1);
    }
    join(&mut min, "넷", "민").await;
    assert_eq!(min.expect_error("too_many_rooms").await["room"], "넷");
    join(&mut min, "둘", "민").await;
    assert_eq!(min.expect_error("already_joined").await["room"], "둘");
    let mut sun = Client::v1_joined(&server, "둘", "선").await;
    assert_eq!(min.expect("system").await["room"], "둘");
    sun.say("여기는 둘").await;
    assert_eq!(min.expect("message").await["room"], "둘");
    sun.expect("message").await;
    min.send(json!({"type": "message", "room": "셋", "content": "여기는 셋", "clientId": "c"})).await;
    let (message, ack) = message_and_ack(&mut min).await;
    assert_eq!((&message["room"], &ack["room"]), (&json!("셋"), &json!("셋")));

    min.send(json!({"type": "leave", "room": "둘"})).await;
    assert_eq!(sun.expect("system").await["event"], "leave");
    sun.say("가셨네").await;
    sun.expect("message").await;
    // Not a word of it came, and there is a place for another room.
    assert_eq!(enter_next(&mut min, "넷").await["room"], "넷");
    for frame in [
        json!({"type": "message"}),
        json!({"type": "typing"}),
        json!({"type": "leave"}),
        json!({"type": "history"}),
    ] {
        let mut frame = frame;
        frame["room"] = json!("둘");
        min.send(frame.clone()).await;
        assert_eq!(min.expect_error("not_joined").await["room"], "둘", "{frame}");
        frame.as_object_mut().unwrap().remove("room");
        min.send(frame.clone()).await;
        min.expect_error("room_missing").await;
    }
    // Under another name than before, with all that is missed.
    join_since(&mut min, "둘").await;
}

/// Enters a room when the very next frame must be its `joined`.
async fn enter_next(client: &mut Client, room: &str) -> Value {
    join(client, room, "민").await;
    let joined = client.expect("joined").await;
    client.expect("history").await;
    joined
}

async fn join_since(client: &mut Client, room: &str) {
    client.send(json!({"type": "leave", "room": "하나"})).await;
    client.send(json!({"type": "join", "room": room, "username": "민이", "since": 1})).await;
    let joined = client.expect("joined").await;
    assert_eq!(
        (&joined["room"], &joined["recovered"], &joined["seq"]),
        (&json!(room), &json!(true), &json!(2))
    );
    assert_eq!(client.expect("message").await["content"], "가셨네");
}

#[tokio::test]
async fn refused_joins_leave_the_socket_open() {
    let server = Server::start().await;
    let mut min = Client::many(&server).await;
    for (frame, code) in [
        (json!({"room": "가".repeat(129)}), "room_invalid"),
        (json!({"room": "a\u{7}b"}), "room_invalid"),
        (json!({"room": "방", "username": "가".repeat(65)}), "username_invalid"),
        (json!({"room": "방", "username": "a\nb"}), "username_invalid"),
        (json!({"room": "방", "since": 9_007_199_254_740_992_u64}), "cursor_invalid"),
        (json!({"room": "방", "since": -1}), "bad_frame"),
        (json!({"room": "방", "since": "1"}), "bad_frame"),
        (json!({"username": "민"}), "room_missing"),
    ] {
        let mut frame = frame;
        frame["type"] = json!("join");
        min.send(frame).await;
        min.expect_error(code).await;
    }
    for (room, username) in [("가".repeat(128), "나".repeat(64)), (String::new(), String::new())] {
        join(&mut min, &room, &username).await;
        let joined = min.expect("joined").await;
        assert_eq!(joined["room"], if room.is_empty() { "general" } else { &*room });
        min.expect("history").await;
    }
    min.send(json!({"type": "message", "room": "", "content": "누구?"})).await;
    assert_eq!(min.expect("message").await["username"], "익명");
    // The room of the URL is the only one there.
    let mut sun = Client::v1_joined(&server, "방", "선").await;
    join(&mut sun, "다른 방", "선").await;
    sun.expect_error("too_many_rooms").await;
    join(&mut sun, "방", "선").await;
    sun.expect_error("already_joined").await;
}

#[tokio::test]
async fn joins_that_cannot_be_are_refused_in_words() {
    let server = Server::start().await;
    let upgrade = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Protocol", "moim.v1"),
    ];
    let long = |count: usize| "%EA%B0%80".repeat(count);
    for (path, code) in [
        (format!("/chat/{}", long(129)), "room_invalid"),
        ("/chat/%FF".to_owned(), "room_invalid"),
        (format!("/chat/a?username={}", long(65)), "username_invalid"),
        ("/chat/a?since=x".to_owned(), "cursor_invalid"),
        ("/chat/a?since=9007199254740992".to_owned(), "cursor_invalid"),
    ] {
        // A browser cannot read why a handshake failed, so v1 is told in a frame; plain has no frame for it.
        let mut refused = Client::at(&server, &path, Some("moim.v1")).await;
        refused.expect_error(code).await;
        refused.expect_close(4001).await;
        get_with(server.public, &path, &upgrade[..4]).await.assert_error(400, code);
    }
    // `/ws` is v1 only; without an upgrade there is nothing at either.
    get_with(server.public, "/ws", &upgrade[..4]).await.assert_error(400, "handshake_invalid");
    for path in ["/ws", "/chat/a"] {
        get_with(server.public, path, &[]).await.assert_error(400, "handshake_invalid");
    }
    Client::at(&server, &format!("/chat/{}?username={}", long(128), long(64)), Some("moim.v1"))
        .await
        .expect("joined")
        .await;
}

#[tokio::test]
async fn history_is_read_in_pages() {
    let server = Server::start_with(&[("limits.messages_per_second", "10000")]).await;
    let mut min = Client::v1_joined(&server, "방", "민").await;
    let mut sent = Vec::new();
    for number in 1..=120 {
        min.say(&format!("말 {number}")).await;
        sent.push(min.expect("message").await);
    }
    for (request, expected, limit) in [
        (json!({"before": 22, "limit": 50}), 0..21, 50),
        (json!({"before": 22, "limit": 21}), 0..21, 21),
        (json!({"before": 22, "limit": 20}), 1..21, 20),
        (json!({"before": 1, "limit": 1}), 0..0, 1),
        (json!({"before": 0, "limit": 1}), 0..0, 1),
        (json!({"limit": 1}), 119..120, 1),
        (json!({}), 70..120, 50),
        (json!({"limit": 100}), 20..120, 100),
        (json!({"before": 121}), 70..120, 50),
        (json!({"before": 9_007_199_254_740_991_u64, "limit": 2}), 118..120, 2),
    ] {
        let mut frame = request.clone();
        frame["type"] = json!("history");
        min.send(frame).await;
        let page = min.expect("history").await;
        assert_eq!(page["messages"].as_array().unwrap(), &sent[expected], "{request}");
        assert_eq!(
            (&page["room"], &page["limit"], &page["complete"]),
            (&json!("방"), &json!(limit), &json!(true))
        );
        assert_eq!(page.get("before"), request.get("before"), "the request is echoed");
    }
    for (request, code) in [
        (json!({"limit": 0}), "limit_invalid"),
        (json!({"limit": 101}), "limit_invalid"),
        (json!({"before": 9_007_199_254_740_992_u64}), "cursor_invalid"),
        (json!({"before": "22"}), "bad_frame"),
        (json!({"limit": -1}), "bad_frame"),
    ] {
        let mut frame = request.clone();
        frame["type"] = json!("history");
        min.send(frame).await;
        min.expect_error(code).await;
    }
}

#[tokio::test]
async fn a_frame_it_cannot_read_is_told_and_one_it_does_not_know_is_ignored() {
    let server = Server::start().await;
    let mut min = Client::v1_joined(&server, "방", "민").await;
    for bad in ["안녕", "[]", "{\"content\":[]}", "{\"clientId\":7}"] {
        min.send_text(bad).await;
        let error = min.expect_error("bad_frame").await;
        assert!(error["message"].is_string() && error.get("room").is_none());
    }
    for unknown in ["subscribe", "joined", "ack", ""] {
        min.send(json!({"type": unknown, "room": "방", "extra": [1]})).await;
    }
    min.send(json!({"type": "ping", "extra": 1})).await;
    assert_eq!(min.frame().await, json!({"type": "pong"}));
}

#[tokio::test]
async fn a_hundred_frames_a_second_pass() {
    let server = Server::start().await;
    let mut min = Client::v1_joined(&server, "방", "민").await;
    for number in 0..150 {
        min.say_as(&format!("c{number}"), "빨리").await;
    }
    let (mut acked, mut refused) = (BTreeSet::new(), Vec::new());
    while acked.len() + refused.len() < 150 {
        let frame = min.frame().await;
        match frame["type"].as_str() {
            Some("ack") => drop(acked.insert(frame["clientId"].as_str().unwrap().to_owned())),
            Some("error") => refused.push(frame),
            _ => assert_eq!(frame["type"], "message"),
        }
    }
    // What was sent while it was counted may pass as well.
    assert!((100..150).contains(&acked.len()), "{} passed", acked.len());
    let error = refused.pop().unwrap();
    assert_eq!((&error["code"], &error["room"]), (&json!("rate_limited"), &json!("방")), "{error}");
    let wait = error["retryAfterMs"].as_u64().unwrap();
    assert!((1..=1000).contains(&wait), "{error}");
    tokio::time::sleep(Duration::from_millis(wait)).await;
    let client_id = error["clientId"].as_str().unwrap();
    min.say_as(client_id, "빨리").await;
    assert_eq!(min.skip_to("ack").await["clientId"], client_id, "what was refused can be sent again");
    // Nobody else is held up by it.
    let mut sun = Client::v1_joined(&server, "방", "선").await;
    sun.say_as("c", "천천히").await;
    sun.skip_to("ack").await;
}
