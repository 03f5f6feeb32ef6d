//! What is wrong with one setting, as whoever owns its section tells it.
//! Not here: the sections and their rules (the crates that own them), where the setting was written (`moim`).

use std::fmt::{self, Display};

use crate::{Bilingual, Language, bilingual};

/// One fault: the key, what is wrong with it, what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFault {
    /// The key, as `section.key`.
    pub key: String,
    /// The keys beside which it is wrong. Where the key itself is at its default, one of these was set.
    pub beside: &'static [&'static str],
    /// What is wrong and what to do, in one sentence or two; to follow the key.
    pub problem: Bilingual,
}

impl ConfigFault {
    /// A fault of that key.
    pub fn new(key: impl Into<String>, problem: Bilingual) -> Self {
        Self { key: key.into(), beside: &[], problem }
    }

    /// The same, and wrong only beside these keys.
    #[must_use]
    pub fn beside(self, keys: &'static [&'static str]) -> Self {
        Self { beside: keys, ..self }
    }

    /// The fault of a value that is not from `low` to `high`; none where it is.
    pub fn of_range<T: PartialOrd + Display>(
        key: impl Into<String>,
        value: T,
        low: T,
        high: T,
    ) -> Option<Self> {
        let is_within = low <= value && value <= high;
        (!is_within).then(|| {
            Self::new(
                key,
                bilingual!(
                    "is {value}; it must be from {low} to {high}",
                    "값이 {value}입니다. {low}부터 {high}까지 쓸 수 있습니다"
                ),
            )
        })
    }

    /// The key and what is wrong with it.
    #[must_use]
    pub fn tell(&self, language: Language) -> String {
        format!("{} {}", self.key, self.problem.of(language))
    }

    /// All of them in English, for errors and logs; `None` where there are none.
    #[must_use]
    pub fn joined(faults: &[Self]) -> Option<String> {
        let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
        (!told.is_empty()).then(|| told.join("; "))
    }
}

/// In English, as every error and log line is.
impl Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.tell(Language::English))
    }
}

#[cfg(test)]
mod tests {
    use super::{ConfigFault, Language, bilingual};

    #[test]
    fn a_range_has_both_its_ends() {
        for (value, is_good) in [(0, false), (1, true), (9, true), (10, false)] {
            assert_eq!(ConfigFault::of_range("a.b", value, 1, 9).is_none(), is_good, "{value}");
        }
        let fault = ConfigFault::of_range("a.b", 10, 1, 9).unwrap();
        assert_eq!(fault.tell(Language::English), "a.b is 10; it must be from 1 to 9");
        assert_eq!(fault.tell(Language::Korean), "a.b 값이 10입니다. 1부터 9까지 쓸 수 있습니다");
    }

    #[test]
    fn several_are_one_line_and_none_is_none() {
        let fault = |key: &str| ConfigFault::new(key, bilingual!("is empty", "값이 비어 있습니다"));
        assert_eq!(ConfigFault::joined(&[]), None);
        let joined = ConfigFault::joined(&[fault("a.b"), fault("c.d")]);
        assert_eq!(joined.as_deref(), Some("a.b is empty; c.d is empty"));
    }
}
