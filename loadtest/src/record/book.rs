//! What all members write into: the file of records, and the running figures.
//! Not here: what is worth a record (`member`).

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::{
    checker::{Record, What},
    fault::Fault,
    stats::Delays,
};

use super::{Summary, settle::Settled};

/// Where a run is; also the word in the file `phase`, which a drill waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Joining,
    Speaking,
    /// Still there, nothing new is said.
    Silent,
    /// Nothing new is said; answers are waited for.
    Settling,
    Done,
}

/// Held only for one line or one figure, never over an await.
pub(super) struct Book {
    folder: PathBuf,
    started: Instant,
    file: Mutex<BufWriter<File>>,
    figures: Mutex<Figures>,
}

struct Figures {
    sent: u64,
    acked: u64,
    resent: u64,
    unanswered: u64,
    reconnects: u64,
    errors: BTreeMap<String, u64>,
    live: Delays,
    acks: Delays,
    rooms: Vec<RoomFigures>,
    /// What could not be written, which ends the run's worth.
    fault: Option<std::io::Error>,
}

/// What settling needs to know of a room.
#[derive(Debug, Clone)]
pub(super) struct RoomFigures {
    pub(super) connected: u64,
    pub(super) changed: Instant,
    /// The highest number that anybody was told of.
    pub(super) head: u64,
    pub(super) waiting: u64,
    /// By member: the last number it saw.
    pub(super) cursors: BTreeMap<u32, u64>,
    /// By member: the last count they were told.
    pub(super) counts: BTreeMap<u32, u64>,
}

impl Book {
    pub(super) fn open(folder: &Path, rooms: u32) -> Result<Self, Fault> {
        let path = folder.join("records.jsonl");
        let file = File::create(&path).map_err(Fault::io(format!("cannot write {}", path.display())))?;
        let started = Instant::now();
        let room = RoomFigures {
            connected: 0,
            changed: started,
            head: 0,
            waiting: 0,
            cursors: BTreeMap::new(),
            counts: BTreeMap::new(),
        };
        let figures = Figures {
            sent: 0,
            acked: 0,
            resent: 0,
            unanswered: 0,
            reconnects: 0,
            errors: BTreeMap::new(),
            live: Delays::new(),
            acks: Delays::new(),
            rooms: vec![room; rooms as usize],
            fault: None,
        };
        Ok(Self {
            folder: folder.to_owned(),
            started,
            file: Mutex::new(BufWriter::new(file)),
            figures: Mutex::new(figures),
        })
    }

    /// Microseconds since the run began.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// When the run began, in microseconds since 1970, for those who have another clock than ours.
    fn began(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        u64::try_from(now.as_micros()).unwrap_or(u64::MAX).saturating_sub(self.now())
    }

    pub(super) fn instant(&self, micros: u64) -> Instant {
        self.started + Duration::from_micros(micros)
    }

    pub(super) fn enter(&self, phase: Phase) -> Result<(), Fault> {
        let word = format!("{phase:?}").to_lowercase();
        fs::write(self.folder.join("phase"), word).map_err(Fault::io("cannot write the phase"))
    }

    pub(super) fn write(&self, member: u32, what: What) {
        let record = Record { at: self.now(), member, what };
        let line = serde_json::to_vec(&record).unwrap_or_default();
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = file.write_all(&line).and_then(|()| file.write_all(b"\n"));
        if let Err(error) = outcome {
            self.figures().fault = Some(error);
        }
    }

    fn figures(&self) -> MutexGuard<'_, Figures> {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn room<T>(&self, room: u32, how: impl FnOnce(&mut RoomFigures) -> T) -> T {
        how(&mut self.figures().rooms[room as usize])
    }

    pub(super) fn rooms(&self) -> Vec<RoomFigures> {
        self.figures().rooms.clone()
    }

    pub(super) fn connected(&self) -> usize {
        self.figures().rooms.iter().map(|room| room.connected as usize).sum()
    }

    /// Sent and acknowledged messages.
    pub(super) fn progress(&self) -> (u64, u64) {
        let figures = self.figures();
        (figures.sent, figures.acked)
    }

    pub(super) fn sent(&self, attempt: u32) {
        let mut figures = self.figures();
        if attempt == 1 {
            figures.sent += 1;
        } else {
            figures.resent += 1;
        }
    }

    pub(super) fn acked(&self, after: Duration) {
        let mut figures = self.figures();
        figures.acked += 1;
        figures.acks.record(after);
    }

    pub(super) fn live(&self, after: Duration) {
        self.figures().live.record(after);
    }

    pub(super) fn error(&self, code: &str) {
        *self.figures().errors.entry(code.to_owned()).or_default() += 1;
    }

    pub(super) fn lost(&self) {
        self.figures().reconnects += 1;
    }

    pub(super) fn unanswered(&self) {
        self.figures().unanswered += 1;
    }

    /// Everything is on disk; the figures as they ended.
    pub(super) fn close(&self, settled: Settled) -> Result<Summary, Fault> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.flush().map_err(Fault::io("cannot write records"))?;
        let mut figures = self.figures();
        if let Some(error) = figures.fault.take() {
            return Err(Fault::Io { what: "cannot write records".into(), error });
        }
        Ok(Summary {
            began_unix_micros: self.began(),
            seconds: self.started.elapsed().as_secs_f64(),
            sent: figures.sent,
            acked: figures.acked,
            resent: figures.resent,
            unanswered: figures.unanswered,
            reconnects: figures.reconnects,
            errors: std::mem::take(&mut figures.errors),
            live_ms: figures.live.percentiles(),
            ack_ms: figures.acks.percentiles(),
            settle_seconds: settled.took.as_secs_f64(),
        })
    }
}
