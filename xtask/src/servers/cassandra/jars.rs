//! Cassandra without Docker: a Java it runs on, and its jars from Maven Central, fetched once.
//! Not here: its configuration and its start (`cassandra`).

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::fault::Fault;
use crate::process::stream_within;
use crate::tools;
use crate::workspace::Workspace;

use super::Jars;

/// The folder of `pom.xml`, `jvm.options` and `logback.xml`.
pub(super) const OURS: &str = "xtask/cassandra";
const FETCH_TIMEOUT: Duration = Duration::from_secs(600);
const CURE: &str = "let this machine reach Maven Central or a mirror of it (~/.m2/settings.xml), or a Docker engine \
                    with the image cassandra:5, or name a running Cassandra with MOIM_TEST_CASSANDRA=HOST:PORT";

pub(super) fn source(workspace: &Workspace) -> Result<Jars, Fault> {
    Ok(Jars { java: tools::java(workspace)?, folder: jars(workspace)? })
}

/// The library that measures objects for Cassandra's caches, which it demands as a Java agent.
pub(super) fn agent(jars: &Path) -> Result<PathBuf, Fault> {
    let is_agent = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("jamm-") && name.ends_with(".jar")
    };
    let files = fs::read_dir(jars).map_err(Fault::io(format!("read {}", jars.display())))?;
    files.filter_map(Result::ok).map(|file| file.path()).find(is_agent).ok_or_else(|| {
        Fault::new(
            format!("there is no jamm-*.jar in {}", jars.display()),
            "delete that folder: it is fetched again",
        )
    })
}

/// Named by the list it was made from, and only there when it is whole: another list is another folder.
fn jars(workspace: &Workspace) -> Result<PathBuf, Fault> {
    let pom = workspace.root.join(OURS).join("pom.xml");
    let text = fs::read_to_string(&pom).map_err(Fault::io(format!("read {}", pom.display())))?;
    let version = version(&text)
        .ok_or_else(|| Fault::plain(format!("{} names no version of cassandra-all", pom.display())))?;
    let jars = workspace.kept(&format!("cassandra-{version}"));
    if jars.exists() {
        return Ok(jars);
    }
    let home = workspace.kept("");
    fs::create_dir_all(&home).map_err(Fault::io(format!("make {}", home.display())))?;
    // Two runs at the same time fetch once.
    let lock = home.join("cassandra.lock");
    let lock = File::create(&lock).and_then(|file| file.lock().map(|()| file));
    let _lock = lock.map_err(Fault::io("lock the folder of Cassandra's jars"))?;
    if !jars.exists() {
        fetch(workspace, &pom, version, &jars)?;
    }
    Ok(jars)
}

fn fetch(workspace: &Workspace, pom: &Path, version: &str, jars: &Path) -> Result<(), Fault> {
    let mvn = tools::maven(workspace)?;
    println!("fetching Cassandra {version} from Maven Central (66 MB, once)");
    let half = workspace.kept("cassandra.half");
    fs::remove_dir_all(&half).ok();
    let mut command = workspace.command(mvn);
    command.args(["--quiet", "--batch-mode", "-Dstyle.color=never", "--file"]).arg(pom);
    command.arg("dependency:copy-dependencies").arg(format!("-DoutputDirectory={}", half.display()));
    let fetched = stream_within(&command, FETCH_TIMEOUT);
    fetched.map_err(|fault| Fault::new(format!("cannot fetch Cassandra: {}", fault.what), CURE))?;
    fs::rename(&half, jars).map_err(Fault::io(format!("make {}", jars.display())))
}

/// That of the dependency, which stands behind its name.
fn version(pom: &str) -> Option<&str> {
    let (_, rest) = pom.split_once("<artifactId>cassandra-all</artifactId>")?;
    let (_, rest) = rest.split_once("<version>")?;
    Some(rest.split_once("</version>")?.0.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_our_list() {
        let pom = fs::read_to_string(crate::workspace::root().join(OURS).join("pom.xml")).unwrap();
        assert!(version(&pom).unwrap().starts_with("5.0."), "{pom}");
        assert_eq!(version("<version>1</version>"), None);
    }
}
