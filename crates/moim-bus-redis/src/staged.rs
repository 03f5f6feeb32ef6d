//! What nodes hand in, as it is written in Redis and read back: rows, the highest number of each room, recent sends.
//! Not here: when (`recovery`).

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use moim_protocol::{Epoch, Message, RoomId, Seq, Timestamp};

use crate::{
    event,
    keys::Keys,
    partition::HandIn,
    tail::{LogId, Recent},
};

/// The highest number seen in a room.
#[derive(Debug)]
pub(crate) struct Highest {
    pub(crate) seq: Seq,
    pub(crate) epoch: Epoch,
    pub(crate) time: Timestamp,
    /// Somebody is in the room. Otherwise it matters only if the room is in Redis: if it is not, the store tells.
    pub(crate) is_open: bool,
}

/// All that was handed in for a partition, put in order.
#[derive(Debug, Default)]
pub(crate) struct Staged {
    pub(crate) rows: BTreeMap<RoomId, BTreeMap<Seq, Arc<Message>>>,
    pub(crate) highest: HashMap<RoomId, Highest>,
    /// By key.
    pub(crate) answers: HashMap<String, String>,
    /// Up to where anybody knows that the log of a generation is stored.
    pub(crate) stored_to: HashMap<Epoch, LogId>,
}

/// `R room-bytes`, `H seq epoch time`, `h` the same of a room that is not open, `A key-bytes`, or `S place`, a line's end, then the
/// texts.
pub(crate) fn items(known: &HandIn, keys: &Keys) -> Vec<Vec<u8>> {
    let rows = known.rows.iter().map(|row| {
        let mut item = format!("R{}\n{}", row.room.as_str().len(), row.room).into_bytes();
        item.extend(event::encode(row));
        item
    });
    let highest = known
        .highest
        .iter()
        .map(|(room, seq, epoch, time)| format!("H{seq} {epoch} {}\n{room}", time.micros).into_bytes());
    let passed = passed(known);
    let passed = passed.iter().map(|recent| {
        let Recent { room, seq, epoch, time, .. } = recent;
        format!("h{seq} {epoch} {}\n{room}", time.micros).into_bytes()
    });
    let recent = answers(known, keys);
    let recent = recent.iter().map(|(key, answer)| format!("A{}\n{key}{answer}", key.len()).into_bytes());
    let stored_to = known.stored_to.iter().map(|(epoch, place)| format!("S{place}\n{epoch}").into_bytes());
    rows.chain(highest).chain(passed).chain(recent).chain(stored_to).collect()
}

/// The newest of the recent sends in each room that is not open here: it may be stored, and lost from Redis with its number.
pub(crate) fn passed(known: &HandIn) -> Vec<&Recent> {
    let open: HashSet<_> = known.highest.iter().map(|(room, ..)| room).collect();
    let mut newest: HashMap<&RoomId, &Recent> = HashMap::new();
    for recent in known.recent.iter().filter(|recent| !open.contains(&recent.room)) {
        let known = newest.entry(&recent.room).or_insert(recent);
        if recent.seq > known.seq {
            *known = recent;
        }
    }
    newest.into_values().collect()
}

/// Answers to recent sends, with their keys. Those of rows that are handed in come with the rows.
pub(crate) fn answers(known: &HandIn, keys: &Keys) -> Vec<(String, String)> {
    let with_rows: HashSet<_> = known.rows.iter().map(|row| keys.answer_of(row)).collect();
    let others = known.recent.iter().filter(|recent| !with_rows.contains(&recent.key)).map(|recent| {
        let Recent { key, room: _, seq, epoch, time, hash, id, place } = recent;
        // What is neither in a tail nor in a log is stored.
        (key.clone(), event::later_answer(*place, *seq, epoch, *time, *hash, id))
    });
    others.collect()
}

impl Staged {
    /// Takes one item. What cannot be read is a newer node's, and is left out.
    pub(crate) fn add(&mut self, item: &[u8]) {
        if self.read(item).is_none() {
            tracing::error!(bytes = item.len(), "something was handed in that cannot be read");
        }
    }

    fn read(&mut self, item: &[u8]) -> Option<()> {
        let text = std::str::from_utf8(item).ok()?;
        let (head, rest) = text.split_once('\n')?;
        match head.split_at_checked(1)? {
            ("R", bytes) => {
                let (room, event) = rest.split_at_checked(bytes.parse().ok()?)?;
                let row = event::decode(&RoomId::trusted(room), event.as_bytes())?;
                self.rows.entry(row.room.clone()).or_default().insert(row.seq, row);
            }
            (letter @ ("H" | "h"), words) => {
                let mut words = words.split(' ');
                let seq = Seq(words.next()?.parse().ok()?);
                let epoch = Epoch::trusted(words.next()?);
                let time = Timestamp { micros: words.next()?.parse().ok()? };
                let is_open = letter == "H";
                let new = || Highest { seq, epoch: epoch.clone(), time, is_open };
                let known = self.highest.entry(RoomId::trusted(rest)).or_insert_with(new);
                let is_open = is_open || known.is_open;
                if seq > known.seq {
                    *known = new();
                }
                known.is_open = is_open;
            }
            ("A", bytes) => {
                let (key, value) = rest.split_at_checked(bytes.parse().ok()?)?;
                self.answers.insert(key.to_owned(), value.to_owned());
            }
            ("S", place) => {
                let place: LogId = place.parse().ok()?;
                let known = self.stored_to.entry(Epoch::trusted(rest)).or_default();
                *known = place.max(*known);
            }
            _ => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use moim_protocol::{ClientId, MessageId, UserName};

    use super::*;

    fn row(room: &str, seq: u64) -> Arc<Message> {
        Arc::new(Message {
            room: RoomId::trusted(room),
            seq: Seq(seq),
            prev: Some(Seq(seq - 1)),
            epoch: Epoch::trusted("e"),
            id: MessageId::trusted("id"),
            client_id: Some(ClientId::trusted(seq.to_string())),
            username: UserName::trusted("kim"),
            content: "줄\n바꿈".into(),
            time: Timestamp { micros: seq },
        })
    }

    fn recent(key: String) -> Recent {
        let (epoch, id) = (Epoch::trusted("e"), MessageId::trusted("id"));
        Recent {
            key,
            room: RoomId::trusted("c"),
            seq: Seq(9),
            epoch,
            time: Timestamp { micros: 9 },
            hash: 7,
            id,
            place: 0,
        }
    }

    #[test]
    fn what_nodes_hand_in_is_put_together() {
        let keys = Keys::new("moim", 4);
        let rows = vec![row("방", 3), row("방", 2), row("b", 1)];
        let highest =
            |seq| vec![(RoomId::trusted("방"), Seq(seq), Epoch::trusted("e"), Timestamp { micros: seq })];
        let recents = vec![recent(keys.answer_of(&rows[0])), recent("other".into())];
        let stored_to = |place| Some((Epoch::trusted("e"), place));
        let one =
            HandIn { rows: rows.clone(), recent: recents, highest: highest(3), stored_to: stored_to(7) };
        let two = HandIn {
            rows: rows[..1].to_vec(),
            recent: Vec::new(),
            highest: highest(5),
            stored_to: stored_to(5),
        };
        let mut staged = Staged::default();
        for item in items(&one, &keys).into_iter().chain(items(&two, &keys)) {
            staged.add(&item);
        }
        let of_room: Vec<_> = staged.rows[&RoomId::trusted("방")].values().cloned().collect();
        assert_eq!(of_room, [rows[1].clone(), rows[0].clone()]);
        let highest = |room: &str| {
            let highest = &staged.highest[&RoomId::trusted(room)];
            (highest.seq, highest.is_open)
        };
        assert_eq!((highest("방"), highest("c")), ((Seq(5), true), (Seq(9), false)));
        assert_eq!(staged.answers.len(), 1, "that of a row comes with the row");
        assert_eq!(staged.answers["other"], "0 9 e 9 0000000000000007 - id");
        assert_eq!(staged.stored_to[&Epoch::trusted("e")], 7);
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        let mut staged = Staged::default();
        for item in [b"" as &[u8], b"X\n", b"R9\nab", b"R1\nab", b"H1\nr", b"Sx\ne", b"\xff\n"] {
            staged.add(item);
        }
        assert!(staged.rows.is_empty() && staged.highest.is_empty() && staged.stored_to.is_empty());
    }
}
