//! A room that everyone enters at once: how long until each knows what was said and how many are here, and in how few
//! frames.
//! Not here: members who come back with a cursor.

mod arrival;

use std::time::{Duration, Instant};

use arrival::Arrivals;
use clap::Args;
use moim_protocol::{Profile, limits};
use serde_json::{Value, json};

use crate::{
    aim::Aim, cli::Common, fault::Fault, fleet::Fleet, handshake, http, ledger::Script, process::Cpu,
    progress, report::Report, server::Server,
};

const ROOM: &str = "storm";
const MESSAGE_BYTES: usize = 128;
const JOINED_SECONDS_MOST: f64 = 2.0;
const GIVE_UP_SECONDS: u64 = 60;
/// Longer than notices are held back to be merged: what comes later than that would be a fault.
const QUIET: Duration = Duration::from_millis(2500);

#[derive(Debug, Args)]
pub(crate) struct JoinStormArgs {
    /// Connections that enter
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=16_000))]
    members: u32,
    /// Messages that were said before
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    history: u32,
}

pub(crate) fn run(args: &JoinStormArgs, common: &Common) -> Result<Report, Fault> {
    let server = Server::moim(common.server.as_deref())?;
    let script = Script { seed: common.seed, bytes: MESSAGE_BYTES };
    for index in 0..args.history {
        let body = json!({ "username": "before", "content": script.line(index) }).to_string();
        http::post(server.public, &format!("/api/v1/rooms/{ROOM}/messages"), &body)?;
    }
    let told = args.history.min(limits::HISTORY_ON_JOIN as u32);
    let history = (args.history - told..args.history).map(|index| script.line(index)).collect();
    let members = args.members as usize;
    let mut fleet = Fleet::new()?;
    let before = Cpu::of(server.pid())?;
    let start = Instant::now();
    let mut arrivals = Arrivals::new(members, history, start);
    for member in 0..members {
        let request = handshake::request(server.public, ROOM, &format!("m{member}"), Profile::V1);
        fleet.connect(server.public, request)?;
    }
    let bar = progress::bar("arrived", members);
    while !arrivals.is_complete() {
        fleet.turn(Duration::from_millis(50), &mut arrivals)?;
        bar.set_position(arrivals.arrived() as u64);
        if start.elapsed().as_secs() >= GIVE_UP_SECONDS {
            return Err(Fault::TooSlow {
                what: "entering",
                seconds: GIVE_UP_SECONDS,
                state: arrivals.state(),
            });
        }
    }
    let cpu_nanos = Cpu::of(server.pid())?.since(&before);
    fleet.until_quiet(QUIET, &mut arrivals)?;
    bar.finish_and_clear();
    if !arrivals.is_complete() {
        return Err(Fault::wrong(format!("a count went wrong again: {}", arrivals.state())));
    }
    check_room(&server, members)?;
    report(members, args.history, &arrivals, cpu_nanos)
}

/// The room itself must say the same number.
fn check_room(server: &Server, members: usize) -> Result<(), Fault> {
    let answer = http::get(server.public, &format!("/api/v1/rooms/{ROOM}"))?;
    let room: Value = serde_json::from_str(&answer).unwrap_or_default();
    if room["userCount"].as_u64() == Some(members as u64) {
        return Ok(());
    }
    Err(Fault::wrong(format!("{members} are in the room, and it says {answer}")))
}

fn report(members: usize, history: u32, arrivals: &Arrivals, cpu_nanos: u64) -> Result<Report, Fault> {
    let timeline = arrivals.timeline();
    let frames_mean = timeline.frames_total as f64 / members as f64;
    // Joined, history, and for each second that it took the notices of one second and the merged one.
    let seconds = timeline.counted_seconds.ceil() + 1.0;
    let frames_most = 2.0 + seconds * f64::from(limits::NOTICES_PER_SECOND + 1);
    if timeline.frames_max as f64 > frames_most {
        return Err(Fault::wrong(format!(
            "a member heard {} frames, and merged notices are {frames_most} at most",
            timeline.frames_max
        )));
    }
    let cpu_ms = cpu_nanos as f64 / 1e6;
    let row = |name: &str, value: String| (name.to_owned(), value);
    let rows = vec![
        row("members", format!("{members}, after {history} messages")),
        row("handshakes answered", format!("after {:.3} s", timeline.opened_seconds)),
        row(
            "all have joined and history",
            format!(
                "after {:.3} s (half of them {:.3} s)",
                timeline.arrived_seconds, timeline.half_arrived_seconds
            ),
        ),
        row("all know the right count", format!("after {:.3} s", timeline.counted_seconds)),
        row("frames a member", format!("{frames_mean:.1} on average, {} at most", timeline.frames_max)),
        row("server CPU", format!("{cpu_ms:.0} ms, {:.0} us a member", cpu_ms * 1000.0 / members as f64)),
    ];
    let figures = json!({
        "members": members, "history": history, "timeline": timeline,
        "framesMean": frames_mean, "serverCpuMs": cpu_ms,
    });
    let aims = vec![Aim::at_most(
        ("seconds until all have joined and history", "모두 들어와 기록을 받을 때까지(초)"),
        timeline.arrived_seconds,
        JOINED_SECONDS_MOST,
    )];
    Ok(Report { scenario: "join-storm", rows, figures, aims, broken: None })
}
