//! A cluster that is away: before the start, in the midst of it, and one that is there but does not answer.
//! Not here: a ring that loses one of its nodes.

mod cluster;

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use cluster::{Running, config, contact_points, keyspace, room, row, seqs, start};
use moim_store::{MessageStore, PageRange, Retry, StoreError};
use moim_store_cassandra::CassandraConfig;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    task::JoinSet,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Nothing listens.
    Closed,
    /// All goes through.
    Open,
    /// Connections are kept and taken, and nothing comes back.
    Deaf,
}

/// Stands before one node of the cluster.
struct Proxy {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    async fn new(mode: Mode) -> Self {
        // Held for a moment, to have a port that nobody else is given.
        let address =
            TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("its address");
        let mode = watch::Sender::new(mode);
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(address, mode.subscribe()));
        Self { address, mode, _tasks: tasks }
    }

    fn become_(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

async fn serve(address: SocketAddr, mut mode: watch::Receiver<Mode>) {
    let node = contact_points().remove(0);
    loop {
        mode.wait_for(|mode| *mode != Mode::Closed).await.expect("the proxy");
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("a socket");
        socket.bind(address).expect("the port again");
        let listener = socket.listen(64).expect("listen");
        let mut links = JoinSet::new();
        let mut closing = mode.clone();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let client = accepted.expect("accept").0;
                    links.spawn(link(client, node.clone(), mode.clone()));
                }
                _ = closing.wait_for(|mode| *mode == Mode::Closed) => break,
            }
        }
    }
}

async fn link(client: TcpStream, node: String, mode: watch::Receiver<Mode>) {
    let node = TcpStream::connect(node).await.expect("the node");
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_node, mut to_node) = node.into_split();
    let back = async move {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = from_node.read(&mut buffer).await {
            let is_deaf = *mode.borrow() == Mode::Deaf;
            if !is_deaf && to_client.write_all(&buffer[..count]).await.is_err() {
                return;
            }
        }
    };
    let there = tokio::io::copy(&mut from_client, &mut to_node);
    tokio::select! {
        () = back => {}
        _ = there => {}
    }
}

fn store_behind(proxy: &Proxy, keyspace: &str) -> Running {
    start(CassandraConfig {
        contact_points: vec![proxy.address.to_string()],
        read_timeout_millis: 400,
        write_timeout_millis: 800,
        connect_timeout_millis: 1_000,
        ..config(keyspace)
    })
}

fn is_away<T: std::fmt::Debug>(outcome: Result<T, StoreError>) -> String {
    let error = outcome.expect_err("it answered");
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    assert!(matches!(error.retry(), Retry::After(_)), "{error}");
    error.to_string()
}

/// Appends until it is taken, as the writer does.
async fn append_for_long(store: &Running, rows: Vec<Arc<moim_protocol::Message>>) {
    let started = Instant::now();
    while let Err(error) = store.append(rows.clone()).await {
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        assert!(started.elapsed() < Duration::from_secs(60), "still away after a minute: {error}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn read_for_long(store: &Running, room: &moim_protocol::RoomId) -> Vec<u64> {
    let started = Instant::now();
    loop {
        match store.page(room, PageRange::Newest, 100).await {
            Ok(page) => return page.iter().map(|row| row.seq.0).collect(),
            Err(error) => {
                assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
                assert!(started.elapsed() < Duration::from_secs(60), "still away after a minute: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

#[tokio::test]
async fn a_store_that_starts_before_its_cluster_says_so_at_once_and_finds_it() {
    let proxy = Proxy::new(Mode::Closed).await;
    let store = store_behind(&proxy, keyspace().await);
    let room = room("before");
    let started = Instant::now();
    let mut said = Vec::new();
    for _ in 0..100 {
        said.push(is_away(store.append(vec![row(&room, 1)]).await));
        said.push(is_away(store.page(&room, PageRange::Newest, 10).await));
        said.push(is_away(store.head(&room).await));
        said.push(is_away(store.generation(1).await));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    let last = said.pop().expect("an error");
    assert!(last.contains(&format!("connecting to Cassandra at {}: ", proxy.address)), "{last}");
    assert!(store.metric("moim_store_connected") < 0.5);
    proxy.become_(Mode::Open);
    append_for_long(&store, vec![row(&room, 1)]).await;
    assert_eq!(seqs(&store, &room, PageRange::Newest, 10).await, [1]);
    assert!(store.metric("moim_store_connected") > 0.5);
}

#[tokio::test]
async fn a_cluster_that_goes_and_comes_back_is_found_again_without_a_restart() {
    let proxy = Proxy::new(Mode::Open).await;
    let store = store_behind(&proxy, keyspace().await);
    let room = room("back");
    append_for_long(&store, vec![row(&room, 1)]).await;
    for (round, away) in [(0, Mode::Closed), (1, Mode::Deaf), (2, Mode::Closed)] {
        proxy.become_(away);
        let before = Instant::now();
        is_away(store.append(vec![row(&room, round + 2)]).await);
        assert!(before.elapsed() < Duration::from_secs(2), "{away:?}: {:?}", before.elapsed());
        // Reads fail one after the other, each within its time, then without being tried.
        let mut tries = 0;
        while store.metric("moim_store_circuit_state") < 1.5 {
            tries += 1;
            assert!(tries <= 20, "{away:?}: the circuit is still closed after {tries} failures");
            let before = Instant::now();
            is_away(store.page(&room, PageRange::Newest, 10).await);
            assert!(before.elapsed() < Duration::from_secs(2), "{away:?}: {:?}", before.elapsed());
        }
        let before = Instant::now();
        let said = is_away(store.head(&room).await);
        assert!(before.elapsed() < Duration::from_millis(200), "{away:?}: {:?}", before.elapsed());
        assert!(said.contains("reads fail ("), "{said}");
        proxy.become_(Mode::Open);
        // Writes do not wait for the circuit.
        append_for_long(&store, vec![row(&room, round + 2)]).await;
        assert_eq!(read_for_long(&store, &room).await, (1..=round + 2).collect::<Vec<_>>());
        assert!(store.metric("moim_store_circuit_state") < 0.5);
    }
}

#[tokio::test]
async fn a_closed_store_ends_its_driver_also_while_it_connects() {
    let proxy = Proxy::new(Mode::Deaf).await;
    let store = store_behind(&proxy, "nowhere");
    is_away(store.head(&room("closing")).await);
    store.close().await.expect("close");
    store.ended().await;
    assert_eq!(store.head(&room("closed")).await.expect_err("closed").retry(), Retry::Never);
    let page = store.page(&room("closed"), PageRange::Newest, 1).await;
    assert_eq!(page.expect_err("closed").retry(), Retry::Never);
}
