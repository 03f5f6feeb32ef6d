//! When the store could take nothing, for the checker: whatever was first said then cannot be `stored` then.
//! Not here: taking it away (`acts`), the judgement (`moim-loadtest check`).

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::fault::Fault;

/// From and to, in microseconds since 1970: the members' processes have the same clock.
#[derive(Default)]
pub(crate) struct Away(Vec<[u64; 2]>);

impl Away {
    /// From now on, until it is said to end.
    pub(crate) fn begins(&mut self) {
        self.0.push([now(), u64::MAX]);
    }

    pub(crate) fn ends(&mut self) {
        if let Some([_, to]) = self.0.last_mut() {
            *to = now();
        }
    }

    /// Beside the records.
    pub(super) fn write(&self, evidence: &Path) -> Result<(), Fault> {
        let line = |[from, to]: &[u64; 2]| format!("{{\"from\":{from},\"to\":{to}}}\n");
        let file = evidence.join("away.jsonl");
        fs::write(&file, self.0.iter().map(line).collect::<String>())
            .map_err(Fault::io(format!("write {}", file.display())))
    }
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}
