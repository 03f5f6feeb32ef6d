//! How relayed events reach the room workers of a node: one bounded queue per worker, a room always on the same one.
//! Not here: what a worker does with them (`moim-gateway`).

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use moim_protocol::{RoomEvent, RoomId};
use tokio::sync::mpsc::{self, error::TrySendError};

/// Events waiting for one worker. Full: the in-process bus waits, a bus over a network drops and lets the hole be filled.
pub const RELAY_QUEUE_MAX: usize = 4096;

/// An event and its room.
#[derive(Debug, Clone)]
pub struct Relayed {
    /// The room.
    pub room: RoomId,
    /// What happened there.
    pub event: RoomEvent,
}

/// The sending side: given to a bus at start.
#[derive(Debug, Clone)]
pub struct RelaySink {
    workers: Vec<mpsc::Sender<Relayed>>,
}

impl RelaySink {
    /// A sink for that many workers (at least one), and what each of them reads.
    #[must_use]
    pub fn new(workers: usize) -> (Self, Vec<mpsc::Receiver<Relayed>>) {
        let (senders, receivers) = (0..workers.max(1)).map(|_| mpsc::channel(RELAY_QUEUE_MAX)).unzip();
        (Self { workers: senders }, receivers)
    }

    /// The worker of a room.
    #[must_use]
    pub fn worker_of(&self, room: &RoomId) -> usize {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(room);
        (hash % self.workers.len() as u64) as usize
    }

    /// Hands an event over without waiting; gives it back when the worker's queue is full. The caller then tells the room
    /// [`RoomEvent::Lost`] as soon as there is space.
    ///
    /// # Errors
    /// The event, when there is no space.
    pub fn try_deliver(&self, relayed: Relayed) -> Result<(), Relayed> {
        match self.workers[self.worker_of(&relayed.room)].try_send(relayed) {
            Err(TrySendError::Full(relayed)) => Err(relayed),
            Ok(()) | Err(TrySendError::Closed(_)) => Ok(()),
        }
    }

    /// Hands an event over, waiting while the worker's queue is full. A worker that is gone takes nothing: the node stops.
    ///
    /// # Cancel safety
    /// Dropping the future drops the event.
    pub async fn deliver(&self, relayed: Relayed) {
        let worker = &self.workers[self.worker_of(&relayed.room)];
        if worker.send(relayed).await.is_err() {
            tracing::debug!("relayed to a worker that has stopped");
        }
    }
}
