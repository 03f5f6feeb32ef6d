//! Where the servers of one run keep their logs and data, and what is left of it afterwards.
//! Not here: what is kept between runs on purpose (`Workspace::kept`).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::process::{Pid, test_kill_process};

use crate::fault::Fault;
use crate::workspace::Workspace;

const PREFIX: &str = "run-";
const DATA: &str = "data";

/// How long the logs of a run that failed can be read. Other runs begin before anybody has.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// A folder for one run: `NAME.log` and `data/NAME` for each server. The data go with this value; the logs stay
/// for a day, so that a failed one can be read, or until `forget`.
pub(crate) struct Place {
    path: PathBuf,
    data: PathBuf,
    keeps_data: bool,
}

impl Place {
    /// Makes the folder, and sweeps out those of runs that have long been over.
    pub(crate) fn make(workspace: &Workspace, kind: &str) -> Result<Self, Fault> {
        let home = workspace.kept(kind);
        let path = home.join(format!("{PREFIX}{}", std::process::id()));
        sweep(&home);
        let data = path.join(DATA);
        // One from a process that had our number is none of ours.
        fs::remove_dir_all(&path).ok();
        fs::create_dir_all(&data).map_err(Fault::io(format!("make {}", data.display())))?;
        Ok(Self { path, data, keeps_data: false })
    }

    /// The same, with data in a folder that outlives it.
    pub(crate) fn with_data(mut self, data: PathBuf) -> Result<Self, Fault> {
        fs::create_dir_all(&data).map_err(Fault::io(format!("make {}", data.display())))?;
        self.data = data;
        self.keeps_data = true;
        Ok(self)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}.log"))
    }

    /// A folder for the data of the server of this name, made if it is not there.
    pub(crate) fn data(&self, name: &str) -> Result<PathBuf, Fault> {
        let folder = self.data.join(name);
        fs::create_dir_all(&folder).map_err(Fault::io(format!("make {}", folder.display())))?;
        Ok(folder)
    }

    /// Nothing went wrong, nobody will read the logs.
    pub(crate) fn forget(self) {
        fs::remove_dir_all(&self.path).ok();
    }

    /// The fault, with where the logs are.
    pub(crate) fn blame(&self, fault: Fault) -> Fault {
        let what = format!("{}\n  logs of the servers: {}", fault.what, self.path.display());
        Fault { what, cure: fault.cure }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.keeps_data {
            // What cannot be removed now is swept out by the next run.
            fs::remove_dir_all(&self.data).ok();
        }
    }
}

fn sweep(home: &Path) {
    let Ok(folders) = fs::read_dir(home) else { return };
    for folder in folders.filter_map(Result::ok) {
        let name = folder.file_name();
        let id = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.parse().ok());
        if !id
            .and_then(Pid::from_raw)
            .is_some_and(|id| is_over(test_kill_process(id).map_err(io::Error::from)))
        {
            continue;
        }
        // The data are there still if it was killed.
        let gone = if is_old(&folder.path()) { folder.path() } else { folder.path().join(DATA) };
        fs::remove_dir_all(gone).ok();
    }
}

fn is_old(folder: &Path) -> bool {
    let changed = fs::metadata(folder).and_then(|folder| folder.modified());
    changed.is_ok_and(|changed| SystemTime::now().duration_since(changed).is_ok_and(|age| age >= KEPT))
}

/// A process that may not be signalled is somebody's, and not over.
fn is_over(answer: io::Result<()>) -> bool {
    answer.is_err_and(|error| error.kind() != io::ErrorKind::PermissionDenied)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::env;

    #[test]
    fn data_go_and_logs_stay_for_a_day_after_the_run() {
        let root = env::temp_dir().join(format!("xtask-place-{}", std::process::id()));
        let workspace = Workspace { root: root.clone(), target: root.clone() };
        // No process has the largest number there is.
        let over = workspace.kept("servers").join(format!("{PREFIX}{}", i32::MAX));
        let other = workspace.kept("servers").join("something");
        fs::create_dir_all(over.join(DATA)).unwrap();
        fs::create_dir_all(&other).unwrap();
        drop(Place::make(&workspace, "servers").unwrap());
        assert!(over.exists() && !over.join(DATA).exists() && other.exists());
        for folder in [&over, &other] {
            fs::File::open(folder).unwrap().set_modified(SystemTime::now() - KEPT).unwrap();
        }
        let place = Place::make(&workspace, "servers").unwrap();
        assert!(!over.exists() && other.exists());
        let (log, data) = (place.log("redis"), place.data("redis").unwrap());
        fs::write(&log, "ready").unwrap();
        fs::write(data.join("aof"), "x").unwrap();
        drop(place);
        assert!(log.exists() && !data.exists());
        Place::make(&workspace, "servers").unwrap().forget();
        assert!(!log.exists(), "of this process, and nothing went wrong");

        let kept = root.join("kept");
        let place = Place::make(&workspace, "servers").unwrap().with_data(kept.clone()).unwrap();
        place.data("redis").unwrap();
        drop(place);
        assert!(kept.join("redis").exists());
        fs::remove_dir_all(&root).unwrap();
    }
}
