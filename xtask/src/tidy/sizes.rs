//! No file over 500 lines, no function over 70: both are where a reader loses the thread.
//! Not here: clippy's `too_many_lines`, which counts code lines only; here a comment is a line as well.

use super::finding::Finding;
use super::headers::{is_our_js, is_ours};
use super::rust_text::{item_end, words};
use super::tree::{RustFile, Tree, line_of};

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let rust = || tree.rust_files().filter(|file| is_ours(file.path));
    let rust_files = rust().filter_map(|file| {
        let counted = &file.text[..file.views.trailing_tests().unwrap_or(file.text.len())];
        too_long(file.path, counted.lines().count(), " before its tests")
    });
    let js_files = tree.files().iter().filter(|file| is_our_js(&file.path));
    let js_files = js_files.filter_map(|file| too_long(&file.path, file.text.lines().count(), ""));
    let functions = rust().filter(|file| !file.is_test).flat_map(long_functions);
    rust_files.chain(js_files).chain(functions).collect()
}

fn too_long(path: &str, lines: usize, counted: &str) -> Option<Finding> {
    (lines > FILE_LINES_MAX).then(|| Finding {
        path: path.to_owned(),
        line: FILE_LINES_MAX + 1,
        what: format!("the file has {lines} lines{counted}, the limit is {FILE_LINES_MAX}"),
        why: "a file this long has more than one subject",
        instead: "name the second subject and give it a file of its own".to_owned(),
    })
}

fn long_functions(file: RustFile<'_>) -> Vec<Finding> {
    let code = &file.views.code;
    let long = words(code, "fn").filter_map(|start| {
        // Without a name it is a type: `fn(u8) -> u8`.
        let name = function_name(&code[start..])?;
        let end = item_end(code, start);
        let lines = code[start..end].lines().count();
        let is_fault = lines > FUNCTION_LINES_MAX && !file.views.is_test(start);
        is_fault.then(|| Finding {
            path: file.path.to_owned(),
            line: line_of(code, start),
            what: format!("function `{name}` has {lines} lines, the limit is {FUNCTION_LINES_MAX}"),
            why: "what does not fit on a screen cannot be checked at a glance",
            instead: "keep the control flow here and move the work of each branch into a function of its own"
                .to_owned(),
        })
    });
    long.collect()
}

fn function_name(code: &str) -> Option<&str> {
    let rest = code.strip_prefix("fn ")?;
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    (end > 0).then(|| &rest[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finding::brief;

    fn lines(count: usize) -> String {
        "// a line\n".repeat(count)
    }

    fn function(lines: usize) -> String {
        format!("fn long(\n    x: u8,\n) {{\n{}}}\n", "    f();\n".repeat(lines - 4))
    }

    #[test]
    fn the_501st_line_is_found() {
        let (ok, long) = (lines(500), lines(501));
        let tree = Tree::of(&[
            ("crates/a/src/ok.rs", &ok),
            ("crates/a/src/long.rs", &long),
            ("crates/a/tests/long.rs", &long),
            ("clients/js/long.js", &long),
            ("docs/long.js", &long),
        ]);
        assert_eq!(
            brief(&check(&tree)),
            [
                "crates/a/src/long.rs:501: the file has 501 lines before its tests, the limit is 500",
                "crates/a/tests/long.rs:501: the file has 501 lines before its tests, the limit is 500",
                "clients/js/long.js:501: the file has 501 lines, the limit is 500",
            ]
        );
    }

    #[test]
    fn trailing_tests_are_not_counted() {
        let text = format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", lines(500), lines(300));
        assert!(check(&Tree::of(&[("crates/a/src/lib.rs", &text)])).is_empty());
        let more = format!("{text}fn after() {{}}\n");
        assert_eq!(check(&Tree::of(&[("crates/a/src/lib.rs", &more)])).len(), 1);
    }

    #[test]
    fn the_71st_line_of_a_function_is_found() {
        let text = format!("type F = fn(u8);\n{}{}", function(70), function(71));
        let tree = Tree::of(&[("crates/a/src/lib.rs", &text)]);
        assert_eq!(
            brief(&check(&tree)),
            ["crates/a/src/lib.rs:72: function `long` has 71 lines, the limit is 70"]
        );
    }

    #[test]
    fn tests_may_be_long() {
        let inside = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", function(90));
        let outside = function(90);
        let tree = Tree::of(&[("crates/a/src/lib.rs", &inside), ("crates/a/tests/b.rs", &outside)]);
        assert!(check(&tree).is_empty());
    }
}
