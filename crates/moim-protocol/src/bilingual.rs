//! A text in both languages side by side: made where what it tells is known, chosen where somebody reads it.
//! Not here: which language somebody reads (`Language`), the error codes' sentences (`error_code`).

use crate::Language;

/// A text in both languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bilingual<T = String> {
    /// For readers of English.
    pub english: T,
    /// For readers of Korean.
    pub korean: T,
}

impl<T> Bilingual<T> {
    /// Makes the text once in each language.
    pub fn made(make: impl Fn(Language) -> T) -> Self {
        Self { english: make(Language::English), korean: make(Language::Korean) }
    }

    /// The text in that language.
    pub fn of(&self, language: Language) -> &T {
        match language {
            Language::English => &self.english,
            Language::Korean => &self.korean,
        }
    }
}

impl<T: Clone> Bilingual<T> {
    /// A text that is not ours to translate, as libraries and the system give it: the same in both.
    pub fn foreign(text: T) -> Self {
        Self { english: text.clone(), korean: text }
    }
}

/// A [`Bilingual`] from two formats, English first, that share their arguments. An argument that only one of them uses does
/// not compile, unless it is captured by its name.
#[macro_export]
macro_rules! bilingual {
    ($english:literal, $korean:literal $(, $($argument:tt)*)?) => {
        $crate::Bilingual {
            english: ::std::format!($english $(, $($argument)*)?),
            korean: ::std::format!($korean $(, $($argument)*)?),
        }
    };
}

#[cfg(test)]
mod tests {
    use super::{Bilingual, Language};

    #[test]
    fn both_texts_tell_the_same_values() {
        let (low, high) = (1, 9);
        let text = bilingual!("{low} to {high}, not {}", "{}은(는) {low}부터 {high}까지가 아닙니다", 10);
        assert_eq!(text.of(Language::English), "1 to 9, not 10");
        assert_eq!(text.of(Language::Korean), "10은(는) 1부터 9까지가 아닙니다");
    }

    #[test]
    fn a_foreign_text_stays_as_it_is() {
        let text = Bilingual::foreign("No such file");
        assert_eq!(text, Bilingual::made(|_| "No such file"));
    }
}
