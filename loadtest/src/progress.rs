//! What a person sees while a drill runs; nothing when nobody looks.
//! Not here: results (`report`).

use indicatif::{ProgressBar, ProgressStyle};

/// A bar on stderr, which draws itself only on a terminal.
pub(crate) fn bar(what: &'static str, total: usize) -> ProgressBar {
    let bar = ProgressBar::new(total as u64).with_message(what);
    // A template that is no template would show as the default bar.
    if let Ok(style) = ProgressStyle::with_template("{msg:24} {bar:40} {pos}/{len} {elapsed}") {
        bar.set_style(style);
    }
    bar
}
