//! One room on one node: who is here, what they have seen, what they still must see.
//! Not here: sockets (`moim-gateway`), other nodes (`moim-bus`), storage (`moim-store`).
//!
//! All live members share one cursor, the room's: every one of them has seen the log up to it, and nothing above. A joiner
//! waits until a *load* (ring and store, read after it came) says what there is up to a head; then it gets its part of that,
//! and what was delivered to the others meanwhile (the *tail*), and is live. A message whose `prev` is not the cursor shows
//! a hole: it is *held*, and a load fills the hole before anything is delivered on.

mod late;
mod load;
mod notices;
mod serve;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use late::LateRows;
use load::Loads;
use moim_protocol::{
    Cursor, ErrorCode, GapFrame, HERE_NAMES_MAX, Here, MemberKey, Message, Notice, Position, PresenceChange,
    Profile, RoomEvent, RoomId, Seq, ServerFrame, Timestamp, Typing, UserName,
};
use notices::Notices;

pub use late::LATE_MAX;
pub use load::{LoadId, Loaded};

use crate::{Outgoing, OutgoingKind};

/// Messages held while a hole is filled. Full: they are forgotten and read again with the next load.
pub const HELD_MAX: usize = 4096;
/// Messages delivered while a load is on its way. Full: the load's joiners wait for another one.
pub const TAIL_MAX: usize = 4096;
/// How long an empty room stays subscribed: people reload pages.
const LINGER: Duration = Duration::from_secs(15);

/// Bounds of a room.
#[derive(Debug, Clone, Copy)]
pub struct RoomLimits {
    /// Messages a resume replays at most.
    pub resume_messages_max: usize,
    /// Their bytes: they must fit the reader's outbox.
    pub resume_bytes_max: usize,
}

/// Everything that can happen to a room. `H` is how the driver knows a connection.
#[derive(Debug)]
pub enum RoomInput<H> {
    /// Somebody enters.
    Join {
        /// Which connection.
        member: MemberKey,
        /// How to reach it.
        handle: H,
        /// Under what name.
        username: UserName,
        /// In which dialect.
        profile: Profile,
        /// What it has seen.
        cursor: Option<Cursor>,
    },
    /// Somebody leaves, or their connection is gone.
    Leave {
        /// Which connection.
        member: MemberKey,
    },
    /// The bus confirmed the subscription.
    Subscribed,
    /// The bus could not subscribe.
    SubscribeFailed(ErrorCode),
    /// A load is done.
    Loaded {
        /// Which one.
        load: LoadId,
        /// What it found, or what to tell its joiners.
        result: Result<Loaded, ErrorCode>,
    },
    /// An event came.
    Event(RoomEvent),
    /// Somebody polls for a message above a number.
    Wait {
        /// Which poll.
        waiter: u64,
        /// Above this.
        after: Seq,
    },
    /// A poll was given up.
    Unwait {
        /// Which poll.
        waiter: u64,
    },
    /// The time that `poll_timeout` named has come.
    Timeout,
}

/// Everything a room asks of its driver.
#[derive(Debug)]
pub enum RoomOutput<H> {
    /// Subscribe on the bus; answer with `Subscribed` or `SubscribeFailed`.
    Subscribe,
    /// Nobody has been here for a while.
    Unsubscribe,
    /// Read the head and what leads to it; answer with `Loaded`.
    Load {
        /// Its number.
        load: LoadId,
        /// Rows from this number on, if there are not too many; in any case the newest.
        from: Option<Seq>,
    },
    /// Give a frame to a member.
    Send {
        /// To whom.
        to: H,
        /// What.
        outgoing: Arc<Outgoing>,
    },
    /// A join is refused; the connection is no member any more.
    Refuse {
        /// Whose.
        to: H,
        /// Why.
        code: ErrorCode,
    },
    /// A plain member missed messages that it cannot be told of: close it, it comes back to the last 20.
    CloseBehind {
        /// Whom.
        to: H,
    },
    /// Tell the bus who is here.
    Announce {
        /// Who is on this node.
        here: Here,
        /// What to tell everyone.
        notice: Option<Notice>,
    },
    /// A poll has something to read.
    Wake {
        /// Which one.
        waiter: u64,
    },
}

struct Member<H> {
    handle: H,
    username: UserName,
    profile: Profile,
    state: MemberState,
    /// The how many-th to be let in; those before it are told of it, those after it are not.
    turn: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum MemberState {
    /// Waits for a load.
    Joining(Option<Cursor>),
    /// Has seen everything up to the room's cursor.
    Live,
    /// Missed messages that its profile has no word for: it is being closed, and is shown nothing above the hole.
    Behind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Unsubscribed,
    Subscribing,
    Subscribed,
}

/// The machine. Call `handle`, then `poll_output` until it is empty, then `poll_timeout`.
pub struct Room<H> {
    id: RoomId,
    limits: RoomLimits,
    phase: Phase,
    members: HashMap<MemberKey, Member<H>>,
    waiters: HashMap<u64, Seq>,
    /// What every live member has seen; `None` until the first load.
    cursor: Option<Position>,
    held: VecDeque<Arc<Message>>,
    loads: Loads,
    late: LateRows,
    notices: Notices,
    elsewhere: u64,
    /// How many were let in.
    turns: u64,
    empty_since: Option<Instant>,
    outputs: VecDeque<RoomOutput<H>>,
}

impl<H: Clone> Room<H> {
    /// A room nobody is in yet.
    #[must_use]
    pub fn new(id: RoomId, limits: RoomLimits) -> Self {
        Self {
            id,
            limits,
            phase: Phase::Unsubscribed,
            members: HashMap::new(),
            waiters: HashMap::new(),
            cursor: None,
            held: VecDeque::new(),
            loads: Loads::default(),
            late: LateRows::default(),
            notices: Notices::default(),
            elsewhere: 0,
            turns: 0,
            empty_since: None,
            outputs: VecDeque::new(),
        }
    }

    /// Takes one input.
    pub fn handle(&mut self, now: Instant, input: RoomInput<H>) {
        match input {
            RoomInput::Join { member, handle, username, profile, cursor } => {
                self.join(
                    now,
                    member,
                    Member { handle, username, profile, state: MemberState::Joining(cursor), turn: 0 },
                );
            }
            RoomInput::Leave { member } => self.leave(now, member),
            RoomInput::Subscribed => {
                self.phase = Phase::Subscribed;
                self.start_load();
            }
            RoomInput::SubscribeFailed(code) => {
                self.phase = Phase::Unsubscribed;
                self.refuse_all(now, code);
            }
            RoomInput::Loaded { load, result } => self.loaded(now, load, result),
            RoomInput::Event(RoomEvent::Message(message)) => self.message(message),
            RoomInput::Event(RoomEvent::Typing(typing)) => self.typing(&typing),
            RoomInput::Event(RoomEvent::Presence { notice, elsewhere, time }) => {
                self.elsewhere = elsewhere;
                if let Some(notice) = notice {
                    self.tell_presence(&notice, time);
                }
            }
            RoomInput::Event(RoomEvent::Lost) => self.lost(),
            RoomInput::Event(RoomEvent::Late(message)) => self.late(message),
            RoomInput::Wait { waiter, after } => {
                self.waiters.insert(waiter, after);
                self.touch(now);
                match &self.cursor {
                    Some(_) => self.wake(),
                    None => self.start_load(),
                }
            }
            RoomInput::Unwait { waiter } => {
                self.waiters.remove(&waiter);
                self.touch(now);
            }
            RoomInput::Timeout => self.timeout(now),
        }
    }

    /// The next thing to do, until `None`.
    pub fn poll_output(&mut self) -> Option<RoomOutput<H>> {
        self.outputs.pop_front()
    }

    /// When to send `Timeout`. Poll after every `handle`; the value may change with each.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let linger = self.empty_since.map(|since| since + LINGER);
        [self.notices.deadline(), self.loads.retry_at(), linger].into_iter().flatten().min()
    }

    /// Nobody is here, nothing is on its way, and the bus does not send: the room can be dropped.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.phase == Phase::Unsubscribed && self.is_empty() && self.loads.is_quiet()
    }

    fn is_empty(&self) -> bool {
        self.members.is_empty() && self.waiters.is_empty()
    }

    /// Connections in the room over all nodes, as far as this node knows.
    #[must_use]
    pub fn user_count(&self) -> u64 {
        self.members.len() as u64 + self.elsewhere
    }

    /// It is announced when it is let in (`serve`): whoever came before it hears of it then, and one that is refused was
    /// never there.
    fn join(&mut self, now: Instant, key: MemberKey, member: Member<H>) {
        self.members.insert(key, member);
        self.loads.wait(key);
        self.touch(now);
        self.start_load();
    }

    fn leave(&mut self, now: Instant, key: MemberKey) {
        let Some(member) = self.members.remove(&key) else { return };
        let notice = match member.state {
            MemberState::Joining(_) => None,
            MemberState::Live | MemberState::Behind => {
                self.notices.note(now, PresenceChange::Leave, &member.username, key)
            }
        };
        self.announce(notice);
        self.touch(now);
    }

    fn announce(&mut self, notice: Option<Notice>) {
        // Whichever come first: looking at a few costs the same in a room of ten thousand.
        let names =
            self.members.values().take(HERE_NAMES_MAX).map(|member| member.username.clone()).collect();
        let here = Here { count: self.members.len() as u64, names };
        self.outputs.push_back(RoomOutput::Announce { here, notice });
    }

    /// Somebody came or went: subscribe when the first comes, start to linger when the last went.
    fn touch(&mut self, now: Instant) {
        if !self.is_empty() {
            self.empty_since = None;
            if self.phase == Phase::Unsubscribed {
                self.phase = Phase::Subscribing;
                self.outputs.push_back(RoomOutput::Subscribe);
            }
        } else if self.empty_since.is_none() {
            self.empty_since = Some(now);
        }
    }

    fn timeout(&mut self, now: Instant) {
        for notice in self.notices.flush(now) {
            self.announce(Some(notice));
        }
        if self.loads.retry_at().is_some_and(|at| at <= now) {
            self.loads.clear_retry();
            self.start_load();
        }
        if self.empty_since.is_some_and(|since| since + LINGER <= now) {
            // While the bus has not confirmed, there is nothing to end yet.
            self.empty_since = (self.phase == Phase::Subscribing).then_some(now);
        }
        if self.phase == Phase::Subscribed && self.is_empty() && self.empty_since.is_none() {
            self.phase = Phase::Unsubscribed;
            self.cursor = None;
            self.held.clear();
            self.late = LateRows::default();
            self.loads = Loads::after(&self.loads);
            self.outputs.push_back(RoomOutput::Unsubscribe);
        }
    }

    fn refuse_all(&mut self, now: Instant, code: ErrorCode) {
        let keys: Vec<_> = self.members.keys().copied().collect();
        for key in keys {
            self.refuse(now, key, code);
        }
        let waiters: Vec<_> = self.waiters.drain().collect();
        for (waiter, _) in waiters {
            self.outputs.push_back(RoomOutput::Wake { waiter });
        }
    }

    fn refuse(&mut self, now: Instant, key: MemberKey, code: ErrorCode) {
        if let Some(member) = self.members.get(&key) {
            self.outputs.push_back(RoomOutput::Refuse { to: member.handle.clone(), code });
            self.leave(now, key);
        }
    }

    fn message(&mut self, message: Arc<Message>) {
        match self.place(&message) {
            Place::Seen => {}
            Place::Next if self.held.is_empty() => self.deliver(&message),
            Place::Next | Place::BehindHole => self.hold(message),
        }
    }

    /// Where a message stands to the cursor.
    fn place(&self, message: &Message) -> Place {
        let Some(cursor) = &self.cursor else { return Place::BehindHole };
        if message.seq <= cursor.seq {
            return Place::Seen;
        }
        let counts_on = message.epoch == cursor.epoch && message.seq == cursor.seq.next();
        // A `prev` below the cursor: what lies between came late, and was not there when this one got its number.
        let follows = message.prev.is_some_and(|prev| prev <= cursor.seq);
        if counts_on || follows { Place::Next } else { Place::BehindHole }
    }

    /// What there is above the cursor must be read. Before the first load is asked for, nothing can be lost: it reads all.
    fn lost(&mut self) {
        if self.cursor.is_some() || self.loads.is_in_flight() {
            self.loads.want_advance();
            self.start_load();
        }
    }

    fn hold(&mut self, message: Arc<Message>) {
        if self.held.len() >= HELD_MAX {
            self.held.clear();
        }
        self.held.push_back(message);
        self.loads.want_advance();
        self.start_load();
    }

    /// The next message of the log, to every live member. It is encoded once.
    fn deliver(&mut self, message: &Arc<Message>) {
        self.cursor = Some(message.position());
        self.loads.keep_tail(message);
        if !self.members.is_empty() {
            self.send_live(&Outgoing::message(message), |_, _| true);
        }
        self.wake();
    }

    fn send_live(&mut self, outgoing: &Arc<Outgoing>, to: impl Fn(MemberKey, &Member<H>) -> bool) {
        for (key, member) in &self.members {
            if member.state == MemberState::Live && to(*key, member) {
                self.outputs
                    .push_back(RoomOutput::Send { to: member.handle.clone(), outgoing: outgoing.clone() });
            }
        }
    }

    fn wake(&mut self) {
        let Some(cursor) = &self.cursor else { return };
        let seen = cursor.seq;
        let ready: Vec<_> =
            self.waiters.iter().filter(|(_, after)| **after < seen).map(|(waiter, _)| *waiter).collect();
        for waiter in ready {
            self.waiters.remove(&waiter);
            self.outputs.push_back(RoomOutput::Wake { waiter });
        }
    }

    fn typing(&mut self, typing: &Typing) {
        let frame =
            ServerFrame::Typing { room: &self.id, username: &typing.username, is_typing: typing.is_typing }
                .encode();
        self.send_live(&Arc::new(Outgoing { frame, kind: OutgoingKind::Typing }), |key, _| {
            key != typing.from
        });
    }

    fn tell_presence(&mut self, notice: &Notice, time: Timestamp) {
        let frame = ServerFrame::System {
            room: &self.id,
            change: notice.change,
            username: &notice.username,
            count: notice.count,
            user_count: self.user_count(),
            time,
        }
        .encode();
        let kind = OutgoingKind::Presence { room: self.id.clone() };
        // Who is let in while the notice of another's join is on its way has found them there.
        let joined = notice.except.filter(|_| notice.change == PresenceChange::Join);
        let turn = joined.and_then(|key| self.members.get(&key)).map_or(u64::MAX, |member| member.turn);
        self.send_live(&Arc::new(Outgoing { frame, kind }), |key, member| {
            Some(key) != notice.except && member.turn < turn
        });
    }

    /// Live members will not get these: they are told, or closed where the profile has no word for it.
    fn tell_gap(&mut self, at: &Position, to: Seq) {
        let gap = GapFrame { room: &self.id, epoch: &at.epoch, from: at.seq.next(), to };
        let outgoing = Outgoing::answer(&ServerFrame::Gap(gap));
        for member in self.members.values_mut().filter(|member| member.state == MemberState::Live) {
            let to = member.handle.clone();
            self.outputs.push_back(match member.profile {
                Profile::V1 => RoomOutput::Send { to, outgoing: outgoing.clone() },
                Profile::Plain => {
                    member.state = MemberState::Behind;
                    RoomOutput::CloseBehind { to }
                }
            });
        }
    }
}

enum Place {
    /// At or below the cursor.
    Seen,
    /// Right after it.
    Next,
    /// Something is missing between.
    BehindHole,
}

#[cfg(test)]
mod tests;
