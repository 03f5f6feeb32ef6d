//! Pages: over jumps and mixed-up epochs with few reads, of large rows, shared by many who ask at once.
//! Not here: what every store must do (`conformance.rs`).

mod cluster;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use cluster::{counts, room, row, row_in, seqs, session, store, store_alone};
use futures_util::future::join_all;
use moim_protocol::{Message, Seq};
use moim_store::{MessageStore, PAGE_BYTES_MAX, PageRange};

const JUMP: u64 = 1 << 32;

/// An epoch that begins in the midst of its base has 366,210 empty buckets below it there, and none of them is looked at.
#[tokio::test]
async fn a_page_over_a_jump_takes_as_few_reads_as_it_has_buckets() {
    let (store, keyspace) = store_alone().await;
    let session = session().await;
    let reads = async || {
        let heads = counts(&session, &keyspace, "room_heads").await;
        let messages = counts(&session, &keyspace, "messages").await;
        assert_eq!((heads.scans, messages.scans), (0, 0), "a scan reads more than one partition");
        (heads.reads, messages.reads)
    };
    let room = room("jump");
    let start = 3_000_000_000;
    let all: Vec<u64> = (start..start + 30).chain(JUMP + start + 30..JUMP + start + 60).collect();
    store.append(all.iter().map(|seq| row(&room, *seq)).collect()).await.expect("append");
    let ranges = [
        (PageRange::Newest, 60, 2),
        (PageRange::Before(Seq(JUMP + start + 30)), 30, 1),
        (PageRange::Before(Seq(JUMP + 5)), 30, 1),
        (PageRange::After(Seq(0)), 60, 2),
        (PageRange::After(Seq(start + 29)), 30, 1),
        (PageRange::After(Seq(JUMP * 9)), 0, 0),
        (PageRange::Before(Seq(7)), 0, 0),
    ];
    for (range, rows, buckets) in ranges {
        let before = reads().await;
        assert_eq!(seqs(&store, &room, range, 100).await.len(), rows, "{range:?}");
        let after = reads().await;
        assert_eq!(
            (after.0 - before.0, after.1 - before.1),
            (1, buckets),
            "{range:?}: reads of heads, of buckets"
        );
    }
}

#[tokio::test]
async fn a_late_row_of_an_old_epoch_takes_its_place_and_is_not_the_head() {
    let store = store().await;
    let room = room("late");
    let rows = |seqs: &[u64]| seqs.iter().map(|seq| row(&room, *seq)).collect::<Vec<_>>();
    store.append(rows(&[1, 2, JUMP + 3])).await.expect("append");
    store.append(rows(&[3])).await.expect("append");
    assert_eq!(seqs(&store, &room, PageRange::Newest, 100).await, [1, 2, 3, JUMP + 3]);
    assert_eq!(seqs(&store, &room, PageRange::After(Seq(2)), 100).await, [3, JUMP + 3]);
    let head = store.head(&room).await.expect("head").expect("a head");
    assert_eq!((head.last.seq, head.last.epoch.as_str()), (Seq(JUMP + 3), "e1"));
}

/// Rooms numbered from a clock may get two epochs within 2^32 numbers.
#[tokio::test]
async fn epochs_that_share_a_base_are_told_apart() {
    let store = store().await;
    let room = room("shared");
    let far = 2_000_000_000;
    let rows = [("z", 5), ("z", 6), ("a", far), ("a", far + 1), ("m", JUMP), ("m", JUMP + 1)];
    store.append(rows.map(|(epoch, seq)| row_in(&room, epoch, seq, "x")).to_vec()).await.expect("append");
    let all: Vec<u64> = rows.map(|(_, seq)| seq).to_vec();
    assert_eq!(seqs(&store, &room, PageRange::Newest, 100).await, all);
    assert_eq!(seqs(&store, &room, PageRange::After(Seq(0)), 100).await, all);
    assert_eq!(seqs(&store, &room, PageRange::Before(Seq(far + 1)), 2).await, [6, far]);
    assert_eq!(seqs(&store, &room, PageRange::After(Seq(5)), 2).await, [6, far]);
    assert_eq!(seqs(&store, &room, PageRange::Before(Seq(far)), 100).await, [5, 6]);
}

/// More epochs than one query brings, several of them on one base.
#[tokio::test]
async fn hundreds_of_epochs_are_paged_without_hole_or_overlap() {
    let store = store().await;
    let room = room("epochs");
    let rows: Vec<_> = (0..200_u64)
        .map(|nth| {
            row_in(&room, &format!("e{:03}", (nth * 93) % 200), nth / 5 * JUMP + nth % 5 * 100_000 + 9, "x")
        })
        .collect();
    let all: Vec<u64> = rows.iter().map(|row| row.seq.0).collect();
    store.append(rows).await.expect("append");
    assert_eq!(seqs(&store, &room, PageRange::Newest, 1000).await, all);
    assert_eq!(seqs(&store, &room, PageRange::After(Seq(0)), 1000).await, all);
    assert_eq!(seqs(&store, &room, PageRange::Before(Seq(all[150])), 90).await, all[60..150]);
    assert_eq!(seqs(&store, &room, PageRange::After(Seq(all[20])), 90).await, all[21..111]);
}

#[tokio::test]
async fn rows_of_a_mebibyte_come_in_pages_of_bounded_bytes() {
    let (store, keyspace) = store_alone().await;
    let session = session().await;
    let room = room("large");
    let content = "가".repeat(1024 * 1024 / 3);
    // Small ones first: what comes is not known from what came.
    let row = |seq| row_in(&room, "e", seq, if seq <= 20 { &content } else { "안녕" });
    for seqs in [1..=10, 11..=20, 21..=40] {
        store.append(seqs.map(row).collect()).await.expect("append");
    }
    let before = counts(&session, &keyspace, "messages").await.reads;
    let page = store.page(&room, PageRange::Newest, 100).await.expect("page");
    let queries = counts(&session, &keyspace, "messages").await.reads - before;
    // In one query, forty rows could be forty mebibytes.
    assert!(queries >= 4, "{queries}");
    let bytes: usize = page.iter().map(|row| row.weight_bytes()).sum();
    assert!(bytes <= PAGE_BYTES_MAX, "{bytes}");
    let got: Vec<u64> = page.iter().map(|row| row.seq.0).collect();
    assert_eq!(got, (14..=40).collect::<Vec<_>>(), "seven of the large ones have space");
    assert_eq!(page, (14..=40).map(row).collect::<Vec<Arc<Message>>>());
    assert_eq!(seqs(&store, &room, PageRange::After(Seq(0)), 100).await, (1..=7).collect::<Vec<_>>());
}

#[tokio::test]
async fn those_who_ask_at_once_share_a_read() {
    let store = store().await;
    let room = room("many");
    store.append((1..=100).map(|seq| row(&room, seq)).collect()).await.expect("append");
    let reads = || store.metric("moim_store_read_duration_seconds_count");
    let before = reads();
    let pages = join_all((0..1000).map(|_| store.page(&room, PageRange::Newest, 100))).await;
    assert!(pages.iter().all(|page| page.as_ref().is_ok_and(|page| page.len() == 100)));
    let made = reads() - before;
    assert!(made <= 2.0, "a thousand questions took {made} reads");
    assert!(store.metric("moim_store_reads_coalesced_total") >= 998.0);
}

/// Promise 5, where it is easiest to break: others read the same page all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_page_is_never_older_than_the_question() {
    let store = store().await;
    let room = room("fresh");
    let done = AtomicBool::new(false);
    let crowd = join_all((0..8).map(|_| async {
        while !done.load(Ordering::Relaxed) {
            seqs(&store, &room, PageRange::Newest, 5).await;
        }
    }));
    let writer = async {
        for seq in 1..=100 {
            store.append(vec![row(&room, seq)]).await.expect("append");
            assert_eq!(seqs(&store, &room, PageRange::Newest, 5).await.last(), Some(&seq));
        }
        done.store(true, Ordering::Relaxed);
    };
    tokio::join!(crowd, writer);
}

/// A caller that goes away stalls nobody who shares its read.
#[tokio::test]
async fn a_dropped_caller_stalls_nobody() {
    let store = store().await;
    let room = room("dropped");
    store.append(vec![row(&room, 1)]).await.expect("append");
    for _ in 0..20 {
        let mut first = store.page(&room, PageRange::Newest, 100);
        assert!(futures_util::poll!(&mut first).is_pending());
        let second = store.page(&room, PageRange::Newest, 100);
        drop(first);
        assert_eq!(second.await.expect("page").len(), 1);
    }
}
