//! Servers of a test's own, which die with it: a Redis, a pair of them, sentinels.
//! Not here: the servers that all tests share (`servers`).

use std::{net::SocketAddr, process::Stdio, time::Duration};

use redis::FromRedisValue;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::{sleep, timeout},
};

use super::servers;

/// The longest anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until it is so.
///
/// # Panics
/// When it is not in time.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !is_so().await {
            sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(timeout(PATIENCE, waiting).await.is_ok(), "not in time: {what}");
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    free.local_addr().expect("its address").port()
}

/// A Redis of its own.
pub(crate) struct OwnRedis {
    server: Child,
    _folder: tempfile::TempDir,
    port: u16,
}

impl OwnRedis {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With more on its command line.
    pub(crate) async fn start_with(more: &[&str]) -> Self {
        let fixed =
            ["--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--repl-diskless-sync-delay", "0"];
        let all = |port: u16| {
            let port = ["--port".to_owned(), port.to_string()];
            let words = fixed.iter().chain(more).map(|word| (*word).to_owned());
            port.into_iter().chain(words).collect()
        };
        Self::run(all).await
    }

    /// With that command line. Its port must be its own, or another server took it first: then once more.
    pub(crate) async fn run(arguments: impl Fn(u16) -> Vec<String>) -> Self {
        let program = servers("MOIM_TEST_REDIS_SERVER").remove(0);
        let folder = tempfile::tempdir().expect("a folder");
        loop {
            let port = free_port();
            let mut server = Command::new(&program)
                .args(arguments(port))
                .current_dir(folder.path())
                .stdout(Stdio::null())
                .kill_on_drop(true)
                .spawn()
                .expect("redis-server");
            loop {
                if server.try_wait().expect("its state").is_some() {
                    break;
                }
                if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                    return Self { server, _folder: folder, port };
                }
                sleep(Duration::from_millis(10)).await;
            }
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// One command on a connection of its own, its words split at spaces.
    ///
    /// # Panics
    /// When it is refused.
    pub(crate) async fn ask<T: FromRedisValue>(&self, words: &str) -> T {
        match self.try_ask(words).await {
            Ok(answer) => answer,
            Err(error) => panic!("{words}: {error}"),
        }
    }

    pub(crate) async fn try_ask<T: FromRedisValue>(&self, words: &str) -> redis::RedisResult<T> {
        let client = redis::Client::open(self.url())?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        let mut words = words.split(' ');
        let mut command = redis::cmd(words.next().unwrap_or_default());
        words.for_each(|word| {
            command.arg(word);
        });
        command.query_async(&mut connection).await
    }

    /// A field of `INFO`.
    pub(crate) async fn info(&self, section: &str, field: &str) -> String {
        let info: String = self.ask(&format!("INFO {section}")).await;
        let of_field =
            |line: &str| line.split_once(':').filter(|(name, _)| *name == field).map(|(_, is)| is.to_owned());
        info.lines().find_map(of_field).unwrap_or_default()
    }

    /// Entries in the logs of all its partitions: what is not committed yet.
    pub(crate) async fn in_logs(&self) -> usize {
        let mut left = 0;
        for key in self.ask::<Vec<String>>("KEYS *:log").await {
            left += self.ask::<usize>(&format!("XLEN {key}")).await;
        }
        left
    }

    pub(crate) async fn lose_everything(&self) {
        let _: String = self.ask("FLUSHALL").await;
    }

    /// kill -9.
    pub(crate) async fn kill(&mut self) {
        self.server.kill().await.expect("a kill");
    }

    /// Another one that has all it has, and will have.
    pub(crate) async fn replica(&self) -> Self {
        let replica = Self::start_with(&["--replicaof", "127.0.0.1", &self.port.to_string()]).await;
        until("the replica is there", async || {
            replica.info("replication", "master_link_status").await == "up"
        })
        .await;
        replica
    }

    /// It has all that the master has now.
    pub(crate) async fn catches_up_with(&self, master: &Self) {
        let offset = async |of: &Self| {
            of.info("replication", "master_repl_offset").await.parse::<u64>().expect("a number")
        };
        let want = offset(master).await;
        until("the replica has caught up", async || offset(self).await >= want).await;
    }

    /// From now on it lags.
    pub(crate) async fn cut_off(&self) {
        let _: String = self.ask("REPLICAOF 127.0.0.1 1").await;
    }

    /// It is the master now.
    pub(crate) async fn promote(&self) {
        let _: String = self.ask("REPLICAOF NO ONE").await;
    }
}
