//! Where in a room's log: numbers, positions, cursors.
//! Not here: who gives the numbers (`moim-bus`).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Epoch;

/// A message's number in its room: rises by one per message within an epoch, never used twice in a room. A number that nobody heard
/// of is left out, and `prev` says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl Seq {
    /// Before the first message of a room.
    pub const ZERO: Self = Self(0);
    /// The largest number that a JavaScript client reads without loss.
    pub const MAX: Self = Self((1 << 53) - 1);

    /// The number after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A place in a room's log: which run of numbers, and the last number used.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Position {
    /// The run the number belongs to.
    pub epoch: Epoch,
    /// The last number used, or the new base right after a jump.
    pub seq: Seq,
}

/// What a client says it has seen. Exclusive: it wants what comes after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The last number it has seen; zero when it has seen nothing.
    pub seq: Seq,
    /// The epoch it saw that number in, when it says so.
    pub epoch: Option<Epoch>,
}
