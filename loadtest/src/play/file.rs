//! A scenario as a file: who is there, what they say, and what happens to them when.
//! Not here: making it happen (`course`).

use std::{fs, path::Path};

use serde::{Deserialize, Serialize};

use crate::fault::Fault;

/// Of one process: as many as it can have open files, with some left.
const MEMBERS_OF_ONE: usize = 18_000;
pub(super) const PROCESSES_MAX: usize = 16;
const MEMBERS_MAX: usize = PROCESSES_MAX * MEMBERS_OF_ONE;
const RATE_MAX: u32 = 20_000;
const SECONDS_MAX: u64 = 24 * 3600;
const BYTES_MIN: usize = 32;
const BYTES_MAX: usize = 64 * 1024;

/// Everything about a run but its seed and its server.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scenario {
    /// What it shows, in a sentence.
    pub(super) about: String,
    #[serde(default)]
    pub(super) about_ko: String,
    /// How long they speak. Not set: until they are told to end.
    pub(super) seconds: Option<u64>,
    /// Who is there from the beginning.
    pub(super) members: usize,
    /// How many of all members, the last ones, are of the plain profile.
    #[serde(default)]
    pub(super) plain: usize,
    pub(super) rooms: usize,
    /// Messages a second, all rooms together, whatever the answers.
    pub(super) rate: u32,
    #[serde(default = "bytes")]
    pub(super) bytes: usize,
    /// How many leave each second, each with somebody new in their place at once.
    #[serde(default)]
    pub(super) churn: u32,
    pub(super) slow: Option<Slow>,
    #[serde(default)]
    pub(super) event: Vec<Event>,
}

/// Members who read slowly.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Slow {
    pub(super) members: usize,
    pub(super) bytes_per_second: u32,
}

/// What happens at a time: one of the three.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Event {
    /// Seconds after they began to speak.
    pub(super) at: f64,
    /// So many more come in at once.
    pub(super) join: Option<usize>,
    /// This share of all connections breaks at once.
    pub(super) cut: Option<f64>,
    /// Those come back within so long, each at a time drawn.
    #[serde(default = "back_within")]
    pub(super) back_within_seconds: f64,
    /// This share of the members leaves at once, for good.
    pub(super) leave: Option<f64>,
    /// How long its stretch of the figures is.
    #[serde(default = "lasts")]
    pub(super) lasts_seconds: f64,
}

fn bytes() -> usize {
    128
}

fn back_within() -> f64 {
    1.0
}

fn lasts() -> f64 {
    5.0
}

impl Scenario {
    pub(super) fn read(path: &Path) -> Result<Self, Fault> {
        let text = fs::read_to_string(path).map_err(Fault::io(format!("cannot read {}", path.display())))?;
        toml::from_str(&text).map_err(|error| Fault::Usage(format!("{}: {error}", path.display())))
    }

    /// All members there can ever be.
    pub(super) fn members_in_all(&self) -> usize {
        self.members + self.event.iter().filter_map(|event| event.join).sum::<usize>()
    }

    /// Processes, so that none has more members than files.
    pub(super) fn processes(&self) -> usize {
        self.members_in_all().div_ceil(MEMBERS_OF_ONE).max(1)
    }

    /// What each of so many processes plays. A room is in one of them, which then sees all of it.
    pub(super) fn parts(&self, processes: usize) -> Vec<Self> {
        let parts = processes.max(1);
        (0..parts).map(|nth| self.part(nth, parts)).collect()
    }

    fn part(&self, nth: usize, of: usize) -> Self {
        let share = |all: usize| all * (nth + 1) / of - all * nth / of;
        let small = |all: u32| share(all as usize) as u32;
        Self {
            members: share(self.members),
            plain: share(self.plain),
            rooms: share(self.rooms),
            rate: small(self.rate),
            churn: small(self.churn),
            slow: self.slow.as_ref().map(|slow| Slow { members: share(slow.members), ..slow.clone() }),
            event: self
                .event
                .iter()
                .map(|event| Event { join: event.join.map(share), ..event.clone() })
                .collect(),
            ..self.clone()
        }
    }

    /// All that is wrong with it, or with the part of one process.
    pub(super) fn faults(&self, processes: usize) -> Vec<String> {
        let faults = self.own_faults();
        if !faults.is_empty() || processes <= 1 {
            return faults;
        }
        let parts = self.parts(processes);
        let of_part = |(part, nth): (&Self, usize)| {
            let told = part.own_faults().into_iter();
            told.map(move |fault| format!("of process {nth}, which has a share of all: {fault}"))
        };
        parts.iter().zip(1..).flat_map(of_part).collect()
    }

    fn own_faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut demand = |holds: bool, what: &str| {
            if !holds {
                faults.push(what.to_owned());
            }
        };
        let (all, slow) = (self.members_in_all(), self.slow.as_ref().map_or(0, |slow| slow.members));
        demand(self.members > 0 && all <= MEMBERS_MAX, "members, with those who join: 1 to 288000");
        demand((1..=self.members).contains(&self.rooms), "rooms: 1 to as many as members");
        demand((1..=RATE_MAX).contains(&self.rate), "rate: 1 to 20000");
        demand((BYTES_MIN..=BYTES_MAX).contains(&self.bytes), "bytes: 32 to 65536");
        demand(self.seconds.is_none_or(|it| (1..=SECONDS_MAX).contains(&it)), "seconds: 1 to 86400");
        // The first of each room speaks, and speakers are of the v1 profile.
        demand(
            self.plain + slow + self.rooms <= all,
            "plain and slow: a member of each room must be neither",
        );
        demand(self.churn as usize <= self.members, "churn: at most as many as members");
        for event in &self.event {
            let Event { at, join, cut, back_within_seconds, leave, lasts_seconds } = event;
            let kinds = [join.is_some(), cut.is_some(), leave.is_some()];
            let is_one = kinds.iter().filter(|kind| **kind).count() == 1;
            demand(is_one, "event: one of join, cut and leave");
            let is_share = |share: &Option<f64>| share.is_none_or(|share| (0.0..=1.0).contains(&share));
            demand(is_share(cut) && is_share(leave), "event: cut and leave are shares, 0.0 to 1.0");
            let times = [at, back_within_seconds, lasts_seconds];
            let are_times = times.iter().all(|time| (0.0..=SECONDS_MAX as f64).contains(*time));
            demand(are_times, "event: times are seconds, 0 to 86400");
        }
        faults
    }
}

impl Event {
    /// What it is called in the report.
    pub(super) fn name(&self) -> String {
        match (self.join, self.cut, self.leave) {
            (Some(members), ..) => format!("{members} join at once"),
            (_, Some(share), _) => format!("{:.0} % of connections break", share * 100.0),
            (.., leave) => format!("{:.0} % of members leave", leave.unwrap_or_default() * 100.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "about = 'x'\nseconds = 9\nmembers = 10\nrooms = 2\nrate = 5\n";

    fn parse(text: &str) -> Result<Scenario, String> {
        let scenario: Scenario = toml::from_str(text).map_err(|error| error.to_string())?;
        match scenario.faults(1) {
            faults if faults.is_empty() => Ok(scenario),
            faults => Err(faults.join("; ")),
        }
    }

    #[test]
    fn what_is_not_set_has_a_default() {
        let scenario = parse(GOOD).unwrap();
        assert_eq!((scenario.bytes, scenario.plain, scenario.members_in_all()), (128, 0, 10));
        let more = parse(&format!("{GOOD}[[event]]\nat = 3\njoin = 5\n")).unwrap();
        assert_eq!((more.members_in_all(), more.event[0].name()), (15, "5 join at once".to_owned()));
    }

    #[test]
    fn what_cannot_be_is_told() {
        for (line, told) in [
            ("rooms = 11", "duplicate key"),
            ("colour = 3", "unknown field"),
            ("bytes = 5", "bytes"),
            ("plain = 9", "must be neither"),
            ("churn = 11", "churn"),
            ("[[event]]\nat = 3", "one of join"),
            ("[[event]]\nat = 3\ncut = 1.5", "shares"),
            ("[[event]]\nat = -3\ncut = 1.0", "times"),
        ] {
            let found = parse(&format!("{GOOD}{line}\n")).unwrap_err();
            assert!(found.contains(told), "{line}: {found}");
        }
    }

    #[test]
    fn more_members_than_files_are_several_processes() {
        let of = |members: usize, rooms: usize| {
            parse(&format!("{GOOD}[[event]]\nat = 3\njoin = 7\n")).map(|scenario| Scenario {
                members,
                rooms,
                plain: 5,
                churn: 9,
                ..scenario
            })
        };
        let largest = of(MEMBERS_OF_ONE - 7, 5).unwrap();
        assert_eq!(largest.parts(largest.processes()), std::slice::from_ref(&largest));
        let whole = of(2 * MEMBERS_OF_ONE, 50).unwrap();
        let parts = whole.parts(whole.processes());
        assert_eq!((parts.len(), whole.faults(3)), (3, vec![]));
        let sum = |of: fn(&Scenario) -> usize| parts.iter().map(of).sum::<usize>();
        assert_eq!(sum(|part| part.members), whole.members);
        assert_eq!(sum(Scenario::members_in_all), whole.members_in_all());
        assert!(parts.iter().all(|part| part.members_in_all() <= MEMBERS_OF_ONE));
        let kinds = (sum(|part| part.rooms), sum(|part| part.plain), sum(|part| part.churn as usize));
        assert_eq!((kinds, sum(|part| part.rate as usize)), ((50, 5, 9), 5));
        let told = of(2 * MEMBERS_OF_ONE, 2).unwrap().faults(3).join("; ");
        assert!(told.contains("of process 1") && told.contains("rooms"), "{told}");
        assert!(!of(MEMBERS_MAX, 50).unwrap().faults(1).is_empty());
    }

    #[test]
    fn every_scenario_that_comes_with_the_tool_is_sound() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let mut names = Vec::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let scenario = Scenario::read(&path).unwrap();
            assert_eq!(scenario.faults(1), Vec::<String>::new(), "{}", path.display());
            assert!(!scenario.about.is_empty() && !scenario.about_ko.is_empty(), "{}", path.display());
            names.push(path.file_stem().unwrap().to_string_lossy().into_owned());
        }
        names.sort();
        let wanted =
            ["churn", "fan-out", "join-storm", "many-rooms", "reconnect-storm", "slow-readers", "steady"];
        assert_eq!(names, wanted);
    }
}
