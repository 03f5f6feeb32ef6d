//! What happened when: figures of each second, and of each stretch between two marks.
//! Not here: what happened to one member (`member`), how it is drawn (`page`).

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::stats::Delays;

/// What a mark says of the time that follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MarkKind {
    /// Nothing is wrong.
    Calm,
    /// Something is broken.
    Fault,
    /// It heals: no measure of either.
    Settling,
    /// Something that happens without ending a stretch.
    Event,
}

impl MarkKind {
    const ALL: [Self; 4] = [Self::Calm, Self::Fault, Self::Settling, Self::Event];

    pub(crate) fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Fault => "fault",
            Self::Settling => "settling",
            Self::Event => "event",
        }
    }
}

/// What can be counted in a second.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Count {
    Sent,
    Acked,
    Received,
    Joined,
    Lost,
}

#[derive(Default, Serialize, Deserialize)]
struct Second {
    counts: [u64; 5],
    /// Members in their room at its end.
    present: usize,
    /// By the second in which a message was meant to be sent.
    live: Option<Delays>,
}

#[derive(Serialize, Deserialize)]
struct Stretch {
    name: String,
    kind: MarkKind,
    from: u64,
    live: Delays,
    joins: Delays,
    /// When connections were made again, in milliseconds since the stretch began.
    returns: Vec<u64>,
    silence_longest: Duration,
}

/// The course of a run. All times are microseconds since it began.
#[derive(Serialize, Deserialize)]
pub(crate) struct Timeline {
    seconds: Vec<Second>,
    stretches: Vec<Stretch>,
    events: Vec<(u64, String)>,
    live: Delays,
    acks: Delays,
}

fn last_present(seconds: &[Second]) -> usize {
    seconds.last().map_or(0, |second| second.present)
}

impl Second {
    fn add(&mut self, other: Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.present += other.present;
        match (&mut self.live, other.live) {
            (Some(live), Some(more)) => live.add(&more),
            (live, more) => *live = live.take().or(more),
        }
    }
}

impl Stretch {
    /// The same stretch, as others saw it: orders reach each process at a moment of its own.
    fn add(&mut self, other: Self) {
        self.from = self.from.min(other.from);
        self.live.add(&other.live);
        self.joins.add(&other.joins);
        self.returns.extend(other.returns);
        self.silence_longest = self.silence_longest.max(other.silence_longest);
    }
}

/// Longer runs are summed into their last second: a figure is late, not lost.
const SECONDS_MAX: usize = 24 * 3600;

impl Timeline {
    pub(crate) fn new() -> Self {
        let mut this = Self {
            seconds: Vec::new(),
            stretches: Vec::new(),
            events: Vec::new(),
            live: Delays::new(),
            acks: Delays::new(),
        };
        this.mark(0, "", MarkKind::Calm);
        this
    }

    /// From now on it is this stretch; an event is only written down.
    pub(crate) fn mark(&mut self, at: u64, name: &str, kind: MarkKind) {
        let name = name.to_owned();
        if kind == MarkKind::Event {
            return self.events.push((at, name));
        }
        self.stretches.push(Stretch {
            name,
            kind,
            from: at,
            live: Delays::new(),
            joins: Delays::new(),
            returns: Vec::new(),
            silence_longest: Duration::ZERO,
        });
    }

    fn second(&mut self, at: u64) -> &mut Second {
        let index = ((at / 1_000_000) as usize).min(SECONDS_MAX);
        if index >= self.seconds.len() {
            let present = last_present(&self.seconds);
            self.seconds.resize_with(index + 1, || Second { present, ..Second::default() });
        }
        &mut self.seconds[index]
    }

    fn stretch(&mut self, at: u64) -> &mut Stretch {
        let index = self.stretches.iter().rposition(|stretch| stretch.from <= at).unwrap_or(0);
        &mut self.stretches[index]
    }

    pub(crate) fn count(&mut self, at: u64, what: Count) {
        self.second(at).counts[what as usize] += 1;
    }

    pub(crate) fn present(&mut self, at: u64, members: usize) {
        self.second(at).present = members;
    }

    /// A member saw a message that was meant to be sent then.
    pub(crate) fn live(&mut self, intended: u64, now: u64) {
        let delay = Duration::from_micros(now.saturating_sub(intended));
        self.live.record(delay);
        self.second(intended).live.get_or_insert_with(Delays::rough).record(delay);
        self.stretch(intended).live.record(delay);
    }

    pub(crate) fn acked(&mut self, intended: u64, now: u64) {
        self.acks.record(Duration::from_micros(now.saturating_sub(intended)));
        self.count(now, Count::Acked);
    }

    /// A member is in its room, and was meant to come in then.
    pub(crate) fn joined(&mut self, intended: u64, now: u64) {
        self.stretch(intended).joins.record(Duration::from_micros(now.saturating_sub(intended)));
        self.count(now, Count::Joined);
    }

    /// A member that was there before begins to connect again.
    pub(crate) fn returns(&mut self, now: u64) {
        let stretch = self.stretch(now);
        stretch.returns.push((now - stretch.from) / 1000);
    }

    /// A member heard nothing for so long, and now does, or would have.
    pub(crate) fn silence(&mut self, now: u64, how_long: Duration) {
        let stretch = self.stretch(now);
        stretch.silence_longest = stretch.silence_longest.max(how_long);
    }

    /// What others saw of the same run, who began in the same moment.
    pub(crate) fn add(&mut self, others: Self) {
        let Self { seconds, stretches, events, live, acks } = others;
        self.live.add(&live);
        self.acks.add(&acks);
        if events.len() > self.events.len() {
            self.events = events;
        }
        // Who is there stays there after the last second in which something happened.
        let length = self.seconds.len().max(seconds.len());
        let (own_last, last) = (last_present(&self.seconds), last_present(&seconds));
        self.seconds.resize_with(length, || Second { present: own_last, ..Second::default() });
        let silent = std::iter::repeat_with(|| Second { present: last, ..Second::default() });
        for (second, other) in self.seconds.iter_mut().zip(seconds.into_iter().chain(silent)) {
            second.add(other);
        }
        for (at, other) in stretches.into_iter().enumerate() {
            match self.stretches.get_mut(at) {
                Some(stretch) => stretch.add(other),
                None => self.stretches.push(other),
            }
        }
    }

    pub(crate) fn totals(&self) -> [u64; 5] {
        let mut totals = [0; 5];
        for second in &self.seconds {
            for (total, count) in totals.iter_mut().zip(second.counts) {
                *total += count;
            }
        }
        totals
    }

    pub(crate) fn figures(&self, end: u64) -> Value {
        let seconds = self.seconds.iter().enumerate().map(|(at, second)| {
            let [sent, acked, received, joined, lost] = second.counts;
            let live = second.live.as_ref().map(Delays::percentiles);
            json!({ "at": at, "sent": sent, "acked": acked, "received": received, "joined": joined,
                    "lost": lost, "present": second.present, "liveMs": live })
        });
        let ends = self.stretches.iter().skip(1).map(|stretch| stretch.from).chain([end]);
        let stretches = self.stretches.iter().zip(ends).filter(|(stretch, end)| stretch.from < *end);
        let stretches = stretches.map(|(stretch, end)| {
            json!({ "name": stretch.name, "kind": stretch.kind,
                    "from": stretch.from as f64 / 1e6, "to": end as f64 / 1e6,
                    "received": stretch.live.len(), "liveMs": stretch.live.percentiles(),
                    "joins": stretch.joins.len(), "joinMs": stretch.joins.percentiles(),
                    "longestSilenceMs": stretch.silence_longest.as_secs_f64() * 1e3,
                    "returnsMs": stretch.returns })
        });
        let events = self.events.iter().map(|(at, name)| json!({ "at": *at as f64 / 1e6, "name": name }));
        json!({
            "liveMs": self.live.percentiles(), "livePercentiles": self.live.curve(),
            "ackMs": self.acks.percentiles(),
            "timeline": seconds.collect::<Vec<_>>(),
            "stretches": stretches.collect::<Vec<_>>(),
            "events": events.collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    #[test]
    fn a_delay_belongs_to_when_its_message_was_meant_to_be_sent() {
        let mut timeline = Timeline::new();
        timeline.mark(2 * SECOND, "slow", MarkKind::Fault);
        // Meant before the mark, and seen long after it.
        timeline.live(SECOND, 5 * SECOND);
        timeline.live(3 * SECOND, 3 * SECOND + 10_000);
        let figures = timeline.figures(6 * SECOND);
        let max = |index: usize| figures["stretches"][index]["liveMs"]["max"].as_f64().unwrap();
        assert!(max(0) > 3990.0 && max(1) < 11.0, "{figures}");
        assert_eq!(figures["stretches"][1]["kind"], "fault");
        assert!(figures["timeline"][1]["liveMs"]["max"].as_f64().unwrap() > 3900.0);
        assert!(figures["timeline"][2]["liveMs"].is_null());
    }

    #[test]
    fn counts_returns_and_events_are_kept_by_time() {
        let mut timeline = Timeline::new();
        timeline.count(0, Count::Sent);
        timeline.count(SECOND, Count::Sent);
        timeline.present(SECOND, 7);
        timeline.count(3 * SECOND, Count::Lost);
        timeline.mark(4 * SECOND, "drain", MarkKind::Fault);
        timeline.mark(5 * SECOND, "kill", MarkKind::Event);
        timeline.returns(6 * SECOND);
        timeline.silence(6 * SECOND, Duration::from_millis(1500));
        let figures = timeline.figures(9 * SECOND);
        assert_eq!(timeline.totals(), [2, 0, 0, 0, 1]);
        // Who is there stays there in seconds in which nothing happens.
        assert_eq!(
            (&figures["timeline"][2]["present"], &figures["timeline"][0]["present"]),
            (&json!(7), &json!(0))
        );
        assert_eq!(figures["stretches"][1]["returnsMs"], json!([2000]));
        assert_eq!(figures["stretches"][1]["longestSilenceMs"], json!(1500.0));
        assert_eq!(figures["events"], json!([{ "at": 5.0, "name": "kill" }]));
    }

    #[test]
    fn two_halves_are_the_whole() {
        let (mut whole, mut one, mut other) = (Timeline::new(), Timeline::new(), Timeline::new());
        for timeline in [&mut whole, &mut one, &mut other] {
            timeline.mark(2 * SECOND, "slow", MarkKind::Fault);
            timeline.mark(3 * SECOND, "kill", MarkKind::Event);
        }
        for nth in 0..6 {
            let half = if nth % 2 == 0 { &mut one } else { &mut other };
            for timeline in [&mut whole, half] {
                timeline.live(nth * SECOND, nth * SECOND + 1000 * nth);
                timeline.count(nth * SECOND, Count::Sent);
                timeline.joined(nth * SECOND, nth * SECOND + 500);
            }
        }
        whole.present(0, 7);
        one.present(0, 3);
        other.present(0, 4);
        let text = serde_json::to_string(&other).unwrap();
        one.add(serde_json::from_str(&text).unwrap());
        let (whole, sum) = (whole.figures(6 * SECOND), one.figures(6 * SECOND));
        for figure in ["liveMs", "livePercentiles", "stretches", "events"] {
            assert_eq!(whole[figure], sum[figure], "{figure}");
        }
        let sent = |figures: &Value, at: usize| figures["timeline"][at]["sent"].clone();
        assert!((0..6).all(|at| sent(&whole, at) == sent(&sum, at)));
        assert_eq!(sum["timeline"][0]["present"], 7);
    }
}
