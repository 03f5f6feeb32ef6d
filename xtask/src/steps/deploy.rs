//! The step `deploy`: everything people run moim with is read by the programs that will read it there, then held against
//! moim and against each other by `tests/deploy/python`.
//! Not here: containers and pods that really run, and the moim in them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::fault::Fault;
use crate::process::stream;
use crate::tools;
use crate::workspace::Workspace;

/// The Kubernetes whose schemas count: the oldest that has all fields we use in their final form.
const KUBERNETES: &str = "1.34";
const PROMETHEUS: &str = "deploy/prometheus";
const TESTS: &str = "tests/deploy/python";

pub(super) fn run(workspace: &Workspace) -> Result<(), Fault> {
    let tools = tools::deploy(workspace)?;
    image(workspace, &tools)?;
    compose(workspace, &tools)?;
    haproxy(workspace)?;
    prometheus(workspace)?;
    let rendered = kubernetes(workspace, &tools)?;
    agreement(workspace, &tools, &rendered)
}

fn image(workspace: &Workspace, tools: &tools::Deploy) -> Result<(), Fault> {
    stream(workspace.command(tools.program("hadolint")).arg("deploy/Dockerfile"))
}

/// By Compose v2 and by 1.29: people have both. Neither asks an engine for that.
fn compose(workspace: &Workspace, tools: &tools::Deploy) -> Result<(), Fault> {
    for program in [tools.program("docker-compose"), tools.compose1.clone()] {
        for files in [&["docker-compose.yml"][..], &["docker-compose.yml", "deploy/scylla.yml"]] {
            let mut command = workspace.command(&program);
            for file in files {
                command.args(["--file", file]);
            }
            stream(command.args(["config", "--quiet"]))?;
        }
    }
    Ok(())
}

/// `-dW`: a warning is a fault.
fn haproxy(workspace: &Workspace) -> Result<(), Fault> {
    let haproxy = tools::haproxy(workspace)?;
    stream(workspace.command(haproxy).args(["-dW", "-c", "-f", "deploy/haproxy/haproxy.cfg"]))
}

fn prometheus(workspace: &Workspace) -> Result<(), Fault> {
    let promtool = tools::promtool(workspace)?;
    let config = format!("{PROMETHEUS}/prometheus.yml");
    // The rules that it names are checked with it.
    stream(workspace.command(&promtool).args(["check", "config", &config]))?;
    let tests = listed(&workspace.root.join(PROMETHEUS).join("tests"))?;
    stream(workspace.command(&promtool).args(["test", "rules"]).args(tests))
}

/// Every folder with a kustomization of its own, rendered; the folder of what came out.
fn kubernetes(workspace: &Workspace, tools: &tools::Deploy) -> Result<PathBuf, Fault> {
    let rendered = workspace.kept("deploy");
    // What an earlier run left is of no folder that is there now, perhaps.
    if rendered.exists() {
        fs::remove_dir_all(&rendered).map_err(Fault::io(format!("remove {}", rendered.display())))?;
    }
    fs::create_dir_all(&rendered).map_err(Fault::io(format!("make {}", rendered.display())))?;
    let k8s = workspace.root.join("k8s");
    for folder in [vec![k8s.join("base")], listed(&k8s.join("overlays"))?].concat() {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let objects = rendered.join(format!("{name}.yaml"));
        let mut kustomize = workspace.command(tools.program("kubectl"));
        stream(kustomize.arg("kustomize").arg(&folder).arg("--output").arg(&objects))?;
        let mut validate = workspace.command(tools.program("kubernetes-validate"));
        // Without warnings: they are of the kinds that have no schema, which the tests know by name.
        let arguments = ["--strict", "--quiet", "--no-warn", "--kubernetes-version", KUBERNETES];
        stream(validate.args(arguments).arg(&objects))?;
    }
    Ok(rendered)
}

fn agreement(workspace: &Workspace, tools: &tools::Deploy, rendered: &Path) -> Result<(), Fault> {
    super::cargo(workspace, "build --package moim")?;
    let mut unittest = workspace.command(tools.program("python"));
    unittest.env("MOIM_BIN", workspace.moim_binary()).env("RENDERED", rendered);
    unittest.env("HAPROXY", tools::haproxy(workspace)?);
    stream(unittest.args(["-m", "unittest", "discover", "--start-directory", TESTS]))
}

/// What is in a folder, in the order of the names.
fn listed(folder: &Path) -> Result<Vec<PathBuf>, Fault> {
    let doing = || format!("read {}", folder.display());
    let entries = fs::read_dir(folder).map_err(Fault::io(doing()))?;
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(Fault::io(doing()))?;
    paths.sort();
    if paths.is_empty() {
        return Err(Fault::plain(format!("there is nothing in {}", folder.display())));
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_folder_is_a_fault_and_not_a_check_that_passed() {
        let folder = std::env::temp_dir().join(format!("xtask-listed-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        assert!(listed(&folder).unwrap_err().what.starts_with("there is nothing in "));
        for name in ["b", "a"] {
            fs::write(folder.join(name), "").unwrap();
        }
        assert_eq!(listed(&folder).unwrap(), [folder.join("a"), folder.join("b")]);
        fs::remove_dir_all(&folder).unwrap();
    }
}
