//! What was said and what became of it, over all members; and everything that must never be, with its evidence.
//! Not here: what one member must see next (`member`), delays (`timeline`).

use std::collections::BTreeMap;

/// Evidence that is kept: one broken rule breaks for everyone, and the first few tell why.
const WRONG_KEPT: usize = 20;

struct Said {
    room: u32,
    /// The number it was acknowledged under.
    acked: Option<u64>,
}

/// The books of a run.
#[derive(Default)]
pub(crate) struct Books {
    said: Vec<Said>,
    /// By room, the highest number anybody was told of.
    heads: Vec<u64>,
    wrong: Vec<String>,
    wrong_count: u64,
    pub(super) resent: u64,
    /// Messages that members were told they did not get.
    pub(super) gaps: u64,
    /// Resumes that were told to be none.
    pub(super) unrecovered: u64,
    /// What members were told went wrong, and how their sockets ended; by code.
    pub(super) errors: BTreeMap<String, u64>,
    pub(super) ends: BTreeMap<String, u64>,
}

impl Books {
    pub(super) fn new(rooms: usize) -> Self {
        Self { heads: vec![0; rooms], ..Self::default() }
    }

    /// Writes down the next message; its number.
    pub(super) fn say(&mut self, room: u32) -> u64 {
        self.said.push(Said { room, acked: None });
        self.said.len() as u64 - 1
    }

    /// How many were said so far.
    pub(super) fn next(&self) -> u64 {
        self.said.len() as u64
    }

    pub(super) fn acked(&mut self, number: u64, seq: u64) {
        let Some(said) = self.said.get_mut(number as usize) else {
            return self.wrong(format!("message {number} was acknowledged, and nobody said it"));
        };
        match said.acked.replace(seq) {
            Some(other) if other != seq => {
                self.wrong(format!("message {number} was acknowledged as {other} and as {seq}"));
            }
            _ => {
                let room = said.room;
                self.reached(room, seq);
            }
        }
    }

    pub(super) fn reached(&mut self, room: u32, seq: u64) {
        let head = &mut self.heads[room as usize];
        *head = (*head).max(seq);
    }

    pub(super) fn head(&self, room: u32) -> u64 {
        self.heads[room as usize]
    }

    pub(crate) fn wrong(&mut self, what: String) {
        self.wrong_count += 1;
        if self.wrong.len() < WRONG_KEPT {
            self.wrong.push(what);
        }
    }

    /// How many, and the first of them.
    pub(crate) fn all_wrong(&self) -> (u64, &[String]) {
        (self.wrong_count, &self.wrong)
    }

    pub(crate) fn gaps(&self) -> u64 {
        self.gaps
    }

    pub(crate) fn unrecovered(&self) -> u64 {
        self.unrecovered
    }

    pub(crate) fn resent(&self) -> u64 {
        self.resent
    }

    pub(crate) fn errors(&self) -> &BTreeMap<String, u64> {
        &self.errors
    }

    pub(crate) fn ends(&self) -> &BTreeMap<String, u64> {
        &self.ends
    }

    /// Holds the log of a room, in its order, against what was acknowledged there.
    pub(crate) fn check_log(&mut self, room: u32, log: &[(u64, u64)]) {
        let mut at = BTreeMap::new();
        for (number, seq) in log {
            if let Some(first) = at.insert(*number, *seq) {
                self.wrong(format!("message {number} is in the log twice, as {first} and as {seq}"));
            }
        }
        let missing: Vec<_> = (0u64..)
            .zip(&self.said)
            .filter(|(number, said)| {
                said.room == room && said.acked.is_some_and(|seq| at.get(number) != Some(&seq))
            })
            .map(|(number, said)| (number, said.acked.unwrap_or_default()))
            .collect();
        for (number, seq) in missing {
            let found = at.get(&number);
            self.wrong(format!("message {number} was acknowledged as {seq}; the log has it as {found:?}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn books() -> Books {
        let mut books = Books::new(2);
        for number in 0..4 {
            assert_eq!(books.say(number % 2), u64::from(number));
        }
        books.acked(0, 1);
        books.acked(2, 2);
        books
    }

    #[test]
    fn an_acknowledged_message_must_be_in_the_log_once_and_there() {
        for (log, wrong) in [
            (vec![(0, 1), (2, 2)], 0),
            // One of the other room may be there or not: it was not acknowledged.
            (vec![(0, 1), (2, 2), (3, 3)], 0),
            (vec![(0, 1)], 1),
            (vec![(0, 1), (2, 3)], 1),
            (vec![(0, 1), (2, 2), (2, 2)], 1),
            (vec![], 2),
        ] {
            let mut books = books();
            books.check_log(0, &log);
            assert_eq!(books.all_wrong().0, wrong, "{log:?}");
        }
    }

    #[test]
    fn two_answers_must_agree_and_be_about_something() {
        let mut books = books();
        books.acked(0, 1);
        assert_eq!(books.all_wrong().0, 0);
        books.acked(0, 5);
        books.acked(99, 1);
        assert_eq!(books.all_wrong().0, 2);
        assert_eq!((books.head(0), books.head(1)), (2, 0));
    }
}
