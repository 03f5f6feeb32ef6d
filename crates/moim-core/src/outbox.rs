//! What waits for one reader: bounded in bytes, and honest about what it drops.
//! Not here: writing (`moim-gateway`), how long a reader may take nothing (its heartbeat there).

use std::collections::{HashMap, VecDeque};

use moim_protocol::{Epoch, GapFrame, Position, Profile, RoomId, Seq, ServerFrame};

use crate::{Outgoing, OutgoingKind};

/// The bytes of one frame; `Bytes` without saying so, to keep vendors out of this crate's interface.
type Image = bytes::Bytes;

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// It waits.
    Queued,
    /// It was dropped, or kept aside to be told when there is space again.
    Dropped,
    /// It can be neither kept nor dropped: the reader must be closed as slow.
    Overflow,
}

#[derive(Debug)]
struct Gap {
    epoch: Epoch,
    from: Seq,
    to: Seq,
}

/// The queue of one connection.
///
/// Above a quarter of the bound typing is dropped and of presence only the newest per room is kept. At the bound messages
/// are dropped and told as `gap` before the room's next frame (v1), or the reader is closed (plain). Answers are never
/// dropped: at the bound the reader is closed, since it asks more than it reads. One frame may go over the bound, so the
/// real limit is the bound and the largest frame.
#[derive(Debug)]
pub struct Outbox {
    profile: Profile,
    bytes_max: usize,
    queue: VecDeque<Image>,
    bytes: usize,
    /// How much of the front is written already.
    written: usize,
    /// Pongs that wait, oldest first; they go before the next frame.
    pongs: VecDeque<Image>,
    presence: HashMap<RoomId, Image>,
    gaps: HashMap<RoomId, VecDeque<Gap>>,
}

/// Pongs that wait at most. Full: the oldest goes, since the newest answers for all before it (RFC 6455, section 5.5.3); so
/// a flood of pings from a client that never reads does not grow the queue.
const PONGS_MAX: usize = 32;

/// Gaps of one room in several epochs that are remembered apart; beyond it the reader is closed.
const GAPS_PER_ROOM_MAX: usize = 8;

impl Outbox {
    /// Empty, for a reader of that profile.
    #[must_use]
    pub fn new(profile: Profile, bytes_max: usize) -> Self {
        Self {
            profile,
            bytes_max,
            queue: VecDeque::new(),
            bytes: 0,
            written: 0,
            pongs: VecDeque::new(),
            presence: HashMap::new(),
            gaps: HashMap::new(),
        }
    }

    /// Nothing waits, so a frame may be written directly.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.pongs.is_empty() && self.presence.is_empty() && self.gaps.is_empty()
    }

    /// Bytes that wait.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// A frame that could not be written directly.
    pub fn offer(&mut self, outgoing: &Outgoing) -> Offer {
        match &outgoing.kind {
            OutgoingKind::Answer if self.bytes >= self.bytes_max => Offer::Overflow,
            OutgoingKind::Answer => self.push(outgoing.frame.image().clone()),
            OutgoingKind::Typing if self.bytes >= self.bytes_max / 4 => Offer::Dropped,
            OutgoingKind::Typing => self.push(outgoing.frame.image().clone()),
            OutgoingKind::Presence { room }
                if self.bytes >= self.bytes_max / 4 || self.gaps.contains_key(room) =>
            {
                self.presence.insert(room.clone(), outgoing.frame.image().clone());
                Offer::Dropped
            }
            OutgoingKind::Presence { .. } => self.push(outgoing.frame.image().clone()),
            OutgoingKind::Message { room, position } => self.offer_message(room, position, outgoing),
        }
    }

    fn offer_message(&mut self, room: &RoomId, position: &Position, outgoing: &Outgoing) -> Offer {
        // A room that has a gap goes on gapping until there is real space again, or each frame would bring a gap of one.
        let full = self.bytes >= self.bytes_max || self.gaps.contains_key(room);
        match (full, self.profile) {
            (false, _) => self.push(outgoing.frame.image().clone()),
            (true, Profile::Plain) => Offer::Overflow,
            (true, Profile::V1) => self.widen_gap(room, position),
        }
    }

    fn widen_gap(&mut self, room: &RoomId, position: &Position) -> Offer {
        let gaps = self.gaps.entry(room.clone()).or_default();
        let count = gaps.len();
        match gaps.back_mut() {
            Some(gap) if gap.epoch == position.epoch => gap.to = position.seq,
            _ if count >= GAPS_PER_ROOM_MAX => return Offer::Overflow,
            _ => gaps.push_back(Gap { epoch: position.epoch.clone(), from: position.seq, to: position.seq }),
        }
        Offer::Dropped
    }

    fn push(&mut self, image: Image) -> Offer {
        self.bytes += image.len();
        self.queue.push_back(image);
        Offer::Queued
    }

    /// A frame that must go out whatever waits (a close).
    pub fn force(&mut self, image: Image) {
        self.push(image);
    }

    /// A frame of which so many bytes are written already: nothing may come between them and the rest. Only while nothing
    /// waits, as whoever writes past the outbox must know.
    pub fn force_rest(&mut self, image: Image, written: usize) {
        debug_assert!(self.queue.is_empty() && self.written == 0, "half a frame was written out of turn");
        self.push(image);
        self.written = written;
    }

    /// Gives up everything but the rest of a frame whose start is written already: the reader is to be closed.
    pub fn abandon(&mut self) {
        self.queue.truncate(usize::from(self.written > 0));
        self.bytes = self.queue.front().map_or(0, Image::len);
        self.pongs.clear();
        self.presence.clear();
        self.gaps.clear();
    }

    /// A pong, for the answer to each ping as long as they are few.
    pub fn push_pong(&mut self, image: Image) {
        if self.pongs.len() >= PONGS_MAX {
            self.pongs.pop_front();
        }
        self.pongs.push_back(image);
    }

    /// What to write next, in order.
    pub fn chunks(&mut self) -> impl Iterator<Item = &[u8]> {
        if self.written == 0 {
            while let Some(pong) = self.pongs.pop_back() {
                self.bytes += pong.len();
                self.queue.push_front(pong);
            }
        }
        let written = self.written;
        self.queue.iter().enumerate().map(move |(index, image)| match index {
            0 => &image[written..],
            _ => &image[..],
        })
    }

    /// So many bytes of `chunks` were written.
    pub fn advance(&mut self, mut count: usize) {
        while let Some(front) = self.queue.front() {
            let left = front.len() - self.written;
            if count < left {
                self.written += count;
                break;
            }
            count -= left;
            self.bytes -= front.len();
            self.written = 0;
            self.queue.pop_front();
        }
        if self.queue.is_empty() && self.queue.capacity() > 64 {
            // An idle connection must not keep what a burst once needed.
            self.queue = VecDeque::new();
        }
        if self.bytes < self.bytes_max / 2 {
            self.tell_dropped();
        }
    }

    /// There is space again: what was dropped or kept aside is told.
    fn tell_dropped(&mut self) {
        for (room, gaps) in std::mem::take(&mut self.gaps) {
            for gap in gaps {
                let frame =
                    ServerFrame::Gap(GapFrame { room: &room, epoch: &gap.epoch, from: gap.from, to: gap.to });
                self.push(frame.encode().image().clone());
            }
        }
        for (_, image) in std::mem::take(&mut self.presence) {
            self.push(image);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn message(seq: u64) -> Arc<Outgoing> {
        let position = Position { epoch: Epoch::trusted("e"), seq: Seq(seq) };
        let kind = OutgoingKind::Message { room: RoomId::trusted("r"), position };
        Arc::new(Outgoing { frame: ServerFrame::Pong.encode(), kind })
    }

    fn presence() -> Outgoing {
        Outgoing {
            frame: ServerFrame::Pong.encode(),
            kind: OutgoingKind::Presence { room: RoomId::trusted("r") },
        }
    }

    fn typing() -> Outgoing {
        Outgoing { frame: ServerFrame::Pong.encode(), kind: OutgoingKind::Typing }
    }

    fn drain(outbox: &mut Outbox) -> Vec<String> {
        let mut told = Vec::new();
        loop {
            let Some(first) = outbox.chunks().next().map(<[u8]>::to_vec) else { return told };
            told.push(String::from_utf8_lossy(&first[2..]).into_owned());
            outbox.advance(first.len());
        }
    }

    fn size() -> usize {
        message(1).frame.image().len()
    }

    #[test]
    fn at_the_bound_a_v1_reader_is_told_what_it_misses() {
        let mut outbox = Outbox::new(Profile::V1, 4 * size());
        for seq in 1..=4 {
            assert_eq!(outbox.offer(&message(seq)), Offer::Queued);
        }
        for seq in 5..=9 {
            assert_eq!(outbox.offer(&message(seq)), Offer::Dropped);
        }
        let told = drain(&mut outbox);
        assert_eq!(told.len(), 5);
        assert_eq!(told[4], r#"{"type":"gap","room":"r","epoch":"e","from":5,"to":9}"#);
        assert!(outbox.is_empty());
    }

    #[test]
    fn at_the_bound_a_plain_reader_is_closed() {
        let mut outbox = Outbox::new(Profile::Plain, 2 * size());
        assert_eq!(outbox.offer(&message(1)), Offer::Queued);
        assert_eq!(outbox.offer(&message(2)), Offer::Queued);
        assert_eq!(outbox.offer(&message(3)), Offer::Overflow);
    }

    #[test]
    fn answers_are_never_dropped() {
        let mut outbox = Outbox::new(Profile::V1, size());
        let answer = || Outgoing { frame: ServerFrame::Pong.encode(), kind: OutgoingKind::Answer };
        assert_eq!(outbox.offer(&answer()), Offer::Queued);
        assert_eq!(outbox.offer(&answer()), Offer::Overflow);
    }

    #[test]
    fn typing_goes_first_and_of_presence_the_newest_is_kept() {
        let mut outbox = Outbox::new(Profile::V1, 4 * size());
        assert_eq!(outbox.offer(&message(1)), Offer::Queued);
        assert_eq!(outbox.offer(&typing()), Offer::Dropped);
        for _ in 0..3 {
            assert_eq!(outbox.offer(&presence()), Offer::Dropped);
        }
        assert_eq!(drain(&mut outbox).len(), 2, "the message and one notice");
    }

    #[test]
    fn a_ping_flood_waits_as_few_pongs_and_the_newest_is_among_them() {
        let mut outbox = Outbox::new(Profile::V1, 100);
        outbox.force(Image::from_static(b"abcd"));
        outbox.advance(1);
        for number in 0..1000u32 {
            outbox.push_pong(Image::copy_from_slice(&number.to_be_bytes()));
            outbox.chunks().count();
        }
        outbox.advance(3);
        let pongs: Vec<_> = outbox.chunks().map(<[u8]>::to_vec).collect();
        assert_eq!(pongs.len(), PONGS_MAX);
        assert_eq!(pongs.last().map(Vec::as_slice), Some(&999u32.to_be_bytes()[..]));
    }

    #[test]
    fn a_pong_never_splits_a_frame() {
        let mut outbox = Outbox::new(Profile::V1, 100);
        outbox.force_rest(Image::from_static(b"abcd"), 2);
        outbox.push_pong(Image::from_static(b"P"));
        assert_eq!(outbox.chunks().next(), Some(&b"cd"[..]));
        outbox.advance(2);
        assert_eq!(outbox.chunks().next(), Some(&b"P"[..]));
    }
}
