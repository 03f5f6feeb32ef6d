//! `moim-loadtest check`: reads the evidence of a run, and the store if it is told where, and says what it proves.
//! Not here: the judgement itself (`checker`).

use std::{
    collections::{BTreeSet, HashSet},
    fs::{self, File},
    io::{BufRead, BufReader, BufWriter, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::Args;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    checker::{self, Away, Evidence, Record, Row, Seen, Verdict, What},
    fault::Fault,
    http,
    rows::Reader,
};

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Everything has healed when the history is read.
const COMPLETE_WITHIN: Duration = Duration::from_secs(10);
/// Shown on a terminal; the file has all.
const SHOWN_MAX: usize = 12;

/// Holds the records of `moim-loadtest record` against the promises.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The folder that `record` wrote; what is read from the store is kept there too
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// A node of Cassandra, to read the rows from; else those of the folder are taken
    #[arg(long, value_name = "HOST:PORT")]
    cassandra: Option<String>,
    /// Where its tables are
    #[arg(long, default_value = "moim")]
    keyspace: String,
    /// Gateways whose history is held against the rows: the first is read upward, the others downward
    #[arg(long = "gateway", value_name = "HOST:PORT")]
    gateways: Vec<SocketAddr>,
    /// Seconds that the store may take to have everything that was acknowledged
    #[arg(long, default_value_t = 60)]
    wait_seconds: u64,
}

/// Prints the verdict as JSON into `verdict.json` and the worst of it on stdout.
pub(crate) fn run(args: &CheckArgs) -> Result<(), Fault> {
    let records: Vec<Record> = read(&args.folder.join("records.jsonl"))?;
    let rows_file = args.folder.join("rows.jsonl");
    if let Some(cassandra) = &args.cassandra {
        let rows = rows_of_store(args, cassandra, &records)?;
        write(&rows_file, &rows)?;
    }
    let rows: Vec<Row> = read(&rows_file)?;
    let served_file = |number: usize| args.folder.join(format!("served-{number}.jsonl"));
    for (number, gateway) in args.gateways.iter().enumerate() {
        let direction = if number == 0 { Direction::Upward } else { Direction::Downward };
        write(&served_file(number), &served(*gateway, &rooms(&records), direction)?)?;
    }
    let files = (0..).map(served_file).take_while(|file| file.exists());
    let served = files.map(|file| read(&file)).collect::<Result<_, _>>()?;
    let away = away(&args.folder)?;
    let verdict = checker::check(&Evidence { records, rows, served, away });
    let text = format!("{:#}\n", serde_json::json!(verdict));
    fs::write(args.folder.join("verdict.json"), text).map_err(Fault::io("cannot write the verdict"))?;
    show(&verdict);
    if verdict.is_clean() {
        return Ok(());
    }
    Err(Fault::wrong(format!(
        "{} violations; all of them: {}",
        verdict.violations.len(),
        args.folder.join("verdict.json").display()
    )))
}

fn show(verdict: &Verdict) {
    println!(
        "sent {}, acknowledged {} ({} as wal), stored {}, delivered {}, pages {} of {} complete, joins {}, \
         told: {} unrecovered, {} gaps",
        verdict.sent,
        verdict.acked,
        verdict.acked_wal,
        verdict.stored,
        verdict.delivered,
        verdict.pages_complete,
        verdict.pages,
        verdict.joins,
        verdict.unrecovered,
        verdict.gaps
    );
    for violation in verdict.violations.iter().take(SHOWN_MAX) {
        let (kind, room, evidence) = (violation.kind, &violation.room, &violation.evidence);
        let member = violation.member.as_deref().unwrap_or("the store");
        let at = violation.at.map_or(String::new(), |at| format!(" at {:.3} s", at as f64 / 1e6));
        println!("  {kind:?} in {room} by {member}{at}: {evidence}");
    }
}

/// When the store was away, in the time of the records: whoever took it away wrote that down by the machine's clock.
fn away(folder: &Path) -> Result<Vec<Away>, Fault> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Began {
        began_unix_micros: u64,
    }
    let file = folder.join("away.jsonl");
    if !file.exists() {
        return Ok(Vec::new());
    }
    let summary = folder.join("summary.json");
    let text =
        fs::read_to_string(&summary).map_err(Fault::io(format!("cannot read {}", summary.display())))?;
    let Began { began_unix_micros: began } = serde_json::from_str(&text)
        .map_err(|error| Fault::Usage(format!("{}: {error}", summary.display())))?;
    let since = |at: u64| at.saturating_sub(began);
    Ok(read::<Away>(&file)?
        .into_iter()
        .map(|away| Away { from: since(away.from), to: since(away.to) })
        .collect())
}

fn rooms(records: &[Record]) -> BTreeSet<String> {
    let of = |record: &Record| match &record.what {
        What::Member { room, .. } => Some(room.clone()),
        _ => None,
    };
    records.iter().filter_map(of).collect()
}

/// Read again until everything acknowledged and everything seen is there and nothing more comes, or the time is over: logs take
/// a moment to drain.
fn rows_of_store(args: &CheckArgs, cassandra: &str, records: &[Record]) -> Result<Vec<Row>, Fault> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Fault::io("cannot start a runtime"))?;
    let wanted = wanted(records);
    runtime.block_on(async {
        let reader = Reader::open(cassandra, &args.keyspace)?;
        let start = Instant::now();
        let mut before = Vec::new();
        loop {
            let mut rows = Vec::new();
            for room in rooms(records) {
                rows.extend(reader.room(&room).await?);
            }
            let has: HashSet<(&str, u64)> =
                rows.iter().map(|row| (row.room.as_str(), row.seen.seq)).collect();
            let is_there = wanted.iter().all(|(room, seq)| has.contains(&(room.as_str(), *seq)));
            if is_there && rows == before || start.elapsed() >= Duration::from_secs(args.wait_seconds) {
                return Ok(rows);
            }
            before = rows;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    })
}

/// Every number that must be in the store.
fn wanted(records: &[Record]) -> HashSet<(String, u64)> {
    let mut room_of = std::collections::HashMap::new();
    let mut wanted = HashSet::new();
    for record in records {
        if let What::Member { room, .. } = &record.what {
            room_of.insert(record.member, room.clone());
        }
        let Some(room) = room_of.get(&record.member) else { continue };
        match &record.what {
            What::Ack { seq, .. } | What::Received(Seen { seq, .. }) => {
                wanted.insert((room.clone(), *seq));
            }
            _ => {}
        }
    }
    wanted
}

#[derive(Deserialize)]
struct Answer {
    messages: Vec<ServedMessage>,
    complete: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServedMessage {
    username: String,
    content: String,
    seq: u64,
    prev: Option<u64>,
    id: String,
    epoch: String,
    client_id: Option<String>,
}

/// Which way a history is read.
#[derive(Clone, Copy)]
enum Direction {
    Upward,
    Downward,
}

/// The whole history of the rooms, as one gateway serves it.
fn served(gateway: SocketAddr, rooms: &BTreeSet<String>, direction: Direction) -> Result<Vec<Row>, Fault> {
    let mut rows = Vec::new();
    for room in rooms {
        let mut cursor = match direction {
            Direction::Upward => "&after=0".to_owned(),
            Direction::Downward => String::new(),
        };
        loop {
            let answer = page(gateway, room, &cursor)?;
            let next = match direction {
                Direction::Upward => answer.messages.last().map(|last| format!("&after={}", last.seq)),
                Direction::Downward => answer.messages.first().map(|first| format!("&before={}", first.seq)),
            };
            // What is incomplete to the end is not taken for served: the checker tells what is missing.
            let Some(next) = next.filter(|_| answer.complete) else { break };
            cursor = next;
            rows.extend(answer.messages.into_iter().map(|message| message.row(room)));
        }
    }
    Ok(rows)
}

/// A page that is incomplete is asked for again for a while: a log may still be on its way into the store.
fn page(gateway: SocketAddr, room: &str, cursor: &str) -> Result<Answer, Fault> {
    let path = format!("/api/v1/rooms/{room}/messages?limit=100{cursor}");
    let start = Instant::now();
    loop {
        let answer: Answer = serde_json::from_str(&http::get(gateway, &path)?)
            .map_err(|error| Fault::wrong(format!("{path} was answered with no page: {error}")))?;
        if answer.complete || start.elapsed() >= COMPLETE_WITHIN {
            return Ok(answer);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

impl ServedMessage {
    fn row(self, room: &str) -> Row {
        let hash = checker::hash(&self.content);
        let Self { username, seq, prev, id, epoch, client_id, .. } = self;
        Row { room: room.to_owned(), seen: Seen { seq, prev, epoch, id, username, client_id, hash } }
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, Fault> {
    let shown = path.display();
    let file = File::open(path).map_err(Fault::io(format!("cannot read {shown}")))?;
    let mut items = Vec::new();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(Fault::io(format!("cannot read {shown}")))?;
        let item = serde_json::from_str(&line)
            .map_err(|error| Fault::Usage(format!("{shown}:{}: {error}", number + 1)))?;
        items.push(item);
    }
    Ok(items)
}

fn write<T: Serialize>(path: &Path, items: &[T]) -> Result<(), Fault> {
    let write = || {
        let mut file = BufWriter::new(File::create(path)?);
        for item in items {
            serde_json::to_writer(&mut file, item)?;
            file.write_all(b"\n")?;
        }
        file.flush()
    };
    write().map_err(Fault::io(format!("cannot write {}", path.display())))
}
