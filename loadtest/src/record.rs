//! `moim-loadtest record`: members who speak and listen through whatever happens, and write down all of it.
//! Not here: what is made to happen (`cargo xtask drill`), what their records prove (`checker`).

mod book;
mod member;
mod outbox;
mod pulse;
mod settle;
mod wire;

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use clap::{Args, value_parser};
use serde_json::json;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
};

use crate::{checker::Profile, fault::Fault, progress, stats::Percentiles};

use book::{Book, Phase};

/// Members over the wire, with everything they see in a folder.
#[derive(Debug, Args, Clone)]
pub(crate) struct RecordArgs {
    /// Where they connect, in turn: load balancers, or gateways
    #[arg(long = "address", value_name = "HOST:PORT", required = true)]
    addresses: Vec<SocketAddr>,
    /// Gateways that are asked for counts in the end
    #[arg(long = "gateway", value_name = "HOST:PORT")]
    gateways: Vec<SocketAddr>,
    /// The folder for evidence; made if it is not there
    #[arg(long, value_name = "DIR")]
    into: PathBuf,
    /// Members of the v1 profile, who speak and listen
    #[arg(long, default_value_t = 24, value_parser = value_parser!(u32).range(1..=500))]
    members: u32,
    /// Members of the plain profile, who listen
    #[arg(long, default_value_t = 6, value_parser = value_parser!(u32).range(0..=500))]
    plain: u32,
    /// Rooms that they are spread over
    #[arg(long, default_value_t = 4, value_parser = value_parser!(u32).range(1..=200))]
    rooms: u32,
    /// Messages a second, all members together, whatever the answers
    #[arg(long, default_value_t = 60, value_parser = value_parser!(u32).range(1..=5000))]
    rate: u32,
    /// Pages of history asked for a second, all members together
    #[arg(long, default_value_t = 6, value_parser = value_parser!(u32).range(0..=500))]
    pages: u32,
    /// Seconds after which they fall silent; none: until SIGTERM
    #[arg(long)]
    seconds: Option<u64>,
    /// Seconds they wait for answers and for each other after that
    #[arg(long, default_value_t = 90)]
    settle_seconds: u64,
    /// The level asked for: `mixed` draws for each message
    #[arg(long, value_enum, default_value_t = Ack::Mixed)]
    ack: Ack,
    /// Where text, times and jitter come from
    #[arg(skip)]
    seed: u64,
}

/// What a message asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Ack {
    /// What the deployment gives
    Default,
    Wal,
    Stored,
    /// One of the three, drawn
    Mixed,
}

/// What a run came to, beside its records.
#[derive(Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    began_unix_micros: u64,
    seconds: f64,
    sent: u64,
    acked: u64,
    resent: u64,
    unanswered: u64,
    reconnects: u64,
    errors: std::collections::BTreeMap<String, u64>,
    /// From the intended time of the send to the sight of each member, in milliseconds.
    live_ms: Percentiles,
    ack_ms: Percentiles,
    /// How long it took until the counts were right once everybody stayed where they were.
    settle_seconds: f64,
}

/// Set by SIGTERM and SIGINT: fall silent, settle, end.
static ASKED_TO_END: AtomicBool = AtomicBool::new(false);

/// Runs them to their end.
pub(crate) fn run(args: &RecordArgs, seed: u64) -> Result<(), Fault> {
    let args = RecordArgs { seed, ..args.clone() };
    fs::create_dir_all(&args.into).map_err(Fault::io(format!("cannot make {}", args.into.display())))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Fault::io("cannot start a runtime"))?;
    let summary = runtime.block_on(members(&args))?;
    let text = format!("{:#}\n", json!(summary));
    fs::write(args.into.join("summary.json"), &text).map_err(Fault::io("cannot write the summary"))?;
    println!("{text}");
    Ok(())
}

async fn members(args: &RecordArgs) -> Result<Summary, Fault> {
    let book = Arc::new(Book::open(&args.into, args.rooms)?);
    book.enter(Phase::Joining)?;
    let (phase, watched) = watch::channel(Phase::Joining);
    let mut tasks = JoinSet::new();
    for number in 0..args.members + args.plain {
        let profile = if number < args.members { Profile::V1 } else { Profile::Plain };
        let plan = member::Plan::of(args, number, profile);
        tasks.spawn(member::run(plan, book.clone(), watched.clone()));
    }
    listen_to_signals(phase.clone())?;
    everybody_joined(&book, args).await?;
    speak(&book, &phase, args).await?;
    book.enter(Phase::Settling)?;
    phase.send_replace(Phase::Settling);
    let settled = settle::settle(&book, args).await;
    book.enter(Phase::Done)?;
    phase.send_replace(Phase::Done);
    while tasks.join_next().await.is_some() {}
    book.close(settled)
}

/// A drill makes members fall silent and speak again with SIGUSR1 and SIGUSR2.
fn listen_to_signals(phase: watch::Sender<Phase>) -> Result<(), Fault> {
    let kinds = [SignalKind::terminate(), SignalKind::interrupt()];
    for kind in kinds {
        let mut asked = signal(kind).map_err(Fault::io("cannot listen to signals"))?;
        tokio::spawn(async move {
            while asked.recv().await.is_some() {
                ASKED_TO_END.store(true, Ordering::Relaxed);
            }
        });
    }
    for (kind, to) in
        [(SignalKind::user_defined1(), Phase::Silent), (SignalKind::user_defined2(), Phase::Speaking)]
    {
        let mut asked = signal(kind).map_err(Fault::io("cannot listen to signals"))?;
        let phase = phase.clone();
        tokio::spawn(async move {
            while asked.recv().await.is_some() {
                phase.send_if_modified(|now| {
                    let speaks = matches!(now, Phase::Speaking | Phase::Silent);
                    if speaks {
                        *now = to;
                    }
                    speaks
                });
            }
        });
    }
    Ok(())
}

async fn everybody_joined(book: &Book, args: &RecordArgs) -> Result<(), Fault> {
    let wanted = (args.members + args.plain) as usize;
    let bar = progress::bar("members join", wanted);
    let start = Instant::now();
    while book.connected() < wanted && !ASKED_TO_END.load(Ordering::Relaxed) {
        if start.elapsed() > Duration::from_secs(60) {
            let state = format!("{} of {wanted} are in", book.connected());
            return Err(Fault::TooSlow { what: "joining", seconds: 60, state });
        }
        bar.set_position(book.connected() as u64);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bar.finish_and_clear();
    Ok(())
}

async fn speak(book: &Book, phase: &watch::Sender<Phase>, args: &RecordArgs) -> Result<(), Fault> {
    book.enter(Phase::Speaking)?;
    phase.send_replace(Phase::Speaking);
    let start = Instant::now();
    let bar = progress::bar("messages acknowledged", 0);
    let is_over = || args.seconds.is_some_and(|seconds| start.elapsed() >= Duration::from_secs(seconds));
    while !is_over() && !ASKED_TO_END.load(Ordering::Relaxed) {
        let (sent, acked) = book.progress();
        bar.set_length(sent);
        bar.set_position(acked);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bar.finish_and_clear();
    Ok(())
}
