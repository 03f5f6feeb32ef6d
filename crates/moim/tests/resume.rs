//! Coming back: what was missed is told once and in order, and what cannot be told is said so.
//! Not here: coming back to a server that was killed (`kill9`).

#![allow(clippy::unwrap_used, reason = "a test's helpers are tests, which clippy does not see")]

mod harness;

use futures_util::future::join_all;
use harness::{Client, Server};
use serde_json::{Value, json};

const UNLIMITED: (&str, &str) = ("limits.messages_per_second", "100000");

/// A room in which so many messages were said, and who said them.
async fn room_of(server: &Server, messages: usize) -> (Client, Vec<Value>) {
    let mut talker = Client::v1_joined(server, "r", "talker").await;
    let mut said = Vec::new();
    for number in 1..=messages {
        talker.say(&format!("말 {number}")).await;
        said.push(talker.expect("message").await);
    }
    (talker, said)
}

async fn come_back(server: &Server, query: &str) -> (Client, Value) {
    let mut client = Client::at(server, &format!("/chat/r?username=back{query}"), Some("moim.v1")).await;
    let joined = client.expect("joined").await;
    (client, joined)
}

#[tokio::test]
async fn what_was_missed_follows_and_then_what_is_new() {
    let server = Server::start().await;
    let (mut talker, mut said) = room_of(&server, 30).await;
    let epoch = said[0]["epoch"].as_str().unwrap().to_owned();
    for (query, since) in [
        (format!("&since=10&epoch={epoch}"), 10),
        ("&since=29".to_owned(), 29),
        (format!("&since=0&epoch={epoch}"), 0),
        ("&since=0&epoch=".to_owned(), 0),
        (format!("&since=34&epoch={epoch}"), 34),
    ] {
        let (mut client, joined) = come_back(&server, &query).await;
        let told = (&joined["recovered"], &joined["seq"], &joined["epoch"]);
        assert_eq!(told, (&json!(true), &json!(said.len()), &json!(epoch)), "{query}");
        for message in &said[since..] {
            assert_eq!(client.expect("message").await, *message, "{query}");
        }
        talker.say("새 말").await;
        let new = talker.skip_to("message").await;
        assert_eq!(client.skip_to("message").await, new, "{query}");
        said.push(new);
    }
}

#[tokio::test]
async fn what_cannot_be_told_is_said_so() {
    let server = Server::start().await;
    let (mut talker, mut said) = room_of(&server, 30).await;
    let epoch = said[0]["epoch"].as_str().unwrap().to_owned();
    let ahead = format!("&since=1000&epoch={epoch}");
    for query in ["&since=10&epoch=another", "&since=1000", &ahead, "&since=9007199254740991"] {
        let (mut client, joined) = come_back(&server, query).await;
        assert_eq!((&joined["recovered"], &joined["seq"]), (&json!(false), &json!(said.len())), "{query}");
        let history = client.expect("history").await;
        assert_eq!(history["messages"].as_array().unwrap(), &said[said.len() - 20..], "{query}");
        talker.say("새 말").await;
        let new = talker.skip_to("message").await;
        assert_eq!(client.skip_to("message").await, new, "{query}");
        said.push(new);
    }
    // Without a number an epoch says nothing.
    let (mut client, joined) = come_back(&server, "&epoch=another").await;
    assert_eq!(joined["recovered"], true);
    assert_eq!(client.expect("history").await["messages"].as_array().unwrap(), &said[said.len() - 20..]);
}

#[tokio::test]
async fn too_much_is_not_replayed() {
    let server = Server::start_with(&[("limits.resume_messages_max", "20"), UNLIMITED]).await;
    let (_talker, said) = room_of(&server, 50).await;
    for (since, recovered) in [(30, true), (29, false)] {
        let (mut client, joined) = come_back(&server, &format!("&since={since}")).await;
        assert_eq!(joined["recovered"], recovered, "since {since}");
        if recovered {
            for message in &said[since..] {
                assert_eq!(client.expect("message").await, *message);
            }
        } else {
            assert_eq!(client.expect("history").await["messages"].as_array().unwrap(), &said[30..]);
        }
    }
}

const MESSAGES: u64 = 3000;
const MEMBERS: usize = 6;
/// What a member hears before its connection breaks.
const STAY: u64 = 15;

/// Says everything twice, with a few always on their way.
async fn talk(mut talker: Client) -> Vec<Value> {
    let mut said = Vec::new();
    for number in 0..MESSAGES {
        for _ in 0..2 {
            talker.say_as(&format!("c{number}"), &format!("말 {number}")).await;
        }
        while (said.len() as u64) + 16 < number {
            said.push(talker.skip_to("message").await);
        }
    }
    while (said.len() as u64) < MESSAGES {
        said.push(talker.skip_to("message").await);
    }
    said
}

/// Comes back again and again; answers with what it saw, and how many of it live. One who forgets everything each time has
/// much to be told, so that more is said while it is let in.
async fn break_off_all_the_time(server: &Server, forgets: bool) -> (Vec<Value>, u64) {
    let mut seen: Vec<Value> = Vec::new();
    let mut live = 0;
    while (seen.len() as u64) < MESSAGES {
        if forgets {
            seen.clear();
        }
        let since = seen.len();
        let epoch = seen.last().map_or("", |last| last["epoch"].as_str().unwrap());
        let (mut client, joined) = come_back(server, &format!("&since={since}&epoch={epoch}")).await;
        assert_eq!(joined["recovered"], true);
        // It stays until it has heard a few that were said after it came.
        let head = joined["seq"].as_u64().unwrap();
        while (seen.len() as u64) < MESSAGES.min(head + STAY) {
            let frame = client.frame().await;
            if frame["type"] == "system" {
                continue;
            }
            let at = (frame["type"].as_str(), frame["seq"].as_u64(), frame["prev"].as_u64());
            let before = seen.len() as u64;
            assert_eq!(at, (Some("message"), Some(before + 1), Some(before)));
            live += u64::from(head <= before);
            seen.push(frame);
        }
    }
    (seen, live)
}

/// A room that never stops talking, and members whose connections break again and again.
#[tokio::test]
async fn members_that_break_off_all_the_time_see_everything_once() {
    let roomy = [("limits.resume_messages_max", "100000"), ("limits.outbox_bytes_max", "67108864")];
    let server = Server::start_with(&[UNLIMITED, roomy[0], roomy[1]]).await;
    let talker = Client::v1_joined(&server, "r", "talker").await;
    let members = join_all((0..MEMBERS).map(|member| break_off_all_the_time(&server, member % 2 == 0)));
    let (said, members) = tokio::join!(talk(talker), members);
    for (seen, live) in members {
        assert!(seen == said, "{} of {} messages", seen.len(), said.len());
        assert!(live > 0, "nothing live: this shows too little");
    }
}
