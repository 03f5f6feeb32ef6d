//! One window of steady sends to one program, measured and verified.
//! Not here: the order of windows, the figures over all of them (`fanout`).

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use mio::net::TcpStream;
use moim_protocol::Profile;

use crate::{
    fault::Fault,
    fleet::{Deaf, Fleet, Hear, open_all},
    frame, handshake,
    ledger::{Ledger, Script, content_of},
    process::Cpu,
    server::Server,
    stats::Delays,
};

const ROOM: &str = "fanout";
const AT_ONCE: usize = 64;
const SENDER: usize = 0;
const ERROR: &[u8] = b"{\"type\":\"error\"";
/// From the start of a window to its first send.
const LEAD: Duration = Duration::from_millis(50);
/// After the last send everything must be heard within it. Long, for machines that do other things as well: what is late is
/// seen in the delays, and only what never comes is a fault.
const TAIL: Duration = Duration::from_secs(120);
/// The joins' notices are merged by the second: after two of them all is told.
const QUIET: Duration = Duration::from_secs(2);

/// Which program it is, and so what it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Moim,
    Bare,
}

impl Target {
    /// The sender's frame. The bare loop has no idea of messages: it is sent what all shall get, of the same shape and
    /// size as moim's.
    fn frame(self, line: &str, index: u32) -> Vec<u8> {
        let json = match self {
            Self::Moim => format!(r#"{{"type":"message","content":"{line}"}}"#),
            Self::Bare => format!(
                r#"{{"type":"message","room":"{ROOM}","username":"m{SENDER}","content":"{line}","timestamp":"2026-01-01T00:00:00.000Z","seq":{},"prev":{index},"id":"01a20738bdcd7075938f84b54ded79f1","epoch":"356ec742aeb01a7e"}}"#,
                index + 1
            ),
        };
        frame::client_frame(frame::TEXT, json.as_bytes())
    }
}

/// What one window showed.
#[derive(Debug, Clone, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Window {
    deliveries: u64,
    server_cpu_nanos: u64,
    client_cpu_nanos: u64,
    wire_bytes: u64,
    latest_send_micros: u64,
}

impl Window {
    pub(super) fn micros_per_delivery(&self) -> f64 {
        self.server_cpu_nanos as f64 / 1000.0 / self.deliveries as f64
    }

    pub(super) fn bytes_per_delivery(&self) -> f64 {
        self.wire_bytes as f64 / self.deliveries as f64
    }
}

/// A program with its members.
pub(super) struct Side {
    server: Server,
    target: Target,
    fleet: Fleet,
    ledger: Ledger,
    script: Script,
}

impl Side {
    pub(super) fn open(
        server: Server,
        target: Target,
        members: usize,
        profile: Profile,
        script: Script,
    ) -> Result<Self, Fault> {
        let mut fleet = Fleet::new()?;
        let requests = (0..members)
            .map(|member| handshake::request(server.public, ROOM, &format!("m{member}"), profile));
        open_all(&mut fleet, server.public, requests, AT_ONCE, &mut Deaf, |_| {})?;
        fleet.until_quiet(QUIET, &mut Deaf)?;
        Ok(Self { server, target, fleet, ledger: Ledger::new(members), script })
    }

    /// Sends at the rate for so long, and hears until every member has everything.
    pub(super) fn window(
        &mut self,
        rate: u32,
        time: Duration,
        delays: &mut Delays,
        other: &mut Self,
    ) -> Result<Window, Fault> {
        // The other side's pings came while nobody listened.
        other.fleet.turn(Duration::ZERO, &mut Deaf)?;
        self.fleet.until_quiet(Duration::from_millis(300), &mut Deaf)?;
        let count = (time.as_secs_f64() * f64::from(rate)).round() as u32;
        let said = self.ledger.say(self.script, count);
        let frames = said.clone().map(|index| self.target.frame(self.ledger.line(index), index)).collect();
        let (server_before, client_before) = (Cpu::of(self.server.pid())?, Cpu::of(std::process::id())?);
        let (heard, bytes) = (self.ledger.heard(), self.fleet.bytes());
        let pace = Pace { start: Instant::now() + LEAD, period: Duration::from_secs(1) / rate };
        let sender = Sender::start(self.fleet.writer(SENDER), frames, pace);
        let mut listener = Listener { ledger: &mut self.ledger, delays, pace, first: said.start };
        let give_up = pace.start + time + TAIL;
        while !listener.ledger.is_complete() {
            self.fleet.turn(Duration::from_millis(50), &mut listener)?;
            other.fleet.turn(Duration::ZERO, &mut Deaf)?;
            if Instant::now() > give_up {
                let (what, seconds) = ("hearing everything", (time + TAIL).as_secs());
                let state = format!("{:?}: {}", self.target, listener.ledger.missing());
                return Err(Fault::TooSlow { what, seconds, state });
            }
        }
        let server_cpu_nanos = Cpu::of(self.server.pid())?.since(&server_before);
        let client_cpu_nanos = Cpu::of(std::process::id())?.since(&client_before);
        Ok(Window {
            deliveries: self.ledger.heard() - heard,
            server_cpu_nanos,
            client_cpu_nanos,
            wire_bytes: self.fleet.bytes() - bytes,
            latest_send_micros: sender.finish()?,
        })
    }
}

/// When each message is meant to be sent, whatever became of the ones before: an open loop.
#[derive(Debug, Clone, Copy)]
struct Pace {
    start: Instant,
    period: Duration,
}

impl Pace {
    fn of(self, nth: u32) -> Instant {
        self.start + self.period * nth
    }
}

struct Listener<'a> {
    ledger: &'a mut Ledger,
    delays: &'a mut Delays,
    pace: Pace,
    first: u32,
}

impl Hear for Listener<'_> {
    fn text(&mut self, member: usize, payload: &[u8], at: Instant) -> Result<(), Fault> {
        if payload.starts_with(ERROR) {
            let text = String::from_utf8_lossy(payload);
            return Err(Fault::wrong(format!("member {member} was told {text}")));
        }
        if let Some(content) = content_of(payload) {
            let index = self.ledger.hear(member, content)?;
            self.delays.record(at.saturating_duration_since(self.pace.of(index - self.first)));
        }
        Ok(())
    }
}

/// A thread of its own: a reader that is busy must not hold up sends.
struct Sender {
    thread: Option<thread::JoinHandle<io::Result<()>>>,
    stop: Arc<AtomicBool>,
    latest_micros: Arc<AtomicU64>,
}

impl Sender {
    fn start(stream: Arc<TcpStream>, frames: Vec<Vec<u8>>, pace: Pace) -> Self {
        let (stop, latest_micros) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, latest) = (stop.clone(), latest_micros.clone());
        let thread = thread::spawn(move || {
            for (nth, frame) in (0u32..).zip(&frames) {
                let due = pace.of(nth);
                thread::sleep(due.saturating_duration_since(Instant::now()));
                if stopped.load(Ordering::Relaxed) {
                    return Ok(());
                }
                send(&stream, frame, &stopped)?;
                latest.fetch_max(due.elapsed().as_micros() as u64, Ordering::Relaxed);
            }
            Ok(())
        });
        Self { thread: Some(thread), stop, latest_micros }
    }

    /// How late the latest send was.
    fn finish(mut self) -> Result<u64, Fault> {
        if let Some(thread) = self.thread.take() {
            let result = thread.join().map_err(|_| Fault::wrong("the sender panicked"))?;
            result.map_err(Fault::io("sending"))?;
        }
        Ok(self.latest_micros.load(Ordering::Relaxed))
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Writes a whole frame, waiting while the server does not read.
fn send(mut stream: &TcpStream, mut frame: &[u8], stopped: &AtomicBool) -> io::Result<()> {
    while !frame.is_empty() && !stopped.load(Ordering::Relaxed) {
        match stream.write(frame) {
            Ok(count) => frame = &frame[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                thread::sleep(Duration::from_millis(1))
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bare_frame_is_what_moim_would_send() {
        let index = 6;
        let mut frame = Target::Bare.frame("abc", index);
        let head = frame::head(&frame).unwrap().unwrap();
        frame::unmask(&mut frame[head.payload.clone()], head.mask.unwrap());
        let payload = &frame[head.payload];
        assert_eq!(content_of(payload), Some(&b"abc"[..]));
        let value: serde_json::Value = serde_json::from_slice(payload).unwrap();
        assert_eq!((&value["seq"], &value["prev"]), (&7.into(), &6.into()));
    }

    #[test]
    fn a_pace_does_not_wait_for_anyone() {
        let pace = Pace { start: Instant::now(), period: Duration::from_millis(50) };
        assert_eq!(pace.of(20), pace.start + Duration::from_secs(1));
    }

    #[test]
    fn cost_is_by_delivery() {
        let window = Window {
            deliveries: 1000,
            server_cpu_nanos: 8_200_000,
            client_cpu_nanos: 0,
            wire_bytes: 300_000,
            latest_send_micros: 0,
        };
        assert!((window.micros_per_delivery() - 8.2).abs() < 1e-9);
        assert!((window.bytes_per_delivery() - 300.0).abs() < 1e-9);
    }
}
