//! A wrong clock for single processes, by a library that answers in place of the C library's.
//! Not here: whose clock is wrong (`acts`), the library itself (`xtask/clock/off.c`).

use std::path::PathBuf;
use std::process::Command;

use crate::fault::Fault;
use crate::process::stream;
use crate::servers::place::Place;
use crate::workspace::Workspace;

/// libfaketime allocates while it starts, and Redis's allocator reads the clock while it starts: neither gets anywhere.
const SOURCE: &str = "xtask/clock/off.c";

pub(crate) struct Clock {
    library: PathBuf,
}

impl Clock {
    pub(crate) fn build(workspace: &Workspace, place: &Place) -> Result<Self, Fault> {
        let library = place.path().join("clock-off.so");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]).arg(&library);
        stream(cc.arg(workspace.root.join(SOURCE)))?;
        Ok(Self { library })
    }

    /// The environment of a process whose wall clock is that many seconds off.
    pub(crate) fn off_by(&self, seconds: i64) -> [(&'static str, String); 2] {
        let library = self.library.to_string_lossy().into_owned();
        [("LD_PRELOAD", library), ("MOIM_CLOCK_OFF", seconds.to_string())]
    }
}
