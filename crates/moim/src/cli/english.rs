//! The pages of `--help` in English.
//! Not here: the same in Korean (`korean`), the commands themselves (`cli`).

use super::texts::{Page, Texts};

/// See the top of the file.
pub(super) const TEXTS: Texts = Texts {
    usage: "Usage",
    commands: "Commands",
    options: "Options",
    arguments_heading: "Arguments",
    settings: "Settings",
    short: "`moim --help` has examples, the settings and the exit status.",
    pages: &[
        Page { command: "moim", about: "A chat server: rooms over WebSocket and HTTP, a page to talk on, nothing said is lost", long: "\
moim is a chat server in one program. Without arguments it serves a page, WebSockets and an HTTP \
interface at http://127.0.0.1:8765/, keeps every message in the folder moim-data, and lets anyone on this \
machine chat. A room is made by entering it.", after: "\
Examples:
  moim                           chat on this machine; the page is http://127.0.0.1:8765/
  moim --listen 127.0.0.1:9000   the same on another port
  moim config > moim.toml        a file of every setting, to edit
  moim --config moim.toml        with that file
  moim chat                      talk there from this terminal

Settings:
  A setting is a key in a section, like limits.connections_max. The file sets it, the environment
  (MOIM__LIMITS__CONNECTIONS_MAX=20000) wins over the file, a flag over both.

  Other machines may connect once you say where and who:
    MOIM__AUTH__MODE=anonymous moim --listen 0.0.0.0:8765

  Help speaks the language of LANG, Korean or English; MOIM_LANG=ko or MOIM_LANG=en chooses.

Exit status:
  0  done, or stopped on request       2   the command line was not understood
  1  it could not start, or failed     78  the configuration has faults; all of them are told

Next: `moim config` shows every setting with its meaning, `moim help serve` tells how it stops." },
        Page { command: "serve", about: "Serve chat; this is what `moim` alone does", long: "\
Serves until it is told to stop. The addresses, the store and what to try first are told on stdout when it \
listens, the log goes to stderr.

SIGTERM or Ctrl-C stops it cleanly: it turns unready, tells clients when to come back, closes connections \
bit by bit, stores what was sent, and exits with 0. The section [drain] sets the pace. kill -9 loses nothing \
that was acknowledged either; clients reconnect and resume.", after: "\
Examples:
  moim serve
  moim serve --listen 127.0.0.1:9000 --ops-listen 127.0.0.1:9001 --data /var/lib/moim
  MOIM__STORE__KIND=memory moim serve       nothing is kept on disk

Next: open the page in two windows; `moim healthcheck` asks whether it is ready." },
        Page { command: "chat", about: "Talk in a room from a terminal, follow it, or send lines to it", long: "\
Talks in a room from a terminal: history, who types, who is here, and a line to write on. After a break it goes on where it \
was: nothing is lost, nothing is shown twice, and what could not be shown is told. Own messages stand above the line until \
they are acknowledged.

Lines that are piped in are sent one after another, each acknowledged before the next one; exits with 0 when all are. With \
--tail, or where the output is no terminal, the room is followed as plain lines.

What others write cannot do anything to your terminal: control characters are shown as signs. Colours are left out with \
NO_COLOR.", after: "\
Examples:
  moim chat                                        the room general on this machine
  moim chat 모임 --name 민아 --url https://chat.example.com
  moim chat general --tail                         follow it, until Ctrl-C
  echo \"deployed $TAG\" | moim chat ops --name ci   send it, and fail if it is not acknowledged
  moim chat general --tail --json | jq .content

Exit status:
  0  left, or every line is acknowledged      2  the command line or --url was not understood
  1  no connection, or not everything sent

Next: `moim chat --tail` in one terminal and `moim chat` in another." },
        Page { command: "writer", about: "Only bring messages from Redis into the store", long: "\
Brings messages from Redis into the store and serves nobody: for clusters that keep this work off the nodes people \
are connected to (writer.enabled = false there). It needs bus.kind = \"redis\". Only the operators' listener is \
opened: /metrics, /livez, /readyz.

Several may run, on their own or beside `moim serve`: they share the work, and when one is gone the others have its \
part within seconds. SIGTERM or Ctrl-C stops it after what it has taken is stored.", after: "\
Examples:
  moim writer --config moim.toml
  MOIM__WRITER__ENABLED=false moim serve --config moim.toml     serves, and leaves storing to the writers

Next: moim_dead_letters_total and moim_writer_write_duration_seconds in /metrics tell how it goes." },
        Page { command: "migrate", about: "Make the tables in Cassandra", long: "\
Makes what is missing of the keyspace and tables of store.kind = \"cassandra\", tells what it made, and ends. It only \
adds, so it may run at any time and again, also while moim runs. Run it once before the first start and before each \
new version; no other command changes tables.", after: "\
Examples:
  moim migrate --config moim.toml
  MOIM__BUS__KIND=redis MOIM__STORE__KIND=cassandra MOIM__CASSANDRA__CONTACT_POINTS=10.0.0.1:9042 moim migrate

Next: `moim serve` with the same configuration." },
        Page { command: "check-config", about: "Tell every fault of the configuration, and start nothing", long: "\
Reads the file, the environment and the flags as `serve` would, and tells every fault at once, each on a line: \
where it stands, what is wrong, what to write. Nothing is started, no address is opened. Exits with 0 or 78.", after: "\
Examples:
  moim check-config --config moim.toml
  MOIM__LIMITS__CONNECTIONS_MAX=many moim check-config

Next: `moim config` shows what the settings come to." },
        Page { command: "config", about: "Print the configuration that would be used, and where it comes from", long: "\
Prints the configuration that `serve` would run with, as TOML: every key with its meaning, its value, and who \
set it if it is not the default. Secrets are hidden. The output can be edited and used as a file.

A setting is written in one of three ways, and later wins:
  in the file          [limits]
                       connections_max = 20000
  in the environment   MOIM__LIMITS__CONNECTIONS_MAX=20000   (lists: commas between; empty: not set)
  as a flag            --listen, --ops-listen, --data, --log-format", after: "\
Examples:
  moim config > moim.toml
  moim config --config moim.toml | grep '# from'

Next: `moim check-config` tries a file without starting anything." },
        Page { command: "healthcheck", about: "Ask a running moim whether it is ready", long: "\
Asks the moim that runs with this configuration, at listen.ops, whether it is ready for people (/readyz). Says so \
in a sentence and exits with 0 (yes) or 1 (no, or no answer within 2 seconds). For container health checks: it \
needs no shell and no curl.", after: "\
Examples:
  moim healthcheck                            is it ready for people?
  moim healthcheck --live                     is it alive, though perhaps draining?
  HEALTHCHECK CMD [\"moim\", \"healthcheck\"]     in a Dockerfile

Next: the same address serves /metrics for Prometheus." },
        Page { command: "completions", about: "Print completions for a shell", long: "\
Prints a script by which a shell completes the commands and flags of moim.", after: "\
Examples:
  moim completions bash > ~/.local/share/bash-completion/completions/moim
  moim completions zsh > \"${fpath[1]}/_moim\"
  moim completions fish > ~/.config/fish/completions/moim.fish

Next: open a new shell and press Tab after `moim `." },
        Page { command: "man", about: "Print a manual page", long: "\
Prints the manual page of moim, or of one of its commands, as troff.", after: "\
Examples:
  moim man | man -l -
  moim man serve > moim-serve.1

Next: `moim reference` prints the reference pages as Markdown." },
        Page { command: "reference", about: "Print a reference page as Markdown: the protocol, or every setting", long: "\
Prints a page of the documentation that belongs to this very version, as Markdown: every frame, error code and close code of \
the protocol, or every key of the configuration with its default, its variable and its bounds.", after: "\
Examples:
  moim reference protocol > protocol.md
  moim reference configuration | less

Next: `moim config` prints the configuration that is in force." },
        Page { command: "help", about: "Print this message or the help of a command", long: "", after: "" },
    ],
    arguments: &[
        ("help", "Print help; -h is a summary"),
        ("version", "Print version"),
        ("config", "Read settings from this TOML file [env: MOIM_CONFIG]"),
        ("listen", "Where people connect [key: listen.public] [default: 127.0.0.1:8765]"),
        ("ops_listen", "Where operators look [key: listen.ops] [default: 127.0.0.1:9765]"),
        ("data", "Folder of the messages [key: embedded.path] [default: moim-data]"),
        ("log_format", "Log as text or json [key: log.format] [default: text]"),
        ("live", "Ask whether it is alive (/livez), not whether it is ready"),
        ("room", "The room; it is made by entering it [default: general]"),
        ("url", "Where the server is [env: MOIM_URL] [default: the one configured on this machine]"),
        ("name", "Under what name [env: MOIM_NAME] [default: the login name]"),
        ("tail", "Follow the room as plain lines, and send nothing"),
        ("history", "Messages from before to show first, 0 to 100 [default: 20]"),
        ("json", "A JSON object on each line: messages, or the acknowledgements of piped lines"),
        ("ack", "Wait until a message is there: wal (the log) or stored (the store) [default: as the server is set]"),
        ("timeout", "Seconds a piped line may stay without acknowledgement [default: 30]"),
        ("shell", "The shell: bash, zsh or fish"),
        ("of", "The command whose page is wanted; without it that of moim"),
        ("page", "Which page: protocol or configuration"),
    ],
};
