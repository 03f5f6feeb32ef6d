//! One member of the v1 profile: it saw the log from its first join on in order, each message once, or was told.
//! Not here: members of the plain profile (`plain`), whether the log itself is right (`store`).

use std::collections::{BTreeMap, HashMap};

use super::known::{Known, Member, Room};
use super::{Kind, Record, Seen, Violation, What};

/// Everything a member's story can show.
pub(super) fn check(member: &Member<'_>, known: &Known<'_>) -> Vec<Violation> {
    let room = known.room(member.room);
    let mut walk = Walk::of(member);
    for record in &member.records {
        walk.step(record, room);
    }
    if let Some(room) = room {
        walk.compare(room);
    }
    walk.found
}

struct Walk<'a> {
    member: &'a Member<'a>,
    found: Vec<Violation>,
    /// Its first join's head: what it must see lies above.
    start: Option<u64>,
    /// Nothing at or below it may come live.
    cursor: u64,
    /// The last message that it saw or was told of; unknown after a join that showed none.
    last: Option<(u64, &'a str)>,
    seen: BTreeMap<u64, &'a str>,
    /// By (sender, clientId).
    numbers: HashMap<(&'a str, &'a str), u64>,
    told: Vec<(u64, u64)>,
    /// The `history` of a join comes next, and may show again what was seen.
    joined_at: Option<u64>,
    count: Option<u64>,
    done: bool,
}

impl<'a> Walk<'a> {
    fn of(member: &'a Member<'a>) -> Self {
        Self {
            member,
            found: Vec::new(),
            start: None,
            cursor: 0,
            last: None,
            seen: BTreeMap::new(),
            numbers: HashMap::new(),
            told: Vec::new(),
            joined_at: None,
            count: None,
            done: false,
        }
    }

    fn tell(&mut self, kind: Kind, at: u64, evidence: String) {
        self.found.push(Violation::new(kind, self.member.room, evidence).seen_by(self.member.name, at));
    }

    fn step(&mut self, record: &'a Record, room: Option<&Room<'_>>) {
        let at = record.at;
        match &record.what {
            What::Joined { seq, since, recovered, asked, .. } => {
                self.join(at, *seq, *since, *recovered, *asked, room);
            }
            What::History { rows, .. } => self.history(at, rows),
            What::Received(seen) => self.receive(at, seen),
            What::Gap { from, to } => self.gap(at, *from, *to, room),
            What::Malformed { why } => self.tell(Kind::Malformed, at, why.clone()),
            What::Count { count } => self.count = Some(*count),
            What::Settled { connected } if self.count != Some(*connected) => {
                let evidence = format!("was last told {:?}, and there are {connected}", self.count);
                self.tell(Kind::CountWrong, at, evidence);
            }
            What::Asked { node, count, connected } if count != connected => {
                let evidence = format!("{node} says {count}, and there are {connected}");
                self.tell(Kind::CountWrong, at, evidence);
            }
            What::Error { code, client_id: Some(client_id) } if What::is_refusal(code) => {
                self.tell(Kind::Refused, at, format!("{client_id} was refused: {code}"));
            }
            What::Unanswered { client_id } => {
                self.tell(Kind::NeverAnswered, at, format!("{client_id} has no answer"));
            }
            What::Done { joined } => {
                self.done = true;
                if !joined {
                    self.tell(Kind::LeftBehind, at, "is not in its room at the end".to_owned());
                }
            }
            _ => {}
        }
    }

    fn join(
        &mut self,
        at: u64,
        seq: u64,
        since: Option<u64>,
        recovered: bool,
        asked: u64,
        room: Option<&Room<'_>>,
    ) {
        self.start.get_or_insert(seq);
        if let Some(above) = room.and_then(|room| room.acked_above(seq, asked)) {
            let evidence = format!("joined at {seq}, but {above} was acknowledged before");
            self.tell(Kind::JoinMisses, at, evidence);
        }
        if since.is_some() && recovered {
            self.joined_at = None;
            return;
        }
        // What lies between its cursor and the `history` that follows is told to be missing.
        self.joined_at = Some(seq);
    }

    /// After a join that is not a continuation: the newest rows, ending at the join's head.
    fn history(&mut self, at: u64, rows: &'a [Seen]) {
        let Some(head) = self.joined_at.take() else {
            return self.tell(Kind::Repeated, at, "a `history` where none was due".to_owned());
        };
        let first = rows.first().map_or(head + 1, |row| row.seq);
        if first > self.cursor + 1 {
            self.told.push((self.cursor + 1, first - 1));
        }
        let mut before: Option<(u64, &'a str)> = None;
        for row in rows {
            self.chain(at, row, before);
            self.once(at, row);
            before = Some((row.seq, &row.epoch));
        }
        self.last = before.filter(|(seq, _)| *seq == head);
        self.cursor = head.max(before.map_or(0, |(seq, _)| seq));
    }

    fn receive(&mut self, at: u64, seen: &'a Seen) {
        if seen.seq <= self.cursor {
            let (kind, why) = match self.seen.contains_key(&seen.seq) {
                true => (Kind::Repeated, "again"),
                false => (Kind::OutOfOrder, "late"),
            };
            self.tell(kind, at, format!("{} came {why}, the cursor was {}", seen.seq, self.cursor));
        } else {
            self.hole(at, seen);
            self.cursor = seen.seq;
            self.last = Some((seen.seq, &seen.epoch));
        }
        self.once(at, seen);
    }

    fn hole(&mut self, at: u64, seen: &Seen) {
        match seen.prev {
            Some(prev) if prev > self.cursor => {
                let evidence = format!("{} comes after {prev}, the cursor was {}", seen.seq, self.cursor);
                self.tell(Kind::SilentHole, at, evidence);
            }
            Some(prev) => self.chain(at, seen, self.last.filter(|(last, _)| prev < *last)),
            // Unknown only where nobody could know it; the comparison with the store still finds what is missing.
            None => {}
        }
    }

    /// `prev` names the row before, where there is one. Over a jump it may name one further back: what lies between was
    /// handed in late, after this message had its number.
    fn chain(&mut self, at: u64, seen: &Seen, before: Option<(u64, &str)>) {
        if let (Some(prev), Some((before, epoch))) = (seen.prev, before)
            && (prev > before || prev < before && epoch == seen.epoch)
        {
            let evidence = format!("{} says it comes after {prev}, and came after {before}", seen.seq);
            self.tell(Kind::SilentHole, at, evidence);
        }
    }

    fn once(&mut self, at: u64, seen: &'a Seen) {
        self.seen.insert(seen.seq, &seen.id);
        let Some(client_id) = &seen.client_id else { return };
        let first = *self.numbers.entry((&seen.username, client_id)).or_insert(seen.seq);
        if first != seen.seq {
            let evidence = format!("{client_id} of {} came as {first} and as {}", seen.username, seen.seq);
            self.tell(Kind::Repeated, at, evidence);
        }
    }

    fn gap(&mut self, at: u64, from: u64, to: u64, room: Option<&Room<'_>>) {
        let last = room.map_or(0, Room::last);
        if from > to || to > last {
            self.tell(
                Kind::FalseGap,
                at,
                format!("{from} to {to} are told as a gap, the room's last is {last}"),
            );
        }
        self.told.push((from, to));
        if to > self.cursor {
            self.cursor = to;
            self.last = None;
        }
    }

    /// Every row of the store above its first join, up to the end, was given or told.
    fn compare(&mut self, room: &Room<'_>) {
        let Some(start) = self.start else { return };
        let at = self.member.records.last().map_or(0, |record| record.at);
        let end = room.last();
        if self.done && self.cursor < end {
            let evidence = format!("is at {}, the room's last is {end}", self.cursor);
            self.tell(Kind::LeftBehind, at, evidence);
        }
        let is_told = |seq: u64| self.told.iter().any(|(from, to)| (*from..=*to).contains(&seq));
        let missing: Vec<u64> = room
            .rows
            .range(start + 1..=self.cursor.max(start))
            .map(|(seq, _)| *seq)
            .filter(|seq| !self.seen.contains_key(seq) && !is_told(*seq))
            .collect();
        for seq in missing {
            self.tell(Kind::NotGiven, at, format!("{seq} was neither given nor told as a gap"));
        }
    }
}
