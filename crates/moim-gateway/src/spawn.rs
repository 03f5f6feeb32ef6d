//! Every task of a gateway starts here, so that a stop knows what is still running.
//! Not here: what the tasks do.

use std::{future::Future, time::Duration};

use futures_util::FutureExt;
use tokio::{sync::watch, task::AbortHandle, time::timeout};

/// Starts tasks and counts them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Spawner {
    /// The number of receivers is the number of running tasks: each task holds one.
    running: watch::Sender<()>,
}

impl Default for Spawner {
    fn default() -> Self {
        Self { running: watch::channel(()).0 }
    }
}

impl Spawner {
    /// Starts a task.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        let running = self.running.subscribe();
        // Not an async block around the task: that would hold it twice, in every connection.
        tokio::spawn(task.map(move |()| drop(running))).abort_handle()
    }

    /// Tasks running now.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running.receiver_count()
    }

    /// Waits until none is left, at most that long; answers how many still are.
    ///
    /// # Cancel safety
    /// Safe: it only waits.
    pub async fn finished(&self, at_most: Duration) -> usize {
        if timeout(at_most, self.running.closed()).await.is_err() {
            return self.running();
        }
        0
    }
}
