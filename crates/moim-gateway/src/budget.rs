//! What large answers may hold in memory together: one bound for the node, since each alone may be larger than an outbox.
//! Not here: the bound of each connection's outbox (`limits.outbox_bytes_max`).

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Bytes of answers beyond each connection's own bound, over all connections. Full: WebSockets that ask more are closed as
/// slow, HTTP requests get `overloaded`. Histories of messages near the size limit are tens of mebibytes each, and a
/// client that asks and never reads must not collect them.
pub(crate) const LARGE_ANSWERS_BYTES_MAX: usize = 256 * 1024 * 1024;

/// A bounded number of bytes.
#[derive(Debug)]
pub struct Budget {
    used: AtomicUsize,
    max: usize,
}

impl Budget {
    /// Nothing used yet.
    #[must_use]
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), max })
    }

    /// Takes bytes; `false`, and nothing taken, when they are not there.
    pub(crate) fn take(&self, bytes: usize) -> bool {
        let taken = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(bytes).filter(|used| *used <= self.max)
        });
        taken.is_ok()
    }

    /// Gives bytes back.
    pub(crate) fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Takes bytes until the guard is dropped.
    pub(crate) fn hold(self: &Arc<Self>, bytes: usize) -> Option<BudgetGuard> {
        self.take(bytes).then(|| BudgetGuard { budget: self.clone(), bytes })
    }
}

/// Bytes that are taken; dropping it gives them back.
#[derive(Debug)]
pub(crate) struct BudgetGuard {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Drop for BudgetGuard {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_ends_at_its_edge_and_comes_back() {
        let budget = Budget::new(10);
        let guard = budget.hold(10);
        assert!(guard.is_some());
        assert!(!budget.take(1));
        drop(guard);
        assert!(budget.take(10));
        assert!(!budget.take(usize::MAX));
    }
}
