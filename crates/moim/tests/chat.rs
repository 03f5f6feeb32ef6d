//! `moim chat` as people and scripts use it: the built program against a running server, through pipes and a terminal.
//! Not here: each rule of the client (`moim-chat`), the wire (`v1_contract`).

#![allow(clippy::unwrap_used, reason = "a test's helpers are tests, which clippy does not see")]

mod harness;

use std::{
    env,
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    net::SocketAddr,
    process::{Child, ChildStdin, Command, Output, Stdio},
    sync::mpsc,
    thread,
};

use futures_util::{SinkExt, StreamExt};
use harness::{Client, PATIENCE, Server, encode, get, within};
use rustix::{
    fs::OFlags,
    process::{Pid, Signal, kill_process},
    pty,
    termios::{self, LocalModes, Winsize},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::spawn_blocking};
use tokio_tungstenite::{accept_hdr_async, tungstenite};

/// More than any test waits for. Full: the program waits.
const READ_AHEAD: usize = 10_000;
const EVIL: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}evil\r\n00:00:00 root: fake";

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_moim"));
    let is_ours = |name: &str| name.to_uppercase().starts_with("MOIM");
    for (name, _) in env::vars_os().filter(|(name, _)| is_ours(&name.to_string_lossy())) {
        command.env_remove(name);
    }
    command.arg("chat").args(arguments).env("MOIM_LANG", "en").env("USER", "Mina");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// Sends the text through a pipe and waits for the end.
async fn piped(arguments: &[&str], text: &str) -> Output {
    let (mut child, text) = (command(arguments).spawn().unwrap(), text.to_owned());
    let run = spawn_blocking(move || {
        // Whoever does not read it says why.
        drop(child.stdin.take().unwrap().write_all(text.as_bytes()));
        child.wait_with_output().unwrap()
    });
    within("the end of moim chat", run).await.unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// What the server has of a room, oldest first.
async fn history(server: &Server, room: &str) -> Vec<Value> {
    let path = format!("/api/v1/rooms/{}/messages?limit=100", encode(room));
    let page = get(server.public, &path).await.json();
    page["messages"].as_array().unwrap().clone()
}

fn contents(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["content"].as_str().unwrap()).collect()
}

/// A client that runs; one that a test is done with, or failed beside, does not live on.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A client that follows a room; its lines are read as they come.
struct Tail {
    running: Running,
    lines: mpsc::Receiver<String>,
}

impl Tail {
    fn start(arguments: &[&str]) -> Self {
        let mut child = command(arguments).stdin(Stdio::null()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (hand_over, lines) = mpsc::sync_channel(READ_AHEAD);
        thread::spawn(move || out.lines().map_while(Result::ok).all(|line| hand_over.send(line).is_ok()));
        Self { running: Running(child), lines }
    }

    fn next(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a line of moim chat --tail")
    }

    /// The next line with that in it; the lines before it are given to `each`.
    fn until(&self, word: &str, mut each: impl FnMut(String)) -> String {
        loop {
            let line = self.next();
            if line.contains(word) {
                return line;
            }
            each(line);
        }
    }

    async fn ended_by(mut self, signal: Signal) -> i32 {
        let pid = i32::try_from(self.running.0.id()).ok().and_then(Pid::from_raw).unwrap();
        kill_process(pid, signal).unwrap();
        let ended = spawn_blocking(move || self.running.0.wait().unwrap());
        within("the end of moim chat --tail", ended).await.unwrap().code().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn piped_lines_are_said_in_order_and_acknowledged() {
    let server = Server::start().await;
    let url = url(server.public);
    let output = piped(&["모임 방", "--url", &url, "--name", "봇 1"], "하나\n\ntwo\r\n마지막 줄").await;
    assert_eq!((output.status.code(), told(&output).as_str()), (Some(0), ""));
    let messages = history(&server, "모임 방").await;
    assert_eq!(contents(&messages), ["하나", "two", "마지막 줄"]);
    assert!(messages.iter().all(|message| message["username"] == "봇 1" && message["clientId"].is_string()));

    let output = piped(&["json", "--url", &url, "--json", "--ack", "stored"], "hello\n").await;
    let ack: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&ack["type"], &ack["seq"], &ack["level"]), (&json!("ack"), &json!(1), &json!("stored")));
    assert_eq!(history(&server, "json").await[0]["username"], "Mina", "the login name is the default");
    let nothing = piped(&["empty", "--url", &url], "").await;
    assert_eq!((nothing.status.code(), history(&server, "empty").await.len()), (Some(0), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_goes_on_over_kill_9_with_nothing_lost_and_nothing_twice() {
    let mut server = Server::start_to_be_restarted(&[]).await;
    let url = url(server.public);
    let say = async |server: &Server, numbers: std::ops::Range<u32>| {
        let mut speaker = Client::v1_joined(server, "general", "speaker").await;
        for number in numbers {
            speaker.say_as(&format!("c{number}"), &format!("message {number}.")).await;
            speaker.skip_to("ack").await;
        }
    };
    say(&server, 0..5).await;
    let tail = Tail::start(&["general", "--tail", "--url", &url]);
    let mut heard = Vec::new();
    tail.until("message 4.", |line| heard.push(line));
    for round in 1..4 {
        server.kill_9();
        server.restart().await;
        // It may be back before, between or after these.
        say(&server, round * 5..round * 5 + 5).await;
        tail.until(&format!("message {}.", round * 5 + 4), |line| heard.push(line));
    }
    let numbers: Vec<u32> = heard
        .iter()
        .filter_map(|line| line.split_once("message ")?.1.strip_suffix('.')?.parse().ok())
        .collect();
    let expected: Vec<u32> = (0..19).filter(|number| number % 5 != 4).collect();
    assert_eq!(numbers, expected, "{heard:?}");
    assert_eq!(tail.ended_by(Signal::INT).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn piped_lines_go_on_over_kill_9_with_nothing_lost_and_nothing_twice() {
    let mut server = Server::start_to_be_restarted(&[]).await;
    let mut child = command(&["general", "--url", &url(server.public), "--json"]).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut acks = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut number = 0;
    let mut write = |input: &mut ChildStdin, lines: u32| {
        for _ in 0..lines {
            writeln!(input, "line {number}").unwrap();
            number += 1;
        }
    };
    for _ in 0..3 {
        write(&mut input, 10);
        // Some are acknowledged, some may be on their way, some not sent when it dies.
        for _ in 0..5 {
            acks.next().unwrap().unwrap();
        }
        server.kill_9();
        write(&mut input, 5);
        server.restart().await;
    }
    drop(input);
    let output = spawn_blocking(move || child.wait_with_output().unwrap());
    let output = within("the end of moim chat", output).await.unwrap();
    assert_eq!((output.status.code(), told(&output).as_str()), (Some(0), ""));
    let messages = history(&server, "general").await;
    let expected: Vec<String> = (0..45).map(|number| format!("line {number}")).collect();
    assert_eq!(contents(&messages), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_write_does_nothing_to_a_terminal() {
    let server = Server::start().await;
    let url = url(server.public);
    let tail = Tail::start(&["general", "--tail", "--url", &url]);
    let json = Tail::start(&["general", "--tail", "--json", "--url", &url]);
    // Both follow when they have shown it.
    let mut speaker = Client::v1_joined(&server, "general", "speaker\u{202e}\u{200b}").await;
    speaker.say("begin").await;
    tail.until("begin", drop);
    json.until("begin", drop);
    speaker.say(EVIL).await;
    speaker.say("end").await;
    let mut lines = Vec::new();
    tail.until("end", |line| lines.push(line));
    // Who comes is told of too, whenever that is heard.
    lines.retain(|line| !line.starts_with("-- "));
    assert!(
        lines[0].ends_with("speaker<U+202E><U+200B>: ␛[2J␛]0;owned␇<U+009B>31m<U+202E>evil"),
        "{lines:?}"
    );
    assert_eq!(lines[1], "    | 00:00:00 root: fake");
    let message = json.next();
    let parsed: Value = serde_json::from_str(&message).unwrap();
    assert_eq!(parsed["content"], EVIL, "in JSON nothing is lost");
    for line in lines.iter().chain([&message]) {
        assert!(!line.contains(|c: char| c.is_control() || c == '\u{202e}'), "{line:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_told_with_where_and_what_to_do() {
    let server = Server::start_with(&[("limits.message_bytes_max", "256")]).await;
    let (address, ops) = (url(server.public), url(server.ops));
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (away, long) = (url(free), "x".repeat(300));
    let room = "r".repeat(129);
    let cases: [(&[&str], &str, i32, &[&str]); 6] = [
        (&["--url", "http//x y"], "a\n", 2, &["http//x y", "--url", "http://127.0.0.1:8765"]),
        (&["--url", "http://moim.invalid:1"], "a\n", 1, &["moim.invalid", "not known", "--url"]),
        (&["--url", &ops], "a\n", 1, &[&ops, "does not seem to be moim"]),
        (
            &["--url", &away, "--timeout", "1"],
            "a\nb\n",
            1,
            &["not acknowledged", "\"a\"", "nothing listens at", "`moim`"],
        ),
        (&["--url", &address], &long, 1, &["message too big", "1009"]),
        (&[&room, "--url", &address], "a\n", 1, &["room_invalid"]),
    ];
    for (arguments, text, status, words) in cases {
        let output = piped(arguments, text).await;
        let told = told(&output);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {told}");
        assert!(told.starts_with("moim: "), "{told}");
        for word in words {
            assert!(told.contains(word), "{word} is not in: {told}");
        }
    }
    let tail = piped(&["--tail", "--url", &away], "").await;
    assert_eq!(tail.status.code(), Some(1));
    assert!(told(&tail).contains("nothing listens at"), "{}", told(&tail));
}

/// A server that takes everything and acknowledges nothing: that is no success.
#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::result_large_err, reason = "the error is the library's own")]
async fn silence_is_no_acknowledgement() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let v1 = |_: &_, mut answer: tungstenite::handshake::server::Response| {
                    answer.headers_mut().insert("Sec-WebSocket-Protocol", "moim.v1".parse().unwrap());
                    Ok(answer)
                };
                let mut socket = accept_hdr_async(stream, v1).await.unwrap();
                let joined =
                    json!({"type":"joined","room":"r","epoch":"e","seq":0,"userCount":1,"recovered":true});
                let history = json!({"type":"history","room":"r","messages":[],"complete":true});
                for frame in [joined, history] {
                    socket.send(tungstenite::Message::text(frame.to_string())).await.unwrap();
                }
                while let Some(Ok(_)) = socket.next().await {}
            });
        }
    });
    let output = piped(&["--url", &url(address), "--timeout", "1"], "one\ntwo\n").await;
    let told = told(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(
        told.contains("2 lines were not acknowledged, the first is \"one\"")
            && told.contains("does not answer"),
        "{told}"
    );
}

/// Both ends of a terminal, of which the program has the other.
struct Terminal {
    running: Running,
    keyboard: File,
    shown: mpsc::Receiver<Vec<u8>>,
    so_far: String,
    slave: File,
}

impl Terminal {
    fn start(arguments: &[&str]) -> Self {
        let master = pty::openpt(pty::OpenptFlags::RDWR | pty::OpenptFlags::NOCTTY).unwrap();
        pty::grantpt(&master).unwrap();
        pty::unlockpt(&master).unwrap();
        let name = pty::ptsname(&master, Vec::new()).unwrap();
        let open =
            || rustix::fs::open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY, rustix::fs::Mode::empty());
        let slave = File::from(open().unwrap());
        let size = Winsize { ws_row: 24, ws_col: 60, ws_xpixel: 0, ws_ypixel: 0 };
        termios::tcsetwinsize(&slave, size).unwrap();
        let child = command(arguments)
            .env("TERM", "xterm-256color")
            .env_remove("NO_COLOR")
            .stdin(Stdio::from(slave.try_clone().unwrap()))
            .stdout(Stdio::from(slave.try_clone().unwrap()))
            .spawn()
            .unwrap();
        let keyboard = File::from(master);
        let mut screen = keyboard.try_clone().unwrap();
        let (hand_over, shown) = mpsc::sync_channel(READ_AHEAD);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = screen.read(&mut buffer) {
                if hand_over.send(buffer[..n].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { running: Running(child), keyboard, shown, so_far: String::new(), slave }
    }

    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until that is shown, after what was waited for before.
    fn shows(&mut self, word: &str) {
        loop {
            if let Some((_, rest)) = self.so_far.split_once(word) {
                self.so_far = rest.to_owned();
                return;
            }
            let more = self.shown.recv_timeout(PATIENCE);
            let more = more.unwrap_or_else(|_| panic!("{word:?} is not in {:?}", self.so_far));
            self.so_far += &String::from_utf8_lossy(&more);
        }
    }

    fn hands_over_each_key(&self) -> bool {
        !termios::tcgetattr(&self.slave).unwrap().local_modes.contains(LocalModes::ICANON)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_at_a_terminal_talks_and_leaves_it_as_it_was() {
    let mut server = Server::start_to_be_restarted(&[]).await;
    let mut other = Client::v1_joined(&server, "모임", "민수").await;
    other.say("먼저 온 말").await;
    other.skip_to("message").await;
    let mut person = Terminal::start(&["모임", "--url", &url(server.public), "--name", "민아"]);
    person.shows("먼저 온 말");
    person.shows("2 here");
    assert!(person.hands_over_each_key());

    // A syllable is taken back, and one is put in front.
    person.press("안녕하\u{7f}\u{1b}[H네 ");
    let typing = other.skip_to("typing").await;
    assert_eq!((&typing["username"], &typing["isTyping"]), (&json!("민아"), &json!(true)));
    person.press("\r");
    assert_eq!(other.skip_to("message").await["content"], "네 안녕");
    person.shows("네 안녕");

    other.send(json!({"type": "typing", "isTyping": true})).await;
    person.shows("민수 is typing...");
    other.say(EVIL).await;
    person.shows("␛[2J␛]0;owned␇<U+009B>31m<U+202E>evil");

    server.kill_9();
    person.shows("connection lost");
    person.press("그동안 쓴 말\r");
    person.shows("(sending) 그동안 쓴 말");
    server.restart().await;
    let mut other = Client::v1(&server, "모임", "민수").await;
    loop {
        let frame = other.frame().await;
        let told = frame["messages"].as_array().cloned().unwrap_or_else(|| vec![frame]);
        if told.iter().any(|message| message["content"] == "그동안 쓴 말") {
            break;
        }
    }
    person.shows("connected again");
    person.press("\u{3}");
    let Terminal { mut running, slave, keyboard, shown, .. } = person;
    let ended = spawn_blocking(move || running.0.wait().unwrap());
    assert_eq!(within("the end of moim chat", ended).await.unwrap().code(), Some(0));
    assert!(termios::tcgetattr(&slave).unwrap().local_modes.contains(LocalModes::ICANON | LocalModes::ECHO));
    drop((keyboard, shown));
    let written = history(&server, "모임").await;
    assert_eq!(contents(&written).iter().filter(|content| **content == "그동안 쓴 말").count(), 1);
}
