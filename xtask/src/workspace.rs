//! Where things are: the repository, cargo's target folder, and what is kept below it between runs.
//! Not here: programs outside the repository (`tools`).

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fault::Fault;
use crate::process;

pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
}

impl Workspace {
    pub(crate) fn find() -> Result<Self, Fault> {
        let root = root();
        // Asked of cargo and not read from CARGO_TARGET_DIR: a config file can move it as well.
        let metadata = process::capture(
            cargo().args(["metadata", "--format-version", "1", "--no-deps"]).current_dir(&root),
        )?;
        let metadata: serde_json::Value = serde_json::from_str(&metadata)
            .map_err(|error| Fault::plain(format!("cannot read `cargo metadata`: {error}")))?;
        let target = metadata["target_directory"]
            .as_str()
            .ok_or_else(|| Fault::plain("`cargo metadata` names no target_directory"))?;
        Ok(Self { root, target: PathBuf::from(target) })
    }

    /// What xtask keeps between runs: virtual environments and reports.
    pub(crate) fn kept(&self, name: &str) -> PathBuf {
        self.target.join("xtask").join(name)
    }

    /// The built binary of the product, as the `dev` profile leaves it.
    pub(crate) fn moim_binary(&self) -> PathBuf {
        self.target.join("debug").join("moim")
    }

    pub(crate) fn cargo(&self) -> Command {
        self.command(cargo().get_program())
    }

    /// A command that runs in the root of the repository.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target);
        command
    }
}

/// The root of the repository. Asked of the environment that cargo gives us first: with a target folder shared by
/// two clones, the path compiled in could be that of the other one.
pub(crate) fn root() -> PathBuf {
    let manifest = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let manifest = manifest.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    manifest.parent().map_or_else(|| manifest.clone(), Path::to_path_buf)
}

/// The cargo that runs us, so that a `cargo +toolchain xtask` stays with its toolchain.
fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_the_workspace() {
        let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[workspace]"));
    }
}
