//! The writing half of one WebSocket: frames go straight to the socket, and wait in an outbox only when it would block.
//! Not here: reading (`socket`), which frames (`moim-core`), TLS (its sockets will write through their task).

use std::{
    io::{self, IoSlice},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use moim_core::{Offer, Outbox, Outgoing};
use moim_protocol::{CloseReason, ErrorCode, Profile, RoomId, close_image};
use tokio::{net::TcpStream, sync::Notify};

use crate::{budget::Budget, socket::SocketOptions};

/// Frames written with one system call.
const FRAMES_PER_WRITE: usize = 64;

/// What a room or the drain tells a connection's own task.
#[derive(Debug)]
pub enum Control {
    /// A join was refused; the connection is no member.
    JoinRefused {
        /// The room.
        room: RoomId,
        /// Why.
        code: ErrorCode,
    },
    /// Close it.
    Close(CloseReason),
    /// The node drains, or cannot serve it any more.
    Drain {
        /// When to come back.
        after_ms: u64,
        /// Why, as the client is told.
        reason: &'static str,
    },
}

struct Writing {
    outbox: Outbox,
    /// What of the outbox is beyond its bound, and so taken from the node's budget.
    beyond: usize,
    /// At most one entry for each room and two more: refusals come once, closes and drains are the last.
    controls: Vec<Control>,
    closing: bool,
    broken: bool,
    progress: Instant,
}

impl Writing {
    /// Bytes are about to wait. The stall clock starts with the first of them: a connection that was quiet has not stalled.
    fn will_wait(&mut self) {
        if self.outbox.is_empty() {
            self.progress = Instant::now();
        }
    }
}

/// One open WebSocket, as everyone who writes to it shares it.
pub struct Connection {
    number: u64,
    profile: Profile,
    stream: TcpStream,
    outbox_bytes_max: usize,
    large_answers: Arc<Budget>,
    /// A std mutex: never held across an await, the longest section is one system call that does not block.
    writing: Mutex<Writing>,
    /// Something waits for the connection's own task: bytes that would block, or a control.
    wake: Notify,
}

impl Connection {
    pub(crate) fn new(number: u64, stream: TcpStream, options: &SocketOptions) -> Arc<Self> {
        let SocketOptions { profile, outbox_bytes_max, .. } = *options;
        Arc::new(Self {
            number,
            profile,
            stream,
            outbox_bytes_max,
            large_answers: options.large_answers.clone(),
            writing: Mutex::new(Writing {
                outbox: Outbox::new(profile, outbox_bytes_max),
                beyond: 0,
                controls: Vec::new(),
                closing: false,
                broken: false,
                progress: Instant::now(),
            }),
            wake: Notify::new(),
        })
    }

    /// Its number on this node, never used twice in one boot.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Its dialect.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.profile
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    fn lock(&self) -> MutexGuard<'_, Writing> {
        // Sections are short and leave nothing half done but a socket, which is closed when its holder panics.
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a frame now, or queues what would block. Never waits.
    pub fn send(&self, outgoing: &Outgoing) {
        let mut writing = self.lock();
        if writing.closing {
            return;
        }
        let image = outgoing.frame.image();
        let mut offer = if writing.outbox.is_empty() {
            match self.stream.try_write(image) {
                Ok(count) if count == image.len() => return,
                Ok(count) => {
                    writing.outbox.force_rest(image.clone(), count);
                    Offer::Queued
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => writing.outbox.offer(outgoing),
                Err(_) => {
                    writing.broken = true;
                    Offer::Dropped
                }
            }
        } else {
            match writing.outbox.offer(outgoing) {
                Offer::Overflow => Offer::Overflow,
                // The connection's task waits for the socket already.
                Offer::Queued | Offer::Dropped if self.settle(&mut writing) => return,
                Offer::Queued | Offer::Dropped => Offer::Overflow,
            }
        };
        if offer == Offer::Queued {
            // The stall clock starts when the first byte has to wait.
            writing.progress = Instant::now();
            if !self.settle(&mut writing) {
                offer = Offer::Overflow;
            }
        }
        if offer == Offer::Overflow {
            writing.closing = true;
            writing.controls.push(Control::Close(CloseReason::SlowReader));
        }
        drop(writing);
        self.wake.notify_one();
    }

    /// Takes from the node's budget what the outbox holds beyond its own bound, or gives it back; `false` when there is none
    /// left.
    fn settle(&self, writing: &mut Writing) -> bool {
        let beyond = writing.outbox.bytes().saturating_sub(self.outbox_bytes_max);
        if beyond > writing.beyond && !self.large_answers.take(beyond - writing.beyond) {
            return false;
        }
        self.large_answers.give_back(writing.beyond.saturating_sub(beyond));
        writing.beyond = beyond;
        true
    }

    /// Writes bytes that are a whole frame, whatever kind; for transports without rooms.
    pub fn send_image(&self, image: Bytes) {
        let mut writing = self.lock();
        if !writing.closing {
            writing.will_wait();
            writing.outbox.force(image);
            drop(writing);
            self.wake.notify_one();
        }
    }

    /// A pong that tungstenite made; of very many that wait only the newest are sent.
    pub(crate) fn send_pong(&self, image: Bytes) {
        let mut writing = self.lock();
        writing.will_wait();
        writing.outbox.push_pong(image);
        drop(writing);
        self.wake.notify_one();
    }

    /// Tells the connection's own task something.
    pub fn control(&self, control: Control) {
        self.lock().controls.push(control);
        self.wake.notify_one();
    }

    pub(crate) fn take_controls(&self) -> Vec<Control> {
        std::mem::take(&mut self.lock().controls)
    }

    /// Waits until there is something to do, and writes what waits. Answers when bytes were written, a control came, or the
    /// socket broke (`false`).
    ///
    /// # Cancel safety
    /// Safe: what waits stays in the outbox.
    pub async fn drive(&self) -> bool {
        let waits = {
            let writing = self.lock();
            if !writing.controls.is_empty() || writing.broken {
                return !writing.broken;
            }
            !writing.outbox.is_empty()
        };
        if !waits {
            self.wake.notified().await;
        } else if self.stream.writable().await.is_err() {
            return false;
        }
        self.flush().is_ok()
    }

    /// Writes as much as the socket takes, many frames with one call.
    fn flush(&self) -> io::Result<()> {
        let mut writing = self.lock();
        loop {
            let slices: Vec<_> = writing.outbox.chunks().take(FRAMES_PER_WRITE).map(IoSlice::new).collect();
            if slices.is_empty() {
                return Ok(());
            }
            match self.stream.try_write_vectored(&slices) {
                Ok(count) => {
                    writing.outbox.advance(count);
                    writing.progress = Instant::now();
                    self.settle(&mut writing);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => {
                    writing.broken = true;
                    return Err(error);
                }
            }
        }
    }

    /// When a reader that takes nothing is given up; `None` while nothing waits for it.
    pub(crate) fn stalled_at(&self, after: Duration) -> Option<Instant> {
        let writing = self.lock();
        (!writing.outbox.is_empty()).then(|| writing.progress + after)
    }

    /// Bytes that wait for the reader.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.lock().outbox.bytes()
    }

    /// From now on nothing is queued but this close frame; a slow reader's queue is given up, all others get theirs first.
    pub(crate) fn begin_close(&self, reason: Option<CloseReason>) {
        let mut writing = self.lock();
        writing.closing = true;
        if let Some(reason) = reason {
            if reason == CloseReason::SlowReader {
                writing.outbox.abandon();
            }
            writing.outbox.force(close_image(reason));
        }
    }

    /// Writes everything that waits; gives up when the socket breaks.
    ///
    /// # Cancel safety
    /// Safe: what waits stays in the outbox.
    pub(crate) async fn flush_all(&self) -> io::Result<()> {
        loop {
            self.flush()?;
            if self.lock().outbox.is_empty() {
                return Ok(());
            }
            self.stream.writable().await?;
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.large_answers.give_back(self.lock().beyond);
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("number", &self.number).finish_non_exhaustive()
    }
}
