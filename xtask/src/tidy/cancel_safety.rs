//! Public async functions at the seams say what happens when their future is dropped half-way.
//! Not here: trait methods that return a boxed future; what they promise is written on the trait.

use super::finding::Finding;
use super::tree::{RustFile, Tree, line_of, member};

const CRATES: [&str; 3] = ["crates/moim-gateway", "crates/moim-bus", "crates/moim-store"];
const HEADING: &str = "# Cancel safety";

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let files = tree.rust_files().filter(|file| CRATES.contains(&member(file.path)));
    // A conformance suite runs to its end inside a test: nobody races it in a select.
    let files = files.filter(|file| !file.is_test && !file.is_example && !file.path.contains("/conformance"));
    files.flat_map(silent_functions).collect()
}

fn silent_functions(file: RustFile<'_>) -> Vec<Finding> {
    let silent = file.views.words("pub async fn").filter_map(|start| {
        let line = line_of(file.text, start);
        let name: String = file.text[start + "pub async fn ".len()..]
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        (!doc_above(file.text, line).any(|doc| doc.trim_start_matches('/').trim() == HEADING)).then(|| Finding {
            path: file.path.to_owned(),
            line,
            what: format!("`pub async fn {name}` does not say whether it is cancel safe"),
            why: "callers drop futures half-way (select, timeout, shutdown) and must know what is lost then",
            instead: format!("add `/// {HEADING}` to its doc comment, with what a dropped future leaves behind"),
        })
    });
    silent.collect()
}

/// The doc comment above `line`, from the bottom up; attributes, also long ones, are passed over.
fn doc_above(text: &str, line: usize) -> impl Iterator<Item = &str> {
    let above: Vec<_> = text.lines().take(line - 1).map(str::trim).collect();
    let is_other_item =
        |line: &str| line.is_empty() || !line.starts_with("//") && line.ends_with(['{', '}', ';']);
    above
        .into_iter()
        .rev()
        .take_while(move |line| !is_other_item(line))
        .filter(|line| line.starts_with("///"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finding::brief;

    const SAFE: &str = "/// Waits.\n///\n/// # Cancel safety\n/// Safe: nothing is taken.\n#[expect(\n    x,\n    reason = \"y\"\n)]\npub async fn wait() {}\n";

    #[test]
    fn a_public_async_function_without_the_heading_is_found() {
        let text = format!("{SAFE}/// Runs.\npub async fn run() {{}}\npub(crate) async fn inner() {{}}\n");
        let tree = Tree::of(&[
            ("crates/moim-gateway/src/lib.rs", &text),
            ("crates/moim-core/src/lib.rs", &text),
            ("crates/moim-bus/src/conformance.rs", &text),
            ("crates/moim-gateway/tests/a.rs", &text),
        ]);
        assert_eq!(
            brief(&check(&tree)),
            ["crates/moim-gateway/src/lib.rs:11: `pub async fn run` does not say whether it is cancel safe"]
        );
    }

    #[test]
    fn the_heading_of_another_function_does_not_count() {
        let text = format!("{SAFE}\npub async fn bare() {{}}\n");
        assert_eq!(check(&Tree::of(&[("crates/moim-store/src/lib.rs", &text)])).len(), 1);
    }
}
