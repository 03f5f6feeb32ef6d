//! The evidence put in order: by member, by room, by message.
//! Not here: judging it, but for numbers that stand for two messages, which shows while ordering.

use std::collections::{BTreeMap, HashMap};

use super::{Evidence, Kind, Profile, Record, Row, Seen, Violation, What};

/// A member and all it did and saw, in order.
pub(super) struct Member<'a> {
    pub(super) name: &'a str,
    pub(super) room: &'a str,
    pub(super) profile: Profile,
    pub(super) records: Vec<&'a Record>,
}

/// An acknowledgement, the first of its message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Acked<'a> {
    pub(super) at: u64,
    pub(super) member: &'a str,
    pub(super) client_id: &'a str,
    pub(super) seq: u64,
    pub(super) epoch: &'a str,
    pub(super) level: &'a str,
}

/// What is known of a room.
#[derive(Default)]
pub(super) struct Room<'a> {
    /// The store's rows by number.
    pub(super) rows: BTreeMap<u64, &'a Seen>,
    /// In the order of time.
    pub(super) acks: Vec<Acked<'a>>,
    /// Contents by (sender, clientId).
    pub(super) sent: HashMap<(&'a str, &'a str), u64>,
}

/// The evidence in order.
pub(super) struct Known<'a> {
    pub(super) members: Vec<Member<'a>>,
    pub(super) rooms: BTreeMap<&'a str, Room<'a>>,
}

impl<'a> Known<'a> {
    pub(super) fn of(evidence: &'a Evidence) -> Self {
        let mut members: BTreeMap<u32, Member<'a>> = BTreeMap::new();
        for record in &evidence.records {
            if let What::Member { name, room, profile } = &record.what {
                let member = Member { name, room, profile: *profile, records: Vec::new() };
                members.insert(record.member, member);
            }
            if let Some(member) = members.get_mut(&record.member) {
                member.records.push(record);
            }
        }
        let mut rooms: BTreeMap<&str, Room<'_>> = BTreeMap::new();
        for Row { room, seen } in &evidence.rows {
            rooms.entry(room).or_default().rows.insert(seen.seq, seen);
        }
        let members: Vec<_> = members.into_values().collect();
        for member in &members {
            rooms.entry(member.room).or_default().take(member);
        }
        for room in rooms.values_mut() {
            room.acks.sort_by_key(|ack| ack.at);
        }
        Self { members, rooms }
    }

    pub(super) fn room(&self, name: &str) -> Option<&Room<'a>> {
        self.rooms.get(name)
    }

    /// A number of a room stands for one message, whoever tells of it: the store, a member, an acknowledgement.
    pub(super) fn numbers_used_twice(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        for (room, known) in &self.rooms {
            let mut uses = Uses { room, first: HashMap::new(), found: Vec::new() };
            for seen in known.rows.values() {
                uses.saw(seen, "the store");
            }
            for member in self.members.iter().filter(|member| member.room == *room) {
                for record in &member.records {
                    for seen in record.what.seen() {
                        uses.saw(seen, member.name);
                    }
                    if let What::Ack { client_id, seq, .. } = &record.what {
                        uses.stands(*seq, member.name, client_id, "its acknowledgement");
                    }
                }
            }
            found.append(&mut uses.found);
        }
        found
    }
}

impl<'a> Room<'a> {
    /// The number of its last row.
    pub(super) fn last(&self) -> u64 {
        self.rows.keys().next_back().copied().unwrap_or(0)
    }

    /// What was acknowledged before that time.
    pub(super) fn acked_before(&self, time: u64) -> impl Iterator<Item = &Acked<'a>> {
        self.acks.iter().take_while(move |ack| ack.at < time)
    }

    /// A number above this one that was acknowledged before that time, if there is any.
    pub(super) fn acked_above(&self, seq: u64, time: u64) -> Option<u64> {
        self.acked_before(time).map(|ack| ack.seq).find(|acked| *acked > seq)
    }

    fn take(&mut self, member: &Member<'a>) {
        for record in &member.records {
            match &record.what {
                What::Sent { client_id, hash, .. } => {
                    self.sent.insert((member.name, client_id), *hash);
                }
                What::Ack { client_id, seq, epoch, level } => {
                    let (at, member) = (record.at, member.name);
                    self.acks.push(Acked { at, member, client_id, seq: *seq, epoch, level });
                }
                _ => {}
            }
        }
    }
}

impl What {
    /// Every message that this record shows.
    pub(super) fn seen(&self) -> &[Seen] {
        match self {
            Self::Received(seen) => std::slice::from_ref(seen),
            Self::History { rows, .. } | Self::Page { rows, .. } => rows,
            _ => &[],
        }
    }
}

struct Uses<'a> {
    room: &'a str,
    /// By number: sender, clientId, and who told so first.
    first: HashMap<u64, (&'a str, &'a str, &'a str)>,
    found: Vec<Violation>,
}

impl<'a> Uses<'a> {
    fn saw(&mut self, seen: &'a Seen, told_by: &'a str) {
        // A gateway names what its sender did not: the id is as good a name.
        let client_id = seen.client_id.as_deref().unwrap_or(&seen.id);
        self.stands(seen.seq, &seen.username, client_id, told_by);
    }

    fn stands(&mut self, seq: u64, username: &'a str, client_id: &'a str, told_by: &'a str) {
        let first = *self.first.entry(seq).or_insert((username, client_id, told_by));
        if (first.0, first.1) != (username, client_id) {
            let (other, its_id, teller) = first;
            let evidence = format!(
                "{seq} is {client_id} of {username} by {told_by}, and {its_id} of {other} by {teller}"
            );
            self.found.push(Violation::new(Kind::NumberTwice, self.room, evidence));
        }
    }
}
