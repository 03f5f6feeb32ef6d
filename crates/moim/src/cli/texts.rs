//! How the pages of help are put on the commands: one table of words for each language.
//! Not here: the words (`english`, `korean`).

use clap::{Arg, Command};
use moim_protocol::Language;

use super::{english, korean};

/// All words of the command line in one language.
#[derive(Debug)]
pub(super) struct Texts {
    /// Heading of the line that shows how a command is written.
    pub(super) usage: &'static str,
    /// Heading of the commands.
    pub(super) commands: &'static str,
    /// Heading of a command's own flags.
    pub(super) options: &'static str,
    /// Heading of a command's arguments.
    pub(super) arguments_heading: &'static str,
    /// Heading of the flags that set keys.
    pub(super) settings: &'static str,
    /// The last line of the short help.
    pub(super) short: &'static str,
    /// A page for each command.
    pub(super) pages: &'static [Page],
    /// A sentence for each flag and argument, by its id.
    pub(super) arguments: &'static [(&'static str, &'static str)],
}

/// The page of a command.
#[derive(Debug)]
pub(super) struct Page {
    /// The command's name; `moim` for the whole.
    pub(super) command: &'static str,
    /// In a line, for the list of commands.
    pub(super) about: &'static str,
    /// Instead of it, in the long help.
    pub(super) long: &'static str,
    /// Below everything, in the long help: examples, and what is next.
    pub(super) after: &'static str,
}

const SETTINGS: [&str; 5] = ["config", "listen", "ops_listen", "data", "log_format"];
/// These ask no configuration, but the first, which asks where the server is.
const WITHOUT_SETTINGS: [&str; 4] = ["chat", "completions", "man", "reference"];

pub(super) fn of(language: Language) -> &'static Texts {
    match language {
        Language::Korean => &korean::TEXTS,
        Language::English => &english::TEXTS,
    }
}

impl Texts {
    /// Puts the words on the command and its subcommands.
    pub(super) fn apply(&self, command: Command) -> Command {
        // Whether there is a long help is asked when it is built; the flags that all commands share, and `help` with its copy
        // of each command, are there only then.
        let mut command = self.page(command.mut_subcommands(|sub| self.page(sub)));
        command.build();
        let command = command.mut_subcommands(|sub| self.page(sub).mut_subcommands(|copy| self.page(copy)));
        self.page(command).subcommand_help_heading(self.commands).after_help(self.short)
    }

    fn page(&self, mut command: Command) -> Command {
        let name = command.get_name().to_owned();
        if let Some(page) = self.pages.iter().find(|page| page.command == name) {
            command = command.about(page.about);
            if !page.long.is_empty() {
                command = command.long_about(page.long).after_long_help(page.after);
            }
        }
        let command = command.mut_args(|arg| self.argument(arg, &name));
        command.help_template(format!(
            "{{before-help}}{{about-with-newline}}\n{}: {{usage}}\n\n{{all-args}}{{after-help}}",
            self.usage
        ))
    }

    fn argument(&self, arg: Arg, command: &str) -> Arg {
        let id = arg.get_id().to_string();
        let is_setting = SETTINGS.contains(&id.as_str());
        let heading = match () {
            () if is_setting => self.settings,
            () if arg.is_positional() => self.arguments_heading,
            () => self.options,
        };
        let is_hidden = is_setting && WITHOUT_SETTINGS.contains(&command);
        let arg = arg.help_heading(heading).hide(is_hidden);
        match self.arguments.iter().find(|(known, _)| *known == id) {
            Some((_, words)) => arg.help(*words).long_help(*words),
            None => arg,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory;

    use super::{Language, of};
    use crate::cli::Cli;

    #[test]
    fn every_command_and_flag_has_its_words_in_both_languages() {
        let mut command = Cli::command();
        command.build();
        let mut commands: BTreeSet<_> =
            command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
        commands.insert("moim".into());
        let of_commands = command.get_subcommands().filter(|sub| sub.get_name() != "help");
        let arguments: BTreeSet<_> = of_commands
            .chain([&command])
            .flat_map(|sub| sub.get_arguments().map(|arg| arg.get_id().to_string()))
            .collect();
        for language in [Language::Korean, Language::English] {
            let texts = of(language);
            let pages: BTreeSet<_> = texts.pages.iter().map(|page| page.command.to_owned()).collect();
            assert_eq!(pages, commands, "{language:?}");
            let known: BTreeSet<_> = texts.arguments.iter().map(|(id, _)| (*id).to_owned()).collect();
            assert_eq!(known, arguments, "{language:?}");
        }
    }
}
