//! The command line as people meet it: the built program, its words and its exit status.
//! Not here: serving (the gateway's tests), each rule of a setting (unit tests in `src/config`).
//!
//! Words are compared with the files in `golden`; `UPDATE_GOLDEN=1 cargo test -p moim --test cli` writes them anew.

#![allow(clippy::unwrap_used, reason = "a test's helpers are tests, which clippy does not see")]

use std::{
    env, fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output},
    thread,
    time::{Duration, Instant},
};

use moim_store_fjall::{EmbeddedConfig, EmbeddedStore};
use serde_json::Value;

/// A folder to run in, so that files have short names and nothing of this machine is told.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn with_file(text: &str) -> Self {
        let place = Self::new();
        fs::write(place.folder.path().join("moim.toml"), text).unwrap();
        place
    }

    fn moim(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        self.command(arguments, variables).output().unwrap()
    }

    fn command(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_moim"));
        for (name, _) in
            env::vars_os().filter(|(name, _)| name.to_string_lossy().to_uppercase().starts_with("MOIM"))
        {
            command.env_remove(name);
        }
        for name in ["COLUMNS", "CLICOLOR_FORCE", "USER", "LOGNAME"] {
            command.env_remove(name);
        }
        command.env("MOIM_LANG", "en").args(arguments).envs(variables.iter().copied());
        command.current_dir(self.folder.path());
        command
    }
}

fn golden(name: &str, output: &Output, status: i32) {
    let text = format!(
        "exit status {}\n--- stdout\n{}--- stderr\n{}",
        output.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(status), "{text}");
    let file: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "tests", "golden", &format!("{name}.txt")].iter().collect();
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&file, &text).unwrap();
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    assert!(text == expected, "{} differs; UPDATE_GOLDEN=1 writes it anew. Now:\n{text}", shown(&file));
}

fn shown(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// In English and in Korean.
fn golden_in_both(
    place: &Place,
    name: &str,
    (arguments, variables): (&[&str], &[(&str, &str)]),
    status: i32,
) {
    golden(name, &place.moim(arguments, variables), status);
    let in_korean = [&[("MOIM_LANG", "ko")][..], variables].concat();
    golden(&format!("{name}_ko"), &place.moim(arguments, &in_korean), status);
}

#[test]
fn help_pages() {
    let place = Place::new();
    let help = |name, arguments: &[&str]| golden_in_both(&place, name, (arguments, &[]), 0);
    help("help", &["--help"]);
    help("help_short", &["-h"]);
    help("help_serve", &["serve", "--help"]);
    help("help_chat", &["chat", "--help"]);
    help("help_chat_short", &["chat", "-h"]);
    help("help_writer", &["writer", "--help"]);
    help("help_migrate", &["migrate", "--help"]);
    help("help_check_config", &["help", "check-config"]);
    help("help_config", &["config", "--help"]);
    help("help_healthcheck", &["healthcheck", "--help"]);
    help("help_completions", &["completions", "--help"]);
    help("help_man", &["man", "--help"]);
    help("help_reference", &["reference", "--help"]);
}

#[test]
fn the_language_is_that_of_the_system() {
    let place = Place::new();
    let korean = place.moim(&["--help"], &[("MOIM_LANG", "ko")]).stdout;
    let of_system = place.moim(
        &["--help"],
        &[("MOIM_LANG", ""), ("LC_ALL", ""), ("LC_MESSAGES", ""), ("LANG", "ko_KR.UTF-8")],
    );
    assert!(of_system.stdout == korean);
}

/// A shell's own check of the script is the proof; without the shell, that it speaks of our commands.
#[test]
fn completions_for_each_shell() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish"] {
        let output = place.moim(&["completions", shell], &[]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let script = String::from_utf8(output.stdout).unwrap();
        for word in ["healthcheck", "check-config", "history", "writer"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
        if shell == "bash" {
            let file = place.folder.path().join("moim.bash");
            fs::write(&file, &script).unwrap();
            let ask = format!(
                "source {}; COMP_WORDS=(moim mig); COMP_CWORD=1; _moim moim mig moim; echo \"${{COMPREPLY[*]}}\"",
                file.display()
            );
            let answer = Command::new("bash").args(["-c", &ask]).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&answer.stdout).trim(), "migrate", "{answer:?}");
        }
    }
}

#[test]
fn a_manual_page_for_each_command() {
    let place = Place::new();
    for (arguments, title, word) in [
        (&["man"][..], ".TH moim 1", "moim config > moim.toml"),
        (&["man", "chat"], ".TH moim-chat 1", "NO_COLOR"),
        (&["man", "check-config"], ".TH moim-check-config 1", "moim.toml"),
    ] {
        let output = place.moim(arguments, &[]);
        let page = String::from_utf8_lossy(&output.stdout).replace("\\-", "-");
        assert!(page.contains(title) && page.contains(word), "{page}");
    }
    golden_in_both(&place, "man_unknown", (&["man", "sevre"], &[]), 2);
}

#[test]
fn version() {
    let output = Place::new().moim(&["--version"], &[]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("moim {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn an_unknown_command_or_flag() {
    let place = Place::new();
    let usage = |name, arguments: &[&str]| golden_in_both(&place, name, (arguments, &[]), 2);
    usage("usage_command", &["serv"]);
    usage("usage_flag", &["--prot", "80"]);
    usage("usage_value", &["chat", "--history", "1000"]);
    usage("usage_value_missing", &["chat", "--name"]);
    usage("usage_missing", &["completions"]);
    usage("usage_page", &["reference", "protocl"]);
    usage("usage_url", &["chat", "--url", "ftp://chat.example.com"]);
}

#[test]
fn config_at_its_defaults() {
    golden_in_both(&Place::new(), "config_defaults", (&["config"], &[]), 0);
}

#[test]
fn config_tells_who_set_what() {
    let place = Place::with_file("[listen]\npublic = \"0.0.0.0:80\"\n\n[auth]\nmode = \"anonymous\"\n");
    let variables = [("MOIM__LISTEN__TRUSTED_PROXIES", "10.0.0.0/8,fd00::/8"), ("MOIM__LOG__FORMAT", "json")];
    let arguments = ["config", "--config", "moim.toml", "--data", "chat", "--log-format", "text"];
    golden_in_both(&place, "config_origins", (&arguments, &variables), 0);
}

#[test]
fn check_config_good() {
    let place = Place::with_file("[limits]\nconnections_max = 5\n");
    golden_in_both(&place, "check_good", (&["check-config", "--config", "moim.toml"], &[]), 0);
    golden_in_both(&place, "check_defaults", (&["check-config"], &[]), 0);
    golden("check_good_by_variable", &place.moim(&["check-config"], &[("MOIM_CONFIG", "moim.toml")]), 0);
}

#[test]
fn check_config_tells_all_faults_at_once() {
    let place = Place::with_file(concat!(
        "[listen]\n",
        "public = \"0.0.0.0:8765\"\n",
        "adress = \"127.0.0.1:1\"\n",
        "\n",
        "[limit]\n",
        "connections_max = 5\n",
        "\n",
        "[limits]\n",
        "max_connections = 5\n",
        "messages_per_second = \"100\"\n",
        "room_name_chars_max = 0\n",
        "\n",
        "[store]\n",
        "kind = \"embeded\"\n",
        "\n",
        "[bus]\n",
        "kind = \"kafka\"\n",
        "\n",
        "[writer]\n",
        "enabled = \"no\"\n",
    ));
    let variables = [
        ("MOIM__LIMITS__OUTBOX_BYTES_MAX", "1MB"),
        ("MOIM__LISTEN__TRUSTED_PROXY", "10.0.0.0/8"),
        ("MOIM_LOG_LEVEL", "debug"),
        ("MOIM__DRAIN__GRACE_SECONDS", "5"),
    ];
    let arguments =
        ["check-config", "--config", "moim.toml", "--ops-listen", "localhost:9765", "--log-format", "xml"];
    golden_in_both(&place, "check_all_faults", (&arguments, &variables), 78);
}

/// Each bus has its stores; what cannot work is told before anything starts, with what can.
#[test]
fn check_config_tells_which_store_goes_with_which_bus() {
    let place = Place::new();
    for (bus, store) in
        [("in-process", "embedded"), ("in-process", "memory"), ("redis", "cassandra"), ("redis", "none")]
    {
        let variables = [("MOIM__BUS__KIND", bus), ("MOIM__STORE__KIND", store)];
        let output = place.moim(&["check-config"], &variables);
        assert_eq!(output.status.code(), Some(0), "{bus} {store}: {output:?}");
    }
    for (bus, store) in
        [("redis", "embedded"), ("redis", "memory"), ("in-process", "cassandra"), ("in-process", "none")]
    {
        let variables = [("MOIM__BUS__KIND", bus), ("MOIM__STORE__KIND", store)];
        golden_in_both(&place, &format!("check_{bus}_{store}"), (&["check-config"], &variables), 78);
    }
    let default_store = [("MOIM__BUS__KIND", "redis")];
    golden_in_both(&place, "serve_redis_default_store", (&["serve"], &default_store), 78);
}

#[test]
fn check_config_tells_what_cannot_be_promised() {
    let variables = [
        ("MOIM__BUS__KIND", "redis"),
        ("MOIM__STORE__KIND", "none"),
        ("MOIM__ACK__LEVEL", "stored"),
        ("MOIM__NODE__ID", "node-1"),
    ];
    let place = Place::new();
    golden_in_both(&place, "check_promises", (&["check-config"], &variables), 78);
    let alone =
        [("MOIM__STORE__KIND", "memory"), ("MOIM__ACK__LEVEL", "stored"), ("MOIM__WRITER__ENABLED", "false")];
    golden_in_both(&place, "check_promises_alone", (&["check-config"], &alone), 78);
}

/// Faults that only the owner of a section can see, of each owner.
#[test]
fn check_config_tells_the_faults_of_servers_and_stores() {
    let place = Place::with_file(concat!(
        "[listen]\n",
        "ops = \"127.0.0.1:8765\"\n",
        "[auth]\n",
        "allowed_origins = [\"chat.example.com\"]\n",
        "[redis]\n",
        "urls = [\"redis://10.0.0.1:6379\", \"redis://10.0.0.2:6379\"]\n",
        "key_prefix = \"a b\"\n",
        "partitions = 5000\n",
        "ring_rows = 0\n",
        "room_idle_seconds = 1\n",
        "[embedded]\n",
        "path = \"\"\n",
        "cache_bytes = 1\n",
        "[memory]\n",
        "rows_per_room_max = 0\n",
        "bytes_max = 1\n",
        "[cassandra]\n",
        "contact_points = [\"10.0.0.1\"]\n",
        "keyspace = \"Moim\"\n",
        "datacenter = \"dc'1\"\n",
        "password = 7\n",
        "username = \"moim\"\n",
        "tls_cert_file = \"cert.pem\"\n",
        "read_timeout_millis = 1\n",
        "[log]\n",
        "level = \"info,moim=loud\"\n",
    ));
    let arguments = ["check-config", "--config", "moim.toml"];
    golden_in_both(&place, "check_servers", (&arguments, &[]), 78);
}

#[test]
fn writer_and_migrate_say_what_they_are_for() {
    let place = Place::new();
    golden_in_both(&place, "writer_in_process", (&["writer"], &[]), 78);
    let no_store = [("MOIM__BUS__KIND", "redis"), ("MOIM__STORE__KIND", "none")];
    golden_in_both(&place, "writer_no_store", (&["writer"], &no_store), 78);
    golden_in_both(&place, "migrate_embedded", (&["migrate"], &[]), 78);
    let cassandra = [
        ("MOIM__BUS__KIND", "redis"),
        ("MOIM__STORE__KIND", "cassandra"),
        ("MOIM__CASSANDRA__CONTACT_POINTS", "127.0.0.1:1"),
    ];
    let told = place.moim(&["migrate"], &cassandra);
    let text = String::from_utf8_lossy(&told.stderr);
    assert!(text.contains("moim: cannot connect to Cassandra at 127.0.0.1:1: "), "{text}");
    assert_eq!(told.status.code(), Some(1));
}

#[test]
fn check_config_of_a_file_that_is_not_there_or_not_toml() {
    let place = Place::with_file("[listen\npublic = 5\n");
    golden_in_both(&place, "check_no_file", (&["check-config"], &[("MOIM_CONFIG", "mion.toml")]), 78);
    golden_in_both(&place, "check_no_toml", (&["check-config", "--config", "moim.toml"], &[]), 78);
}

#[test]
fn the_open_network_must_be_asked_for_in_words() {
    let place = Place::new();
    golden_in_both(&place, "serve_open", (&["serve", "--listen", "0.0.0.0:8765"], &[]), 78);
    let asked =
        place.moim(&["check-config", "--listen", "0.0.0.0:8765"], &[("MOIM__AUTH__MODE", "anonymous")]);
    assert_eq!(asked.status.code(), Some(0), "{asked:?}");
}

#[test]
fn serve_says_which_address_is_in_use_and_what_changes_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (flag, other, key) in [("--listen", "--ops-listen", "public"), ("--ops-listen", "--listen", "ops")] {
        let output = Place::new().moim(&[flag, &address, other, "127.0.0.1:0"], &[]);
        let told = String::from_utf8_lossy(&output.stderr);
        let sentence = format!(
            "moim: listen.{key} = {address} is in use, perhaps by another moim; stop that, or choose"
        );
        assert!(told.contains(&sentence) && told.contains(&format!(" {flag}, ")), "{told}");
        assert_eq!(output.status.code(), Some(1));
    }
}

#[test]
fn serve_says_which_folder_it_cannot_use_and_what_changes_it() {
    let place = Place::with_file("");
    let output = place
        .moim(&["--data", "moim.toml/data", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"], &[]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("moim: cannot open the message store in moim.toml/data: "), "{told}");
    assert!(told.contains(" --data, MOIM__EMBEDDED__PATH or "), "{told}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn serve_says_that_another_moim_has_the_folder() {
    let place = Place::new();
    let _other = EmbeddedStore::open(EmbeddedConfig::at(place.folder.path().join("moim-data"))).unwrap();
    let output = place.moim(&["--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"], &[]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("in moim-data: another moim is running on this folder."), "{told}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn healthcheck_of_nobody() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let output = Place::new().moim(&["healthcheck", "--ops-listen", &free], &[]);
    assert!(String::from_utf8_lossy(&output.stderr).starts_with(&format!("moim: nothing listens at {free}")));
    assert_eq!(output.status.code(), Some(1));
    let faulty = Place::new().moim(&["healthcheck", "--ops-listen", "here"], &[]);
    assert_eq!(faulty.status.code(), Some(1), "a container's health has no other status");
}

/// A container's two outputs are one stream for whoever collects them.
#[test]
fn with_a_log_in_json_every_line_of_a_node_is_json() {
    let place = Place::new();
    let outputs = ["stdout", "stderr"].map(|name| place.folder.path().join(name));
    let [stdout, stderr] = outputs.clone().map(|path| fs::File::create(path).unwrap());
    let arguments = ["--log-format", "json", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"];
    let mut node = place.command(&arguments, &[]).stdout(stdout).stderr(stderr).spawn().unwrap();
    let said = || outputs.iter().map(|path| fs::read_to_string(path).unwrap()).collect::<String>();
    let patience = Instant::now() + Duration::from_secs(60);
    while !said().contains("\"listening\"") && Instant::now() < patience {
        thread::sleep(Duration::from_millis(20));
    }
    node.kill().unwrap();
    node.wait().unwrap();
    let lines: Vec<Value> = said().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let listening = lines.iter().find(|line| line["message"] == "listening").unwrap();
    assert!(listening["public"].as_str().unwrap().starts_with("127.0.0.1:"), "{listening}");
}
