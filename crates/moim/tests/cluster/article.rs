//! The browser client of the article, unchanged, through the HAProxy that people run: its gateway is killed, and it goes on.
//! Not here: clients with a cursor (`resume`, the drills), the plain profile on one node (`plain_contract`).

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpStream, time::sleep};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest},
};

use crate::{
    harness::{PATIENCE, encode, until, within},
    nodes::{Cluster, server},
};

/// All that the article's client knows.
const TYPES: [&str; 5] = ["system", "history", "message", "typing", "error"];
/// `setTimeout(connect, 1000)` in its `onclose`.
const COME_BACK: Duration = Duration::from_secs(1);

/// A page that is open in a browser: it shows what it hears, and connects again when the connection closes. It keeps the
/// cookies it is given, as browsers do, and no cursor.
struct Page {
    door: SocketAddr,
    path: String,
    cookie: Option<String>,
    socket: Option<WebSocketStream<TcpStream>>,
}

impl Page {
    async fn open(door: SocketAddr, room: &str, username: &str) -> Self {
        let path = format!("/chat/{}?username={}", encode(room), encode(username));
        let mut page = Self { door, path, cookie: None, socket: None };
        within("the first connection", page.connect()).await;
        page
    }

    /// `new WebSocket(url)`, and again a second after each time that it did not work.
    async fn connect(&mut self) {
        while let Err(why) = self.try_to_connect().await {
            eprintln!("{}: {why}", self.path);
            sleep(COME_BACK).await;
        }
    }

    async fn try_to_connect(&mut self) -> Result<(), String> {
        let stream = TcpStream::connect(self.door).await.map_err(|error| error.to_string())?;
        let mut request = format!("ws://{}{}", self.door, self.path).into_client_request().unwrap();
        if let Some(cookie) = &self.cookie {
            request.headers_mut().insert("cookie", cookie.parse().unwrap());
        }
        let (socket, answer) = client_async(request, stream).await.map_err(|error| error.to_string())?;
        if let Some(cookie) = answer.headers().get("set-cookie") {
            let cookie = cookie.to_str().unwrap().split(';').next().unwrap();
            self.cookie = Some(cookie.to_owned());
        }
        self.socket = Some(socket);
        Ok(())
    }

    /// The next frame; nothing when the connection has closed.
    async fn hear(&mut self) -> Option<Value> {
        let socket = self.socket.as_mut()?;
        loop {
            match within("a frame", socket.next()).await {
                Some(Ok(Message::Text(text))) => {
                    let frame: Value = serde_json::from_str(&text).unwrap();
                    assert!(TYPES.contains(&frame["type"].as_str().unwrap()), "not the article's: {frame}");
                    return Some(frame);
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => {
                    self.socket = None;
                    return None;
                }
                Some(Ok(other)) => panic!("{other:?}"),
            }
        }
    }

    /// What is said while the page of a room is read is in it, and is no message of its own then.
    async fn hear_message(&mut self, content: &str) {
        loop {
            let frame = self.hear().await.expect("the connection is open");
            if frame["type"] == "message" {
                return assert_eq!(frame["content"], content, "{frame}");
            }
            if frame["type"] == "history"
                && let Some(newest) = frame["messages"].as_array().and_then(|rows| rows.last())
                && newest["content"] == content
            {
                return;
            }
        }
    }

    async fn hear_history(&mut self) -> Value {
        loop {
            let frame = self.hear().await.expect("the connection is open");
            if frame["type"] == "history" {
                return frame;
            }
        }
    }

    async fn say(&mut self, content: &str) {
        let frame = json!({ "type": "message", "content": content }).to_string();
        within("saying", self.socket.as_mut().unwrap().send(Message::text(frame))).await.unwrap();
    }
}

/// What people run, with the gateways of this test in the place of Docker's.
struct Haproxy {
    child: Child,
    door: SocketAddr,
    _folder: TempDir,
}

impl Haproxy {
    async fn start(cluster: &Cluster) -> Self {
        let free = || TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap();
        let (door, stats) = (free(), free());
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/haproxy/haproxy.cfg");
        let mut config = fs::read_to_string(shipped).unwrap();
        let servers = cluster.gateways.iter().enumerate().map(|(number, gateway)| {
            format!("server gateway-{number} {} port {}", gateway.public, gateway.ops.port())
        });
        for (shipped, ours) in [
            ("bind :8765", format!("bind {door}")),
            ("bind :8404", format!("bind {stats}")),
            ("default-server check port 9765", "default-server check".to_owned()),
            ("resolvers docker resolve-prefer ipv4 init-addr none", String::new()),
            ("server-template gateway- 12 gateways:8765", servers.collect::<Vec<_>>().join("\n    ")),
        ] {
            assert!(config.contains(shipped), "{shipped} is not in what people run any more");
            config = config.replacen(shipped, &ours, 1);
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("haproxy.cfg");
        fs::write(&path, config).unwrap();
        let child = Command::new(server("MOIM_TEST_HAPROXY"))
            .args(["-db", "-q", "-f"])
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let haproxy = Self { child, door, _folder: folder };
        until("HAProxy", async || TcpStream::connect(door).await.ok()).await;
        haproxy
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test]
async fn the_articles_client_goes_on_when_its_gateway_is_killed() {
    // Its connections must be believed to come from a proxy: all of them have one address.
    let mut cluster = Cluster::start(2, &[("listen.trusted_proxies", "127.0.0.1/32")]).await;
    let haproxy = Haproxy::start(&cluster).await;
    let mut alice = Page::open(haproxy.door, "글 방", "앨리스").await;
    alice.say("하나").await;
    alice.hear_message("하나").await;
    let first_cookie = alice.cookie.clone().expect("HAProxy names a gateway");
    let mut hers = None;
    for (number, gateway) in cluster.gateways.iter().enumerate() {
        if gateway.connections("plain").await > 0.0 {
            hers = Some(number);
        }
    }
    // Who has the fewest connections gets the next: he is on the other one.
    let mut bob = Page::open(haproxy.door, "글 방", "밥").await;
    let hers = hers.expect("she is on a gateway");
    assert!(cluster.gateways[1 - hers].connections("plain").await > 0.0);
    alice.say("둘").await;
    bob.hear_message("둘").await;
    alice.hear_message("둘").await;

    cluster.gateways[hers].kill_9();
    // Said while nobody of hers is there.
    bob.say("셋").await;
    bob.hear_message("셋").await;
    while alice.hear().await.is_some() {}
    sleep(COME_BACK).await;
    tokio::time::timeout(PATIENCE, alice.connect()).await.expect("HAProxy finds her another gateway");
    assert_ne!(alice.cookie.as_ref(), Some(&first_cookie), "the cookie names the other gateway now");
    let history = alice.hear_history().await;
    let contents: Vec<_> =
        history["messages"].as_array().unwrap().iter().map(|row| &row["content"]).collect();
    assert_eq!(contents, ["하나", "둘", "셋"]);
    alice.say("넷").await;
    bob.hear_message("넷").await;
    alice.hear_message("넷").await;
    bob.say("다섯").await;
    alice.hear_message("다섯").await;
}
