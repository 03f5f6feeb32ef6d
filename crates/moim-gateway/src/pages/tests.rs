//! Pages over a bus and a store that are slow, away, or asked by many at once.
//! Not here: those two (`fakes`), pages over the real ones (`moim`'s tests).

mod fakes;

use std::sync::atomic::Ordering;

use futures_util::future::join_all;
use tokio::time::sleep;

use super::*;
use fakes::*;

fn seqs(rows: &[Arc<Message>]) -> Vec<u64> {
    rows.iter().map(|row| row.seq.0).collect()
}

const SECOND: Duration = Duration::from_secs(1);

/// Pages, by what is wanted and how many.
async fn say_whether_they_are_complete(pages: &Pages, cases: &[(PageWanted, usize, bool)]) {
    for (wanted, limit, complete) in cases {
        let page = pages.page(&room(), *wanted, *limit).await.unwrap();
        assert_eq!(page.complete, *complete, "{wanted:?} {limit}");
    }
}

#[tokio::test(start_paused = true)]
async fn all_who_ask_for_the_same_page_at_once_share_one_read_whatever_their_limit() {
    let store = SlowStore::of(rows(1..=900), SECOND);
    let tried = pages(ring(901..=1000), &store);
    let (room, before) = (room(), PageWanted::Before(Some(Seq(501))));
    let limits = [1, 20, 50, 100];
    let asked = (0..1000).map(|n| tried.pages.page(&room, before, limits[n % 4]));
    let answers = join_all(asked).await;
    for (n, answer) in answers.into_iter().enumerate() {
        let page = answer.unwrap();
        assert!(page.complete);
        assert_eq!(seqs(&page.rows), (501 - limits[n % 4] as u64..501).collect::<Vec<_>>());
    }
    assert_eq!(store.reads(), 1);
    assert_eq!((tried.metrics.store_reads.get(), tried.metrics.pages_coalesced.get()), (1, 999));
    // Whoever comes later, to another place on the same page, too.
    let later = tried.pages.page(&room, PageWanted::Before(Some(Seq(470))), 30).await.unwrap();
    assert_eq!((seqs(&later.rows), later.complete), ((440..470).collect(), true));
    assert_eq!(store.reads(), 1);
}

#[tokio::test(start_paused = true)]
async fn pages_over_the_ends_of_kept_ones_are_whole() {
    let store = SlowStore::of(rows(1..=900), SECOND);
    let tried = pages(ring(901..=1000), &store);
    for end in (2..=901).rev().step_by(7).chain([101, 100, 2, 1]) {
        let page = tried.pages.page(&room(), PageWanted::Before(Some(Seq(end))), 60).await.unwrap();
        let first = end.saturating_sub(60).max(1);
        assert_eq!((seqs(&page.rows), page.complete), ((first..end).collect(), true), "before {end}");
    }
    assert_eq!(store.reads(), 9, "each hundred once");
}

#[tokio::test(start_paused = true)]
async fn a_row_that_comes_to_the_store_late_is_not_missed_by_those_who_ask_then() {
    let mut had: Vec<_> = rows(1..=900);
    let late = had.remove(449);
    let store = SlowStore::of(had, SECOND);
    let bus = ring(901..=1000);
    let version = bus.version.clone();
    let tried = pages(bus, &store);
    let before = PageWanted::Before(Some(Seq(460)));
    let page = tried.pages.page(&room(), before, 20).await.unwrap();
    assert!(!page.complete && !seqs(&page.rows).contains(&450), "{page:?}");
    store.rows.lock().unwrap().insert(449, late);
    version.store(1, Ordering::Relaxed);
    let page = tried.pages.page(&room(), before, 20).await.unwrap();
    assert_eq!((seqs(&page.rows), page.complete), ((440..460).collect(), true));
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_is_bounded_in_bytes_and_a_large_page_is_cut_but_never_empty() {
    let large = |seq: u64| {
        let row = row(seq, Some(seq - 1), "e");
        Arc::new(Message { content: "x".repeat(1 << 20).into(), ..(*row).clone() })
    };
    let store = SlowStore::of((1..=300).map(large).collect(), Duration::ZERO);
    let tried = pages(ring(301..=302), &store);
    for end in (2..=301).rev() {
        let page = tried.pages.page(&room(), PageWanted::Before(Some(Seq(end))), 1).await.unwrap();
        assert_eq!((seqs(&page.rows), page.complete), (vec![end - 1], true), "before {end}");
        assert!(tried.pages.store.kept_bytes() <= store_reads::PAGES_KEPT_BYTES_MAX);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_goes_away_stalls_nobody() {
    let store = SlowStore::of(rows(1..=900), SECOND);
    let tried = pages(ring(901..=1000), &store);
    let (room, before) = (room(), PageWanted::Before(Some(Seq(500))));
    let mut first = Box::pin(tried.pages.page(&room, before, 10));
    assert!(futures_util::poll!(&mut first).is_pending());
    sleep(SECOND / 2).await;
    assert!(futures_util::poll!(&mut first).is_pending());
    let second = tried.pages.page(&room, before, 10);
    drop(first);
    assert!(second.await.unwrap().complete);
    assert_eq!(store.reads(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_can_still_change_is_read_for_each() {
    let store = SlowStore::of(rows(1..=900), SECOND);
    let tried = pages(ring(901..=1000), &store);
    let (room, after) = (room(), PageWanted::After(Seq(850)));
    for answer in join_all((0..3).map(|_| tried.pages.page(&room, after, 100))).await {
        assert_eq!(seqs(&answer.unwrap().rows), (851..=950).collect::<Vec<_>>());
    }
    assert_eq!(store.reads(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_page_over_ring_and_store_is_whole() {
    let store = SlowStore::of(rows(1..=1000), SECOND);
    let tried = pages(ring(990..=1000), &store);
    let page = tried.pages.page(&room(), PageWanted::Before(None), 100).await.unwrap();
    assert_eq!((seqs(&page.rows), page.complete), ((901..=1000).collect(), true));
    let head = page.head.unwrap();
    assert_eq!(head.seq, Seq(1000));
}

/// What leaves the ring while a page is read is in the store before it does.
#[tokio::test(start_paused = true)]
async fn a_page_of_a_room_that_goes_on_is_whole() {
    let store = SlowStore::of(rows(1..=900), SECOND);
    let bus =
        FakeBus { ring: rows(901..=910), takes: SECOND, moves_on: Some(store.clone()), ..FakeBus::default() };
    let tried = pages(bus, &store);
    let page = tried.pages.page(&room(), PageWanted::Before(None), 50).await.unwrap();
    let seqs = seqs(&page.rows);
    let last = *seqs.last().unwrap();
    assert!(last >= 910, "older than the question");
    assert_eq!((seqs, page.complete), ((last - 49..=last).collect(), true));
}

#[tokio::test(start_paused = true)]
async fn a_row_that_came_late_is_part_of_the_page() {
    // 41 was numbered without 40, over a jump.
    let late = [rows(1..=40), vec![row(1000, Some(39), "e2")]].concat();
    let store = SlowStore::of(late, SECOND);
    let bus = FakeBus { ring: vec![row(1000, Some(39), "e2")], ..FakeBus::default() };
    let page = pages(bus, &store).pages.page(&room(), PageWanted::Before(None), 10).await.unwrap();
    assert_eq!((seqs(&page.rows), page.complete), ([(32..=40).collect(), vec![1000]].concat(), true));
    let bus = FakeBus { ring: vec![row(1001, Some(1000), "e2")], ..FakeBus::default() };
    let page = pages(bus, &store).pages.page(&room(), PageWanted::Before(None), 10).await.unwrap();
    assert_eq!((seqs(&page.rows), page.complete), ([(33..=40).collect(), vec![1000, 1001]].concat(), true));
}

#[tokio::test(start_paused = true)]
async fn a_page_across_what_came_late_and_is_not_stored_is_not_complete() {
    let ring = [rows(1..=10), vec![row(1000, Some(10), "e2"), row(1001, Some(1000), "e2")]].concat();
    let store = SlowStore::of(ring.clone(), SECOND);
    let bus = FakeBus { ring, late: Some((Seq(11), Seq(12))), ..FakeBus::default() };
    let pages = pages(bus, &store).pages;
    let cases = [
        (PageWanted::Before(None), 2, true),
        (PageWanted::Before(None), 3, false),
        (PageWanted::Before(Some(Seq(11))), 100, true),
        (PageWanted::Before(Some(Seq(12))), 100, false),
        (PageWanted::After(Seq(8)), 2, true),
        (PageWanted::After(Seq(8)), 3, false),
        (PageWanted::After(Seq(11)), 1, false),
        (PageWanted::After(Seq(12)), 100, true),
    ];
    say_whether_they_are_complete(&pages, &cases).await;
    let loaded = pages.load(&room(), Some(Seq(10))).await.unwrap();
    assert_eq!((seqs(&loaded.rows), loaded.floor, loaded.complete), (vec![1000, 1001], Seq(12), false));
}

#[tokio::test(start_paused = true)]
async fn a_page_that_reaches_an_end_the_bus_may_have_lost_is_not_complete() {
    let store = SlowStore::of(rows(1..=90), SECOND / 8);
    let pages = pages(FakeBus { end_is_unknown: true, ..ring(91..=100) }, &store).pages;
    let cases = [
        (PageWanted::Before(None), 5, false),
        (PageWanted::Before(None), 50, false),
        (PageWanted::Before(Some(Seq(102))), 50, false),
        (PageWanted::Before(Some(Seq(101))), 50, true),
        (PageWanted::After(Seq(95)), 5, true),
        (PageWanted::After(Seq(95)), 6, false),
        (PageWanted::After(Seq(100)), 1, false),
    ];
    say_whether_they_are_complete(&pages, &cases).await;
    let loaded = pages.load(&room(), Some(Seq(60))).await.unwrap();
    assert_eq!((loaded.rows.last().map(|row| row.seq), loaded.complete), (Some(Seq(100)), false));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_slow_keeps_nobody_from_going_live() {
    let started = Instant::now();
    let store = SlowStore::of(rows(1..=990), 60 * SECOND);
    let tried = pages(ring(991..=1000), &store);
    let loaded = tried.pages.load(&room(), Some(Seq(900))).await.unwrap();
    assert_eq!((seqs(&loaded.rows), loaded.complete), ((991..=1000).collect(), false));
    assert_eq!(started.elapsed(), LOAD_STORE_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn many_short_reads_are_bounded_together() {
    let started = Instant::now();
    let store = SlowStore::of(rows(1..=990), LOAD_STORE_TIMEOUT / 4);
    let tried = pages(ring(991..=1000), &store);
    let loaded = tried.pages.load(&room(), Some(Seq(1))).await.unwrap();
    assert!(!loaded.complete && (200..=400).contains(&loaded.rows.len()), "{}", loaded.rows.len());
    assert_eq!(started.elapsed(), LOAD_STORE_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn without_the_bus_a_page_is_what_the_store_has_and_says_that_it_is_not_all() {
    let store = SlowStore::of(rows(1..=50), SECOND);
    let hangs = FakeBus { takes: 3600 * SECOND, ..ring(51..=60) };
    for bus in [FakeBus { is_away: true, ..FakeBus::default() }, hangs] {
        let page = pages(bus, &store).pages.page(&room(), PageWanted::Before(None), 10).await.unwrap();
        assert_eq!((seqs(&page.rows), page.complete), ((41..=50).collect(), false));
        assert!(page.head.is_none());
    }
    let away = Arc::new(SlowStore { is_away: true, ..SlowStore::default() });
    let bus = FakeBus { is_away: true, ..FakeBus::default() };
    let page = pages(bus, &away).pages.page(&room(), PageWanted::After(Seq(3)), 10).await.unwrap();
    assert_eq!((page.rows.len(), page.complete), (0, false));
}

#[tokio::test(start_paused = true)]
async fn a_run_of_numbers_whose_past_is_unknown_is_whole_only_when_there_is_no_past() {
    let after_outage = || FakeBus { ring: vec![row(5000, None, "e2")], ..FakeBus::default() };
    let nothing = SlowStore::of(Vec::new(), SECOND / 2);
    let tried = pages(after_outage(), &nothing);
    assert!(tried.pages.load(&room(), None).await.unwrap().complete);
    let page = tried.pages.page(&room(), PageWanted::Before(Some(Seq(5001))), 10).await.unwrap();
    assert_eq!((seqs(&page.rows), page.complete), (vec![5000], true), "that is all there is");
    let something = SlowStore::of(rows(1..=50), SECOND / 2);
    // It is not stored yet, so what was said before it may not be either.
    let unstored = FakeBus { unstored: vec![row(5000, None, "e2")], ..after_outage() };
    let tried = pages(unstored, &something);
    assert!(!tried.pages.load(&room(), None).await.unwrap().complete);
    // What lies below it is read as ever.
    let page = tried.pages.page(&room(), PageWanted::Before(Some(Seq(5000))), 10).await.unwrap();
    assert_eq!((seqs(&page.rows), page.complete), ((41..=50).collect(), true));
}

#[tokio::test(start_paused = true)]
async fn what_was_said_after_an_outage_leads_on_once_it_is_stored() {
    let tail = vec![row(5000, None, "e2"), row(5001, Some(5000), "e2")];
    let store = SlowStore::of([rows(1..=50), tail.clone()].concat(), SECOND / 2);
    let tried = pages(FakeBus { ring: tail, ..FakeBus::default() }, &store);
    let all: Vec<_> = (1..=50).chain([5000, 5001]).collect();
    let loaded = tried.pages.load(&room(), Some(Seq(30))).await.unwrap();
    assert_eq!((seqs(&loaded.rows), loaded.complete), (all.clone(), true));
    let newest = tried.pages.page(&room(), PageWanted::Before(None), 100).await.unwrap();
    assert_eq!((seqs(&newest.rows), newest.complete), (all.clone(), true));
    for after in [0, 10, 49, 50, 60] {
        let page = tried.pages.page(&room(), PageWanted::After(Seq(after)), 100).await.unwrap();
        let want: Vec<_> = all.iter().copied().filter(|seq| *seq > after).collect();
        assert_eq!((seqs(&page.rows), page.complete), (want, true), "after {after}");
    }
}

/// A backlog: 1 to 500 stored, up to 900 only on the bus, the rest in the ring.
fn backlog(store_takes: Duration) -> (Tried, Arc<SlowStore>) {
    let store = SlowStore::of(rows(1..=500), store_takes);
    let bus = FakeBus { unstored: rows(501..=900), ..ring(901..=1000) };
    (pages(bus, &store), store)
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_the_store_is_read_from_the_bus_downward() {
    let (tried, store) = backlog(3600 * SECOND);
    let loaded = tried.pages.load(&room(), Some(Seq(600))).await.unwrap();
    assert!(loaded.complete && loaded.rows[0].seq <= Seq(600));
    for (before, first) in [(None, 901), (Some(950), 850), (Some(901), 801), (Some(700), 600)] {
        let page = tried.pages.page(&room(), PageWanted::Before(before.map(Seq)), 100).await.unwrap();
        let end = before.unwrap_or(1001);
        assert_eq!((seqs(&page.rows), page.complete), ((first..end).collect(), true), "{before:?}");
    }
    assert_eq!(store.reads(), 0);
    let over_both = backlog(Duration::ZERO).0;
    let page = over_both.pages.page(&room(), PageWanted::Before(Some(Seq(550))), 100).await.unwrap();
    assert_eq!((seqs(&page.rows), page.complete), ((450..550).collect(), true));
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_the_store_is_read_from_the_bus_upward() {
    let (tried, _) = backlog(Duration::ZERO);
    for after in [450, 499, 500, 501, 620, 850, 899, 900, 950] {
        let page = tried.pages.page(&room(), PageWanted::After(Seq(after)), 100).await.unwrap();
        let end = (after + 100).min(1000);
        assert_eq!((seqs(&page.rows), page.complete), ((after + 1..=end).collect(), true), "{after}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_only_the_bus_has_and_cannot_give_is_not_passed_over() {
    for wanted in [PageWanted::After(Seq(600)), PageWanted::Before(Some(Seq(700)))] {
        let store = SlowStore::of(rows(1..=500), Duration::ZERO);
        let bus = FakeBus { unstored: rows(501..=900), is_cut_off_midway: true, ..ring(901..=1000) };
        let page = pages(bus, &store).pages.page(&room(), wanted, 100).await.unwrap();
        assert_eq!((seqs(&page.rows), page.complete), (vec![], false), "{wanted:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn upward_over_a_jump_the_ring_is_walked_down() {
    let store = SlowStore::of(rows(1..=10), SECOND);
    let jumped = |seq: u64, prev| row(5000 + seq, Some(prev), "e2");
    let unstored =
        [rows(11..=12), vec![jumped(0, 12)], (1..=9).map(|n| jumped(n, 4999 + n)).collect()].concat();
    let bus = FakeBus { unstored, ring: vec![jumped(10, 5009)], ..FakeBus::default() };
    let page = pages(bus, &store).pages.page(&room(), PageWanted::After(Seq(12)), 5).await.unwrap();
    assert_eq!((seqs(&page.rows), page.complete), ((5000..5005).collect(), true));
}
