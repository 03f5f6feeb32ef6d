//! What a fault must be felt as by somebody: one that nobody feels was not made, and proves nothing.
//! Not here: what must hold all the same (the promises, by `moim-loadtest check`).

use std::fmt;

use serde_json::Value;

/// A sign in what members saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Felt {
    /// Connections broke.
    Reconnects,
    /// Rooms went on in another epoch.
    NewEpoch,
    /// Somebody was answered with this error.
    Error(&'static str),
    /// A page said that the store could not be asked.
    IncompletePages,
}

impl Felt {
    /// Whether it shows in the members' summary or in the verdict.
    pub(crate) fn shows(self, summary: &Value, verdict: &Value) -> bool {
        let number = |of: &Value, key: &str| of[key].as_u64().unwrap_or(0);
        match self {
            Self::Reconnects => number(summary, "reconnects") > 0,
            Self::NewEpoch => number(verdict, "epochs") > 1,
            Self::Error(code) => number(&summary["errors"], code) > 0,
            Self::IncompletePages => number(verdict, "pagesComplete") < number(verdict, "pages"),
        }
    }
}

impl fmt::Display for Felt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reconnects => f.write_str("no connection broke"),
            Self::NewEpoch => f.write_str("no room went on in another epoch"),
            Self::Error(code) => write!(f, "nobody was told `{code}`"),
            Self::IncompletePages => f.write_str("no page was incomplete"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_sign_shows_where_it_is_and_nowhere_else() {
        let all = [Felt::Reconnects, Felt::NewEpoch, Felt::Error("overloaded"), Felt::IncompletePages];
        let shown = |summary: Value, verdict: Value| all.map(|felt| felt.shows(&summary, &verdict));
        let calm = json!({ "epochs": 1, "pages": 3, "pagesComplete": 3 });
        assert_eq!(shown(json!({ "reconnects": 0, "errors": { "unavailable": 1 } }), calm), [false; 4]);
        assert_eq!(
            shown(
                json!({ "reconnects": 1, "errors": { "overloaded": 1 } }),
                json!({ "epochs": 2, "pages": 3, "pagesComplete": 2 })
            ),
            [true; 4]
        );
        assert_eq!(shown(json!({}), json!({})), [false; 4]);
    }
}
