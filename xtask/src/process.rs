//! Running other programs: output streams through, and a failure names the whole command.
//! Not here: which programs there are (`tools`) and when they run (`steps`).

use std::ffi::OsStr;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::fault::Fault;
use crate::guarded::{Farewell, Guarded, Output};

const TELL_EVERY: Duration = Duration::from_secs(10);

/// Runs `command` with our own stdout and stderr; anything but exit status 0 is a fault. It ends when we do.
pub(crate) fn stream(command: &Command) -> Result<(), Fault> {
    let shown = show(command);
    let status = Guarded::start(command, &Farewell::Terminate, &Output::Ours)?.wait(&shown)?;
    judge(&shown, status)
}

/// The same for what can hang on a network: it may not take longer than `limit`, and says that it goes on.
pub(crate) fn stream_within(command: &Command, limit: Duration) -> Result<(), Fault> {
    let shown = show(command);
    let mut running = Guarded::start(command, &Farewell::Terminate, &Output::Ours)?;
    let start = Instant::now();
    while let Some(left) = limit.checked_sub(start.elapsed()) {
        if let Some(status) = running.wait_within(left.min(TELL_EVERY)) {
            return judge(&shown, status);
        }
        println!("still at it after {} s", start.elapsed().as_secs());
    }
    Err(Fault::plain(format!("`{shown}` had not ended after {} s", limit.as_secs())))
}

fn judge(shown: &str, status: ExitStatus) -> Result<(), Fault> {
    if status.success() { Ok(()) } else { Err(Fault::plain(format!("`{shown}` ended with {status}"))) }
}

/// Runs `command` and keeps its stdout; its stderr streams through.
pub(crate) fn capture(command: &mut Command) -> Result<String, Fault> {
    let shown = show(command);
    let std::process::Output { status, stdout, .. } = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| not_started(&shown, &error))?;
    if !status.success() {
        return Err(Fault::plain(format!("`{shown}` ended with {status}")));
    }
    String::from_utf8(stdout)
        .map_err(|_| Fault::plain(format!("`{shown}` printed something that is no text")))
}

/// Whether `command` runs and ends well; what it prints is dropped.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// The command as a person would type it, without the environment.
pub(crate) fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

fn not_started(shown: &str, error: &std::io::Error) -> Fault {
    Fault::plain(format!("cannot start `{shown}`: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_command_and_its_status() {
        let fault = stream(Command::new("sh").args(["-c", "exit 3"])).unwrap_err();
        assert_eq!(fault.what, "`sh -c exit 3` ended with exit status: 3");
    }

    #[test]
    fn what_hangs_is_ended() {
        let start = Instant::now();
        let fault = stream_within(Command::new("sleep").arg("600"), Duration::from_millis(50)).unwrap_err();
        assert_eq!(fault.what, "`sleep 600` had not ended after 0 s");
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_program_that_is_not_there_is_a_fault_and_no_panic() {
        let fault = capture(&mut Command::new("no-such-program-here")).unwrap_err();
        assert!(fault.what.starts_with("cannot start `no-such-program-here`"), "{fault}");
    }

    #[test]
    fn stdout_is_kept() {
        assert_eq!(capture(Command::new("echo").arg("hello")).unwrap(), "hello\n");
    }
}
