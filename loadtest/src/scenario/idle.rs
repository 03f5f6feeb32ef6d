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
const GROWTH_MOST: f64 = 1.1;
const KEPT_MOST: f64 = 0.3;
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

/// Memory at the moments that matter.
struct Moments {
    before: Memory,
    quiet: Memory,
    /// After the first heartbeat, if it was waited for.
    beaten: Option<Memory>,
    left: Memory,
    /// As many members again: what was kept must be used again.
    again: Memory,
}

pub(crate) fn run(args: &IdleArgs, common: &Common) -> Result<Report, Fault> {
    let members = args.members as usize;
    let rooms = args.rooms.map_or(members.div_ceil(MEMBERS_PER_ROOM), |rooms| rooms as usize);
    let server = Server::moim(common.server.as_deref())?;
    let memory = || Memory::of(server.pid());
    let mut fleet = Fleet::new()?;
    fleet.until_quiet(QUIET, &mut Deaf)?;
    let before = memory()?;

    let bar = progress::bar("opening", members);
    let opened = Instant::now();
    open(&server, &mut fleet, args, rooms, &bar)?;
    let open_seconds = opened.elapsed().as_secs_f64();
    fleet.until_quiet(QUIET, &mut Deaf)?;
    let (quiet, mut beaten) = (memory()?, None);
    if !args.quick {
        wait(&mut fleet, &bar, "idle, with a heartbeat", HEARTBEAT.saturating_sub(opened.elapsed()))?;
        fleet.until_quiet(QUIET, &mut Deaf)?;
        beaten = Some(memory()?);
    }
    check_open(&server, members)?;

    fleet.close_all();
    until_gone(&server)?;
    wait(&mut fleet, &bar, "closed", AFTER_CLOSE)?;
    let left = memory()?;

    bar.set_message("opening again");
    open(&server, &mut fleet, args, rooms, &bar)?;
    fleet.until_quiet(QUIET, &mut Deaf)?;
    check_open(&server, members)?;
    let moments = Moments { before, quiet, beaten, left, again: memory()? };
    bar.finish_and_clear();
    Ok(report(members, rooms, open_seconds, &moments))
}

fn open(
    server: &Server,
    fleet: &mut Fleet,
    args: &IdleArgs,
    rooms: usize,
    bar: &ProgressBar,
) -> Result<(), Fault> {
    let requests = (0..args.members as usize).map(|member| {
        let room = format!("idle-{}", member % rooms);
        handshake::request(server.public, &room, &format!("m{member}"), args.profile.into())
    });
    open_all(fleet, server.public, requests, AT_ONCE, &mut Deaf, |open| bar.set_position(open as u64))
}

fn check_open(server: &Server, members: usize) -> Result<(), Fault> {
    let inside = open_connections(server)?;
    if inside == members {
        return Ok(());
    }
    Err(Fault::wrong(format!("{members} members are open, and the server says {inside}")))
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

fn report(members: usize, rooms: usize, open_seconds: f64, moments: &Moments) -> Report {
    let Moments { before, quiet, beaten, left, again } = *moments;
    let idle = beaten.unwrap_or(quiet);
    let grown = |memory: Memory| memory.rss as f64 - before.rss as f64;
    let each = |memory: Memory| grown(memory) / members as f64;
    let returned = 1.0 - grown(left) / grown(idle);
    let row = |name: &str, value: String| (name.to_owned(), value);
    let resident = |name: &str, memory: Memory| {
        row(name, format!("{}, {} a connection", bytes(memory.rss as f64), bytes(each(memory))))
    };
    let mut rows = vec![
        row("members", format!("{members} in {rooms} rooms, opened in {open_seconds:.1} s")),
        row("resident before", bytes(before.rss as f64)),
        resident("resident when quiet", quiet),
    ];
    rows.extend(beaten.map(|memory| resident("resident after a heartbeat", memory)));
    rows.push(row(
        "resident after all left",
        format!("{}: {:.0} % returned", bytes(left.rss as f64), returned * 100.0),
    ));
    rows.push(resident("resident when all are back", again));
    let figures = json!({
        "members": members, "rooms": rooms, "openSeconds": open_seconds,
        "before": before, "quiet": quiet, "afterHeartbeat": beaten, "afterClose": left, "again": again,
        "bytesPerConnectionQuiet": each(quiet), "bytesPerConnection": each(idle),
        "bytesPerConnectionAgain": each(again), "returnedShare": returned,
    });
    let aims = vec![
        Aim::at_most(("bytes a connection", "연결당 바이트"), each(idle), BYTES_PER_CONNECTION_MOST),
        Aim::at_most(("share kept when all have left", "모두 나간 뒤 남은 비율"), 1.0 - returned, KEPT_MOST),
        // What was kept and not used again would be a leak.
        Aim::at_most(
            ("growth of a second time over the first", "첫 번째에 대한 두 번째 증가 비율"),
            grown(again) / grown(idle),
            GROWTH_MOST,
        ),
    ];
    Report { scenario: "idle", rows, figures, aims, broken: None }
}
