//! Memory of connections that do nothing: what the server holds for each, and what it gives back.
//! Not here: the kernel's socket buffers, which belong to no process.

use std::time::{Duration, Instant};

use clap::Args;
use indicatif::ProgressBar;
use moim_protocol::limits;
use serde_json::json;

use crate::{
    aim::Aim,
    cli::{Common, ProfileName},
    fault::Fault,
    fleet::{Deaf, Fleet, open_all},
    handshake,
    process::Memory,
    progress,
    report::{Report, bytes},
    server::Server,
};

const BYTES_PER_CONNECTION_MOST: f64 = 8192.0;
/// Members of a room when the number of rooms is not named.
const MEMBERS_PER_ROOM: usize = 100;
/// Handshakes on their way.
const AT_ONCE: usize = 128;
const QUIET: Duration = Duration::from_secs(2);
/// After the first heartbeat a connection has done all that idle ones ever do.
const HEARTBEAT: Duration = Duration::from_secs(limits::PING_INTERVAL_SECONDS + 4);
/// Empty rooms linger for a quarter of a minute; what they hold is theirs till then.
const AFTER_CLOSE: Duration = Duration::from_secs(20);
const GONE_TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Debug, Args)]
pub(crate) struct IdleArgs {
    /// Connections; each is one open file on both sides
    #[arg(long, default_value_t = 8000, value_parser = clap::value_parser!(u32).range(1..=18_000))]
    members: u32,
    /// Rooms they are spread over; else one for each 100
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rooms: Option<u32>,
    #[arg(long, value_enum, default_value = "v1")]
    profile: ProfileName,
    /// Do not wait for the first heartbeat
    #[arg(long)]
    quick: bool,
}

pub(crate) fn run(args: &IdleArgs, common: &Common) -> Result<Report, Fault> {
    let members = args.members as usize;
    let rooms = args.rooms.map_or(members.div_ceil(MEMBERS_PER_ROOM), |rooms| rooms as usize);
    let server = Server::moim(common.server.as_deref())?;
    let mut fleet = Fleet::new()?;
    fleet.until_quiet(QUIET, &mut Deaf)?;
    let before = Memory::of(server.pid())?;

    let bar = progress::bar("opening", members);
    let requests = (0..members).map(|member| {
        let room = format!("idle-{}", member % rooms);
        handshake::request(server.public, &room, &format!("m{member}"), args.profile.into())
    });
    let opened = Instant::now();
    open_all(&mut fleet, server.public, requests, AT_ONCE, &mut Deaf, |open| bar.set_position(open as u64))?;
    let open_seconds = opened.elapsed().as_secs_f64();
    fleet.until_quiet(QUIET, &mut Deaf)?;
    let quiet = Memory::of(server.pid())?;
    let mut idle = quiet;
    if !args.quick {
        wait(&mut fleet, &bar, "idle, with a heartbeat", HEARTBEAT.saturating_sub(opened.elapsed()))?;
        fleet.until_quiet(QUIET, &mut Deaf)?;
        idle = Memory::of(server.pid())?;
    }
    let inside = open_connections(&server)?;
    if inside != members {
        return Err(Fault::wrong(format!("{members} members are open, and the server says {inside}")));
    }

    fleet.close_all();
    until_gone(&server)?;
    wait(&mut fleet, &bar, "closed", AFTER_CLOSE)?;
    let after = Memory::of(server.pid())?;
    bar.finish_and_clear();
    Ok(report(members, rooms, open_seconds, [before, quiet, idle, after]))
}

fn wait(fleet: &mut Fleet, bar: &ProgressBar, what: &'static str, time: Duration) -> Result<(), Fault> {
    bar.set_message(what);
    let start = Instant::now();
    while let Some(rest) = time.checked_sub(start.elapsed()) {
        fleet.turn(rest, &mut Deaf)?;
    }
    Ok(())
}

fn open_connections(server: &Server) -> Result<usize, Fault> {
    Ok((server.metric("moim_connections_v1")? + server.metric("moim_connections_plain")?) as usize)
}

fn until_gone(server: &Server) -> Result<(), Fault> {
    let start = Instant::now();
    while open_connections(server)? > 0 {
        crate::interrupt::check()?;
        if start.elapsed() > GONE_TIMEOUT {
            let state = format!("{} are left", open_connections(server)?);
            let seconds = GONE_TIMEOUT.as_secs();
            return Err(Fault::TooSlow { what: "noticing that the members are gone", seconds, state });
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn report(members: usize, rooms: usize, open_seconds: f64, memory: [Memory; 4]) -> Report {
    let [before, quiet, idle, after] = memory;
    let each = |memory: Memory| (memory.rss as f64 - before.rss as f64) / members as f64;
    let kept = after.rss as f64 - before.rss as f64;
    let returned = (idle.rss as f64 - after.rss as f64) / (idle.rss as f64 - before.rss as f64);
    let row = |name: &str, value: String| (name.to_owned(), value);
    let rows = vec![
        row("members", format!("{members} in {rooms} rooms, opened in {open_seconds:.1} s")),
        row("resident before", bytes(before.rss as f64)),
        row(
            "resident when quiet",
            format!("{}, {} a connection", bytes(quiet.rss as f64), bytes(each(quiet))),
        ),
        row(
            "resident after a heartbeat",
            format!("{}, {} a connection", bytes(idle.rss as f64), bytes(each(idle))),
        ),
        row("  anonymous part", bytes(idle.anonymous as f64)),
        row(
            "resident after all left",
            format!("{}: {} kept, {:.0} % returned", bytes(after.rss as f64), bytes(kept), returned * 100.0),
        ),
    ];
    let figures = json!({
        "members": members, "rooms": rooms, "openSeconds": open_seconds,
        "before": before, "quiet": quiet, "idle": idle, "afterClose": after,
        "bytesPerConnectionQuiet": each(quiet), "bytesPerConnection": each(idle),
        "keptBytes": kept, "returnedShare": returned,
    });
    let aims = vec![Aim::at_most("bytes a connection", each(idle), BYTES_PER_CONNECTION_MOST)];
    Report { scenario: "idle", rows, figures, aims }
}
