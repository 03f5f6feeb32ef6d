//! One member: connects, resumes where it was, says what is due, writes down what it sees.
//! Not here: what frames look like (`wire`), what waits for an answer (`outbox`).

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{SinkExt, StreamExt};
use tokio::{net::TcpStream, sync::watch, time::timeout};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message as Ws, client::IntoClientRequest, http::HeaderValue},
};

use crate::checker::{Profile, What, hash};

use super::{
    Ack, RecordArgs,
    book::{Book, Phase},
    outbox::Outbox,
    pulse::{Pulse, Sign},
    wire::{self, Frame},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Full jitter below this, doubled with each try up to the most.
const BACKOFF_FIRST_MILLIS: u64 = 200;
const BACKOFF_MAX_MILLIS: u64 = 3_000;
/// How often a member looks what is due.
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// A page that has no answer by then has none.
const PAGE_TIMEOUT: Duration = Duration::from_secs(20);
const PAGE_ROWS: u64 = 50;

type Socket = WebSocketStream<TcpStream>;

/// What one member does.
pub(super) struct Plan {
    number: u32,
    name: String,
    room: u32,
    room_name: String,
    profile: Profile,
    addresses: Vec<SocketAddr>,
    /// Between two messages, and between two pages, on average.
    say_every: Duration,
    page_every: Option<Duration>,
    ack: Ack,
    random: Random,
}

/// A room of this run; rooms of another seed are others.
pub(super) fn room_name(seed: u64, room: u32) -> String {
    format!("drill-{seed}-{room}")
}

impl Plan {
    pub(super) fn of(args: &RecordArgs, number: u32, profile: Profile) -> Self {
        let room = number % args.rooms;
        let each = |rate: u32| Duration::from_secs(args.members.into()).checked_div(rate);
        Self {
            number,
            name: format!("{}{number}", if profile == Profile::V1 { "m" } else { "p" }),
            room,
            room_name: room_name(args.seed, room),
            profile,
            addresses: args.addresses.clone(),
            say_every: each(args.rate).unwrap_or(Duration::MAX),
            page_every: each(args.pages),
            ack: args.ack,
            random: Random(args.seed.wrapping_mul(1_000_003) ^ u64::from(number)),
        }
    }
}

/// splitmix64: seeded, and enough for jitter.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound.max(1)
    }

    /// Even between none and twice the mean.
    fn around(&mut self, mean: Duration) -> Duration {
        let twice = u64::try_from(mean.as_micros()).unwrap_or(u64::MAX / 4).saturating_mul(2);
        Duration::from_micros(self.below(twice))
    }
}

/// The whole life of a member.
pub(super) async fn run(plan: Plan, book: Arc<Book>, mut phase: watch::Receiver<Phase>) {
    let (name, room, profile) = (plan.name.clone(), plan.room_name.clone(), plan.profile);
    book.write(plan.number, What::Member { name, room, profile });
    let mut member = Member {
        plan,
        book,
        outbox: Outbox::default(),
        cursor: None,
        say_at: None,
        page_at: None,
        page: None,
        asked: 0,
        in_room: false,
        come_back: None,
    };
    let mut tries: u32 = 0;
    let mut address = member.plan.number as usize;
    loop {
        let place = member.plan.addresses[address % member.plan.addresses.len()];
        let why = match member.connect(place).await {
            Ok(socket) => {
                let why = member.live(socket, place, &mut phase).await;
                tries = if member.in_room { 0 } else { tries + 1 };
                member.leave();
                why
            }
            Err(why) => {
                tries += 1;
                why
            }
        };
        if *phase.borrow() == Phase::Done {
            return;
        }
        member.book.write(member.plan.number, What::Lost { why });
        member.book.lost();
        // Another load balancer, where there is one.
        address += usize::from(tries > 0);
        let most = BACKOFF_MAX_MILLIS.min(BACKOFF_FIRST_MILLIS << tries.min(8));
        let wait =
            member.come_back.take().unwrap_or_else(|| Duration::from_millis(member.plan.random.below(most)));
        tokio::select! {
            () = member.wait(wait) => {}
            () = over(&mut phase) => {
                member.end(false);
                return;
            }
        }
    }
}

struct Member {
    plan: Plan,
    book: Arc<Book>,
    outbox: Outbox,
    /// The last number seen and its epoch; what it resumes from.
    cursor: Option<(u64, String)>,
    /// When it says something, or asks for a page, next; in the run's microseconds.
    say_at: Option<u64>,
    page_at: Option<u64>,
    /// When the page on its way was asked for, and for what.
    page: Option<(u64, Option<u64>)>,
    /// When the last handshake was sent.
    asked: u64,
    in_room: bool,
    come_back: Option<Duration>,
}

impl Member {
    async fn connect(&mut self, address: SocketAddr) -> Result<Socket, String> {
        let Plan { room_name, name, profile, .. } = &self.plan;
        let mut url = format!("ws://{address}/chat/{room_name}?username={name}");
        if let Some((seq, epoch)) = self.cursor.as_ref().filter(|_| *profile == Profile::V1) {
            url += &format!("&since={seq}&epoch={epoch}");
        }
        let mut request = url.into_client_request().map_err(|error| error.to_string())?;
        if *profile == Profile::V1 {
            request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("moim.v1"));
        }
        let handshake = async {
            let stream = TcpStream::connect(address).await.map_err(|error| format!("connect: {error}"))?;
            stream.set_nodelay(true).map_err(|error| error.to_string())?;
            self.asked = self.book.now();
            let opened = tokio_tungstenite::client_async(request, stream).await;
            opened.map(|(socket, _)| socket).map_err(|error| format!("handshake: {error}"))
        };
        timeout(CONNECT_TIMEOUT, handshake).await.unwrap_or_else(|_| Err("handshake: no answer".into()))
    }

    /// Waits between connections; what is due meanwhile is said as soon as there is one again.
    async fn wait(&mut self, wait: Duration) {
        tokio::time::sleep(wait).await;
    }

    async fn live(
        &mut self,
        mut socket: Socket,
        place: SocketAddr,
        phase: &mut watch::Receiver<Phase>,
    ) -> String {
        self.book.write(self.plan.number, What::Connected { address: place.to_string(), asked: self.asked });
        let now = phase.clone();
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut pulse = Pulse::new(self.plan.profile, Instant::now());
        if self.plan.profile == Profile::Plain {
            // It is told nothing when it comes in; its socket being open is all there is.
            self.joined(None);
        }
        loop {
            tokio::select! {
                frame = socket.next() => {
                    pulse.heard(Instant::now());
                    match frame {
                        Some(Ok(Ws::Text(text))) => if let Err(why) = self.hear(&text) {
                            self.book.write(self.plan.number, What::Malformed { why: why.clone() });
                            return why;
                        },
                        Some(Ok(Ws::Close(close))) => return format!("closed: {close:?}"),
                        Some(Ok(_)) => {}
                        Some(Err(error)) => return format!("socket: {error}"),
                        None => return "socket: ended".into(),
                    }
                }
                _ = look.tick() => {
                    let sign = pulse.look(Instant::now());
                    if sign == Sign::Dead {
                        return "socket: silent".into();
                    }
                    if let Some(asked) = self.page_is_overdue() {
                        self.book.write(self.plan.number, What::PageUnanswered { asked });
                        return "page: no answer".into();
                    }
                    let now = *now.borrow();
                    if let Err(error) = self.act(&mut socket, now, sign).await {
                        return format!("socket: {error}");
                    }
                }
                () = over(phase) => {
                    self.end(self.in_room);
                    return String::new();
                }
            }
        }
    }

    /// Says what is due, and asks for what is due.
    async fn act(
        &mut self,
        socket: &mut Socket,
        phase: Phase,
        sign: Sign,
    ) -> Result<(), tokio_tungstenite::tungstenite::Error> {
        if self.plan.profile == Profile::Plain {
            return Ok(());
        }
        if sign == Sign::Ask {
            socket.feed(Ws::text(wire::PING)).await?;
        }
        self.speak(phase);
        if !self.in_room {
            return socket.flush().await;
        }
        for said in self.outbox.due(Instant::now()) {
            let (client_id, attempt) = (said.client_id.clone(), said.attempt);
            let hash = hash(&said.content);
            let (intended, level) = (said.intended, said.ack.map(str::to_owned));
            self.book.write(self.plan.number, What::Sent { client_id, hash, intended, attempt, level });
            self.book.sent(attempt);
            let frame = wire::message(&said.content, &said.client_id, said.ack);
            socket.feed(Ws::text(frame)).await?;
        }
        if let Some(frame) = self.ask_for_page(phase) {
            socket.feed(Ws::text(frame)).await?;
        }
        socket.flush().await
    }

    /// Open loop: what is due is said, whatever became of what was said before.
    fn speak(&mut self, phase: Phase) {
        if phase != Phase::Speaking {
            self.say_at = None;
            return;
        }
        let now = self.book.now();
        let mut at = match self.say_at {
            Some(at) => at,
            None => now + micros(self.plan.random.around(self.plan.say_every)),
        };
        while at <= now {
            let ack = self.level();
            let name = &self.plan.name;
            let said = self.outbox.say(|id| wire::content(at, name, id), ack, at, self.book.instant(at));
            if said.is_some() {
                self.book.room(self.plan.room, |room| room.waiting += 1);
            }
            at += micros(self.plan.random.around(self.plan.say_every)).max(1);
        }
        self.say_at = Some(at);
    }

    fn level(&mut self) -> Option<&'static str> {
        match self.plan.ack {
            Ack::Default => None,
            Ack::Wal => Some("wal"),
            Ack::Stored => Some("stored"),
            Ack::Mixed => [None, Some("wal"), Some("stored")][self.plan.random.below(3) as usize],
        }
    }

    fn ask_for_page(&mut self, phase: Phase) -> Option<String> {
        let every = self.plan.page_every.filter(|_| matches!(phase, Phase::Speaking | Phase::Silent))?;
        let now = self.book.now();
        let at = *self.page_at.get_or_insert(now + micros(self.plan.random.around(every)));
        if self.page.is_some() || at > now {
            return None;
        }
        self.page_at = Some(now + micros(self.plan.random.around(every)));
        // The newest, or somewhere below what it has seen.
        let cursor = self.cursor.as_ref().map_or(0, |(seq, _)| *seq);
        let before = (self.plan.random.below(3) == 0)
            .then(|| cursor.saturating_sub(self.plan.random.below(200)).max(1));
        self.page = Some((now, before));
        Some(wire::page(before, PAGE_ROWS))
    }

    /// When the page was asked for that should have come long ago.
    fn page_is_overdue(&self) -> Option<u64> {
        let (asked, _) = self.page?;
        (self.book.now() - asked > micros(PAGE_TIMEOUT)).then_some(asked)
    }

    fn hear(&mut self, text: &str) -> Result<(), String> {
        let frame: Frame = serde_json::from_str(text).map_err(|error| format!("frame {text}: {error}"))?;
        let number = self.plan.number;
        match frame {
            Frame::Message(message) => {
                if let Some(intended) = wire::intended(message.content()) {
                    self.book.live(Duration::from_micros(self.book.now().saturating_sub(intended)));
                }
                let seen = message.seen();
                self.reached(seen.seq, &seen.epoch);
                self.book.write(number, What::Received(seen));
            }
            Frame::System { user_count } => self.count(user_count),
            Frame::History { messages, complete, limit: None, .. } => {
                let rows: Vec<_> = messages.into_iter().map(wire::Message::seen).collect();
                if let Some(last) = rows.last() {
                    self.reached(last.seq, &last.epoch);
                }
                self.book.write(number, What::History { rows, complete });
            }
            Frame::History { messages, complete, limit: Some(limit), before } => {
                let is_it = |(_, wanted): &(u64, Option<u64>)| *wanted == before && limit == PAGE_ROWS;
                let Some((asked, wanted)) = self.page.take().filter(is_it) else {
                    return Err(format!("a page that was not asked for: {limit} before {before:?}"));
                };
                let rows = messages.into_iter().map(wire::Message::seen).collect();
                self.book.write(number, What::Page { asked, before: wanted, limit, complete, rows });
            }
            Frame::Joined { seq, epoch, user_count, recovered } => {
                let since = self.cursor.as_ref().map(|(seq, _)| *seq);
                let asked = self.asked;
                self.book.write(number, What::Joined { seq, epoch: epoch.clone(), since, recovered, asked });
                self.joined(Some(user_count));
                if since.is_none() || !recovered {
                    self.come_to(seq, &epoch);
                }
                self.outbox.all_due(Instant::now());
            }
            Frame::Ack { client_id, seq, epoch, level } => self.acked(client_id, seq, epoch, level),
            Frame::Error { code, client_id, retry_after_ms } => self.refused(code, client_id, retry_after_ms),
            Frame::Gap { from, to } => {
                self.book.write(number, What::Gap { from, to });
                if let Some((seq, _)) = &mut self.cursor {
                    *seq = to.max(*seq);
                }
            }
            Frame::Reconnect { after_ms } => self.come_back = Some(Duration::from_millis(after_ms)),
            Frame::Other => {}
        }
        Ok(())
    }

    fn acked(&mut self, client_id: String, seq: u64, epoch: String, level: String) {
        if let Some(said) = self.outbox.answered(&client_id) {
            self.book.acked(Duration::from_micros(self.book.now().saturating_sub(said.intended)));
            self.book.room(self.plan.room, |room| {
                room.waiting -= 1;
                room.head = room.head.max(seq);
            });
        }
        self.book.write(self.plan.number, What::Ack { client_id, seq, epoch, level });
    }

    fn refused(&mut self, code: String, client_id: Option<String>, retry_after_ms: Option<u64>) {
        self.book.error(&code);
        if client_id.is_none() {
            // About the page, if one was asked for: there is no other frame that is refused without a name.
            self.page = None;
        }
        if let Some(client_id) = &client_id {
            if What::is_refusal(&code) {
                if self.outbox.answered(client_id).is_some() {
                    self.book.room(self.plan.room, |room| room.waiting -= 1);
                }
            } else {
                let most = retry_after_ms.unwrap_or(1_000).max(50);
                let after = Duration::from_millis(most + self.plan.random.below(most / 2));
                self.outbox.later(client_id, after, Instant::now());
            }
        }
        self.book.write(self.plan.number, What::Error { code, client_id });
    }

    /// It saw this message.
    fn reached(&mut self, seq: u64, epoch: &str) {
        self.book.room(self.plan.room, |room| room.head = room.head.max(seq));
        self.come_to(seq, epoch);
    }

    /// It resumes from here. A join's head need not be a message: nobody else will come to it by seeing one.
    fn come_to(&mut self, seq: u64, epoch: &str) {
        // A history after a loss may end below what was seen before; the cursor never goes back.
        if self.cursor.as_ref().is_none_or(|(at, _)| seq > *at) {
            self.cursor = Some((seq, epoch.to_owned()));
        }
        let (number, cursor) = (self.plan.number, self.cursor.as_ref().map_or(0, |(seq, _)| *seq));
        self.book.room(self.plan.room, |room| room.cursors.insert(number, cursor));
    }

    fn count(&self, count: u64) {
        self.book.write(self.plan.number, What::Count { count });
        self.book.room(self.plan.room, |room| room.counts.insert(self.plan.number, count));
    }

    fn joined(&mut self, count: Option<u64>) {
        // A second `joined` on a connection only tells of a new epoch.
        if !std::mem::replace(&mut self.in_room, true) {
            self.book.room(self.plan.room, |room| {
                room.connected += 1;
                room.changed = Instant::now();
            });
        }
        if let Some(count) = count {
            self.count(count);
        }
    }

    /// The socket is gone.
    fn leave(&mut self) {
        self.page = None;
        if std::mem::take(&mut self.in_room) {
            let number = self.plan.number;
            self.book.room(self.plan.room, |room| {
                room.connected -= 1;
                room.changed = Instant::now();
                room.counts.remove(&number);
            });
        }
    }

    fn end(&mut self, joined: bool) {
        for said in self.outbox.waiting() {
            self.book.unanswered();
            self.book.write(self.plan.number, What::Unanswered { client_id: said.client_id.clone() });
        }
        self.book.write(self.plan.number, What::Done { joined });
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX / 4)
}

/// The run is over.
async fn over(phase: &mut watch::Receiver<Phase>) {
    // Its sender outlives every member.
    phase.wait_for(|phase| *phase == Phase::Done).await.ok();
}
