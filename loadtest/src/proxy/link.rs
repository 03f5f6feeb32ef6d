//! One route: its connections, and what is done to the bytes on them.
//! Not here: orders (`control`).

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

const BLOCK_BYTES: usize = 16 * 1024;
/// A connection that has said this once listens to what others publish.
const SUBSCRIBER: &[u8] = b"SUBSCRIBE";

/// What is done to the bytes of a route.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Mood {
    #[default]
    Well,
    /// Connections are ended, and new ones ended at once.
    Cut,
    /// Bytes wait, sockets stay.
    Paused(Deaf),
    /// Each block comes this much later.
    Slow(Duration),
    /// So many bytes a second.
    Drip(u64),
}

/// Which bytes wait.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Deaf {
    pub(super) up: bool,
    pub(super) down: bool,
    /// Only on connections that have subscribed to something, and were there when it began: a socket that is made anew
    /// hears again.
    pub(super) subscribers_only: bool,
}

/// What all connections of a route look at.
#[derive(Debug, Clone)]
struct State {
    mood: Mood,
    upstream: SocketAddr,
    /// Raised to end the connections there are.
    ended: u64,
    /// Raised with each mood; a connection knows the one it was opened in.
    moods: u64,
}

pub(super) struct Link {
    pub(super) name: String,
    state: watch::Sender<State>,
}

impl Link {
    pub(super) fn new(name: String, upstream: SocketAddr) -> Self {
        Self { name, state: watch::Sender::new(State { mood: Mood::Well, upstream, ended: 0, moods: 0 }) }
    }

    pub(super) fn set_mood(&self, mood: Mood) {
        self.state.send_modify(|state| {
            state.ended += u64::from(mood == Mood::Cut);
            state.moods += 1;
            state.mood = mood;
        });
    }

    pub(super) fn drop_connections(&self) {
        self.state.send_modify(|state| state.ended += 1);
    }

    /// New connections lead there. Those there are end, or go on over a new socket to it: the client sees nothing.
    pub(super) fn turn(&self, upstream: SocketAddr, keep: bool) {
        self.state.send_modify(|state| {
            state.upstream = upstream;
            state.ended += u64::from(!keep);
        });
    }
}

pub(super) async fn accept(link: Arc<Link>, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                let link = link.clone();
                tokio::spawn(async move { carry(&link, client).await });
            }
            Err(error) => {
                eprintln!("moim-loadtest: {}: {error}", link.name);
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// One connection, over as many upstreams as it takes.
async fn carry(link: &Link, client: TcpStream) {
    let mut state = link.state.subscribe();
    let (ended, opened) = {
        let now = state.borrow();
        (now.ended, now.moods)
    };
    client.set_nodelay(true).ok();
    let (mut from_client, mut to_client) = client.into_split();
    let is_subscriber = AtomicBool::new(false);
    loop {
        let upstream = {
            let now = state.borrow_and_update();
            if now.mood == Mood::Cut || now.ended != ended {
                return;
            }
            now.upstream
        };
        let Ok(server) = TcpStream::connect(upstream).await else { return };
        server.set_nodelay(true).ok();
        let (from_server, to_server) = server.into_split();
        let mut up = Pump { state: state.clone(), is_up: true, opened, is_subscriber: &is_subscriber };
        let mut down = Pump { state: state.clone(), is_up: false, opened, is_subscriber: &is_subscriber };
        tokio::select! {
            outcome = up.run(&mut from_client, to_server) => return drop(outcome),
            outcome = down.run_from(from_server, &mut to_client) => return drop(outcome),
            outcome = state.wait_for(|now| now.ended != ended || now.upstream != upstream) => {
                if outcome.is_err() {
                    return;
                }
            }
        }
    }
}

/// One direction of one connection.
struct Pump<'a> {
    state: watch::Receiver<State>,
    is_up: bool,
    /// The mood that its connection was opened in.
    opened: u64,
    is_subscriber: &'a AtomicBool,
}

impl Pump<'_> {
    async fn run(&mut self, from: &mut OwnedReadHalf, mut to: OwnedWriteHalf) -> io::Result<()> {
        self.pump(from, &mut to).await
    }

    async fn run_from(&mut self, mut from: OwnedReadHalf, to: &mut OwnedWriteHalf) -> io::Result<()> {
        self.pump(&mut from, to).await
    }

    async fn pump(&mut self, from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf) -> io::Result<()> {
        let mut block = vec![0; BLOCK_BYTES];
        loop {
            let len = from.read(&mut block).await?;
            if len == 0 {
                // Passing on only half an end would take the other half from nobody we know.
                return Ok(());
            }
            if self.is_up && block[..len].windows(SUBSCRIBER.len()).any(|word| word == SUBSCRIBER) {
                self.is_subscriber.store(true, Ordering::Relaxed);
            }
            self.hold(len).await;
            to.write_all(&block[..len]).await?;
        }
    }

    /// Keeps a block for as long as the route's mood asks for; a new mood is heard at once.
    async fn hold(&mut self, len: usize) {
        let came = Instant::now();
        loop {
            let (mood, moods) = {
                let now = self.state.borrow_and_update();
                (now.mood.clone(), now.moods)
            };
            let until = match mood {
                Mood::Well | Mood::Cut => return,
                Mood::Paused(deaf) if !self.waits(deaf, moods) => return,
                Mood::Paused(_) => None,
                Mood::Slow(delay) => Some(came + delay),
                Mood::Drip(bytes) => {
                    Some(came + Duration::from_secs(len as u64) / u32::try_from(bytes).unwrap_or(u32::MAX))
                }
            };
            tokio::select! {
                () = async { match until { Some(until) => sleep_until(until).await, None => std::future::pending().await } } => return,
                outcome = self.state.changed() => if outcome.is_err() { return },
            }
        }
    }

    fn waits(&self, deaf: Deaf, moods: u64) -> bool {
        let direction = if self.is_up { deaf.up } else { deaf.down };
        let is_meant = || self.opened < moods && self.is_subscriber.load(Ordering::Relaxed);
        direction && (!deaf.subscribers_only || is_meant())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::timeout;

    const SOON: Duration = Duration::from_secs(20);
    /// Long enough to see that nothing comes.
    const NEVER: Duration = Duration::from_millis(200);

    /// A server that answers each block with its own letter in front.
    async fn server(letter: u8) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let mut block = [0; 64];
                    while let Ok(len @ 1..) = stream.read(&mut block).await {
                        let answer = [&[letter], &block[..len]].concat();
                        if stream.write_all(&answer).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        address
    }

    async fn link(upstream: SocketAddr) -> (Arc<Link>, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let link = Arc::new(Link::new("x".into(), upstream));
        tokio::spawn(accept(link.clone(), listener));
        (link, address)
    }

    async fn hears(stream: &mut TcpStream, wanted: &[u8]) {
        let mut heard = vec![0; wanted.len()];
        timeout(SOON, stream.read_exact(&mut heard)).await.unwrap().unwrap();
        assert_eq!(heard, wanted);
    }

    async fn hears_nothing(stream: &mut TcpStream) {
        let mut byte = [0];
        assert!(timeout(NEVER, stream.read(&mut byte)).await.is_err());
    }

    async fn has_ended(stream: &mut TcpStream) {
        let mut byte = [0];
        let read = timeout(SOON, stream.read(&mut byte)).await.unwrap();
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    }

    #[tokio::test]
    async fn a_cut_link_ends_and_refuses_until_it_is_healed() {
        let (link, address) = link(server(b'a').await).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"1").await.unwrap();
        hears(&mut client, b"a1").await;
        link.set_mood(Mood::Cut);
        has_ended(&mut client).await;
        has_ended(&mut TcpStream::connect(address).await.unwrap()).await;
        link.set_mood(Mood::Well);
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"2").await.unwrap();
        hears(&mut client, b"a2").await;
    }

    #[tokio::test]
    async fn a_deaf_link_keeps_what_it_held() {
        let (link, address) = link(server(b'a').await).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        link.set_mood(Mood::Paused(Deaf { down: true, ..Deaf::default() }));
        client.write_all(b"1").await.unwrap();
        hears_nothing(&mut client).await;
        link.set_mood(Mood::Well);
        hears(&mut client, b"a1").await;
    }

    #[tokio::test]
    async fn only_subscribers_are_made_deaf() {
        let (link, address) = link(server(b'a').await).await;
        let (mut one, mut two) =
            (TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap());
        one.write_all(b"SUBSCRIBE").await.unwrap();
        hears(&mut one, b"aSUBSCRIBE").await;
        link.set_mood(Mood::Paused(Deaf { down: true, subscribers_only: true, ..Deaf::default() }));
        for stream in [&mut one, &mut two] {
            stream.write_all(b"1").await.unwrap();
        }
        hears(&mut two, b"a1").await;
        hears_nothing(&mut one).await;
        // One that is made anew hears.
        let mut three = TcpStream::connect(address).await.unwrap();
        three.write_all(b"SUBSCRIBE").await.unwrap();
        hears(&mut three, b"aSUBSCRIBE").await;
        hears_nothing(&mut one).await;
    }

    #[tokio::test]
    async fn a_turned_link_keeps_its_clients_or_not() {
        let (link, address) = link(server(b'a').await).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"1").await.unwrap();
        hears(&mut client, b"a1").await;
        link.turn(server(b'b').await, true);
        client.write_all(b"2").await.unwrap();
        hears(&mut client, b"b2").await;
        link.turn(server(b'c').await, false);
        has_ended(&mut client).await;
    }

    #[tokio::test]
    async fn a_slow_link_is_healed_in_the_middle_of_a_block() {
        let (link, address) = link(server(b'a').await).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        link.set_mood(Mood::Slow(Duration::from_secs(3600)));
        client.write_all(b"1").await.unwrap();
        hears_nothing(&mut client).await;
        link.set_mood(Mood::Well);
        hears(&mut client, b"a1").await;
    }
}
