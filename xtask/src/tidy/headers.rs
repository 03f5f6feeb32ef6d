//! Every source file opens with what it owns, and every Rust file of the product with what is not in it.
//! Not here: doc comments of items (the `missing_docs` lint).

use super::finding::Finding;
use super::tree::Tree;

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let rust = tree.rust_files().filter(|file| is_ours(file.path)).filter_map(|file| {
        let header: Vec<_> = file.text.lines().take_while(|line| line.starts_with("//!")).collect();
        if header.is_empty() {
            return Some(missing(file.path, "the file does not open with `//!`", "`//!` comment"));
        }
        let needs_border = !file.is_test && !file.is_example;
        let has_border = header.iter().any(|line| line.contains("Not here"));
        (needs_border && !has_border).then(|| Finding {
            path: file.path.to_owned(),
            line: header.len(),
            what: "the header does not say what is \"Not here\"".to_owned(),
            why: "a file keeps to its subject when it names what belongs elsewhere",
            instead: "add a line `//! Not here: …`, naming the neighbours and what they own".to_owned(),
        })
    });
    let js = tree.files().iter().filter(|file| is_our_js(&file.path)).filter_map(|file| {
        let code = if file.text.starts_with("#!") { file.text.split_once('\n')?.1 } else { &file.text };
        let has_header = code.starts_with("//") || code.starts_with("/*");
        (!has_header).then(|| missing(&file.path, "the file does not open with a comment", "comment"))
    });
    rust.chain(js).collect()
}

fn missing(path: &str, what: &str, comment: &str) -> Finding {
    Finding {
        path: path.to_owned(),
        line: 1,
        what: what.to_owned(),
        why: "a reader must know from the first lines whether this is the file they look for",
        instead: format!("open with a {comment}: one sentence what the file owns, one what is not here"),
    }
}

pub(crate) fn is_ours(path: &str) -> bool {
    ["crates/", "loadtest/", "xtask/"].iter().any(|folder| path.starts_with(folder))
}

/// JavaScript of the client and of the pages that a crate serves from its folder `web`.
pub(crate) fn is_our_js(path: &str) -> bool {
    let is_web = path.starts_with("crates/") && path.split('/').nth(2) == Some("web");
    let is_js = [".js", ".mjs", ".cjs"].iter().any(|ending| path.ends_with(ending));
    is_js && (is_web || path.starts_with("clients/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finding::brief;

    #[test]
    fn a_file_without_a_header_is_found() {
        let tree = Tree::of(&[
            ("crates/a/src/lib.rs", "use std::fs;\n//! late\n"),
            ("crates/a/web/page.js", "let x = 1;\n"),
            ("clients/js/src/a.js", "export let x = 1; // late\n"),
            ("clients/js/bin/b.mjs", "#!/usr/bin/env node\n// The tool.\n"),
        ]);
        assert_eq!(
            brief(&check(&tree)),
            [
                "crates/a/src/lib.rs:1: the file does not open with `//!`",
                "clients/js/src/a.js:1: the file does not open with a comment",
                "crates/a/web/page.js:1: the file does not open with a comment",
            ]
        );
    }

    #[test]
    fn a_header_names_what_is_not_here_but_in_tests_and_examples() {
        let tree = Tree::of(&[
            ("crates/a/src/lib.rs", "//! Rooms.\n//! Fast ones.\n\nfn a() {}\n// Not here, too late\n"),
            ("crates/a/src/room.rs", "//! Rooms.\n//! Not here: sockets.\n"),
            ("crates/a/tests/rooms.rs", "//! Rooms, from outside.\n"),
            ("crates/a/examples/echo.rs", "//! Echoes.\n"),
        ]);
        assert_eq!(
            brief(&check(&tree)),
            ["crates/a/src/lib.rs:2: the header does not say what is \"Not here\""]
        );
    }
}
