//! Writes: what they cost the server, which rows it refuses for good, clocks that differ.
//! Not here: what every store must do (`conformance.rs`).

mod cluster;

use std::sync::Arc;

use cluster::{counts, keyspace, room, row, row_in, seqs, session, store, store_alone, unused};
use moim_protocol::{Epoch, Message, MessageId, RoomId, Seq};
use moim_store::{MessageStore, PageRange, Retry, StoreError};

#[tokio::test]
async fn an_append_reads_nothing_and_costs_no_consensus() {
    let (store, keyspace) = store_alone().await;
    let session = session().await;
    let room_of = |nth| RoomId::trusted(format!("room{nth}"));
    let heads_before = counts(&session, &keyspace, "room_heads").await;
    let paxos_before = counts(&session, "system", "paxos").await;
    // 3 rooms in one bucket and one in two: 40 rows each.
    let rows = (8_172..8_212).flat_map(|seq| (0..3).map(move |nth| (nth, seq - 8_000)).chain([(3, seq)]));
    store.append(rows.map(|(nth, seq)| row(&room_of(nth), seq)).collect()).await.expect("append");
    let messages = counts(&session, &keyspace, "messages").await;
    let heads = counts(&session, &keyspace, "room_heads").await;
    assert_eq!((messages.reads, messages.scans), (0, 0), "rows were read before they were written");
    assert_eq!(
        (heads.reads, heads.scans),
        (heads_before.reads, 0),
        "heads were read before they were written"
    );
    assert_eq!(messages.writes, 5, "one batch for each partition");
    assert_eq!(heads.writes, 4, "one batch for each room");
    assert_eq!(counts(&session, "system", "paxos").await, paxos_before, "a consensus round");
    // The counters do count reads.
    assert_eq!(seqs(&store, &room_of(3), PageRange::Newest, 100).await.len(), 40);
    assert_eq!(counts(&session, &keyspace, "messages").await.reads, 2);
    assert_eq!(counts(&session, &keyspace, "room_heads").await.reads, heads.reads + 1);
}

#[tokio::test]
async fn a_row_that_no_server_takes_is_refused_and_harms_no_neighbour() {
    let store = store().await;
    let good = room("good");
    let bad = [
        // This one is the server's refusal, the others are ours: what would be sent in vain is not sent.
        row(&RoomId::trusted(""), 1),
        row(&RoomId::trusted("방".repeat(30_000)), 1),
        row_in(&room("huge"), "e", 1, &"x".repeat(16 * 1024 * 1024)),
        row(&room("beyond"), 1 << 53),
    ];
    for (seq, bad) in (1..).zip(bad) {
        let neighbour = row(&good, seq);
        let error = store.append(vec![neighbour.clone(), bad.clone()]).await.expect_err("it took a bad row");
        assert_eq!(error.retry(), Retry::OneByOne, "{error}");
        let error = store.append(vec![bad]).await.expect_err("it took a bad row");
        assert!(matches!(error, StoreError::Refused(_)), "{error}");
        store.append(vec![neighbour]).await.expect("the neighbour alone");
    }
    assert_eq!(seqs(&store, &good, PageRange::Newest, 100).await, [1, 2, 3, 4]);
}

/// The largest that is let through must be one that the server takes.
#[tokio::test]
async fn a_row_at_the_bound_is_kept() {
    let store = store().await;
    let room = RoomId::trusted(format!("{:x<65521}", unused("bound")));
    let content = "x".repeat(15 * 1024 * 1024 - 66_000);
    let row = row_in(&room, "e", 1, &content);
    let row = Arc::new(Message { id: MessageId::trusted("id"), ..Message::clone(&row) });
    store.append(vec![row.clone()]).await.expect("append");
    assert_eq!(store.page(&room, PageRange::Newest, 100).await.expect("page"), [row]);
}

/// A replay of an old state must not undo a newer one: the row's own time decides.
#[tokio::test]
async fn a_late_replay_does_not_undo_what_came_later() {
    let (store, session) = (store().await, session().await);
    let room = room("replay");
    let row = row(&room, 1);
    store.append(vec![row.clone()]).await.expect("append");
    let edit = format!(
        "INSERT INTO {}.messages (room, bucket, seq, content) VALUES (?, 0, 1, 'edited') USING TIMESTAMP ?",
        keyspace().await
    );
    let later = i64::try_from(row.time.micros + 1).expect("a time");
    session.query_unpaged(edit, (room.as_str(), later)).await.expect("edit");
    store.append(vec![row]).await.expect("replay");
    let page = store.page(&room, PageRange::Newest, 100).await.expect("page");
    assert_eq!(&*page[0].content, "edited");
}

/// A head that is repeated, late or reordered never falls back.
#[tokio::test]
async fn heads_only_rise_in_any_order() {
    let store = store().await;
    let room = room("heads");
    for seqs in [vec![5, 6], vec![3], vec![9], vec![4], vec![7, 8], vec![5, 6], vec![9]] {
        store.append(seqs.iter().map(|seq| row(&room, *seq)).collect()).await.expect("append");
    }
    assert_eq!(store.head(&room).await.expect("head").map(|head| head.last.seq), Some(Seq(9)));
    assert_eq!(seqs(&store, &room, PageRange::Newest, 100).await, [3, 4, 5, 6, 7, 8, 9]);
}

#[tokio::test]
async fn a_generation_of_a_clock_that_is_ahead_is_replaced_all_the_same() {
    let (store, session) = (store().await, session().await);
    let insert = format!(
        "INSERT INTO {}.partition_gen (part, epoch) VALUES (77, 'ahead') USING TIMESTAMP ?",
        keyspace().await
    );
    let in_an_hour = std::time::SystemTime::now() + std::time::Duration::from_secs(3600);
    let micros = moim_protocol::Timestamp::from_system(in_an_hour).micros;
    session.query_unpaged(insert, (i64::try_from(micros).expect("a time"),)).await.expect("insert");
    assert_eq!(store.generation(77).await.expect("generation"), Some(Epoch::trusted("ahead")));
    store.set_generation(77, Epoch::trusted("now")).await.expect("set");
    assert_eq!(store.generation(77).await.expect("generation"), Some(Epoch::trusted("now")));
}
