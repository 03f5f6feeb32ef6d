//! What the embedded store keeps over an end of its process: clean, without a word, by kill -9, by a disk that refuses.
//! Not here: the promises every store makes (`conformance.rs`), opening what cannot be opened (`open.rs`).
//!
//! A test that needs a process to kill starts this very program again, for `child` alone.

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use moim_protocol::{ClientId, Epoch, Message, MessageId, RoomId, Seq, Timestamp, UserName};
use moim_store::{MessageStore, PageRange, Retry};
use moim_store_fjall::{EmbeddedConfig, EmbeddedStore};

const WORK: &str = "MOIM_TEST_CHILD_WORK";
const FOLDER: &str = "MOIM_TEST_CHILD_FOLDER";
const MIB: u64 = 1024 * 1024;

fn room(nth: u64) -> RoomId {
    RoomId::trusted(format!("방-{nth}"))
}

/// The row of a number: all of it follows from room and number, so equality finds any damage.
fn row(room: &RoomId, seq: u64, content_bytes: usize) -> Arc<Message> {
    Arc::new(Message {
        room: room.clone(),
        seq: Seq(seq),
        prev: Some(Seq(seq - 1)),
        epoch: Epoch::trusted("an epoch"),
        id: MessageId::trusted(format!("{room}/{seq}")),
        client_id: seq.is_multiple_of(2).then(|| ClientId::trusted(format!("c{seq}"))),
        username: UserName::trusted("민수"),
        content: format!("{room} {seq} ").repeat(content_bytes / (room.as_str().len() + 3)).into(),
        time: Timestamp { micros: 1_700_000_000_000_000 + seq },
    })
}

/// Small memtables, so that a few megabytes go through sealing, sorting and compaction.
fn busy(folder: &Path) -> EmbeddedConfig {
    EmbeddedConfig { memtable_bytes: MIB, ..EmbeddedConfig::at(folder) }
}

fn start(work: &str, folder: &Path, shell_first: &str) -> Child {
    let program = env::current_exe().expect("this program's path");
    Command::new("sh")
        .arg("-c")
        .arg(format!("{shell_first} exec \"$0\" --ignored --exact child --nocapture"))
        .arg(program)
        .env(WORK, work)
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .expect("start the child")
}

/// The whole lines of the child's answers; a line that the kill cut off is none.
fn answered(lines: &mut impl BufRead) -> Option<(String, u64)> {
    let mut line = String::new();
    while lines.read_line(&mut line).expect("read the child") > 0 {
        if let Some((_, answer)) = line.split_once("answered ")
            && let Some((room, seq)) = answer.strip_suffix('\n').and_then(|answer| answer.split_once(' '))
        {
            return Some((room.to_owned(), seq.parse().expect("a number")));
        }
        line.clear();
    }
    None
}

/// All rows of a room, walked through by pages.
async fn whole(store: &EmbeddedStore, room: &RoomId) -> Vec<Arc<Message>> {
    let mut rows: Vec<Arc<Message>> = Vec::new();
    loop {
        let above = PageRange::After(rows.last().map_or(Seq::ZERO, |row| row.seq));
        let page = store.page(room, above, 100).await.expect("page");
        if page.is_empty() {
            return rows;
        }
        rows.extend(page);
    }
}

/// Everything that was answered is there exactly, in order, and what is there beyond it is whole, too.
async fn check(folder: &Path, answers: &BTreeMap<String, u64>, content_bytes: usize) {
    let store = EmbeddedStore::open(busy(folder)).expect("open again");
    for (room, answered) in answers {
        let room = RoomId::trusted(room.as_str());
        let rows = whole(&store, &room).await;
        assert!(rows.len() as u64 >= *answered, "{room}: {answered} answered, {} there", rows.len());
        for (seq, found) in (1..).zip(&rows) {
            assert_eq!(*found, row(&room, seq, content_bytes));
        }
        let head = store.head(&room).await.expect("head").expect("a head");
        assert_eq!(head.last.seq.0, rows.len() as u64);
    }
    store.close().await.expect("close");
}

/// Works until it is killed; every answer becomes a line.
async fn append_for_ever(folder: &Path) {
    let store = Arc::new(EmbeddedStore::open(busy(folder)).expect("open"));
    let appenders = (0..8).map(|nth| {
        let store = store.clone();
        tokio::spawn(async move {
            let room = room(nth);
            let mut last = store.head(&room).await.expect("head").map_or(0, |head| head.last.seq.0);
            loop {
                let next = last + 1 + last % 3;
                let rows = (last + 1..=next).map(|seq| row(&room, seq, 2000)).collect();
                store.append(rows).await.expect("append");
                println!("answered {room} {next}");
                last = next;
            }
        })
    });
    futures_util::future::join_all(appenders).await;
}

/// Fills the disk up to the limit that its shell has set.
async fn fill(folder: &Path) {
    // Memtables so large that all goes to the journal.
    let config = EmbeddedConfig { memtable_bytes: 256 * MIB, ..EmbeddedConfig::at(folder) };
    let store = EmbeddedStore::open(config).expect("open");
    let room = room(0);
    for seq in 1..=100 {
        if let Err(error) = store.append(vec![row(&room, seq, MIB as usize)]).await {
            assert_eq!(error.retry(), Retry::Never, "{error}");
            let again =
                store.append(vec![row(&room, seq, 1)]).await.expect_err("took a row after a failed write");
            assert_eq!(again, error);
            assert_eq!(store.head(&room).await.expect_err("read after a failed write"), error);
            println!("broken: {error}");
            return;
        }
        println!("answered {room} {seq}");
    }
    panic!("100 MiB went through: the limit does not work");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by the other tests, as a process of its own"]
async fn child() {
    let folder = env::var_os(FOLDER).expect("only for the other tests of this file");
    match env::var(WORK).as_deref() {
        Ok("append") => append_for_ever(Path::new(&folder)).await,
        Ok("fill") => fill(Path::new(&folder)).await,
        other => panic!("no such work: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_loses_nothing_that_was_answered() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut answers = BTreeMap::new();
    // The same folder again and again: what one round leaves half done, the next one finds.
    for appends in [1, 40, 700, 1500, 333, 2500] {
        let mut child = start("append", folder.path(), "");
        let mut lines = BufReader::new(child.stdout.take().expect("its output"));
        let mut seen = 0;
        while let Some((room, seq)) = answered(&mut lines) {
            answers.insert(room, seq);
            seen += 1;
            if seen == appends {
                child.kill().expect("kill -9");
            }
        }
        child.wait().expect("its end");
        assert!(seen >= appends, "the child ended by itself");
        check(folder.path(), &answers, 2000).await;
    }
    assert_eq!(answers.len(), 8);
}

/// A file-size limit stands for a disk that refuses: the journal cannot grow beyond 66 MiB.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_write_breaks_the_store_and_what_was_answered_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut child = start("fill", folder.path(), "trap '' XFSZ; ulimit -f $((66 * 2048));");
    let mut lines = BufReader::new(child.stdout.take().expect("its output"));
    let mut answers = BTreeMap::new();
    let mut told = String::new();
    let mut line = String::new();
    while lines.read_line(&mut line).expect("read the child") > 0 {
        if let Some((room, seq)) = answered(&mut line.as_bytes()) {
            answers.insert(room, seq);
        }
        told.push_str(&line);
        line.clear();
    }
    assert!(child.wait().expect("its end").success(), "{told}");
    assert!(told.contains("broken: the store is broken: writing to disk failed"), "{told}");
    assert!(answers.values().sum::<u64>() > 50, "{answers:?}");
    check(folder.path(), &answers, MIB as usize).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reopening_keeps_everything() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut last = 0;
    for turn in 0..6_u64 {
        // Settings may change between two starts.
        let config = EmbeddedConfig { memtable_bytes: (1 + turn) * MIB, ..EmbeddedConfig::at(folder.path()) };
        let store = EmbeddedStore::open(config).expect("open");
        assert_eq!(
            whole(&store, &room(0)).await,
            (1..=last).map(|seq| row(&room(0), seq, 500)).collect::<Vec<_>>()
        );
        let epoch = turn.checked_sub(1).map(|turn| Epoch::trusted(format!("g{turn}")));
        assert_eq!(store.generation(7).await.expect("generation"), epoch);
        store.set_generation(7, Epoch::trusted(format!("g{turn}"))).await.expect("set");
        for _ in 0..20 {
            let next = (last + 1..=last + 100).map(|seq| row(&room(0), seq, 500)).collect();
            store.append(next).await.expect("append");
            last += 100;
        }
        // Every other time it just goes away.
        if turn % 2 == 0 {
            store.close().await.expect("close");
        }
    }
}

/// More at once than the queue to the writer holds: the appends wait, none is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_makes_appends_wait() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = EmbeddedStore::open(EmbeddedConfig::at(folder.path())).expect("open");
    let large = (0..2).map(|nth| (1..=70).map(|seq| row(&room(nth), seq, MIB as usize)).collect());
    let small = (2..5000).map(|nth| vec![row(&room(nth), 1, 10)]);
    let appends = large.chain(small).map(|rows| store.append(rows));
    for outcome in futures_util::future::join_all(appends).await {
        outcome.expect("append");
    }
    assert_eq!(store.head(&room(1)).await.expect("head").map(|head| head.last.seq), Some(Seq(70)));
    assert_eq!(store.head(&room(4999)).await.expect("head").map(|head| head.last.seq), Some(Seq(1)));
    assert!(store.commits() < 1000, "{} commits: appends are not joined", store.commits());
}

/// A part of the journal can go when every keyspace that wrote to it has sorted its rows; `meta` hardly ever does by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_journal_stays_bounded_though_meta_is_hardly_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = EmbeddedConfig { journal_bytes_max: 64 * MIB, ..EmbeddedConfig::at(folder.path()) };
    let store = EmbeddedStore::open(config).expect("open");
    store.set_generation(0, Epoch::trusted("in the journal's first part")).await.expect("set");
    for seq in 1..=400 {
        store.append(vec![row(&room(0), seq, MIB as usize)]).await.expect("append");
    }
    store.close().await.expect("close");
    let files = std::fs::read_dir(folder.path().join("db")).expect("the folder").flatten();
    let journals = files.filter(|file| file.path().extension().is_some_and(|ext| ext == "jnl"));
    let bytes: u64 = journals.map(|file| file.metadata().expect("its size").len()).sum();
    assert!(bytes < 220 * MIB, "{} MiB of journal", bytes / MIB);
}
