//! The connection that is, the pause before the next one, or the next one being opened: one thing at a time.
//! Not here: one connection (`link`), what is sent when it is back (`client`).

use std::time::Duration;

use futures_util::future::BoxFuture;
use moim_protocol::{ClientFrame, CloseReason, Cursor};
use tokio::time::{Instant, sleep_until};

use crate::{
    backoff::{full_jitter, random},
    link::{Heard, Link, OpenFault, Target},
};

/// A connection that lived so long was a good one: the next pause is a first one again.
const STABLE_AFTER: Duration = Duration::from_secs(5);
/// A server that asks for a longer pause is not believed.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// After the first code of 4000 the codes are the application's, ours here: final unless the table says otherwise.
const OWN_CODES: u16 = 4000;

/// What the wire tells.
#[derive(Debug)]
pub(crate) enum News {
    /// A connection is open; it is not yet in the room.
    Opened,
    /// A connection could not be opened; the next try is on its way.
    NotOpened(OpenFault),
    /// Something was heard.
    Heard(moim_protocol::HeardFrame),
    /// The connection ended; the next try is on its way.
    Lost,
    /// The connection ended, and coming back by itself would only repeat the fault.
    Final(u16, String),
}

enum State {
    Waiting(Instant),
    Opening(BoxFuture<'static, Result<Link, OpenFault>>),
    Open(Box<Link>, Instant),
}

/// See the top of the file.
pub(crate) struct Wire {
    target: Target,
    state: State,
    attempt: u32,
    come_back_at: Option<Instant>,
    /// Where to go on from; the next connection says it.
    pub(crate) cursor: Option<Cursor>,
}

impl Wire {
    pub(crate) fn new(target: Target) -> Self {
        let state = State::Waiting(Instant::now());
        Self { target, state, attempt: 0, come_back_at: None, cursor: None }
    }

    /// When the next connection is tried, while there is none and none is tried.
    pub(crate) fn tries_at(&self) -> Option<Instant> {
        if let State::Waiting(at) = self.state { Some(at) } else { None }
    }

    /// What happens next.
    ///
    /// Cancel safe: whatever is under way is kept.
    pub(crate) async fn next(&mut self) -> News {
        loop {
            match &mut self.state {
                State::Waiting(at) => {
                    sleep_until(*at).await;
                    let opening = Link::open(self.target.clone(), self.cursor.clone());
                    self.state = State::Opening(Box::pin(opening));
                }
                State::Opening(opening) => match opening.await {
                    Ok(link) => {
                        self.state = State::Open(Box::new(link), Instant::now());
                        return News::Opened;
                    }
                    Err(fault) => {
                        self.pause(asked_by(&fault));
                        return News::NotOpened(fault);
                    }
                },
                State::Open(link, since) => {
                    let since = *since;
                    match link.hear().await {
                        Heard::Frame(frame) => return News::Heard(frame),
                        Heard::Ended(code, reason) => return self.ended(since, code, reason),
                    }
                }
            }
        }
    }

    /// The server said when to come back after this connection.
    pub(crate) fn come_back_in(&mut self, after: Duration) {
        self.come_back_at = Some(Instant::now() + after.min(PAUSE_MAX));
    }

    /// Sends a frame; false when there is no connection that takes it. Its end is told by `next`.
    pub(crate) async fn send(&mut self, frame: &ClientFrame) -> bool {
        match &mut self.state {
            State::Open(link, _) => link.send(frame).await,
            State::Waiting(_) | State::Opening(_) => false,
        }
    }

    /// Leaves the room.
    pub(crate) async fn close(self) {
        if let State::Open(link, _) = self.state {
            link.close().await;
        }
    }

    fn ended(&mut self, since: Instant, code: Option<u16>, reason: String) -> News {
        if let Some(code) = code.filter(|code| !may_come_back(*code)) {
            return News::Final(code, reason);
        }
        if since.elapsed() >= STABLE_AFTER {
            self.attempt = 0;
        }
        self.pause(Duration::ZERO);
        News::Lost
    }

    fn pause(&mut self, asked: Duration) {
        // The server spreads those it sends away by itself; our own jitter would spoil its plan.
        let at = self
            .come_back_at
            .take()
            .unwrap_or_else(|| Instant::now() + asked.min(PAUSE_MAX) + full_jitter(self.attempt, random()));
        self.attempt = self.attempt.saturating_add(1);
        self.state = State::Waiting(at);
    }
}

fn asked_by(fault: &OpenFault) -> Duration {
    match fault {
        OpenFault::Turned(error) => Duration::from_millis(error.retry_after_ms.unwrap_or(0)),
        _ => Duration::ZERO,
    }
}

fn may_come_back(code: u16) -> bool {
    let known = CloseReason::ALL.iter().map(|reason| reason.row()).find(|row| row.code == code);
    known.map_or(code < OWN_CODES, |row| row.reconnect)
}

#[cfg(test)]
mod tests {
    use super::may_come_back;

    #[test]
    fn the_close_table_says_who_comes_back() {
        for code in [1001, 1011, 1012, 1013, 1006, 1014] {
            assert!(may_come_back(code), "{code}");
        }
        for code in [1000, 1008, 1009, 4001, 4999] {
            assert!(!may_come_back(code), "{code}");
        }
    }
}
