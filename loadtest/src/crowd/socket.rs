//! One WebSocket of a member, from its connect to its end; the member outlives it.
//! Not here: who is behind it (`member`), when it is read (`crowd`).

use std::{
    io::{self, Read, Write},
    net::SocketAddr,
    ops::Range,
};

use mio::{Interest, Registry, Token, net::TcpStream};
use socket2::{Domain, Protocol, Socket as Raw, Type};

use crate::{frame, handshake};

/// What the kernel keeps for a reader who is slow: as little as it does.
const SLOW_BUFFER_BYTES: usize = 16 * 1024;
/// An empty buffer above this is given back: a member who was busy once is not for ever.
const KEPT_BYTES: usize = 4 * 1024;

/// Why a socket is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// With a close frame.
    Closed(u16, String),
    /// Without one, or before it was open.
    Lost(String),
}

/// One step of what was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Opened,
    /// A text frame, at this place of `bytes`.
    Text(Range<usize>),
}

pub(super) struct Socket {
    stream: TcpStream,
    is_open: bool,
    /// What was read and not taken yet begins at `taken`.
    bytes: Vec<u8>,
    taken: usize,
    unsent: Vec<u8>,
}

impl Socket {
    /// Starts to connect. A slow reader's socket has little room in the kernel.
    pub(super) fn connect(
        address: SocketAddr,
        request: String,
        is_slow: bool,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        let mut stream = if is_slow { slow(address)? } else { TcpStream::connect(address)? };
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self { stream, is_open: false, bytes: Vec::new(), taken: 0, unsent: request.into_bytes() })
    }

    pub(super) fn send(&mut self, opcode: u8, payload: &[u8]) -> Result<(), End> {
        self.unsent.extend_from_slice(&frame::client_frame(opcode, payload));
        self.flush()
    }

    /// Writes what waits, as far as the kernel takes it.
    pub(super) fn flush(&mut self) -> Result<(), End> {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(count) if count == self.unsent.len() => self.unsent = Vec::new(),
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(error) if is_later(&error) => return Ok(()),
                Err(error) => return Err(End::Lost(error.to_string())),
            }
        }
        Ok(())
    }

    /// Reads once, at most a scratch full; whether there may be more.
    pub(super) fn fill(&mut self, scratch: &mut [u8]) -> Result<bool, End> {
        match self.stream.read(scratch) {
            Ok(0) => Err(End::Lost("the server ended it without a word".into())),
            Ok(count) => {
                self.bytes.extend_from_slice(&scratch[..count]);
                Ok(count == scratch.len())
            }
            Err(error) if is_later(&error) => Ok(false),
            Err(error) => Err(End::Lost(error.to_string())),
        }
    }

    /// The next thing that is whole; pings are answered on the way.
    pub(super) fn next(&mut self) -> Result<Option<Heard>, End> {
        if !self.is_open {
            let length = handshake::answer_length(&self.bytes)
                .map_err(|answer| End::Lost(format!("not let in: {}", first_line(&answer))))?;
            let Some(length) = length else { return Ok(None) };
            self.taken = length;
            self.is_open = true;
            // A chat's frames are small: each must leave at once.
            self.stream.set_nodelay(true).map_err(|error| End::Lost(error.to_string()))?;
            return Ok(Some(Heard::Opened));
        }
        loop {
            let head = frame::head(&self.bytes[self.taken..]).map_err(|bad| End::Lost(bad.to_string()))?;
            let Some(head) = head else {
                self.give_back();
                return Ok(None);
            };
            let payload = self.taken + head.payload.start..self.taken + head.payload.end;
            self.taken = payload.end;
            match head.opcode {
                frame::TEXT => return Ok(Some(Heard::Text(payload))),
                frame::PING => {
                    let ping = self.bytes[payload].to_vec();
                    self.send(frame::PONG, &ping)?;
                }
                frame::CLOSE => return Err(closed(&self.bytes[payload])),
                _ => {}
            }
        }
    }

    pub(super) fn text(&self, at: Range<usize>) -> &[u8] {
        &self.bytes[at]
    }

    /// Keeps only what is not taken.
    fn give_back(&mut self) {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        if self.bytes.is_empty() && self.bytes.capacity() > KEPT_BYTES {
            self.bytes = Vec::new();
        }
    }
}

/// Its connect waits: on the way to a server under load that is a moment, and slow readers are few.
fn slow(address: SocketAddr) -> io::Result<TcpStream> {
    let raw = Raw::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    raw.set_recv_buffer_size(SLOW_BUFFER_BYTES)?;
    raw.connect(&address.into())?;
    raw.set_nonblocking(true)?;
    Ok(TcpStream::from_std(raw.into()))
}

fn closed(payload: &[u8]) -> End {
    let code = payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code));
    End::Closed(code, String::from_utf8_lossy(payload.get(2..).unwrap_or_default()).into_owned())
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected)
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, thread, time::Duration};

    use mio::Poll;
    use moim_protocol::{FramePayload, data_image, ping_image};

    use super::*;

    const REQUEST: &str = "GET /\r\n\r\n";

    fn pair(is_slow: bool) -> (Poll, Socket, std::net::TcpStream) {
        let (poll, listener) = (Poll::new().unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
        let address = listener.local_addr().unwrap();
        let socket = Socket::connect(address, REQUEST.into(), is_slow, poll.registry(), Token(0));
        let (server, _) = listener.accept().unwrap();
        (poll, socket.unwrap(), server)
    }

    /// Everything there is, until it ends or the wanted number has come.
    fn hear(socket: &mut Socket, wanted: usize) -> (Vec<String>, Option<End>) {
        let (mut heard, mut scratch) = (Vec::new(), [0; 7]);
        loop {
            match socket.fill(&mut scratch) {
                Ok(true) => {}
                Ok(false) => thread::sleep(Duration::from_millis(1)),
                Err(end) => return (heard, Some(end)),
            }
            loop {
                match socket.next() {
                    Ok(Some(Heard::Opened)) => heard.push("opened".into()),
                    Ok(Some(Heard::Text(at))) => {
                        heard.push(String::from_utf8_lossy(socket.text(at)).into_owned());
                    }
                    Ok(None) => break,
                    Err(end) => return (heard, Some(end)),
                }
            }
            if heard.len() >= wanted {
                return (heard, None);
            }
        }
    }

    #[test]
    fn it_opens_hears_and_tells_how_it_was_closed() {
        for is_slow in [false, true] {
            let (_poll, mut socket, mut server) = pair(is_slow);
            let mut bytes = handshake::bare_answer().into_bytes();
            for part in [&data_image(FramePayload::Text, b"one")[..], &ping_image(), &[0x88, 2, 0x03, 0xF5]] {
                bytes.extend_from_slice(part);
            }
            server.write_all(&bytes).unwrap();
            socket.flush().unwrap();
            let (heard, end) = hear(&mut socket, 3);
            assert_eq!(heard, ["opened", "one"]);
            assert_eq!(end, Some(End::Closed(1013, String::new())));
            // The pong left before that.
            server.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            let mut written = [0; REQUEST.len() + 6];
            server.read_exact(&mut written).unwrap();
            assert_eq!(written[REQUEST.len()..][..2], [0x8A, 0x80]);
        }
    }

    #[test]
    fn a_refusal_and_an_end_without_a_word_are_losses() {
        let (_poll, mut socket, mut server) = pair(false);
        server.write_all(b"HTTP/1.1 503 Service Unavailable\r\nX: y\r\n\r\n").unwrap();
        let refused = Some(End::Lost("not let in: HTTP/1.1 503 Service Unavailable".into()));
        assert_eq!(hear(&mut socket, 1).1, refused);
        let (_poll, mut socket, server) = pair(false);
        drop(server);
        assert!(matches!(hear(&mut socket, 1).1, Some(End::Lost(_))));
    }
}
