//! The operators' listener: metrics that can be scraped and do not grow with rooms, liveness, readiness.
//! Not here: readiness while it stops (`drain`).

#![allow(clippy::unwrap_used, reason = "a test's helpers are tests, which clippy does not see")]

mod harness;

use std::collections::{BTreeMap, BTreeSet};

use harness::{Client, Server, get};
use serde_json::json;

/// Every series of a scrape with its value, held against the text format of Prometheus.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let (mut types, mut helps, mut series) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(!help.is_empty() && helps.insert(name.to_owned()), "{line}");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "{line}");
        } else {
            let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no series: {line}"));
            let value: f64 = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
            assert!(series.insert(name.to_owned(), value).is_none(), "twice: {line}");
        }
    }
    for name in series.keys() {
        let (base, labels) = name.split_once('{').map_or((&**name, None), |(base, rest)| (base, Some(rest)));
        assert!(base.starts_with("moim_") || base.starts_with("process_"), "{name}");
        assert!(base.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'), "{name}");
        if let Some(labels) = labels {
            let pairs = labels.strip_suffix("\"}").unwrap_or_else(|| panic!("{name}"));
            assert!(pairs.split("\",").all(|pair| pair.contains("=\"")), "{name}");
        }
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| {
            base.strip_suffix(end).filter(|family| types.get(*family).is_some_and(|kind| kind == "histogram"))
        });
        let family = family.unwrap_or(base);
        assert!(types.contains_key(family) && helps.contains(family), "{name} has no type or help");
        let is_counter = types[family] == "counter";
        assert_eq!(is_counter, base.ends_with("_total"), "{name} is named for another kind");
    }
    series
}

fn names(series: &BTreeMap<String, f64>) -> BTreeSet<&str> {
    series.keys().map(String::as_str).collect()
}

#[tokio::test]
async fn metrics_do_not_grow_with_rooms_or_people() {
    let server = Server::start_with(&[("limits.messages_per_second", "10000")]).await;
    let answer = get(server.ops, "/metrics").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let idle = parse(&answer.text());
    let mut client = Client::v1_joined(&server, "방 하나", "사람").await;
    client.say_as("c", "말").await;
    client.skip_to("ack").await;
    let one = parse(&server.metrics().await);
    assert_eq!(names(&one), names(&idle), "a counter starts at zero, not at its first event");
    assert_eq!((one["moim_rooms"], one["moim_connections_v1"]), (1.0, 1.0));

    let mut sockets = Vec::new();
    for socket in 0..10 {
        let mut client = Client::many(&server).await;
        for number in 0..100 {
            let room = format!("방 {socket}-{number}");
            client
                .send(json!({"type": "join", "room": room, "username": format!("사람 {socket}-{number}")}))
                .await;
            client.skip_to("joined").await;
            client.send(json!({"type": "message", "room": room, "content": "말", "clientId": "c"})).await;
            client.skip_to("ack").await;
        }
        sockets.push(client);
    }
    let _plain = Client::plain(&server, "또 하나", "사람").await;
    server.metric_reaches("moim_rooms", 1002.0).await;
    let many = parse(&server.metrics().await);
    assert_eq!(names(&many), names(&one));
    assert!(names(&many).len() < 300, "{} series", many.len());
    assert_eq!((many["moim_connections_v1"], many["moim_connections_plain"]), (11.0, 1.0));
    assert_eq!((many["moim_messages_published_total"], many["moim_messages_stored_total"]), (1001.0, 1001.0));
    assert_eq!(many["moim_publish_duration_seconds_count"], 1001.0);
    assert_eq!(many["moim_publish_duration_seconds_bucket{le=\"+Inf\"}"], 1001.0);
    assert!(many["process_resident_memory_bytes"] > 0.0);
    drop(sockets);
    server.closed_reaches("lost", 10.0).await;
    assert_eq!(server.connections("v1").await, 1.0);
}

#[tokio::test]
async fn it_is_alive_and_ready_and_says_no_more() {
    let server = Server::start().await;
    for (path, text) in [("/livez", "ok\n"), ("/readyz", "ready\n")] {
        let answer = get(server.ops, path).await;
        assert_eq!((answer.status, &*answer.text()), (200, text));
        assert_eq!(get(server.public, path).await.status, 404, "not where people connect");
    }
    for path in ["/", "/chat/r", "/api/v1/rooms/r", "/api/v1/rooms/r/messages", "/ws"] {
        assert_eq!(get(server.ops, path).await.status, 404, "{path}");
    }
}

/// A node of a cluster starts before its Redis and its Cassandra do, and is ready when it can be of use.
#[tokio::test]
async fn a_node_of_a_cluster_boots_without_its_servers() {
    let nobody = "127.0.0.1:1";
    let settings = [
        ("bus.kind", "redis"),
        ("redis.urls", "redis://127.0.0.1:1"),
        ("store.kind", "cassandra"),
        ("cassandra.contact_points", nobody),
    ];
    let server = Server::start_with(&settings).await;
    assert_eq!(get(server.ops, "/livez").await.status, 200);
    let names = parse(&server.metrics().await);
    assert!(names.contains_key("moim_drain_phase"));
    let answer = get(server.public, "/api/v1/rooms/r").await;
    answer.assert_error(503, "unavailable");
}
