//! Sentences that people read in frames: the article's notices, and the choice of language for errors.
//! Not here: the error sentences themselves (`error_code`), the page's texts (`moim-gateway`'s web folder).

use crate::PresenceChange;

/// Which language a person's client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// The plain profile's language, and the default of this contract.
    #[default]
    Korean,
    /// Any other.
    English,
}

impl Language {
    /// The first language of an `Accept-Language` header: Korean when it is, else English. Quality values are not
    /// weighed: browsers send them in falling order.
    #[must_use]
    pub fn from_accept_language(header: &str) -> Self {
        let first = header.split([',', ';']).next().unwrap_or("").trim();
        if first.get(..2).is_some_and(|tag| tag.eq_ignore_ascii_case("ko")) {
            Self::Korean
        } else {
            Self::English
        }
    }
}

/// The notice of a join or leave, in the article's words; merged when `count` is more than one.
#[must_use]
pub fn presence_notice(change: PresenceChange, first: &str, count: u32) -> String {
    let verb = match change {
        PresenceChange::Join => "입장",
        PresenceChange::Leave => "퇴장",
    };
    match count {
        0 | 1 => format!("{first}님이 {verb}했습니다."),
        _ => format!("{first}님 외 {}명이 {verb}했습니다.", count - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_are_the_contracts_words() {
        assert_eq!(presence_notice(PresenceChange::Join, "민수", 1), "민수님이 입장했습니다.");
        assert_eq!(presence_notice(PresenceChange::Leave, "민수", 1), "민수님이 퇴장했습니다.");
        assert_eq!(presence_notice(PresenceChange::Join, "민수", 4), "민수님 외 3명이 입장했습니다.");
        assert_eq!(presence_notice(PresenceChange::Leave, "민수", 2), "민수님 외 1명이 퇴장했습니다.");
    }

    #[test]
    fn language_is_the_first_asked_for() {
        assert_eq!(Language::from_accept_language("ko-KR,ko;q=0.9,en;q=0.8"), Language::Korean);
        assert_eq!(Language::from_accept_language("en-US,ko;q=0.5"), Language::English);
        assert_eq!(Language::from_accept_language(""), Language::English);
    }
}
