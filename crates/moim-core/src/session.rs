//! One connection: what its frames ask for, whether they may, when it is pinged and when given up.
//! Not here: what rooms do (`room`), writing and its bounds (`outbox`, `moim-gateway`).

mod heartbeat;
mod rate_limit;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Instant,
};

use heartbeat::Heartbeat;
use moim_protocol::{
    AckFrame, AckLevel, ClientFrame, ClientId, CloseReason, Cursor, ErrorCode, ErrorFrame, Language, Message,
    PageFrame, Position, Profile, RoomId, Seq, ServerFrame, UserName, limits,
};
pub use rate_limit::RateLimit;

use crate::Outgoing;

/// Bounds of a session.
#[derive(Debug, Clone, Copy)]
pub struct SessionLimits {
    /// Rooms one connection may be in.
    pub rooms_max: usize,
    /// Frames a second.
    pub messages_per_second: u32,
    /// Longest room name in characters.
    pub room_name_chars_max: usize,
    /// Longest user name in characters.
    pub username_chars_max: usize,
}

/// Where a connection came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// `/chat/{room}`: one room, joined by the URL.
    Room {
        /// The room.
        room: RoomId,
        /// The name from the query.
        username: UserName,
        /// The cursor from the query.
        cursor: Option<Cursor>,
    },
    /// `/ws`: rooms are joined by frames.
    Many,
}

/// Everything that can happen to a session.
#[derive(Debug)]
pub enum SessionInput<'a> {
    /// A whole message came.
    Text(&'a [u8]),
    /// A ping came; it is answered elsewhere.
    Ping,
    /// A pong came.
    Pong,
    /// A publish was answered.
    Published {
        /// Its room.
        room: RoomId,
        /// Its sender's name for it, if they gave one.
        client_id: Option<ClientId>,
        /// Where it stands and how durable it is, or why not.
        result: Result<(Position, AckLevel), Refusal>,
    },
    /// A page was read.
    Page {
        /// Its room.
        room: RoomId,
        /// The request's.
        before: Option<Seq>,
        /// The request's.
        limit: usize,
        /// Oldest first, and whether nothing is missing; or why not.
        result: Result<(Vec<Arc<Message>>, bool), Refusal>,
    },
    /// A room refused the join; the connection is no member.
    JoinRefused {
        /// The room.
        room: RoomId,
        /// Why.
        code: ErrorCode,
    },
    /// The node drains, or cannot serve it any more: come back after so many milliseconds.
    Drain {
        /// How long to wait.
        after_ms: u64,
        /// Why, in a word.
        reason: &'static str,
    },
    /// The time that `poll_timeout` named has come.
    Timeout,
}

/// Why something was not done, and when trying again may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub code: ErrorCode,
    /// When to try again.
    pub retry_after_ms: Option<u64>,
}

/// Everything a session asks of its driver.
#[derive(Debug)]
pub enum SessionOutput {
    /// Give this frame to the connection.
    Send(Arc<Outgoing>),
    /// Send a WebSocket ping.
    Ping,
    /// Enter a room.
    Join {
        /// The room.
        room: RoomId,
        /// Under what name.
        username: UserName,
        /// What the client has seen.
        cursor: Option<Cursor>,
    },
    /// Leave a room.
    Leave {
        /// The room.
        room: RoomId,
    },
    /// Publish a message.
    Publish {
        /// The room.
        room: RoomId,
        /// Who says it.
        sender: UserName,
        /// Their name for it.
        client_id: Option<ClientId>,
        /// What they say.
        content: Arc<str>,
        /// The durability they ask for.
        level: Option<AckLevel>,
    },
    /// Tell that somebody types.
    Typing {
        /// The room.
        room: RoomId,
        /// Who.
        username: UserName,
        /// Whether typing now.
        is_typing: bool,
    },
    /// Read a page.
    Page {
        /// The room.
        room: RoomId,
        /// Older than this.
        before: Option<Seq>,
        /// How many.
        limit: usize,
    },
    /// Close the connection; nothing follows.
    Close(CloseReason),
}

/// The machine. Call `handle`, then `poll_output` until it is empty, then `poll_timeout`.
#[derive(Debug)]
pub struct Session {
    profile: Profile,
    language: Language,
    limits: SessionLimits,
    /// The room of `/chat/{room}`.
    home: Option<RoomId>,
    rooms: HashMap<RoomId, UserName>,
    heartbeat: Heartbeat,
    rate: RateLimit,
    outputs: VecDeque<SessionOutput>,
}

impl Session {
    /// A connection that has just been opened.
    #[must_use]
    pub fn new(
        now: Instant,
        route: Route,
        profile: Profile,
        language: Language,
        limits: SessionLimits,
    ) -> Self {
        let mut session = Self {
            profile,
            // The plain profile's words are fixed by its contract.
            language: if profile == Profile::Plain { Language::Korean } else { language },
            limits,
            home: None,
            rooms: HashMap::new(),
            heartbeat: Heartbeat::new(now),
            rate: RateLimit::new(now, limits.messages_per_second),
            outputs: VecDeque::new(),
        };
        if let Route::Room { room, username, cursor } = route {
            session.home = Some(room.clone());
            session.enter(room, username, cursor);
        }
        session
    }

    /// Takes one input.
    pub fn handle(&mut self, now: Instant, input: SessionInput<'_>) {
        match input {
            SessionInput::Text(json) => {
                self.heartbeat.heard(now);
                self.text(now, json);
            }
            SessionInput::Ping => {
                self.heartbeat.heard(now);
                self.meter(now);
            }
            SessionInput::Pong => {
                self.heartbeat.heard(now);
                self.meter(now);
            }
            SessionInput::Published { room, client_id, result } => {
                self.published(&room, client_id.as_ref(), result)
            }
            SessionInput::Page { room, before, limit, result } => self.page(&room, before, limit, result),
            SessionInput::JoinRefused { room, code } => self.join_refused(&room, code),
            SessionInput::Drain { after_ms, reason } => {
                if self.profile == Profile::V1 {
                    self.send(&ServerFrame::Reconnect { after_ms, reason });
                }
                self.outputs.push_back(SessionOutput::Close(CloseReason::Restart));
            }
            SessionInput::Timeout => match self.heartbeat.timeout(now) {
                Some(heartbeat::Due::Ping) => self.outputs.push_back(SessionOutput::Ping),
                Some(heartbeat::Due::GiveUp) => self.close(CloseReason::PongTimeout),
                None => {}
            },
        }
    }

    /// The next thing to do, until `None`.
    pub fn poll_output(&mut self) -> Option<SessionOutput> {
        let output = self.outputs.pop_front();
        if output.is_none() {
            // An idle connection keeps nothing: even four empty places are 288 bytes, ten thousand times.
            self.outputs = VecDeque::new();
        }
        output
    }

    /// When to send `Timeout`. Poll after every `handle`; the value may change with each.
    #[must_use]
    pub fn poll_timeout(&self) -> Instant {
        self.heartbeat.deadline()
    }

    /// The rooms the connection is in: whoever drops the session leaves them.
    pub fn rooms(&self) -> impl Iterator<Item = &RoomId> {
        self.rooms.keys()
    }

    fn close(&mut self, reason: CloseReason) {
        self.outputs.push_back(SessionOutput::Close(reason));
    }

    /// Frames that ask for nothing are counted too, or a flood of them would be free.
    fn meter(&mut self, now: Instant) {
        if self.rate.is_flood(now) {
            self.close(CloseReason::Flood);
        }
    }

    fn text(&mut self, now: Instant, json: &[u8]) {
        if let Some(wait) = self.rate.take(now) {
            // The sender must learn which send it was, so the frame is still read.
            let frame = ClientFrame::parse(json).ok();
            let client_id = match &frame {
                Some(ClientFrame::Message { client_id, .. }) => client_id.as_deref(),
                _ => None,
            };
            let retry_after_ms = Some(wait.as_millis().max(1).try_into().unwrap_or(1000));
            let home = self.home.clone();
            let room = home.as_ref().map(RoomId::as_str);
            self.error_about(Refusal { code: ErrorCode::RateLimited, retry_after_ms }, room, client_id);
            return self.meter(now);
        }
        match ClientFrame::parse(json) {
            Ok(frame) => self.frame(frame),
            Err(_) => self.error(ErrorCode::BadFrame, None, None),
        }
    }

    fn frame(&mut self, frame: ClientFrame) {
        match (frame, self.profile) {
            (ClientFrame::Message { room, content, client_id, ack }, profile) => match profile {
                Profile::Plain => self.say(None, content, None, None),
                Profile::V1 => self.say(room.as_deref(), content, client_id.as_deref(), ack),
            },
            (ClientFrame::Typing { room, is_typing }, _) => {
                if let Some((room, username)) = self.member_of(room.as_deref(), None) {
                    self.outputs.push_back(SessionOutput::Typing { room, username, is_typing });
                }
            }
            (ClientFrame::Unknown, _) => {}
            // The plain profile knows two types; the others are unknown to it, and unknown types are ignored.
            (_, Profile::Plain) => {}
            (ClientFrame::Join { room, username, since, epoch }, Profile::V1) => {
                self.ask_join(room, username.as_deref(), since, epoch);
            }
            (ClientFrame::Leave { room }, Profile::V1) => {
                if let Some((room, _)) = self.member_of(room.as_deref(), None) {
                    self.leave(room);
                }
            }
            (ClientFrame::History { room, before, limit }, Profile::V1) => {
                self.ask_page(room.as_deref(), before, limit);
            }
            (ClientFrame::Ping, Profile::V1) => self.send(&ServerFrame::Pong),
        }
    }

    fn say(
        &mut self,
        room: Option<&str>,
        content: Arc<str>,
        client_id: Option<&str>,
        level: Option<AckLevel>,
    ) {
        let Some((room, sender)) = self.member_of(room, client_id) else { return };
        match client_id.map(ClientId::from_client).transpose() {
            Ok(client_id) => {
                self.outputs.push_back(SessionOutput::Publish { room, sender, client_id, content, level });
            }
            Err(_) => self.error(ErrorCode::ClientIdInvalid, Some(room.as_str()), None),
        }
    }

    /// The room a frame is about, if the connection is in it; else the client is told.
    fn member_of(&mut self, room: Option<&str>, client_id: Option<&str>) -> Option<(RoomId, UserName)> {
        let named = match (room, &self.home) {
            (Some(name), _) => RoomId::from_client(name, self.limits.room_name_chars_max).ok(),
            (None, Some(home)) => Some(home.clone()),
            (None, None) => {
                self.error(ErrorCode::RoomMissing, None, client_id);
                return None;
            }
        };
        let member = named.and_then(|room| self.rooms.get(&room).cloned().map(|username| (room, username)));
        if member.is_none() {
            self.error(ErrorCode::NotJoined, room, client_id);
        }
        member
    }

    fn ask_join(
        &mut self,
        room: Option<String>,
        username: Option<&str>,
        since: Option<u64>,
        epoch: Option<String>,
    ) {
        let Some(name) = room else { return self.error(ErrorCode::RoomMissing, None, None) };
        let Ok(room) = RoomId::from_client(&name, self.limits.room_name_chars_max) else {
            return self.error(ErrorCode::RoomInvalid, Some(&name), None);
        };
        let Ok(username) = UserName::from_client(username.unwrap_or(""), self.limits.username_chars_max)
        else {
            return self.error(ErrorCode::UsernameInvalid, Some(&name), None);
        };
        let Ok(cursor) = Cursor::from_client(since, epoch) else {
            return self.error(ErrorCode::CursorInvalid, Some(&name), None);
        };
        let rooms_max = if self.home.is_some() { 1 } else { self.limits.rooms_max };
        if self.rooms.contains_key(&room) {
            self.error(ErrorCode::AlreadyJoined, Some(&name), None);
        } else if self.rooms.len() >= rooms_max {
            self.error(ErrorCode::TooManyRooms, Some(&name), None);
        } else {
            self.enter(room, username, cursor);
        }
    }

    fn enter(&mut self, room: RoomId, username: UserName, cursor: Option<Cursor>) {
        self.rooms.insert(room.clone(), username.clone());
        self.outputs.push_back(SessionOutput::Join { room, username, cursor });
    }

    fn leave(&mut self, room: RoomId) {
        self.rooms.remove(&room);
        let last = self.home.as_ref() == Some(&room);
        self.outputs.push_back(SessionOutput::Leave { room });
        if last {
            self.close(CloseReason::Normal);
        }
    }

    fn ask_page(&mut self, room: Option<&str>, before: Option<u64>, limit: Option<u64>) {
        let Some((room, _)) = self.member_of(room, None) else { return };
        let limit = limit.map_or(Ok(limits::PAGE_LIMIT_DEFAULT), |limit| match usize::try_from(limit) {
            Ok(limit) if (1..=limits::PAGE_LIMIT_MAX).contains(&limit) => Ok(limit),
            _ => Err(ErrorCode::LimitInvalid),
        });
        let before = match before.map(Seq) {
            Some(seq) if seq > Seq::MAX => Err(ErrorCode::CursorInvalid),
            before => Ok(before),
        };
        match (before, limit) {
            (Ok(before), Ok(limit)) => self.outputs.push_back(SessionOutput::Page { room, before, limit }),
            (Err(code), _) | (_, Err(code)) => self.error(code, Some(room.as_str()), None),
        }
    }

    fn published(
        &mut self,
        room: &RoomId,
        client_id: Option<&ClientId>,
        result: Result<(Position, AckLevel), Refusal>,
    ) {
        let client_id = client_id.map(ClientId::as_str);
        match (result, client_id) {
            (Ok((Position { epoch, seq }, level)), Some(client_id)) if self.profile == Profile::V1 => {
                self.send(&ServerFrame::Ack(AckFrame { room, client_id, seq, epoch: &epoch, level }));
            }
            (Ok(_), _) => {}
            (Err(refusal), client_id) => self.error_about(refusal, Some(room.as_str()), client_id),
        }
    }

    fn page(
        &mut self,
        room: &RoomId,
        before: Option<Seq>,
        limit: usize,
        result: Result<(Vec<Arc<Message>>, bool), Refusal>,
    ) {
        match result {
            Ok((messages, complete)) => {
                let retry_after_ms = (!complete).then_some(1000);
                let frame = PageFrame { room, before, limit, messages: &messages, complete, retry_after_ms };
                self.send(&ServerFrame::Page(frame));
            }
            Err(refusal) => self.error_about(refusal, Some(room.as_str()), None),
        }
    }

    fn join_refused(&mut self, room: &RoomId, code: ErrorCode) {
        self.rooms.remove(room);
        let retry_after_ms = (code.row().status >= 500).then_some(1000);
        self.error_about(Refusal { code, retry_after_ms }, Some(room.as_str()), None);
        if self.home.as_ref() == Some(room) {
            let again = retry_after_ms.is_some();
            self.close(if again { CloseReason::TryLater } else { CloseReason::JoinRefused });
        }
    }

    fn error(&mut self, code: ErrorCode, room: Option<&str>, client_id: Option<&str>) {
        self.error_about(Refusal { code, retry_after_ms: None }, room, client_id);
    }

    fn error_about(&mut self, refusal: Refusal, room: Option<&str>, client_id: Option<&str>) {
        let Refusal { code, retry_after_ms } = refusal;
        let frame = ErrorFrame { code, language: self.language, room, client_id, retry_after_ms };
        self.send(&ServerFrame::Error(frame));
    }

    fn send(&mut self, frame: &ServerFrame<'_>) {
        self.outputs.push_back(SessionOutput::Send(Outgoing::answer(frame)));
    }
}

#[cfg(test)]
mod tests;
