//! The table of what `cargo xtask test` runs: to add a step, add one line here.
//! Not here: how steps are run and reported (`runner`) and where tools come from (`tools`).

mod deploy;

use std::process::Command;

use crate::autobahn;
use crate::drill;
use crate::fault::Fault;
use crate::process::stream;
use crate::runner::Step;
use crate::servers::{Kind, Servers};
use crate::tools;
use crate::workspace::Workspace;

/// In the order in which they tell most for the least time. A step fetches the tools it needs itself, so that any can
/// run alone; once they are there that costs nothing.
#[rustfmt::skip] // one line a step reads as the table it is
pub(crate) const STEPS: &[Step] = &[
    Step { name: "tools",    about: "the tools the other steps need are here",       cure: "install what is named above",                    run: tools::all },
    Step { name: "fmt",      about: "every Rust file is formatted",                  cure: "cargo fmt --all",                                run: |w| cargo(w, "fmt --all --check") },
    Step { name: "clippy",   about: "no lint has anything to say",                   cure: "change what is named above",                     run: |w| cargo(w, "clippy --workspace --all-targets --all-features -- -D warnings") },
    Step { name: "rust",     about: "the Rust tests pass, `tidy` among them",        cure: "mend the test named above",                      run: rust },
    Step { name: "deploy",   about: "what people run moim with is sound",            cure: "mend what is named above",                       run: deploy::run },
    Step { name: "js",       about: "the tests of the JavaScript client pass",       cure: "mend the test named above (clients/js)",         run: |w| npm(w, "test") },
    Step { name: "js-types", about: "the types of the JavaScript client are sound",  cure: "mend what is named above (clients/js)",          run: |w| npm(w, "check") },
    Step { name: "e2e",      about: "real browsers can talk to a real server",       cure: "mend the test named above (clients/js/e2e)",     run: browsers },
    Step { name: "interop",  about: "other WebSocket clients can talk to it",        cure: "mend the test named above (tests/interop)",      run: interop },
    Step { name: "autobahn", about: "the WebSocket protocol is followed",            cure: "open index.html of the report named above",      run: websocket_rules },
    Step { name: "drill",    about: "a cluster under faults keeps its promises",     cure: "read verdict.json of the evidence named above",  run: drill::short },
];

/// `words` are split at spaces: none of our arguments has one.
fn cargo(workspace: &Workspace, words: &str) -> Result<(), Fault> {
    stream(workspace.cargo().args(words.split(' ')))
}

/// The servers start while the tests compile.
fn rust(workspace: &Workspace) -> Result<(), Fault> {
    const TEST: [&str; 3] = ["test", "--workspace", "--all-features"];
    let mut servers = Servers::start(workspace, Kind::ALL)?;
    stream(workspace.cargo().args(TEST).arg("--no-run"))?;
    let outcome = servers.ready(workspace).and_then(|()| stream(servers.tell(workspace.cargo().args(TEST))));
    servers.end(outcome)
}

fn npm(workspace: &Workspace, script: &str) -> Result<(), Fault> {
    tools::npm_packages(workspace)?;
    stream(tools::npm(workspace).args(["run", script]))
}

fn browsers(workspace: &Workspace) -> Result<(), Fault> {
    stream(&in_browsers(workspace, "e2e")?)
}

/// A script of `clients/js` that needs a browser and a server, told where both are.
pub(crate) fn in_browsers(workspace: &Workspace, script: &str) -> Result<Command, Fault> {
    tools::npm_packages(workspace)?;
    let (chromium, python) = (tools::chromium(workspace)?, tools::venv_python(workspace)?);
    cargo(workspace, "build --package moim")?;
    let redis = tools::redis_server(workspace)?;
    let mut npm = tools::npm(workspace);
    npm.env("REDIS_SERVER", redis);
    npm.env("MOIM_BIN", workspace.moim_binary()).env("CHROMIUM", chromium).env("PYTHON", python);
    npm.args(["run", script, "--"]);
    Ok(npm)
}

const INTEROP: &str = "tests/interop/python";

fn interop(workspace: &Workspace) -> Result<(), Fault> {
    let python = tools::venv_python(workspace)?;
    cargo(workspace, "build --package moim")?;
    let mut unittest = workspace.command(&python);
    unittest.env("MOIM_BIN", workspace.moim_binary()).env("PYTHON", &python);
    stream(unittest.args(["-m", "unittest", "discover", "--start-directory", INTEROP]))
}

fn websocket_rules(workspace: &Workspace) -> Result<(), Fault> {
    autobahn::run(workspace, &autobahn::AutobahnArgs::default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_step_has_a_name_of_its_own_and_a_cure() {
        let names: BTreeSet<_> = STEPS.iter().map(|step| step.name).collect();
        assert_eq!(names.len(), STEPS.len());
        assert!(STEPS.iter().all(|step| !step.cure.is_empty()));
    }
}
