//! `moim-loadtest play`: a scenario from a file, against a server of its own or a cluster that runs.
//! Not here: members (`crowd`), pictures of the outcome (`page`).

mod control;
mod course;
mod file;
mod log;

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
    stats::Delays,
};

use control::Control;
use course::Course;
use file::Scenario;

#[derive(Debug, Args)]
pub(crate) struct PlayArgs {
    /// The scenario, such as loadtest/scenarios/steady.toml
    file: PathBuf,
    /// Where members connect, in turn; none: to a server that is started for it
    #[arg(long = "address", value_name = "HOST:PORT")]
    addresses: Vec<SocketAddr>,
    /// The gateway that is asked for the log in the end; else the first address
    #[arg(long, value_name = "HOST:PORT")]
    gateway: Option<SocketAddr>,
    /// A node of Cassandra that is asked as well, past every gateway
    #[arg(long, value_name = "HOST:PORT", requires = "keyspace")]
    cassandra: Option<String>,
    #[arg(long)]
    keyspace: Option<String>,
    /// Where orders are taken: `mark KIND NAME`, `end`, `phase`
    #[arg(long, value_name = "HOST:PORT")]
    control: Option<SocketAddr>,
    /// Writes the result here as JSON, a broken promise in it or not
    #[arg(long, value_name = "FILE")]
    result: Option<PathBuf>,
    /// Another number of members than the file's
    #[arg(long, value_parser = value_parser!(u32).range(1..))]
    members: Option<u32>,
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
        let mut faults = scenario.faults();
        if scenario.seconds.is_none() && self.control.is_none() {
            faults.push("seconds: must be set where nobody can order the end (--control)".into());
        }
        if faults.is_empty() {
            return Ok(scenario);
        }
        Err(Fault::Usage(format!("{}: {}", self.file.display(), faults.join("; "))))
    }

    fn name(&self) -> String {
        self.file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// What a run came to.
struct Outcome {
    seconds: f64,
    behind: usize,
    figures: Value,
}

pub(crate) fn run(args: &PlayArgs, common: &Common) -> Result<Report, Fault> {
    let scenario = args.scenario()?;
    let control = Control::open(args.control)?;
    let server = match args.addresses.is_empty() {
        true => Some(Server::moim(common.server.as_deref())?),
        false => None,
    };
    let addresses = server.as_ref().map_or_else(|| args.addresses.clone(), |server| vec![server.public]);
    let gateway = args.gateway.unwrap_or(addresses[0]);
    let mut crowd = Crowd::new(shape(&scenario, addresses, common.seed))?;
    let (seconds, behind) = Course::new(&scenario, &control, &mut crowd, common.seed).run()?;
    let is_answered = crowd.is_answered();
    crowd.end();
    let store = args.cassandra.as_deref().zip(args.keyspace.as_deref());
    match log::check(&mut crowd, gateway, store) {
        // What was measured before is a result all the same.
        Err(Fault::Wrong(why)) => crowd.books.wrong(why),
        outcome => outcome?,
    }
    control.enter("done");
    if !is_answered {
        crowd.books.wrong("somebody said something and has no answer in the end".into());
    }
    if behind > 0 {
        crowd.books.wrong(format!("{behind} members are not in their room, or behind it, in the end"));
    }
    let figures = figures(args, &scenario, &crowd, seconds, common.seed);
    let report = report(&Outcome { seconds, behind, figures }, &scenario, &crowd);
    if let Some(path) = &args.result {
        fs::write(path, report.json()).map_err(Fault::io(format!("cannot write {}", path.display())))?;
    }
    Ok(report)
}

fn shape(scenario: &Scenario, addresses: Vec<SocketAddr>, seed: u64) -> Shape {
    // Rooms of another run are others: their logs are read to the end.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis();
    Shape {
        addresses,
        members: scenario.members_in_all(),
        plain: scenario.plain,
        rooms: scenario.rooms,
        room_prefix: format!("play-{now:x}"),
        slow: scenario.slow.as_ref().map_or(0, |slow| slow.members),
        slow_bytes_per_second: scenario.slow.as_ref().map_or(0, |slow| slow.bytes_per_second),
        bytes: scenario.bytes,
        seed,
    }
}

fn figures(args: &PlayArgs, scenario: &Scenario, crowd: &Crowd, seconds: f64, seed: u64) -> Value {
    let [sent, acked, received, joined, lost] = crowd.timeline.totals();
    let (wrong, evidence) = crowd.books.all_wrong();
    let mut silences = Delays::new();
    crowd.silences().for_each(|silence| silences.record(silence));
    let mut figures = crowd.timeline.figures((seconds * 1e6) as u64);
    let more = json!({
        "name": args.name(), "load": scenario, "seed": seed, "seconds": seconds,
        "sent": sent, "acked": acked, "received": received, "joined": joined, "connectionsLost": lost,
        "resent": crowd.books.resent(), "gaps": crowd.books.gaps(), "unrecovered": crowd.books.unrecovered(),
        "errors": crowd.books.errors(), "ends": crowd.books.ends(),
        "silenceMs": silences.percentiles(),
        "wrong": wrong, "evidence": evidence,
    });
    if let (Some(figures), Value::Object(more)) = (figures.as_object_mut(), more) {
        figures.extend(more);
    }
    figures
}

fn report(outcome: &Outcome, scenario: &Scenario, crowd: &Crowd) -> Report {
    let figures = &outcome.figures;
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
                scenario.members, scenario.rooms, scenario.rate, scenario.bytes, outcome.seconds
            ),
        ),
        row("sent, acknowledged, received", counts(figures, &["sent", "acked", "received"])),
        row("joins, connections lost", counts(figures, &["joined", "connectionsLost"])),
        row("told to be missing, not resumed", counts(figures, &["gaps", "unrecovered"])),
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
    let (wrong, evidence) = crowd.books.all_wrong();
    rows.push(row("promises broken", wrong.to_string()));
    rows.extend(evidence.iter().map(|evidence| row("", evidence.clone())));
    let broken = (wrong > 0 || outcome.behind > 0).then(|| {
        format!("{wrong} promises broken, the first: {}", evidence.first().map_or("", String::as_str))
    });
    Report { scenario: "play", rows, figures: figures.clone(), aims: Vec::new(), broken }
}

fn counts(figures: &Value, keys: &[&str]) -> String {
    keys.iter().map(|key| figures[*key].to_string()).collect::<Vec<_>>().join(", ")
}
