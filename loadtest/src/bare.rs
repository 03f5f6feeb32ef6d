//! The bare loop: one thread, one epoll, and each message copied to every socket as one prebuilt frame; the least that
//! fan-out can cost.
//! Not here: rooms, storage, heartbeats, slow readers, or anything else that a chat server is for.

use std::{
    io::{self, Read, Write},
    process::ExitCode,
};

use bytes::Bytes;
use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};
use moim_protocol::{FramePayload, data_image};

use crate::{frame, handshake};

const LISTENER: Token = Token(usize::MAX);
const EVENTS: usize = 256;
const READ_BYTES: usize = 64 * 1024;
const CONNECTIONS_MAX: usize = 20_000;

struct Member {
    stream: TcpStream,
    open: bool,
    partial: Vec<u8>,
}

struct Loop {
    poll: Poll,
    listener: TcpListener,
    members: Vec<Option<Member>>,
    scratch: Vec<u8>,
}

/// The program `moim-bare-epoll`: listens on a free loopback port, says where, and runs until it is killed.
#[must_use]
pub fn run() -> ExitCode {
    let Err(error) = Loop::start().and_then(|mut bare| bare.run());
    eprintln!("moim-bare-epoll: {error}");
    ExitCode::FAILURE
}

impl Loop {
    fn start() -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut listener = TcpListener::bind("127.0.0.1:0".parse().map_err(io::Error::other)?)?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        println!("ws://{}/", listener.local_addr()?);
        Ok(Self { poll, listener, members: Vec::new(), scratch: vec![0; READ_BYTES] })
    }

    fn run(&mut self) -> io::Result<std::convert::Infallible> {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept()?,
                    Token(number) => self.read(number)?,
                }
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let (mut stream, _) = match self.listener.accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            if self.members.len() >= CONNECTIONS_MAX {
                continue;
            }
            stream.set_nodelay(true)?;
            self.poll.registry().register(&mut stream, Token(self.members.len()), Interest::READABLE)?;
            self.members.push(Some(Member { stream, open: false, partial: Vec::new() }));
        }
    }

    fn read(&mut self, number: usize) -> io::Result<()> {
        let mut said = Vec::new();
        loop {
            let Some(member) = &mut self.members[number] else { return Ok(()) };
            match member.stream.read(&mut self.scratch) {
                Ok(count @ 1..) => {
                    member.partial.extend_from_slice(&self.scratch[..count]);
                    member.frames(&mut said)?;
                    if count < READ_BYTES {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Ok(_) | Err(_) => {
                    self.members[number] = None;
                    break;
                }
            }
        }
        for payload in said {
            self.say(&data_image(FramePayload::Text, &payload))?;
        }
        Ok(())
    }

    fn say(&mut self, image: &Bytes) -> io::Result<()> {
        for slot in &mut self.members {
            let Some(member) = slot.as_mut().filter(|member| member.open) else { continue };
            match member.stream.write(image) {
                Ok(count) if count == image.len() => {}
                // It keeps no queue, and a drill in which it would need one is no measure of copying.
                Ok(_) => return Err(io::Error::other("a reader fell behind")),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(io::Error::other("a reader fell behind"));
                }
                Err(_) => *slot = None,
            }
        }
        Ok(())
    }
}

impl Member {
    /// Takes what is whole off the bytes that wait.
    fn frames(&mut self, said: &mut Vec<Vec<u8>>) -> io::Result<()> {
        if !self.open {
            let Some(end) = self.partial.windows(4).position(|four| four == b"\r\n\r\n") else {
                return Ok(());
            };
            self.partial.drain(..end + 4);
            self.stream.write_all(handshake::bare_answer().as_bytes())?;
            self.open = true;
        }
        while let Some(head) = frame::head(&self.partial).map_err(io::Error::other)? {
            let mut payload = self.partial[head.payload.clone()].to_vec();
            if let Some(mask) = head.mask {
                frame::unmask(&mut payload, mask);
            }
            self.partial.drain(..head.payload.end);
            if head.opcode == frame::TEXT {
                said.push(payload);
            }
        }
        Ok(())
    }
}
