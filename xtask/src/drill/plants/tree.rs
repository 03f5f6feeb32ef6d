//! The copy of the tree that patches are applied to, and what is built of it. Its target folder is kept: all plants share it.
//! Not here: which patches there are (`table`), what is done with what was built (`trial`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fault::Fault;
use crate::process::{capture, stream};
use crate::workspace::Workspace;

use super::{PATCHES, Plant};

pub(super) struct Tree<'a> {
    workspace: &'a Workspace,
    home: PathBuf,
}

pub(super) fn patch_of(root: &Path, plant: &Plant) -> PathBuf {
    root.join(PATCHES).join(format!("{}.patch", plant.name))
}

impl<'a> Tree<'a> {
    pub(super) fn new(workspace: &'a Workspace) -> Self {
        Self { workspace, home: workspace.kept("plants") }
    }

    fn tree(&self) -> PathBuf {
        self.home.join("tree")
    }

    /// The copy is as the tree is now, without the rule of this plant.
    pub(super) fn become_of(&self, plant: Option<&Plant>) -> Result<(), Fault> {
        copy(self.workspace, &self.tree())?;
        let Some(plant) = plant else { return Ok(()) };
        let patch = patch_of(&self.workspace.root, plant);
        let mut apply = Command::new("git");
        // Not as a part of the repository around it, where git would skip what it ignores.
        apply.current_dir(self.tree()).env("GIT_CEILING_DIRECTORIES", &self.home);
        apply.args(["apply", "--whitespace=nowarn"]).arg(&patch);
        stream(&apply).map_err(|fault| {
            Fault::new(fault.what, format!("the code has moved on: make {} anew", patch.display()))
        })
    }

    /// Cargo in the copy.
    pub(super) fn cargo(&self) -> Command {
        let mut cargo = self.workspace.cargo();
        // Each plant is built once and runs for a minute: what is kept for the next build would only take room, and time, and so
        // would optimising. What it is linked with stays as it is, and is built for the first plant only.
        cargo.current_dir(self.tree()).env("CARGO_TARGET_DIR", self.target()).env("CARGO_INCREMENTAL", "0");
        cargo.env("CARGO_PROFILE_DEV_OPT_LEVEL", "0").env("CARGO_PROFILE_DEV_DEBUG", "false");
        cargo
    }

    fn target(&self) -> PathBuf {
        self.home.join("target")
    }

    /// Where a built moim is.
    pub(super) fn moim(&self) -> PathBuf {
        self.target().join("debug").join("moim")
    }
}

/// Every file that git knows or would take, as it is now. What is the same is left alone, so that little is built again.
fn copy(workspace: &Workspace, tree: &Path) -> Result<(), Fault> {
    let listed = capture(workspace.command("git").args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]))?;
    for name in listed.split('\0').filter(|name| !name.is_empty()) {
        let (from, to) = (workspace.root.join(name), tree.join(name));
        let Ok(bytes) = fs::read(&from) else {
            // Deleted here and not committed.
            fs::remove_file(&to).ok();
            continue;
        };
        if fs::read(&to).is_ok_and(|there| there == bytes) {
            continue;
        }
        let write = || {
            fs::create_dir_all(to.parent().unwrap_or(tree))?;
            fs::write(&to, &bytes)
        };
        write().map_err(Fault::io(format!("write {}", to.display())))?;
    }
    Ok(())
}
