//! The text files of the repository, read once, with what kind each is.
//! Not here: what is looked for in them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::rust_text::RustText;
use crate::fault::Fault;
use crate::process;

pub(crate) struct File {
    /// From the root of the repository, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
    /// For `.rs` files.
    rust: Option<RustText>,
}

/// A Rust file with the views that rules are written against.
#[derive(Clone, Copy)]
pub(crate) struct RustFile<'t> {
    pub(crate) path: &'t str,
    pub(crate) text: &'t str,
    pub(crate) views: &'t RustText,
    /// The whole file is test code: below `tests/` or `benches/`, or declared under `#[cfg(test)]`.
    pub(crate) is_test: bool,
    /// A program that shows how something is used: below `examples/`.
    pub(crate) is_example: bool,
}

pub(crate) struct Tree {
    files: Vec<File>,
    test_modules: BTreeSet<String>,
}

impl Tree {
    /// What git tracks or would track: ignored files are nobody's to keep tidy.
    pub(crate) fn read(root: &Path) -> Result<Self, Fault> {
        let mut git = Command::new("git");
        // Set when git runs us from a hook, and then it means another tree than `root`.
        for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            git.env_remove(variable);
        }
        let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
        let listed = process::capture(git.args(list).current_dir(root))?;
        let mut files = Vec::new();
        for path in listed.split('\0').filter(|path| !path.is_empty()) {
            // Deleted but not committed yet, or a link or folder (a submodule): nothing to read.
            let full = root.join(path);
            if !full.symlink_metadata().is_ok_and(|meta| meta.is_file()) {
                continue;
            }
            let bytes = fs::read(&full).map_err(Fault::io(format!("read {path}")))?;
            // No text, no rules: pictures and the like.
            if let Some(text) = String::from_utf8(bytes).ok().filter(|text| !text.contains('\0')) {
                files.push((path.to_owned(), text));
            }
        }
        Ok(Self::from_files(files))
    }

    fn from_files(files: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut files: Vec<File> = files
            .into_iter()
            .map(|(path, text)| {
                let rust = path.ends_with(".rs").then(|| RustText::new(&text));
                File { path, text, rust }
            })
            .collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let test_modules = files.iter().flat_map(test_modules).collect();
        Self { files, test_modules }
    }

    /// A repository made of these files only, for tests that plant a fault.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        Self::from_files(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())))
    }

    pub(crate) fn files(&self) -> &[File] {
        &self.files
    }

    pub(crate) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    pub(crate) fn rust_files(&self) -> impl Iterator<Item = RustFile<'_>> {
        self.files.iter().filter_map(|file| {
            let views = file.rust.as_ref()?;
            let below = |folder: &str| file.path.rsplit('/').skip(1).any(|part| part == folder);
            let is_test = below("tests") || below("benches") || self.test_modules.contains(&file.path);
            let is_example = below("examples");
            Some(RustFile { path: &file.path, text: &file.text, views, is_test, is_example })
        })
    }
}

/// The files of `#[cfg(test)] mod name;` in `file`, both places they may be.
fn test_modules(file: &File) -> Vec<String> {
    let Some(views) = &file.rust else { return Vec::new() };
    let stem = file.path.trim_end_matches(".rs");
    let (parent, name) = stem.rsplit_once('/').unwrap_or(("", stem));
    let folder = if matches!(name, "lib" | "main" | "mod") { parent } else { stem };
    let places = |module: &str| [format!("{folder}/{module}.rs"), format!("{folder}/{module}/mod.rs")];
    views.test_modules().into_iter().flat_map(places).collect()
}

/// The folder of the workspace member that `path` is in: `crates/name`, or the first folder.
pub(crate) fn member(path: &str) -> &str {
    let depth = if path.starts_with("crates/") { 2 } else { 1 };
    path.match_indices('/').nth(depth - 1).map_or(path, |(end, _)| &path[..end])
}

/// The number, from 1, of the line that the byte at `offset` is on.
pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset].iter().filter(|byte| **byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_a_test_by_its_place_or_by_its_declaration() {
        let tree = Tree::of(&[
            ("crates/a/src/lib.rs", "mod room;\n#[cfg(test)]\nmod fixtures;\n"),
            ("crates/a/src/fixtures.rs", ""),
            ("crates/a/src/room.rs", "#[cfg(test)]\nmod splice_tests;\n"),
            ("crates/a/src/room/splice_tests.rs", ""),
            ("crates/a/tests/all/main.rs", ""),
            ("crates/a/examples/echo.rs", ""),
        ]);
        let kinds: Vec<_> =
            tree.rust_files().map(|file| (file.path, file.is_test, file.is_example)).collect();
        assert_eq!(
            kinds,
            [
                ("crates/a/examples/echo.rs", false, true),
                ("crates/a/src/fixtures.rs", true, false),
                ("crates/a/src/lib.rs", false, false),
                ("crates/a/src/room.rs", false, false),
                ("crates/a/src/room/splice_tests.rs", true, false),
                ("crates/a/tests/all/main.rs", true, false),
            ]
        );
    }

    #[test]
    fn what_git_ignores_is_not_read() {
        let root = std::env::temp_dir().join(format!("xtask-tree-{}", std::process::id()));
        fs::create_dir_all(root.join("target")).unwrap();
        for (name, text) in [(".gitignore", "/target\n"), ("a.rs", "//! a\n"), ("target/b.rs", "//! b\n")] {
            fs::write(root.join(name), text).unwrap();
        }
        fs::write(root.join("picture.png"), b"\x89PNG\0").unwrap();
        process::capture(Command::new("git").args(["init", "--quiet"]).current_dir(&root)).unwrap();
        let tree = Tree::read(&root).unwrap();
        fs::remove_dir_all(&root).unwrap();
        let paths: Vec<_> = tree.files().iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, [".gitignore", "a.rs"]);
    }

    #[test]
    fn the_member_is_read_off_the_path() {
        assert_eq!(member("crates/moim-core/src/lib.rs"), "crates/moim-core");
        assert_eq!(member("xtask/src/main.rs"), "xtask");
    }
}
