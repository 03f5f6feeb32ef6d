//! Planted faults: patches that each leave out one rule of the design. A drill that does not catch one proves nothing there.
//! Not here: the patches (`xtask/plants`), what judges (`moim-loadtest check`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fault::Fault;
use crate::process::{capture, stream};
use crate::workspace::Workspace;

const PATCHES: &str = "xtask/plants";

/// One of them.
pub(crate) struct Plant {
    /// Also the name of its patch.
    pub(crate) name: &'static str,
    /// The rule that it leaves out.
    pub(crate) rule: &'static str,
    /// The fault under which that must show.
    pub(crate) shows_under: &'static str,
}

#[rustfmt::skip] // one line a plant reads as the table it is
pub(crate) const PLANTS: &[Plant] = &[
    Plant { name: "client-id-unscoped",  rule: "a clientId belongs to its sender",                          shows_under: "none" },
    Plant { name: "no-duplicate-check",  rule: "the same clientId is the same message",                     shows_under: "gateway-kill" },
    Plant { name: "no-hole-filling",     rule: "a hole is filled before anything is delivered on",          shows_under: "pubsub-cut" },
    Plant { name: "no-hand-in",          rule: "what Redis has lost is handed in from the gateways' tails", shows_under: "redis-wipe-unstored" },
    Plant { name: "ring-by-length",      rule: "the ring never drops what is not stored",                   shows_under: "holder-kill" },
    Plant { name: "no-generation-check", rule: "a script reads the replication id itself",                  shows_under: "replica-failover-alive" },
];

/// The plants of these names, or all of them.
pub(crate) fn chosen(names: &[String]) -> Result<Vec<&'static Plant>, Fault> {
    if names.iter().any(|name| name == "all") {
        return Ok(PLANTS.iter().collect());
    }
    let named = |name: &String| {
        PLANTS.iter().find(|plant| plant.name == name).ok_or_else(|| {
            let names: Vec<_> = PLANTS.iter().map(|plant| plant.name).collect();
            Fault::new(
                format!("no plant is called {name}"),
                format!("`all`, or some of {}", names.join(", ")),
            )
        })
    };
    names.iter().map(named).collect()
}

/// Copies the tree, leaves the rule out of the copy, and builds it: the moim that must be caught.
pub(crate) fn build(workspace: &Workspace, plant: &Plant) -> Result<PathBuf, Fault> {
    let home = workspace.kept("plants");
    let tree = home.join("tree");
    copy(workspace, &tree)?;
    let patch = workspace.root.join(PATCHES).join(format!("{}.patch", plant.name));
    let mut apply = Command::new("git");
    // Not as a part of the repository around it, where git would skip what it ignores.
    apply.current_dir(&tree).env("GIT_CEILING_DIRECTORIES", &home).args(["apply", "--whitespace=nowarn"]);
    stream(apply.arg(&patch)).map_err(|fault| {
        let cure = format!("the code has moved on: make {} anew", patch.display());
        Fault::new(fault.what, cure)
    })?;
    let target = home.join("target");
    let mut cargo = workspace.cargo();
    // Each plant is built once: what is kept for the next build would only take room, and time.
    cargo.current_dir(&tree).env("CARGO_TARGET_DIR", &target).env("CARGO_INCREMENTAL", "0");
    cargo.args(["build", "--package", "moim"]);
    stream(&cargo)?;
    Ok(target.join("debug").join("moim"))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drill::faults;
    use std::collections::BTreeSet;

    #[test]
    fn every_plant_has_a_patch_and_a_fault_and_every_patch_a_plant() {
        let folder = crate::workspace::root().join(PATCHES);
        let patches: BTreeSet<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let wanted: BTreeSet<_> = PLANTS.iter().map(|plant| format!("{}.patch", plant.name)).collect();
        assert_eq!(patches, wanted);
        assert!(PLANTS.iter().all(|plant| faults::named(plant.shows_under).is_ok()));
    }
}
