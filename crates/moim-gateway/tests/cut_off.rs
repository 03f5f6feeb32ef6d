//! A gateway whose bus is out of reach: unready after ten seconds, its sockets moved after thirty, and all well again after.
//! Not here: what a bus does meanwhile (its crate), a stop that was asked for (`moim`, `tests/drain.rs`).

#![allow(clippy::unwrap_used, reason = "a test's helpers are tests, which clippy does not see")]

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{StreamExt, future::BoxFuture};
use moim_bus::{
    Bus, BusError, BusHealth, Draft, Here, InProcessBus, InProcessConfig, Numbering, Receipt, RelaySink,
    Ring, WriteAhead,
};
use moim_gateway::{Gateway, GatewayConfig, Parts, StoreSeeds, WriterNode, WriterParts};
use moim_protocol::{Message, NodeId, Notice, RoomId, Seq, Typing};
use moim_store::{MemoryConfig, MemoryStore, MessageStore};
use moim_telemetry::Registry;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message as Frame, client::IntoClientRequest},
};

/// The longest that anything here may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The bus in one process, of which one can say that it cannot be reached.
struct Reachable {
    bus: Arc<InProcessBus>,
    health: Mutex<BusHealth>,
}

impl Reachable {
    fn set(&self, health: BusHealth) {
        *self.health.lock().unwrap() = health;
    }
}

impl Bus for Reachable {
    fn node(&self) -> NodeId {
        self.bus.node()
    }

    fn publish(&self, draft: Draft) -> BoxFuture<'static, Result<Receipt, BusError>> {
        self.bus.publish(draft)
    }

    fn typing(&self, room: &RoomId, typing: Typing) {
        self.bus.typing(room, typing);
    }

    fn presence(&self, room: &RoomId, here: Here, notice: Option<Notice>) {
        self.bus.presence(room, here, notice);
    }

    fn subscribe<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<(), BusError>> {
        self.bus.subscribe(room)
    }

    fn unsubscribe(&self, room: &RoomId) {
        self.bus.unsubscribe(room);
    }

    fn ring<'a>(&'a self, room: &'a RoomId, rows_max: usize) -> BoxFuture<'a, Result<Ring, BusError>> {
        self.bus.ring(room, rows_max)
    }

    fn older<'a>(
        &'a self,
        room: &'a RoomId,
        below: Seq,
        rows_max: usize,
    ) -> BoxFuture<'a, Result<Vec<Arc<Message>>, BusError>> {
        self.bus.older(room, below, rows_max)
    }

    fn who<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<Here, BusError>> {
        self.bus.who(room)
    }

    fn health(&self) -> BusHealth {
        self.health.lock().unwrap().clone()
    }

    fn close(&self) {
        self.bus.close();
    }

    fn flushed(&self) -> BoxFuture<'_, ()> {
        self.bus.flushed()
    }
}

fn config() -> GatewayConfig {
    let mut config = GatewayConfig::default();
    config.listen.public = SocketAddr::from(([127, 0, 0, 1], 0));
    config.listen.ops = SocketAddr::from(([127, 0, 0, 1], 0));
    config
}

struct Made {
    bus: Arc<Reachable>,
    logs: mpsc::Receiver<Arc<dyn WriteAhead>>,
    driver: BoxFuture<'static, ()>,
    store: Arc<dyn MessageStore>,
    relay: (RelaySink, Vec<mpsc::Receiver<moim_bus::Relayed>>),
}

async fn made() -> Made {
    let store: Arc<dyn MessageStore> = Arc::new(MemoryStore::new(MemoryConfig::default()));
    let (sink, relayed) = RelaySink::new(1);
    let seeds = StoreSeeds::new(store.clone());
    let (bus, driver) =
        InProcessBus::new(InProcessConfig::new(NodeId(1), Numbering::Volatile), sink.clone(), seeds);
    let (hand_over, logs) = mpsc::channel(1);
    hand_over.send(bus.clone() as Arc<dyn WriteAhead>).await.unwrap();
    let bus = Arc::new(Reachable { bus, health: Mutex::new(BusHealth::Open) });
    Made { bus, logs, driver: Box::pin(driver.run()), store, relay: (sink, relayed) }
}

async fn readiness(ops: SocketAddr) -> (u16, String) {
    let mut stream = TcpStream::connect(ops).await.unwrap();
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.rsplit("\r\n").next().unwrap().trim().to_owned())
}

async fn connect(public: SocketAddr, room: &str) -> Result<WebSocketStream<TcpStream>, Error> {
    let mut request = format!("ws://{public}/chat/{room}?username=u").into_client_request()?;
    request.headers_mut().insert("Sec-WebSocket-Protocol", "moim.v1".parse().unwrap());
    Ok(client_async(request, TcpStream::connect(public).await?).await?.0)
}

/// Reads a socket to its end: the reasons of `reconnect`, and the close code.
async fn told(mut socket: WebSocketStream<TcpStream>) -> (Vec<String>, Option<u16>) {
    let mut reasons = Vec::new();
    let read = async {
        while let Some(Ok(frame)) = socket.next().await {
            match frame {
                Frame::Text(text) => {
                    let frame: serde_json::Value = serde_json::from_str(&text).unwrap();
                    if frame["type"] == "reconnect" {
                        assert!(frame["afterMs"].as_u64().unwrap() > 0, "{frame}");
                        reasons.push(frame["reason"].as_str().unwrap().to_owned());
                    }
                }
                Frame::Close(close) => return close.map(|close| close.code.into()),
                _ => {}
            }
        }
        None
    };
    let code = timeout(PATIENCE, read).await.expect("the socket's end");
    (reasons, code)
}

#[tokio::test]
async fn its_people_are_sent_elsewhere_and_let_in_again() {
    let Made { bus, logs, driver, store, relay } = made().await;
    let registry = Registry::new("0").unwrap();
    let parts = Parts { bus: bus.clone(), logs, driver, store, relay, registry };
    let gateway = Gateway::start(config(), parts).await.unwrap();
    let (public, ops) = (gateway.public(), gateway.ops());
    let one = connect(public, "r").await.unwrap();
    let other = connect(public, "r2").await.unwrap();

    bus.set(BusHealth::CutOff(Duration::from_secs(9)));
    assert_eq!(readiness(ops).await.0, 200);
    bus.set(BusHealth::CutOff(Duration::from_secs(29)));
    assert_eq!(readiness(ops).await, (503, "cut off from the bus for 29 s".into()));
    sleep(Duration::from_secs(2)).await;
    connect(public, "r").await.expect("unready is not yet closed");

    bus.set(BusHealth::CutOff(Duration::from_secs(30)));
    for socket in [one, other] {
        assert_eq!(told(socket).await, (vec!["cut_off".to_owned()], Some(1012)));
    }
    match connect(public, "r").await {
        Err(Error::Http(answer)) => {
            assert_eq!(answer.status(), 503);
            assert!(answer.headers().contains_key("retry-after"));
        }
        other => panic!("it lets people in: {:?}", other.err()),
    }

    bus.set(BusHealth::Open);
    let let_in = async {
        loop {
            if let Ok(socket) = connect(public, "r").await {
                return socket;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    let back = timeout(PATIENCE, let_in).await.expect("it lets people in again");
    assert_eq!(readiness(ops).await, (200, "ready".into()));
    let (drained, ()) = tokio::join!(gateway.drain(), async {
        assert_eq!(told(back).await, (vec!["drain".to_owned()], Some(1012)));
    });
    assert!(drained);
}

#[tokio::test]
async fn a_writer_node_drains_and_says_how_it_is() {
    let Made { bus, logs, driver, store, relay } = made().await;
    let parts = WriterParts {
        bus: bus.clone(),
        logs,
        driver,
        store: store.clone(),
        registry: Registry::new("0").unwrap(),
    };
    let writer = WriterNode::start(config(), parts).await.unwrap();
    let room = RoomId::trusted("r");
    let draft = Draft {
        room: room.clone(),
        id: moim_protocol::MessageId::trusted("i"),
        client_id: None,
        sender: moim_protocol::UserName::trusted("u"),
        content: "말".into(),
        level: None,
    };
    timeout(PATIENCE, bus.publish(draft)).await.expect("an answer").unwrap();
    assert!(store.head(&room).await.unwrap().is_some(), "it is stored");
    assert_eq!(readiness(writer.ops()).await, (200, "ready".into()));
    bus.set(BusHealth::Unfit("it evicts keys".into()));
    assert_eq!(readiness(writer.ops()).await, (503, "the bus must not be used: it evicts keys".into()));
    assert!(timeout(PATIENCE, writer.drain()).await.expect("its end"));
    assert!(store.head(&room).await.is_err(), "the store is closed");
    drop(relay);
}
