//! No path of one machine in any file: it would be wrong on every other.
//! Not here: paths in what a program prints at run time.

use super::finding::Finding;
use super::tree::Tree;

/// The folders that people and build machines keep their work in.
const FOLDERS: [&str; 3] = ["work", "root", "home"];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files() {
        for (index, line) in file.text.lines().enumerate() {
            // Put together here, so that this file passes its own check.
            let paths = FOLDERS.map(|folder| format!("/{folder}/"));
            if let Some(path) = paths.into_iter().find(|path| is_absolute(line, path)) {
                findings.push(Finding {
                    path: file.path.clone(),
                    line: index + 1,
                    what: format!("an absolute path below {path}"),
                    why: "the folder exists on one machine only, and tells whose",
                    instead: "a path from the root of the repository, or a variable such as CARGO_TARGET_DIR or HOME"
                        .to_owned(),
                });
            }
        }
    }
    findings
}

/// Whether `path` begins a path in `line`, and is not the middle of a longer one or of an address.
fn is_absolute(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(offset, _)| {
        let before = line[..offset].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "._-~*})".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finding::brief;

    #[test]
    fn a_path_of_one_machine_is_found_in_any_file() {
        for folder in FOLDERS {
            let text = format!("# fine\nlog = \"/{folder}/me/log\"\n");
            let tree = Tree::of(&[("deploy/moim.toml", &text)]);
            assert_eq!(
                brief(&check(&tree)),
                [format!("deploy/moim.toml:2: an absolute path below /{folder}/")]
            );
        }
    }

    #[test]
    fn the_middle_of_a_path_or_address_is_none() {
        let text = "https://example.org/home/x ../work/x $HOME/work/x ${ROOT}/root/x ~/work/x /workers/x";
        assert!(check(&Tree::of(&[("README.md", text)])).is_empty());
    }
}
