//! The course of a run: everybody comes in, speaks by the clock and not by the answers, and falls silent.
//! Not here: the scenario (`file`), what members make of it (`crowd`).

use std::time::{Duration, Instant};

use crate::{
    crowd::{Crowd, MarkKind},
    fault::Fault,
    progress,
    random::Random,
};

use super::{
    control::{Control, Order},
    file::{Event, Scenario},
};

/// Handshakes on their way while everybody comes in: a storm is an event, not a beginning.
const AT_ONCE: usize = 128;
pub(super) const JOIN_SECONDS: u64 = 300;
/// After the last notice of a join.
const QUIET: Duration = Duration::from_millis(1500);
const SETTLE_TIMEOUT: Duration = Duration::from_secs(90);
const STEP: Duration = Duration::from_millis(20);

pub(super) struct Course<'a> {
    scenario: &'a Scenario,
    control: &'a Control,
    crowd: &'a mut Crowd,
    random: Random,
    /// Events that have not been, the next one last.
    events: Vec<Event>,
    /// Who is there or was.
    members: usize,
    calm_at: Option<u64>,
    churned: u64,
}

impl<'a> Course<'a> {
    pub(super) fn new(scenario: &'a Scenario, control: &'a Control, crowd: &'a mut Crowd, seed: u64) -> Self {
        let mut events = scenario.event.clone();
        events.sort_by(|a, b| b.at.total_cmp(&a.at));
        let random = Random::new(seed ^ 0x00C0_FFEE);
        Self { scenario, control, crowd, random, events, members: 0, calm_at: None, churned: 0 }
    }

    /// From the first connection to the last answer; how many seconds they spoke, and who is behind in the end.
    pub(super) fn run(mut self) -> Result<(f64, usize), Fault> {
        self.everybody_joins()?;
        self.control.enter("joined");
        while !self.control.may_begin() {
            self.crowd.turn(STEP)?;
        }
        self.crowd.begin();
        self.control.enter("speaking");
        let seconds = self.speak()?;
        self.crowd.fall_silent();
        self.control.enter("settling");
        let behind = self.settle()?;
        Ok((seconds, behind))
    }

    fn everybody_joins(&mut self) -> Result<(), Fault> {
        let wanted = self.scenario.members;
        let (bar, start) = (progress::bar("members join", wanted), Instant::now());
        while self.crowd.present() < wanted {
            while self.members < wanted && self.members < self.crowd.present() + AT_ONCE {
                self.crowd.enter(self.members, self.crowd.now());
                self.members += 1;
            }
            self.crowd.turn(STEP)?;
            bar.set_position(self.crowd.present() as u64);
            if start.elapsed().as_secs() > JOIN_SECONDS {
                let state =
                    format!("{} of {wanted} are in; {:?}", self.crowd.present(), self.crowd.books.ends());
                return Err(Fault::TooSlow { what: "joining", seconds: JOIN_SECONDS, state });
            }
        }
        bar.finish_and_clear();
        let quiet = Instant::now();
        while quiet.elapsed() < QUIET {
            self.crowd.turn(STEP)?;
        }
        Ok(())
    }

    /// Open loop: what is due is said, whatever became of what was said before.
    fn speak(&mut self) -> Result<f64, Fault> {
        let end = self.scenario.seconds.map(|seconds| seconds * 1_000_000);
        let bar = progress::bar("seconds", self.scenario.seconds.unwrap_or(0) as usize);
        let period = 1e6 / f64::from(self.scenario.rate);
        let due_at = |said: u64| (said as f64 * period) as u64;
        let mut said = 0u64;
        loop {
            let now = self.crowd.now();
            if end.is_some_and(|end| now >= end) || self.orders(now) {
                bar.finish_and_clear();
                return Ok(now as f64 / 1e6);
            }
            while due_at(said) <= now {
                self.crowd.say(due_at(said));
                said += 1;
            }
            self.happen(now);
            bar.set_position(now / 1_000_000);
            let next = Duration::from_micros(due_at(said).saturating_sub(self.crowd.now()));
            self.crowd.turn(next.min(STEP))?;
        }
    }

    /// Whether it shall end.
    fn orders(&mut self, now: u64) -> bool {
        while let Some(order) = self.control.next() {
            match order {
                Order::Mark(kind, name) => self.crowd.timeline.mark(now, &name, kind),
                Order::Cut(share, within) => self.each_of(share, |crowd, member| crowd.cut(member, within)),
                Order::End => return true,
            }
        }
        false
    }

    fn happen(&mut self, now: u64) {
        let is_due = |event: &Event| event.at * 1e6 <= now as f64;
        while self.events.last().is_some_and(is_due) {
            if let Some(event) = self.events.pop() {
                self.crowd.timeline.mark(now, &event.name(), MarkKind::Fault);
                self.calm_at = Some(now + (event.lasts_seconds * 1e6) as u64);
                self.make(&event, now);
            }
        }
        if self.calm_at.is_some_and(|at| at <= now) {
            self.calm_at = None;
            self.crowd.timeline.mark(now, "", MarkKind::Calm);
        }
        while self.scenario.churn > 0 && self.churned < now * u64::from(self.scenario.churn) / 1_000_000 {
            // Each was meant to be at its own time, whatever the loop was busy with.
            let meant = self.churned * 1_000_000 / u64::from(self.scenario.churn);
            self.churned += 1;
            if let Some(member) = self.crowd.draw() {
                self.crowd.replace(member, meant);
            }
        }
    }

    fn make(&mut self, event: &Event, now: u64) {
        for _ in 0..event.join.unwrap_or(0) {
            self.crowd.enter(self.members, now);
            self.members += 1;
        }
        let within = Duration::from_secs_f64(event.back_within_seconds);
        self.each_of(event.cut.unwrap_or(0.0), |crowd, member| crowd.cut(member, within));
        self.each_of(event.leave.unwrap_or(0.0), |crowd, member| crowd.leave(member));
    }

    /// Each member is one of that share by chance.
    fn each_of(&mut self, share: f64, what: impl Fn(&mut Crowd, usize)) {
        for member in 0..self.members {
            if (self.random.below(1_000_000) as f64) < share * 1e6 {
                what(self.crowd, member);
            }
        }
    }

    /// Until everything is answered and everybody has seen everything; who has not.
    fn settle(&mut self) -> Result<usize, Fault> {
        let start = Instant::now();
        while start.elapsed() < SETTLE_TIMEOUT {
            // The long way of asking, and a slow reader's way is long.
            if self.crowd.is_answered() && self.crowd.behind() == 0 {
                return Ok(0);
            }
            self.crowd.turn(STEP)?;
        }
        Ok(self.crowd.behind())
    }
}
