//! What is wrong with a configuration: every fault as one line that says where, what, and what to do.
//! Not here: finding the faults (`file`, `environment`, `value`, each section's `validate`).

use moim_protocol::Language;

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
    pub(crate) text: String,
}

impl Fault {
    /// A fault of a key that exists.
    pub(crate) fn of_key(place: Option<&str>, key: &str, problem: &str) -> Self {
        Self { place: place.map(String::from), key: key.into(), text: format!("{key} {problem}") }
    }

    /// A fault of nothing that has a key.
    pub(crate) fn elsewhere(place: Option<String>, text: String) -> Self {
        Self { place, key: String::new(), text }
    }

    /// A section that does not exist, in the file.
    pub(crate) fn unknown_section(place: String, name: &str) -> Self {
        let hint = match nearest::section(name) {
            Some(meant) => format!("did you mean [{meant}]?"),
            None => format!("the sections are {}", list(SECTIONS.iter().map(|section| section.name))),
        };
        Self::elsewhere(Some(place), format!("[{name}] is not a section; {hint}"))
    }

    /// A value outside every section, in the file.
    pub(crate) fn outside_sections(place: String, name: &str) -> Self {
        let hint = match nearest::key("", name) {
            Some((section, key)) => format!("did you mean {}.{}?", section.name, key.name),
            None => "every key stands in a section; `moim config` shows them all".into(),
        };
        Self::elsewhere(Some(place), format!("{name} stands in no section; {hint}"))
    }

    /// A key that its section does not have, in the file.
    pub(crate) fn unknown_key(place: String, section: &Section, name: &str) -> Self {
        let hint = match nearest::key(section.name, name) {
            Some((of, key)) => format!("did you mean {}.{}?", of.name, key.name),
            None => format!(
                "the keys of [{}] are {}",
                section.name,
                list(section.keys.iter().map(|key| key.name))
            ),
        };
        Self::elsewhere(Some(place), format!("{}.{name} is not a key; {hint}", section.name))
    }

    /// A variable that looks like ours and is not.
    pub(crate) fn unknown_variable(name: &str, section: &str, key: &str) -> Self {
        let hint = match nearest::key(section, key) {
            Some((section, key)) => format!("did you mean {}?", environment::variable(section, key)),
            None => format!(
                "the form is {}, and `moim config` shows every section and key",
                environment::VARIABLE_FORM
            ),
        };
        Self::elsewhere(None, format!("{name} is not a variable that moim reads; {hint}"))
    }
}

/// All faults of a configuration; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Faults(pub(crate) Vec<Fault>);

impl Faults {
    /// All of them, each on a line, and what to do next. The lines themselves are English: they quote keys and values.
    pub(crate) fn in_words(&self, language: Language) -> String {
        let mut text = match (language, self.0.len()) {
            (Language::English, 1) => "the configuration has a fault:\n".to_owned(),
            (Language::English, n) => format!("the configuration has {n} faults:\n"),
            (Language::Korean, n) => format!("설정에 잘못이 {n}개 있습니다:\n"),
        };
        for fault in &self.0 {
            match &fault.place {
                Some(place) => text += &format!("  {place}: {}\n", fault.text),
                None => text += &format!("  {}\n", fault.text),
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
