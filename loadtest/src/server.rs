//! The programs under test: started on free ports with a folder of their own, and always ended.
//! Not here: what they use (`process`), what is asked of them (`http`, `fleet`).

use std::{
    fs::File,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{fault::Fault, http, interrupt};

const START_TIMEOUT: Duration = Duration::from_secs(30);
/// More than any drill asks for: what is measured is never a limit of ours.
const SENDS_PER_SECOND: u32 = 100_000;
const CONNECTIONS_MAX: u32 = 20_000;

/// A running program that ends with this value.
pub(crate) struct Server {
    child: Child,
    /// Where people connect.
    pub(crate) public: SocketAddr,
    ops: Option<SocketAddr>,
    /// Its data and its log; removed after it has ended.
    _folder: TempDir,
}

/// Where a program of ours is when nobody says: beside this one.
pub(crate) fn beside(name: &str, package: &'static str) -> Result<PathBuf, Fault> {
    let own = std::env::current_exe().map_err(Fault::io("cannot find this program"))?;
    let path = own.with_file_name(name);
    if path.is_file() { Ok(path) } else { Err(Fault::NoProgram(path, package)) }
}

fn moim(program: Option<&Path>) -> Result<PathBuf, Fault> {
    program.map_or_else(|| beside("moim", "moim"), |path| Ok(path.to_owned()))
}

/// Makes the tables of these settings.
pub(crate) fn migrate(program: Option<&Path>, settings: &[(&str, String)]) -> Result<(), Fault> {
    let mut command = Command::new(moim(program)?);
    command.arg("migrate").envs(settings.iter().map(|(name, value)| (name, value)));
    let output = command.output().map_err(Fault::io("cannot start moim migrate"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Fault::Start(format!("moim migrate: {}", String::from_utf8_lossy(&output.stderr))))
}

impl Server {
    /// Starts `moim` with limits out of the way, and waits until it listens.
    pub(crate) fn moim(program: Option<&Path>) -> Result<Self, Fault> {
        Self::moim_with(program, &[])
    }

    /// As `moim`, with these variables.
    pub(crate) fn moim_with(program: Option<&Path>, settings: &[(&str, String)]) -> Result<Self, Fault> {
        let folder = folder()?;
        let mut command = Command::new(moim(program)?);
        command
            .args(["--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0", "--data"])
            .arg(folder.path().join("data"))
            .env("MOIM__LIMITS__MESSAGES_PER_SECOND", SENDS_PER_SECOND.to_string())
            .env("MOIM__LIMITS__CONNECTIONS_MAX", CONNECTIONS_MAX.to_string())
            .envs(settings.iter().map(|(name, value)| (name, value)));
        Self::start(command, folder, &["ws://", "http://"])
    }

    /// Starts the bare loop, and waits until it listens.
    pub(crate) fn bare() -> Result<Self, Fault> {
        Self::start(Command::new(beside("moim-bare-epoll", "moim-loadtest")?), folder()?, &["ws://"])
    }

    /// `marks` stand before the addresses in what it prints, the operators' one last: on a line that names `/metrics`.
    fn start(mut command: Command, folder: TempDir, marks: &[&'static str]) -> Result<Self, Fault> {
        let shown = command.get_program().to_string_lossy().into_owned();
        let log_path = folder.path().join("log");
        let log = File::create(&log_path).map_err(Fault::io("cannot make a log"))?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(Fault::io(format!("cannot start {shown}")))?;
        let stdout = child.stdout.take();
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Self { child, public: unknown, ops: None, _folder: folder };
        let Some(stdout) = stdout else { return Err(Fault::Start(format!("{shown} has no stdout"))) };
        let (lines, heard) = sync_channel(64);
        thread::spawn(move || read_lines(stdout, &lines));
        let deadline = Instant::now() + START_TIMEOUT;
        for mark in marks {
            let address = loop {
                interrupt::check()?;
                let line = heard.recv_timeout(deadline.saturating_duration_since(Instant::now()));
                let line = line.map_err(|error| Fault::Start(silence(&shown, error, &log_path)))?;
                if (*mark == "ws://" || line.contains("/metrics"))
                    && let Some(address) = address_after(&line, mark)
                {
                    break address;
                }
            };
            if *mark == "ws://" { server.public = address } else { server.ops = Some(address) }
        }
        Ok(server)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it says that it is ready: over a bus of several servers that is some seconds after it listens.
    pub(crate) fn ready(&self) -> Result<(), Fault> {
        let ops = self.ops.ok_or_else(|| Fault::Usage("this server has no readiness".into()))?;
        let start = Instant::now();
        while let Err(fault) = http::get(ops, "/readyz") {
            interrupt::check()?;
            if start.elapsed() > START_TIMEOUT {
                return Err(fault);
            }
            thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// One metric, summed over its labels.
    pub(crate) fn metric(&self, name: &str) -> Result<f64, Fault> {
        let ops = self.ops.ok_or_else(|| Fault::Usage("this server has no metrics".into()))?;
        let text = http::get(ops, "/metrics")?;
        sum_of(&text, name).ok_or_else(|| Fault::wrong(format!("there is no metric {name}")))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Killed, not asked: its data goes too. An error means that it has ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn folder() -> Result<TempDir, Fault> {
    tempfile::Builder::new().prefix("moim-loadtest-").tempdir().map_err(Fault::io("cannot make a folder"))
}

/// Reads to the end: a server whose pipe is full would stop in the middle of a drill.
fn read_lines(stdout: ChildStdout, lines: &SyncSender<String>) {
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        // Nobody waits for the lines after the addresses.
        lines.try_send(line).ok();
    }
}

fn silence(shown: &str, error: RecvTimeoutError, log: &Path) -> String {
    let log = std::fs::read_to_string(log).unwrap_or_default();
    let what = match error {
        RecvTimeoutError::Timeout => format!("did not say in {} s where it listens", START_TIMEOUT.as_secs()),
        RecvTimeoutError::Disconnected => "ended before it said where it listens".into(),
    };
    format!("{shown} {what}\n{log}")
}

fn address_after(line: &str, mark: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once(mark)?;
    rest.split('/').next()?.trim().parse().ok()
}

fn sum_of(text: &str, name: &str) -> Option<f64> {
    let values = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let value = match rest.split_once("} ") {
            Some((labels, value)) if labels.starts_with('{') => value,
            _ => rest.strip_prefix(' ')?,
        };
        value.trim().parse::<f64>().ok()
    });
    values.fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_the_banner() {
        let line = "  websocket  ws://127.0.0.1:42545/chat/general?username=Mina";
        assert_eq!(address_after(line, "ws://"), "127.0.0.1:42545".parse().ok());
        assert_eq!(address_after("  page  http://x/", "ws://"), None);
    }

    #[test]
    fn a_metric_is_summed_over_its_labels_and_not_over_others() {
        let text =
            "# HELP a_total x\na_total{reason=\"x y\"} 2\na_total{reason=\"z\"} 3\na_total_more 9\nb 4\n";
        assert_eq!(sum_of(text, "a_total"), Some(5.0));
        assert_eq!(sum_of(text, "b"), Some(4.0));
        assert_eq!(sum_of(text, "c"), None);
    }

    fn shell(script: &str) -> Result<Server, Fault> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Server::start(command, folder()?, &["ws://"])
    }

    #[test]
    fn a_server_is_found_by_what_it_says_and_ends_with_its_value() {
        let server = shell("echo hello; echo ws://127.0.0.1:9/; exec sleep 60").unwrap();
        assert_eq!(server.public.port(), 9);
        let proc = format!("/proc/{}", server.pid());
        assert!(Path::new(&proc).exists());
        drop(server);
        assert!(!Path::new(&proc).exists());
    }

    #[test]
    fn a_server_that_ends_at_once_is_told_with_its_log() {
        let fault = shell("echo no such setting >&2; exit 78").err().unwrap().to_string();
        assert!(fault.contains("ended before") && fault.contains("no such setting"), "{fault}");
    }
}
