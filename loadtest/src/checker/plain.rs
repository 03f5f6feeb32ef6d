//! One member of the plain profile: each connection begins with what there is and goes on in order, without repeat or hole, to the end.
//! Not here: resuming, which this profile does not have (`member`).

use super::known::{Known, Member, Room};
use super::{Kind, Record, Seen, Violation, What};

/// Everything such a member's story can show.
pub(super) fn check(member: &Member<'_>, known: &Known<'_>) -> Vec<Violation> {
    let mut walk = Walk {
        member,
        room: known.room(member.room),
        found: Vec::new(),
        last: None,
        asked: None,
        count: None,
    };
    for record in &member.records {
        walk.step(record);
    }
    walk.found
}

struct Walk<'a> {
    member: &'a Member<'a>,
    room: Option<&'a Room<'a>>,
    found: Vec<Violation>,
    /// The last message that this connection was shown.
    last: Option<(u64, &'a str)>,
    /// When this connection was asked for, until it has been shown something.
    asked: Option<u64>,
    count: Option<u64>,
}

impl<'a> Walk<'a> {
    fn tell(&mut self, kind: Kind, at: u64, evidence: String) {
        self.found.push(Violation::new(kind, self.member.room, evidence).seen_by(self.member.name, at));
    }

    fn step(&mut self, record: &'a Record) {
        let at = record.at;
        match &record.what {
            // Nobody tells who comes how many there are.
            What::Connected { asked, .. } => {
                (self.last, self.asked, self.count) = (None, Some(*asked), None);
            }
            What::History { rows, .. } if rows.is_empty() => {}
            What::History { rows, .. } => {
                self.begins(at, rows.last().map_or(0, |row| row.seq));
                rows.iter().for_each(|seen| self.see(at, seen));
            }
            What::Received(seen) => {
                // Without a `history` the room was empty, or what comes first is all there is.
                self.begins(at, seen.seq - 1);
                self.see(at, seen);
            }
            What::Count { count: told } => self.count = Some(*told),
            What::Settled { connected } if self.count.is_some_and(|count| count != *connected) => {
                let evidence = format!("was last told {:?}, and there are {connected}", self.count);
                self.tell(Kind::CountWrong, at, evidence);
            }
            What::Malformed { why } => self.tell(Kind::Malformed, at, why.clone()),
            What::Done { joined: false } => {
                self.tell(Kind::LeftBehind, at, "is not in its room at the end".to_owned());
            }
            What::Done { joined: true } => self.end(at),
            _ => {}
        }
    }

    /// What it is shown first goes up to everything that was acknowledged before it came.
    fn begins(&mut self, at: u64, head: u64) {
        let Some(asked) = self.asked.take() else { return };
        if let Some(above) = self.room.and_then(|room| room.acked_above(head, asked)) {
            let evidence = format!("begins at {head}, but {above} was acknowledged before it came");
            self.tell(Kind::JoinMisses, at, evidence);
        }
    }

    fn see(&mut self, at: u64, seen: &'a Seen) {
        let Some((before, epoch)) = self.last.replace((seen.seq, &seen.epoch)) else { return };
        // Over a jump it may name one further back, as with the other profile.
        let names_another = |prev| prev > before || prev < before && epoch == seen.epoch.as_str();
        if seen.seq == before {
            self.tell(Kind::Repeated, at, format!("{before} came again"));
        } else if seen.seq < before {
            self.tell(Kind::OutOfOrder, at, format!("{} came after {before}", seen.seq));
        } else if let Some(prev) = seen.prev.filter(|prev| names_another(*prev)) {
            let evidence = format!("{} comes after {prev}, seen was {before}", seen.seq);
            self.tell(Kind::SilentHole, at, evidence);
        }
    }

    fn end(&mut self, at: u64) {
        let end = self.room.map_or(0, Room::last);
        let last = self.last.map_or(0, |(seq, _)| seq);
        if last < end {
            self.tell(Kind::LeftBehind, at, format!("is at {last}, the room's last is {end}"));
        }
    }
}
