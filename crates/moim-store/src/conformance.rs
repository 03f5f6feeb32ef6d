//! The suite that every [`MessageStore`] must pass: each case is one sentence of the trait.
//! Not here: what only one implementation promises (bounds, reopening, kill -9: beside that implementation).
//!
//! Cases use fresh rooms and partitions, so that they may run at once and again on a database that is shared.

use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use moim_protocol::{
    ClientId, Epoch, Message, MessageId, Position, RoomId, Seq, Timestamp, UserName, limits,
};

use crate::{Head, MessageStore, PAGE_BYTES_MAX, PageRange, Retry};

/// A store for one case.
pub struct Fresh {
    /// The store; it may share its database with others, but nobody else closes it.
    pub store: Arc<dyn MessageStore>,
    /// What must live as long as the store: a temporary folder, a server.
    pub keep: Box<dyn Any + Send>,
}

/// Makes a `#[tokio::test]` of every case. The argument is an expression, evaluated once a case, that gives a future of
/// [`Fresh`](conformance::Fresh): `moim_store::store_suite!(fresh());`
#[macro_export]
macro_rules! store_suite {
    ($fresh:expr) => {
        $crate::store_suite! { @cases $fresh;
            append_is_read_back
            append_twice_is_once
            head_is_the_newest_row
            pages_meet_without_hole_or_overlap
            generation_is_kept_per_partition
            rooms_do_not_mix
            rows_of_many_rooms_in_one_append
            cursors_need_not_exist
            limits_at_their_edges
            every_field_comes_back
            a_mebibyte_of_content_comes_back
            pages_are_bounded_in_bytes
            a_room_never_stored_is_empty
            late_rows_take_their_place
            a_room_that_started_by_the_clock_twice_is_whole
            many_at_once_are_all_kept
            closed_takes_nothing_more
        }
    };
    (@cases $fresh:expr; $($case:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let fresh = $fresh.await;
                $crate::conformance::$case(&fresh.store).await;
            }
        )*
    };
}

/// A number that no other call gives, in this run or in another on the same database.
fn unused() -> u32 {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let since_boot = u32::try_from(now.as_micros() & 0xffff_ffff).unwrap_or_default();
    since_boot.wrapping_add(CALLS.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9))
}

fn room(name: &str) -> RoomId {
    RoomId::trusted(format!("{name}-{:08x}", unused()))
}

/// The usual row of a number: everything in it follows from room and number, so equality finds any mix-up.
fn row(room: &RoomId, seq: u64) -> Arc<Message> {
    Arc::new(Message {
        room: room.clone(),
        seq: Seq(seq),
        prev: Some(Seq(seq - 1)),
        epoch: Epoch::trusted(format!("epoch-{}", seq >> 32)),
        id: MessageId::trusted(format!("{room}/{seq}")),
        client_id: Some(ClientId::trusted(format!("c{seq}"))),
        username: UserName::trusted("민수"),
        content: format!("{seq}번째 메시지 in {room}").into(),
        time: Timestamp { micros: 1_700_000_000_000_000 + (seq & 0xffff_ffff) },
    })
}

fn rows(room: &RoomId, seqs: impl IntoIterator<Item = u64>) -> Vec<Arc<Message>> {
    seqs.into_iter().map(|seq| row(room, seq)).collect()
}

async fn keep(store: &Arc<dyn MessageStore>, rows: Vec<Arc<Message>>) {
    store.append(rows).await.expect("append");
}

async fn page(
    store: &Arc<dyn MessageStore>,
    room: &RoomId,
    range: PageRange,
    limit: usize,
) -> Vec<Arc<Message>> {
    store.page(room, range, limit).await.expect("page")
}

async fn seqs(store: &Arc<dyn MessageStore>, room: &RoomId, range: PageRange, limit: usize) -> Vec<u64> {
    page(store, room, range, limit).await.iter().map(|row| row.seq.0).collect()
}

/// What was answered is read by the next call, in every range, oldest first.
pub async fn append_is_read_back(store: &Arc<dyn MessageStore>) {
    let room = room("read-back");
    for seq in 1..=5 {
        keep(store, rows(&room, [seq])).await;
        assert_eq!(page(store, &room, PageRange::Newest, 100).await, rows(&room, 1..=seq));
    }
    assert_eq!(page(store, &room, PageRange::Before(Seq(4)), 100).await, rows(&room, 1..=3));
    assert_eq!(page(store, &room, PageRange::After(Seq(3)), 100).await, rows(&room, 4..=5));
}

/// The same rows again, whole or in part, in one call or in many, change nothing.
pub async fn append_twice_is_once(store: &Arc<dyn MessageStore>) {
    let room = room("twice");
    keep(store, rows(&room, 1..=6)).await;
    keep(store, rows(&room, 1..=6)).await;
    keep(store, rows(&room, [2, 5])).await;
    keep(store, rows(&room, [6, 6, 7, 7])).await;
    assert_eq!(page(store, &room, PageRange::Newest, 100).await, rows(&room, 1..=7));
    assert_eq!(store.head(&room).await.expect("head").map(|head| head.last.seq), Some(Seq(7)));
    keep(store, Vec::new()).await;
}

/// Place and time of the newest row, over a jump of the numbers, and not moved back by a late row.
pub async fn head_is_the_newest_row(store: &Arc<dyn MessageStore>) {
    let room = room("head");
    for seq in [1, 2, 3, (1 << 32) + 4, (1 << 32) + 5] {
        keep(store, rows(&room, [seq])).await;
        let newest = row(&room, seq);
        let want =
            Head { last: Position { epoch: newest.epoch.clone(), seq: newest.seq }, time: newest.time };
        assert_eq!(store.head(&room).await.expect("head"), Some(want));
    }
    keep(store, rows(&room, [2])).await;
    let head = store.head(&room).await.expect("head").expect("a head");
    assert_eq!(head.last, Position { epoch: Epoch::trusted("epoch-1"), seq: Seq((1 << 32) + 5) });
}

/// Paging backwards and forwards by cursors gives every row once, over an epoch jump of 2^32 and over the edges of
/// buckets of 8,192 numbers.
pub async fn pages_meet_without_hole_or_overlap(store: &Arc<dyn MessageStore>) {
    let room = room("pages");
    let jump = 1_u64 << 32;
    let all: Vec<u64> =
        (8_170..=8_220).chain(jump + 8_221..=jump + 8_260).chain([jump * 2 + 8_261]).collect();
    keep(store, rows(&room, all.iter().copied())).await;
    for limit in [1, 7, 50, 100] {
        let (mut backwards, mut below) = (Vec::new(), PageRange::Newest);
        loop {
            let mut page = seqs(store, &room, below, limit).await;
            let Some(first) = page.first().copied() else { break };
            assert!(page.len() <= limit);
            below = PageRange::Before(Seq(first));
            page.append(&mut backwards);
            backwards = page;
            assert!(backwards.len() <= all.len(), "backwards by {limit}: rows come again: {backwards:?}");
        }
        assert_eq!(backwards, all, "backwards by {limit}");

        let (mut forwards, mut above) = (Vec::new(), Seq::ZERO);
        loop {
            let page = seqs(store, &room, PageRange::After(above), limit).await;
            let Some(last) = page.last().copied() else { break };
            above = Seq(last);
            forwards.extend(page);
            assert!(forwards.len() <= all.len(), "forwards by {limit}: rows come again: {forwards:?}");
        }
        assert_eq!(forwards, all, "forwards by {limit}");
    }
}

/// None before the first, the last one after, and each partition has its own.
pub async fn generation_is_kept_per_partition(store: &Arc<dyn MessageStore>) {
    let (one, other) = (unused(), unused());
    assert_eq!(store.generation(one).await.expect("generation"), None);
    store.set_generation(one, Epoch::trusted("first")).await.expect("set");
    assert_eq!(store.generation(one).await.expect("generation"), Some(Epoch::trusted("first")));
    store.set_generation(one, Epoch::trusted("second")).await.expect("set");
    assert_eq!(store.generation(one).await.expect("generation"), Some(Epoch::trusted("second")));
    assert_eq!(store.generation(other).await.expect("generation"), None);
}

/// Rooms whose names begin with one another, in Latin and in Hangul, or differ in case or trailing blanks only.
pub async fn rooms_do_not_mix(store: &Arc<dyn MessageStore>) {
    let base = room("방");
    let names = ["", "a", "A", "ab", " ", "방", "방방", "바", "\u{1112}\u{1161}", "하", "\u{10ffff}", "/1"];
    let rooms: Vec<RoomId> = names.iter().map(|name| RoomId::trusted(format!("{base}{name}"))).collect();
    for (nth, room) in (0_u64..).zip(&rooms) {
        keep(store, rows(room, 1 + nth..=3 + nth)).await;
    }
    for (nth, room) in (0_u64..).zip(&rooms) {
        let want = rows(room, 1 + nth..=3 + nth);
        assert_eq!(page(store, room, PageRange::Newest, 100).await, want, "{room:?}");
        assert_eq!(page(store, room, PageRange::Before(Seq::MAX), 100).await, want, "{room:?}");
        assert_eq!(page(store, room, PageRange::After(Seq::ZERO), 100).await, want, "{room:?}");
        let head = store.head(room).await.expect("head").expect("a head");
        assert_eq!(head.last.seq, Seq(3 + nth), "{room:?}");
    }
}

/// One call may carry rows of many rooms, interleaved.
pub async fn rows_of_many_rooms_in_one_append(store: &Arc<dyn MessageStore>) {
    let rooms: Vec<RoomId> = (0..20).map(|nth| room(&format!("many{nth}"))).collect();
    keep(store, (1..=10).flat_map(|seq| rooms.iter().map(move |room| row(room, seq))).collect()).await;
    for room in &rooms {
        assert_eq!(page(store, room, PageRange::Newest, 100).await, rows(room, 1..=10));
    }
}

/// Cursors are exclusive, may lie in holes and beyond both ends.
pub async fn cursors_need_not_exist(store: &Arc<dyn MessageStore>) {
    let room = room("cursors");
    let jump = 1_u64 << 32;
    keep(store, rows(&room, [10, 20, 30, jump + 31])).await;
    let cases = [
        (PageRange::Before(Seq(25)), vec![10, 20]),
        (PageRange::Before(Seq(20)), vec![10]),
        (PageRange::Before(Seq(10)), vec![]),
        (PageRange::Before(Seq(0)), vec![]),
        (PageRange::Before(Seq(jump)), vec![10, 20, 30]),
        (PageRange::Before(Seq::MAX), vec![10, 20, 30, jump + 31]),
        (PageRange::After(Seq(0)), vec![10, 20, 30, jump + 31]),
        (PageRange::After(Seq(15)), vec![20, 30, jump + 31]),
        (PageRange::After(Seq(20)), vec![30, jump + 31]),
        (PageRange::After(Seq(30)), vec![jump + 31]),
        (PageRange::After(Seq(jump + 31)), vec![]),
        (PageRange::After(Seq::MAX), vec![]),
    ];
    for (range, want) in cases {
        assert_eq!(seqs(store, &room, range, 100).await, want, "{range:?}");
    }
}

/// A page of one, a page of a hundred exactly, and no more than asked for, from the right end.
pub async fn limits_at_their_edges(store: &Arc<dyn MessageStore>) {
    let room = room("limits");
    keep(store, rows(&room, 1..=101)).await;
    assert_eq!(seqs(store, &room, PageRange::Newest, 1).await, [101]);
    assert_eq!(seqs(store, &room, PageRange::Before(Seq(50)), 1).await, [49]);
    assert_eq!(seqs(store, &room, PageRange::After(Seq(50)), 1).await, [51]);
    let all = |from: u64, to: u64| (from..=to).collect::<Vec<_>>();
    assert_eq!(seqs(store, &room, PageRange::Newest, 100).await, all(2, 101));
    assert_eq!(seqs(store, &room, PageRange::Before(Seq(101)), 100).await, all(1, 100));
    assert_eq!(seqs(store, &room, PageRange::After(Seq(0)), 100).await, all(1, 100));
    assert_eq!(seqs(store, &room, PageRange::After(Seq(0)), 1000).await, all(1, 101));
}

/// Large rows come in smaller pages, from the right end, and never in empty ones.
pub async fn pages_are_bounded_in_bytes(store: &Arc<dyn MessageStore>) {
    let room = room("heavy");
    let content: Arc<str> = "x".repeat(PAGE_BYTES_MAX / 4).into();
    let heavy = |row: Arc<Message>| Arc::new(Message { content: content.clone(), ..Message::clone(&row) });
    for row in rows(&room, 1..=6) {
        keep(store, vec![heavy(row)]).await;
    }
    assert_eq!(
        seqs(store, &room, PageRange::Newest, 100).await,
        [4, 5, 6],
        "four and their names are over the bound"
    );
    assert_eq!(seqs(store, &room, PageRange::Before(Seq(4)), 100).await, [1, 2, 3]);
    assert_eq!(seqs(store, &room, PageRange::After(Seq(1)), 100).await, [2, 3, 4]);
    let content: Arc<str> = "x".repeat(PAGE_BYTES_MAX + 1).into();
    keep(store, vec![Arc::new(Message { content, ..Message::clone(&row(&room, 7)) })]).await;
    assert_eq!(seqs(store, &room, PageRange::Newest, 100).await, [7], "one alone, however large");
}

/// Absent, zero and far `prev`, absent `client_id`, texts of every alphabet, microseconds.
pub async fn every_field_comes_back(store: &Arc<dyn MessageStore>) {
    let room = room("fields");
    let first = Message { prev: Some(Seq(0)), client_id: None, ..Message::clone(&row(&room, 1)) };
    let unknown = Message { prev: None, ..Message::clone(&row(&room, 2)) };
    let jumped = Message {
        seq: Seq((1 << 32) + 3),
        prev: Some(Seq(2)),
        epoch: Epoch::trusted("8f2c-새-epoch"),
        username: UserName::trusted("é\u{301} 👩‍👩‍👧 \"quote'"),
        content: "".into(),
        time: Timestamp { micros: 1_699_999_999_999_999 },
        ..Message::clone(&row(&room, 3))
    };
    let last = Message {
        seq: Seq::MAX,
        prev: Some(Seq((1 << 32) + 3)),
        client_id: Some(ClientId::trusted("한".repeat(limits::CLIENT_ID_CHARS_MAX))),
        content: "line\nline\0tab\t\u{feff}\u{202e}끝".into(),
        time: Timestamp { micros: 0 },
        ..Message::clone(&row(&room, 4))
    };
    let all: Vec<Arc<Message>> = [first, unknown, jumped, last].map(Arc::new).into();
    keep(store, all.clone()).await;
    assert_eq!(page(store, &room, PageRange::Newest, 100).await, all);
}

/// The largest content a client may send, and the longest names.
pub async fn a_mebibyte_of_content_comes_back(store: &Arc<dyn MessageStore>) {
    let longest = "방".repeat(limits::ROOM_NAME_CHARS_MAX - 9);
    let room = room(&longest);
    let large = Message {
        username: UserName::trusted("이".repeat(limits::USERNAME_CHARS_MAX)),
        content: "가나다라".repeat(limits::MESSAGE_BYTES_MAX / 12).into(),
        ..Message::clone(&row(&room, 1))
    };
    let all = vec![Arc::new(large), row(&room, 2)];
    keep(store, all.clone()).await;
    assert_eq!(page(store, &room, PageRange::Newest, 100).await, all);
}

/// No head and empty pages, not an error.
pub async fn a_room_never_stored_is_empty(store: &Arc<dyn MessageStore>) {
    let room = room("never");
    assert_eq!(store.head(&room).await.expect("head"), None);
    for range in [PageRange::Newest, PageRange::Before(Seq(9)), PageRange::After(Seq(0))] {
        assert_eq!(page(store, &room, range, 100).await, []);
    }
}

/// A bus that could not ask the store starts a room by its clock: a quarter of an hour apart there is nothing but the epoch
/// to say that the millions of numbers between were never used.
pub async fn a_room_that_started_by_the_clock_twice_is_whole(store: &Arc<dyn MessageStore>) {
    let room = room("clock");
    let starts = [1_700_000_000_000_u64 << 10, 1_700_000_900_000 << 10];
    let started = |start: u64| {
        (1..=3).map(move |nth| {
            let epoch = Epoch::trusted(format!("8f2c5c5c1ff5415c.{start}"));
            let prev = (nth > 1).then(|| Seq(start + nth - 1));
            (start + nth, epoch, prev)
        })
    };
    let all: Vec<_> = starts
        .into_iter()
        .flat_map(started)
        .map(|(seq, epoch, prev)| Arc::new(Message { epoch, prev, ..Message::clone(&row(&room, seq)) }))
        .collect();
    keep(store, all.clone()).await;
    assert_eq!(page(store, &room, PageRange::Newest, 100).await, all);
    assert_eq!(page(store, &room, PageRange::Before(all[4].seq), 3).await, all[1..4]);
    assert_eq!(page(store, &room, PageRange::After(all[1].seq), 3).await, all[2..5]);
}

/// A replay may bring an older row after a newer one; it takes its place by its number.
pub async fn late_rows_take_their_place(store: &Arc<dyn MessageStore>) {
    let room = room("late");
    keep(store, rows(&room, [3, 4])).await;
    keep(store, rows(&room, [1, 2])).await;
    assert_eq!(page(store, &room, PageRange::Newest, 100).await, rows(&room, 1..=4));
    assert_eq!(seqs(store, &room, PageRange::Newest, 2).await, [3, 4]);
}

/// Appends of many rooms at once: each is there when it is answered, none in another's place.
pub async fn many_at_once_are_all_kept(store: &Arc<dyn MessageStore>) {
    let rooms: Vec<RoomId> = (0..16).map(|nth| room(&format!("at-once{nth}"))).collect();
    let writers = rooms.iter().map(|room| async move {
        for seq in 1..=20 {
            keep(store, rows(room, [seq])).await;
            assert_eq!(seqs(store, room, PageRange::Newest, 1).await, [seq]);
        }
    });
    futures_util::future::join_all(writers).await;
    for room in &rooms {
        assert_eq!(page(store, room, PageRange::Newest, 100).await, rows(room, 1..=20));
    }
}

/// After `close` an append is refused for good; closing again is no fault.
pub async fn closed_takes_nothing_more(store: &Arc<dyn MessageStore>) {
    let room = room("closed");
    keep(store, rows(&room, [1])).await;
    store.close().await.expect("close");
    let refused = store.append(rows(&room, [2])).await.expect_err("a closed store took a row");
    assert_eq!(refused.retry(), Retry::Never);
    let refused = store.set_generation(unused(), Epoch::trusted("e")).await;
    assert!(refused.is_err(), "a closed store took a generation");
    store.close().await.expect("close again");
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_macro_runs_every_case() {
        let source = include_str!("conformance.rs");
        let (macro_text, cases) = source.split_once("fn unused()").unwrap();
        let cases = cases.split("pub async fn ").skip(1).filter_map(|text| text.split('(').next());
        // The last piece is this test's own search text.
        let cases: Vec<_> =
            cases.filter(|name| name.chars().all(|c| c == '_' || c.is_alphabetic())).collect();
        assert!(cases.len() >= 15, "the search above finds no cases any more: {cases:?}");
        for case in cases {
            assert!(macro_text.contains(&format!(" {case}\n")), "store_suite! does not run {case}");
        }
    }
}
