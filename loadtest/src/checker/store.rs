//! The store in the end: everything acknowledged and everything seen is in it once, as written, without a hole.
//! Not here: what members were given of it (`member`).

use std::collections::{BTreeMap, HashMap};

use super::known::{Known, Room};
use super::{Evidence, Kind, Seen, Violation};

/// Everything the store has to answer for.
pub(super) fn check(evidence: &Evidence, known: &Known<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    for (name, room) in &known.rooms {
        found.extend(acknowledged(name, room));
        found.extend(once(name, room));
        found.extend(without_hole(name, room));
        found.extend(as_written(name, room));
    }
    found.extend(seen(known));
    found.extend(served(evidence, known));
    found
}

/// What was acknowledged is there, under the number that was named.
fn acknowledged(name: &str, room: &Room<'_>) -> Vec<Violation> {
    let mut by_sender: HashMap<(&str, &str), Vec<&Seen>> = HashMap::new();
    for row in room.rows.values() {
        if let Some(client_id) = &row.client_id {
            by_sender.entry((&row.username, client_id)).or_default().push(row);
        }
    }
    let mut answers: HashMap<(&str, &str), u64> = HashMap::new();
    let mut found = Vec::new();
    for ack in &room.acks {
        let key = (ack.member, ack.client_id);
        let first = *answers.entry(key).or_insert(ack.seq);
        let tell = |kind, evidence| Violation::new(kind, name, evidence).seen_by(ack.member, ack.at);
        if first != ack.seq {
            let evidence = format!("{} was acknowledged as {first} and as {}", ack.client_id, ack.seq);
            found.push(tell(Kind::AckDisagrees, evidence));
        }
        let what = format!("{} acknowledged as {} in {} ({})", ack.client_id, ack.seq, ack.epoch, ack.level);
        match by_sender.get(&key) {
            None => found.push(tell(Kind::AckedNotStored, format!("{what} is not in the store"))),
            // Stored twice is told by itself; one of the two is the one that was acknowledged.
            Some(rows) if rows.iter().any(|row| row.seq == ack.seq && row.epoch == ack.epoch) => {}
            Some(rows) => {
                let (seq, epoch) = (rows[0].seq, &rows[0].epoch);
                found.push(tell(Kind::AckDisagrees, format!("{what} is {seq} in {epoch} in the store")));
            }
        }
    }
    found
}

fn once(name: &str, room: &Room<'_>) -> Vec<Violation> {
    let mut numbers: BTreeMap<(&str, &str), Vec<u64>> = BTreeMap::new();
    for row in room.rows.values() {
        if let Some(client_id) = &row.client_id {
            numbers.entry((&row.username, client_id)).or_default().push(row.seq);
        }
    }
    let twice = numbers.into_iter().filter(|(_, numbers)| numbers.len() > 1);
    let tell = |((username, client_id), numbers): ((&str, &str), Vec<u64>)| {
        let evidence = format!("{client_id} of {username} is in the store as {numbers:?}");
        Violation::new(Kind::StoredTwice, name, evidence)
    };
    twice.map(tell).collect()
}

/// Within an epoch numbers follow each other, and an epoch's numbers lie together. A number that nobody heard of, given as Redis died,
/// is no hole: the row after it names the one before.
fn without_hole(name: &str, room: &Room<'_>) -> Vec<Violation> {
    let mut last: HashMap<&str, u64> = HashMap::new();
    let mut found = Vec::new();
    for row in room.rows.values() {
        let before = last.insert(&row.epoch, row.seq);
        if let Some(before) = before.filter(|before| before + 1 != row.seq && row.prev != Some(*before)) {
            let evidence = format!("in {} the store goes from {before} to {}", row.epoch, row.seq);
            found.push(Violation::new(Kind::StoreHole, name, evidence));
        }
    }
    found
}

fn as_written(name: &str, room: &Room<'_>) -> Vec<Violation> {
    let differs = |row: &&&Seen| {
        let Some(client_id) = row.client_id.as_deref() else { return false };
        room.sent.get(&(row.username.as_str(), client_id)) != Some(&row.hash)
    };
    let tell = |row: &&Seen| {
        let evidence = format!(
            "{} ({:?} of {}) has a content that was never sent so",
            row.seq, row.client_id, row.username
        );
        Violation::new(Kind::Changed, name, evidence)
    };
    room.rows.values().filter(differs).map(tell).collect()
}

/// What a member saw cannot be taken back.
fn seen(known: &Known<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut told: HashMap<(&str, u64), ()> = HashMap::new();
    for member in &known.members {
        let Some(room) = known.room(member.room) else { continue };
        for record in &member.records {
            for seen in record.what.seen() {
                let kind = match room.rows.get(&seen.seq) {
                    None => Kind::SeenNotStored,
                    Some(row) if row.id == seen.id && (row.hash, &row.epoch) != (seen.hash, &seen.epoch) => {
                        Kind::Changed
                    }
                    // Another message under the number is told as that.
                    Some(_) => continue,
                };
                if told.insert((member.room, seen.seq), ()).is_none() {
                    let evidence = format!("{} ({:?} of {})", seen.seq, seen.client_id, seen.username);
                    found.push(Violation::new(kind, member.room, evidence).seen_by(member.name, record.at));
                }
            }
        }
    }
    found
}

/// What gateways serve in the end is what the store holds, no more, no less, and nothing else.
fn served(evidence: &Evidence, known: &Known<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    for (number, rows) in evidence.served.iter().enumerate() {
        let mut by_room: BTreeMap<&str, BTreeMap<u64, &Seen>> = BTreeMap::new();
        for row in rows {
            by_room.entry(&row.room).or_default().insert(row.seen.seq, &row.seen);
        }
        for (name, room) in &known.rooms {
            let served = by_room.remove(name).unwrap_or_default();
            let mut numbers = room.rows.keys().chain(served.keys());
            let is_other = |seq: &&u64| match (room.rows.get(seq), served.get(seq)) {
                // `prev` is in the store as its publish knew it, and over a jump may be known better since.
                (Some(stored), Some(served)) => {
                    Seen { prev: None, ..(*stored).clone() } != Seen { prev: None, ..(*served).clone() }
                }
                _ => true,
            };
            if let Some(seq) = numbers.find(is_other) {
                let evidence = format!(
                    "{seq} is {:?} in the store, {:?} as gateway {} serves it",
                    room.rows.get(seq),
                    served.get(seq),
                    number + 1
                );
                found.push(Violation::new(Kind::ServedDiffers, name, evidence));
            }
        }
    }
    found
}
