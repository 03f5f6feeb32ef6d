//! How many rows a second the embedded store appends on this disk, and how many fsyncs that takes.
//! Not here: anything asserted; it measures and prints.
//!
//! `cargo run --release -p moim-store-fjall --example append_rate -- APPENDERS LINGER_MICROS SECONDS CONTENT_BYTES [FOLDER]`

use std::{
    error::Error,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use moim_protocol::{Epoch, Message, MessageId, RoomId, Seq, Timestamp, UserName};
use moim_store::MessageStore;
use moim_store_fjall::{EmbeddedConfig, EmbeddedStore};

type Failure = Box<dyn Error + Send + Sync>;

fn row(room: &RoomId, seq: u64, content_bytes: usize) -> Arc<Message> {
    let text = "안녕하세요, 오늘 저녁에 시간 되세요? see you at 7 ".chars().cycle().skip(seq as usize % 30);
    let mut content = format!("{seq} ");
    content.extend(text.take(content_bytes / 2));
    Arc::new(Message {
        room: room.clone(),
        seq: Seq(seq),
        prev: Some(Seq(seq - 1)),
        epoch: Epoch::trusted("0197c1f0-6b1e-7d60-a1f5-2f1f3c1c9d77"),
        id: MessageId::trusted(format!("0197c1f0-6b1e-7d60-{seq:016x}")),
        client_id: None,
        username: UserName::trusted("민수"),
        content: content.into(),
        time: Timestamp { micros: 1_700_000_000_000_000 + seq },
    })
}

async fn append(
    store: Arc<EmbeddedStore>,
    nth: usize,
    until: Instant,
    bytes: usize,
) -> Result<Vec<Duration>, Failure> {
    let room = RoomId::trusted(format!("room-{nth}"));
    let mut waits = Vec::new();
    let from = store.head(&room).await?.map_or(1, |head| head.last.seq.0 + 1);
    for seq in from.. {
        let start = Instant::now();
        if start >= until {
            break;
        }
        store.append(vec![row(&room, seq, bytes)]).await?;
        waits.push(start.elapsed());
    }
    Ok(waits)
}

fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.split_whitespace().collect();
    let ticks = |nth: usize| fields.get(nth).and_then(|text| text.parse::<f64>().ok()).unwrap_or(f64::NAN);
    (ticks(13) + ticks(14)) / 100.0
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |nth: usize, default: u64| args.get(nth).map_or(Ok(default), |text| text.parse());
    let (appenders, linger, seconds, bytes) =
        (number(0, 1)?, number(1, 1000)?, number(2, 5)?, number(3, 120)?);
    let temporary = tempfile::tempdir()?;
    let path = args.get(4).map_or(temporary.path().to_owned(), PathBuf::from);
    let mut config = EmbeddedConfig { commit_linger_micros: linger, ..EmbeddedConfig::at(path) };
    config.memtable_bytes = number(5, config.memtable_bytes)?;
    let opening = Instant::now();
    let store = Arc::new(EmbeddedStore::open(config)?);
    let opened = opening.elapsed();
    let start = Instant::now();
    let until = start + Duration::from_secs(seconds);
    let tasks: Vec<_> = (0..appenders)
        .map(|nth| tokio::spawn(append(store.clone(), nth as usize, until, bytes as usize)))
        .collect();
    let mut waits = Vec::new();
    for task in tasks {
        waits.extend(task.await??);
    }
    let took = start.elapsed().as_secs_f64();
    waits.sort();
    let at = |share: f64| waits.get(((waits.len() - 1) as f64 * share) as usize).copied().unwrap_or_default();
    println!(
        "{appenders} appenders, linger {linger} us: {:.0} rows/s, {:.0} fsyncs/s, {:.1} rows a fsync; \
         p50 {:?} p99 {:?} p99.9 {:?} max {:?}; cpu {:.2} cores; opened in {opened:?}",
        waits.len() as f64 / took,
        store.commits() as f64 / took,
        waits.len() as f64 / store.commits() as f64,
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0),
        cpu_seconds() / took,
    );
    store.close().await?;
    Ok(())
}
