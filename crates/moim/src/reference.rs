//! What moim can print about itself: completions, manual pages, the reference.
//! Not here: the words of help (`cli`), the tables that the reference is made of (`config`, `moim-protocol`).

use clap_complete::Shell;
use clap_mangen::Man;
use moim_protocol::Language;

use crate::{
    cli::{self, Reference},
    config, words,
};

/// A script for a shell.
pub(crate) fn completions(shell: Shell, language: Language) -> String {
    let (mut command, mut script) = (cli::command(language), Vec::new());
    clap_complete::generate(shell, &mut command, "moim", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// The manual page of moim, or of that command.
pub(crate) fn man(of: Option<&str>, language: Language) -> Result<String, String> {
    let whole = cli::command(language);
    let (command, title) = match of {
        None => (whole, "moim".to_owned()),
        Some(name) => match whole.find_subcommand(name) {
            Some(command) => (command.clone(), format!("moim-{name}")),
            None => return Err(words::no_command(language, name)),
        },
    };
    let mut page = Vec::new();
    // Writing to memory cannot fail.
    drop(Man::new(command).title(title).render(&mut page));
    Ok(String::from_utf8_lossy(&page).into_owned())
}

/// A page of the documentation.
pub(crate) fn markdown(page: Reference) -> String {
    match page {
        Reference::Protocol => moim_protocol::reference::markdown(),
        Reference::Configuration => config::markdown(),
    }
}
