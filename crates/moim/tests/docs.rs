//! The committed reference pages are what the code makes.
//! Not here: whether they are true (the tests of what they tell of).

#![allow(clippy::unwrap_used, reason = "a test's helpers are tests, which clippy does not see")]

use std::{fs, path::Path, process::Command};

fn made(page: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_moim")).args(["reference", page]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_reference_is_what_the_code_makes() {
    for page in ["protocol", "configuration"] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(format!("{page}.md"));
        let committed = fs::read_to_string(&file).unwrap_or_default();
        assert!(
            committed == made(page),
            "docs/{page}.md is not what the code makes; `cargo xtask docs` writes it anew"
        );
    }
}

/// The words are the code's, but the table must not have lost a row: what people look for is there.
#[test]
fn the_reference_names_what_there_is() {
    let protocol = made("protocol");
    for word in ["`client_id_reused`", "| 1013 | slow reader |", "\"recovered\":true", "\"type\":\"ping\""] {
        assert!(protocol.contains(word), "{word}");
    }
    let configuration = made("configuration");
    for word in
        ["MOIM__LIMITS__CONNECTIONS_MAX", "| 128 to 67108864 |", "## [cassandra]", "`\"127.0.0.1:8765\"`"]
    {
        assert!(configuration.contains(word), "{word}");
    }
}
