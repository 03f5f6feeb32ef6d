//! Many at once, and those who cannot keep up: merged notices, gaps, streams that stay whole.
//! Not here: readers that stall for ever (`hostile`).

#![allow(clippy::unwrap_used, reason = "a test's helpers are tests, which clippy does not see")]

mod harness;

use futures_util::{SinkExt, future::join_all};
use harness::{Client, Heard, Server, get, until, within};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

const CROWD: usize = 300;
/// A room that talks in messages of this size fills every buffer of the kernel with a few dozen of them.
const LARGE_BYTES: usize = 200 * 1024;
const LARGE_MESSAGES: u64 = 60;

fn number(frame: &Value, key: &str) -> u64 {
    frame[key].as_u64().unwrap_or_else(|| panic!("no {key} in {frame}"))
}

/// Hears notices of an event until they tell of so many people; answers how many frames that took, and the last count.
async fn notices(client: &mut Client, event: &str, people: u64) -> (usize, u64) {
    let verb = if event == "join" { "입장" } else { "퇴장" };
    let (mut told, mut frames, mut user_count) = (0, 0, 0);
    while told < people {
        let frame = client.skip_to("system").await;
        if frame["event"] != event {
            continue;
        }
        let (count, name) = (number(&frame, "count"), frame["username"].as_str().unwrap());
        let expected = match count {
            1 => format!("{name}님이 {verb}했습니다."),
            _ => format!("{name}님 외 {}명이 {verb}했습니다.", count - 1),
        };
        assert_eq!(frame["message"], expected);
        told += count;
        frames += 1;
        user_count = number(&frame, "userCount");
    }
    assert_eq!(told, people, "nobody is told of twice");
    (frames, user_count)
}

#[tokio::test]
async fn a_crowd_is_told_in_few_notices() {
    let server = Server::start().await;
    let mut v1 = Client::v1_joined(&server, "광장", "처음부터").await;
    let mut plain = Client::plain(&server, "광장", "그 다음").await;
    v1.expect("system").await;
    let server_ref = &server;
    let entering = (0..CROWD)
        .map(|number| async move { Client::v1_joined(server_ref, "광장", &format!("손님 {number}")).await });
    let mut crowd = join_all(entering).await;
    let (frames, user_count) = notices(&mut v1, "join", CROWD as u64).await;
    assert_eq!(user_count, CROWD as u64 + 2);
    assert!(frames < CROWD / 3, "{frames} notices for {CROWD} joins");
    // The article's client hears the same.
    assert_eq!(notices(&mut plain, "join", CROWD as u64).await, (frames, user_count));

    for client in &mut crowd {
        client.close(1000).await;
    }
    let (frames, user_count) = notices(&mut v1, "leave", CROWD as u64).await;
    assert_eq!(user_count, 2);
    assert!(frames < CROWD / 3, "{frames} notices for {CROWD} leaves");
    assert_eq!(notices(&mut plain, "leave", CROWD as u64).await, (frames, user_count));
    // What each of the crowd was told: not of everyone who came, one by one, and then of everyone who went.
    for mut client in crowd {
        let mut frames = 0;
        while let Heard::Frame(_) = client.hear().await {
            frames += 1;
        }
        assert!(frames < CROWD / 3, "one of the crowd heard {frames} frames");
    }
}

/// Somebody talks until no buffer of the kernel takes more for one who does not read, and hears all of it.
async fn talk(server: &Server, room: &str) -> (Client, Vec<Value>) {
    let mut talker = Client::v1_joined(server, room, "말하는 이").await;
    let content = "a".repeat(LARGE_BYTES);
    let mut said = Vec::new();
    for _ in 0..LARGE_MESSAGES {
        talker.say(&content).await;
        said.push(talker.skip_to("message").await);
    }
    (talker, said)
}

async fn enter_slowly(server: &Server, room: &str, subprotocol: Option<&str>) -> Client {
    let path = format!("/chat/{room}?username=slow");
    let slow = Client::slow(server, &path, subprotocol).await;
    let room = format!("/api/v1/rooms/{room}");
    let entered = async || get(server.public, &room).await.json()["userCount"] == 1;
    until("the join", async || entered().await.then_some(())).await;
    slow
}

#[tokio::test]
async fn a_slow_reader_is_told_what_it_misses() {
    let server = Server::start_with(&[("limits.outbox_bytes_max", "65536")]).await;
    let mut slow = enter_slowly(&server, "r", Some("moim.v1")).await;
    let (mut talker, said) = talk(&server, "r").await;
    slow.expect("joined").await;
    slow.expect("history").await;
    let (mut next, mut gaps) = (1, Vec::new());
    while next <= LARGE_MESSAGES {
        let frame = slow.frame().await;
        match frame["type"].as_str().unwrap() {
            "message" => {
                assert_eq!(number(&frame, "seq"), next, "after what was told before");
                assert_eq!(frame, said[usize::try_from(next - 1).unwrap()]);
                next += 1;
            }
            "gap" => {
                assert_eq!((number(&frame, "from"), &frame["epoch"]), (next, &said[0]["epoch"]));
                next = number(&frame, "to") + 1;
                gaps.push(frame);
            }
            other => assert_eq!(other, "system", "{frame}"),
        }
    }
    assert!(!gaps.is_empty(), "nothing was dropped, so this shows nothing");
    // It is live again, and can read the gap as history.
    talker.say("들려요?").await;
    assert_eq!(number(&slow.skip_to("message").await, "seq"), LARGE_MESSAGES + 1);
    let to = number(&gaps[0], "to");
    slow.send(json!({"type": "history", "before": to + 1, "limit": 1})).await;
    let page = slow.skip_to("history").await;
    assert_eq!(page["messages"][0], said[usize::try_from(to - 1).unwrap()]);
}

#[tokio::test]
async fn a_slow_plain_reader_is_closed_and_comes_back_to_the_last_twenty() {
    let server = Server::start_with(&[("limits.outbox_bytes_max", "65536")]).await;
    let mut slow = enter_slowly(&server, "r", None).await;
    let (_talker, said) = talk(&server, "r").await;
    let mut heard = Vec::new();
    let end = loop {
        match slow.hear().await {
            Heard::Frame(frame) if frame["type"] == "message" => heard.push(frame),
            Heard::Frame(frame) => assert_eq!(frame["type"], "system", "{frame}"),
            other => break other,
        }
    };
    assert!(matches!(end, Heard::Closed(1013, _)), "{end:?}");
    assert!(
        heard.len() < said.len() && heard == said[..heard.len()],
        "whole messages, in order, up to its end"
    );
    assert_eq!(server.closed("slow_reader").await, 1.0);
    let mut back = Client::plain(&server, "r", "slow").await;
    let history = back.expect("history").await;
    assert_eq!(history["messages"].as_array().unwrap(), &said[said.len() - 20..]);
}

/// The pong goes between frames, not into the one that is half written.
#[tokio::test]
async fn a_slow_reader_that_pings_has_a_whole_stream() {
    let server = Server::start_with(&[("limits.outbox_bytes_max", "67108864")]).await;
    let mut slow = enter_slowly(&server, "r", Some("moim.v1")).await;
    let (_talker, said) = talk(&server, "r").await;
    for _ in 0..3 {
        within("a ping", slow.socket.send(Message::Ping("p".into()))).await.unwrap();
    }
    slow.send(json!({"type": "ping"})).await;
    slow.expect("joined").await;
    slow.expect("history").await;
    // The answer may come before the last of them.
    let (mut heard, mut answered) = (Vec::new(), false);
    while heard.len() < said.len() || !answered {
        let frame = slow.frame().await;
        match frame["type"].as_str().unwrap() {
            "message" => heard.push(frame),
            "pong" => answered = true,
            other => assert_eq!(other, "system", "{frame}"),
        }
    }
    assert_eq!(heard, said);
}
