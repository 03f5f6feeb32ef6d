//! What stops a command: what went wrong, and what a person can do about it.
//! Not here: findings of `tidy`, which come in lists and name a file and a line.

use std::fmt;

/// One reason to stop. `cure` is empty where the step that failed has a better one.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) what: String,
    pub(crate) cure: String,
}

impl Fault {
    pub(crate) fn new(what: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { what: what.into(), cure: cure.into() }
    }

    /// A fault that the step which met it can cure better than the place that found it.
    pub(crate) fn plain(what: impl Into<String>) -> Self {
        Self::new(what, "")
    }

    /// For `map_err`: `doing` is what was tried, in the words of "cannot …".
    pub(crate) fn io(doing: impl fmt::Display) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self::plain(format!("cannot {doing}: {error}"))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if self.cure.is_empty() { Ok(()) } else { write!(f, "\n  cure: {}", self.cure) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cure_is_shown_only_where_there_is_one() {
        assert_eq!(Fault::plain("no node").to_string(), "no node");
        assert_eq!(Fault::new("no node", "install Node 20").to_string(), "no node\n  cure: install Node 20");
    }
}
