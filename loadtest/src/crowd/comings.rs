//! How members come in, lose their connections, leave, and come back.
//! Not here: what they hear while they are there (`member`), when any of it happens (`play`).

use std::{
    cmp::Reverse,
    time::{Duration, Instant},
};

use mio::Token;

use crate::handshake;

use super::{
    Count, Crowd, DRIP_EVERY, Timer,
    socket::{End, Socket},
};

/// Full jitter below this, doubled with each try up to the most.
const BACKOFF_FIRST_MILLIS: u64 = 200;
const BACKOFF_MAX_MILLIS: u64 = 3_000;

impl Crowd {
    /// A member comes in, and was meant to at that time.
    pub(crate) fn enter(&mut self, member: usize, meant_in: u64) {
        self.members[member].meant_in = meant_in;
        self.connect(member);
    }

    /// Its connection breaks; it comes back after a part of that time, drawn.
    pub(crate) fn cut(&mut self, member: usize, back_within: Duration) {
        if self.members[member].socket.is_some() {
            self.gone(member, "cut by the scenario");
            let millis = u64::try_from(back_within.as_millis()).unwrap_or(u64::MAX);
            let wait = Duration::from_millis(self.random.below(millis.max(1)));
            self.come_back(member, wait);
        }
    }

    /// It leaves for good, unless it is on its way back or waits for an answer.
    pub(crate) fn leave(&mut self, member: usize) {
        if self.members[member].socket.is_some() && !self.restless.contains(&member) {
            self.gone(member, "left");
            self.members[member].renew();
        }
    }

    /// It leaves, and somebody else comes in its place at once.
    pub(crate) fn replace(&mut self, member: usize, meant_in: u64) {
        self.leave(member);
        self.enter(member, meant_in);
    }

    pub(super) fn connect(&mut self, number: usize) {
        let member = &mut self.members[number];
        let address = self.shape.addresses[member.place % self.shape.addresses.len()];
        let room = format!("{}-{}", self.shape.room_prefix, member.room);
        let name = member.name() + &member.query();
        let request = handshake::request(address, &room, &name, member.profile);
        let (registry, token) = (self.poll.registry(), Token(number));
        match Socket::connect(address, request, member.drip.is_some(), registry, token) {
            Ok(socket) => {
                member.socket = Some(socket);
                if member.drip.is_some() {
                    self.timers.push(Reverse((Instant::now() + DRIP_EVERY, number, Timer::Drip)));
                }
            }
            Err(error) => self.ended(number, &End::Lost(error.to_string())),
        }
    }

    /// Its socket ended by itself; it comes back when it was told to, or by its own patience.
    pub(super) fn ended(&mut self, number: usize, end: &End) {
        let was_in = self.members[number].in_room;
        let why = match end {
            End::Closed(code, reason) => format!("closed {code} {reason}"),
            End::Lost(why) => why.clone(),
        };
        self.gone(number, why.trim_end());
        let member = &mut self.members[number];
        if !was_in {
            member.tries += 1;
            member.place += 1;
        }
        let most = BACKOFF_MAX_MILLIS.min(BACKOFF_FIRST_MILLIS << member.tries.min(8));
        let told = member.come_back.take();
        let wait = told.unwrap_or_else(|| Duration::from_millis(self.random.below(most)));
        self.come_back(number, wait);
    }

    fn come_back(&mut self, member: usize, wait: Duration) {
        let micros = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
        // Who was never in is late since it was first meant to be.
        if self.members[member].was_here {
            self.members[member].meant_in = self.now().saturating_add(micros);
        }
        self.timers.push(Reverse((Instant::now() + wait, member, Timer::Connect)));
    }

    fn gone(&mut self, member: usize, why: &str) {
        let now = self.now();
        *self.books.ends.entry(why.to_owned()).or_default() += 1;
        self.timeline.count(now, Count::Lost);
        if self.members[member].lost() {
            self.present -= 1;
            self.timeline.present(now, self.present);
        }
    }
}
