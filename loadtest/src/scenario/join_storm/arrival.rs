//! What each member of a storm has been told so far: `joined`, the whole history, and how many are here.
//! Not here: sockets (`fleet`), the order of the drill (`join_storm`).

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{fault::Fault, fleet::Hear};

#[derive(Debug, Clone, Copy, Default)]
struct Arrival {
    /// The head that `joined` named.
    head: Option<u64>,
    arrived: Option<Duration>,
    /// The last count it was told, and when.
    count: u64,
    counted: Duration,
    frames: u32,
}

/// The books of a storm.
pub(super) struct Arrivals {
    members: Vec<Arrival>,
    history: Vec<String>,
    start: Instant,
    arrived: usize,
    counted: usize,
    opened: Duration,
    /// The last history that was found right: most members get the very same bytes.
    known: Vec<u8>,
}

/// When what was done, in seconds since the first connect.
#[derive(Debug, Clone, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Timeline {
    pub(super) opened_seconds: f64,
    pub(super) half_arrived_seconds: f64,
    pub(super) arrived_seconds: f64,
    pub(super) counted_seconds: f64,
    pub(super) frames_total: u64,
    pub(super) frames_max: u32,
}

impl Arrivals {
    pub(super) fn new(members: usize, history: Vec<String>, start: Instant) -> Self {
        let members = vec![Arrival::default(); members];
        Self { members, history, start, arrived: 0, counted: 0, opened: Duration::ZERO, known: Vec::new() }
    }

    pub(super) fn arrived(&self) -> usize {
        self.arrived
    }

    /// Everyone has everything, and knows the right count.
    pub(super) fn is_complete(&self) -> bool {
        self.arrived == self.members.len() && self.counted == self.members.len()
    }

    /// Where it stands, for people.
    pub(super) fn state(&self) -> String {
        let all = self.members.len();
        format!("{} of {all} have joined and history, {} know the right count", self.arrived, self.counted)
    }

    pub(super) fn timeline(&self) -> Timeline {
        let mut arrived: Vec<_> = self.members.iter().filter_map(|member| member.arrived).collect();
        arrived.sort_unstable();
        let seconds = |time: Option<&Duration>| time.map_or(f64::NAN, Duration::as_secs_f64);
        Timeline {
            opened_seconds: self.opened.as_secs_f64(),
            half_arrived_seconds: seconds(arrived.get(arrived.len() / 2)),
            arrived_seconds: seconds(arrived.last()),
            counted_seconds: seconds(self.members.iter().map(|member| &member.counted).max()),
            frames_total: self.members.iter().map(|member| u64::from(member.frames)).sum(),
            frames_max: self.members.iter().map(|member| member.frames).max().unwrap_or(0),
        }
    }

    fn count(&mut self, member: usize, frame: &Value, at: Duration) {
        let Some(count) = frame["userCount"].as_u64() else { return };
        let all = self.members.len() as u64;
        let arrival = &mut self.members[member];
        if count == all && arrival.count != all {
            self.counted += 1;
            arrival.counted = at;
        } else if count != all && arrival.count == all {
            self.counted -= 1;
        }
        arrival.count = count;
    }

    /// The frame must be the last of what was said, oldest first, numbered without a hole up to the head.
    fn check_history(&mut self, member: usize, payload: &[u8], frame: &Value) -> Result<(), Fault> {
        let head = self.members[member].head;
        let Some(head) = head else {
            return Err(Fault::wrong(format!("member {member} got history before joined")));
        };
        if payload == self.known {
            return Ok(());
        }
        let messages = frame["messages"].as_array().map_or(&[][..], Vec::as_slice);
        let first = (head + 1).saturating_sub(self.history.len() as u64);
        let wanted = self.history.iter().zip(first..);
        let same = messages.len() == self.history.len()
            && messages.iter().zip(wanted).all(|(message, (line, seq))| {
                message["content"].as_str() == Some(line) && message["seq"].as_u64() == Some(seq)
            });
        if !same {
            let text = String::from_utf8_lossy(payload).chars().take(600).collect::<String>();
            return Err(Fault::wrong(format!("member {member} joined at {head} with this history: {text}")));
        }
        self.known = payload.to_vec();
        Ok(())
    }
}

impl Hear for Arrivals {
    fn text(&mut self, member: usize, payload: &[u8], at: Instant) -> Result<(), Fault> {
        let after = at.saturating_duration_since(self.start);
        let frame: Value = serde_json::from_slice(payload)
            .map_err(|error| Fault::wrong(format!("member {member} got what is no JSON: {error}")))?;
        self.members[member].frames += 1;
        match frame["type"].as_str() {
            Some("joined") if self.members[member].frames == 1 => {
                self.members[member].head = frame["seq"].as_u64();
                self.count(member, &frame, after);
            }
            Some("history") if self.members[member].arrived.is_none() => {
                self.check_history(member, payload, &frame)?;
                self.members[member].arrived = Some(after);
                self.arrived += 1;
            }
            Some("system") if self.members[member].arrived.is_some() => self.count(member, &frame, after),
            _ => {
                let text = String::from_utf8_lossy(payload);
                return Err(Fault::wrong(format!("member {member} got this out of turn: {text}")));
            }
        }
        Ok(())
    }

    fn opened(&mut self, _: usize) {
        self.opened = self.start.elapsed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOINED: &str = r#"{"type":"joined","seq":2,"userCount":1}"#;
    const HISTORY: &str =
        r#"{"type":"history","messages":[{"content":"a","seq":1},{"content":"b","seq":2}]}"#;

    fn told(frames: &[(usize, &str)]) -> Result<Arrivals, Fault> {
        let start = Instant::now();
        let mut arrivals = Arrivals::new(2, vec!["a".into(), "b".into()], start);
        for (member, frame) in frames {
            arrivals.text(*member, frame.as_bytes(), start)?;
        }
        Ok(arrivals)
    }

    fn system(count: u64) -> String {
        format!(r#"{{"type":"system","userCount":{count}}}"#)
    }

    #[test]
    fn a_storm_is_over_when_all_have_everything_and_the_count() {
        let everything = [(0, JOINED), (0, HISTORY), (1, JOINED), (1, HISTORY)];
        assert!(!told(&everything).unwrap().is_complete());
        let (two, one) = (system(2), system(1));
        let counted = [&everything[..], &[(0, &two), (1, &two)]].concat();
        let arrivals = told(&counted).unwrap();
        assert!(arrivals.is_complete());
        assert_eq!((arrivals.timeline().frames_total, arrivals.timeline().frames_max), (6, 3));
        let wrong_again = [&counted[..], &[(1, &one)]].concat();
        assert!(!told(&wrong_again).unwrap().is_complete());
    }

    #[test]
    fn a_history_that_is_not_the_history_is_told() {
        let short = r#"{"type":"history","messages":[{"content":"b","seq":2}]}"#;
        let swapped = r#"{"type":"history","messages":[{"content":"b","seq":1},{"content":"a","seq":2}]}"#;
        let shifted = r#"{"type":"history","messages":[{"content":"a","seq":0},{"content":"b","seq":1}]}"#;
        for history in [short, swapped, shifted] {
            assert!(told(&[(0, JOINED), (0, history)]).is_err(), "{history}");
        }
    }

    #[test]
    fn frames_out_of_turn_are_told() {
        let notice = system(2);
        for frames in [
            &[(0, HISTORY)][..],
            &[(0, notice.as_str())],
            &[(0, JOINED), (0, JOINED)],
            &[(0, JOINED), (0, HISTORY), (0, HISTORY)],
            &[(0, JOINED), (0, notice.as_str())],
        ] {
            assert!(told(frames).is_err(), "{frames:?}");
        }
    }
}
