//! `cargo xtask tidy`: the rules of this repository that no compiler and no lint knows, one file per rule.
//! Not here: formatting and lints (`cargo fmt`, `cargo clippy`), and anything that needs a build.

mod banned;
mod cancel_safety;
mod code_map;
mod finding;
mod headers;
mod machine_paths;
mod manifest;
mod metrics;
mod rust_text;
mod sizes;
mod tree;

use std::path::Path;

use crate::fault::Fault;
use finding::Finding;
use tree::Tree;

type Check = fn(&Tree) -> Vec<Finding>;

/// To add a rule: a file with a `check` beside the others, a line here, and a test with one planted fault.
const CHECKS: &[Check] = &[
    code_map::check,
    headers::check,
    sizes::check,
    banned::check,
    machine_paths::check,
    cancel_safety::check,
    metrics::check,
];

pub(crate) fn run(root: &Path) -> Result<(), Fault> {
    let tree = Tree::read(root)?;
    let findings = check(&tree);
    if findings.is_empty() {
        println!("tidy: {} files are in order", tree.files().len());
        return Ok(());
    }
    for finding in &findings {
        eprintln!("{finding}\n");
    }
    Err(Fault::plain(format!("tidy: {} findings", findings.len())))
}

fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings: Vec<Finding> = CHECKS.iter().flat_map(|check| check(tree)).collect();
    findings.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rules hold on this repository: here, so that a plain `cargo test` says so.
    #[test]
    fn this_repository_is_tidy() {
        let tree = Tree::read(&crate::workspace::root()).unwrap();
        let findings: Vec<String> = check(&tree).iter().map(Finding::to_string).collect();
        assert!(findings.is_empty(), "{} findings\n\n{}\n", findings.len(), findings.join("\n\n"));
    }
}
