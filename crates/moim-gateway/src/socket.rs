//! The reading half of one WebSocket, its opening and its end.
//! Not here: writing (`connection`), what is read means (`moim-core`).

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::StreamExt;
use moim_protocol::{CloseReason, Profile};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message,
        error::CapacityError,
        protocol::{Role, WebSocketConfig},
    },
};

use crate::{
    budget::Budget,
    connection::Connection,
    shim::{Flood, Shim},
};

/// How long a closing handshake may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// What is read and thrown away while the client has not heard of our close yet.
const CLOSE_READ_MAX: usize = 16 * 1024 * 1024;
/// tungstenite's default of 128 KiB is allocated for every connection, idle or not.
const READ_BUFFER_BYTES: usize = 4 * 1024;
/// tungstenite only writes pongs and close answers here, and the shim takes them at once.
const WRITE_BUFFER_BYTES_MAX: usize = 4 * 1024;

/// How a socket is opened.
#[derive(Debug, Clone)]
pub struct SocketOptions {
    /// Largest message; over it the socket ends with 1009.
    pub message_bytes_max: usize,
    /// Bytes that may wait for a slow reader.
    pub outbox_bytes_max: usize,
    /// Its dialect.
    pub profile: Profile,
    /// What answers larger than the outbox share with those of other sockets.
    pub large_answers: Arc<Budget>,
}

/// One thing that came from a client.
#[derive(Debug)]
pub enum Incoming {
    /// A whole text message.
    Text(Bytes),
    /// A whole binary message.
    Binary(Bytes),
    /// A ping; its pong is on its way.
    Ping,
    /// A pong.
    Pong,
    /// Nothing more comes.
    Ended(Ending),
}

/// How a socket's input ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The client closed; the answer is on its way.
    ByClient,
    /// The TCP connection broke.
    Lost,
    /// The client did something that the server closes for.
    ByUs(CloseReason),
}

/// An open WebSocket.
pub struct Socket {
    stream: WebSocketStream<Shim>,
    connection: Arc<Connection>,
}

impl Socket {
    /// Takes over a TCP stream after the handshake, with what was read too far.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub async fn open(number: u64, stream: TcpStream, read: &[u8], options: &SocketOptions) -> Self {
        let connection = Connection::new(number, stream, options);
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX)
            .max_message_size(Some(options.message_bytes_max))
            .max_frame_size(Some(options.message_bytes_max));
        let shim = Shim::new(connection.clone(), options.message_bytes_max);
        let stream = if read.is_empty() {
            WebSocketStream::from_raw_socket(shim, Role::Server, Some(config)).await
        } else {
            WebSocketStream::from_partially_read(shim, read.to_vec(), Role::Server, Some(config)).await
        };
        Self { stream, connection }
    }

    /// The writing half, to be shared.
    #[must_use]
    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// The next thing that came. After `Ended` call [`Socket::finish`].
    ///
    /// # Cancel safety
    /// Safe: a partly read message stays in the socket.
    pub async fn next(&mut self) -> Incoming {
        loop {
            let message = self.stream.next().await;
            self.stream.get_mut().message_done();
            return match message {
                Some(Ok(Message::Text(text))) => Incoming::Text(text.into()),
                Some(Ok(Message::Binary(bytes))) => Incoming::Binary(bytes),
                Some(Ok(Message::Ping(_))) => Incoming::Ping,
                Some(Ok(Message::Pong(_))) => Incoming::Pong,
                // The answer is written by the next read.
                Some(Ok(Message::Close(_) | Message::Frame(_))) => continue,
                None => Incoming::Ended(Ending::ByClient),
                Some(Err(error)) => Incoming::Ended(ending_of(&error)),
            };
        }
    }

    /// The closing handshake, bounded in time: our close frame if it is we who close, then everything that waits, then the
    /// client's end. What the client still sends is read and thrown away, or the kernel would answer it with a reset that
    /// can overtake the close frame.
    ///
    /// # Cancel safety
    /// Dropping the future drops the connection without a handshake.
    pub async fn finish(self, ending: Ending) {
        let reason = match ending {
            Ending::ByUs(reason) => Some(reason),
            Ending::ByClient => None,
            Ending::Lost => return,
        };
        self.connection.begin_close(reason);
        let connection = self.connection;
        let handshake = async {
            connection.flush_all().await?;
            shutdown_write(connection.stream())?;
            discard(connection.stream()).await
        };
        match timeout(CLOSE_TIMEOUT, handshake).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "closing handshake broke off"),
            Err(_) => tracing::debug!("closing handshake took too long"),
        }
    }
}

/// A half close by the standard library: tokio's own wants the stream for itself, and here it is shared.
fn shutdown_write(stream: &TcpStream) -> io::Result<()> {
    socket2::SockRef::from(stream).shutdown(std::net::Shutdown::Write)
}

async fn discard(stream: &TcpStream) -> io::Result<()> {
    // On the heap: the future is part of every connection's task.
    let (mut buffer, mut total) = (vec![0; 4096], 0);
    while total < CLOSE_READ_MAX {
        stream.readable().await?;
        match stream.try_read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => total += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn ending_of(error: &Error) -> Ending {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed => Ending::ByClient,
        Error::Capacity(CapacityError::MessageTooLong { .. }) => Ending::ByUs(CloseReason::TooBig),
        Error::Utf8(_) => Ending::ByUs(CloseReason::NotUtf8),
        Error::Io(error) if error.get_ref().is_some_and(|inner| inner.is::<Flood>()) => {
            Ending::ByUs(CloseReason::Flood)
        }
        Error::Protocol(
            tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
        )
        | Error::Io(_) => Ending::Lost,
        Error::Protocol(_) => Ending::ByUs(CloseReason::Protocol),
        _ => Ending::ByUs(CloseReason::Internal),
    }
}
