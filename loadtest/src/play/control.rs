//! Orders to a run from outside, a line each: a mark in its figures, its end, and where it is.
//! Not here: what is done to the cluster meanwhile (`cargo xtask drill`), processes that play together (`parts`).

use std::{
    fmt,
    io::{self, BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use crate::{crowd::MarkKind, fault::Fault, interrupt};

const HELP: &str = "mark calm|fault|settling|event NAME, cut SHARE SECONDS, end, phase";
/// What a part of a run is told when all others are there as well.
pub(super) const BEGIN: &str = "begin";
/// Full: whoever orders waits; the run takes orders many times a second.
const ORDERS_MAX: usize = 16;
/// One who connects and says nothing keeps nobody from ordering for longer.
const LINE_TIMEOUT: Duration = Duration::from_secs(5);

/// What a run can be told.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Order {
    Mark(MarkKind, String),
    /// That share of connections breaks; they come back within that time.
    Cut(f64, Duration),
    End,
}

impl fmt::Display for Order {
    /// As it is given.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mark(kind, name) => write!(f, "mark {} {name}", kind.word()),
            Self::Cut(share, within) => write!(f, "cut {share} {}", within.as_secs_f64()),
            Self::End => f.write_str("end"),
        }
    }
}

/// The run's side of it.
pub(super) struct Control {
    orders: Option<Receiver<Order>>,
    phase: Arc<Mutex<&'static str>>,
    may_begin: Arc<AtomicBool>,
    tell: fn(&'static str),
}

impl Control {
    /// Listens there, if anywhere.
    pub(super) fn open(address: Option<SocketAddr>) -> Result<Self, Fault> {
        let phase = Arc::new(Mutex::new("joining"));
        let may_begin = Arc::new(AtomicBool::new(true));
        let Some(address) = address else {
            return Ok(Self { orders: None, phase, may_begin, tell: |_| {} });
        };
        let listener =
            TcpListener::bind(address).map_err(Fault::io(format!("cannot listen on {address}")))?;
        let (orders, taken) = sync_channel(ORDERS_MAX);
        let shown = phase.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Whoever does not wait for the answer does not get one.
                answer(stream, &orders, &shown).ok();
            }
        });
        Ok(Self { orders: Some(taken), phase, may_begin, tell: |_| {} })
    }

    /// Of a part of a run: it is ordered by its stdin, ends with it, and tells each phase.
    pub(super) fn of_part(tell: fn(&'static str)) -> Self {
        let phase = Arc::new(Mutex::new("joining"));
        let may_begin = Arc::new(AtomicBool::new(false));
        let (orders, taken) = sync_channel(ORDERS_MAX);
        let begins = may_begin.clone();
        thread::spawn(move || {
            for line in io::stdin().lines().map_while(Result::ok) {
                if line == BEGIN {
                    begins.store(true, Ordering::Release);
                } else if let Some(order) = parse(&line)
                    && orders.send(order).is_err()
                {
                    return;
                }
            }
            interrupt::now();
        });
        Self { orders: Some(taken), phase, may_begin, tell }
    }

    pub(super) fn enter(&self, phase: &'static str) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
        (self.tell)(phase);
    }

    /// Everybody is there who takes part, here and elsewhere.
    pub(super) fn may_begin(&self) -> bool {
        self.may_begin.load(Ordering::Acquire)
    }

    pub(super) fn next(&self) -> Option<Order> {
        self.orders.as_ref()?.try_recv().ok()
    }
}

fn answer(stream: TcpStream, orders: &SyncSender<Order>, phase: &Mutex<&'static str>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(LINE_TIMEOUT))?;
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line)?;
    let line = line.trim();
    if line == "phase" {
        let phase = *phase.lock().unwrap_or_else(PoisonError::into_inner);
        return writeln!(&stream, "{phase}");
    }
    match parse(line).map(|order| orders.send(order)) {
        Some(Ok(())) => writeln!(&stream, "ok"),
        Some(Err(_)) => writeln!(&stream, "it is over"),
        None => writeln!(&stream, "not understood: {line}; {HELP}"),
    }
}

fn parse(line: &str) -> Option<Order> {
    match line.split_once(' ') {
        None if line == "end" => Some(Order::End),
        Some(("mark", rest)) => {
            let (kind, name) = rest.split_once(' ')?;
            Some(Order::Mark(MarkKind::of(kind)?, name.to_owned()))
        }
        Some(("cut", rest)) => {
            let (share, seconds) = rest.split_once(' ')?;
            let share = share.parse().ok().filter(|share| (0.0..=1.0).contains(share))?;
            Some(Order::Cut(share, Duration::try_from_secs_f64(seconds.parse().ok()?).ok()?))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn orders_are_understood_or_refused() {
        let slow = Order::Mark(MarkKind::Fault, "slow store".into());
        assert_eq!(parse("mark fault slow store"), Some(slow));
        assert_eq!(parse("end"), Some(Order::End));
        for given in ["mark settling slow store", "cut 0.25 1.5", "end"] {
            assert_eq!(parse(given).unwrap().to_string(), given, "as it is passed on");
        }
        assert_eq!(parse("cut 0.5 2"), Some(Order::Cut(0.5, Duration::from_secs(2))));
        for wrong in [
            "cut 0.5",
            "cut 2 1",
            "cut NaN 1",
            "cut 1 -1",
            "",
            "mark",
            "mark fault",
            "mark nothing x",
            "ending",
            "phase now",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_run_is_told_and_tells_where_it_is() {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap();
        let control = Control::open(Some(free)).unwrap();
        let tell = |line: &str| {
            let mut stream = TcpStream::connect(free).unwrap();
            stream.write_all(line.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        };
        assert_eq!(tell("phase\n"), "joining\n");
        control.enter("speaking");
        assert_eq!(tell("phase\n"), "speaking\n");
        assert_eq!((tell("end\n"), control.next(), control.next()), ("ok\n".into(), Some(Order::End), None));
        assert!(tell("sing\n").starts_with("not understood"));
    }
}
