//! What is wrong with a configuration: every fault as one line that says where, what, and what to do.
//! Not here: finding the faults (`file`, `environment`, `value`, each section's `validate`).

use moim_protocol::{Bilingual, Language, bilingual};

use super::{
    catalogue::{SECTIONS, Section},
    environment, nearest,
};

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Where it stands: `moim.toml:4`, a variable, a flag; none when nothing was written.
    pub(crate) place: Option<String>,
    /// The key, as `section.key`, to tell each key's first fault only; empty if no key.
    pub(crate) key: String,
    /// What is wrong and what to do.
    pub(crate) text: Bilingual,
}

impl Fault {
    /// A fault of a key that exists.
    pub(crate) fn of_key(place: Option<&str>, key: &str, problem: &Bilingual) -> Self {
        let text = Bilingual::made(|language| format!("{key} {}", problem.of(language)));
        Self { place: place.map(String::from), key: key.into(), text }
    }

    /// A fault of nothing that has a key.
    pub(crate) fn elsewhere(place: Option<String>, text: Bilingual) -> Self {
        Self { place, key: String::new(), text }
    }

    /// A section that does not exist, in the file.
    pub(crate) fn unknown_section(place: String, name: &str) -> Self {
        let text = match nearest::section(name) {
            Some(meant) => bilingual!(
                "[{name}] is not a section; did you mean [{meant}]?",
                "[{name}]은(는) 섹션이 아닙니다. 혹시 [{meant}]인가요?"
            ),
            None => bilingual!(
                "[{name}] is not a section; the sections are {}",
                "[{name}]은(는) 섹션이 아닙니다. 섹션은 {}입니다",
                list(SECTIONS.iter().map(|section| section.name))
            ),
        };
        Self::elsewhere(Some(place), text)
    }

    /// A value outside every section, in the file.
    pub(crate) fn outside_sections(place: String, name: &str) -> Self {
        let text = match nearest::key("", name) {
            Some((section, key)) => bilingual!(
                "{name} stands in no section; did you mean {}.{}?",
                "{name}은(는) 섹션 안에 있지 않습니다. 혹시 {}.{}인가요?",
                section.name,
                key.name
            ),
            None => bilingual!(
                "{name} stands in no section; every key stands in a section; `moim config` shows them all",
                "{name}은(는) 섹션 안에 있지 않습니다. 키는 모두 섹션 안에 쓰며, `moim config`가 모두 보여 줍니다"
            ),
        };
        Self::elsewhere(Some(place), text)
    }

    /// A key that its section does not have, in the file.
    pub(crate) fn unknown_key(place: String, section: &Section, name: &str) -> Self {
        let of = section.name;
        let text = match nearest::key(of, name) {
            Some((section, key)) => bilingual!(
                "{of}.{name} is not a key; did you mean {}.{}?",
                "{of}.{name}은(는) 키가 아닙니다. 혹시 {}.{}인가요?",
                section.name,
                key.name
            ),
            None => bilingual!(
                "{of}.{name} is not a key; the keys of [{of}] are {}",
                "{of}.{name}은(는) 키가 아닙니다. [{of}]의 키는 {}입니다",
                list(section.keys.iter().map(|key| key.name))
            ),
        };
        Self::elsewhere(Some(place), text)
    }

    /// A variable that looks like ours and is not.
    pub(crate) fn unknown_variable(name: &str, section: &str, key: &str) -> Self {
        let text = match nearest::key(section, key) {
            Some((section, key)) => bilingual!(
                "{name} is not a variable that moim reads; did you mean {}?",
                "{name}은(는) moim이 읽는 환경 변수가 아닙니다. 혹시 {}인가요?",
                environment::variable(section, key)
            ),
            None => bilingual!(
                "{name} is not a variable that moim reads; the form is {}, and `moim config` shows every section and key",
                "{name}은(는) moim이 읽는 환경 변수가 아닙니다. 형식은 {}이고, 섹션과 키는 `moim config`가 모두 보여 줍니다",
                environment::VARIABLE_FORM
            ),
        };
        Self::elsewhere(None, text)
    }
}

/// All faults of a configuration; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Faults(pub(crate) Vec<Fault>);

impl Faults {
    /// All of them, each on a line, and what to do next. Only the reasons of libraries and of the system stay English.
    pub(crate) fn in_words(&self, language: Language) -> String {
        let mut text = match (language, self.0.len()) {
            (Language::English, 1) => "the configuration has a fault:\n".to_owned(),
            (Language::English, n) => format!("the configuration has {n} faults:\n"),
            (Language::Korean, n) => format!("설정에 잘못이 {n}개 있습니다:\n"),
        };
        for fault in &self.0 {
            let told = fault.text.of(language);
            match &fault.place {
                Some(place) => text += &format!("  {place}: {told}\n"),
                None => text += &format!("  {told}\n"),
            }
        }
        text + match language {
            Language::English => {
                "`moim config --help` tells how settings are written, `moim check-config` tries them."
            }
            Language::Korean => {
                "설정을 쓰는 방법은 `moim config --help`에 있고, `moim check-config`로 확인할 수 있습니다."
            }
        }
    }
}

fn list(names: impl Iterator<Item = &'static str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}
