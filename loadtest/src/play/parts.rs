//! A scenario with more members than one process has files for: processes with rooms of their own, who begin in the same moment and are
//! given the same orders.
//! Not here: what one of them does (`play::one`), what they found together (`found`).

use std::{
    io::{BufRead, BufReader, Write},
    process::{ChildStdin, ChildStdout},
    sync::mpsc::{Receiver, TryRecvError, sync_channel},
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::{fault::Fault, interrupt, own::Own, progress};

use super::{
    Place,
    control::{BEGIN, Control},
    course::JOIN_SECONDS,
    file::Scenario,
    found::Found,
    one,
};

const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Longer than a process waits, which says why.
const JOIN_TIMEOUT: Duration = Duration::from_secs(JOIN_SECONDS + 30);
/// What it says of itself waits so long to be read, in lines.
const LINES_MAX: usize = 16;

/// Plays a part of a scenario that is told it line by line: the part, when to begin, and orders.
#[derive(Debug, Args)]
pub(crate) struct PartArgs {
    #[command(flatten)]
    place: Place,
    #[arg(long)]
    room_prefix: String,
}

/// What a part tells, a line of JSON each.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Told {
    Phase(String),
    Found(Box<Found>),
}

/// Such a process, from inside.
pub(crate) fn run(args: &PartArgs, seed: u64) -> Result<(), Fault> {
    interrupt::listen()?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(Fault::io("cannot read the part"))?;
    let scenario: Scenario =
        serde_json::from_str(&line).map_err(|error| Fault::Usage(format!("this is no part: {error}")))?;
    let control = Control::of_part(|phase| tell(&Told::Phase(phase.to_owned())).unwrap_or_default());
    let found = one(&scenario, &args.place, &args.room_prefix, &control, seed)?;
    tell(&Told::Found(Box::new(found))).map_err(Fault::io("cannot tell what was found"))
}

fn tell(told: &Told) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    serde_json::to_writer(&mut stdout, told)?;
    stdout.write_all(b"\n")?;
    stdout.flush()
}

/// All of them, from outside.
pub(super) fn play(
    parts: &[Scenario],
    place: &Place,
    room_prefix: &str,
    control: &Control,
    seed: u64,
) -> Result<Found, Fault> {
    let started = parts.iter().zip(0..).map(|(part, nth)| {
        // A seed for each, or the first sender of each would say the same at the same time.
        Part::start(part, place, &format!("{room_prefix}-{nth}"), seed ^ (nth << 32))
    });
    let mut running = started.collect::<Result<Vec<_>, _>>()?;
    wait_until(&mut running, "processes joined", "joined", Some(JOIN_TIMEOUT))?;
    running.iter_mut().try_for_each(|part| part.order(BEGIN))?;
    control.enter("speaking");
    let bar = progress::bar("processes that speak", running.len());
    while running.iter().any(|part| part.phase == "speaking" || part.phase == "joined") {
        while let Some(order) = control.next() {
            running.iter_mut().try_for_each(|part| part.order(&order.to_string()))?;
        }
        look(&mut running)?;
        bar.set_position(running.iter().filter(|part| part.phase == "speaking").count() as u64);
    }
    bar.finish_and_clear();
    control.enter("settling");
    wait_until(&mut running, "processes done", "done", None)?;
    let mut all = running.iter_mut().filter_map(|part| part.found.take());
    let mut sum = *all.next().ok_or_else(|| Fault::wrong("there were no parts"))?;
    all.for_each(|found| sum.add(*found));
    Ok(sum)
}

fn wait_until(
    running: &mut [Part],
    what: &'static str,
    phase: &str,
    patience: Option<Duration>,
) -> Result<(), Fault> {
    let (bar, start) = (progress::bar(what, running.len()), Instant::now());
    loop {
        let there = running.iter().filter(|part| part.phase == phase).count();
        bar.set_position(there as u64);
        if there == running.len() {
            bar.finish_and_clear();
            return Ok(());
        }
        if patience.is_some_and(|patience| start.elapsed() > patience) {
            let state = format!("{there} of {}", running.len());
            return Err(Fault::TooSlow { what, seconds: start.elapsed().as_secs(), state });
        }
        look(running)?;
    }
}

fn look(running: &mut [Part]) -> Result<(), Fault> {
    interrupt::check()?;
    thread::sleep(LOOK_EVERY);
    running.iter_mut().try_for_each(Part::look)
}

/// One of them, from outside; killed with this value.
struct Part {
    _own: Own,
    /// Its end is the process's.
    orders: ChildStdin,
    told: Receiver<Told>,
    phase: String,
    found: Option<Box<Found>>,
}

impl Part {
    fn start(scenario: &Scenario, place: &Place, room_prefix: &str, seed: u64) -> Result<Self, Fault> {
        let seed = seed.to_string();
        let words = ["part", "--room-prefix", room_prefix, "--seed", &seed].map(str::to_owned);
        let (own, orders, stdout) = Own::start(&[&words[..], &place.words()].concat())?;
        let (heard, told) = sync_channel(LINES_MAX);
        thread::spawn(move || {
            for one in lines(stdout) {
                if heard.send(one).is_err() {
                    return;
                }
            }
        });
        let mut part = Self { _own: own, orders, told, phase: "joining".into(), found: None };
        let text = serde_json::to_string(scenario)
            .map_err(|error| Fault::Usage(format!("the scenario cannot be told: {error}")))?;
        part.order(&text)?;
        Ok(part)
    }

    fn order(&mut self, line: &str) -> Result<(), Fault> {
        writeln!(self.orders, "{line}").map_err(Fault::io("a process of members does not listen"))
    }

    fn look(&mut self) -> Result<(), Fault> {
        loop {
            match self.told.try_recv() {
                Ok(Told::Phase(phase)) => self.phase = phase,
                Ok(Told::Found(found)) => {
                    self.found = Some(found);
                    self.phase = "done".into();
                }
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Disconnected) if self.found.is_some() => return Ok(()),
                Err(TryRecvError::Disconnected) => {
                    return Err(Fault::wrong("a process of members ended without a result, see above"));
                }
            }
        }
    }
}

/// What cannot be read was not said: then it ends here.
fn lines(stdout: ChildStdout) -> impl Iterator<Item = Told> {
    BufReader::new(stdout).lines().map_while(|line| serde_json::from_str(&line.ok()?).ok())
}
