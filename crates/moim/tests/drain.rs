//! A stop that was asked for: everyone is told when to come back, nobody new is let in, everything that was said is there.
//! Not here: a server that is killed (`kill9`).

#![allow(clippy::unwrap_used, reason = "a test's helpers are tests, which clippy does not see")]

mod harness;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use harness::{Client, Heard, Server, get, get_with, post, until, within};
use rustix::process::Signal;
use serde_json::{Value, json};

/// Hears a client of the v1 profile to its end; answers with when it is to come back.
async fn told_to_come_back(client: &mut Client) -> u64 {
    let reconnect = client.skip_to("reconnect").await;
    assert_eq!(reconnect["reason"], "drain", "{reconnect}");
    closed_for_restart(client).await;
    reconnect["afterMs"].as_u64().unwrap()
}

/// Hears a client to its end; the others who leave may be told of till then.
async fn closed_for_restart(client: &mut Client) {
    loop {
        match client.hear().await {
            Heard::Frame(frame) => {
                assert!(
                    ["system", "message", "history"].contains(&frame["type"].as_str().unwrap()),
                    "{frame}"
                );
            }
            Heard::Closed(code, _) => return assert_eq!(code, 1012),
            Heard::Lost(why) => panic!("no close frame: {why}"),
        }
    }
}

async fn history(server: &Server) -> Vec<Value> {
    get(server.public, "/api/v1/rooms/r/messages?limit=100").await.json()["messages"]
        .as_array()
        .unwrap()
        .clone()
}

async fn stops_in_order(signal: Signal) {
    let mut server = Server::start_to_be_restarted(&[]).await;
    let mut v1 = Vec::new();
    for number in 0..30 {
        v1.push(Client::v1_joined(&server, "r", &format!("사람 {number}")).await);
    }
    let mut many = Client::many(&server).await;
    let plain = [Client::plain(&server, "r", "하나").await, Client::plain(&server, "다른 방", "둘").await];
    for (number, client) in v1.iter_mut().enumerate() {
        client.say_as("c", &format!("말 {number}")).await;
        client.skip_to("ack").await;
    }
    let before = history(&server).await;
    assert_eq!(before.len(), 30);
    assert_eq!(get(server.ops, "/readyz").await.status, 200);

    let asked = Instant::now();
    server.signal(signal);
    let mut after = BTreeSet::new();
    // Each hangs up when it has heard the end, as clients do.
    for mut client in v1 {
        after.insert(told_to_come_back(&mut client).await);
    }
    told_to_come_back(&mut many).await;
    drop(many);
    for mut client in plain {
        closed_for_restart(&mut client).await;
    }
    assert!(after.len() > 5, "they do not all come back at the same time: {after:?}");
    assert!(after.iter().all(|ms| (1..=30_000).contains(ms)), "{after:?}");
    assert!(server.ended().await.success());
    assert!(asked.elapsed() < Duration::from_secs(10), "few sockets take {:?}", asked.elapsed());

    server.restart().await;
    assert_eq!(history(&server).await, before);
    let last = before.last().unwrap();
    let query = format!("/chat/r?since={}&epoch={}", last["seq"], last["epoch"].as_str().unwrap());
    assert_eq!(Client::at(&server, &query, Some("moim.v1")).await.expect("joined").await["recovered"], true);
}

#[tokio::test]
async fn sigterm_stops_in_order() {
    stops_in_order(Signal::TERM).await;
}

#[tokio::test]
async fn sigint_stops_in_order() {
    stops_in_order(Signal::INT).await;
}

#[tokio::test]
async fn it_turns_unready_first_and_then_lets_nobody_in() {
    let mut server = Server::start_with(&[("drain.unready_seconds", "2")]).await;
    // One who does not answer the close holds the door open for a moment.
    let mut silent = Client::v1_joined(&server, "r", "silent").await;
    server.signal(Signal::TERM);
    until("the unready answer", async || (get(server.ops, "/readyz").await.status == 503).then_some(()))
        .await;
    assert_eq!(get(server.ops, "/livez").await.status, 200, "it is unready, not dead");
    // Load balancers need a moment to notice; until then it serves.
    let mut late = Client::v1_joined(&server, "r", "late").await;
    late.say_as("c", "아직 된다").await;
    late.skip_to("ack").await;
    server.metric_reaches("moim_drain_phase", 2.0).await;
    let upgrade = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let refused = get_with(server.public, "/chat/r", &upgrade).await;
    refused.assert_error(503, "draining");
    assert!(refused.header("retry-after").is_some());
    told_to_come_back(&mut late).await;
    told_to_come_back(&mut silent).await;
    assert!(server.ended().await.success());
}

/// They talk on while it stops: what was acknowledged is there, and nothing is there twice.
#[tokio::test]
async fn nothing_that_was_acknowledged_is_lost() {
    let mut server = Server::start_to_be_restarted(&[("limits.messages_per_second", "10000")]).await;
    let mut talkers = Vec::new();
    for talker in 0..10 {
        let mut client = Client::v1_joined(&server, "r", &format!("talker {talker}")).await;
        talkers.push(tokio::spawn(async move {
            let mut acked = Vec::new();
            for number in 0.. {
                let id = format!("{talker}-{number}");
                let frame = json!({"type": "message", "content": id, "clientId": id});
                if client.try_send(&frame).await.is_err() {
                    break;
                }
                loop {
                    match client.hear().await {
                        Heard::Frame(frame) if frame["type"] == "ack" => {
                            acked.push((frame["seq"].as_u64().unwrap(), id.clone()));
                            break;
                        }
                        Heard::Frame(_) => {}
                        Heard::Closed(code, _) => {
                            assert_eq!(code, 1012);
                            return acked;
                        }
                        Heard::Lost(why) => panic!("no close frame: {why}"),
                    }
                }
            }
            acked
        }));
    }
    server.metric_reaches("moim_messages_published_total", 300.0).await;
    server.signal(Signal::TERM);
    let mut acked = Vec::new();
    for talker in talkers {
        acked.extend(talker.await.unwrap());
    }
    assert!(acked.len() >= 300);
    assert!(server.ended().await.success());
    server.restart().await;
    let (mut kept, mut after) = (Vec::new(), 0);
    loop {
        let path = format!("/api/v1/rooms/r/messages?after={after}&limit=100");
        let page = get(server.public, &path).await.json();
        let Some(last) = page["messages"].as_array().unwrap().last() else { break };
        after = last["seq"].as_u64().unwrap();
        for message in page["messages"].as_array().unwrap() {
            kept.push((message["seq"].as_u64().unwrap(), message["clientId"].as_str().unwrap().to_owned()));
        }
    }
    let numbers: Vec<_> = kept.iter().map(|(seq, _)| *seq).collect();
    assert_eq!(numbers, (1..=kept.len() as u64).collect::<Vec<_>>());
    let ids: BTreeSet<_> = kept.iter().map(|(_, id)| id).collect();
    assert_eq!(ids.len(), kept.len(), "nothing twice");
    let kept: BTreeSet<_> = kept.iter().collect();
    let lost: Vec<_> = acked.iter().filter(|ack| !kept.contains(ack)).collect();
    assert!(lost.is_empty(), "{lost:?}");
}

/// A poll that is held is answered, and not cut off.
#[tokio::test]
async fn a_held_poll_is_answered() {
    let mut server = Server::start_with(&[("drain.unready_seconds", "1")]).await;
    post(server.public, "/api/v1/rooms/r/messages", &[], &json!({"content": "말"})).await;
    let (address, room) = (server.public, "/api/v1/rooms/r/messages?after=1&wait=60");
    let held = tokio::spawn(async move { get(address, room).await });
    server.metric_reaches("moim_rooms", 1.0).await;
    server.signal(Signal::TERM);
    let answer = within("the poll's answer", held).await.unwrap();
    assert_eq!((answer.status, &answer.json()["messages"]), (200, &json!([])));
    assert!(server.ended().await.success());
}
