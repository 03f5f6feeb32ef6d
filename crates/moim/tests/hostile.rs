//! Clients that mean harm, one test each: the server's memory stays bounded, and two bystanders chat on all through it.
//! Not here: slow readers that mean well (`crowd`), limits that a well-behaved client meets (`limits`).

#![allow(clippy::unwrap_used, reason = "a test's helpers are tests, which clippy does not see")]

mod harness;

use std::{io, time::Duration};

use futures_util::{SinkExt, future::join_all};
use harness::{Bystanders, Client, Heard, Server, encode, get, until, within};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};
use tokio_tungstenite::tungstenite::Message;

const MIB: usize = 1024 * 1024;
/// What one hostile client may cost: its outbox of a mebibyte, a message or two of that size, and what the allocator keeps.
const ONE_CLIENT_BYTES_MAX: usize = 24 * MIB;
/// What a room that talks in large messages costs by itself: the rings of recent messages and the store's tables, which are
/// there without any hostile client.
const LARGE_TALK_BYTES_MAX: usize = 48 * MIB;

const LARGE_BYTES: usize = 128 * 1024;
/// What answers larger than an outbox may hold over the whole node (`budget.rs` of the gateway).
const LARGE_ANSWERS_BYTES_MAX: usize = 256 * MIB;

/// A masked frame header as clients send it; the mask is zero, so payloads go as they are.
fn header(first: u8, length: u64) -> Vec<u8> {
    let mut bytes = vec![first];
    match length {
        0..=125 => bytes.push(0x80 | length as u8),
        126..=0xFFFF => {
            bytes.push(0x80 | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        _ => {
            bytes.push(0x80 | 127);
            bytes.extend(length.to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes
}

const TEXT_FIN: u8 = 0x81;
const TEXT: u8 = 0x01;
const CONTINUATION: u8 = 0x00;
const PING: u8 = 0x89;

/// A WebSocket whose bytes the test writes itself.
async fn raw_socket(server: &Server, room: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.public).await.unwrap();
    let request = format!(
        "GET /chat/{}?username=x HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        encode(room),
        server.public
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(within("the 101", stream.read_u8()).await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    stream
}

/// Writes as fast as the server takes it, until it is done or the server has had enough.
async fn write_until_refused(stream: &mut TcpStream, bytes: &[u8], times: usize) -> io::Result<()> {
    for _ in 0..times {
        within("writing", stream.write_all(bytes)).await?;
    }
    Ok(())
}

/// Reads to the end and answers with the code of the server's close frame, if one came.
async fn close_code(stream: &mut TcpStream) -> Option<u16> {
    let mut bytes = Vec::new();
    // A reset after the close frame is no matter: the frame was read.
    drop(within("the end", stream.read_to_end(&mut bytes)).await);
    let at = bytes.windows(2).rposition(|two| two[0] == 0x88 && usize::from(two[1]) >= 2)?;
    Some(u16::from_be_bytes([*bytes.get(at + 2)?, *bytes.get(at + 3)?]))
}

/// Somebody says so many messages of so many bytes; everyone in the room who reads gets all of it.
async fn talk(server: &Server, room: &str, messages: usize, bytes: usize) {
    let mut talker = Client::v1_joined(server, room, "talker").await;
    let mut listener = Client::v1_joined(server, room, "listener").await;
    let content = "a".repeat(bytes);
    for _ in 0..messages {
        talker.say(&content).await;
        let said = talker.skip_to("message").await;
        assert_eq!(listener.skip_to("message").await, said, "the others hear it, each once and in order");
    }
}

#[tokio::test]
async fn a_reader_that_never_reads_is_dropped() {
    for subprotocol in [Some("moim.v1"), None] {
        let server = Server::start_with(&[("limits.stalled_reader_seconds", "2")]).await;
        let bystanders = Bystanders::start(&server).await;
        let _stalled = Client::slow(&server, "/chat/r?username=stalled", subprotocol).await;
        server.metric_reaches("moim_joins_total", 3.0).await;
        // 12 MiB and more: the kernel's buffers, the outbox, and then some.
        talk(&server, "r", 100, LARGE_BYTES).await;
        server.closed_reaches("slow_reader", 1.0).await;
        until("its place to be free", async || {
            (get(server.public, "/api/v1/rooms/r").await.json()["userCount"] == 0).then_some(())
        })
        .await;
        bystanders.chatted_on(&server, LARGE_TALK_BYTES_MAX + ONE_CLIENT_BYTES_MAX).await;
    }
}

/// Its bound is in bytes, not only in time.
#[tokio::test]
async fn a_reader_that_drips_costs_no_more_than_its_outbox() {
    let server = Server::start_with(&[("limits.stalled_reader_seconds", "3600")]).await;
    let bystanders = Bystanders::start(&server).await;
    let never = Client::slow(&server, "/chat/r?username=never", Some("moim.v1")).await;
    let mut drip = Client::slow(&server, "/chat/r?username=drip", Some("moim.v1")).await.into_stream();
    let dripping = tokio::spawn(async move {
        // A byte now and then, for as long as the server bears it.
        while drip.read_u8().await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
    });
    server.metric_reaches("moim_joins_total", 4.0).await;
    talk(&server, "r", 100, 1_000_000).await;
    assert!(!dripping.is_finished(), "it may read as slowly as it likes");
    bystanders.chatted_on(&server, LARGE_TALK_BYTES_MAX + 2 * ONE_CLIENT_BYTES_MAX).await;
    dripping.abort();
    drop(never);
}

#[tokio::test]
async fn a_flood_of_pings_from_one_who_never_reads_is_ended() {
    let server = Server::start().await;
    let bystanders = Bystanders::start(&server).await;
    let mut flooder = raw_socket(&server, "r").await;
    let ping = [header(PING, 125), vec![b'p'; 125]].concat();
    // 125 MB at most. The server closes long before, and reads no further than its closing handshake allows.
    let refused = write_until_refused(&mut flooder, &ping.repeat(1000), 1000).await;
    assert!(refused.is_err(), "it took a million pings");
    server.closed_reaches("flood", 1.0).await;
    bystanders.chatted_on(&server, ONE_CLIENT_BYTES_MAX).await;
}

#[tokio::test]
async fn a_million_empty_fragments_are_ended() {
    let server = Server::start().await;
    let bystanders = Bystanders::start(&server).await;
    let mut flooder = raw_socket(&server, "r").await;
    flooder.write_all(&[header(TEXT, 1), vec![b'{']].concat()).await.unwrap();
    drop(write_until_refused(&mut flooder, &header(CONTINUATION, 0).repeat(1000), 1000).await);
    server.closed_reaches("flood", 1.0).await;
    assert_eq!(close_code(&mut flooder).await, Some(1008));
    bystanders.chatted_on(&server, ONE_CLIENT_BYTES_MAX).await;
}

#[tokio::test]
async fn a_thousand_half_open_handshakes_are_ended() {
    let server = Server::start().await;
    let bystanders = Bystanders::start(&server).await;
    let openings = (0..1000).map(|number| async move {
        let mut stream = TcpStream::connect(server.public).await.unwrap();
        // Some say nothing at all, some a part of the first line, some of the headers.
        let parts: [&[u8]; 3] =
            [b"", b"GET /chat/r?usern", b"GET /chat/r HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgr"];
        stream.write_all(parts[number % 3]).await.unwrap();
        stream
    });
    let opened = Instant::now();
    let mut half_open = join_all(openings).await;
    let mut min = Client::plain(&server, "r", "민").await;
    min.say("아무렇지도 않다").await;
    assert_eq!(min.frame().await["content"], "아무렇지도 않다");
    let mut drip = TcpStream::connect(server.public).await.unwrap();
    let dripping = async {
        // A byte every half second does not buy more time.
        for byte in b"GET /chat/r?username=drip HTTP/1.1\r\nHost: 127.0.0.1\r\n".iter().cycle() {
            if drip.write_all(&[*byte]).await.is_err()
                || timeout(Duration::from_millis(500), drip.read_u8()).await.is_ok()
            {
                return;
            }
        }
    };
    let ends = async {
        for stream in &mut half_open {
            let mut answer = Vec::new();
            drop(within("the end of a half-open handshake", stream.read_to_end(&mut answer)).await);
        }
    };
    tokio::join!(ends, within("the end of a dripping one", dripping));
    assert!(opened.elapsed() < Duration::from_secs(25), "{:?}", opened.elapsed());
    bystanders.chatted_on(&server, 48 * MIB).await;
}

#[tokio::test]
async fn a_huge_head_is_refused_quickly() {
    let server = Server::start().await;
    let bystanders = Bystanders::start(&server).await;
    let head = |more: String| format!("GET /chat/r HTTP/1.1\r\nHost: {}\r\n{more}\r\n", server.public);
    let started = Instant::now();
    for head in [
        head(format!("X: {}\r\n", "a".repeat(20 * MIB))),
        head("X: y\r\n".repeat(10_000)),
        head(format!("Sec-WebSocket-Protocol: {}moim.v1\r\n", " ".repeat(32 * 1024))),
        format!("GET /{} HTTP/1.1\r\n", "a".repeat(20 * MIB)),
        "A".repeat(20 * MIB),
        "\r\n".repeat(10 * MIB),
    ] {
        let answer = harness::send_raw(server.public, head.as_bytes()).await.unwrap_or_default();
        let answer = String::from_utf8_lossy(&answer);
        let refused = ["HTTP/1.1 431 ", "HTTP/1.1 400 ", "HTTP/1.1 414 "]
            .iter()
            .any(|status| answer.starts_with(status));
        assert!(refused || answer.is_empty(), "{answer}");
    }
    // One field more than there may be, and spaces within the bound: cheap to read, however they are refused.
    let answer = harness::send_raw(server.public, head("X: y\r\n".repeat(64)).as_bytes()).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 431 "), "{}", String::from_utf8_lossy(&answer));
    let spaces = head(format!(
        "Connection: close\r\nSec-WebSocket-Protocol: a{},{}\r\n",
        " ".repeat(6000),
        ", ".repeat(3000)
    ));
    let answer = harness::send_raw(server.public, spaces.as_bytes()).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 400 "), "{}", String::from_utf8_lossy(&answer));
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    bystanders.chatted_on(&server, ONE_CLIENT_BYTES_MAX).await;
}

#[tokio::test]
async fn a_message_over_the_bound_is_refused_by_its_header() {
    let server = Server::start().await;
    let bystanders = Bystanders::start(&server).await;
    // Not a byte of payload is sent: what is declared is enough.
    for length in [MIB as u64 + 1, 100 * MIB as u64, u64::MAX >> 1] {
        let mut socket = raw_socket(&server, "r").await;
        socket.write_all(&header(TEXT_FIN, length)).await.unwrap();
        assert_eq!(close_code(&mut socket).await, Some(1009), "{length}");
    }
    // Fragments, each of them small.
    let mut socket = raw_socket(&server, "r").await;
    socket.write_all(&[header(TEXT, 60_000), vec![b'a'; 60_000]].concat()).await.unwrap();
    let part = [header(CONTINUATION, 60_000), vec![b'a'; 60_000]].concat();
    drop(write_until_refused(&mut socket, &part, 100).await);
    assert_eq!(close_code(&mut socket).await, Some(1009));
    assert_eq!(server.closed("too_big").await, 4.0);
    // Many that declare the largest message and never send it hold no memory for it.
    let mut many = Vec::new();
    for _ in 0..200 {
        let mut socket = raw_socket(&server, "r").await;
        socket.write_all(&header(TEXT_FIN, MIB as u64)).await.unwrap();
        socket.write_all(b"{").await.unwrap();
        many.push(socket);
    }
    bystanders.chatted_on(&server, ONE_CLIENT_BYTES_MAX).await;
}

#[tokio::test]
async fn broken_frames_are_refused_by_name() {
    let server = Server::start().await;
    let bystanders = Bystanders::start(&server).await;
    let not_utf8 = [header(TEXT_FIN, 14), b"{\"content\":\"\xff\"".to_vec()].concat();
    let surrogate = [header(TEXT, 3), b"\xed\xa0\x80".to_vec(), header(0x80, 0)].concat();
    let cut_short = [header(TEXT_FIN, 1), b"\xea".to_vec()].concat();
    let unmasked = b"\x81\x02{}".to_vec();
    let reserved_bit = header(TEXT_FIN | 0x40, 0);
    let reserved_opcode = header(0x83, 0);
    let long_ping = [header(PING, 126), vec![0; 126]].concat();
    let lone_continuation = header(0x80, 0);
    let close_of_one_byte = [header(0x88, 1), vec![3]].concat();
    for (bytes, code) in [
        (not_utf8, 1007),
        (surrogate, 1007),
        (cut_short, 1007),
        (unmasked, 1002),
        (reserved_bit, 1002),
        (reserved_opcode, 1002),
        (long_ping, 1002),
        (lone_continuation, 1002),
        (close_of_one_byte, 1002),
    ] {
        let mut socket = raw_socket(&server, "r").await;
        socket.write_all(&bytes).await.unwrap();
        assert_eq!(close_code(&mut socket).await, Some(code), "{bytes:02x?}");
    }
    bystanders.chatted_on(&server, ONE_CLIENT_BYTES_MAX).await;
}

#[tokio::test]
async fn deep_json_is_an_error_and_no_more() {
    const LEVELS: usize = 100_000;
    let server = Server::start().await;
    let bystanders = Bystanders::start(&server).await;
    let mut min = Client::plain(&server, "깊은 방", "민").await;
    let deep = format!("{}{}", "[".repeat(LEVELS), "]".repeat(LEVELS));
    let deep_object = format!("{}1{}", "{\"room\":".repeat(LEVELS), "}".repeat(LEVELS));
    for text in [
        &deep,
        &"[".repeat(LEVELS),
        &deep_object,
        &format!("{{\"content\":{deep}}}"),
        &format!("{{\"type\":{deep}}}"),
    ] {
        min.send_text(text).await;
        assert_eq!(min.expect("error").await["message"], "잘못된 메시지 형식입니다.");
    }
    // Unknown fields are ignored, however deep.
    min.send_text(&format!("{{\"content\":\"여기\",\"unknown\":{deep}}}")).await;
    let heard = min.hear().await;
    assert!(matches!(&heard, Heard::Frame(frame) if frame["content"] == "여기"), "{heard:?}");
    let path = "/api/v1/rooms/r/messages";
    let body = format!("{{\"content\":{deep}}}");
    harness::raw(server.public, "POST", path, body.as_bytes()).await.assert_error(400, "bad_frame");
    bystanders.chatted_on(&server, ONE_CLIENT_BYTES_MAX).await;
}

/// Answers that are asked for and never read, as many as there may be at once.
#[tokio::test]
async fn some_who_ask_for_much_and_never_read_are_ended() {
    const ASKERS: usize = 10;
    let server = Server::start().await;
    let bystanders = Bystanders::start(&server).await;
    // More than the ring of recent messages holds, so that pages come from the store.
    talk(&server, "r", 60, LARGE_BYTES).await;
    let page = json!({"type": "history", "limit": 100}).to_string();
    let asking = (0..ASKERS).map(|_| async {
        let mut asker = Client::slow(&server, "/chat/r?username=asker", Some("moim.v1")).await;
        for _ in 0..90 {
            drop(asker.socket.feed(Message::text(page.clone())).await);
        }
        drop(asker.socket.flush().await);
        asker
    });
    let _askers = join_all(asking).await;
    server.closed_reaches("slow_reader", ASKERS as f64).await;
    bystanders.chatted_on(&server, LARGE_ANSWERS_BYTES_MAX + LARGE_TALK_BYTES_MAX).await;
}
