//! Rooms that are each entered once, spoken in once and left: what they leave behind in a gateway and in Redis.
//! Not here: rooms that live on (`fanout`, `relay`).

use std::{
    collections::{HashSet, VecDeque},
    io::Write,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use serde_json::{Value, json};

use crate::{
    aim::Aim,
    cli::Common,
    fault::Fault,
    fleet::{Deaf, Fleet, Hear, open_all},
    frame, handshake, interrupt,
    process::Memory,
    progress,
    redis::{Connection, Redis},
    report::{Report, bytes},
    server::Server,
};

/// Rooms that a connection is in at the same time.
const ROOMS_AT_ONCE: usize = 50;
const IDLE_SECONDS: &str = "2";
/// The answer to a message is kept for a minute, and counts of members for two and a half.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(300);
/// The partitions' own keys and those of the node.
const KEYS_LEFT_MOST: f64 = 256.0 * 4.0 + 8.0;
const REDIS_GROWTH_MOST: f64 = 4.0 * 1024.0 * 1024.0;
const KEPT_MOST: f64 = 0.3;
const AGAIN_MOST: f64 = 1.1;
/// What a server gives back it gives back ten seconds later.
const GIVEN_BACK_AFTER: Duration = Duration::from_secs(15);

#[derive(Debug, Args)]
pub(crate) struct RoomsArgs {
    /// Rooms, each touched once
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(100..=10_000_000))]
    rooms: u32,
    /// Connections that touch them
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    members: u32,
    /// The redis-server to start
    #[arg(long, default_value = "redis-server", value_name = "PATH")]
    redis_server: PathBuf,
}

/// Who does what next. A room is entered, spoken in when its history has come, and left when the message has.
#[derive(Default)]
struct Visits {
    next: u32,
    end: u32,
    left: u32,
    /// Rooms that are entered and not spoken in yet.
    entered: HashSet<String>,
    /// How often a member was told to try again.
    again: u32,
    /// Frames to send, by member.
    outbox: VecDeque<(usize, Value)>,
}

impl Visits {
    fn enter(&mut self, member: usize) {
        if self.next < self.end {
            let room = format!("room-{}", self.next);
            self.outbox.push_back((member, json!({"type": "join", "room": room, "username": "m"})));
            self.next += 1;
        }
    }
}

impl Hear for Visits {
    fn text(&mut self, member: usize, payload: &[u8], _: Instant) -> Result<(), Fault> {
        let frame: Value = serde_json::from_slice(payload).unwrap_or_default();
        let room = &frame["room"];
        let name = room.as_str().unwrap_or_default();
        match frame["type"].as_str() {
            Some("history") => {
                self.entered.insert(name.to_owned());
                self.outbox.push_back((member, json!({"type": "message", "room": room, "content": "안녕"})));
            }
            Some("message") => {
                self.entered.remove(name);
                self.outbox.push_back((member, json!({"type": "leave", "room": room})));
                self.left += 1;
                self.enter(member);
            }
            // A busy machine may need more time than a server has patience.
            Some("error") if frame["code"] == "unavailable" || frame["code"] == "overloaded" => {
                self.again += 1;
                let next = match self.entered.contains(name) {
                    true => json!({"type": "message", "room": room, "content": "안녕"}),
                    false => json!({"type": "join", "room": room, "username": "m"}),
                };
                self.outbox.push_back((member, next));
            }
            Some("error") => return Err(Fault::wrong(format!("member {member} was told {frame}"))),
            _ => {}
        }
        Ok(())
    }
}

/// What is held at one moment.
#[derive(Debug, Clone, Copy, serde::Serialize)]
struct Held {
    gateway: Memory,
    redis: f64,
    keys: f64,
}

struct Bench {
    server: Server,
    asking: Connection,
    _redis: Redis,
}

impl Bench {
    fn held(&mut self) -> Result<Held, Fault> {
        let keys = self.asking.ask(&["DBSIZE"])?.parse().unwrap_or_default();
        let redis = self.asking.info("memory", "used_memory")?;
        Ok(Held { gateway: Memory::of(self.server.pid())?, redis, keys })
    }

    fn touch(&mut self, args: &RoomsArgs, first: u32) -> Result<(), Fault> {
        let mut fleet = Fleet::new()?;
        let requests = (0..args.members).map(|_| handshake::request_many(self.server.public));
        open_all(&mut fleet, self.server.public, requests, 64, &mut Deaf, |_| {})?;
        let mut visits = Visits { next: first, end: first + args.rooms, left: 0, ..Visits::default() };
        for member in (0..fleet.len()).cycle().take(fleet.len() * ROOMS_AT_ONCE) {
            visits.enter(member);
        }
        let bar = progress::bar("rooms", args.rooms as usize);
        while visits.left < args.rooms {
            while let Some((member, frame)) = visits.outbox.pop_front() {
                send(&fleet, member, &frame)?;
            }
            fleet.turn(Duration::from_millis(50), &mut visits)?;
            bar.set_position(visits.left.into());
        }
        while let Some((member, frame)) = visits.outbox.pop_front() {
            send(&fleet, member, &frame)?;
        }
        bar.finish_and_clear();
        if visits.again > 0 {
            eprintln!("{} times a member was told to try again", visits.again);
        }
        fleet.until_quiet(Duration::from_secs(1), &mut Deaf)?;
        fleet.close_all();
        Ok(())
    }

    /// Waits until the gateway has no room and Redis no key of one.
    fn silent(&mut self) -> Result<(), Fault> {
        let start = Instant::now();
        loop {
            interrupt::check()?;
            let (rooms, keys) = (self.server.metric("moim_rooms")?, self.held()?.keys);
            if rooms == 0.0 && keys <= KEYS_LEFT_MOST {
                thread::sleep(GIVEN_BACK_AFTER);
                return Ok(());
            }
            if start.elapsed() > SILENCE_TIMEOUT {
                let state = format!("{rooms} rooms in the gateway, {keys} keys in redis");
                return Err(Fault::TooSlow {
                    what: "forgetting rooms that nobody is in",
                    seconds: SILENCE_TIMEOUT.as_secs(),
                    state,
                });
            }
            thread::sleep(Duration::from_millis(500));
        }
    }
}

/// Waits while the server does not read: its rooms are what is measured, not its patience.
fn send(fleet: &Fleet, member: usize, frame: &Value) -> Result<(), Fault> {
    let frame = frame::client_frame(frame::TEXT, frame.to_string().as_bytes());
    let (stream, mut rest) = (fleet.writer(member), &frame[..]);
    while !rest.is_empty() {
        match (&*stream).write(rest) {
            Ok(count) => rest = &rest[count..],
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                thread::sleep(Duration::from_millis(1))
            }
            Err(error) => return Err(Fault::io("sending")(error)),
        }
    }
    Ok(())
}

pub(crate) fn run(args: &RoomsArgs, common: &Common) -> Result<Report, Fault> {
    let redis = Redis::start(&args.redis_server)?;
    let settings = [
        ("MOIM__BUS__KIND", "redis".to_owned()),
        ("MOIM__REDIS__URLS", redis.url()),
        ("MOIM__REDIS__ROOM_IDLE_SECONDS", IDLE_SECONDS.to_owned()),
        ("MOIM__STORE__KIND", "none".to_owned()),
    ];
    let server = Server::moim_with(common.server.as_deref(), &settings)?;
    server.ready()?;
    let mut bench = Bench { server, asking: redis.connect()?, _redis: redis };
    let before = bench.held()?;
    bench.touch(args, 0)?;
    let touched = bench.held()?;
    bench.silent()?;
    let silent = bench.held()?;
    bench.touch(args, args.rooms)?;
    bench.silent()?;
    let again = bench.held()?;
    Ok(report(args, [before, touched, silent, again]))
}

fn report(args: &RoomsArgs, moments: [Held; 4]) -> Report {
    let names = ["before", "all rooms touched", "silent again", "after as many other rooms"];
    let mut rows = vec![("rooms".to_owned(), format!("{} by {} members, twice", args.rooms, args.members))];
    rows.extend(names.iter().zip(&moments).map(|(name, held)| {
        let Held { gateway, redis, keys } = held;
        let value = format!(
            "gateway {} ({} of it anonymous), redis {} in {keys} keys",
            bytes(gateway.rss as f64),
            bytes(gateway.anonymous as f64),
            bytes(*redis)
        );
        ((*name).to_owned(), value)
    }));
    let [before, touched, silent, again] = moments;
    let aims = vec![
        Aim::at_most(("keys left in redis", "Redis에 남은 키"), again.keys, KEYS_LEFT_MOST),
        Aim::at_most(
            ("bytes that redis has grown by", "Redis가 늘어난 바이트"),
            again.redis - before.redis,
            REDIS_GROWTH_MOST,
        ),
        Aim::at_most(
            ("share of the gateway's growth kept in the silence", "조용해진 뒤 남은 게이트웨이 증가분 비율"),
            (silent.gateway.rss as f64 - before.gateway.rss as f64)
                / (touched.gateway.rss as f64 - before.gateway.rss as f64),
            KEPT_MOST,
        ),
        // What was kept and not used again would be a leak.
        Aim::at_most(
            (
                "memory of the gateway after the second time over the first",
                "게이트웨이 메모리, 두 번째의 첫 번째 대비",
            ),
            again.gateway.rss as f64 / silent.gateway.rss as f64,
            AGAIN_MOST,
        ),
    ];
    let figures = json!({
        "rooms": args.rooms, "members": args.members, "before": before, "touched": moments[1],
        "silent": silent, "again": again,
    });
    Report { scenario: "rooms", rows, figures, aims, broken: None }
}
