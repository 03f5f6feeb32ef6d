//! What tungstenite reads from and writes to: it reads the socket, and what it writes (pongs, close answers) goes to the
//! connection's outbox, so that there is one writer.
//! Not here: our own frames, which never pass through tungstenite.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::connection::Connection;

const OPCODE_MASK: u8 = 0x0F;
const OPCODE_PONG: u8 = 0xA;

/// The error that a flood of fragments ends with.
#[derive(Debug, thiserror::Error)]
#[error("too many bytes without a whole message")]
pub(crate) struct Flood;

pub(crate) struct Shim {
    connection: Arc<Connection>,
    /// Bytes since the last whole message. A million empty fragments never become a message and raise no size error, so
    /// they are counted here.
    unfinished: usize,
    unfinished_max: usize,
}

impl Shim {
    pub(crate) fn new(connection: Arc<Connection>, message_bytes_max: usize) -> Self {
        // A message may come in many fragments and share its reads with others; twice its size and some is generous.
        Self { connection, unfinished: 0, unfinished_max: 2 * message_bytes_max + 64 * 1024 }
    }

    /// A whole message was read.
    pub(crate) fn message_done(&mut self) {
        self.unfinished = 0;
    }
}

impl AsyncRead for Shim {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let connection = self.connection.clone();
        loop {
            ready!(connection.stream().poll_read_ready(cx))?;
            match connection.stream().try_read(buf.initialize_unfilled()) {
                Ok(count) => {
                    buf.advance(count);
                    self.unfinished += count;
                    if self.unfinished > self.unfinished_max {
                        return Poll::Ready(Err(io::Error::other(Flood)));
                    }
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Shim {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut rest = buf;
        // Whole control frames, unmasked, so at most 125 bytes of payload and two of header each.
        while let [first, second, ..] = *rest {
            let size = (2 + usize::from(second & 0x7F)).min(rest.len());
            let image = Bytes::copy_from_slice(&rest[..size]);
            if first & OPCODE_MASK == OPCODE_PONG {
                self.connection.send_pong(image);
            } else {
                self.connection.send_image(image);
            }
            rest = &rest[size..];
        }
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
