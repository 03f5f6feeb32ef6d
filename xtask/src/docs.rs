//! `cargo xtask docs`: the reference pages, as the built program prints them.
//! Not here: their words (`moim-protocol`, `moim`), the test that they are committed (`moim`, `tests/docs.rs`).

use std::fs;

use crate::fault::Fault;
use crate::process;
use crate::workspace::Workspace;

const PAGES: [&str; 2] = ["protocol", "configuration"];

pub(crate) fn run(workspace: &Workspace) -> Result<(), Fault> {
    process::stream(workspace.cargo().args(["build", "--package", "moim"]))?;
    for page in PAGES {
        let text = process::capture(workspace.command(workspace.moim_binary()).args(["reference", page]))?;
        let file = workspace.root.join("docs").join(format!("{page}.md"));
        fs::write(&file, text)
            .map_err(|error| Fault::plain(format!("cannot write {}: {error}", file.display())))?;
        println!("docs/{page}.md");
    }
    Ok(())
}
