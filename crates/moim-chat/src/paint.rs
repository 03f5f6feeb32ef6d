//! Colours, where they are wanted.
//! Not here: what is coloured (`lines`, `screen`).

use std::env;

/// Colours of names: readable on dark and on light, and not those of warnings.
const NAMES: [&str; 5] = ["32", "34", "35", "36", "94"];

/// Puts colour on words, or not.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint {
    on: bool,
}

impl Paint {
    /// On a terminal that has colours, unless the person wants none (no-color.org: any value but an empty one).
    pub(crate) fn wanted(on_terminal: bool) -> Self {
        let off = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { on: on_terminal && !off && !dumb }
    }

    #[cfg(test)]
    pub(crate) fn of(on: bool) -> Self {
        Self { on }
    }

    /// A person's name: always the same colour for the same name.
    pub(crate) fn name(self, name: &str, is_own: bool) -> String {
        let hash = name.bytes().fold(5381_usize, |hash, byte| hash.wrapping_mul(33) ^ usize::from(byte));
        let colour = NAMES[hash % NAMES.len()];
        let style = if is_own { format!("1;{colour}") } else { colour.to_owned() };
        self.with(&style, name)
    }

    /// What matters less.
    pub(crate) fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    /// What must be noticed.
    pub(crate) fn warning(self, text: &str) -> String {
        self.with("33", text)
    }

    fn with(self, style: &str, text: &str) -> String {
        if self.on && !text.is_empty() { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
