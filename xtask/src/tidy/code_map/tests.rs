//! Faults planted one at a time in a small workspace whose code map is right.
//! Not here: how the table is read.

use super::*;
use crate::tidy::finding::brief;

const ROOT: &str =
    "[workspace]\nmembers = [\n\"crates/low\",\n\"crates/high\",\n\"crates/top\",\n\"tool\",\n]\n";
const MAP: &str = "## Code map\n\
    | crate | owns | may use of ours | vendor allowed only here |\n|---|---|---|---|\n\
    | `low` | words | - | `serde_json` |\n\
    | `high` | deeds | `low` | - |\n\
    | `top` | the binary | all | `clap` |\n\
    | `tool` | checks | - | - |\n";

/// The workspace with the right manifests, after `change` has been at the files.
fn found(change: impl Fn(&mut Vec<(&str, String)>)) -> Vec<String> {
    let manifest = |name: &str, rest: &str| format!("[package]\nname = \"{name}\"\n[dependencies]\n{rest}");
    let mut files = vec![
        ("Cargo.toml", ROOT.to_owned()),
        (README, MAP.to_owned()),
        ("crates/low/Cargo.toml", manifest("low", "serde_json = \"1\"\n")),
        ("crates/high/Cargo.toml", manifest("high", "low = { path = \"../low\" }\n")),
        (
            "crates/top/Cargo.toml",
            manifest("top", "clap = \"4\"\nlow.workspace = true\nhigh.workspace = true\n"),
        ),
        ("tool/Cargo.toml", manifest("the-tool", "clap = \"4\"\nserde_json = \"1\"\n")),
    ];
    change(&mut files);
    let files: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    brief(&check(&Tree::of(&files)))
}

fn edit(files: &mut [(&str, String)], path: &str, from: &str, to: &str) {
    let (_, text) = files.iter_mut().find(|(name, _)| *name == path).unwrap();
    assert!(text.contains(from), "{path} has no {from}");
    *text = text.replace(from, to);
}

#[test]
fn a_right_map_is_left_alone() {
    assert_eq!(found(|_| {}), [""; 0]);
}

#[test]
fn no_map_is_found() {
    let none = found(|files| files.retain(|(path, _)| *path != README));
    assert_eq!(none, ["crates/README.md:1: there is no crates/README.md"]);
}

#[test]
fn a_crate_of_ours_that_the_row_does_not_name_is_found() {
    let found = found(|files| edit(files, README, "| `low` | - |", "| - | - |"));
    assert_eq!(found, ["crates/high/Cargo.toml:4: `high` may not use `low`"]);
}

#[test]
fn an_arrow_to_a_higher_layer_is_found() {
    let found = found(|files| {
        edit(files, "Cargo.toml", "\"crates/low\",\n\"crates/high\",", "\"crates/high\",\n\"crates/low\",");
    });
    assert_eq!(
        found,
        [
            "crates/README.md:5: the row of `high` allows `low`, which is no member listed before it",
            "crates/high/Cargo.toml:4: `high` uses `low`, which comes later in the workspace",
        ]
    );
}

#[test]
fn even_all_ends_at_the_own_layer() {
    let found = found(|files| {
        edit(files, "Cargo.toml", "\"crates/high\",\n\"crates/top\",", "\"crates/top\",\n\"crates/high\",");
    });
    assert_eq!(found, ["crates/top/Cargo.toml:6: `top` uses `high`, which comes later in the workspace"]);
}

#[test]
fn a_vendor_outside_its_fence_is_found() {
    let found = found(|files| edit(files, "crates/high/Cargo.toml", "low =", "serde_json = \"1\"\nlow ="));
    assert_eq!(found, ["crates/high/Cargo.toml:4: `high` may not depend on `serde_json`: only `low` may"]);
}

#[test]
fn a_vendor_may_be_used_by_tests_anywhere() {
    let found = found(|files| {
        edit(files, "crates/high/Cargo.toml", "[dep", "[dev-dependencies]\nserde_json = \"1\"\n[dep");
    });
    assert_eq!(found, [""; 0]);
}

#[test]
fn a_fence_around_nothing_is_found() {
    let found = found(|files| edit(files, README, "`clap`", "`clasp`"));
    assert_eq!(found, ["crates/README.md:6: `clasp` is fenced into `top`, which does not depend on it"]);
}

#[test]
fn members_and_rows_must_match() {
    let missing = found(|files| edit(files, README, "| `tool` | checks | - | - |\n", ""));
    assert_eq!(missing, ["Cargo.toml:6: member `the-tool` is not in the code map"]);
    let unknown = found(|files| edit(files, README, "| `tool`", "| `gone` | x | - | - |\n| `the-tool`"));
    assert_eq!(unknown, ["crates/README.md:7: `gone` is in the code map, but is no member of the workspace"]);
    let twice = found(|files| edit(files, README, "| `tool`", "| `the-tool` | x | - | - |\n| `tool`"));
    assert_eq!(twice, ["crates/README.md:8: `tool` is in the code map twice"]);
}
