//! One Redis: where its master is now, connections for calls that are made again whenever they break, a pool for large answers.
//! Not here: one such connection (`line`), the pub/sub socket (`relay`), which partitions are here (`topology`).

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use deadpool_redis::{Connection, Manager, Pool};
use redis::{
    AsyncConnectionConfig, Client, ErrorKind, FromRedisValue, RedisError, Script, ServerErrorKind,
    sentinel::SentinelClient,
};
use tokio::{
    sync::{Mutex, Notify, Semaphore, watch},
    time::{sleep, timeout},
};

pub(crate) use crate::script::Args;
use crate::{line::Line, lock::locked, script::invoke};

/// How long a call may take. Beyond it the outcome is not known.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(2);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Between two tries to connect: the first, and the longest.
const RECONNECT: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// Connections for the rows of rooms. All taken: callers wait, at most [`CALL_TIMEOUT`].
const POOL_MAX: usize = 16;
/// Rooms being brought to one Redis at the same time, each with its rows in memory. More wait for their turn.
const SEEDS_AT_ONCE: usize = 128;
/// Logs of one Redis being read at the same time, each answer in memory. More wait for their turn.
const LOGS_AT_ONCE: usize = 16;

/// Where the master is.
pub(crate) enum Finder {
    /// Always there.
    Fixed(Client),
    /// Ask the sentinels, and check that it is one.
    Sentinel(Mutex<SentinelClient>),
}

impl Finder {
    pub(crate) async fn find(&self) -> Result<Client, RedisError> {
        match self {
            Self::Fixed(client) => Ok(client.clone()),
            Self::Sentinel(sentinel) => sentinel.lock().await.async_get_client().await,
        }
    }
}

/// Why a call was not answered with what it asks for.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum CallError {
    /// There is no connection; it was not sent.
    #[error("there is no connection to {0}")]
    Down(Arc<str>),
    /// It may have been executed.
    #[error("{0}")]
    Uncertain(String),
    /// Redis is at its maxmemory; nothing was written.
    #[error("redis is out of memory")]
    OutOfMemory,
    /// Redis refuses it, whenever it is tried.
    #[error("redis refuses it: {0}")]
    Refused(String),
    /// The partition is elsewhere now.
    #[error("the partition has moved")]
    Moved,
}

/// What a call goes over, so that what is slow on one stands in nobody's way on another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// Publishes, and everything small.
    Calls,
    /// Rooms on their way here.
    Seeds,
    /// What is to be stored.
    Logs,
}

struct Connected {
    number: u64,
    address: String,
    calls: Line,
    seeds: Line,
    logs: Line,
    pool: Pool,
}

impl Connected {
    fn line(&self, over: Over) -> &Line {
        match over {
            Over::Calls => &self.calls,
            Over::Seeds => &self.seeds,
            Over::Logs => &self.logs,
        }
    }
}

/// One Redis. Shared by its `Arc`; [`Link::run`] keeps it connected.
pub(crate) struct Link {
    /// For people: host and port, no secrets.
    pub(crate) name: Arc<str>,
    pub(crate) finder: Finder,
    connected: watch::Sender<Option<Arc<Connected>>>,
    pub(crate) seed_turns: Semaphore,
    pub(crate) log_turns: Semaphore,
    /// A connection of this number is broken.
    broken: AtomicU64,
    broke: Notify,
    /// Why there is no connection, or what was refused last. A std mutex: never held across an await.
    trouble: std::sync::Mutex<Option<Arc<str>>>,
    started: Instant,
    /// Milliseconds after `started` at which it was last known to answer.
    answered: AtomicU64,
}

fn call_config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_response_timeout(Some(CALL_TIMEOUT))
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
}

impl Link {
    pub(crate) fn new(name: impl Into<Arc<str>>, finder: Finder) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            finder,
            connected: watch::channel(None).0,
            seed_turns: Semaphore::new(SEEDS_AT_ONCE),
            log_turns: Semaphore::new(LOGS_AT_ONCE),
            broken: AtomicU64::new(0),
            broke: Notify::new(),
            trouble: std::sync::Mutex::default(),
            started: Instant::now(),
            answered: AtomicU64::new(0),
        })
    }

    /// Keeps it connected, for ever.
    ///
    /// # Cancel safety
    /// Dropping it leaves the link as it is; nobody reconnects it.
    pub(crate) async fn run(self: Arc<Self>) {
        let (mut number, mut pause) = (0, RECONNECT.0);
        loop {
            number += 1;
            match self.connect(number).await {
                Ok(connected) => {
                    *locked(&self.trouble) = None;
                    tracing::info!(redis = %self.name, "connected");
                    let since = Instant::now();
                    self.connected.send_replace(Some(Arc::new(connected)));
                    self.is_broken(number).await;
                    self.connected.send_replace(None);
                    // A replica takes every connection and fails its first write: no better than none.
                    if since.elapsed() >= RECONNECT.1 {
                        pause = RECONNECT.0;
                    } else {
                        sleep(pause).await;
                        pause = (pause * 2).min(RECONNECT.1);
                    }
                }
                Err(error) => {
                    tracing::warn!(redis = %self.name, %error, ?pause, "no connection; trying again");
                    *locked(&self.trouble) = Some(error.to_string().into());
                    sleep(pause).await;
                    pause = (pause * 2).min(RECONNECT.1);
                }
            }
        }
    }

    async fn connect(&self, number: u64) -> Result<Connected, RedisError> {
        let found = timeout(CONNECT_TIMEOUT, self.finder.find()).await;
        let client = found.map_err(|_| timed_out("the sentinels did not answer"))??;
        let info = client.get_connection_info().clone();
        let address = info.addr().to_string();
        let manager = Manager::new_with_config(info, call_config())?;
        let built = Pool::builder(manager).max_size(POOL_MAX).build();
        let pool = built.map_err(|error| timed_out(error.to_string()))?;
        let (calls, seeds, logs) = tokio::try_join!(line(&pool), line(&pool), line(&pool))?;
        Ok(Connected { number, address, calls, seeds, logs, pool })
    }

    async fn is_broken(&self, number: u64) {
        loop {
            let broke = self.broke.notified();
            if self.broken.load(Ordering::Acquire) >= number {
                return;
            }
            broke.await;
        }
    }

    /// The connection is no good: of no use, or not to a master. It is made anew.
    fn break_off(&self, number: u64) {
        self.broken.fetch_max(number, Ordering::AcqRel);
        self.broke.notify_one();
    }

    /// Whether the sentinels name another master than the one it is connected to; then it is connected anew. A master that
    /// is cut off from them may go on answering.
    ///
    /// # Cancel safety
    /// Safe: it only asks.
    pub(crate) async fn follow_master(&self) -> bool {
        let Finder::Sentinel(_) = &self.finder else { return false };
        let Ok(Ok(client)) = timeout(CONNECT_TIMEOUT, self.finder.find()).await else { return false };
        let address = client.get_connection_info().addr().to_string();
        let connected = self.connected.borrow().clone();
        let Some(connected) = connected.filter(|connected| connected.address != address) else {
            return false;
        };
        tracing::info!(redis = %self.name, master = address, "the sentinels name another master");
        self.break_off(connected.number);
        true
    }

    /// Why there is no connection, or what was refused last.
    pub(crate) fn trouble(&self) -> Option<Arc<str>> {
        locked(&self.trouble).clone()
    }

    fn down(&self) -> CallError {
        let why = self.trouble().map_or_else(String::new, |why| format!(": {why}"));
        CallError::Down(format!("{}{why}", self.name).into())
    }

    /// Told once, and not at each of many calls.
    pub(crate) fn refused(&self, why: &str) {
        let mut trouble = locked(&self.trouble);
        if trouble.as_deref() != Some(why) {
            tracing::error!(redis = %self.name, why, "redis refuses a call");
            *trouble = Some(why.into());
        }
    }

    /// How long it has not answered.
    pub(crate) fn silent_for(&self) -> Duration {
        let answered = Duration::from_millis(self.answered.load(Ordering::Acquire));
        self.started.elapsed().saturating_sub(answered)
    }

    fn answered(&self) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.answered.fetch_max(now, Ordering::AcqRel);
    }

    async fn connection(&self) -> Result<Arc<Connected>, CallError> {
        let mut connected = self.connected.subscribe();
        let up = timeout(CALL_TIMEOUT, connected.wait_for(Option::is_some)).await;
        match up {
            Ok(Ok(connected)) => connected.clone().ok_or_else(|| self.down()),
            Ok(Err(_)) | Err(_) => Err(self.down()),
        }
    }

    /// Calls a script. Loads it first where it is not known.
    ///
    /// # Errors
    /// See [`CallError`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves the outcome unknown.
    pub(crate) async fn call<T: FromRedisValue>(
        &self,
        script: &Script,
        keys: &[String],
        args: Args,
    ) -> Result<T, CallError> {
        self.call_over(Over::Calls, script, keys, args).await
    }

    /// The same over another connection.
    ///
    /// # Errors
    /// See [`CallError`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves the outcome unknown.
    pub(crate) async fn call_over<T: FromRedisValue>(
        &self,
        over: Over,
        script: &Script,
        keys: &[String],
        args: Args,
    ) -> Result<T, CallError> {
        let connected = self.connection().await?;
        let mut connection = connected.line(over).begin();
        let result = invoke(script, keys, &args, &mut connection).await;
        self.judge(&connected, Some(connected.line(over)), result)
    }

    /// The same over the pool: for large answers, so that they do not stand in the way of publishes.
    ///
    /// # Errors
    /// See [`CallError`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves the outcome unknown.
    pub(crate) async fn call_aside<T: FromRedisValue>(
        &self,
        script: &Script,
        keys: &[String],
        args: Args,
    ) -> Result<T, CallError> {
        let connected = self.connection().await?;
        let Ok(taken) = timeout(CALL_TIMEOUT, connected.pool.get()).await else {
            return Err(CallError::Uncertain("all connections are taken".into()));
        };
        let result = match taken {
            Ok(mut connection) => {
                let result = invoke(script, keys, &args, &mut connection).await;
                if result
                    .as_ref()
                    .is_err_and(|error: &RedisError| !matches!(error.kind(), ErrorKind::Server(_)))
                {
                    // Its next answer could be the one to this call.
                    drop(Connection::take(connection));
                }
                result
            }
            Err(deadpool_redis::PoolError::Backend(error)) => Err(error),
            Err(other) => return Err(CallError::Uncertain(other.to_string())),
        };
        match result {
            // That connection's trouble, or the trouble of making one: it says nothing of those that all share.
            Err(error) if !matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension) => {
                Err(CallError::Uncertain(error.to_string()))
            }
            result => self.judge(&connected, None, result),
        }
    }

    /// Sends one plain command.
    ///
    /// # Errors
    /// See [`CallError`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves the outcome unknown.
    pub(crate) async fn command<T: FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, CallError> {
        let connected = self.connection().await?;
        let mut connection = connected.calls.begin();
        let result = command.query_async(&mut connection).await;
        self.judge(&connected, Some(&connected.calls), result)
    }

    fn judge<T>(
        &self,
        connected: &Connected,
        line: Option<&Line>,
        result: Result<T, RedisError>,
    ) -> Result<T, CallError> {
        let error = match result {
            Ok(value) => {
                if let Some(line) = line {
                    line.answered();
                }
                self.answered();
                return Ok(value);
            }
            Err(error) => error,
        };
        if let Some(line) = line
            && matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension)
        {
            line.answered();
        }
        match error.kind() {
            ErrorKind::Server(ServerErrorKind::Moved | ServerErrorKind::Ask) => Err(CallError::Moved),
            // A demoted master, a starting one, a cluster that votes: not the one to talk to now.
            ErrorKind::Server(
                ServerErrorKind::ReadOnly
                | ServerErrorKind::BusyLoading
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::TryAgain,
            ) => {
                self.break_off(connected.number);
                Err(self.down())
            }
            // Flushed again between loading it and calling it.
            ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.answered();
                Err(CallError::Uncertain("redis has forgotten the script".into()))
            }
            ErrorKind::Server(_) | ErrorKind::Extension if error.code() == Some("OOM") || is_oom(&error) => {
                self.answered();
                Err(CallError::OutOfMemory)
            }
            ErrorKind::Server(_) | ErrorKind::Extension | ErrorKind::UnexpectedReturnType => {
                self.answered();
                self.refused(&error.to_string());
                Err(CallError::Refused(error.to_string()))
            }
            // It may only be busy, and made anew it would be busier.
            _ if error.is_timeout() && line.is_none_or(|line| !line.is_silent()) => {
                Err(CallError::Uncertain(error.to_string()))
            }
            _ => {
                self.break_off(connected.number);
                Err(CallError::Uncertain(error.to_string()))
            }
        }
    }
}

async fn line(pool: &Pool) -> Result<Line, RedisError> {
    let taken = timeout(CONNECT_TIMEOUT, pool.get()).await.map_err(|_| timed_out("it does not answer"))?;
    let taken = taken.map_err(|error| match error {
        deadpool_redis::PoolError::Backend(error) => error,
        other => timed_out(other.to_string()),
    })?;
    Ok(Line::new(Connection::take(taken)))
}

/// Redis 7 says it of a script with this code in front, Redis 6 in the middle of a sentence.
fn is_oom(error: &RedisError) -> bool {
    error.detail().is_some_and(|detail| detail.contains("OOM ") || detail.contains("'maxmemory'"))
}

fn timed_out(what: impl Into<String>) -> RedisError {
    RedisError::from((ErrorKind::Io, "no connection", what.into()))
}
