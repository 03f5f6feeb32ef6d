//! Tables of what is there now take memory for what is there now, not for the most that ever was.
//! Not here: what the allocator does with it.

use std::{
    collections::{BinaryHeap, HashMap, HashSet, VecDeque},
    hash::{BuildHasher, Hash},
};

/// Entries that a table keeps room for when it is empty, so that what comes and goes all the time allocates nothing.
const SPARE: usize = 32;

/// Called after a removal. The standard collections keep what they once needed: a table of a hundred thousand rooms that
/// were each open for a moment took 60 MiB for ever.
pub trait GiveBack {
    /// Gives back memory that is far more than what is there needs. It moves what is there only when that is at most about a
    /// quarter of what there was space for, so a removal costs O(1) amortized.
    fn give_back(&mut self);
}

fn wanted(len: usize) -> usize {
    2 * len.max(SPARE)
}

// These say a capacity that shrinks with what was removed, and shrink by halves only.
impl<K: Eq + Hash, V, S: BuildHasher> GiveBack for HashMap<K, V, S> {
    fn give_back(&mut self) {
        self.shrink_to(wanted(self.len()));
    }
}

impl<K: Eq + Hash, S: BuildHasher> GiveBack for HashSet<K, S> {
    fn give_back(&mut self) {
        self.shrink_to(wanted(self.len()));
    }
}

// These shrink to what they are told, at any removal.
impl<T> GiveBack for VecDeque<T> {
    fn give_back(&mut self) {
        if self.capacity() > 2 * wanted(self.len()) {
            self.shrink_to(wanted(self.len()));
        }
    }
}

impl<T: Ord> GiveBack for BinaryHeap<T> {
    fn give_back(&mut self) {
        if self.capacity() > 2 * wanted(self.len()) {
            self.shrink_to(wanted(self.len()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANY: usize = 10_000;

    #[test]
    fn what_is_empty_again_takes_next_to_nothing() {
        let mut map: HashMap<_, _> = (0..MANY).map(|n| (n, [0_u8; 64])).collect();
        let mut set: HashSet<_> = (0..MANY).collect();
        let mut queue: VecDeque<_> = (0..MANY).collect();
        let mut heap: BinaryHeap<_> = (0..MANY).collect();
        for n in 0..MANY {
            map.remove(&n);
            map.give_back();
            set.remove(&n);
            set.give_back();
            queue.pop_front();
            queue.give_back();
            heap.pop();
            heap.give_back();
        }
        let most = 4 * SPARE;
        assert!(map.capacity() <= most, "{}", map.capacity());
        assert!(set.capacity() <= most, "{}", set.capacity());
        assert!(queue.capacity() <= most, "{}", queue.capacity());
        assert!(heap.capacity() <= most, "{}", heap.capacity());
    }

    #[test]
    fn what_comes_and_goes_moves_nothing() {
        let mut map: HashMap<_, _> = (0..MANY).map(|n| (n, ())).collect();
        map.give_back();
        let mut moves = 0;
        for n in 0..MANY {
            let before = map.capacity();
            map.remove(&n);
            map.give_back();
            map.insert(n, ());
            moves += usize::from(map.capacity() != before);
        }
        assert_eq!(moves, 0);
    }
}
