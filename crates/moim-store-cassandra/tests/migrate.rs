//! Making the tables: twice, two at once, while a store waits for them, and where it cannot be done.
//! Not here: the command line (`moim migrate`).

mod cluster;

use std::time::Duration;

use cluster::{config, room, row, seqs, session, start, unused};
use moim_store::{MessageStore, PageRange, StoreError};
use moim_store_cassandra::{CassandraConfig, MigrateError, migrate};
use scylla::client::session::Session;

async fn compaction(session: &Session, keyspace: &str) -> String {
    let cql = "SELECT compaction['class'] FROM system_schema.tables WHERE keyspace_name = ? AND table_name = 'messages'";
    let rows = session.query_unpaged(cql, (keyspace,)).await.expect("read").into_rows_result().expect("rows");
    rows.single_row::<(String,)>().expect("the table").0
}

#[tokio::test]
async fn a_second_migration_has_nothing_to_do() {
    let keyspace = unused("moim_test_twice");
    let first = migrate(&config(&keyspace)).await.expect("migrate");
    let told = first.to_string();
    assert!(told.starts_with(&format!("made keyspace {keyspace} with 1 copies in data centre ")), "{told}");
    assert!(told.contains("\nstep 1: made table messages\nstep 2: made table room_heads\n"), "{told}");
    let second = migrate(&config(&keyspace)).await.expect("migrate again");
    assert_eq!(second.changes, Vec::<String>::new());
    assert!(second.to_string().starts_with(&format!("nothing to do: keyspace {keyspace} in ")), "{second}");
    assert_eq!((first.step, &first.datacenter), (second.step, &second.datacenter));
    let class = compaction(&session().await, &keyspace).await;
    assert!(class.ends_with("UnifiedCompactionStrategy"), "{class}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_migrations_at_once_do_no_harm() {
    for _ in 0..3 {
        let keyspace = unused("moim_test_at_once");
        let runs: Vec<_> = (0..4)
            .map(|_| {
                let config = config(&keyspace);
                tokio::spawn(async move { migrate(&config).await })
            })
            .collect();
        for run in runs {
            run.await.expect("no panic").expect("migrate");
        }
        let store = start(config(&keyspace));
        store.ready().await;
        let room = room("after");
        store.append(vec![row(&room, 1)]).await.expect("append");
        assert_eq!(seqs(&store, &room, PageRange::Newest, 10).await, [1]);
    }
}

/// A store that is there before its tables says what to do, and goes on by itself once it was done; and says it again when
/// they are taken away from it.
#[tokio::test]
async fn a_store_without_tables_names_the_cure_and_heals_by_itself() {
    let keyspace = unused("moim_test_later");
    let store = start(config(&keyspace));
    let room = room("later");
    let mut said = String::new();
    for _ in 0..300 {
        let error = store.append(vec![row(&room, 1)]).await.expect_err("there is no table");
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        said = error.to_string();
        if said.contains("moim migrate") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(said.contains("run `moim migrate`"), "{said}");
    migrate(&config(&keyspace)).await.expect("migrate");
    store.ready().await;
    store.append(vec![row(&room, 1)]).await.expect("append");

    let session = session().await;
    session.query_unpaged(format!("DROP TABLE {keyspace}.messages"), ()).await.expect("drop");
    let errors = [
        store.append(vec![row(&room, 2)]).await.expect_err("no table"),
        store.page(&room, PageRange::Newest, 10).await.expect_err("no table"),
    ];
    for error in errors {
        assert!(matches!(error, StoreError::Unavailable(_)), "no row is at fault: {error}");
        assert!(error.to_string().contains("run `moim migrate`"), "{error}");
    }
    // Rows first, then heads: a head must never name a row that is not there.
    let head = store.head(&room).await.expect("the heads are there").expect("a head");
    assert_eq!(head.last.seq.0, 1);
}

#[tokio::test]
async fn what_cannot_be_done_is_told_with_what_to_do() {
    let few = CassandraConfig { replication_factor: 16, ..config(&unused("moim_test_few")) };
    let error = migrate(&few).await.expect_err("there are no 16 nodes");
    assert!(matches!(error, MigrateError::TooFewNodes { wanted: 16, .. }), "{error}");
    let elsewhere = CassandraConfig { datacenter: "nowhere".into(), ..config(&unused("moim_test_dc")) };
    let error = migrate(&elsewhere).await.expect_err("there is no such data centre").to_string();
    assert!(error.contains("cassandra.datacenter is \"nowhere\", but the cluster has \""), "{error}");
    let bad = CassandraConfig { keyspace: "No Name".into(), ..config("x") };
    let error = migrate(&bad).await.expect_err("bad settings");
    assert!(
        matches!(error, MigrateError::Config(_)) && error.to_string().contains("cassandra.keyspace"),
        "{error}"
    );
    let nobody = CassandraConfig { contact_points: vec!["127.0.0.1:1".into()], ..config("x") };
    let error = migrate(&nobody).await.expect_err("nobody listens there").to_string();
    assert!(
        error.contains("cannot connect to Cassandra at 127.0.0.1:1") && error.contains("contact_points"),
        "{error}"
    );
}

/// `migrate` falls back on the server's own compaction when it hears these words.
#[tokio::test]
async fn an_unknown_compaction_is_refused_in_words_that_are_known() {
    let (session, keyspace) = (session().await, cluster::keyspace().await);
    let cql = format!(
        "CREATE TABLE {keyspace}.t (k int PRIMARY KEY) WITH compaction = {{'class': 'NoSuchCompactionStrategy'}}"
    );
    let error = session.query_unpaged(cql, ()).await.expect_err("it knows no such strategy");
    assert!(error.to_string().contains("find compaction strategy class"), "{error}");
}
