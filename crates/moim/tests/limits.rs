//! Limits at their edges: the last that is let in and the first that is not; which pages and hosts may ask at all.
//! Not here: clients that push against them (`hostile`), the edges of frames and pages (`v1_contract`, `http_contract`).

#![allow(clippy::unwrap_used, reason = "a test's helpers are tests, which clippy does not see")]

mod harness;

use harness::{Answer, Client, Server, encode, get, get_with, post, until, within};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const UPGRADE: [(&str, &str); 4] = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

/// Asks for an upgrade that is expected to be refused.
async fn knock(server: &Server, path: &str, headers: &[(&str, &str)]) -> Answer {
    get_with(server.public, path, &[&UPGRADE, headers].concat()).await
}

#[tokio::test]
async fn a_full_server_says_so_before_the_upgrade() {
    let server = Server::start_with(&[("limits.connections_max", "50")]).await;
    let mut inside = Vec::new();
    for _ in 0..50 {
        let mut client = Client::v1(&server, "r", "x").await;
        client.expect("joined").await;
        inside.push(client);
    }
    for answer in [
        knock(&server, "/chat/r", &[]).await,
        knock(&server, "/ws", &[]).await,
        get(server.public, "/").await,
    ] {
        answer.assert_error(503, "server_full");
        let after: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&after), "{after}");
        assert_eq!(answer.json()["error"]["retryAfterMs"], after * 1000);
    }
    assert_eq!(server.connections("v1").await, 50.0);
    // Those inside notice nothing.
    inside[0].say_as("c", "여기는 좋다").await;
    inside[0].skip_to("ack").await;
    assert_eq!(inside[49].skip_to("message").await["content"], "여기는 좋다");
    let mut leaver = inside.pop().unwrap();
    leaver.close(1000).await;
    drop(leaver);
    let next = until("the place that became free", async || {
        Client::connect(server.public, "/chat/r", None).await.ok()
    });
    next.await.expect("history").await;
}

/// A connection that a proxy forwards for an address, held open after its upgrade.
async fn forwarded(server: &Server, address: &str) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(server.public).await.unwrap();
    let fields: String = UPGRADE.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head =
        format!("GET /chat/r HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {address}\r\n{fields}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    within("an answer", stream.read_exact(&mut status)).await.unwrap();
    match &status {
        b"HTTP/1.1 101" => Some(stream),
        b"HTTP/1.1 429" => None,
        _ => panic!("{}", String::from_utf8_lossy(&status)),
    }
}

#[tokio::test]
async fn an_address_has_its_share() {
    let server = Server::start_with(&[("limits.connections_per_address_max", "2")]).await;
    // Loopback is a trusted proxy: not counted itself, but for each client it forwards.
    let mut own = Vec::new();
    for _ in 0..4 {
        own.push(Client::plain(&server, "r", "x").await);
    }
    let first = forwarded(&server, "192.0.2.1").await.unwrap();
    let _second = forwarded(&server, "6.6.6.6, 192.0.2.1").await.unwrap();
    assert!(forwarded(&server, "192.0.2.1").await.is_none());
    assert!(
        forwarded(&server, "7.7.7.7, 192.0.2.1").await.is_none(),
        "what a client writes there is not believed"
    );
    knock(&server, "/chat/r", &[("X-Forwarded-For", "192.0.2.1")]).await.assert_error(429, "address_full");
    assert!(forwarded(&server, "192.0.2.2").await.is_some());
    drop(first);
    until("its place", async || forwarded(&server, "192.0.2.1").await).await;
}

#[tokio::test]
async fn pages_of_other_sites_are_refused() {
    let server = Server::start().await;
    let own = format!("http://{}", server.public);
    for path in ["/chat/r", "/ws"] {
        for origin in
            ["https://evil.example", "null", "http://127.0.0.1.evil.example", "http://localhost@evil.example"]
        {
            knock(&server, path, &[("Origin", origin)]).await.assert_error(403, "origin_refused");
        }
    }
    let body = json!({"content": "남의 페이지에서"});
    let path = "/api/v1/rooms/r/messages";
    post(server.public, path, &[("Origin", "https://evil.example")], &body)
        .await
        .assert_error(403, "origin_refused");
    assert_eq!(post(server.public, path, &[("Origin", &own)], &body).await.status, 201);
    assert_eq!(post(server.public, path, &[("Origin", "http://localhost:3000")], &body).await.status, 201);

    let settings = [("auth.allowed_origins", "https://chat.example"), ("auth.mode", "anonymous")];
    let server = Server::start_with(&settings).await;
    let send = async |origin: &str| post(server.public, path, &[("Origin", origin)], &body).await;
    assert_eq!(send("https://chat.example").await.status, 201);
    for origin in [
        "https://evil.example",
        "http://chat.example",
        "https://chat.example:444",
        "https://chat.example.evil.example",
    ] {
        send(origin).await.assert_error(403, "origin_refused");
    }
}

#[tokio::test]
async fn foreign_host_names_are_refused() {
    let server = Server::start().await;
    let port = server.public.port();
    for host in [&format!("evil.example:{port}"), "evil.example", "127.0.0.1.evil.example", "192.0.2.1", ""] {
        knock(&server, "/chat/r", &[("Host", host)]).await.assert_error(403, "host_refused");
        get_with(server.public, "/", &[("Host", host)]).await.assert_error(403, "host_refused");
    }
    for host in [&format!("localhost:{port}"), "LOCALHOST", "127.0.0.1", "127.8.8.8", "[::1]:80"] {
        assert_eq!(get_with(server.public, "/", &[("Host", host)]).await.status, 200, "{host}");
    }
    let open = Server::start_with(&[("auth.mode", "anonymous")]).await;
    assert_eq!(get_with(open.public, "/", &[("Host", "chat.example")]).await.status, 200);
}

#[tokio::test]
async fn settings_move_the_edges() {
    let server = Server::start_with(&[
        ("limits.message_bytes_max", "128"),
        ("limits.room_name_chars_max", "3"),
        ("limits.username_chars_max", "2"),
        ("limits.rooms_per_connection_max", "1"),
        ("limits.messages_per_second", "5"),
    ])
    .await;
    let path = |room: &str, name: &str| format!("/chat/{}?username={}", encode(room), encode(name));
    knock(&server, &path("네글자방", "민"), &[]).await.assert_error(400, "room_invalid");
    knock(&server, &path("세글자", "김민수"), &[]).await.assert_error(400, "username_invalid");
    let mut min = Client::at(&server, &path("세글자", "민수"), Some("moim.v1")).await;
    min.expect("joined").await;
    min.expect("history").await;
    let of_size = |bytes: usize| {
        json!({"content": "a".repeat(bytes - json!({"content": ""}).to_string().len())}).to_string()
    };
    min.send_text(&of_size(128)).await;
    min.expect("message").await;
    for _ in 0..5 {
        min.send(json!({"type": "ping"})).await;
    }
    assert_eq!(min.skip_to("error").await["code"], "rate_limited");
    min.send_text(&of_size(129)).await;
    while let harness::Heard::Frame(_) = min.hear().await {}
    assert_eq!(server.closed("too_big").await, 1.0);
    let mut many = Client::many(&server).await;
    many.send(json!({"type": "join", "room": "a"})).await;
    many.expect("joined").await;
    many.expect("history").await;
    many.send(json!({"type": "join", "room": "b"})).await;
    many.expect_error("too_many_rooms").await;
}
