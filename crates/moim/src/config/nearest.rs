//! What somebody meant who wrote a name that does not exist.
//! Not here: how the guess is told (`fault`).

use super::catalogue::{self, Key, SECTIONS, Section};

// Below this a guess misleads more than it helps: "did you mean limits.outbox_bytes_max?" to somebody who wrote "port".
const ALIKE: f64 = 0.6;

/// The most alike of these words, if any is alike.
pub(crate) fn word(given: &str, words: impl IntoIterator<Item = &'static str>) -> Option<&'static str> {
    best(words.into_iter().map(|word| (alike(given, word), word)))
}

/// The most alike section.
pub(crate) fn section(given: &str) -> Option<&'static str> {
    word(given, SECTIONS.iter().map(|section| section.name))
}

/// The most alike key; the right name in the wrong section counts as nearly right.
pub(crate) fn key(section: &str, name: &str) -> Option<(&'static Section, &'static Key)> {
    best(catalogue::keys().map(|(of, key)| {
        let same_name = if key.name == name { 0.9 } else { 0.0 };
        let both = alike(section, of.name) * alike(name, key.name);
        (f64::max(same_name, both), (of, key))
    }))
}

fn best<T>(scored: impl Iterator<Item = (f64, T)>) -> Option<T> {
    scored.filter(|(score, _)| *score >= ALIKE).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, found)| found)
}

fn alike(given: &str, word: &str) -> f64 {
    let given = given.to_lowercase().replace('-', "_");
    // The same words in another order are the same: max_connections, connections_max.
    let in_order = strsim::normalized_damerau_levenshtein(&given, word);
    in_order.max(strsim::normalized_damerau_levenshtein(&sorted(&given), &sorted(word)))
}

fn sorted(name: &str) -> String {
    let mut words: Vec<&str> = name.split('_').collect();
    words.sort_unstable();
    words.join("_")
}

#[cfg(test)]
mod tests {
    fn key(section: &str, name: &str) -> Option<String> {
        super::key(section, name).map(|(section, key)| format!("{}.{}", section.name, key.name))
    }

    #[test]
    fn slips_are_understood() {
        for (section, name, meant) in [
            ("limits", "message_byte_max", "limits.message_bytes_max"),
            ("limits", "message_size_max", "limits.message_bytes_max"),
            ("limits", "max_connections", "limits.connections_max"),
            ("limits", "connections-max", "limits.connections_max"),
            ("listen", "Public", "listen.public"),
            ("limit", "connections_max", "limits.connections_max"),
            ("server", "trusted_proxies", "listen.trusted_proxies"),
            ("store", "path", "embedded.path"),
        ] {
            assert_eq!(key(section, name).as_deref(), Some(meant), "{section}.{name}");
        }
    }

    #[test]
    fn nothing_is_guessed_where_nothing_is_alike() {
        assert_eq!(key("listen", "tls_certificate"), None);
        assert_eq!(super::section("kubernetes"), None);
    }

    #[test]
    fn sections_and_words() {
        assert_eq!(super::section("limit"), Some("limits"));
        assert_eq!(super::section("logging"), None);
        assert_eq!(super::word("embeded", ["embedded", "memory"]), Some("embedded"));
    }
}
