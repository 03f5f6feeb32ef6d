//! Lines that are piped in: read, sent, acknowledged.
//! Not here: the acknowledging (`client`, `outbox`).

use std::{
    io::{self, BufRead, Read, Write},
    thread,
};

use moim_protocol::{HeardFrame, limits};
use tokio::sync::mpsc;

use crate::{
    clean,
    conversation::Told,
    front::{Asked, Front, Status},
    outbox::{Fate, Own, Settled},
};

/// Lines read ahead. Full: the pipe is not read on, and whoever writes it waits.
const READ_AHEAD_MAX: usize = 16;

/// See the top of the file.
#[derive(Debug)]
pub(crate) struct Pipe {
    lines: mpsc::Receiver<io::Result<String>>,
    json: bool,
    gathered: String,
}

impl Pipe {
    /// Reads stdin on a thread of its own, which ends with the process: a read cannot be called off.
    pub(crate) fn of_stdin(json: bool) -> Self {
        let (hand_over, lines) = mpsc::channel(READ_AHEAD_MAX);
        thread::spawn(move || {
            let mut input = io::stdin().lock();
            while let Some(line) = line_of(&mut input).transpose() {
                let is_last = line.is_err();
                if hand_over.blocking_send(line).is_err() || is_last {
                    break;
                }
            }
        });
        Self { lines, json, gathered: String::new() }
    }
}

/// The next line that is not empty.
fn line_of(input: &mut impl BufRead) -> io::Result<Option<String>> {
    loop {
        let (mut line, most) = (Vec::new(), limits::MESSAGE_BYTES_MAX as u64);
        if input.by_ref().take(most + 1).read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        if line.len() as u64 > most {
            return Err(io::Error::other(format!("a line is longer than {most} bytes")));
        }
        let line = String::from_utf8(line).map_err(|_| io::Error::other("a line is not UTF-8"))?;
        let line = line.trim_end_matches(['\r', '\n']);
        if !line.is_empty() {
            return Ok(Some(line.to_owned()));
        }
    }
}

impl Front for Pipe {
    const SHOWS: bool = false;

    async fn next(&mut self) -> Asked {
        match self.lines.recv().await {
            Some(Ok(line)) => Asked::Say(line),
            Some(Err(error)) => Asked::Failed(error),
            None => Asked::End,
        }
    }

    fn told(&mut self, _told: Told, _is_own: bool) {}

    fn settled(&mut self, settled: &Settled) {
        let Settled { client_id, fate: Fate::Acked(level), place, .. } = settled else { return };
        if self.json {
            let (client_id, level) = (client_id.clone(), *level);
            let (epoch, seq) = place.clone().unwrap_or_default();
            let ack = HeardFrame::Ack { client_id, seq, epoch, level };
            self.gathered.push_str(&clean::json(&ack.to_json()));
            self.gathered.push('\n');
        }
    }

    fn note(&mut self, _words: &str) {}

    fn full(&mut self, _content: String) {}

    fn draw<'a>(&mut self, _: &Status, _: impl ExactSizeIterator<Item = &'a Own>) -> io::Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        out.write_all(std::mem::take(&mut self.gathered).as_bytes())?;
        out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::{limits, line_of};

    #[test]
    fn lines_are_read_whole_and_empty_ones_left_out() {
        let mut input = "안녕\r\n\n  b\nlast".as_bytes();
        let mut next = || line_of(&mut input).unwrap();
        assert_eq!(next().as_deref(), Some("안녕"));
        assert_eq!(next().as_deref(), Some("  b"));
        assert_eq!(next().as_deref(), Some("last"));
        assert_eq!(next(), None);
    }

    #[test]
    fn what_no_message_can_be_is_told() {
        assert!(line_of(&mut &b"\xff\n"[..]).unwrap_err().to_string().contains("UTF-8"));
        let long = vec![b'a'; limits::MESSAGE_BYTES_MAX + 1];
        assert!(line_of(&mut &long[..]).unwrap_err().to_string().contains("longer"));
    }
}
