//! What must show in a run beside the promises: that the fault was felt, for one that nobody feels proves nothing, and that it did no
//! more than it may.
//! Not here: the promises themselves (`moim-loadtest check`).

use serde_json::Value;

/// A demand on what members saw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Must {
    /// Connections broke.
    Break,
    /// None did.
    Stay,
    /// Rooms went on in another epoch.
    NewEpoch,
    /// None did, and numbers rose by one.
    SameEpoch,
    /// Somebody was answered with this error.
    Error(&'static str),
    /// A page said that the store could not be asked.
    IncompletePages,
    /// None did, and each was answered.
    WholePages,
    /// Members got all of it: nobody was told that something is missing.
    TellNothing,
    /// Nobody who sent was left without an answer on a connection that lived.
    Answer,
    /// The longest that any member may wait for any live message, in seconds from when it was meant to be sent.
    LiveWithin(u32),
    /// The longest that a room that is spoken in may be without an acknowledgement, in seconds.
    AckWithin(u32),
}

impl Must {
    /// What is wrong, by the members' summary and the verdict; nothing if it holds.
    pub(crate) fn unmet(self, summary: &Value, verdict: &Value) -> Option<String> {
        let number = |of: &Value, key: &str| of[key].as_f64().unwrap_or(f64::NAN);
        let [reconnects, epochs] = [number(summary, "reconnects"), number(verdict, "epochs")];
        let [pages, complete] = ["pages", "pagesComplete"].map(|key| number(verdict, key));
        let told = number(verdict, "unrecovered") + number(verdict, "gaps");
        let waiting = number(verdict, "leftWaiting");
        // Each says what holds: a figure that is not there holds nothing.
        let holds = match self {
            Self::Break => reconnects > 0.0,
            Self::Stay => reconnects == 0.0,
            Self::NewEpoch => epochs > 1.0,
            Self::SameEpoch => epochs == 1.0 && number(verdict, "skipped") == 0.0,
            Self::Error(code) => number(&summary["errors"], code) > 0.0,
            Self::IncompletePages => complete < pages,
            Self::WholePages => pages > 0.0 && complete == pages && number(verdict, "pagesUnanswered") == 0.0,
            Self::TellNothing => told == 0.0,
            Self::Answer => waiting == 0.0,
            Self::LiveWithin(seconds) => number(&summary["liveMs"], "max") <= f64::from(seconds) * 1e3,
            Self::AckWithin(seconds) => number(verdict, "secondsWithoutAck") <= f64::from(seconds),
        };
        (!holds).then(|| self.said(summary, verdict))
    }

    fn said(self, summary: &Value, verdict: &Value) -> String {
        match self {
            Self::Break => "no connection broke: the fault was not felt".to_owned(),
            Self::Stay => format!("{} connections broke", summary["reconnects"]),
            Self::NewEpoch => "no room went on in another epoch: the fault was not felt".to_owned(),
            Self::SameEpoch => format!(
                "rooms went on in other epochs ({} of a room), or passed over numbers ({})",
                verdict["epochs"], verdict["skipped"]
            ),
            Self::Error(code) => format!("nobody was told `{code}`: the fault was not felt"),
            Self::IncompletePages => "no page was incomplete: the fault was not felt".to_owned(),
            Self::WholePages => format!(
                "{} of {} pages were complete, {} were not answered",
                verdict["pagesComplete"], verdict["pages"], verdict["pagesUnanswered"]
            ),
            Self::TellNothing => format!(
                "members were told of {} gaps, and {} resumes were none",
                verdict["gaps"], verdict["unrecovered"]
            ),
            Self::Answer => format!("{} sends were left without an answer", verdict["leftWaiting"]),
            Self::LiveWithin(most) => {
                format!("a live message took {} ms, at most {most} s", summary["liveMs"]["max"])
            }
            Self::AckWithin(most) => {
                let seconds = &verdict["secondsWithoutAck"];
                format!("a room was without an acknowledgement for {seconds} s, at most {most}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CALM: [Must; 7] = [
        Must::Stay,
        Must::SameEpoch,
        Must::WholePages,
        Must::TellNothing,
        Must::Answer,
        Must::LiveWithin(2),
        Must::AckWithin(2),
    ];
    const FELT: [Must; 4] = [Must::Break, Must::NewEpoch, Must::Error("overloaded"), Must::IncompletePages];

    fn held(musts: &[Must], summary: &Value, verdict: &Value) -> Vec<bool> {
        musts.iter().map(|must| must.unmet(summary, verdict).is_none()).collect()
    }

    #[test]
    fn each_holds_where_it_does_and_nowhere_else() {
        let calm = json!({ "reconnects": 0, "errors": { "unavailable": 1 }, "liveMs": { "max": 1500.0 } });
        let calmly = json!({ "epochs": 1, "skipped": 0, "pages": 3, "pagesComplete": 3, "pagesUnanswered": 0,
            "unrecovered": 0, "gaps": 0, "leftWaiting": 0, "secondsWithoutAck": 1.5 });
        assert_eq!(held(&CALM, &calm, &calmly), [true; 7]);
        assert_eq!(held(&FELT, &calm, &calmly), [false; 4]);
        let wild = json!({ "reconnects": 1, "errors": { "overloaded": 1 }, "liveMs": { "max": 2500.0 } });
        let wildly = json!({ "epochs": 2, "skipped": 0, "pages": 3, "pagesComplete": 2, "pagesUnanswered": 0,
            "unrecovered": 1, "gaps": 0, "leftWaiting": 1, "secondsWithoutAck": 2.5 });
        assert_eq!(held(&CALM, &wild, &wildly), [false; 7]);
        assert_eq!(held(&FELT, &wild, &wildly), [true; 4]);
    }

    #[test]
    fn what_was_not_measured_holds_nothing() {
        let nothing = json!({});
        assert!(
            held(&CALM, &nothing, &nothing).into_iter().chain(held(&FELT, &nothing, &nothing)).all(|it| !it)
        );
    }
}
