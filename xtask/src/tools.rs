//! The programs outside the repository that tests need: found, or installed, or asked for with the cure.
//! Not here: what is done with them (`steps`, `autobahn`).

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fault::Fault;
use crate::process::{capture, stream, succeeds};
use crate::workspace::Workspace;

const NODE_MAJOR_MIN: u32 = 20;
const CLIENT: &str = "clients/js";
const REQUIREMENTS: &str = "xtask/python/requirements.txt";

/// Everything, so that a machine without one of them says so in the first seconds and not in the last step.
pub(crate) fn all(workspace: &Workspace) -> Result<(), Fault> {
    let node = node()?;
    let chromium = chromium(workspace)?;
    npm_packages(workspace)?;
    let python = venv_python(workspace)?;
    println!("node {node}\nchromium {}\npython {}", chromium.display(), python.display());
    Ok(())
}

/// npm, run in the folder of the JavaScript client.
pub(crate) fn npm(workspace: &Workspace) -> Command {
    let mut npm = workspace.command("npm");
    npm.current_dir(workspace.root.join(CLIENT));
    // Browsers come from the system; a package that fetches its own would fail where only registries are reached.
    npm.env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1").env("PUPPETEER_SKIP_DOWNLOAD", "1");
    npm
}

/// `npm ci`, when the lock file is not the one that `node_modules` was made from.
pub(crate) fn npm_packages(workspace: &Workspace) -> Result<(), Fault> {
    node()?;
    let client = workspace.root.join(CLIENT);
    if !client.join("package-lock.json").exists() {
        return Err(Fault::new(
            format!("there is no {CLIENT}/package-lock.json"),
            format!("npm install --package-lock-only in {CLIENT}, and commit the file"),
        ));
    }
    let made =
        Made { from: client.join("package-lock.json"), mark: client.join("node_modules/.xtask-made-from") };
    if made.is_fresh() {
        return Ok(());
    }
    stream(npm(workspace).args(["ci", "--no-audit", "--no-fund"]))?;
    made.remember()
}

/// The Python of our virtual environment, with the packages of `requirements.txt`.
pub(crate) fn venv_python(workspace: &Workspace) -> Result<PathBuf, Fault> {
    let venv = workspace.kept("venv");
    let python = venv.join("bin").join("python");
    let requirements = workspace.root.join(REQUIREMENTS);
    let made = Made { from: requirements.clone(), mark: venv.join("made-from") };
    if made.is_fresh() && python.exists() {
        return Ok(python);
    }
    let system = system_python(workspace)?;
    println!("making {} with the packages of {REQUIREMENTS}", venv.display());
    stream(workspace.command(system).args(["-m", "venv", "--clear"]).arg(&venv))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    stream(workspace.command(&python).args(pip).arg(requirements))?;
    made.remember()?;
    Ok(python)
}

pub(crate) fn chromium(workspace: &Workspace) -> Result<PathBuf, Fault> {
    let find = || ["chromium", "chromium-browser", "google-chrome"].into_iter().find_map(on_path);
    if let Some(path) = find() {
        return Ok(path);
    }
    let cure = "install Chromium, so that chromium, chromium-browser or google-chrome is on PATH";
    install(workspace, "chromium", cure)?;
    find().ok_or_else(|| Fault::new("no Chromium on PATH, though its package is installed", cure))
}

/// The version of Node.js, when it is new enough and npm is beside it.
fn node() -> Result<String, Fault> {
    let cure = format!("install Node.js {NODE_MAJOR_MIN} or newer with npm (nodejs.org)");
    let fault = |what: &str| Fault::new(what, cure.as_str());
    if on_path("node").is_none() {
        return Err(fault("no node on PATH"));
    }
    let version = capture(Command::new("node").arg("--version"))?.trim().to_owned();
    if major(&version).is_none_or(|major| major < NODE_MAJOR_MIN) {
        return Err(fault(&format!("node is {version}, too old for the tests")));
    }
    if on_path("npm").is_none() {
        return Err(fault("node is here, but no npm on PATH"));
    }
    Ok(version)
}

/// 20 of `v20.11.1`.
fn major(version: &str) -> Option<u32> {
    version.strip_prefix('v')?.split('.').next()?.parse().ok()
}

fn system_python(workspace: &Workspace) -> Result<PathBuf, Fault> {
    let cure = "install Python 3.10 or newer with venv (on Debian: python3 and python3-venv)";
    let has_venv = |python: &PathBuf| {
        let check = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))";
        succeeds(Command::new(python).args(["-c", check]))
    };
    if let Some(python) = on_path("python3").filter(has_venv) {
        return Ok(python);
    }
    install(workspace, "python3-venv", cure)?;
    // The package serves Debian's own python3, which need not be the first one on PATH.
    [on_path("python3"), Some(PathBuf::from("/usr/bin/python3"))]
        .into_iter()
        .flatten()
        .find(has_venv)
        .ok_or_else(|| Fault::new("no python3 that is new enough and has venv and ensurepip", cure))
}

/// Installs a Debian package where that can work without asking a person; else names the cure.
fn install(workspace: &Workspace, package: &str, cure: &str) -> Result<(), Fault> {
    let root = capture(Command::new("id").arg("-u")).is_ok_and(|uid| uid.trim() == "0");
    if !root || on_path("apt-get").is_none() {
        return Err(Fault::new(
            format!("no {package} here, and only root with apt-get can install it"),
            cure,
        ));
    }
    println!("installing {package} with apt-get");
    let apt = || {
        let mut apt = workspace.command("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive");
        apt
    };
    stream(apt().args(["update", "--quiet"]))?;
    stream(apt().args(["install", "--quiet", "--yes", package]))
}

fn on_path(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// Something made from one file, with a copy of that file beside it: made again only when the file differs.
struct Made {
    from: PathBuf,
    mark: PathBuf,
}

impl Made {
    fn is_fresh(&self) -> bool {
        match (fs::read(&self.from), fs::read(&self.mark)) {
            (Ok(now), Ok(then)) => now == then,
            _ => false,
        }
    }

    fn remember(&self) -> Result<(), Fault> {
        // An npm project without packages leaves no node_modules to put the mark in.
        fs::create_dir_all(self.mark.parent().unwrap_or(Path::new(".")))
            .and_then(|()| fs::copy(&self.from, &self.mark).map(drop))
            .map_err(Fault::io(format!("write {}", self.mark.display())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_of_node_is_read() {
        assert_eq!(major("v20.11.1"), Some(20));
        assert_eq!(major("20"), None);
    }

    #[test]
    fn a_thing_is_made_again_when_its_source_changes() {
        let folder = env::temp_dir().join(format!("xtask-made-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let made = Made { from: folder.join("lock"), mark: folder.join("sub").join("mark") };
        fs::write(&made.from, "1").unwrap();
        assert!(!made.is_fresh(), "nothing was made yet");
        made.remember().unwrap();
        assert!(made.is_fresh());
        fs::write(&made.from, "2").unwrap();
        assert!(!made.is_fresh(), "the lock file changed");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn programs_are_found_on_path_only() {
        assert!(on_path("sh").is_some());
        assert!(on_path("no-such-program-here").is_none());
    }
}
