//! Everybody else disconnects in the same moment, from two gateways: how long those who come in just then wait.
//! Not here: connections that end (`hold`), everybody who comes back (`loadtest/scenarios/reconnect-storm.toml`).

use std::{
    net::SocketAddr,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use serde_json::{Value, json};

use crate::{
    aim::Aim,
    cli::Common,
    crowd::{Crowd, MarkKind, Shape},
    fault::Fault,
    hold::Holder,
    http, interrupt, progress,
    redis::Redis,
    report::Report,
    server::Server,
};

const GATEWAYS: usize = 2;
/// Connections of one process: half of what it may have open.
const HELD_BY_ONE: usize = 5_000;
const ROOM: &str = "storm";
const ROOMS: usize = 200;
/// Rooms that people come into and speak in; the others only empty.
const OPEN_ROOMS: usize = 20;
const OPEN_SECONDS: u64 = 180;
const STORM_SECONDS: u64 = 10;
const DELAY_SECONDS_MOST: f64 = 1.0;
/// The promise for those who end without a word.
const COUNTS_SECONDS_MOST: f64 = 10.0;
/// Longer than that with a wrong count is no figure any more.
const COUNTS_TIMEOUT: Duration = Duration::from_secs(60);
/// One in so many of the rooms that empty is watched, so often.
const WATCHED_EACH: usize = 9;
const WATCH_EVERY: Duration = Duration::from_millis(200);
const TURN: Duration = Duration::from_millis(20);

#[derive(Debug, Args)]
pub(crate) struct DisconnectStormArgs {
    /// Connections that end at once, half of them on each gateway
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(200..=36_000))]
    members: u32,
    /// People who come in each second, before and while it happens
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    joins: u32,
    /// Seconds before it happens, which it is held against
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=600))]
    calm_seconds: u32,
    /// The redis-server to start
    #[arg(long, default_value = "redis-server", value_name = "PATH")]
    redis_server: PathBuf,
}

pub(crate) fn run(args: &DisconnectStormArgs, common: &Common) -> Result<Report, Fault> {
    let redis = Redis::start(&args.redis_server)?;
    let settings = [
        ("MOIM__BUS__KIND", "redis".to_owned()),
        ("MOIM__REDIS__URLS", redis.url()),
        ("MOIM__STORE__KIND", "none".to_owned()),
    ];
    let start = || Server::moim_with(common.server.as_deref(), &settings);
    let gateways = [start()?, start()?];
    gateways.iter().try_for_each(Server::ready)?;
    let mut holders = hold(args.members as usize, &gateways)?;
    let seconds = u64::from(args.calm_seconds) + STORM_SECONDS;
    let mut crowd = Crowd::new(Shape {
        addresses: gateways.iter().map(|gateway| gateway.public).collect(),
        members: OPEN_ROOMS + seconds as usize * args.joins as usize,
        plain: 0,
        rooms: OPEN_ROOMS,
        room_prefix: ROOM.into(),
        slow: 0,
        slow_bytes_per_second: 0,
        bytes: 128,
        seed: common.seed,
    })?;
    crowd_in(&mut crowd)?;
    crowd.begin();
    crowd.timeline.mark(0, "everybody is there", MarkKind::Calm);
    let mut joins = Joins { next: OPEN_ROOMS, period: 1_000_000 / u64::from(args.joins), said: 0 };
    joins.until(&mut crowd, u64::from(args.calm_seconds) * 1_000_000)?;
    let storm = crowd.now();
    crowd.timeline.mark(storm, &format!("{} connections end at once", args.members), MarkKind::Fault);
    holders.iter_mut().for_each(Holder::kill);
    let watch = Watch::start(&gateways);
    joins.until(&mut crowd, seconds * 1_000_000)?;
    let end = crowd.now();
    let counts_seconds = watch.seconds()?;
    check_counts(&gateways, &crowd)?;
    drop(holders);
    report(args, common, &crowd, end, counts_seconds)
}

/// Half of them on each gateway, in processes of their own.
fn hold(members: usize, gateways: &[Server; GATEWAYS]) -> Result<Vec<Holder>, Fault> {
    let each = members / GATEWAYS;
    let mut holders = Vec::new();
    for gateway in gateways {
        let mut left = each;
        while left > 0 {
            let count = left.min(HELD_BY_ONE);
            holders.push(Holder::start(gateway.public, count, ROOMS, ROOM)?);
            left -= count;
        }
    }
    let bar = progress::bar("connections held", members);
    let start = Instant::now();
    let mut waiting: Vec<_> = holders.iter().collect();
    while !waiting.is_empty() {
        interrupt::check()?;
        let mut still = Vec::new();
        for holder in waiting {
            if !holder.is_held()? {
                still.push(holder);
            }
        }
        waiting = still;
        let open: f64 = gateways.iter().map(connections).sum::<Result<f64, Fault>>()?;
        bar.set_position(open as u64);
        if start.elapsed().as_secs() > OPEN_SECONDS {
            let state = format!("{open} of {members} are open");
            return Err(Fault::TooSlow { what: "opening connections", seconds: OPEN_SECONDS, state });
        }
        thread::sleep(Duration::from_millis(200));
    }
    bar.finish_and_clear();
    Ok(holders)
}

fn connections(gateway: &Server) -> Result<f64, Fault> {
    gateway.metric("moim_connections_v1")
}

/// One for each room, who speaks there.
fn crowd_in(crowd: &mut Crowd) -> Result<(), Fault> {
    let start = Instant::now();
    for member in 0..OPEN_ROOMS {
        crowd.enter(member, crowd.now());
    }
    while crowd.present() < OPEN_ROOMS {
        crowd.turn(TURN)?;
        if start.elapsed().as_secs() > OPEN_SECONDS {
            let state = format!("{} of {OPEN_ROOMS} are in", crowd.present());
            return Err(Fault::TooSlow { what: "joining", seconds: OPEN_SECONDS, state });
        }
    }
    Ok(())
}

/// People who come in by the clock, and a message a second in each room.
struct Joins {
    next: usize,
    period: u64,
    said: u64,
}

impl Joins {
    fn until(&mut self, crowd: &mut Crowd, end: u64) -> Result<(), Fault> {
        let say_every = 1_000_000 / OPEN_ROOMS as u64;
        while crowd.now() < end {
            let now = crowd.now();
            while let Some(due) =
                Some((self.next - OPEN_ROOMS) as u64 * self.period).filter(|due| *due <= now)
            {
                if self.next >= crowd.shape().members {
                    break;
                }
                crowd.enter(self.next, due);
                self.next += 1;
            }
            while self.said * say_every <= now {
                crowd.say(self.said * say_every);
                self.said += 1;
            }
            crowd.turn(TURN.min(Duration::from_micros(self.period)))?;
        }
        Ok(())
    }
}

/// Asks some of the rooms that only empty, until they are; in a thread of its own, so that nobody waits for it.
struct Watch(thread::JoinHandle<Result<f64, Fault>>);

impl Watch {
    fn start(gateways: &[Server; GATEWAYS]) -> Self {
        let gateways: Vec<_> = gateways.iter().map(|gateway| gateway.public).collect();
        Self(thread::spawn(move || {
            let start = Instant::now();
            let mut full: Vec<_> = (OPEN_ROOMS..ROOMS).step_by(WATCHED_EACH).collect();
            while !full.is_empty() {
                interrupt::check()?;
                if start.elapsed() > COUNTS_TIMEOUT {
                    return Err(Fault::wrong(format!("nobody is in rooms {full:?}, which say otherwise")));
                }
                let mut still = Vec::new();
                for room in full {
                    if count_of(gateways[room % GATEWAYS], room)? > 0 {
                        still.push(room);
                    }
                }
                full = still;
                thread::sleep(WATCH_EVERY);
            }
            Ok(start.elapsed().as_secs_f64())
        }))
    }

    fn seconds(self) -> Result<f64, Fault> {
        self.0.join().map_err(|_| Fault::wrong("the watch panicked"))?
    }
}

fn count_of(gateway: SocketAddr, room: usize) -> Result<u64, Fault> {
    let answer = http::get(gateway, &format!("/api/v1/rooms/{ROOM}-{room}"))?;
    let counted: Value = serde_json::from_str(&answer).unwrap_or_default();
    counted["userCount"].as_u64().ok_or_else(|| Fault::wrong(format!("room {room} says {answer}")))
}

/// In the end every room must be right, on both gateways. Who came last is known on the other one a moment later.
fn check_counts(gateways: &[Server; GATEWAYS], crowd: &Crowd) -> Result<(), Fault> {
    let start = Instant::now();
    for gateway in gateways {
        loop {
            interrupt::check()?;
            let counts = (0..ROOMS).map(|room| count_of(gateway.public, room));
            let counted: u64 = counts.sum::<Result<u64, Fault>>()?;
            if counted == crowd.present() as u64 {
                break;
            }
            if start.elapsed().as_secs_f64() > COUNTS_SECONDS_MOST {
                let present = crowd.present();
                return Err(Fault::wrong(format!("{present} are in the rooms, which say {counted}")));
            }
            thread::sleep(WATCH_EVERY);
        }
    }
    Ok(())
}

fn report(
    args: &DisconnectStormArgs,
    common: &Common,
    crowd: &Crowd,
    end: u64,
    counts_seconds: f64,
) -> Result<Report, Fault> {
    let mut figures = crowd.timeline.figures(end);
    let stretch = |index: usize, of: &str, key: &str| figures["stretches"][index][of][key].as_f64();
    let missing = || Fault::wrong("nobody came in");
    let calm = stretch(0, "joinMs", "p50").ok_or_else(missing)?;
    let calm_most = stretch(0, "joinMs", "max").ok_or_else(missing)?;
    let storm = stretch(1, "joinMs", "max").ok_or_else(missing)?;
    let (wrong, evidence) = crowd.books.all_wrong();
    let due = crowd.shape().members;
    let row = |name: &str, value: String| (name.to_owned(), value);
    let live = |index: usize| stretch(index, "liveMs", "p99").unwrap_or(f64::NAN);
    let rows = vec![
        row(
            "load",
            format!(
                "{} connections on {GATEWAYS} gateways in {ROOMS} rooms; {} come in each second",
                args.members, args.joins
            ),
        ),
        row("joins, before", format!("p50 {calm:.1} ms, at most {calm_most:.1} ms")),
        row("joins, from that moment on", format!("at most {storm:.1} ms")),
        row("who came in", format!("{} of {due}", crowd.present())),
        row("live p99, before and after", format!("{:.1} ms, {:.1} ms", live(0), live(1))),
        row(
            "all counts right",
            format!("{counts_seconds:.1} s after, in one of {WATCHED_EACH} rooms; in all of them in the end"),
        ),
    ];
    let aims = vec![
        Aim::at_most(
            ("seconds that it delays a join by", "입장을 늦춘 시간(초)"),
            (storm - calm) / 1e3,
            DELAY_SECONDS_MOST,
        ),
        Aim::at_most(
            ("people who did not get in", "들어오지 못한 사람"),
            (due - crowd.present()) as f64,
            0.0,
        ),
        Aim::at_most(
            ("seconds until all counts are right", "모든 인원수가 맞을 때까지(초)"),
            counts_seconds,
            COUNTS_SECONDS_MOST,
        ),
    ];
    let [sent, acked, received, joined, lost] = crowd.timeline.totals();
    let more = json!({
        "name": "disconnect-storm", "members": args.members, "seed": common.seed, "sent": sent, "acked": acked,
        "received": received, "joined": joined, "connectionsLost": lost, "wrong": wrong, "evidence": evidence,
        "joinDelaySeconds": (storm - calm) / 1e3, "countsSeconds": counts_seconds,
    });
    if let (Some(figures), Value::Object(more)) = (figures.as_object_mut(), more) {
        figures.extend(more);
    }
    let broken = evidence.first().map(|first| format!("{wrong} promises broken, the first: {first}"));
    Ok(Report { scenario: "disconnect-storm", rows, figures, aims, broken })
}
