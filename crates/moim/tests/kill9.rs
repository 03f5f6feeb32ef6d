//! Twenty people talk, five read, and the server is killed in the middle: nothing acknowledged is lost, nothing is told twice.
//! Not here: a stop that was asked for (`drain`).

#![allow(clippy::unwrap_used, reason = "a test's helpers are tests, which clippy does not see")]

mod harness;

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    time::Duration,
};

use harness::{Client, Heard, Server, encode, get, until, within};
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

const ROOM: &str = "시끄러운 방";
const SENDERS: u64 = 20;
const MESSAGES_EACH: u64 = 100;
const MESSAGES: u64 = SENDERS * MESSAGES_EACH;
const READERS: u64 = 5;
/// Sends of one sender that wait for their acks at the same time.
const IN_FLIGHT: usize = 8;
/// The server is killed when so many sends are acknowledged.
const KILLS_AT: [u64; 3] = [400, 900, 1500];
const WHOLE_TEST: Duration = Duration::from_secs(150);

/// Knocks until the server is there again.
async fn enter(address: SocketAddr, username: &str, cursor: &str) -> Client {
    let path = format!("/chat/{}?username={}{cursor}", encode(ROOM), encode(username));
    within("a connection", async {
        loop {
            match Client::connect(address, &path, Some("moim.v1")).await {
                Ok(client) => return client,
                Err(_) => sleep(Duration::from_millis(10)).await,
            }
        }
    })
    .await
}

/// What one sender knows at the end.
#[derive(Default)]
struct Said {
    /// The number of each message, by its client id, in the order they were said.
    acked: BTreeMap<u64, u64>,
    /// Sends that were made again after a loss.
    again: usize,
}

fn client_id(sender: u64, number: u64) -> String {
    format!("s{sender}-{number}")
}

fn content(sender: u64, number: u64) -> String {
    format!("{sender}의 {number}번째 말")
}

async fn sender(address: SocketAddr, sender: u64, acks: watch::Sender<u64>) -> Said {
    let mut said = Said::default();
    let mut waiting = VecDeque::new();
    let mut next = 0;
    while said.acked.len() < MESSAGES_EACH as usize {
        let mut client = enter(address, &format!("보내는 이 {sender}"), "").await;
        said.again += waiting.len();
        let mut unsent: VecDeque<u64> = waiting.iter().copied().collect();
        while said.acked.len() < MESSAGES_EACH as usize {
            while waiting.len() < IN_FLIGHT && next < MESSAGES_EACH {
                waiting.push_back(next);
                unsent.push_back(next);
                next += 1;
            }
            let mut sent = true;
            while let Some(number) = unsent.pop_front() {
                let frame = json!({
                    "type": "message", "content": content(sender, number), "clientId": client_id(sender, number),
                });
                sent &= client.try_send(&frame).await.is_ok();
            }
            let Heard::Frame(frame) = client.hear().await else { break };
            match frame["type"].as_str() {
                Some("ack") => {
                    assert_eq!(frame["level"], "stored", "{frame}");
                    let number = number_of(&frame, sender);
                    assert_eq!(
                        said.acked.insert(number, frame["seq"].as_u64().unwrap()),
                        None,
                        "acked twice"
                    );
                    waiting.retain(|waits| *waits != number);
                    acks.send_modify(|count| *count += 1);
                }
                Some("error") => panic!("{frame}"),
                _ => {}
            }
            if !sent {
                break;
            }
        }
    }
    said
}

fn number_of(ack: &Value, sender: u64) -> u64 {
    let id = ack["clientId"].as_str().unwrap();
    id.strip_prefix(&format!("s{sender}-")).unwrap_or_else(|| panic!("not my ack: {ack}")).parse().unwrap()
}

/// Reads the whole room from its beginning, over every loss, and takes nothing twice and nothing out of order.
async fn reader(address: SocketAddr, reader: u64) -> (Vec<Value>, usize) {
    let mut seen: Vec<Value> = Vec::new();
    let mut losses = 0;
    loop {
        let cursor = match seen.last() {
            Some(last) => format!("&since={}&epoch={}", last["seq"], last["epoch"].as_str().unwrap()),
            None => "&since=0".to_owned(),
        };
        let mut client = enter(address, &format!("읽는 이 {reader}"), &cursor).await;
        let Heard::Frame(joined) = client.hear().await else { continue };
        assert_eq!((&joined["type"], &joined["recovered"]), (&json!("joined"), &json!(true)), "{joined}");
        while let Heard::Frame(frame) = client.hear().await {
            match frame["type"].as_str() {
                Some("message") => {
                    let before = seen.len() as u64;
                    assert_eq!(
                        (frame["seq"].as_u64(), frame["prev"].as_u64()),
                        (Some(before + 1), Some(before))
                    );
                    seen.push(frame);
                }
                Some("system") => {}
                _ => panic!("{frame}"),
            }
            if seen.len() as u64 == MESSAGES {
                return (seen, losses);
            }
        }
        losses += 1;
    }
}

/// The whole room over HTTP, page by page.
async fn history(server: &Server) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    loop {
        let after = all.last().map_or(0, |last| last["seq"].as_u64().unwrap());
        let path = format!("/api/v1/rooms/{}/messages?after={after}&limit=100", encode(ROOM));
        let page = get(server.public, &path).await.json();
        assert_eq!(page["complete"], true, "{page}");
        let messages = page["messages"].as_array().unwrap();
        if messages.is_empty() {
            return all;
        }
        all.extend(messages.iter().cloned());
    }
}

#[tokio::test]
async fn what_is_acknowledged_survives_and_is_told_once() {
    timeout(WHOLE_TEST, killed_while_they_talk()).await.expect("the whole test takes too long");
}

async fn killed_while_they_talk() {
    // Together they send faster than people, and a reader may be all of it behind.
    let behind = MESSAGES.to_string();
    let limits = [("limits.messages_per_second", "10000"), ("limits.resume_messages_max", &behind)];
    let mut server = Server::start_to_be_restarted(&limits).await;
    let (acks, mut acked) = watch::channel(0);
    let mut readers = JoinSet::new();
    for number in 0..READERS {
        readers.spawn(reader(server.public, number));
    }
    let room = format!("/api/v1/rooms/{}", encode(ROOM));
    let entered = async || get(server.public, &room).await.json()["userCount"] == READERS;
    until("the readers", async || entered().await.then_some(())).await;
    let mut senders = JoinSet::new();
    for number in 0..SENDERS {
        let said = sender(server.public, number, acks.clone());
        senders.spawn(async move { (number, said.await) });
    }
    for at in KILLS_AT {
        acked.wait_for(|count| *count >= at).await.unwrap();
        server.kill_9();
        server.restart().await;
    }
    let mut said = BTreeMap::new();
    while let Some(sender) = senders.join_next().await {
        let (number, sender) = sender.unwrap();
        said.insert(number, sender);
    }
    let again: usize = said.values().map(|said| said.again).sum();
    assert!(again > 0, "no kill came in the middle of a send");

    let history = history(&server).await;
    let numbers: Vec<_> = history.iter().map(|message| message["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=MESSAGES).collect::<Vec<_>>(), "each send is one message, without a hole");
    for (sender, said) in &said {
        let mut last = 0;
        for (number, seq) in &said.acked {
            let message = &history[usize::try_from(seq - 1).unwrap()];
            assert_eq!(message["clientId"], client_id(*sender, *number), "{message}");
            assert_eq!(message["content"], content(*sender, *number), "{message}");
            assert_eq!(message["username"], format!("보내는 이 {sender}"), "{message}");
            assert!(last < *seq, "{sender} said {number} before {last}");
            last = *seq;
        }
    }
    while let Some(reader) = readers.join_next().await {
        let (seen, losses) = reader.unwrap();
        // A kill can come before it is back from the one before.
        assert!((1..=KILLS_AT.len()).contains(&losses), "{losses} losses");
        assert_eq!(seen, history);
    }
    assert_eq!(get(server.public, &room).await.json()["seq"], MESSAGES);
}

/// The answers to recent sends are kept with the messages.
#[tokio::test]
async fn a_send_is_remembered_over_a_kill() {
    let mut server = Server::start_to_be_restarted(&[]).await;
    let mut client = Client::v1_joined(&server, "방", "민").await;
    client.say_as("c1", "하나").await;
    let ack = client.skip_to("ack").await;
    server.kill_9();
    server.restart().await;
    let mut client = Client::v1(&server, "방", "민").await;
    let joined = client.expect("joined").await;
    assert_eq!((&joined["epoch"], &joined["seq"]), (&ack["epoch"], &ack["seq"]));
    client.expect("history").await;
    client.say_as("c1", "하나").await;
    assert_eq!(client.expect("ack").await, ack);
    client.say_as("c1", "둘").await;
    client.expect_error("client_id_reused").await;
    client.say_as("c2", "둘").await;
    let next = client.skip_to("ack").await;
    assert_eq!(
        (next["seq"].as_u64(), &next["epoch"]),
        (ack["seq"].as_u64().map(|seq| seq + 1), &ack["epoch"])
    );
}
