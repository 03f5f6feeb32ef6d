//! The built program as a process of its own: started, asked, killed, started again on the same data.
//! Not here: what is said to it (`client`, `http`).

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::time::sleep;

use super::{PATIENCE, http, until};

const LOG_LINES_SHOWN: usize = 40;

/// A running `moim`; killed when dropped.
pub(crate) struct Server {
    child: Child,
    /// Where people connect.
    pub(crate) public: SocketAddr,
    /// Where operators look.
    pub(crate) ops: SocketAddr,
    settings: Vec<(String, String)>,
    folder: TempDir,
}

impl Server {
    /// With every setting at its default.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With these settings, each as `section.key`.
    pub(crate) async fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::start_at("127.0.0.1:0", settings).await
    }

    /// On a port that no outgoing connection can have taken when it starts again: clients that knock at a dead server's
    /// port would else, one time in thousands, be given that very port as their own.
    pub(crate) async fn start_to_be_restarted(settings: &[(&str, &str)]) -> Self {
        // Tests of one program start theirs at the same time.
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let nth = STARTED.fetch_add(1, Ordering::Relaxed);
        let seed = usize::try_from(std::process::id()).unwrap_or(0) * 7919 + nth * 3331;
        let port = (0..10_000)
            .map(|n| 10_000 + u16::try_from((seed + n * 31) % 20_000).unwrap_or(0))
            .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
            .expect("a free port");
        Self::start_at(&format!("127.0.0.1:{port}"), settings).await
    }

    async fn start_at(listen: &str, settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings: Vec<_> = settings
            .iter()
            .map(|(key, value)| {
                (format!("MOIM__{}", key.to_uppercase().replace('.', "__")), (*value).to_owned())
            })
            .collect();
        let mut child = spawn(folder.path(), listen, &settings);
        let (public, ops) = listening(&mut child, folder.path()).await;
        Self { child, public, ops, settings, folder }
    }

    /// Kills it as a crash does; nothing in it gets to run any more.
    pub(crate) fn kill_9(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on the same data and port. It must have ended.
    pub(crate) async fn restart(&mut self) {
        assert!(self.child.try_wait().unwrap().is_some(), "it still runs");
        self.child = spawn(self.folder.path(), &self.public.to_string(), &self.settings);
        let bound = listening(&mut self.child, self.folder.path()).await;
        assert_eq!(bound.0, self.public);
        self.ops = bound.1;
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, signal).unwrap();
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let child = &mut self.child;
        until("the end of the server", async || child.try_wait().unwrap()).await
    }

    /// Whether it runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Bytes of memory it holds now (VmRSS).
    pub(crate) fn memory_bytes(&self) -> usize {
        self.status("VmRSS:")
    }

    /// The most it ever held (VmHWM).
    pub(crate) fn memory_bytes_peak(&self) -> usize {
        self.status("VmHWM:")
    }

    fn status(&self, key: &str) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.trim().trim_end_matches("kB").trim().parse::<usize>().unwrap() * 1024
    }

    /// The text of `/metrics`.
    pub(crate) async fn metrics(&self) -> String {
        http::get(self.ops, "/metrics").await.text()
    }

    /// One series, by its name with its labels as they are written.
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        let text = self.metrics().await;
        let found = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        found.unwrap_or_else(|| panic!("no series {series}")).parse().unwrap()
    }

    /// Waits until a series is at least so much.
    pub(crate) async fn metric_reaches(&self, series: &str, least: f64) {
        let what = format!("{series} at {least}");
        until(&what, async || (self.metric(series).await >= least).then_some(())).await;
    }

    /// Connections of a profile, open now.
    pub(crate) async fn connections(&self, profile: &str) -> f64 {
        self.metric(&format!("moim_connections_{profile}")).await
    }

    /// How many connections ended for that reason.
    pub(crate) async fn closed(&self, reason: &str) -> f64 {
        self.metric(&closed_series(reason)).await
    }

    /// Waits until so many connections have ended for that reason.
    pub(crate) async fn closed_reaches(&self, reason: &str, least: f64) {
        self.metric_reaches(&closed_series(reason), least).await;
    }
}

fn closed_series(reason: &str) -> String {
    format!("moim_connections_closed_total{{reason=\"{reason}\"}}")
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            let log = fs::read_to_string(log_of(self.folder.path())).unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            let shown = &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..];
            eprintln!("--- the end of the server's log\n{}\n---", shown.join("\n"));
        }
    }
}

fn log_of(folder: &Path) -> PathBuf {
    folder.join("stderr")
}

fn banner_of(folder: &Path) -> PathBuf {
    folder.join("stdout")
}

fn spawn(folder: &Path, listen: &str, settings: &[(String, String)]) -> Child {
    let is_moims = |name: &OsString| name.to_string_lossy().to_uppercase().starts_with("MOIM");
    let mut command = Command::new(env!("CARGO_BIN_EXE_moim"));
    for (name, _) in env::vars_os().filter(|(name, _)| is_moims(name)) {
        command.env_remove(name);
    }
    let log = File::options().append(true).create(true).open(log_of(folder)).unwrap();
    command
        .args(["--listen", listen, "--ops-listen", "127.0.0.1:0", "--data"])
        .arg(folder.join("data"))
        .envs(settings.iter().map(|(name, value)| (name, value)))
        // Its banner is read.
        .env("MOIM_LANG", "en")
        .stdin(Stdio::null())
        .stdout(File::create(banner_of(folder)).unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// Reads the bound addresses from the banner. A file and no pipe: nobody has to read it on.
async fn listening(child: &mut Child, folder: &Path) -> (SocketAddr, SocketAddr) {
    let started = Instant::now();
    loop {
        let banner = fs::read_to_string(banner_of(folder)).unwrap();
        if banner.contains("Ctrl-C stops it") {
            return (address_in(&banner, "page"), address_in(&banner, "operators"));
        }
        let ended = child.try_wait().unwrap();
        if ended.is_some() || started.elapsed() > PATIENCE {
            drop(child.kill());
            let log = fs::read_to_string(log_of(folder)).unwrap_or_default();
            panic!("the server did not start ({ended:?}):\n{banner}\n{log}");
        }
        sleep(Duration::from_millis(5)).await;
    }
}

fn address_in(banner: &str, row: &str) -> SocketAddr {
    let line = banner.lines().find(|line| line.trim_start().starts_with(row)).unwrap();
    let (_, rest) = line.split_once("http://").unwrap();
    rest.split('/').next().unwrap().parse().unwrap()
}
