//! `moim-loadtest play`: a scenario from a file, against a server of its own or a cluster that runs.
//! Not here: members (`crowd`), pictures of the outcome (`page`).

mod control;
mod course;
mod file;
mod found;
mod log;
mod parts;

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use clap::{Args, value_parser};
use serde_json::{Value, json};

use crate::{
    cli::Common,
    crowd::{Crowd, Shape},
    fault::Fault,
    report::Report,
    server::Server,
};

use control::Control;
use course::Course;
use file::Scenario;
use found::Found;
pub(crate) use parts::{PartArgs, run as run_part};

/// What is played against.
#[derive(Debug, Clone, Args)]
struct Place {
    /// Where members connect, in turn; none: to a server that is started for it
    #[arg(long = "address", value_name = "HOST:PORT")]
    addresses: Vec<SocketAddr>,
    /// The gateway that is asked for the log in the end; else the first address
    #[arg(long, value_name = "HOST:PORT")]
    gateway: Option<SocketAddr>,
    /// A node of Cassandra that is asked as well, past every gateway
    #[arg(long, value_name = "HOST:PORT", requires = "keyspace")]
    cassandra: Option<String>,
    /// Where its tables are
    #[arg(long)]
    keyspace: Option<String>,
}

impl Place {
    /// As a process is told of it.
    fn words(&self) -> Vec<String> {
        let addresses = self.addresses.iter().map(|address| ("--address", address.to_string()));
        let gateway = self.gateway.map(|gateway| ("--gateway", gateway.to_string()));
        let cassandra = self.cassandra.clone().map(|cassandra| ("--cassandra", cassandra));
        let keyspace = self.keyspace.clone().map(|keyspace| ("--keyspace", keyspace));
        let words = addresses.chain(gateway).chain(cassandra).chain(keyspace);
        words.flat_map(|(name, value)| [name.to_owned(), value]).collect()
    }
}

#[derive(Debug, Args)]
pub(crate) struct PlayArgs {
    /// The scenario, such as loadtest/scenarios/steady.toml
    file: PathBuf,
    #[command(flatten)]
    place: Place,
    /// Where orders are taken: `mark KIND NAME`, `end`, `phase`
    #[arg(long, value_name = "HOST:PORT")]
    control: Option<SocketAddr>,
    /// Writes the result here as JSON, a broken promise in it or not
    #[arg(long, value_name = "FILE")]
    result: Option<PathBuf>,
    /// Another number of members than the file's
    #[arg(long, value_parser = value_parser!(u32).range(1..))]
    members: Option<u32>,
    /// Processes that share them, each with rooms of its own; else as few as have files enough
    #[arg(long, value_parser = value_parser!(u32).range(1..=file::PROCESSES_MAX as i64))]
    processes: Option<u32>,
    /// Another number of messages a second
    #[arg(long, value_parser = value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Another length
    #[arg(long, value_parser = value_parser!(u64).range(1..))]
    seconds: Option<u64>,
}

impl PlayArgs {
    fn scenario(&self) -> Result<Scenario, Fault> {
        let mut scenario = Scenario::read(&self.file)?;
        scenario.members = self.members.map_or(scenario.members, |members| members as usize);
        scenario.rate = self.rate.unwrap_or(scenario.rate);
        scenario.seconds = self.seconds.or(scenario.seconds);
        let mut faults = scenario.faults(self.processes(&scenario));
        if scenario.seconds.is_none() && self.control.is_none() {
            faults.push("seconds: must be set where nobody can order the end (--control)".into());
        }
        if scenario.processes() > 1 && self.place.addresses.is_empty() {
            faults.push(
                "members: one server has no files for so many either; name several that run (--address)"
                    .into(),
            );
        }
        if faults.is_empty() {
            return Ok(scenario);
        }
        Err(Fault::Usage(format!("{}: {}", self.file.display(), faults.join("; "))))
    }

    fn processes(&self, scenario: &Scenario) -> usize {
        self.processes.map_or(0, |processes| processes as usize).max(scenario.processes())
    }

    fn name(&self) -> String {
        self.file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }
}

pub(crate) fn run(args: &PlayArgs, common: &Common) -> Result<Report, Fault> {
    let scenario = args.scenario()?;
    let control = Control::open(args.control)?;
    let mut place = args.place.clone();
    let server = match place.addresses.is_empty() {
        true => Some(Server::moim(common.server.as_deref())?),
        false => None,
    };
    place.addresses.extend(server.as_ref().map(|server| server.public));
    // Rooms of another run are others: their logs are read to the end.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis();
    let room_prefix = format!("play-{now:x}");
    let found = match &scenario.parts(args.processes(&scenario))[..] {
        [_] => one(&scenario, &place, &room_prefix, &control, common.seed)?,
        parts => parts::play(parts, &place, &room_prefix, &control, common.seed)?,
    };
    control.enter("done");
    let report = report(&scenario, figures(args, &scenario, &found, common.seed), &found);
    if let Some(path) = &args.result {
        fs::write(path, report.json()).map_err(Fault::io(format!("cannot write {}", path.display())))?;
    }
    Ok(report)
}

/// In this process.
fn one(
    scenario: &Scenario,
    place: &Place,
    room_prefix: &str,
    control: &Control,
    seed: u64,
) -> Result<Found, Fault> {
    let gateway = place.gateway.or(place.addresses.first().copied());
    let gateway = gateway.ok_or_else(|| Fault::Usage("there is no --address to play against".into()))?;
    let mut crowd = Crowd::new(shape(scenario, place.addresses.clone(), room_prefix, seed))?;
    let (seconds, behind) = Course::new(scenario, control, &mut crowd, seed).run()?;
    let is_answered = crowd.is_answered();
    crowd.end();
    let store = place.cassandra.as_deref().zip(place.keyspace.as_deref());
    match log::check(&mut crowd, gateway, store) {
        // What was measured before is a result all the same.
        Err(Fault::Wrong(why)) => crowd.books.wrong(why),
        outcome => outcome?,
    }
    if !is_answered {
        crowd.books.wrong("somebody said something and has no answer in the end".into());
    }
    if behind > 0 {
        crowd.books.wrong(format!("{behind} members are not in their room, or behind it, in the end"));
    }
    Ok(Found::of(crowd, seconds))
}

fn shape(scenario: &Scenario, addresses: Vec<SocketAddr>, room_prefix: &str, seed: u64) -> Shape {
    Shape {
        addresses,
        members: scenario.members_in_all(),
        plain: scenario.plain,
        rooms: scenario.rooms,
        room_prefix: room_prefix.to_owned(),
        slow: scenario.slow.as_ref().map_or(0, |slow| slow.members),
        slow_bytes_per_second: scenario.slow.as_ref().map_or(0, |slow| slow.bytes_per_second),
        bytes: scenario.bytes,
        seed,
    }
}

fn figures(args: &PlayArgs, scenario: &Scenario, found: &Found, seed: u64) -> Value {
    let [sent, acked, received, joined, lost] = found.timeline.totals();
    let mut figures = found.timeline.figures((found.seconds * 1e6) as u64);
    let more = json!({
        "name": args.name(), "load": scenario, "processes": args.processes(scenario), "seed": seed,
        "seconds": found.seconds,
        "sent": sent, "acked": acked, "received": received, "joined": joined, "connectionsLost": lost,
        "resent": found.resent, "gaps": found.gaps, "unrecovered": found.unrecovered,
        "errors": found.errors, "ends": found.ends,
        "silenceMs": found.silences.percentiles(),
        "wrong": found.wrong, "evidence": found.evidence,
    });
    if let (Some(figures), Value::Object(more)) = (figures.as_object_mut(), more) {
        figures.extend(more);
    }
    figures
}

fn report(scenario: &Scenario, figures: Value, found: &Found) -> Report {
    let row = |name: &str, value: String| (name.to_owned(), value);
    let millis = |of: &Value| {
        let at = |key: &str| of[key].as_f64().unwrap_or(f64::NAN);
        let [p50, p99, p999, max] = ["p50", "p99", "p999", "max"].map(at);
        format!("p50 {p50:.1}, p99 {p99:.1}, p99.9 {p999:.1}, at most {max:.1}")
    };
    let mut rows = vec![
        row("what", scenario.about.clone()),
        row(
            "load",
            format!(
                "{} members in {} rooms, {} messages/s of {} B for {:.0} s, whatever the answers",
                scenario.members, scenario.rooms, scenario.rate, scenario.bytes, found.seconds
            ),
        ),
        row("sent, acknowledged, received", counts(&figures, &["sent", "acked", "received"])),
        row("joins, connections lost", counts(&figures, &["joined", "connectionsLost"])),
        row("told to be missing, not resumed", counts(&figures, &["gaps", "unrecovered"])),
        row("live ms, from the intended send", millis(&figures["liveMs"])),
        row("answer ms", millis(&figures["ackMs"])),
        row("longest silence of a member, ms", millis(&figures["silenceMs"])),
    ];
    let stretches = figures["stretches"].as_array().map_or(&[][..], Vec::as_slice);
    for stretch in stretches.iter().filter(|_| stretches.len() > 1) {
        let name = match stretch["name"].as_str() {
            Some(name) if !name.is_empty() => name,
            _ => "calm",
        };
        let from = stretch["from"].as_f64().unwrap_or_default();
        rows.push(row(
            &format!("from {from:.0} s: {name}"),
            format!("live ms {}", millis(&stretch["liveMs"])),
        ));
    }
    let Found { wrong, evidence, .. } = found;
    rows.push(row("promises broken", wrong.to_string()));
    rows.extend(evidence.iter().map(|evidence| row("", evidence.clone())));
    let broken = (*wrong > 0).then(|| {
        format!("{wrong} promises broken, the first: {}", evidence.first().map_or("", String::as_str))
    });
    Report { scenario: "play", rows, figures, aims: Vec::new(), broken }
}

fn counts(figures: &Value, keys: &[&str]) -> String {
    keys.iter().map(|key| figures[*key].to_string()).collect::<Vec<_>>().join(", ")
}
