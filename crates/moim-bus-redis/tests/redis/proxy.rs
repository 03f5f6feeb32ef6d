//! A TCP proxy between nodes and a Redis, which can do what networks and balancers do: hold everything, swallow what a server
//! says, put another server behind living connections.
//! Not here: what nodes make of it.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

/// Bytes carried at a time.
const CHUNK: usize = 64 * 1024;

/// What becomes of a connection when the server behind it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtEnd {
    /// It ends, too.
    Cut,
    /// It is kept for the next server, unless it listens to channels.
    Keep,
}

struct State {
    at_end: AtEnd,
    /// The server, and whether nothing goes through.
    server: watch::Sender<(SocketAddr, bool)>,
    /// Connections that ask something with this in it get no answer.
    unanswered: watch::Sender<Option<String>>,
    /// Bytes that a connection brings from the server in ten milliseconds.
    pace: AtomicUsize,
    links: Mutex<Vec<Arc<Link>>>,
    /// A connection over which this is said is stuck from then on.
    sticks_at: Mutex<Option<&'static [u8]>>,
    /// How often it was said.
    said: AtomicUsize,
    /// Milliseconds that everything takes longer.
    late_ms: AtomicU64,
}

impl State {
    fn sticks(&self, asked: &[u8]) -> bool {
        let Some(word) = *self.sticks_at.lock().expect("the lock") else { return false };
        let count = asked.windows(word.len()).filter(|said| *said == word).count();
        self.said.fetch_add(count, Ordering::AcqRel);
        count > 0
    }
}

/// One connection through it.
#[derive(Default)]
struct Link {
    listens: AtomicBool,
    is_deaf: AtomicBool,
    is_over: AtomicBool,
    is_unanswered: AtomicBool,
    /// The server has answered, and that is kept back.
    holds_an_answer: AtomicBool,
    /// How many were behind it.
    servers: AtomicUsize,
}

/// The proxy. Its connections end with it.
pub(crate) struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    pub(crate) async fn before(server: SocketAddr, at_end: AtEnd) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let (server, unanswered) = (watch::channel((server, false)).0, watch::channel(None).0);
        let (links, sticks_at, said) = (Mutex::default(), Mutex::default(), AtomicUsize::default());
        let (pace, late_ms) = (AtomicUsize::new(usize::MAX), AtomicU64::default());
        let state = State { at_end, server, unanswered, pace, links, sticks_at, said, late_ms };
        let (state, mut tasks) = (Arc::new(state), JoinSet::new());
        tasks.spawn(accept(listener, state.clone()));
        Self { address, state, _tasks: tasks }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Nothing goes through, nothing ends.
    pub(crate) fn hold(&self) {
        self.state.server.send_modify(|(_, is_held)| *is_held = true);
    }

    /// Connections over which this is said are stuck from then on, the others are not. `None`: those that come are not, either.
    pub(crate) fn stick_at(&self, word: Option<&'static [u8]>) {
        *self.state.sticks_at.lock().expect("the lock") = word;
    }

    /// How often it was said.
    pub(crate) fn said(&self) -> usize {
        self.state.said.load(Ordering::Acquire)
    }

    /// Everything takes so much longer, each way, 64 KiB at a time.
    pub(crate) fn delay(&self, late_ms: u64) {
        self.state.late_ms.store(late_ms, Ordering::Release);
    }

    /// How many connections there were, ever.
    pub(crate) fn connections(&self) -> usize {
        self.links().len()
    }

    pub(crate) fn release(&self) {
        self.state.server.send_modify(|(_, is_held)| *is_held = false);
    }

    /// Another server is behind it.
    pub(crate) fn switch(&self, server: SocketAddr) {
        self.state.server.send_replace((server, false));
    }

    /// What a server says comes at that pace from now on, on each connection.
    pub(crate) fn slow_down(&self, bytes_per_second: usize) {
        self.state.pace.store(bytes_per_second / 100, Ordering::Release);
    }

    pub(crate) fn speed_up(&self) {
        self.state.pace.store(usize::MAX, Ordering::Release);
    }

    fn links(&self) -> Vec<Arc<Link>> {
        self.state.links.lock().expect("the lock").clone()
    }

    /// Connections that listen to channels hear nothing any more. Those that come later do. Answers how many.
    pub(crate) fn deafen(&self) -> usize {
        let links = self.links();
        let is_there =
            |link: &&Arc<Link>| link.listens.load(Ordering::Acquire) && !link.is_over.load(Ordering::Acquire);
        links.iter().filter(is_there).inspect(|link| link.is_deaf.store(true, Ordering::Release)).count()
    }

    /// A connection that asks something with this in it gets no answer to that, or to what it asks after it.
    pub(crate) fn leave_unanswered(&self, text: &str) {
        self.state.unanswered.send_replace(Some(text.to_owned()));
    }

    /// All get their answers.
    pub(crate) fn answer(&self) {
        self.state.unanswered.send_replace(None);
    }

    /// The server has answered, and nobody has heard it.
    pub(crate) fn holds_an_answer(&self) -> bool {
        self.links().iter().any(|link| link.holds_an_answer.load(Ordering::Acquire))
    }

    /// Connections that are open and have had more than one server behind them.
    pub(crate) fn kept(&self) -> usize {
        let is_kept = |link: &&Arc<Link>| {
            link.servers.load(Ordering::Acquire) > 1 && !link.is_over.load(Ordering::Acquire)
        };
        self.links().iter().filter(is_kept).count()
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut links = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let (link, state) = (Arc::new(Link::default()), state.clone());
        state.links.lock().expect("the lock").push(link.clone());
        links.spawn(async move {
            serve(client, &state, &link).await;
            link.is_over.store(true, Ordering::Release);
        });
    }
}

/// How a server's turn ended.
enum Ended {
    Client,
    Server,
}

async fn serve(mut client: TcpStream, state: &State, link: &Link) {
    let mut unanswered = Vec::new();
    let mut servers = state.server.subscribe();
    loop {
        let Ok((address, _)) = servers.wait_for(|(_, is_held)| !is_held).await.map(|now| *now) else {
            return;
        };
        let Ok(mut server) = TcpStream::connect(address).await else {
            // A server that is gone: for who keeps its clients, until there is another.
            if state.at_end == AtEnd::Cut || servers.wait_for(|(now, _)| *now != address).await.is_err() {
                return;
            }
            continue;
        };
        if link.servers.fetch_add(1, Ordering::AcqRel) > 0
            && introduce(&mut server, &unanswered).await.is_none()
        {
            return;
        }
        match carry(&mut client, &mut server, state, link, &mut unanswered).await {
            Ended::Server if state.at_end == AtEnd::Keep && !link.listens.load(Ordering::Acquire) => {
                if servers.wait_for(|(now, _)| *now != address).await.is_err() {
                    return;
                }
            }
            Ended::Client | Ended::Server => return,
        }
    }
}

/// Makes another server speak as the first did, and asks it what the first has not answered.
async fn introduce(server: &mut TcpStream, unanswered: &[u8]) -> Option<()> {
    server.write_all(b"HELLO 3\r\n").await.ok()?;
    let mut said = Vec::new();
    while !said.ends_with(b"modules\r\n*0\r\n") {
        server.read_buf(&mut said).await.ok().filter(|count| *count > 0)?;
    }
    server.write_all(unanswered).await.ok()
}

/// Whatever else is said over a connection that is stuck.
async fn swallow(client: &mut TcpStream, state: &State) -> Ended {
    let mut asked = Vec::with_capacity(CHUNK);
    while client.read_buf(&mut asked).await.is_ok_and(|count| count > 0) {
        state.sticks(&asked);
        asked.clear();
    }
    Ended::Client
}

async fn carry(
    client: &mut TcpStream,
    server: &mut TcpStream,
    state: &State,
    link: &Link,
    unanswered: &mut Vec<u8>,
) -> Ended {
    // As large as what is read at once: an empty one would grow by 64 bytes, and stay there.
    let (mut asked, mut said) = (Vec::with_capacity(CHUNK), Vec::with_capacity(CHUNK));
    let (mut servers, mut to_be_unanswered) = (state.server.subscribe(), state.unanswered.subscribe());
    // When the server may be read again.
    let mut turn = Instant::now();
    loop {
        asked.clear();
        said.clear();
        let pace = state.pace.load(Ordering::Acquire);
        let next = async {
            sleep_until(turn).await;
            if pace == usize::MAX {
                return server.read_buf(&mut said).await;
            }
            (&mut *server).take(pace as u64).read_buf(&mut said).await
        };
        tokio::select! {
            read = client.read_buf(&mut asked) => match read {
                Ok(count) if count > 0 => {
                    if asked.windows(9).any(|word| word == b"SUBSCRIBE") {
                        link.listens.store(true, Ordering::Release);
                    }
                    if state.sticks(&asked) {
                        return swallow(client, state).await;
                    }
                    let is_in = |text: &String| asked.windows(text.len()).any(|word| word == text.as_bytes());
                    if to_be_unanswered.borrow().as_ref().is_some_and(is_in) {
                        link.is_unanswered.store(true, Ordering::Release);
                    }
                    unanswered.extend_from_slice(&asked);
                }
                _ => return Ended::Client,
            },
            read = next => match read {
                Ok(count) if count > 0 => unanswered.clear(),
                _ => return Ended::Server,
            },
        }
        if !said.is_empty() && pace != usize::MAX {
            turn = Instant::now() + Duration::from_millis(10) * said.len() as u32 / pace as u32;
        }
        if servers.wait_for(|(_, is_held)| !is_held).await.is_err() {
            return Ended::Client;
        }
        if !said.is_empty() && link.is_unanswered.load(Ordering::Acquire) {
            link.holds_an_answer.store(true, Ordering::Release);
            if to_be_unanswered.wait_for(Option::is_none).await.is_err() {
                return Ended::Client;
            }
        }
        let late_ms = state.late_ms.load(Ordering::Acquire);
        if late_ms > 0 {
            sleep(Duration::from_millis(late_ms)).await;
        }
        if !said.is_empty() && !link.is_deaf.load(Ordering::Acquire) && client.write_all(&said).await.is_err()
        {
            return Ended::Client;
        }
        if !asked.is_empty() && server.write_all(&asked).await.is_err() {
            return Ended::Server;
        }
    }
}
