//! Many members on one thread and one epoll who speak, listen, lose their connections and come back; all they see is held
//! against what must be.
//! Not here: when what happens to them (`play`), members who never lose a connection and cost next to nothing (`fleet`).

mod books;
mod comings;
mod member;
mod socket;
mod timeline;
mod wire;

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap},
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use mio::{Events, Poll, Token};
use moim_protocol::Profile;

use crate::{fault::Fault, frame, interrupt, random::Random};

use books::Books;
use member::{Member, Shared};
use socket::{End, Heard, Socket};
pub(crate) use timeline::{Count, MarkKind, Timeline};
use wire::Mark;
pub(crate) use wire::number_of;

const EVENTS: usize = 512;
const READ_BYTES: usize = 64 * 1024;
/// The longest sleep: a signal must be noticed.
const TURN_MAX: Duration = Duration::from_millis(100);
const RESEND_EVERY: Duration = Duration::from_millis(100);
const DRIP_EVERY: Duration = Duration::from_millis(100);
/// Draws until a sender is found who is of the v1 profile; else the first of the room, who always is.
const SENDER_DRAWS: u32 = 8;

/// Who they are.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    /// Where they connect: each has its own to begin with, and takes the next when that fails.
    pub(crate) addresses: Vec<SocketAddr>,
    /// How many there can ever be, and how many of them, the last, are of the plain profile.
    pub(crate) members: usize,
    pub(crate) plain: usize,
    pub(crate) rooms: usize,
    pub(crate) room_prefix: String,
    /// How many read slowly (those before the plain ones), and how slowly.
    pub(crate) slow: usize,
    pub(crate) slow_bytes_per_second: u32,
    /// Length of a message's content.
    pub(crate) bytes: usize,
    pub(crate) seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Connect,
    Drip,
}

pub(crate) struct Crowd {
    shape: Shape,
    poll: Poll,
    events: Events,
    scratch: Vec<u8>,
    members: Vec<Member>,
    timers: BinaryHeap<Reverse<(Instant, usize, Timer)>>,
    /// Who has said something that is not answered.
    restless: BTreeSet<usize>,
    resend_at: Instant,
    random: Random,
    start: Instant,
    present: usize,
    pub(crate) books: Books,
    pub(crate) timeline: Timeline,
    /// Slow readers read what is left as fast as they can.
    hurries: bool,
    /// Nobody comes back any more.
    is_over: bool,
}

impl Crowd {
    pub(crate) fn new(shape: Shape) -> Result<Self, Fault> {
        let first_plain = shape.members - shape.plain;
        let members = (0..shape.members).map(|number| {
            let profile = if number < first_plain { Profile::V1 } else { Profile::Plain };
            let is_slow = number < first_plain && number >= first_plain - shape.slow.min(first_plain);
            let drip = is_slow.then_some(shape.slow_bytes_per_second);
            Member::new(number, (number % shape.rooms) as u32, profile, drip)
        });
        Ok(Self {
            members: members.collect(),
            poll: Poll::new().map_err(Fault::io("cannot make an epoll"))?,
            events: Events::with_capacity(EVENTS),
            scratch: vec![0; READ_BYTES],
            timers: BinaryHeap::new(),
            restless: BTreeSet::new(),
            resend_at: Instant::now(),
            random: Random::new(shape.seed),
            start: Instant::now(),
            present: 0,
            books: Books::new(shape.rooms),
            timeline: Timeline::new(),
            hurries: false,
            is_over: false,
            shape,
        })
    }

    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Microseconds since the run began.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// The run begins now: what was before is in no figure.
    pub(crate) fn begin(&mut self) {
        self.start = Instant::now();
        self.timeline = Timeline::new();
        self.timeline.present(0, self.present);
        for member in &mut self.members {
            member.listen_from(0);
        }
    }

    /// Members in their room.
    pub(crate) fn present(&self) -> usize {
        self.present
    }

    /// Messages that have no answer yet.
    pub(crate) fn is_answered(&self) -> bool {
        self.restless.is_empty()
    }

    /// Members who should be there and have not seen everything.
    pub(crate) fn behind(&self) -> usize {
        let meant = self.members.iter().filter(|member| member.was_here);
        meant.filter(|member| member.is_behind(&self.books)).count()
    }

    /// One of those who are in their room and wait for nothing, drawn.
    pub(crate) fn draw(&mut self) -> Option<usize> {
        (0..64).find_map(|_| {
            let member = self.random.below(self.members.len() as u64) as usize;
            let is_free = self.members[member].in_room && !self.restless.contains(&member);
            is_free.then_some(member)
        })
    }

    /// Somebody of the next room says the next message, which was meant to be said then.
    pub(crate) fn say(&mut self, intended: u64) {
        let rooms = self.shape.rooms as u64;
        let room = self.books.next() % rooms;
        let in_room = (self.members.len() as u64 - room).div_ceil(rooms);
        let drawn = (0..SENDER_DRAWS).map(|_| (room + self.random.below(in_room) * rooms) as usize);
        let is_v1 = |member: &usize| {
            let member = &self.members[*member];
            member.profile == Profile::V1 && member.was_here
        };
        let drawn: Vec<_> = drawn.collect();
        let sender = drawn.into_iter().find(is_v1).unwrap_or(room as usize);
        let number = self.books.say(room as u32);
        let mark = Mark { intended, number };
        self.members[sender].say(mark, wire::message(mark, self.shape.bytes));
        self.restless.insert(sender);
        self.send_due(sender);
    }

    fn send_due(&mut self, member: usize) {
        let now = self.now();
        let Self { members, books, timeline, .. } = self;
        let mut shared = Shared { books, timeline, now };
        let due = members[member].due(Instant::now(), &mut shared);
        for text in due {
            let Some(socket) = &mut self.members[member].socket else { return };
            if let Err(end) = socket.send(frame::TEXT, text.as_bytes()) {
                return self.ended(member, &end);
            }
        }
        if !self.members[member].waits() {
            self.restless.remove(&member);
        }
    }

    /// Waits for something to happen, at most so long, and handles it.
    pub(crate) fn turn(&mut self, wait: Duration) -> Result<(), Fault> {
        interrupt::check()?;
        let timer = self.timers.peek().map(|Reverse((at, ..))| at.saturating_duration_since(Instant::now()));
        let wait = wait.min(TURN_MAX).min(timer.unwrap_or(TURN_MAX));
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            other => other.map_err(Fault::io("epoll"))?,
        }
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            let Token(member) = event.token();
            if event.is_writable() {
                self.flush(member);
            }
            let is_over = event.is_read_closed() || event.is_error();
            if (event.is_readable() || is_over) && self.members[member].drip.is_none() {
                self.read(member, usize::MAX);
            }
        }
        self.events = events;
        self.ring_timers();
        if self.resend_at <= Instant::now() {
            self.resend_at = Instant::now() + RESEND_EVERY;
            for member in self.restless.iter().copied().collect::<Vec<_>>() {
                self.send_due(member);
            }
        }
        Ok(())
    }

    fn ring_timers(&mut self) {
        let now = Instant::now();
        while let Some(Reverse((at, member, timer))) = self.timers.peek().copied() {
            if at > now {
                return;
            }
            self.timers.pop();
            match timer {
                Timer::Connect if self.members[member].socket.is_none() && !self.is_over => {
                    self.timeline.returns(self.now());
                    self.connect(member);
                }
                Timer::Connect => {}
                Timer::Drip => self.drip(member),
            }
        }
    }

    fn drip(&mut self, member: usize) {
        let Some(bytes_per_second) = self.members[member].drip else { return };
        if self.members[member].socket.is_some() {
            let share = u64::from(bytes_per_second) * DRIP_EVERY.as_millis() as u64 / 1000;
            self.read(member, if self.hurries { usize::MAX } else { (share as usize).max(1) });
            self.timers.push(Reverse((Instant::now() + DRIP_EVERY, member, Timer::Drip)));
        }
    }

    fn flush(&mut self, member: usize) {
        let outcome = self.members[member].socket.as_mut().map_or(Ok(()), Socket::flush);
        if let Err(end) = outcome {
            self.ended(member, &end);
        }
    }

    /// Reads what there is, or so much of it.
    fn read(&mut self, member: usize, limit: usize) {
        let mut scratch = std::mem::take(&mut self.scratch);
        let length = limit.min(READ_BYTES);
        while let Some(socket) = &mut self.members[member].socket {
            let more = socket.fill(&mut scratch[..length]);
            // What came before the end counts.
            let heard = self.hear(member);
            match (heard, more) {
                (Err(end), _) | (Ok(()), Err(end)) => {
                    self.ended(member, &end);
                    break;
                }
                (Ok(()), Ok(true)) if limit == usize::MAX => {}
                (Ok(()), Ok(_)) => break,
            }
        }
        self.scratch = scratch;
    }

    fn hear(&mut self, number: usize) -> Result<(), End> {
        let now = self.now();
        let Self { members, books, timeline, present, .. } = self;
        let member = &mut members[number];
        let Some(mut socket) = member.socket.take() else { return Ok(()) };
        let was_in = member.in_room;
        let mut shared = Shared { books, timeline, now };
        let outcome = loop {
            match socket.next() {
                Ok(Some(Heard::Opened)) => member.opened(&mut shared),
                Ok(Some(Heard::Text(at))) => member.hear(socket.text(at), &mut shared),
                Ok(None) => break Ok(()),
                Err(end) => break Err(end),
            }
        };
        member.socket = Some(socket);
        if member.in_room && !was_in {
            *present += 1;
            timeline.present(now, *present);
            if self.members[number].waits() {
                self.send_due(number);
            }
        }
        if !self.members[number].waits() {
            self.restless.remove(&number);
        }
        outcome
    }

    /// Nobody says anything more: the silence that began before counts up to now.
    pub(crate) fn fall_silent(&mut self) {
        self.hurries = true;
        let now = self.now();
        for member in &mut self.members {
            member.listened_until(now, &mut self.timeline);
        }
    }

    /// The longest silence of each member who was ever in and reads as fast as it can.
    pub(crate) fn silences(&self) -> impl Iterator<Item = Duration> {
        self.members.iter().filter_map(Member::silence_longest)
    }

    /// Everybody leaves, and nobody comes back.
    pub(crate) fn end(&mut self) {
        self.is_over = true;
        for member in &mut self.members {
            member.lost();
        }
        self.present = 0;
    }
}

/// Which message it is, from its content.
pub(crate) fn number_in(content: &str) -> Option<u64> {
    Mark::of(content).map(|mark| mark.number)
}
