//! Many WebSocket members on one thread and one epoll: they connect, hear, and answer pings, and hold next to no memory.
//! Not here: what is heard (`ledger`, the scenarios), sending at a rate (`scenario::fanout`).

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token, net::TcpStream};

use crate::{fault::Fault, frame, handshake, interrupt};

/// One read takes so much; a shorter one has emptied the socket.
const READ_BYTES: usize = 64 * 1024;
/// Sockets that are handled before the clock is looked at again.
const EVENTS: usize = 256;
/// The longest sleep: a signal must be noticed.
const TURN_MAX: Duration = Duration::from_millis(100);

/// Whoever listens to a fleet.
pub(crate) trait Hear {
    /// A member heard a text frame.
    fn text(&mut self, member: usize, payload: &[u8], at: Instant) -> Result<(), Fault>;

    /// A member's handshake was answered.
    fn opened(&mut self, _member: usize) {}
}

/// Hears nothing.
pub(crate) struct Deaf;

impl Hear for Deaf {
    fn text(&mut self, _: usize, _: &[u8], _: Instant) -> Result<(), Fault> {
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The request waits in `unsent` or is on its way.
    Opening,
    Open,
}

struct Member {
    /// Shared with whoever sends as this member.
    stream: Arc<TcpStream>,
    phase: Phase,
    /// The start of a frame, or of the handshake's answer.
    partial: Vec<u8>,
    unsent: Vec<u8>,
}

/// Connections to one server.
pub(crate) struct Fleet {
    poll: Poll,
    events: Events,
    members: Vec<Member>,
    scratch: Vec<u8>,
    open: usize,
    bytes: u64,
    last_heard: Instant,
}

impl Fleet {
    pub(crate) fn new() -> Result<Self, Fault> {
        Ok(Self {
            poll: Poll::new().map_err(Fault::io("cannot make an epoll"))?,
            events: Events::with_capacity(EVENTS),
            members: Vec::new(),
            scratch: vec![0; READ_BYTES],
            open: 0,
            bytes: 0,
            last_heard: Instant::now(),
        })
    }

    /// Members whose handshake was answered.
    pub(crate) fn open(&self) -> usize {
        self.open
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// Bytes heard, handshakes included.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Starts one more member.
    pub(crate) fn connect(&mut self, address: SocketAddr, request: String) -> Result<(), Fault> {
        let failed = || format!("connecting member {} (see ulimit -n)", self.members.len());
        let mut stream = TcpStream::connect(address).map_err(Fault::io(failed()))?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(&mut stream, Token(self.members.len()), interest)
            .map_err(Fault::io(failed()))?;
        self.members.push(Member {
            stream: Arc::new(stream),
            phase: Phase::Opening,
            partial: Vec::new(),
            unsent: request.into_bytes(),
        });
        Ok(())
    }

    /// The writing half of a member. Whole small frames only: pongs go between them.
    pub(crate) fn writer(&self, member: usize) -> Arc<TcpStream> {
        self.members[member].stream.clone()
    }

    /// Waits for something to be heard, at most so long, and hands it on.
    pub(crate) fn turn(&mut self, wait: Duration, hear: &mut impl Hear) -> Result<(), Fault> {
        interrupt::check()?;
        match self.poll.poll(&mut self.events, Some(wait.min(TURN_MAX))) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            other => other.map_err(Fault::io("epoll"))?,
        }
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        let result = events.iter().try_for_each(|event| {
            let Token(member) = event.token();
            if event.is_writable() && !self.members[member].unsent.is_empty() {
                self.send_rest(member)?;
            }
            if event.is_readable() || event.is_read_closed() || event.is_error() {
                self.read(member, hear)?;
            }
            Ok(())
        });
        self.events = events;
        result
    }

    /// Hears until nothing came for a while.
    pub(crate) fn until_quiet(&mut self, quiet: Duration, hear: &mut impl Hear) -> Result<(), Fault> {
        let start = Instant::now();
        while start.max(self.last_heard).elapsed() < quiet {
            self.turn(quiet, hear)?;
        }
        Ok(())
    }

    fn send_rest(&mut self, member: usize) -> Result<(), Fault> {
        let Member { stream, unsent, .. } = &mut self.members[member];
        match (&**stream).write(unsent) {
            Ok(count) if count == unsent.len() => *unsent = Vec::new(),
            Ok(count) => drop(unsent.drain(..count)),
            Err(error) if is_later(&error) => {}
            Err(error) => return Err(Fault::io(format!("writing as member {member}"))(error)),
        }
        Ok(())
    }

    fn read(&mut self, member: usize, hear: &mut impl Hear) -> Result<(), Fault> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let result = loop {
            match (&*self.members[member].stream).read(&mut scratch) {
                Ok(0) => {
                    break Err(Fault::wrong(format!("the server closed member {member} without a word")));
                }
                Ok(count) => {
                    if let Err(fault) = self.take(member, &scratch[..count], hear) {
                        break Err(fault);
                    }
                    if count < READ_BYTES {
                        break Ok(());
                    }
                }
                Err(error) if is_later(&error) => break Ok(()),
                Err(error) => break Err(Fault::io(format!("reading as member {member}"))(error)),
            }
        };
        self.scratch = scratch;
        result
    }

    fn take(&mut self, member: usize, bytes: &[u8], hear: &mut impl Hear) -> Result<(), Fault> {
        let now = Instant::now();
        self.last_heard = now;
        self.bytes += bytes.len() as u64;
        let partial = &mut self.members[member].partial;
        if partial.is_empty() {
            let used = self.frames(member, bytes, now, hear)?;
            self.members[member].partial.extend_from_slice(&bytes[used..]);
        } else {
            partial.extend_from_slice(bytes);
            let mut whole = std::mem::take(partial);
            let used = self.frames(member, &whole, now, hear)?;
            if used < whole.len() {
                whole.drain(..used);
                self.members[member].partial = whole;
            }
        }
        Ok(())
    }

    /// Handles what is whole; answers how many bytes that was.
    fn frames(
        &mut self,
        member: usize,
        bytes: &[u8],
        at: Instant,
        hear: &mut impl Hear,
    ) -> Result<usize, Fault> {
        let mut used = 0;
        if self.members[member].phase == Phase::Opening {
            let length = handshake::answer_length(bytes)
                .map_err(|answer| Fault::wrong(format!("member {member} was not let in: {answer}")))?;
            let Some(length) = length else { return Ok(0) };
            used = length;
            self.opened(member)?;
            hear.opened(member);
        }
        while let Some(head) = frame::head(&bytes[used..])
            .map_err(|bad| Fault::wrong(format!("member {member} read a frame that is none: {bad}")))?
        {
            let payload = &bytes[used..][head.payload.clone()];
            match head.opcode {
                frame::TEXT => hear.text(member, payload, at)?,
                frame::PING => {
                    let pong = frame::client_frame(frame::PONG, payload);
                    self.members[member].unsent.extend_from_slice(&pong);
                    self.send_rest(member)?;
                }
                frame::CLOSE => {
                    let code = payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code));
                    let text = String::from_utf8_lossy(payload.get(2..).unwrap_or_default());
                    return Err(Fault::wrong(format!(
                        "the server closed member {member} with {code}: {text}"
                    )));
                }
                _ => {}
            }
            used += head.payload.end;
        }
        Ok(used)
    }

    fn opened(&mut self, member: usize) -> Result<(), Fault> {
        let failed = || format!("setting up member {member}");
        let Member { stream, phase, .. } = &mut self.members[member];
        *phase = Phase::Open;
        self.open += 1;
        stream.set_nodelay(true).map_err(Fault::io(failed()))
    }

    /// Ends every connection, as clients do that are just switched off.
    pub(crate) fn close_all(&mut self) {
        for member in self.members.drain(..) {
            // One that is gone already is closed as well.
            member.stream.shutdown(Shutdown::Both).ok();
        }
        self.open = 0;
    }
}

fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected)
}

/// Opens members, few enough at a time, until all handshakes are answered.
pub(crate) fn open_all(
    fleet: &mut Fleet,
    address: SocketAddr,
    requests: impl ExactSizeIterator<Item = String>,
    at_once: usize,
    hear: &mut impl Hear,
    mut progress: impl FnMut(usize),
) -> Result<(), Fault> {
    const OPEN_SECONDS: u64 = 120;
    let (start, wanted) = (Instant::now(), fleet.len() + requests.len());
    let mut requests = requests;
    while fleet.open() < wanted {
        while fleet.len() < fleet.open() + at_once {
            let Some(request) = requests.next() else { break };
            fleet.connect(address, request)?;
        }
        fleet.turn(TURN_MAX, hear)?;
        progress(fleet.open());
        if start.elapsed().as_secs() >= OPEN_SECONDS {
            let state = format!("{} of {wanted} are open", fleet.open());
            return Err(Fault::TooSlow { what: "opening the members", seconds: OPEN_SECONDS, state });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use moim_protocol::{FramePayload, data_image, ping_image};

    use super::*;

    #[derive(Default)]
    struct Notes(Vec<(usize, String)>);

    impl Hear for Notes {
        fn text(&mut self, member: usize, payload: &[u8], _: Instant) -> Result<(), Fault> {
            self.0.push((member, String::from_utf8_lossy(payload).into_owned()));
            Ok(())
        }
    }

    fn connected() -> (Fleet, std::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut fleet = Fleet::new().unwrap();
        fleet.connect(listener.local_addr().unwrap(), "GET / HTTP/1.1\r\n\r\n".into()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        fleet.turn(TURN_MAX, &mut Deaf).unwrap();
        let mut request = [0; 18];
        server.read_exact(&mut request).unwrap();
        (fleet, server)
    }

    fn say(fleet: &mut Fleet, server: &mut std::net::TcpStream, bytes: &[u8], notes: &mut Notes) {
        let before = fleet.bytes();
        server.write_all(bytes).unwrap();
        while fleet.bytes() < before + bytes.len() as u64 {
            fleet.turn(TURN_MAX, notes).unwrap();
        }
    }

    #[test]
    fn frames_are_heard_wherever_the_stream_is_cut() {
        let mut stream = handshake::bare_answer().into_bytes();
        stream.extend_from_slice(&data_image(FramePayload::Text, b"one"));
        stream.extend_from_slice(&data_image(FramePayload::Text, &[b'x'; 300]));
        for cut in 1..stream.len() {
            let (mut fleet, mut server) = connected();
            let mut notes = Notes::default();
            say(&mut fleet, &mut server, &stream[..cut], &mut notes);
            say(&mut fleet, &mut server, &stream[cut..], &mut notes);
            assert_eq!(fleet.open(), 1);
            assert_eq!(notes.0, [(0, "one".to_owned()), (0, "x".repeat(300))], "cut at {cut}");
            assert!(fleet.members[0].partial.is_empty());
        }
    }

    #[test]
    fn a_ping_is_answered_and_a_close_is_a_fault() {
        let (mut fleet, mut server) = connected();
        let mut notes = Notes::default();
        say(&mut fleet, &mut server, handshake::bare_answer().as_bytes(), &mut notes);
        say(&mut fleet, &mut server, &ping_image(), &mut notes);
        let mut pong = [0; 6];
        server.read_exact(&mut pong).unwrap();
        assert_eq!(pong[..2], [0x8A, 0x80]);
        server.write_all(&[0x88, 2, 0x03, 0xF5]).unwrap();
        let fault = (0..50).find_map(|_| fleet.turn(TURN_MAX, &mut notes).err()).unwrap();
        assert!(fault.to_string().contains("with 1013"), "{fault}");
    }

    #[test]
    fn a_refusal_is_a_fault() {
        let (mut fleet, mut server) = connected();
        server.write_all(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").unwrap();
        let fault = (0..50).find_map(|_| fleet.turn(TURN_MAX, &mut Deaf).err()).unwrap();
        assert!(fault.to_string().contains("not let in"), "{fault}");
    }
}
