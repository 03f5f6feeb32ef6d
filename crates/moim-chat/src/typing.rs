//! Who types: telling the others seldom enough that somebody types here, and forgetting who went silent.
//! Not here: showing it (`screen`), clocks: time is an argument.

use std::time::{Duration, Instant};

/// Told again this often while typing goes on; readers forget a typist after twice this.
const REPEAT: Duration = Duration::from_secs(3);
/// So long without a key is no typing.
const REST: Duration = Duration::from_secs(5);
/// Names that are remembered. Full: who else types is not shown.
const TYPISTS_MAX: usize = 20;

/// Both directions.
#[derive(Debug, Default)]
pub(crate) struct Typing {
    told: Option<Instant>,
    key: Option<Instant>,
    others: Vec<(String, Instant)>,
}

impl Typing {
    /// A key was pressed, in a text or in an empty line. What to tell the others, if anything.
    pub(crate) fn key(&mut self, has_text: bool, now: Instant) -> Option<bool> {
        if !has_text {
            return self.stopped();
        }
        self.key = Some(now);
        let is_due = self.told.is_none_or(|told| now.saturating_duration_since(told) >= REPEAT);
        is_due.then(|| {
            self.told = Some(now);
            true
        })
    }

    /// The text was sent or taken back.
    pub(crate) fn stopped(&mut self) -> Option<bool> {
        self.key = None;
        self.told.take().map(|_| false)
    }

    /// Time passes: the keys may rest, others may have gone silent.
    pub(crate) fn tick(&mut self, now: Instant) -> Option<bool> {
        self.others.retain(|(_, heard)| now.saturating_duration_since(*heard) < REPEAT * 2);
        let rests = self.key.is_some_and(|key| now.saturating_duration_since(key) >= REST);
        if rests { self.stopped() } else { None }
    }

    /// Nobody hears us, and we hear nobody.
    pub(crate) fn disconnected(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn heard(&mut self, username: &str, is_typing: bool, now: Instant) {
        self.others.retain(|(name, _)| name != username);
        if is_typing && self.others.len() < TYPISTS_MAX {
            self.others.push((username.to_owned(), now));
        }
    }

    pub(crate) fn others(&self) -> impl ExactSizeIterator<Item = &str> {
        self.others.iter().map(|(name, _)| name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_seldom_and_their_rest_once() {
        let (mut typing, now) = (Typing::default(), Instant::now());
        assert_eq!(typing.key(true, now), Some(true));
        assert_eq!(typing.key(true, now + REPEAT / 2), None);
        assert_eq!(typing.key(true, now + REPEAT), Some(true));
        assert_eq!(typing.tick(now + REPEAT), None);
        assert_eq!(typing.tick(now + REPEAT + REST), Some(false));
        assert_eq!(typing.tick(now + REPEAT + REST), None);
        assert_eq!(typing.key(false, now), None);
    }

    #[test]
    fn who_goes_silent_is_forgotten() {
        let (mut typing, now) = (Typing::default(), Instant::now());
        typing.heard("민수", true, now);
        typing.heard("Mina", true, now + REPEAT);
        typing.tick(now + REPEAT * 2);
        assert_eq!(typing.others().collect::<Vec<_>>(), ["Mina"]);
        typing.heard("Mina", false, now);
        assert_eq!(typing.others().len(), 0);
    }
}
