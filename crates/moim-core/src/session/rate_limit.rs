//! How many frames a second one connection may send: a token bucket of one second, and a second one for floods.
//! Not here: limits per address (`moim-gateway`).

use std::time::{Duration, Instant};

/// Frames over the limit are answered with an error each; at this many times the limit the connection is closed, since
/// even the errors cost.
const FLOOD_FACTOR: u32 = 10;

#[derive(Debug)]
struct Bucket {
    per_second: f64,
    tokens: f64,
    at: Instant,
}

impl Bucket {
    fn new(now: Instant, per_second: u32) -> Self {
        let per_second = f64::from(per_second);
        Self { per_second, tokens: per_second, at: now }
    }

    /// Takes a token, or says how long until there is one.
    fn take(&mut self, now: Instant) -> Option<Duration> {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.tokens = (self.tokens + passed * self.per_second).min(self.per_second);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return None;
        }
        Some(Duration::from_secs_f64((1.0 - self.tokens) / self.per_second))
    }
}

/// A limit of frames, or of anything else that comes one by one.
#[derive(Debug)]
pub struct RateLimit {
    frames: Bucket,
    flood: Bucket,
}

impl RateLimit {
    /// So many a second, and so many at once.
    #[must_use]
    pub fn new(now: Instant, per_second: u32) -> Self {
        let flood = Bucket::new(now, per_second.saturating_mul(FLOOD_FACTOR));
        Self { frames: Bucket::new(now, per_second), flood }
    }

    /// `None` when the frame may pass, else when the next one may.
    pub fn take(&mut self, now: Instant) -> Option<Duration> {
        self.frames.take(now)
    }

    /// Counts a frame that asks for nothing or is over the limit; true when there are far too many.
    pub(crate) fn is_flood(&mut self, now: Instant) -> bool {
        self.flood.take(now).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_of_frames_passes_and_one_more_waits() {
        let start = Instant::now();
        let mut rate = RateLimit::new(start, 100);
        for _ in 0..100 {
            assert_eq!(rate.take(start), None);
        }
        let wait = rate.take(start).unwrap();
        assert!(wait <= Duration::from_millis(11), "{wait:?}");
        assert_eq!(rate.take(start + Duration::from_millis(20)), None);
    }

    #[test]
    fn ten_times_the_limit_is_a_flood() {
        let start = Instant::now();
        let mut rate = RateLimit::new(start, 10);
        assert!((0..100).all(|_| !rate.is_flood(start)));
        assert!(rate.is_flood(start));
    }
}
