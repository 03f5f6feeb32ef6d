//! One metric with one label whose values are a closed set: a child per value, made at registration, found by the value.
//! Not here: open labels. A series per room, user or address would let clients grow the server's memory.

use std::{fmt, ops::Index};

/// A closed set of values of one label.
pub trait Label: Copy + PartialEq + fmt::Debug + 'static {
    /// The label's name, such as `reason`.
    const NAME: &'static str;
    /// Every value there is.
    fn all() -> &'static [Self];
    /// The value as it stands in the exposition, such as `slow_reader`.
    fn value(&self) -> &'static str;
}

/// A metric's children by label: `metrics.closed[CloseReason::SlowReader].inc()`.
#[derive(Debug, Clone)]
pub struct Family<L, M> {
    // A short list, searched in order: the closed sets are a dozen values, and a hash costs more than that.
    children: Vec<(L, M)>,
    // Belongs to no registry: takes what a value missing from its list of values would count.
    unlisted: M,
}

impl<L: Copy + PartialEq + fmt::Debug, M> Family<L, M> {
    pub(crate) fn new(children: Vec<(L, M)>, unlisted: M) -> Self {
        Self { children, unlisted }
    }
}

impl<L: Copy + PartialEq + fmt::Debug, M> Index<L> for Family<L, M> {
    type Output = M;

    /// The child of that value. A value that its list forgot is a bug: tests stop, a release counts it nowhere.
    fn index(&self, label: L) -> &M {
        let child = self.children.iter().find(|(value, _)| *value == label).map(|(_, child)| child);
        debug_assert!(child.is_some(), "{label:?} is not in the list of its label's values");
        child.unwrap_or(&self.unlisted)
    }
}
