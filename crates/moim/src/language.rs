//! The language of whoever runs moim: Korean where their system speaks Korean, else English.
//! Not here: the language of people who chat (their browsers say it), the words themselves.

use std::env;

use moim_protocol::Language;

/// In the order in which they win: our own variable, then those that every program asks.
const VARIABLES: [&str; 4] = ["MOIM_LANG", "LC_ALL", "LC_MESSAGES", "LANG"];

/// As the environment says.
pub(crate) fn of_environment() -> Language {
    chosen(|name| env::var(name).ok())
}

fn chosen(value_of: impl Fn(&str) -> Option<String>) -> Language {
    let said = VARIABLES.iter().filter_map(|name| value_of(name)).find(|value| !value.is_empty());
    // ko, ko_KR.UTF-8, ko-KR.
    match said.as_deref().and_then(|value| value.split(['_', '-', '.']).next()) {
        Some(tag) if tag.eq_ignore_ascii_case("ko") => Language::Korean,
        _ => Language::English,
    }
}

#[cfg(test)]
mod tests {
    use super::{Language, chosen};

    fn of(variables: &[(&str, &str)]) -> Language {
        chosen(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn our_own_variable_wins_and_nothing_said_is_english() {
        assert_eq!(of(&[]), Language::English);
        assert_eq!(of(&[("LANG", "ko_KR.UTF-8")]), Language::Korean);
        assert_eq!(of(&[("LANG", "ko_KR.UTF-8"), ("LC_ALL", "C")]), Language::English);
        assert_eq!(of(&[("LANG", "ko_KR.UTF-8"), ("LC_ALL", "")]), Language::Korean);
        assert_eq!(of(&[("LANG", "en_US.UTF-8"), ("MOIM_LANG", "ko")]), Language::Korean);
        assert_eq!(of(&[("LANG", "kok_IN")]), Language::English);
    }
}
