//! The command line: commands, flags, and the pages of `--help`.
//! Not here: what a setting means (`config`), what a command does (`main`, `health`, `wiring`).

use std::{env, path::PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::config::{Flag, Sources};

const ABOUT: &str = "A chat server: rooms over WebSocket and HTTP, a page to talk on, nothing said is lost";

const LONG_ABOUT: &str = "\
moim is a chat server in one program. Without arguments it serves a page, WebSockets and an HTTP \
interface at http://127.0.0.1:8765/, keeps every message in the folder moim-data, and lets anyone on this \
machine chat. A room is made by entering it.";

const AFTER_HELP: &str = "\
Examples:
  moim                           chat on this machine; the page is http://127.0.0.1:8765/
  moim --listen 127.0.0.1:9000   the same on another port
  moim config > moim.toml        a file of every setting, to edit
  moim --config moim.toml        with that file

Settings:
  A setting is a key in a section, like limits.connections_max. The file sets it, the environment
  (MOIM__LIMITS__CONNECTIONS_MAX=20000) wins over the file, a flag over both.

  Other machines may connect once you say where and who:
    MOIM__AUTH__MODE=anonymous moim --listen 0.0.0.0:8765

Exit status:
  0  done, or stopped on request       2   the command line was not understood
  1  it could not start, or failed     78  the configuration has faults; all of them are told

Next: `moim config` shows every setting with its meaning, `moim help serve` tells how it stops.";

const SERVE_HELP: &str = "\
Serves until it is told to stop. The addresses, the store and what to try first are told on stdout when it \
listens, the log goes to stderr.

SIGTERM or Ctrl-C stops it cleanly: it turns unready, tells clients when to come back, closes connections \
bit by bit, stores what was sent, and exits with 0. The section [drain] sets the pace. kill -9 loses nothing \
that was acknowledged either; clients reconnect and resume.";

const SERVE_EXAMPLES: &str = "\
Examples:
  moim serve
  moim serve --listen 127.0.0.1:9000 --ops-listen 127.0.0.1:9001 --data /var/lib/moim
  MOIM__STORE__KIND=memory moim serve       nothing is kept on disk

Next: open the page in two windows; `moim healthcheck` asks whether it is ready.";

const CHECK_HELP: &str = "\
Reads the file, the environment and the flags as `serve` would, and tells every fault at once, each on a line: \
where it stands, what is wrong, what to write. Nothing is started, no address is opened. Exits with 0 or 78.";

const CHECK_EXAMPLES: &str = "\
Examples:
  moim check-config --config moim.toml
  MOIM__LIMITS__CONNECTIONS_MAX=many moim check-config

Next: `moim config` shows what the settings come to.";

const CONFIG_HELP: &str = "\
Prints the configuration that `serve` would run with, as TOML: every key with its meaning, its value, and who \
set it if it is not the default. Secrets are hidden. The output can be edited and used as a file.

A setting is written in one of three ways, and later wins:
  in the file          [limits]
                       connections_max = 20000
  in the environment   MOIM__LIMITS__CONNECTIONS_MAX=20000   (lists: commas between; empty: not set)
  as a flag            --listen, --ops-listen, --data, --log-format";

const CONFIG_EXAMPLES: &str = "\
Examples:
  moim config > moim.toml
  moim config --config moim.toml | grep '# from'

Next: `moim check-config` tries a file without starting anything.";

const WRITER_HELP: &str = "\
Brings messages from Redis into the store and serves nobody: for clusters that keep this work off the nodes people \
are connected to (writer.enabled = false there). It needs bus.kind = \"redis\". Only the operators' listener is \
opened: /metrics, /livez, /readyz.

Several may run, on their own or beside `moim serve`: they share the work, and when one is gone the others have its \
part within seconds. SIGTERM or Ctrl-C stops it after what it has taken is stored.";

const WRITER_EXAMPLES: &str = "\
Examples:
  moim writer --config moim.toml
  MOIM__WRITER__ENABLED=false moim serve --config moim.toml     serves, and leaves storing to the writers

Next: moim_dead_letters_total and moim_writer_write_duration_seconds in /metrics tell how it goes.";

const MIGRATE_HELP: &str = "\
Makes what is missing of the keyspace and tables of store.kind = \"cassandra\", tells what it made, and ends. It only \
adds, so it may run at any time and again, also while moim runs. Run it once before the first start and before each \
new version; no other command changes tables.";

const MIGRATE_EXAMPLES: &str = "\
Examples:
  moim migrate --config moim.toml
  MOIM__BUS__KIND=redis MOIM__STORE__KIND=cassandra MOIM__CASSANDRA__CONTACT_POINTS=10.0.0.1:9042 moim migrate

Next: `moim serve` with the same configuration.";

const HEALTH_HELP: &str = "\
Asks the moim that runs with this configuration, at listen.ops, whether it is ready for people (/readyz). Says so \
in a sentence and exits with 0 (yes) or 1 (no, or no answer within 2 seconds). For container health checks: it \
needs no shell and no curl.";

const HEALTH_EXAMPLES: &str = "\
Examples:
  moim healthcheck                            is it ready for people?
  moim healthcheck --live                     is it alive, though perhaps draining?
  HEALTHCHECK CMD [\"moim\", \"healthcheck\"]     in a Dockerfile

Next: the same address serves /metrics for Prometheus.";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "moim", version, about = ABOUT, long_about = LONG_ABOUT, after_long_help = AFTER_HELP)]
#[command(after_help = "`moim --help` has examples, the settings and the exit status.", max_term_width = 110)]
pub(crate) struct Cli {
    /// What to do; `serve` if not said.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Settings, on any command.
    #[command(flatten)]
    pub(crate) settings: Settings,
}

/// What to do.
#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum Command {
    /// Serve chat; this is what `moim` alone does
    #[command(long_about = SERVE_HELP, after_long_help = SERVE_EXAMPLES)]
    Serve,
    /// Only bring messages from Redis into the store
    #[command(long_about = WRITER_HELP, after_long_help = WRITER_EXAMPLES)]
    Writer,
    /// Make the tables in Cassandra
    #[command(long_about = MIGRATE_HELP, after_long_help = MIGRATE_EXAMPLES)]
    Migrate,
    /// Tell every fault of the configuration, and start nothing
    #[command(long_about = CHECK_HELP, after_long_help = CHECK_EXAMPLES)]
    CheckConfig,
    /// Print the configuration that would be used, and where it comes from
    #[command(long_about = CONFIG_HELP, after_long_help = CONFIG_EXAMPLES)]
    Config,
    /// Ask a running moim whether it is ready
    #[command(long_about = HEALTH_HELP, after_long_help = HEALTH_EXAMPLES)]
    Healthcheck {
        /// Ask whether it is alive (/livez), not whether it is ready
        #[arg(long)]
        live: bool,
    },
}

/// Flags that every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Settings")]
pub(crate) struct Settings {
    /// Read settings from this TOML file [env: MOIM_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where people connect [key: listen.public] [default: 127.0.0.1:8765]
    #[arg(long, global = true, value_name = "ADDR")]
    listen: Option<String>,
    /// Where operators look [key: listen.ops] [default: 127.0.0.1:9765]
    #[arg(long, global = true, value_name = "ADDR")]
    ops_listen: Option<String>,
    /// Folder of the messages [key: embedded.path] [default: moim-data]
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<String>,
    /// Log as text or json [key: log.format] [default: text]
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
    use clap::{CommandFactory, Parser};

    use super::{Cli, Command};

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn settings_stand_before_or_after_the_command() {
        for line in [["moim", "--listen", "a:1", "serve"], ["moim", "serve", "--listen", "a:1"]] {
            let cli = Cli::parse_from(line);
            assert!(matches!(cli.command, Some(Command::Serve)));
            assert_eq!(cli.settings.listen.as_deref(), Some("a:1"));
        }
        assert!(Cli::parse_from(["moim", "--data", "d"]).command.is_none());
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
        let sources = Cli::parse_from(line).settings.over_environment();
        let loaded =
            crate::config::load(&crate::config::Sources { flags: sources.flags, ..Default::default() })
                .unwrap();
        assert_eq!(loaded.origins.len(), 4);
    }
}
