//! When a quiet connection is pinged, and when it is given up.
//! Not here: sending the ping (`moim-gateway`).

use std::time::{Duration, Instant};

use moim_protocol::limits::{PING_INTERVAL_SECONDS, PONG_TIMEOUT_SECONDS};

const PING_INTERVAL: Duration = Duration::from_secs(PING_INTERVAL_SECONDS);
const PONG_TIMEOUT: Duration = Duration::from_secs(PONG_TIMEOUT_SECONDS);

#[derive(Debug)]
enum Timer {
    /// When to ping.
    SendPing(Instant),
    /// When to give up on a pong.
    PongDeadline(Instant),
}

/// What is due.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    Ping,
    GiveUp,
}

#[derive(Debug)]
pub(super) struct Heartbeat(Timer);

impl Heartbeat {
    pub(super) fn new(now: Instant) -> Self {
        Self(Timer::SendPing(now + PING_INTERVAL))
    }

    /// Anything the client sent proves that it lives, a pong or not. A ping that is not yet due is not put off: quiet
    /// proxies between must see both directions move.
    pub(super) fn heard(&mut self, now: Instant) {
        if let Timer::PongDeadline(_) = self.0 {
            self.0 = Timer::SendPing(now + PING_INTERVAL);
        }
    }

    pub(super) fn deadline(&self) -> Instant {
        match self.0 {
            Timer::SendPing(at) | Timer::PongDeadline(at) => at,
        }
    }

    pub(super) fn timeout(&mut self, now: Instant) -> Option<Due> {
        match self.0 {
            Timer::SendPing(at) if at <= now => {
                self.0 = Timer::PongDeadline(now + PONG_TIMEOUT);
                Some(Due::Ping)
            }
            Timer::PongDeadline(at) if at <= now => Some(Due::GiveUp),
            Timer::SendPing(_) | Timer::PongDeadline(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pinged_every_thirty_seconds_and_given_up_after_ten_without_a_pong() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(start);
        assert_eq!(heartbeat.timeout(start + Duration::from_secs(29)), None);
        let pinged = start + Duration::from_secs(30);
        assert_eq!(heartbeat.timeout(pinged), Some(Due::Ping));
        heartbeat.heard(pinged + Duration::from_secs(9));
        assert_eq!(heartbeat.deadline(), pinged + Duration::from_secs(39));
        assert_eq!(heartbeat.timeout(pinged + Duration::from_secs(39)), Some(Due::Ping));
        assert_eq!(heartbeat.timeout(pinged + Duration::from_secs(49)), Some(Due::GiveUp));
    }
}
