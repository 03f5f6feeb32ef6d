//! `moim-loadtest play` as one calls it: a real server, and members in several processes.
//! Not here: what a scenario can hold (unit tests of `play`), what members make of what they see (unit tests of `crowd`).

use std::{
    error::Error,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

const SECONDS: u64 = 3;
const PATIENCE: Duration = Duration::from_secs(60);

/// 150 members in three processes, who speak fifty times a second.
fn steady() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_moim-loadtest"));
    command.args(["play", concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/steady.toml"), "--json"]).args([
        "--processes",
        "3",
        "--members",
        "150",
        "--rate",
        "50",
    ]);
    command
}

#[test]
fn several_processes_play_one_scenario() -> Result<(), Box<dyn Error>> {
    let output = steady().args(["--seconds", &SECONDS.to_string()]).output()?;
    let (text, told) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    assert!(output.status.success(), "{told}\n{text}");
    let result: Value = serde_json::from_str(&text)?;
    let figures = &result["figures"];
    let number = |figure: &str| figures[figure].as_u64().unwrap_or_default();
    assert_eq!((number("processes"), number("wrong")), (3, 0), "{figures}");
    assert!(number("sent") >= 50 * SECONDS - 6, "each has a share of the rate: {figures}");
    assert_eq!(number("acked"), number("sent"));
    assert!(number("received") >= number("sent"), "whoever speaks hears it, too");
    let present = figures["timeline"][1]["present"].as_u64();
    assert_eq!(present, Some(150), "all of them, in the same second: {figures}");
    Ok(())
}

/// It answers a line by a line.
fn order(control: SocketAddr, line: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(control)?;
    writeln!(stream, "{line}")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.trim().to_owned())
}

#[test]
fn each_process_is_given_every_order() -> Result<(), Box<dyn Error>> {
    let control = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let mut child = steady()
        // It is told when to end; if this test fails first, it ends soon all the same.
        .args(["--seconds", "60", "--control", &control.to_string()])
        .stdout(Stdio::piped())
        .spawn()?;
    let start = Instant::now();
    while !order(control, "phase").is_ok_and(|phase| phase == "speaking") {
        assert!(start.elapsed() < PATIENCE && child.try_wait()?.is_none(), "it does not begin");
        thread::sleep(Duration::from_millis(50));
    }
    for line in ["mark fault all connections break", "cut 1 0.2"] {
        assert_eq!(order(control, line)?, "ok");
    }
    thread::sleep(Duration::from_secs(1));
    assert_eq!(order(control, "end")?, "ok");
    let output = child.wait_with_output()?;
    let text = String::from_utf8(output.stdout)?;
    assert!(output.status.success(), "{text}");
    let figures = &serde_json::from_str::<Value>(&text)?["figures"];
    assert_eq!((&figures["connectionsLost"], &figures["wrong"]), (&150.into(), &0.into()), "{figures}");
    let stretch = &figures["stretches"][1];
    let returns = stretch["returnsMs"].as_array().map(Vec::len);
    assert_eq!((stretch["name"].as_str(), returns), (Some("all connections break"), Some(150)));
    Ok(())
}

#[test]
fn one_server_is_not_asked_for_more_than_it_has_files() -> Result<(), Box<dyn Error>> {
    let output = Command::new(env!("CARGO_BIN_EXE_moim-loadtest"))
        .args(["play", concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/steady.toml"), "--members", "18001"])
        .output()?;
    let told = String::from_utf8(output.stderr)?;
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("--address"), "{told}");
    Ok(())
}
