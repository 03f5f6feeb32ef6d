//! One broken rule at one place, with what a person needs to mend it.
//! Not here: the rules.

use std::fmt;

#[derive(Debug)]
pub(crate) struct Finding {
    /// From the root of the repository, with `/`.
    pub(crate) path: String,
    /// From 1, as editors count.
    pub(crate) line: usize,
    pub(crate) what: String,
    pub(crate) why: &'static str,
    pub(crate) instead: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, what, why, instead } = self;
        write!(f, "{path}:{line}: {what}\n    why: {why}\n    instead: {instead}")
    }
}

/// `path:line: what` of each, for tests.
#[cfg(test)]
pub(crate) fn brief(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(|finding| format!("{}:{}: {}", finding.path, finding.line, finding.what)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_says_where_what_why_and_what_instead() {
        let finding = Finding {
            path: "a.rs".to_owned(),
            line: 3,
            what: "it is broken".to_owned(),
            why: "it matters",
            instead: "mend it".to_owned(),
        };
        assert_eq!(finding.to_string(), "a.rs:3: it is broken\n    why: it matters\n    instead: mend it");
    }
}
