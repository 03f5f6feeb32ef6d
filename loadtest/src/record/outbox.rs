//! What a member has said and has no answer for: kept in its order, sent again until there is one.
//! Not here: the socket it goes through (`member`).

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// A message that is not answered by then is sent again: the server answers within two seconds when it can.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(8);
/// Beyond it a member says nothing new; at ten messages a second it is minutes of an outage.
const WAITING_MAX: usize = 4096;

/// One message.
#[derive(Debug, Clone)]
pub(super) struct Said {
    pub(super) client_id: String,
    pub(super) content: String,
    pub(super) ack: Option<&'static str>,
    pub(super) intended: u64,
    pub(super) attempt: u32,
    /// When it is sent, or sent again.
    due: Instant,
}

/// By the number of the message, which is the order in which it was said.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: BTreeMap<u64, Said>,
    next: u64,
}

impl Outbox {
    /// Says something new; `None` when too much waits.
    pub(super) fn say(
        &mut self,
        content: impl FnOnce(&str) -> String,
        ack: Option<&'static str>,
        intended: u64,
        now: Instant,
    ) -> Option<()> {
        if self.waiting.len() >= WAITING_MAX {
            return None;
        }
        let number = self.next;
        self.next += 1;
        // The same for every member: a clientId belongs to its sender.
        let client_id = format!("c{number}");
        let content = content(&client_id);
        self.waiting.insert(number, Said { client_id, content, ack, intended, attempt: 0, due: now });
        Some(())
    }

    /// All that is due, in order; each counts as sent once more.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Said> {
        let due = self.waiting.values_mut().filter(|said| said.due <= now);
        due.map(|said| {
            said.attempt += 1;
            said.due = now + ANSWER_TIMEOUT;
            said.clone()
        })
        .collect()
    }

    /// A new connection: nobody will answer what went over the old one.
    pub(super) fn all_due(&mut self, now: Instant) {
        for said in self.waiting.values_mut() {
            said.due = now;
        }
    }

    pub(super) fn later(&mut self, client_id: &str, after: Duration, now: Instant) {
        if let Some(said) = number(client_id).and_then(|number| self.waiting.get_mut(&number)) {
            said.due = now + after;
        }
    }

    /// It has its answer; the message if it was still waiting for one.
    pub(super) fn answered(&mut self, client_id: &str) -> Option<Said> {
        self.waiting.remove(&number(client_id)?)
    }

    pub(super) fn waiting(&self) -> impl Iterator<Item = &Said> {
        self.waiting.values()
    }
}

fn number(client_id: &str) -> Option<u64> {
    client_id.strip_prefix('c')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_answered_is_sent_again_in_order() {
        let mut outbox = Outbox::default();
        let now = Instant::now();
        for _ in 0..3 {
            outbox.say(str::to_owned, None, 0, now).unwrap();
        }
        let ids =
            |said: Vec<Said>| said.into_iter().map(|said| (said.client_id, said.attempt)).collect::<Vec<_>>();
        let sent = ids(outbox.due(now));
        assert_eq!(sent, [("c0".into(), 1), ("c1".into(), 1), ("c2".into(), 1)]);
        assert!(outbox.due(now).is_empty());
        assert!(outbox.answered("c1").is_some() && outbox.answered("c1").is_none());
        assert_eq!(ids(outbox.due(now + ANSWER_TIMEOUT)), [("c0".into(), 2), ("c2".into(), 2)]);
        outbox.later("c2", Duration::from_secs(1), now);
        assert_eq!(ids(outbox.due(now + Duration::from_secs(1))), [("c2".into(), 3)]);
        outbox.all_due(now);
        assert_eq!(outbox.due(now).len(), 2);
    }
}
