//! What a message costs between two gateways: CPU of the one that takes it, of Redis, of the one that shows it; and what
//! the publish script costs beside a bare PUBLISH of as many bytes.
//! Not here: many members of one room (`fanout`), the store's own CPU.

use std::{
    io::Write,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use moim_protocol::Profile;
use serde_json::json;

use crate::{
    cli::Common,
    fault::Fault,
    fleet::{Deaf, Fleet, Hear, open_all},
    frame, handshake,
    ledger::{Ledger, Script, content_of},
    process::Cpu,
    progress,
    redis::{Connection, Redis},
    report::Report,
    server::{Server, migrate},
    stats,
};

const AT_ONCE: usize = 64;
const QUIET: Duration = Duration::from_secs(1);
/// The last that a subscriber waits for.
const END: &str = "end";
const TAIL: Duration = Duration::from_secs(60);
const MESSAGE_BYTES: usize = 128;
/// About what an event of such a message has beside its content.
const EVENT_BYTES: usize = MESSAGE_BYTES + 120;

#[derive(Debug, Args)]
pub(crate) struct RelayArgs {
    /// Messages a second
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    rate: u32,
    /// Rooms, with one sender on the first gateway and one reader on the second in each
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    rooms: u32,
    /// Seconds of one window
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// Windows of each kind
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    windows: u32,
    /// The redis-server to start
    #[arg(long, default_value = "redis-server", value_name = "PATH")]
    redis_server: PathBuf,
    /// A Cassandra to keep the messages in; else nothing keeps them
    #[arg(long, value_name = "HOST:PORT")]
    cassandra: Option<String>,
}

/// Nanoseconds of CPU since the start, and microseconds that Redis counts in scripts and in PUBLISH.
#[derive(Debug, Clone)]
struct Used {
    first: Cpu,
    second: Cpu,
    redis: Cpu,
    scripts: f64,
    publishes: (f64, f64),
}

/// One window, as microseconds.
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Cost {
    first_gateway: f64,
    second_gateway: f64,
    redis: f64,
    scripts: f64,
    publishes: f64,
    publish_calls: f64,
}

impl Cost {
    /// Each part, of two of them.
    fn with(self, other: Self, of: impl Fn(f64, f64) -> f64) -> Self {
        Self {
            first_gateway: of(self.first_gateway, other.first_gateway),
            second_gateway: of(self.second_gateway, other.second_gateway),
            redis: of(self.redis, other.redis),
            scripts: of(self.scripts, other.scripts),
            publishes: of(self.publishes, other.publishes),
            publish_calls: of(self.publish_calls, other.publish_calls),
        }
    }
}

struct Bench {
    redis: Redis,
    asking: Connection,
    servers: [Server; 2],
    fleet: Fleet,
    ledgers: Vec<Ledger>,
    script: Script,
}

/// Readers are the members after the senders.
struct Listener<'a> {
    ledgers: &'a mut [Ledger],
}

impl Hear for Listener<'_> {
    fn text(&mut self, member: usize, payload: &[u8], _: Instant) -> Result<(), Fault> {
        if payload.starts_with(b"{\"type\":\"error\"") {
            return Err(Fault::wrong(format!("member {member}: {}", String::from_utf8_lossy(payload))));
        }
        let rooms = self.ledgers.len();
        if let Some(content) = content_of(payload) {
            self.ledgers[member % rooms].hear(member / rooms, content)?;
        }
        Ok(())
    }
}

pub(crate) fn run(args: &RelayArgs, common: &Common) -> Result<Report, Fault> {
    let mut bench = Bench::start(args, common)?;
    let time = Duration::from_secs(args.seconds.into());
    let bar = progress::bar("idle", args.windows as usize * 2 + 1);
    let idle = bench.measure(|bench| bench.rest(time))?;
    let (mut relayed, mut bare) = (Vec::new(), Vec::new());
    let messages = f64::from(args.rate * args.seconds);
    let (calls, sent) = (bench.calls()?, messages * f64::from(args.windows));
    for _ in 0..args.windows {
        bar.inc(1);
        bar.set_message("relayed");
        let cost = bench.measure(|bench| bench.relay(args.rate, time))?;
        relayed.push(cost.with(idle, |cost, idle| (cost - idle) / messages));
        bar.inc(1);
        bar.set_message("bare");
        let cost = bench.measure(|bench| bench.publish(args.rate, time))?;
        bare.push(cost.with(idle, |cost, idle| (cost - idle) / messages));
    }
    bar.finish_and_clear();
    let calls = bench.calls()? - calls;
    Ok(report(args, &idle, &relayed, &bare, sent / calls))
}

impl Bench {
    fn start(args: &RelayArgs, common: &Common) -> Result<Self, Fault> {
        let redis = Redis::start(&args.redis_server)?;
        let mut settings = vec![("MOIM__BUS__KIND", "redis".to_owned()), ("MOIM__REDIS__URLS", redis.url())];
        match &args.cassandra {
            None => settings.push(("MOIM__STORE__KIND", "none".to_owned())),
            Some(place) => {
                settings.push(("MOIM__STORE__KIND", "cassandra".to_owned()));
                settings.push(("MOIM__CASSANDRA__CONTACT_POINTS", place.clone()));
                settings.push(("MOIM__CASSANDRA__KEYSPACE", format!("moim_relay_{}", std::process::id())));
                settings.push(("MOIM__CASSANDRA__REPLICATION_FACTOR", "1".to_owned()));
                migrate(common.server.as_deref(), &settings)?;
            }
        }
        let start = || Server::moim_with(common.server.as_deref(), &settings);
        let servers = [start()?, start()?];
        servers.iter().try_for_each(Server::ready)?;
        let mut fleet = Fleet::new()?;
        for (server, name) in servers.iter().zip(["sender", "reader"]) {
            let requests = (0..args.rooms)
                .map(|room| handshake::request(server.public, &format!("relay-{room}"), name, Profile::V1));
            open_all(&mut fleet, server.public, requests, AT_ONCE, &mut Deaf, |_| {})?;
        }
        fleet.until_quiet(QUIET, &mut Deaf)?;
        let ledgers = (0..args.rooms).map(|_| Ledger::new(2)).collect();
        let script = Script { seed: common.seed, bytes: MESSAGE_BYTES };
        Ok(Self { asking: redis.connect()?, redis, servers, fleet, ledgers, script })
    }

    fn used(&mut self) -> Result<Used, Fault> {
        Ok(Used {
            first: Cpu::of(self.servers[0].pid())?,
            second: Cpu::of(self.servers[1].pid())?,
            redis: Cpu::of(self.redis.pid())?,
            scripts: self.asking.command_stats("evalsha")?.1,
            publishes: self.asking.command_stats("publish")?,
        })
    }

    fn measure(&mut self, work: impl FnOnce(&mut Self) -> Result<(), Fault>) -> Result<Cost, Fault> {
        let before = self.used()?;
        work(self)?;
        let after = self.used()?;
        let micros = |after: &Cpu, before: &Cpu| after.since(before) as f64 / 1000.0;
        Ok(Cost {
            first_gateway: micros(&after.first, &before.first),
            second_gateway: micros(&after.second, &before.second),
            redis: micros(&after.redis, &before.redis),
            scripts: after.scripts - before.scripts,
            publishes: after.publishes.1 - before.publishes.1,
            publish_calls: after.publishes.0 - before.publishes.0,
        })
    }

    fn calls(&self) -> Result<f64, Fault> {
        self.servers[0].metric("moim_bus_publish_calls_total")
    }

    fn rest(&mut self, time: Duration) -> Result<(), Fault> {
        let start = Instant::now();
        while let Some(rest) = time.checked_sub(start.elapsed()) {
            self.fleet.turn(rest, &mut Deaf)?;
        }
        Ok(())
    }

    /// Sends at the rate, and hears until every member of every room has everything.
    fn relay(&mut self, rate: u32, time: Duration) -> Result<(), Fault> {
        let count = rate * time.as_secs() as u32;
        let rooms = self.ledgers.len() as u32;
        let period = Duration::from_secs(1) / rate;
        let start = Instant::now();
        for nth in 0..count {
            let room = (nth % rooms) as usize;
            let line = self.ledgers[room].say(self.script, 1);
            let json = format!(r#"{{"type":"message","content":"{}"}}"#, self.ledgers[room].line(line.start));
            while let Some(rest) = (period * nth).checked_sub(start.elapsed()) {
                self.fleet.turn(rest, &mut Listener { ledgers: &mut self.ledgers })?;
            }
            let frame = frame::client_frame(frame::TEXT, json.as_bytes());
            (&*self.fleet.writer(room)).write_all(&frame).map_err(Fault::io("sending"))?;
        }
        while !self.ledgers.iter().all(Ledger::is_complete) {
            self.fleet.turn(Duration::from_millis(20), &mut Listener { ledgers: &mut self.ledgers })?;
            if start.elapsed() > time + TAIL {
                let missing = self.ledgers.iter().find(|ledger| !ledger.is_complete()).map(Ledger::missing);
                let state = missing.unwrap_or_default();
                return Err(Fault::TooSlow {
                    what: "hearing everything",
                    seconds: (time + TAIL).as_secs(),
                    state,
                });
            }
        }
        Ok(())
    }

    /// As many bytes to one subscriber, by PUBLISH alone.
    fn publish(&mut self, rate: u32, time: Duration) -> Result<(), Fault> {
        let mut subscriber = self.redis.connect()?;
        subscriber.send(&["SUBSCRIBE", "bare"])?;
        subscriber.read_until(":1")?;
        let heard = thread::spawn(move || subscriber.read_until(END));
        let event = "x".repeat(EVENT_BYTES);
        let mut publisher = self.redis.connect()?;
        let period = Duration::from_secs(1) / rate;
        let start = Instant::now();
        for nth in 0..rate * time.as_secs() as u32 {
            while let Some(rest) = (period * nth).checked_sub(start.elapsed()) {
                self.fleet.turn(rest, &mut Deaf)?;
            }
            publisher.ask(&["PUBLISH", "bare", &event])?;
        }
        publisher.ask(&["PUBLISH", "bare", END])?;
        heard.join().map_err(|_| Fault::wrong("the subscriber panicked"))?
    }
}

fn report(args: &RelayArgs, idle: &Cost, relayed: &[Cost], bare: &[Cost], batch: f64) -> Report {
    let middle = |costs: &[Cost], of: fn(&Cost) -> f64| {
        stats::median(&costs.iter().map(of).collect::<Vec<_>>()).unwrap_or_default()
    };
    let (scripts, publishes) = (middle(relayed, |cost| cost.scripts), middle(bare, |cost| cost.publishes));
    let (redis, bare_redis) = (middle(relayed, |cost| cost.redis), middle(bare, |cost| cost.redis));
    let (first, second) =
        (middle(relayed, |cost| cost.first_gateway), middle(relayed, |cost| cost.second_gateway));
    let row = |name: &str, value: String| (name.to_owned(), value);
    let seconds = f64::from(args.seconds);
    let kept = args.cassandra.as_ref().map_or("nowhere", |_| "in Cassandra, by writers on both gateways");
    let rows = vec![
        row(
            "load",
            format!("{} messages/s of {MESSAGE_BYTES} B in {} rooms, kept {kept}", args.rate, args.rooms),
        ),
        row("windows", format!("{} of {} s each way", args.windows, args.seconds)),
        row("messages in one call to redis", format!("{batch:.2}")),
        row("gateway that takes it", format!("{first:.1} us CPU a message (with its own reader)")),
        row("gateway that shows it", format!("{second:.1} us CPU a message")),
        row("redis, all it does", format!("{redis:.1} us CPU a message, {bare_redis:.1} for a bare PUBLISH")),
        row("redis, inside scripts", format!("{scripts:.1} us a message")),
        row("redis, inside a bare PUBLISH", format!("{publishes:.1} us")),
        row(
            "nothing said",
            format!(
                "{:.0}, {:.0} us CPU a second in the gateways, {:.0} in redis (subtracted above)",
                idle.first_gateway / seconds,
                idle.second_gateway / seconds,
                idle.redis / seconds
            ),
        ),
    ];
    let figures = json!({
        "rate": args.rate, "rooms": args.rooms, "isStored": args.cassandra.is_some(), "messagesPerCall": batch,
        "idle": idle, "relayed": relayed, "bare": bare,
        "redisRatio": redis / bare_redis, "scriptRatio": scripts / publishes,
    });
    Report { scenario: "relay", rows, figures, aims: Vec::new(), broken: None }
}
