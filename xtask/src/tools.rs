//! The programs outside the repository that tests need: found, or installed, or asked for with the cure.
//! Not here: what is done with them (`steps`, `autobahn`).

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fault::Fault;
use crate::process::{capture, stream, succeeds};
use crate::servers::{self, HAPROXY, REDIS_SERVER};
use crate::workspace::Workspace;

const NODE_MAJOR_MIN: u32 = 20;
/// The first whose cluster can be told its second port and slots by range.
const REDIS_MAJOR_MIN: u32 = 7;
const JAVA_MAJORS: [u32; 2] = [17, 11];
const CLIENT: &str = "clients/js";
const REQUIREMENTS: &str = "xtask/python/requirements.txt";
const DEPLOY_REQUIREMENTS: &str = "xtask/python/deploy.txt";
const COMPOSE1_REQUIREMENTS: &str = "xtask/python/compose1.txt";

/// Everything, so that a machine without one of them says so in the first seconds and not in the last step.
pub(crate) fn all(workspace: &Workspace) -> Result<(), Fault> {
    let node = node()?;
    let chromium = chromium(workspace)?;
    npm_packages(workspace)?;
    let python = venv_python(workspace)?;
    let (redis, haproxy) = (redis_server(workspace)?, haproxy(workspace)?);
    println!("node {node}\nchromium {}\npython {}", chromium.display(), python.display());
    println!("redis-server {}\nhaproxy {}", redis.display(), haproxy.display());
    println!("promtool {}", promtool(workspace)?.display());
    deploy(workspace)?;
    servers::fetch(workspace)
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
    Ok(venv(workspace, "venv", REQUIREMENTS, &[])?.join("python"))
}

/// What the step `deploy` reads files with.
pub(crate) struct Deploy {
    bin: PathBuf,
    /// docker-compose 1.29.
    pub(crate) compose1: PathBuf,
}

impl Deploy {
    /// One of the programs of `deploy.txt`, or its Python.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }
}

pub(crate) fn deploy(workspace: &Workspace) -> Result<Deploy, Fault> {
    let bin = venv(workspace, "venv-deploy", DEPLOY_REQUIREMENTS, &[])?;
    // Apart: both versions of docker-compose have the same name.
    let compose1 = venv(workspace, "venv-compose1", COMPOSE1_REQUIREMENTS, &["--no-deps"])?;
    Ok(Deploy { bin, compose1: compose1.join("docker-compose") })
}

/// The programs of a virtual environment of that name, made of these packages.
fn venv(workspace: &Workspace, name: &str, requirements: &str, more: &[&str]) -> Result<PathBuf, Fault> {
    let venv = workspace.kept(name);
    let bin = venv.join("bin");
    let python = bin.join("python");
    let from = workspace.root.join(requirements);
    let made = Made { from: from.clone(), mark: venv.join("made-from") };
    if made.is_fresh() && python.exists() {
        return Ok(bin);
    }
    let system = system_python(workspace)?;
    println!("making {} with the packages of {requirements}", venv.display());
    stream(workspace.command(system).args(["-m", "venv", "--clear"]).arg(&venv))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    stream(workspace.command(&python).args(pip).args(more).arg("--requirement").arg(from))?;
    made.remember()?;
    Ok(bin)
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

/// A Redis that can be started, in the version that the tests are about.
pub(crate) fn redis_server(workspace: &Workspace) -> Result<PathBuf, Fault> {
    let cure = format!("install Redis {REDIS_MAJOR_MIN} or newer, so that redis-server is on PATH");
    let path = match given(REDIS_SERVER) {
        Some(path) => path,
        None => found_or_installed(workspace, "redis-server", "redis-server", &cure)?,
    };
    let version = capture(Command::new(&path).arg("--version"))?;
    if redis_major(&version).is_none_or(|major| major < REDIS_MAJOR_MIN) {
        let what = format!("{} is too old for the tests: {}", path.display(), version.trim());
        return Err(Fault::new(what, cure));
    }
    Ok(path)
}

pub(crate) fn haproxy(workspace: &Workspace) -> Result<PathBuf, Fault> {
    let cure = "install HAProxy 2.6 or newer, so that haproxy is on PATH";
    given(HAPROXY).map_or_else(|| found_or_installed(workspace, "haproxy", "haproxy", cure), Ok)
}

/// Debian's package brings Prometheus with it.
pub(crate) fn promtool(workspace: &Workspace) -> Result<PathBuf, Fault> {
    let cure = "install Prometheus 2.42 or newer, so that promtool is on PATH";
    found_or_installed(workspace, "promtool", "prometheus", cure)
}

pub(crate) fn maven(workspace: &Workspace) -> Result<PathBuf, Fault> {
    found_or_installed(
        workspace,
        "mvn",
        "maven",
        "install Maven, so that mvn is on PATH (it fetches Cassandra)",
    )
}

/// A Java that Cassandra 5 runs on: newer ones refuse to start it.
pub(crate) fn java(workspace: &Workspace) -> Result<PathBuf, Fault> {
    let cure =
        "install a Java 17 or 11 for Cassandra, and point JAVA_HOME to it if it is not the first on PATH";
    if let Some(java) = fitting_java() {
        return Ok(java);
    }
    install(workspace, "openjdk-17-jre-headless", cure)?;
    fitting_java().ok_or_else(|| Fault::new("no Java 17 or 11 here, though its package is installed", cure))
}

/// That of JAVA_HOME, else the first on PATH, else one of those that distributions put side by side.
fn fitting_java() -> Option<PathBuf> {
    let bin = |home: PathBuf| home.join("bin").join("java");
    let mut side_by_side: Vec<PathBuf> = fs::read_dir("/usr/lib/jvm")
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .map(|it| bin(it.path()))
        .collect();
    side_by_side.sort();
    let named = env::var_os("JAVA_HOME").map(PathBuf::from).map(bin);
    let all = named.into_iter().chain(on_path("java")).chain(side_by_side).filter(|java| java.is_file());
    all.into_iter().find(|java| {
        // On stderr, as java does.
        let answer = Command::new(java).arg("-version").output();
        answer.is_ok_and(|it| {
            java_major(&String::from_utf8_lossy(&it.stderr)).is_some_and(|major| JAVA_MAJORS.contains(&major))
        })
    })
}

/// 17 of `openjdk version "17.0.15" 2025-04-15`.
fn java_major(said: &str) -> Option<u32> {
    said.split('"').nth(1)?.split('.').next()?.parse().ok()
}

/// 7 of `Redis server v=7.0.15 sha=…`.
fn redis_major(said: &str) -> Option<u32> {
    said.split_once("v=")?.1.split('.').next()?.parse().ok()
}

/// The program that a variable names, used as it is.
fn given(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// A program that its package's name need not tell.
fn found_or_installed(
    workspace: &Workspace,
    program: &str,
    package: &str,
    cure: &str,
) -> Result<PathBuf, Fault> {
    // Debian puts servers where the PATH of a person does not look.
    let find = || {
        let aside = Path::new("/usr/sbin").join(program);
        on_path(program).or_else(|| aside.is_file().then_some(aside))
    };
    if let Some(path) = find() {
        return Ok(path);
    }
    install(workspace, package, cure)?;
    find().ok_or_else(|| Fault::new(format!("no {program} here, though its package is installed"), cure))
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
    let cure = "install Python 3.11 or newer with venv (on Debian: python3 and python3-venv)";
    let has_venv = |python: &PathBuf| {
        let check = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))";
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

pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
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
    fn the_major_versions_of_java_and_redis_are_read() {
        assert_eq!(java_major("openjdk version \"17.0.15\" 2025-04-15\n"), Some(17));
        assert_eq!(java_major("openjdk version \"21\" 2023-09-19"), Some(21));
        assert_eq!(java_major("no such thing"), None);
        assert_eq!(redis_major("Redis server v=7.0.15 sha=00000000:0"), Some(7));
        assert_eq!(redis_major("Valkey"), None);
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
