//! Each banned call, planted where it is banned and where it is not.
//! Not here: how comments and strings are told from code.

use super::*;
use crate::tidy::finding::brief;

fn found(path: &str, text: &str) -> Vec<String> {
    brief(&check(&Tree::of(&[(path, text)])))
}

/// That `call` is found in `path`, and neither in a comment, a string or a test there.
fn assert_banned(path: &str, call: &str, word: &str) {
    let text = format!(
        "// {call}\nfn a() {{\n    let b = \"{call}\";\n    {call};\n}}\n#[cfg(test)]\nmod tests {{\n    fn c() {{ {call} }}\n}}\n"
    );
    assert_eq!(found(path, &text), [format!("{path}:4: `{word}` is not used here")]);
}

fn assert_free(path: &str, call: &str) {
    assert_eq!(found(path, &format!("fn a() {{ {call}; }}\n")), [""; 0]);
}

#[test]
fn queues_without_a_limit() {
    assert_banned("crates/moim-bus/src/lib.rs", "mpsc::unbounded_channel()", "unbounded_channel");
    assert_banned("xtask/src/main.rs", "std::sync::mpsc::channel(x)", "mpsc::channel");
    assert_banned("loadtest/src/main.rs", "mpsc::channel()", "mpsc::channel");
    assert_banned("loadtest/src/main.rs", "mpsc::channel::<Vec<u8>>()", "mpsc::channel");
    assert_free("crates/moim-bus/src/lib.rs", "mpsc::channel(limits::ROOM_INBOX_MAX)");
    assert_free("crates/moim-bus/src/lib.rs", "mpsc::channel::<u8>(4)");
}

#[test]
fn printing_in_a_library() {
    for (call, word) in [("println!(x)", "println!"), ("eprintln!(x)", "eprintln!"), ("print!(x)", "print!")]
    {
        assert_banned("crates/moim-gateway/src/lib.rs", call, word);
        for free in ["crates/moim/src/main.rs", "xtask/src/a.rs", "crates/moim-gateway/examples/echo.rs"] {
            assert_free(free, call);
        }
    }
}

#[test]
fn spawning_outside_the_gateway() {
    assert_banned("crates/moim/src/main.rs", "tokio::spawn(run)", "tokio::spawn");
    assert_banned("crates/moim-store/src/lib.rs", "tokio::task::spawn(run)", "task::spawn");
    assert_free("crates/moim-gateway/src/spawn.rs", "tokio::spawn(run)");
    assert_free("crates/moim-store-fjall/src/lib.rs", "tokio::task::spawn_blocking(run)");
    assert_free("loadtest/src/main.rs", "tokio::spawn(run)");
}

#[test]
fn clocks_where_time_is_an_argument() {
    assert_banned("crates/moim-core/src/room.rs", "Instant::now()", "Instant::now");
    assert_banned("crates/moim-protocol/src/id.rs", "std::time::SystemTime::now()", "SystemTime::now");
    assert_free("crates/moim-gateway/src/clock.rs", "Instant::now()");
}

#[test]
fn what_is_not_written_yet() {
    assert_banned("crates/moim/src/main.rs", "todo!()", "todo!");
    assert_banned("xtask/src/main.rs", "unimplemented!()", "unimplemented!");
    assert_banned("loadtest/src/main.rs", "dbg!(x)", "dbg!");
}

#[test]
fn test_files_are_free() {
    assert_free("crates/moim-core/tests/room.rs", "Instant::now(); println!(); tokio::spawn(x)");
}

#[test]
fn markup_from_text() {
    let found_in = |path| found(path, "// never innerHTML\na.innerHTML = b;\na.textContent = b;\n");
    for path in ["clients/js/src/a.js", "crates/moim-gateway/web/index.html"] {
        assert_eq!(found_in(path), [format!("{path}:2: `innerHTML` in a page or script")]);
    }
}

#[test]
fn promises_without_an_issue() {
    let rust = "// TODO: later\n// TODO(#12): later\nlet a = \"TODO\";\n";
    assert_eq!(found("crates/a/src/lib.rs", rust), ["crates/a/src/lib.rs:1: `TODO` without an issue"]);
    assert_eq!(found("deploy/a.yml", "a: b\n# FIXME\n"), ["deploy/a.yml:2: `FIXME` without an issue"]);
}

#[test]
fn an_async_runtime_in_the_core() {
    let tree = Tree::of(&[
        ("Cargo.toml", "[workspace]\nmembers = [\"crates/moim-core\", \"crates/moim-bus\"]\n"),
        (
            "crates/moim-core/Cargo.toml",
            "[package]\nname = \"moim-core\"\n[dev-dependencies]\ntokio = \"1\"\n",
        ),
        ("crates/moim-bus/Cargo.toml", "[package]\nname = \"moim-bus\"\n[dependencies]\ntokio = \"1\"\n"),
    ]);
    assert_eq!(brief(&check(&tree)), ["crates/moim-core/Cargo.toml:4: `moim-core` depends on `tokio`"]);
}
