//! The node's rooms, spread over a few workers; a room always lives on the same one.
//! Not here: what a worker does (`room_worker`), what a room does (`moim-core`).

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use moim_bus::RelaySink;
use moim_protocol::{Cursor, MemberKey, Profile, RoomId, Seq, UserName};
use tokio::sync::{mpsc, oneshot};

use crate::connection::Connection;

/// Commands waiting for one worker. Full: the session that asks waits, and with it its socket.
pub(crate) const COMMANDS_MAX: usize = 1024;

/// What sessions and polls ask of a room.
pub(crate) enum Command {
    Join {
        room: RoomId,
        member: MemberKey,
        connection: Arc<Connection>,
        username: UserName,
        profile: Profile,
        cursor: Option<Cursor>,
    },
    Leave {
        room: RoomId,
        member: MemberKey,
    },
    Wait {
        room: RoomId,
        waiter: u64,
        after: Seq,
        ready: oneshot::Sender<()>,
    },
    Unwait {
        room: RoomId,
        waiter: u64,
    },
}

/// The way to the workers. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Hub {
    workers: Vec<mpsc::Sender<Command>>,
    sink: RelaySink,
    waiters: Arc<AtomicU64>,
}

impl Hub {
    /// As many workers as the relay has queues, and what each of them reads.
    pub(crate) fn new(sink: RelaySink, workers: usize) -> (Self, Vec<mpsc::Receiver<Command>>) {
        let (senders, receivers) = (0..workers).map(|_| mpsc::channel(COMMANDS_MAX)).unzip();
        (Self { workers: senders, sink, waiters: Arc::default() }, receivers)
    }

    /// Hands a command to the room's worker, waiting while its queue is full.
    ///
    /// # Cancel safety
    /// Dropping the future drops the command.
    pub(crate) async fn tell(&self, room: &RoomId, command: Command) {
        if self.workers[self.sink.worker_of(room)].send(command).await.is_err() {
            tracing::debug!(%room, "told a worker that has stopped");
        }
    }

    /// Answers when the room has a message above `after`, or can no longer say.
    ///
    /// # Cancel safety
    /// Safe: a poll that is given up is taken back.
    pub(crate) async fn wait_above(&self, room: &RoomId, after: Seq) {
        let waiter = self.waiters.fetch_add(1, Ordering::Relaxed);
        let (ready, woken) = oneshot::channel();
        let given_up = Unwait { hub: self, room, waiter };
        self.tell(room, Command::Wait { room: room.clone(), waiter, after, ready }).await;
        // An error says that the worker has stopped, which is an answer too.
        drop(woken.await);
        drop(given_up);
    }
}

/// Takes a poll back when its future is dropped.
struct Unwait<'a> {
    hub: &'a Hub,
    room: &'a RoomId,
    waiter: u64,
}

impl Drop for Unwait<'_> {
    fn drop(&mut self) {
        let worker = &self.hub.workers[self.hub.sink.worker_of(self.room)];
        let command = Command::Unwait { room: self.room.clone(), waiter: self.waiter };
        // A full queue keeps the waiter until its room's next message, which wakes it: it costs 16 bytes till then.
        drop(worker.try_send(command));
    }
}
