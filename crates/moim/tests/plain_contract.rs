//! The plain profile, met by a client that knows nothing but the article's contract.
//! Not here: the v1 profile (`v1_contract`), clients that mean harm (`hostile`).

#![allow(clippy::unwrap_used, reason = "a test's helpers are tests, which clippy does not see")]

mod harness;

use harness::{Client, Heard, Server, encode, get, until, within};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    },
};

const MESSAGE_BYTES_MAX: usize = 1_048_576;

/// RFC 3339, UTC, milliseconds: `2026-01-02T03:04:05.678Z`.
fn assert_timestamp(frame: &Value) {
    let text = frame["timestamp"].as_str().unwrap_or_else(|| panic!("no timestamp: {frame}"));
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    assert_eq!(shape, "9999-99-99T99:99:99.999Z", "{frame}");
}

fn assert_message(frame: &Value, username: &str, content: &str) {
    assert_eq!(frame["type"], "message", "{frame}");
    assert_eq!(frame["username"], username, "{frame}");
    assert_eq!(frame["content"], content, "{frame}");
    assert_timestamp(frame);
}

fn assert_system(frame: &Value, message: &str, user_count: u64) {
    assert_eq!(frame["type"], "system", "{frame}");
    assert_eq!(frame["message"], message, "{frame}");
    assert_eq!(frame["userCount"], user_count, "{frame}");
    assert_timestamp(frame);
}

fn assert_error(frame: &Value) {
    assert_eq!(frame["type"], "error", "{frame}");
    assert_eq!(frame["message"], "잘못된 메시지 형식입니다.", "{frame}");
}

/// Somebody who is alone in an empty room, and has said something.
async fn alone(server: &Server, room: &str, username: &str) -> Client {
    let mut client = Client::plain(server, room, username).await;
    // The profile has no word for "you are in", so the server is asked.
    let path = format!("/api/v1/rooms/{}", encode(room));
    let entered = async || get(server.public, &path).await.json()["userCount"] == 1;
    until("the join", async || entered().await.then_some(())).await;
    client.say("첫 마디").await;
    // Nothing comes before it: no own notice, and no history of a room that has none.
    assert_message(&client.frame().await, username, "첫 마디");
    client
}

/// Somebody who enters a room that has a history.
async fn enter(server: &Server, room: &str, username: &str) -> Client {
    let mut client = Client::plain(server, room, username).await;
    let history = client.expect("history").await;
    assert!(!history["messages"].as_array().unwrap().is_empty(), "{history}");
    client
}

#[tokio::test]
async fn comings_and_goings_are_told_to_the_others() {
    let server = Server::start().await;
    let room = "서울 모임/저녁?#%";
    let mut minsu = alone(&server, room, "김민수").await;
    let mut younghee = enter(&server, room, "이 영희+&=").await;
    assert_system(&minsu.frame().await, "이 영희+&=님이 입장했습니다.", 2);
    let mut third = enter(&server, room, "박").await;
    assert_system(&minsu.frame().await, "박님이 입장했습니다.", 3);
    // Her own notice would have come before this one.
    assert_system(&younghee.frame().await, "박님이 입장했습니다.", 3);
    third.close(1000).await;
    third.expect_close(1000).await;
    assert_system(&minsu.frame().await, "박님이 퇴장했습니다.", 2);
    assert_system(&younghee.frame().await, "박님이 퇴장했습니다.", 2);
    // One who vanishes without a word has left as well.
    drop(younghee);
    assert_system(&minsu.frame().await, "이 영희+&=님이 퇴장했습니다.", 1);
    minsu.say("혼자").await;
    assert_message(&minsu.frame().await, "김민수", "혼자");
}

/// They enter at the same moment, so one of them comes while the other is still being let in; who is the second is not
/// said, but the first hears of them.
#[tokio::test]
async fn of_two_who_enter_at_once_the_first_hears_of_the_second() {
    let server = Server::start().await;
    for round in 0..50 {
        let room = format!("room {round}");
        let mut a = Client::plain(&server, &room, "a").await;
        let mut b = Client::plain(&server, &room, "b").await;
        let (told, of) = within("a notice", async {
            tokio::select! {
                told = a.next() => (told, "b"),
                told = b.next() => (told, "a"),
            }
        })
        .await;
        let Heard::Frame(told) = told else { panic!("{told:?}") };
        assert_system(&told, &format!("{of}님이 입장했습니다."), 2);
    }
}

#[tokio::test]
async fn messages_reach_everyone_and_their_sender() {
    let server = Server::start().await;
    let mut minsu = alone(&server, "방", "김민수").await;
    let mut younghee = enter(&server, "방", "이영희").await;
    let mut elsewhere = alone(&server, "다른 방", "박").await;
    minsu.expect("system").await;
    let texts = ["안녕하세요", "<img src=x onerror=alert(1)>", "줄\n바꿈\t\"따옴표\" \\ 🎉 \u{2028}", " "];
    for text in texts {
        minsu.say(text).await;
        let own = minsu.frame().await;
        assert_message(&own, "김민수", text);
        assert_eq!(younghee.frame().await, own);
    }
    elsewhere.say("여기는 조용하다").await;
    assert_message(&elsewhere.frame().await, "박", "여기는 조용하다");
}

#[tokio::test]
async fn a_joiner_gets_the_last_twenty_oldest_first() {
    let server = Server::start().await;
    let mut minsu = alone(&server, "방", "김민수").await;
    let mut sent = Vec::new();
    for number in 0..25 {
        minsu.say(&format!("말 {number}")).await;
        let frame = minsu.frame().await;
        assert_message(&frame, "김민수", &format!("말 {number}"));
        sent.push(frame);
    }
    let mut younghee = Client::plain(&server, "방", "이영희").await;
    let history = younghee.expect("history").await;
    // As they were sent, to the last field.
    assert_eq!(history["messages"].as_array().unwrap(), &sent[5..]);
    // It comes once.
    minsu.say("그 다음").await;
    assert_message(&younghee.frame().await, "김민수", "그 다음");
}

#[tokio::test]
async fn a_room_with_fewer_messages_tells_them_all() {
    let server = Server::start().await;
    let mut minsu = alone(&server, "방", "김민수").await;
    minsu.say("둘째").await;
    minsu.frame().await;
    let history = Client::plain(&server, "방", "이영희").await.expect("history").await;
    let messages = history["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 2);
    assert_message(&messages[0], "김민수", "첫 마디");
    assert_message(&messages[1], "김민수", "둘째");
}

#[tokio::test]
async fn typing_is_told_to_the_others_only() {
    let server = Server::start().await;
    let mut minsu = alone(&server, "방", "김민수").await;
    let mut younghee = enter(&server, "방", "이영희").await;
    minsu.expect("system").await;
    for is_typing in [true, false] {
        minsu.send(json!({"type": "typing", "isTyping": is_typing})).await;
        let frame = younghee.expect("typing").await;
        assert_eq!((&frame["username"], &frame["isTyping"]), (&json!("김민수"), &json!(is_typing)));
    }
    minsu.send(json!({"type": "typing"})).await;
    assert_eq!(younghee.expect("typing").await["isTyping"], false);
    // She has heard it, so an echo to him would have been written before this.
    minsu.say("다 썼다").await;
    assert_message(&minsu.frame().await, "김민수", "다 썼다");
}

#[tokio::test]
async fn what_is_no_json_object_is_told_and_the_connection_stays() {
    let server = Server::start().await;
    let mut minsu = alone(&server, "방", "김민수").await;
    let mut younghee = enter(&server, "방", "이영희").await;
    minsu.expect("system").await;
    let faults = [
        "안녕",
        "",
        "{",
        "null",
        "17",
        "\"text\"",
        "[]",
        "[\"message\",\"x\"]",
        "{\"type\":\"message\",}",
        "{\"content\":7}",
        "{\"type\":\"typing\",\"isTyping\":\"yes\"}",
        "{} {}",
        "\u{feff}{}",
    ];
    for fault in faults {
        minsu.send_text(fault).await;
        assert_error(&minsu.frame().await);
    }
    minsu.say("아직 여기").await;
    assert_message(&minsu.frame().await, "김민수", "아직 여기");
    // The others hear nothing of it.
    assert_message(&younghee.frame().await, "김민수", "아직 여기");
}

#[tokio::test]
async fn unknown_types_are_ignored_and_missing_fields_have_defaults() {
    let server = Server::start().await;
    let mut minsu = alone(&server, "방", "김민수").await;
    let unknown = ["presence", "", "MESSAGE", "system", "join", "leave", "history", "ping", "pong", "ack"];
    for kind in unknown {
        minsu.send(json!({"type": kind, "content": "아니", "room": "방", "username": "박"})).await;
    }
    for (frame, content) in [
        (json!({"content": "형식 없음"}), "형식 없음"),
        (json!({"type": "message"}), ""),
        (json!({}), ""),
        (json!({"type": "message", "content": null}), ""),
        (
            json!({"type": "message", "content": "더", "extra": {"a": [1, 2]}, "clientId": "", "ack": "wal"}),
            "더",
        ),
    ] {
        minsu.send(frame).await;
        assert_message(&minsu.frame().await, "김민수", content);
    }
    minsu.close(1000).await;
    minsu.expect_close(1000).await;
}

#[tokio::test]
async fn names_have_defaults() {
    let server = Server::start().await;
    let mut minsu = alone(&server, "general", "김민수").await;
    let mut count = 1;
    let mut all = Vec::new();
    for path in [
        "/chat/general",
        "/chat/",
        "/chat",
        "/chat/?username",
        "/chat/general?username=&x",
        "/chat/?x=1&username",
    ] {
        let mut client = Client::at(&server, path, None).await;
        client.expect("history").await;
        all.push(client);
        count += 1;
        assert_system(&minsu.frame().await, "익명님이 입장했습니다.", count);
    }
    all[0].say("누구?").await;
    assert_message(&minsu.frame().await, "익명", "누구?");
}

#[tokio::test]
async fn the_largest_message_is_a_mebibyte() {
    let server = Server::start().await;
    let mut minsu = alone(&server, "방", "김민수").await;
    let mut younghee = enter(&server, "방", "이영희").await;
    minsu.expect("system").await;
    let content = |bytes: usize| "a".repeat(bytes - json!({"content": ""}).to_string().len());
    let largest = json!({"content": content(MESSAGE_BYTES_MAX)}).to_string();
    assert_eq!(largest.len(), MESSAGE_BYTES_MAX);
    minsu.send_text(&largest).await;
    let own = minsu.frame().await;
    assert_message(&own, "김민수", &content(MESSAGE_BYTES_MAX));
    assert_eq!(younghee.frame().await, own);
    // The bound is on the whole message, in however many fragments it comes.
    let (first, second) = largest.as_bytes().split_at(700_000);
    send_fragments(&mut minsu, &[first, second]).await;
    assert_message(&minsu.frame().await, "김민수", &content(MESSAGE_BYTES_MAX));
    assert_eq!(younghee.frame().await["content"], content(MESSAGE_BYTES_MAX));

    let over = json!({"content": content(MESSAGE_BYTES_MAX + 1)}).to_string();
    minsu.send_text(&over).await;
    minsu.expect_close(1009).await;
    assert_system(&younghee.frame().await, "김민수님이 퇴장했습니다.", 1);
    let (first, second) = over.as_bytes().split_at(700_000);
    send_fragments(&mut younghee, &[first, second]).await;
    younghee.expect_close(1009).await;
}

async fn send_fragments(client: &mut Client, parts: &[&[u8]]) {
    use futures_util::SinkExt;
    for (index, part) in parts.iter().enumerate() {
        let opcode = OpCode::Data(if index == 0 { Data::Text } else { Data::Continue });
        let frame = Frame::message(part.to_vec(), opcode, index + 1 == parts.len());
        within("sending a fragment", client.socket.send(Message::Frame(frame))).await.unwrap();
    }
}

#[tokio::test]
async fn a_close_is_answered_with_its_code() {
    let server = Server::start().await;
    for code in [1000, 1001, 4321] {
        let mut minsu = Client::plain(&server, &format!("방 {code}"), "김민수").await;
        minsu.close(code).await;
        assert_eq!(minsu.hear().await, Heard::Closed(code, String::new()));
        assert_eq!(minsu.hear().await, Heard::Lost("end".into()));
    }
    assert_eq!(server.closed("normal").await, 3.0);
}

/// Nothing moves between the two for half a minute, and then the server asks; one who does not answer is gone.
#[tokio::test]
async fn a_silent_client_is_asked_and_given_up() {
    use futures_util::StreamExt;
    let server = Server::start().await;
    let mut minsu = alone(&server, "방", "김민수").await;
    let mut dead = enter(&server, "방", "죽은 이").await;
    minsu.expect("system").await;
    let alive = tokio::spawn(async move {
        // Answers pings by reading.
        let left = tokio::time::timeout(2 * harness::PATIENCE, minsu.next()).await.unwrap();
        (minsu, left)
    });
    let asked = tokio::time::timeout(2 * harness::PATIENCE, dead.socket.next()).await.unwrap();
    assert!(matches!(asked, Some(Ok(Message::Ping(_)))), "{asked:?}");
    // From here on it reads nothing, so it answers nothing.
    let (mut minsu, left) = alive.await.unwrap();
    let Heard::Frame(left) = left else { panic!("{left:?}") };
    assert_system(&left, "죽은 이님이 퇴장했습니다.", 1);
    minsu.say("살아 있다").await;
    assert_message(&minsu.frame().await, "김민수", "살아 있다");
    assert_eq!(server.closed("pong_timeout").await, 1.0);
}
