//! What a process has used, as the kernel counts it: CPU to the nanosecond, resident memory.
//! Not here: starting and ending processes (`server`).

use std::{collections::BTreeMap, fs};

use crate::fault::Fault;

/// `USER_HZ`, which Linux has promised to everyone.
const TICK_NANOS: u64 = 10_000_000;

/// The CPU time of a process at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cpu {
    /// By thread, from the scheduler.
    threads: BTreeMap<u32, u64>,
    /// Of the whole process, threads that ended included, in ticks of 10 ms.
    ticks_nanos: u64,
}

impl Cpu {
    pub(crate) fn of(pid: u32) -> Result<Self, Fault> {
        let mut threads = BTreeMap::new();
        let folder = format!("/proc/{pid}/task");
        for entry in fs::read_dir(&folder).map_err(Fault::io(&folder))? {
            let entry = entry.map_err(Fault::io(&folder))?;
            // A thread may end between the two lines: then it is not there, and the ticks have it.
            let text = fs::read_to_string(entry.path().join("schedstat")).unwrap_or_default();
            let thread = entry.file_name().to_string_lossy().parse();
            if let (Ok(thread), Some(nanos)) = (thread, schedstat_nanos(&text)) {
                threads.insert(thread, nanos);
            }
        }
        let path = format!("/proc/{pid}/stat");
        let stat = fs::read_to_string(&path).map_err(Fault::io(&path))?;
        let ticks = stat_ticks(&stat).ok_or_else(|| Fault::wrong(format!("{path} reads {stat}")))?;
        Ok(Self { threads, ticks_nanos: ticks * TICK_NANOS })
    }

    /// Nanoseconds used since an earlier moment.
    pub(crate) fn since(&self, earlier: &Self) -> u64 {
        let ended = earlier.threads.keys().any(|thread| !self.threads.contains_key(thread));
        if ended {
            return self.ticks_nanos - earlier.ticks_nanos;
        }
        let before = |thread| earlier.threads.get(thread).copied().unwrap_or(0);
        self.threads.iter().map(|(thread, nanos)| nanos.saturating_sub(before(thread))).sum()
    }
}

fn schedstat_nanos(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

/// utime + stime. The name before them may hold spaces and brackets, so counting starts at its last bracket.
fn stat_ticks(text: &str) -> Option<u64> {
    let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + system)
}

/// Memory of a process in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Memory {
    /// All that is resident.
    pub(crate) rss: u64,
    /// The part that is not a file's: heap and stacks.
    pub(crate) anonymous: u64,
}

impl Memory {
    pub(crate) fn of(pid: u32) -> Result<Self, Fault> {
        let path = format!("/proc/{pid}/smaps_rollup");
        let text = fs::read_to_string(&path).map_err(Fault::io(&path))?;
        rollup(&text).ok_or_else(|| Fault::wrong(format!("{path} reads {text}")))
    }
}

fn rollup(text: &str) -> Option<Memory> {
    let kib = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    Some(Memory { rss: kib("Rss")? * 1024, anonymous: kib("Anonymous")? * 1024 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_any_name() {
        let stat = "7 (a) R (b) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 1 2 20 0 9 0 5 6 7";
        assert_eq!(stat_ticks(stat), Some(300));
        assert_eq!(stat_ticks("7 (cut) S 1 7"), None);
    }

    #[test]
    fn memory_is_read_in_bytes() {
        let text = "00400000-7ffd ---p 0 00:00 0  [rollup]\nRss:      2048 kB\nPss:       9 kB\nAnonymous:   1000 kB\n";
        assert_eq!(rollup(text), Some(Memory { rss: 2048 * 1024, anonymous: 1_024_000 }));
        assert_eq!(rollup("Rss: 5 kB\n"), None);
    }

    fn cpu(threads: &[(u32, u64)], ticks_nanos: u64) -> Cpu {
        Cpu { threads: threads.iter().copied().collect(), ticks_nanos }
    }

    #[test]
    fn cpu_is_exact_by_thread_and_includes_new_threads() {
        let earlier = cpu(&[(1, 500), (2, 100)], 0);
        assert_eq!(cpu(&[(1, 700), (2, 100), (3, 50)], 0).since(&earlier), 250);
    }

    #[test]
    fn cpu_of_a_thread_that_ended_is_in_the_ticks() {
        let earlier = cpu(&[(1, 500), (2, 100)], 10_000_000);
        assert_eq!(cpu(&[(1, 700)], 60_000_000).since(&earlier), 50_000_000);
    }

    #[test]
    fn our_own_process_can_be_read() {
        let earlier = Cpu::of(std::process::id()).unwrap();
        // Where a thread of another test ends meanwhile only whole ticks are told.
        let mut sum = 0u64;
        while Cpu::of(std::process::id()).unwrap().since(&earlier) == 0 {
            sum = (0..1_000_000).fold(sum, |sum, number| std::hint::black_box(sum.wrapping_add(number)));
        }
        let memory = Memory::of(std::process::id()).unwrap();
        assert!(memory.rss > memory.anonymous && memory.anonymous > 0);
    }
}
