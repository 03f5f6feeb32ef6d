//! Drives one WebSocket's session: frames in, commands to rooms, answers out, until it ends.
//! Not here: what frames mean (`moim-core`), what rooms send to it (they write to its connection themselves).

use std::{sync::Arc, time::Instant};

use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use moim_core::{Refusal, Route, Session, SessionInput, SessionOutput};
use moim_protocol::{
    AckLevel, ClientId, CloseReason, Language, Message, Position, Profile, RoomId, Seq, Typing, ping_image,
};
use tokio::time::sleep_until;

use crate::{
    connection::{Connection, Control},
    hub::Command,
    pages::PageWanted,
    publisher::{Saying, refusal_of},
    shared::Shared,
    socket::{Ending, Incoming, Socket},
};

/// Publishes and pages of one connection that are not answered yet. Full: its socket is not read, TCP pushes back.
const IN_FLIGHT_MAX: usize = 128;

/// Something that was asked for is done.
enum Done {
    Published {
        room: RoomId,
        client_id: Option<ClientId>,
        result: Result<(Position, AckLevel), Refusal>,
    },
    Page {
        room: RoomId,
        before: Option<Seq>,
        limit: usize,
        result: Result<(Vec<Arc<Message>>, bool), Refusal>,
    },
}

impl From<Done> for SessionInput<'static> {
    fn from(done: Done) -> Self {
        match done {
            Done::Published { room, client_id, result } => Self::Published { room, client_id, result },
            Done::Page { room, before, limit, result } => Self::Page { room, before, limit, result },
        }
    }
}

struct Driven {
    shared: Arc<Shared>,
    connection: Arc<Connection>,
    session: Session,
    in_flight: FuturesUnordered<BoxFuture<'static, Done>>,
}

/// Runs a connection from its opening to its end.
///
/// # Cancel safety
/// Dropping it leaves members behind in rooms; only the end of the process does that.
pub(crate) async fn run(
    shared: Arc<Shared>,
    mut socket: Box<Socket>,
    route: Route,
    profile: Profile,
    language: Language,
) {
    let connection = socket.connection().clone();
    shared.metrics.opened.inc();
    shared.metrics.connections(profile).inc();
    shared.connections.add(&connection);
    let session = Session::new(Instant::now(), route, profile, language, shared.session_limits());
    let mut driven = Driven { shared, connection, session, in_flight: FuturesUnordered::new() };
    let ending = driven.drive(&mut socket).await;
    let Driven { shared, connection, session, .. } = driven;
    // Before the closing handshake: a client that never answers it must not be counted for its time-out.
    for room in session.rooms() {
        let member = shared.member(&connection);
        Box::pin(shared.hub.tell(room, Command::Leave { room: room.clone(), member })).await;
    }
    drop(session);
    shared.metrics.closed[reason_of(ending)].inc();
    // Boxed: only connections that end need its state.
    Box::pin(socket.finish(ending)).await;
    shared.connections.remove(&connection);
    shared.metrics.connections(profile).dec();
}

fn reason_of(ending: Ending) -> CloseReason {
    match ending {
        Ending::ByClient => CloseReason::Normal,
        Ending::Lost => CloseReason::Lost,
        Ending::ByUs(reason) => reason,
    }
}

impl Driven {
    async fn drive(&mut self, socket: &mut Socket) -> Ending {
        let stalled_after = self.shared.config.limits.stalled_reader_after();
        loop {
            while let Some(output) = self.session.poll_output() {
                if let SessionOutput::Close(reason) = output {
                    return Ending::ByUs(reason);
                }
                if let Some((room, command)) = self.output(output) {
                    // Boxed: joins and leaves are few, and an idle connection holds no state for them.
                    Box::pin(self.shared.hub.tell(&room, command)).await;
                }
            }
            let heartbeat = self.session.poll_timeout();
            let stalled = self.connection.stalled_at(stalled_after);
            let timer = stalled.map_or(heartbeat, |stalled| stalled.min(heartbeat));
            tokio::select! {
                incoming = socket.next(), if self.in_flight.len() < IN_FLIGHT_MAX => {
                    if let Some(ending) = self.incoming(incoming) {
                        return ending;
                    }
                }
                open = self.connection.drive() => {
                    if !open {
                        return Ending::Lost;
                    }
                    if let Some(ending) = self.controls() {
                        return ending;
                    }
                }
                Some(done) = self.in_flight.next(), if !self.in_flight.is_empty() => {
                    self.session.handle(Instant::now(), done.into());
                }
                () = sleep_until(timer.into()) => {
                    let now = Instant::now();
                    if self.connection.stalled_at(stalled_after).is_some_and(|at| at <= now) {
                        return Ending::ByUs(CloseReason::SlowReader);
                    }
                    self.session.handle(now, SessionInput::Timeout);
                }
            }
        }
    }

    fn incoming(&mut self, incoming: Incoming) -> Option<Ending> {
        let now = Instant::now();
        match incoming {
            Incoming::Text(json) | Incoming::Binary(json) => {
                self.session.handle(now, SessionInput::Text(&json))
            }
            Incoming::Ping => self.session.handle(now, SessionInput::Ping),
            Incoming::Pong => self.session.handle(now, SessionInput::Pong),
            Incoming::Ended(ending) => return Some(ending),
        }
        None
    }

    fn controls(&mut self) -> Option<Ending> {
        for control in self.connection.take_controls() {
            let input = match control {
                Control::Close(reason) => return Some(Ending::ByUs(reason)),
                Control::JoinRefused { room, code } => SessionInput::JoinRefused { room, code },
                Control::Drain { after_ms, reason } => SessionInput::Drain { after_ms, reason },
            };
            self.session.handle(Instant::now(), input);
        }
        None
    }

    /// Does what the session asks for; what a room must hear is handed back.
    fn output(&mut self, output: SessionOutput) -> Option<(RoomId, Command)> {
        match output {
            SessionOutput::Send(outgoing) => self.connection.send(&outgoing),
            SessionOutput::Ping => self.connection.send_image(ping_image()),
            SessionOutput::Join { room, username, cursor } => {
                let (member, connection) = (self.shared.member(&self.connection), self.connection.clone());
                let profile = self.connection.profile();
                let command =
                    Command::Join { room: room.clone(), member, connection, username, profile, cursor };
                return Some((room, command));
            }
            SessionOutput::Leave { room } => {
                let member = self.shared.member(&self.connection);
                return Some((room.clone(), Command::Leave { room, member }));
            }
            SessionOutput::Publish { room, sender, client_id, content, level } => {
                let saying =
                    Saying { room: room.clone(), sender, client_id: client_id.clone(), content, level };
                let answer = self.shared.publisher.publish(saying);
                self.in_flight.push(Box::pin(async move {
                    let result = answer.await.map(|receipt| (receipt.position, receipt.level));
                    Done::Published { room, client_id, result }
                }));
            }
            SessionOutput::Typing { room, username, is_typing } => {
                let from = self.shared.member(&self.connection);
                self.shared.bus.typing(&room, Typing { username, is_typing, from });
            }
            SessionOutput::Page { room, before, limit } => {
                let pages = self.shared.pages.clone();
                self.in_flight.push(Box::pin(async move {
                    let page = pages.page(&room, PageWanted::Before(before), limit).await;
                    let result =
                        page.map(|page| (page.rows, page.complete)).map_err(|error| refusal_of(&error));
                    Done::Page { room, before, limit, result }
                }));
            }
            // Taken by `drive`, which ends with it.
            SessionOutput::Close(_) => {}
        }
        None
    }
}
