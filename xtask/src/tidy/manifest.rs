//! The workspace's manifests, reduced to what rules ask: who the members are, in order, and what each depends on.
//! Not here: versions and features.

use toml::de::{DeTable, DeValue};

use super::finding::Finding;
use super::tree::{File, Tree, line_of};

pub(crate) struct Manifests {
    /// In the order of the workspace, which is made by hand: lower layers first.
    pub(crate) members: Vec<Member>,
    /// What could not be read.
    pub(crate) findings: Vec<Finding>,
}

pub(crate) struct Member {
    pub(crate) package: String,
    /// `crates/moim-core`
    pub(crate) folder: String,
    /// Where the workspace lists it.
    pub(crate) listed_on: usize,
    pub(crate) dependencies: Vec<Dependency>,
}

pub(crate) struct Dependency {
    /// The name of the package, also where the manifest gives it another.
    pub(crate) package: String,
    pub(crate) line: usize,
    pub(crate) is_dev: bool,
}

impl Member {
    pub(crate) fn manifest(&self) -> String {
        format!("{}/Cargo.toml", self.folder)
    }

    /// The name of its folder, by which the code map may call it as well.
    pub(crate) fn short(&self) -> &str {
        self.folder.rsplit('/').next().unwrap_or(&self.folder)
    }

    /// What the built crate contains; what only its tests use is free.
    pub(crate) fn shipped(&self) -> impl Iterator<Item = &Dependency> {
        self.dependencies.iter().filter(|dependency| !dependency.is_dev)
    }
}

impl Manifests {
    pub(crate) fn read(tree: &Tree) -> Self {
        let mut manifests = Self { members: Vec::new(), findings: Vec::new() };
        if let Err(finding) = manifests.read_workspace(tree) {
            manifests.findings.push(finding);
        }
        manifests
    }

    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.members.iter().position(|member| member.package == name || member.short() == name)
    }

    fn read_workspace(&mut self, tree: &Tree) -> Result<(), Finding> {
        let root = file(tree, "Cargo.toml")?;
        let table = parse(root)?;
        let workspace = table.get("workspace").and_then(|value| value.get_ref().as_table());
        let listed = workspace.and_then(|workspace| workspace.get("members")?.get_ref().as_array());
        let Some(listed) = listed else {
            return Err(unreadable("Cargo.toml", 1, "no list `members` in [workspace]"));
        };
        let shared = workspace.and_then(|workspace| workspace.get("dependencies")?.get_ref().as_table());
        for entry in listed.iter() {
            let Some(folder) = entry.get_ref().as_str() else { continue };
            let listed_on = line_of(&root.text, entry.span().start);
            match member(tree, folder, listed_on, shared) {
                Ok(member) => self.members.push(member),
                Err(finding) => self.findings.push(finding),
            }
        }
        Ok(())
    }
}

fn member(
    tree: &Tree,
    folder: &str,
    listed_on: usize,
    shared: Option<&DeTable<'_>>,
) -> Result<Member, Finding> {
    let path = format!("{folder}/Cargo.toml");
    let file = file(tree, &path).map_err(|finding| Finding { line: listed_on, ..finding })?;
    let table = parse(file)?;
    let package = table.get("package").and_then(|value| value.get_ref().get("name")?.get_ref().as_str());
    let Some(package) = package else { return Err(unreadable(&path, 1, "no `name` in [package]")) };
    let platforms = table.get("target").and_then(|value| value.get_ref().as_table());
    let platforms = platforms.into_iter().flat_map(|targets| targets.values());
    let platforms = platforms.filter_map(|platform| platform.get_ref().as_table());
    let mut dependencies = Vec::new();
    for table in std::iter::once(&table).chain(platforms) {
        for (section, is_dev) in
            [("dependencies", false), ("build-dependencies", false), ("dev-dependencies", true)]
        {
            let Some(section) = table.get(section).and_then(|value| value.get_ref().as_table()) else {
                continue;
            };
            dependencies.extend(section.iter().map(|(key, value)| {
                let name = key.get_ref().as_ref();
                let renamed =
                    package_name(value.get_ref()).or_else(|| package_name(shared?.get(name)?.get_ref()));
                let package = renamed.unwrap_or(name).to_owned();
                Dependency { package, line: line_of(&file.text, key.span().start), is_dev }
            }));
        }
    }
    Ok(Member { package: package.to_owned(), folder: folder.to_owned(), listed_on, dependencies })
}

/// `package = "…"` of a dependency that goes by another name.
fn package_name<'v>(dependency: &'v DeValue<'_>) -> Option<&'v str> {
    dependency.get("package")?.get_ref().as_str()
}

fn file<'t>(tree: &'t Tree, path: &str) -> Result<&'t File, Finding> {
    tree.file(path).ok_or_else(|| unreadable("Cargo.toml", 1, &format!("there is no {path}")))
}

fn parse(file: &File) -> Result<DeTable<'_>, Finding> {
    DeTable::parse(&file.text).map(toml::Spanned::into_inner).map_err(|error| {
        let line = line_of(&file.text, error.span().map_or(0, |span| span.start));
        unreadable(&file.path, line, error.message())
    })
}

fn unreadable(path: &str, line: usize, what: &str) -> Finding {
    Finding {
        path: path.to_owned(),
        line,
        what: what.to_owned(),
        why: "the layers are read from the manifests of the members",
        instead: "list each member's folder by name in `members`, with a Cargo.toml that cargo can read"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finding::brief;

    #[test]
    fn members_and_dependencies_are_read_with_their_lines() {
        let tree = Tree::of(&[
            (
                "Cargo.toml",
                "[workspace]\nmembers = [\n  \"crates/b\",\n]\n[workspace.dependencies]\nvendor = { package = \"other\" }\n",
            ),
            (
                "crates/b/Cargo.toml",
                "[package]\nname = \"b\"\n[dependencies]\nvendor.workspace = true\nmine = { package = \"a\" }\n\
                 [target.'cfg(unix)'.dependencies]\nlibc = \"0.2\"\n[dev-dependencies]\ntempfile = \"3\"\n",
            ),
        ]);
        let manifests = Manifests::read(&tree);
        assert!(manifests.findings.is_empty(), "{:?}", brief(&manifests.findings));
        let member = &manifests.members[0];
        assert_eq!((member.package.as_str(), member.listed_on), ("b", 3));
        let mut seen: Vec<_> =
            member.dependencies.iter().map(|d| (d.line, d.package.as_str(), d.is_dev)).collect();
        seen.sort_unstable();
        assert_eq!(seen, [(4, "other", false), (5, "a", false), (7, "libc", false), (9, "tempfile", true)]);
    }

    #[test]
    fn what_cannot_be_read_is_found() {
        let tree = Tree::of(&[
            ("Cargo.toml", "[workspace]\nmembers = [\"crates/*\",\n\"crates/a\"]\n"),
            ("crates/a/Cargo.toml", "[package]\nname = \n"),
        ]);
        let found = brief(&Manifests::read(&tree).findings);
        assert_eq!(found[0], "Cargo.toml:2: there is no crates/*/Cargo.toml");
        assert!(found[1].starts_with("crates/a/Cargo.toml:2: "), "{found:?}");
    }
}
