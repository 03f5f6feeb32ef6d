//! `cargo xtask deny`: licences, banned and duplicate crates, and sources, by cargo-deny and `.deny.toml`.
//! Not here: the list of what is allowed (`.deny.toml`).

use crate::fault::Fault;
use crate::process;
use crate::workspace::Workspace;

/// Not part of `cargo xtask test`: cargo-deny takes minutes to build, and advisories need a network that reaches
/// GitHub. `cargo deny check` without words checks the advisories too.
pub(crate) fn run(workspace: &Workspace) -> Result<(), Fault> {
    if !process::succeeds(workspace.cargo().args(["deny", "--version"])) {
        return Err(Fault::new("cargo-deny is not installed", "cargo install cargo-deny --locked"));
    }
    process::stream(workspace.cargo().args(["deny", "check", "licenses", "bans", "sources"]))
}
