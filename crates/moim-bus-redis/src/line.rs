//! One connection that many calls share, and whether anything comes back over it.
//! Not here: making it (`link`), the pub/sub socket (`relay`).

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use redis::aio::MultiplexedConnection;

/// Calls that time out say that Redis is late. Only when none was answered for so long, the connection is taken for dead.
const SILENT: Duration = Duration::from_secs(5);
/// No call is unanswered.
const NONE: u64 = 0;

pub(crate) struct Line {
    connection: MultiplexedConnection,
    since: Instant,
    /// Milliseconds after `since`, and one, at which the first call was made since the last answer came.
    unanswered: AtomicU64,
}

impl Line {
    pub(crate) fn new(connection: MultiplexedConnection) -> Self {
        Self { connection, since: Instant::now(), unanswered: AtomicU64::new(NONE) }
    }

    /// For a call that is made now.
    pub(crate) fn begin(&self) -> MultiplexedConnection {
        let now = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1;
        // The first is the one that counts.
        self.unanswered.compare_exchange(NONE, now, Ordering::AcqRel, Ordering::Relaxed).ok();
        self.connection.clone()
    }

    /// One of its calls was answered.
    pub(crate) fn answered(&self) {
        self.unanswered.store(NONE, Ordering::Release);
    }

    /// Nothing has come back for long, and something should have.
    pub(crate) fn is_silent(&self) -> bool {
        let first = self.unanswered.load(Ordering::Acquire);
        first != NONE && self.since.elapsed() >= Duration::from_millis(first - 1) + SILENT
    }
}
