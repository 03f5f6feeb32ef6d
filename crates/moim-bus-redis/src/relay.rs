//! The pub/sub socket of one Redis: made anew when it is broken or deaf, with every channel that is wanted; a probe proves that
//! it hears.
//! Not here: what is done with what came (`deliver`), what a hole is filled from (`reads`).

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future;
use moim_bus::GiveBack;
use redis::{AsyncConnectionConfig, PushInfo, RedisError, aio::MultiplexedConnection};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use crate::{inner::Inner, link::Link, lock::locked};

/// What came and was not read yet. Full: it is dropped, and every room of this Redis reads on from its cursor.
const UNREAD_MAX: usize = 65_536;
/// Channels in one command.
const BATCH: usize = 512;
/// Between two probes.
const PROBE_EVERY: Duration = Duration::from_secs(2);
/// A socket that has brought no probe for so long is deaf.
const DEAF_AFTER: Duration = Duration::from_secs(6);
/// For one command. Longer: the connection is made anew.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two tries to connect: the first, and the longest.
const RECONNECT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));
/// How long whoever subscribes waits for the confirmation.
const CONFIRM_WAIT: Duration = Duration::from_secs(8);

/// An event and the number of the connection it came over.
pub(crate) type Pushed = (u64, PushInfo);

/// The pub/sub side of one link.
pub(crate) struct Relay {
    pub(crate) link: Arc<Link>,
    /// What changed since the last command: whether a channel is wanted.
    pending: Mutex<HashMap<String, bool>>,
    changed: Notify,
    /// The connection whose events count; those of earlier ones come too late.
    current: AtomicU64,
    /// Something came for which there was no space.
    pub(crate) overflowed: Arc<AtomicBool>,
    broke: Notify,
    confirmed: Mutex<HashSet<String>>,
    /// Goes up whenever something was confirmed.
    confirmations: watch::Sender<u64>,
    heard: Mutex<Instant>,
}

impl Relay {
    pub(crate) fn new(link: Arc<Link>) -> Arc<Self> {
        Arc::new(Self {
            link,
            pending: Mutex::default(),
            changed: Notify::new(),
            current: AtomicU64::new(0),
            overflowed: Arc::default(),
            broke: Notify::new(),
            confirmed: Mutex::default(),
            confirmations: watch::channel(0).0,
            heard: Mutex::new(Instant::now()),
        })
    }

    fn confirmed(&self) -> MutexGuard<'_, HashSet<String>> {
        locked(&self.confirmed)
    }

    /// How long nothing proved that it hears.
    pub(crate) fn deaf_for(&self) -> Duration {
        locked(&self.heard).elapsed()
    }

    pub(crate) fn has_heard(&self) {
        *locked(&self.heard) = Instant::now();
    }

    pub(crate) fn is_current(&self, number: u64) -> bool {
        self.current.load(Ordering::Acquire) == number
    }

    /// Whether events were dropped since it was asked last.
    pub(crate) fn has_overflowed(&self) -> bool {
        self.overflowed.swap(false, Ordering::AcqRel)
    }

    /// The connection is to be made anew.
    pub(crate) fn break_off(&self) {
        self.broke.notify_one();
    }

    /// A channel is wanted from now on, or not any more.
    pub(crate) fn want(&self, channel: String, wanted: bool) {
        locked(&self.pending).insert(channel, wanted);
        self.changed.notify_one();
    }

    pub(crate) fn is_confirmed(&self, channel: &str) -> bool {
        self.confirmed().contains(channel)
    }

    /// Waits until a channel is confirmed; `false`: it was not, in time.
    ///
    /// # Cancel safety
    /// Safe: it only waits.
    pub(crate) async fn confirms(&self, channel: &str) -> bool {
        let mut confirmations = self.confirmations.subscribe();
        let confirmed = confirmations.wait_for(|_| self.is_confirmed(channel));
        matches!(timeout(CONFIRM_WAIT, confirmed).await, Ok(Ok(_)))
    }

    /// Keeps it connected, and hands what comes to [`crate::deliver::read`]. Runs for ever.
    ///
    /// # Cancel safety
    /// Dropping it closes the socket.
    pub(crate) async fn run(self: Arc<Self>, inner: Arc<Inner>) {
        let (sender, unread) = mpsc::channel(UNREAD_MAX);
        tokio::join!(self.keep_connected(&inner, sender), crate::deliver::read(&inner, &self, unread));
    }

    async fn keep_connected(&self, inner: &Inner, sender: mpsc::Sender<Pushed>) {
        let mut pause = RECONNECT.0;
        for number in 1.. {
            let since = Instant::now();
            let served = match timeout(COMMAND_TIMEOUT, self.connect(number, &sender)).await {
                Ok(Ok(connection)) => self.serve(inner, connection).await,
                Ok(Err(error)) => Err(error),
                Err(_) => Err(failed("it does not answer")),
            };
            self.current.store(0, Ordering::Release);
            self.confirmed().clear();
            let Err(error) = served;
            tracing::warn!(redis = %self.link.name, %error, "the relay's socket is made anew");
            inner.metrics.relay_reconnects.inc();
            pause = if since.elapsed() >= RECONNECT.1 { RECONNECT.0 } else { (pause * 2).min(RECONNECT.1) };
            sleep(pause).await;
        }
    }

    async fn connect(
        &self,
        number: u64,
        sender: &mpsc::Sender<Pushed>,
    ) -> Result<MultiplexedConnection, RedisError> {
        let client = self.link.finder.find().await?;
        let (sender, overflowed) = (sender.clone(), self.overflowed.clone());
        let push = move |info| -> Result<(), redis::aio::SendError> {
            if sender.try_send((number, info)).is_err() {
                overflowed.store(true, Ordering::Release);
            }
            Ok(())
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(COMMAND_TIMEOUT))
            .set_response_timeout(Some(COMMAND_TIMEOUT))
            .set_push_sender(push);
        self.current.store(number, Ordering::Release);
        client.get_multiplexed_async_connection_with_config(&config).await
    }

    async fn serve(
        &self,
        inner: &Inner,
        mut connection: MultiplexedConnection,
    ) -> Result<std::convert::Infallible, RedisError> {
        locked(&self.pending).clear();
        let wanted = inner.channels_of(&self.link);
        for channels in wanted.chunks(BATCH) {
            self.subscribe(inner, &mut connection, channels).await?;
        }
        self.has_heard();
        // Whatever was said while nobody listened.
        inner.lost_on(&self.link);
        let mut probe = interval(PROBE_EVERY);
        probe.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.broke.notified() => return Err(failed("it broke")),
                () = self.changed.notified() => self.apply(inner, &mut connection).await?,
                _ = probe.tick() => {
                    if self.deaf_for() > DEAF_AFTER {
                        return Err(failed("it hears nothing"));
                    }
                    inner.probe(&self.link).await;
                }
            }
        }
    }

    async fn apply(&self, inner: &Inner, connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
        let (more, fewer) = self.take_changes();
        for channels in more.chunks(BATCH) {
            self.subscribe(inner, connection, channels).await?;
        }
        for channels in fewer.chunks(BATCH) {
            self.unsubscribe(inner, connection, channels).await?;
        }
        Ok(())
    }

    /// Channels to subscribe and to leave. Those to leave are confirmed no more from this moment on: whoever wants one again
    /// must wait until it is subscribed again, and not take the last confirmation for its own.
    fn take_changes(&self) -> (Vec<String>, Vec<String>) {
        let mut pending = locked(&self.pending);
        let mut confirmed = self.confirmed();
        let (mut more, mut fewer) = (Vec::new(), Vec::new());
        for (channel, wanted) in std::mem::take(&mut *pending) {
            match (wanted, confirmed.contains(&channel)) {
                (true, false) => more.push(channel),
                (false, true) => {
                    confirmed.remove(&channel);
                    fewer.push(channel);
                }
                _ => {}
            }
        }
        confirmed.give_back();
        (more, fewer)
    }

    async fn subscribe(
        &self,
        inner: &Inner,
        connection: &mut MultiplexedConnection,
        channels: &[String],
    ) -> Result<(), RedisError> {
        if inner.map.is_cluster() {
            one_by_one("SSUBSCRIBE", connection, channels).await?;
        } else {
            connection.subscribe(channels).await?;
        }
        self.confirmed().extend(channels.iter().cloned());
        self.confirmations.send_modify(|count| *count += 1);
        Ok(())
    }

    async fn unsubscribe(
        &self,
        inner: &Inner,
        connection: &mut MultiplexedConnection,
        channels: &[String],
    ) -> Result<(), RedisError> {
        if inner.map.is_cluster() {
            return one_by_one("SUNSUBSCRIBE", connection, channels).await;
        }
        connection.unsubscribe(channels).await
    }
}

/// A cluster takes channels of one slot in a command, and the library counts one confirmation for a command it does not know.
async fn one_by_one(
    command: &str,
    connection: &MultiplexedConnection,
    channels: &[String],
) -> Result<(), RedisError> {
    let all = channels.iter().map(|channel| {
        let mut connection = connection.clone();
        async move { redis::cmd(command).arg(channel).exec_async(&mut connection).await }
    });
    future::try_join_all(all).await.map(drop)
}

fn failed(what: &'static str) -> RedisError {
    RedisError::from((redis::ErrorKind::Io, what))
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, poll};

    use super::*;
    use crate::link::Finder;

    #[tokio::test]
    async fn a_channel_that_is_being_left_is_not_confirmed() {
        let client = redis::Client::open("redis://127.0.0.1").unwrap();
        let relay = Relay::new(Link::new("nowhere", Finder::Fixed(client)));
        relay.confirmed().insert("room".into());
        relay.want("room".into(), false);
        relay.want("other".into(), true);
        let changes = relay.take_changes();
        assert_eq!(changes, (vec!["other".to_owned()], vec!["room".to_owned()]));
        // Until the other is subscribed the room is not even unsubscribed; who joins it now must wait for its own turn.
        relay.want("room".into(), true);
        let mut confirms = relay.confirms("room").boxed();
        assert!(poll!(&mut confirms).is_pending());
        assert_eq!(relay.take_changes(), (vec!["room".to_owned()], vec![]));
        relay.confirmed().insert("room".into());
        relay.confirmations.send_modify(|count| *count += 1);
        assert!(confirms.await);
        relay.want("room".into(), false);
        relay.want("room".into(), true);
        assert_eq!(relay.take_changes(), (vec![], vec![]), "it was never left");
        assert!(relay.is_confirmed("room"));
    }
}
