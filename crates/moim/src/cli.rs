//! The command line: commands, flags, what they come to.
//! Not here: the words of `--help` (`english`, `korean`), what a setting means (`config`), what a command does (`main`).

mod english;
mod fault;
mod korean;
mod texts;

use std::{env, ffi::OsString, path::PathBuf};

use clap::{ArgAction, Args, Command as Clap, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use moim_protocol::Language;

use crate::config::{Flag, Sources};

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "moim",
    version,
    max_term_width = 110,
    disable_help_flag = true,
    disable_version_flag = true
)]
pub(crate) struct Cli {
    /// What to do; `serve` if not said.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    // Here and not clap's own, so that they stand before the settings and speak both languages.
    #[arg(short, long, global = true, action = ArgAction::Help)]
    help: Option<bool>,
    #[arg(short = 'V', long, action = ArgAction::Version)]
    version: Option<bool>,
    /// Settings, on any command.
    #[command(flatten)]
    pub(crate) settings: Settings,
}

/// What to do. The pages of help are in `english` and `korean`, by the command's name.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Command {
    /// What `moim` alone does.
    Serve,
    /// A room in a terminal.
    Chat(Chat),
    /// Only drains logs.
    Writer,
    /// Tables in Cassandra.
    Migrate,
    /// Faults of the configuration.
    CheckConfig,
    /// The configuration in force.
    Config,
    /// A question to a running moim.
    Healthcheck {
        #[arg(long)]
        live: bool,
    },
    /// A script for a shell.
    Completions {
        #[arg(value_parser = shell, hide_possible_values = true)]
        shell: Shell,
    },
    /// A manual page.
    Man {
        #[arg(value_name = "COMMAND")]
        of: Option<String>,
    },
    /// A page of the documentation.
    Reference {
        #[arg(value_enum, hide_possible_values = true)]
        page: Reference,
    },
}

/// Pages that are made from the code's own tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Reference {
    /// Frames, error codes, close codes.
    Protocol,
    /// Every key.
    Configuration,
}

/// What `moim chat` is told.
#[derive(Debug, Clone, Args)]
pub(crate) struct Chat {
    #[arg(default_value = "general", hide_default_value = true)]
    pub(crate) room: String,
    #[arg(long)]
    url: Option<String>,
    #[arg(long)]
    name: Option<String>,
    #[arg(long)]
    pub(crate) tail: bool,
    #[arg(
        long, value_name = "N", default_value_t = 20, hide_default_value = true,
        value_parser = clap::value_parser!(u8).range(0..=100)
    )]
    pub(crate) history: u8,
    #[arg(long)]
    pub(crate) json: bool,
    #[arg(long, value_name = "LEVEL", value_enum, hide_possible_values = true)]
    pub(crate) ack: Option<Ack>,
    #[arg(
        long, value_name = "SECONDS", default_value_t = 30, hide_default_value = true,
        value_parser = clap::value_parser!(u64).range(1..=86_400)
    )]
    pub(crate) timeout: u64,
}

/// The durability to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Ack {
    /// In the log.
    Wal,
    /// In the store.
    Stored,
}

impl Chat {
    /// Where the server is, if somebody said so.
    pub(crate) fn url(&self) -> Option<String> {
        self.url.clone().or_else(|| variable("MOIM_URL"))
    }

    /// Under what name. Without any the server has one.
    pub(crate) fn name(&self) -> String {
        let login = || variable("USER").or_else(|| variable("LOGNAME"));
        self.name.clone().or_else(|| variable("MOIM_NAME")).or_else(login).unwrap_or_default()
    }
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// The shells that are tested; clap knows more.
fn shell(name: &str) -> Result<Shell, String> {
    match name {
        "bash" => Ok(Shell::Bash),
        "zsh" => Ok(Shell::Zsh),
        "fish" => Ok(Shell::Fish),
        _ => Err("it must be bash, zsh or fish".into()),
    }
}

impl Cli {
    /// Reads the command line; asked for help, or told what it does not understand, it prints that and ends the process.
    pub(crate) fn read(language: Language) -> Self {
        Self::read_from(env::args_os(), language).unwrap_or_else(|error| fault::exit(&error, language))
    }

    fn read_from(
        words: impl IntoIterator<Item = impl Into<OsString> + Clone>,
        language: Language,
    ) -> Result<Self, clap::Error> {
        let matches = command(language).try_get_matches_from(words)?;
        Self::from_arg_matches(&matches)
    }
}

/// The command line with its words in that language.
pub(crate) fn command(language: Language) -> Clap {
    texts::of(language).apply(Cli::command())
}

/// Flags that every command takes.
#[derive(Debug, Args)]
pub(crate) struct Settings {
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[arg(long, global = true, value_name = "ADDR")]
    listen: Option<String>,
    #[arg(long, global = true, value_name = "ADDR")]
    ops_listen: Option<String>,
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<String>,
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<String>,
}

impl Settings {
    /// These flags over the environment of the process over the file that either names.
    pub(crate) fn over_environment(self) -> Sources {
        let named = env::var_os("MOIM_CONFIG").filter(|path| !path.is_empty());
        let file = match (self.config, named) {
            (Some(path), _) => Some((path, "--config")),
            (None, Some(path)) => Some((path.into(), "MOIM_CONFIG")),
            (None, None) => None,
        };
        // A name that is not UTF-8 is none of ours; a value that is not gets signs in it by which it is refused.
        let variables = env::vars_os()
            .filter_map(|(name, value)| {
                Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
            })
            .collect();
        let flags = [
            ("--listen", "listen", "public", self.listen),
            ("--ops-listen", "listen", "ops", self.ops_listen),
            ("--data", "embedded", "path", self.data),
            ("--log-format", "log", "format", self.log_format),
        ];
        let flags = flags
            .into_iter()
            .filter_map(|(name, section, key, value)| Some(Flag { name, section, key, value: value? }));
        Sources { file, variables, flags: flags.collect() }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use moim_protocol::Language;

    use super::{Cli, Command, command};

    fn read<const N: usize>(line: [&str; N]) -> Cli {
        Cli::read_from(line, Language::Korean).unwrap()
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
        for language in [Language::Korean, Language::English] {
            command(language).debug_assert();
        }
    }

    #[test]
    fn chat_knows_its_bounds() {
        let Some(Command::Chat(chat)) = read(["moim", "chat", "모임", "--history", "0"]).command else {
            panic!()
        };
        assert_eq!((chat.room.as_str(), chat.history, chat.timeout), ("모임", 0, 30));
        for line in [
            ["moim", "chat", "--history=101"],
            ["moim", "chat", "--ack=soon"],
            ["moim", "completions", "csh"],
        ] {
            assert!(Cli::read_from(line, Language::English).is_err(), "{line:?}");
        }
    }

    #[test]
    fn settings_stand_before_or_after_the_command() {
        for line in [["moim", "--listen", "a:1", "serve"], ["moim", "serve", "--listen", "a:1"]] {
            let cli = read(line);
            assert!(matches!(cli.command, Some(Command::Serve)));
            assert_eq!(cli.settings.listen.as_deref(), Some("a:1"));
        }
        assert!(read(["moim", "--data", "d"]).command.is_none());
    }

    #[test]
    fn flags_name_keys_that_exist() {
        let line = [
            "moim",
            "--listen",
            "127.0.0.1:1",
            "--ops-listen",
            "127.0.0.1:2",
            "--data",
            "d",
            "--log-format",
            "json",
        ];
        let sources = read(line).settings.over_environment();
        let loaded =
            crate::config::load(&crate::config::Sources { flags: sources.flags, ..Default::default() })
                .unwrap();
        assert_eq!(loaded.origins.len(), 4);
    }
}
