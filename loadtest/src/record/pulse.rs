//! Whether a connection still leads anywhere: a member that hears nothing asks, and gives up when nobody answers.
//! Not here: the socket (`member`), the frames (`wire`).

use std::time::{Duration, Instant};

use crate::checker::Profile;

/// The server pings every 30 s; a socket that is silent for longer leads nowhere. All that the plain profile can know.
const PLAIN_SILENCE_MAX: Duration = Duration::from_secs(45);
/// A v1 client asks by itself, as a browser must, who sees no pings; here sooner than there, for a drill is short.
const ASK_AFTER: Duration = Duration::from_secs(5);
const ANSWER_MAX: Duration = Duration::from_secs(7);

pub(super) struct Pulse {
    profile: Profile,
    heard: Instant,
    asked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    Alive,
    /// Silent for long enough to ask; told once for each silence.
    Ask,
    Dead,
}

impl Pulse {
    pub(super) fn new(profile: Profile, now: Instant) -> Self {
        Self { profile, heard: now, asked: false }
    }

    /// Anything at all came.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.asked = false;
    }

    pub(super) fn look(&mut self, now: Instant) -> Sign {
        let silence = now - self.heard;
        match self.profile {
            Profile::Plain if silence > PLAIN_SILENCE_MAX => Sign::Dead,
            Profile::V1 if silence > ASK_AFTER + ANSWER_MAX => Sign::Dead,
            Profile::V1 if silence > ASK_AFTER && !self.asked => {
                self.asked = true;
                Sign::Ask
            }
            _ => Sign::Alive,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_hears_nothing_asks_once_and_gives_up() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut pulse = Pulse::new(Profile::V1, start);
        assert_eq!([4, 6, 7].map(|second| pulse.look(at(second))), [Sign::Alive, Sign::Ask, Sign::Alive]);
        pulse.heard(at(8));
        assert_eq!([13, 14, 21].map(|second| pulse.look(at(second))), [Sign::Alive, Sign::Ask, Sign::Dead]);
        let mut plain = Pulse::new(Profile::Plain, start);
        assert_eq!([44, 46].map(|second| plain.look(at(second))), [Sign::Alive, Sign::Dead]);
    }
}
