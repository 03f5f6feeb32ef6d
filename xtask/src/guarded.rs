//! Programs that never outlive us: whatever ends xtask, even kill -9, ends them and what they started.
//! Not here: what they print (`process` streams it, `servers` keeps it) and when they are ready.

use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::fault::Fault;
use crate::process::show;

/// A shell that becomes the program, and leaves behind a guard that reads a pipe from us to its end. We never write
/// to it: the kernel closes it when we end, however we end. The guard is in the program's process group, which
/// keeps the group's number from being given to others, and ends with it.
const GUARD: &str = r#"
farewell=$1; shift
exec 3<&0 </dev/null
(trap '' HUP INT TERM; read -r _ <&3; eval "$farewell"; kill -KILL 0) >/dev/null 2>&1 &
exec 3<&-
exec "$@"
"#;

/// How long we wait for a guard to do its work. Then we kill ourselves, and what is left in a container stays.
const GUARD_TIMEOUT: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(10);

/// What the guard does before it kills the whole group.
#[derive(Clone, Debug)]
pub(crate) enum Farewell {
    /// Nothing: for servers whose data are thrown away.
    None,
    /// SIGTERM and two seconds: for programs that have children in groups of their own, such as browsers.
    Terminate,
    /// Another program, in the words of a shell: for what lives outside the group, such as a container.
    Run(String),
}

/// Where the program's stdout and stderr go.
pub(crate) enum Output<'a> {
    /// Where ours go.
    Ours,
    /// To the end of this file.
    File(&'a Path),
    /// Stdout to us (`stdout`), stderr where ours goes.
    Pipe,
}

/// A running program in a process group of its own; ends with this value, and with us.
pub(crate) struct Guarded {
    child: Child,
    /// Nothing is ever written: its end is what the guard waits for.
    lifeline: Option<ChildStdin>,
    ended: Option<ExitStatus>,
}

impl Guarded {
    /// Starts what `command` says, with no stdin: a tool that asks a question must fail here and not wait for a
    /// person who is not there. A program that is not there ends with status 127.
    pub(crate) fn start(command: &Command, farewell: &Farewell, output: &Output<'_>) -> Result<Self, Fault> {
        use std::os::unix::process::CommandExt;

        let doing = format!("start `{}`", show(command));
        let mut shell = Command::new("sh");
        shell.args(["-c", GUARD, "guard"]).arg(farewell.words());
        shell.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            shell.current_dir(folder);
        }
        match output {
            Output::Ours => {}
            Output::File(path) => {
                let open = || File::options().create(true).append(true).open(path);
                let log = open().map_err(Fault::io(format!("write {}", path.display())))?;
                let again = log.try_clone().map_err(Fault::io(&doing))?;
                shell.stdout(log).stderr(again);
            }
            Output::Pipe => {
                shell.stdout(Stdio::piped());
            }
        }
        let mut child = shell.stdin(Stdio::piped()).process_group(0).spawn().map_err(Fault::io(doing))?;
        // Taken out: `Child::wait` would close it, and the guard would strike while we only wait.
        let lifeline = child.stdin.take();
        Ok(Self { child, lifeline, ended: None })
    }

    /// Its process id, which is that of its group as well.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The other end of its stdout, once, where that was to be a pipe.
    pub(crate) fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            // An error cannot come: only we wait for this child.
            self.ended = self.child.try_wait().ok().flatten();
        }
        self.ended
    }

    /// Waits for its end. `shown` names it in the fault.
    pub(crate) fn wait(&mut self, shown: &str) -> Result<ExitStatus, Fault> {
        if let Some(status) = self.ended {
            return Ok(status);
        }
        let status = self.child.wait().map_err(Fault::io(format!("wait for `{shown}`")))?;
        self.ended = Some(status);
        Ok(status)
    }

    /// Waits for its end, but not longer than `limit`.
    pub(crate) fn wait_within(&mut self, limit: Duration) -> Option<ExitStatus> {
        let start = Instant::now();
        loop {
            let ended = self.ended();
            if ended.is_some() || start.elapsed() >= limit {
                return ended;
            }
            sleep(POLL);
        }
    }

    /// Sends a signal to the program alone, if it still runs.
    pub(crate) fn signal(&mut self, signal: Signal) {
        if self.ended().is_none() {
            // It may end between the two lines; until we have waited for it, its number is nobody else's.
            kill_process(Pid::from_child(&self.child), signal).ok();
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        if self.wait_within(GUARD_TIMEOUT).is_none() {
            kill_process_group(Pid::from_child(&self.child), Signal::KILL).ok();
            self.child.wait().ok();
        }
    }
}

impl Farewell {
    fn words(&self) -> &OsStr {
        OsStr::new(match self {
            Self::None => ":",
            Self::Terminate => "kill -TERM 0; sleep 2",
            Self::Run(words) => words,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::test_kill_process;
    use std::env;
    use std::io::{BufRead, BufReader, Write};

    const PARENT: &str = "XTASK_TEST_PARENT";

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn start(script: &str) -> Guarded {
        Guarded::start(&sh(script), &Farewell::None, &Output::Ours).unwrap()
    }

    /// A killed process without a parent that waits for it still answers, as a zombie.
    fn runs(id: u32) -> bool {
        let pid = Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        test_kill_process(pid).is_ok() && !stat.contains(") Z ")
    }

    fn is_gone_soon(id: u32) -> bool {
        let start = Instant::now();
        while runs(id) && start.elapsed() < Duration::from_secs(5) {
            sleep(POLL);
        }
        !runs(id)
    }

    /// Run twice: the second time as the parent, in a process of its own that the first one kills.
    #[test]
    fn a_program_and_its_children_die_with_a_parent_that_is_killed() {
        if env::var_os(PARENT).is_some() {
            let child = start("sleep 600 & echo grandchild=$!; exec sleep 600");
            println!("child={}", child.id());
            std::io::stdout().flush().unwrap();
            sleep(Duration::from_secs(60));
            return;
        }
        let name = "guarded::tests::a_program_and_its_children_die_with_a_parent_that_is_killed";
        let mut parent = Command::new(env::current_exe().unwrap());
        parent.args(["--exact", name, "--nocapture"]).env(PARENT, "1").stdout(Stdio::piped());
        let mut parent = parent.spawn().unwrap();
        let mut ids = Vec::new();
        for line in BufReader::new(parent.stdout.take().unwrap()).lines().map_while(Result::ok) {
            ids.extend(line.split_once("child=").and_then(|(_, id)| id.trim().parse::<u32>().ok()));
            if ids.len() == 2 {
                break;
            }
        }
        assert_eq!(ids.len(), 2, "the parent names its child and its grandchild");
        assert!(ids.iter().all(|id| runs(*id)));
        parent.kill().unwrap();
        parent.wait().unwrap();
        assert!(ids.iter().all(|id| is_gone_soon(*id)), "a child outlived its parent");
    }

    #[test]
    fn a_program_ends_with_its_value_and_says_farewell_first() {
        let folder = env::temp_dir().join(format!("xtask-guarded-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mark = folder.join("mark");
        let farewell = Farewell::Run(format!("echo bye >'{}'", mark.display()));
        let child = Guarded::start(&sh("exec sleep 600"), &farewell, &Output::Ours).unwrap();
        let id = child.id();
        sleep(Duration::from_millis(100));
        assert!(runs(id) && !mark.exists());
        drop(child);
        assert!(!runs(id), "the program outlived its value");
        assert_eq!(std::fs::read_to_string(&mark).unwrap(), "bye\n");
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_program_that_ends_by_itself_tells_how() {
        // Not at once: the guard must not strike while we wait.
        let mut child = start("sleep 0.3; exit 3");
        assert_eq!(child.wait("it").unwrap().code(), Some(3));
        assert_eq!(child.ended().unwrap().code(), Some(3));
    }

    #[test]
    fn a_signal_reaches_the_program() {
        let mut child = start("trap 'exit 7' TERM; while :; do sleep 0.01; done");
        sleep(Duration::from_millis(200));
        child.signal(Signal::TERM);
        assert_eq!(child.wait_within(Duration::from_secs(5)).unwrap().code(), Some(7));
    }
}
