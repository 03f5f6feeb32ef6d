//! The HTTP interface: sending, pages, long polling, a room's state, the article's two examples, errors.
//! Not here: the operators' listener (`ops`), requests that mean harm (`hostile`).

#![allow(clippy::unwrap_used, reason = "a test's helpers are tests, which clippy does not see")]

mod harness;

use std::{collections::BTreeSet, time::Instant};

use harness::{Answer, Client, Server, get, get_with, post, raw};
use serde_json::{Value, json};

const MESSAGES: &str = "/api/v1/rooms/r/messages";

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

async fn send(server: &Server, content: &str) -> Value {
    let answer = post(server.public, MESSAGES, &[], &json!({"username": "민", "content": content})).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()
}

async fn page(server: &Server, query: &str) -> Value {
    let answer = get(server.public, &format!("{MESSAGES}{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn numbers(page: &Value) -> Vec<u64> {
    page["messages"].as_array().unwrap().iter().map(|message| message["seq"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn what_is_sent_reaches_everyone() {
    let server = Server::start().await;
    let mut sun = Client::v1_joined(&server, "r", "선").await;
    let headers = [("Idempotency-Key", "k1")];
    let body = json!({"content": "안녕", "username": "민"});
    let answer = post(server.public, MESSAGES, &headers, &body).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let sent = answer.json();
    assert_eq!(keys(&sent), BTreeSet::from(["room", "seq", "id", "epoch", "level", "timestamp"]));
    assert_eq!((&sent["room"], &sent["seq"], &sent["level"]), (&json!("r"), &json!(1), &json!("stored")));
    let message = sun.expect("message").await;
    for key in ["room", "seq", "id", "epoch", "timestamp"] {
        assert_eq!(message[key], sent[key], "{key}");
    }
    let told = (&message["username"], &message["content"], &message["clientId"]);
    assert_eq!(told, (&json!("민"), &json!("안녕"), &json!("k1")));
    // Again: the same answer, and nothing new.
    let again = post(server.public, MESSAGES, &headers, &body).await;
    assert_eq!((again.status, again.json()), (201, sent));
    let empty = post(server.public, MESSAGES, &[], &json!({})).await;
    assert_eq!((empty.status, &empty.json()["seq"]), (201, &json!(2)));
    let message = sun.expect("message").await;
    assert_eq!((&message["username"], &message["content"]), (&json!("익명"), &json!("")));
}

#[tokio::test]
async fn sends_at_the_same_moment_with_one_key_are_one_message() {
    let server = Server::start().await;
    let body = json!({"content": "안녕", "username": "민"});
    let sends = (0..8).map(|_| post(server.public, MESSAGES, &[("Idempotency-Key", "k")], &body));
    let answers: Vec<Answer> = futures_util::future::join_all(sends).await;
    assert!(answers.iter().all(|answer| answer.status == 201 && answer.json() == answers[0].json()));
    assert_eq!(numbers(&page(&server, "").await), [1]);
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_by_name() {
    let server = Server::start().await;
    for body in ["{", "안녕", "[]", "[\"안녕\",\"민\",null]", "7", "{\"content\":7}", "{\"ack\":\"fast\"}"]
    {
        raw(server.public, "POST", MESSAGES, body.as_bytes()).await.assert_error(400, "bad_frame");
    }
    raw(server.public, "POST", MESSAGES, b"").await.assert_error(400, "bad_frame");
    let named = |name: String| json!({"username": name, "content": "말"});
    for (name, good) in [("가".repeat(64), true), ("가".repeat(65), false), ("a\nb".to_owned(), false)] {
        let answer = post(server.public, MESSAGES, &[], &named(name)).await;
        if good { assert_eq!(answer.status, 201) } else { answer.assert_error(400, "username_invalid") }
    }
    for (key, good) in [("k".repeat(64), true), ("k".repeat(65), false), (String::new(), false)] {
        let answer = post(server.public, MESSAGES, &[("Idempotency-Key", &key)], &json!({})).await;
        if good { assert_eq!(answer.status, 201) } else { answer.assert_error(400, "client_id_invalid") }
    }
    for (room, good) in
        [("%EA%B0%80".repeat(128), true), ("%EA%B0%80".repeat(129), false), ("%FF".to_owned(), false)]
    {
        let answer = post(server.public, &format!("/api/v1/rooms/{room}/messages"), &[], &json!({})).await;
        if good { assert_eq!(answer.status, 201) } else { answer.assert_error(400, "room_invalid") }
    }
    let of_size = |bytes: usize| {
        let empty = json!({"content": ""}).to_string().len();
        json!({"content": "a".repeat(bytes - empty)})
    };
    assert_eq!(post(server.public, MESSAGES, &[], &of_size(1_048_576)).await.status, 201);
    post(server.public, MESSAGES, &[], &of_size(1_048_577)).await.assert_error(413, "message_too_large");
    assert_eq!(numbers(&page(&server, "").await).len(), 3, "nothing that was refused is there");
}

#[tokio::test]
async fn pages_go_both_ways() {
    let server = Server::start().await;
    for number in 1..=120 {
        send(&server, &format!("말 {number}")).await;
    }
    for (query, expected) in [
        ("", 71..=120),
        ("?limit=3", 118..=120),
        ("?limit=100", 21..=120),
        ("?before=22", 1..=21),
        ("?before=22&limit=5", 17..=21),
        ("?before=121&limit=1", 120..=120),
        ("?before=9007199254740991&limit=1", 120..=120),
        ("?after=0", 1..=50),
        ("?after=0&limit=100", 1..=100),
        ("?after=100&limit=100", 101..=120),
        ("?after=7&limit=1", 8..=8),
        ("?after=119", 120..=120),
        ("?after=7&limit=1&unknown=x&flag", 8..=8),
    ] {
        let page = page(&server, query).await;
        assert_eq!(keys(&page), BTreeSet::from(["room", "epoch", "head", "messages", "complete"]), "{query}");
        assert_eq!(numbers(&page), expected.collect::<Vec<_>>(), "{query}");
        assert_eq!(
            (&page["head"], &page["complete"], &page["room"]),
            (&json!(120), &json!(true), &json!("r"))
        );
        assert_eq!(page["messages"][0]["epoch"], page["epoch"]);
    }
    for query in ["?before=1", "?before=0", "?after=120", "?after=9007199254740991"] {
        let page = page(&server, query).await;
        assert_eq!((numbers(&page), &page["complete"]), (vec![], &json!(true)), "{query}");
    }
    for (query, code) in [
        ("?before=5&after=3", "cursor_invalid"),
        ("?before=x", "cursor_invalid"),
        ("?after=-1", "cursor_invalid"),
        ("?after=9007199254740992", "cursor_invalid"),
        ("?limit=0", "limit_invalid"),
        ("?limit=101", "limit_invalid"),
        ("?limit=many", "limit_invalid"),
        ("?wait=5", "wait_invalid"),
        ("?after=0&wait=61", "wait_invalid"),
        ("?after=0&wait=long", "wait_invalid"),
        ("?before=5&wait=5", "wait_invalid"),
    ] {
        get(server.public, &format!("{MESSAGES}{query}")).await.assert_error(400, code);
    }
    let other = get(server.public, "/api/v1/rooms/other/messages").await.json();
    assert_eq!(
        (&other["messages"], &other["head"], &other["complete"]),
        (&json!([]), &json!(0), &json!(true))
    );
}

#[tokio::test]
async fn a_poll_is_held_until_there_is_something() {
    let server = Server::start().await;
    // At once when there is something already.
    send(&server, "하나").await;
    let started = Instant::now();
    assert_eq!(numbers(&page(&server, "?after=0&wait=60").await), [1]);
    // Held, and woken by the message: from any transport.
    for number in 2..=4 {
        let query = format!("?after={}&wait=60", number - 1);
        let (held, ()) = tokio::join!(page(&server, &query), async {
            server.metric_reaches("moim_rooms", 1.0).await;
            send(&server, "다음").await;
        });
        assert_eq!(numbers(&held), [number]);
    }
    let (held, ()) = tokio::join!(page(&server, "?after=4&wait=60"), async {
        Client::v1_joined(&server, "r", "선").await.say("다섯").await;
    });
    assert_eq!(numbers(&held), [5]);
    assert!(started.elapsed().as_secs() < 60, "woken, not timed out");
    // Nothing comes: an empty answer, in time.
    let started = Instant::now();
    let empty = page(&server, "?after=5&wait=1").await;
    assert_eq!((numbers(&empty), &empty["complete"], &empty["head"]), (vec![], &json!(true), &json!(5)));
    assert!(started.elapsed().as_millis() >= 1000, "held for as long as was asked");
}

#[tokio::test]
async fn a_room_tells_its_state() {
    let server = Server::start().await;
    let room = async || get(server.public, "/api/v1/rooms/r").await.json();
    let state = room().await;
    assert_eq!(keys(&state), BTreeSet::from(["room", "epoch", "seq", "userCount", "members"]));
    assert_eq!((&state["room"], &state["seq"], &state["userCount"]), (&json!("r"), &json!(0), &json!(0)));
    assert_eq!(state["members"], json!([]));
    let sent = send(&server, "말").await;
    let mut sun = Client::v1_joined(&server, "r", "선").await;
    let _plain = Client::plain(&server, "r", "박").await;
    sun.expect("system").await;
    let state = room().await;
    assert_eq!((&state["seq"], &state["userCount"], &state["epoch"]), (&json!(1), &json!(2), &sent["epoch"]));
    assert_eq!(state["members"], json!(["박", "선"]));
    // Of a crowd only the number is known, rather than some of the names.
    let mut crowd = Vec::new();
    for number in 0..31 {
        crowd.push(Client::v1_joined(&server, "r", &format!("사람 {number}")).await);
    }
    let state = room().await;
    assert_eq!(state["userCount"], 33);
    assert_eq!(keys(&state), BTreeSet::from(["room", "epoch", "seq", "userCount"]));
}

#[tokio::test]
async fn the_articles_examples_work() {
    let server = Server::start().await;
    let mut general = Client::plain(&server, "general", "선").await;
    let headers = [("Authorization", "Bearer token")];
    let body = json!({"content": "HTTP로 안녕", "username": "민"});
    let answer = post(server.public, "/api/messages", &headers, &body).await;
    assert_eq!((answer.status, &answer.json()["room"]), (201, &json!("general")));
    let heard = general.frame().await;
    // Whether she was in already when it was said, or heard of it as history.
    let message = if heard["type"] == "history" { &heard["messages"][0] } else { &heard };
    assert_eq!((&message["username"], &message["content"]), (&json!("민"), &json!("HTTP로 안녕")));
    let page = get_with(server.public, "/api/messages", &headers).await.json();
    assert_eq!(page["messages"][0]["content"], "HTTP로 안녕");
    let body = json!({"content": "다른 방"});
    let answer = post(server.public, "/api/messages?room=%EB%B0%A9", &headers, &body).await;
    assert_eq!((answer.status, &answer.json()["room"]), (201, &json!("방")));
    let page = get(server.public, "/api/messages?room=%EB%B0%A9&limit=1").await.json();
    assert_eq!((&page["room"], &page["messages"][0]["content"]), (&json!("방"), &json!("다른 방")));
    get(server.public, "/api/messages?after=1&before=2").await.assert_error(400, "cursor_invalid");
}

#[tokio::test]
async fn errors_have_one_shape_and_speak_the_readers_language() {
    let server = Server::start().await;
    for path in [
        "/api",
        "/api/v1/rooms",
        "/api/v1/rooms/r/other",
        "/api/v1/rooms/r/messages/1",
        "/nothing",
        "/metrics",
    ] {
        get(server.public, path).await.assert_error(404, "not_found");
    }
    for (method, path) in
        [("DELETE", MESSAGES), ("PUT", "/api/messages"), ("POST", "/api/v1/rooms/r"), ("POST", "/ws")]
    {
        raw(server.public, method, path, b"{}").await.assert_error(405, "method_not_allowed");
    }
    let path = format!("{MESSAGES}?limit=0");
    for (language, message) in [
        ("ko", "limit은 1에서 100 사이여야 합니다."),
        ("ko-KR,ko;q=0.9,en;q=0.8", "limit은 1에서 100 사이여야 합니다."),
        ("en-US,en;q=0.5", "The limit must be from 1 to 100."),
    ] {
        let answer = get_with(server.public, &path, &[("Accept-Language", language)]).await;
        answer.assert_error(400, "limit_invalid");
        assert_eq!(answer.json()["error"]["message"], message);
    }
}
