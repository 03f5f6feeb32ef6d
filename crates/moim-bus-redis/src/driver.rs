//! What the bus does beside its callers: connections, heartbeats, leases, presence, marks that were missed, generations.
//! Not here: what each of them does.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
use moim_protocol::{Epoch, NodeId, Timestamp};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use crate::{
    event::{self, PresenceEvent},
    inner::{Inner, Site},
    link::{Args, CallError, Link},
    nodes,
    presence::{GATHER, KEPT, News, REPEAT},
    recovery,
    store_view::Mark,
};

/// How often those who wait for the store are looked at.
const WAITING_LOOK: Duration = Duration::from_millis(100);
/// How often marks are read that may have been lost on the way.
const MARKS_LOOK: Duration = Duration::from_millis(500);
/// How often a cluster is asked where its slots are, beside when it says that one has moved.
const CLUSTER_LOOK: Duration = Duration::from_secs(10);
/// Between two tries to find the cluster at all.
const CLUSTER_RETRY: Duration = Duration::from_millis(250);
/// Rooms told in one go.
const NEWS_AT_ONCE: usize = 256;
/// Parts in which all rooms are told again.
const REPEAT_PARTS: u32 = 60;
/// Calls under way at the same time in a round over partitions.
const AT_ONCE: usize = 64;
/// Dead letters looked at when a mark is read late.
const DEAD_LOOK: usize = 64;

/// What the bus does beside its callers; the gateway spawns [`RedisDriver::run`].
pub struct RedisDriver {
    inner: Arc<Inner>,
}

impl RedisDriver {
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    /// Runs for ever.
    ///
    /// # Cancel safety
    /// Dropping it ends every task of the bus where it is, as a kill would.
    pub async fn run(self) {
        let inner = self.inner.clone();
        let mut tasks = JoinSet::new();
        for link in inner.map.links() {
            start(&mut tasks, &inner, link);
        }
        for partition in &inner.partitions {
            inner.look_after(partition);
        }
        tasks.spawn(recovery::run(inner.clone()));
        tasks.spawn(tell_presence(inner.clone()));
        tasks.spawn(look_at_waiting(inner.clone()));
        tasks.spawn(look_at_marks(inner.clone()));
        let (found, mut new_links) = mpsc::channel(64);
        if inner.map.is_cluster() {
            tasks.spawn(follow_cluster(inner.clone(), found));
        }
        loop {
            tokio::select! {
                Some(link) = new_links.recv() => start(&mut tasks, &inner, link),
                Some(ended) = tasks.join_next() => {
                    if ended.is_err_and(|error| error.is_panic()) {
                        tracing::error!("a task of the bus panicked");
                    }
                }
            }
        }
    }
}

impl Drop for RedisDriver {
    fn drop(&mut self) {
        self.inner.abort_tasks();
    }
}

fn start(tasks: &mut JoinSet<()>, inner: &Arc<Inner>, link: Arc<Link>) {
    let site = inner.add_site(link.clone());
    tasks.spawn(link.run());
    tasks.spawn(site.relay.clone().run(inner.clone()));
    tasks.spawn(beat(inner.clone(), site.clone()));
    tasks.spawn(lease(inner.clone(), site));
}

async fn beat(inner: Arc<Inner>, site: Arc<Site>) {
    let mut turn = interval(nodes::REFRESH);
    turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turn.tick().await;
        if site.link.follow_master().await {
            site.relay.break_off();
        }
        // Who hears nothing cannot say of others that they are dead.
        if nodes::beat(&inner, &site).await {
            bury(&inner, &site).await;
        }
        inner.forget_old(&site);
        let worst = inner.sites().iter().map(|site| site.relay.deaf_for()).max().unwrap_or_default();
        inner.metrics.probe_age_ms.set(i64::try_from(worst.as_millis()).unwrap_or(i64::MAX));
        let open = inner.partitions.iter().filter(|partition| partition.is_open()).count();
        inner.metrics.partitions_open.set(i64::try_from(open).unwrap_or(i64::MAX));
        inner.metrics.leases.set(i64::try_from(inner.logs.count()).unwrap_or(i64::MAX));
        let oldest = inner.logs.oldest().as_millis();
        inner.metrics.oldest_unstored_ms.set(i64::try_from(oldest).unwrap_or(i64::MAX));
        inner.metrics.tail_bytes.set(i64::try_from(inner.tail_bytes.held()).unwrap_or(i64::MAX));
        let unprotected: u64 = inner.partitions.iter().map(|partition| partition.unprotected()).sum();
        inner.metrics.tail_unprotected.set(i64::try_from(unprotected).unwrap_or(i64::MAX));
    }
}

/// Members of dead nodes are gone, here and in Redis.
async fn bury(inner: &Inner, site: &Site) {
    let (dead, told) = inner.presence.bury(Instant::now(), site.beat.now());
    if dead.is_empty() {
        return;
    }
    tracing::info!(nodes = dead.len(), "nodes are gone; their members have left");
    let rooms: Vec<_> = told.iter().map(|relayed| relayed.room.clone()).collect();
    for relayed in told {
        inner.sink.deliver(relayed).await;
    }
    stream::iter(rooms)
        .for_each_concurrent(AT_ONCE, async |room| {
            let Some(link) = inner.map.link_of(inner.keys.partition_of(&room)) else { return };
            let mut command = redis::cmd("HDEL");
            command.arg(inner.keys.presence(&room));
            for NodeId(node) in &dead {
                command.arg(format!("{node:x}"));
            }
            // Somebody else does it, or it is not counted anyway.
            drop(link.command::<i64>(&command).await);
        })
        .await;
}

async fn lease(inner: Arc<Inner>, site: Arc<Site>) {
    loop {
        // Who else drains is known from the first heartbeat on.
        let known = site.beat.is_registered();
        if known && !(inner.is_closed() && inner.is_flushed()) {
            nodes::lease_all(&inner, &site).await;
        }
        sleep(if known { nodes::PARTITION_REFRESH } else { Duration::from_millis(20) }).await;
    }
}

async fn tell_presence(inner: Arc<Inner>) {
    let mut part = 0;
    let mut repeat = interval(REPEAT / REPEAT_PARTS);
    repeat.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            () = inner.news_came.notified() => {}
            _ = repeat.tick() => {
                part += 1;
                inner.presence.repeat(part, u64::from(REPEAT_PARTS));
            }
        }
        inner.tell_news().await;
        sleep(GATHER).await;
    }
}

impl Inner {
    fn forget_old(&self, site: &Site) {
        let kept_micros = self.config.redis.room_idle_seconds.saturating_mul(1_000_000);
        let before = Timestamp { micros: site.beat.now().micros.saturating_sub(kept_micros) };
        let before = (!self.config.has_store).then_some(before);
        for partition in &self.partitions {
            partition.forget_old(Instant::now(), before);
        }
    }

    /// Tells every room's news.
    pub(crate) async fn tell_news(&self) {
        loop {
            let news = self.presence.take_news(NEWS_AT_ONCE);
            if news.is_empty() {
                return;
            }
            let failed = std::sync::atomic::AtomicBool::new(false);
            stream::iter(news)
                .for_each_concurrent(AT_ONCE, async |news| {
                    if let Err(error) = self.tell(&news).await {
                        tracing::debug!(room = %news.room, %error, "who is here could not be told; trying again");
                        self.presence.failed(news, matches!(error, CallError::Uncertain(_)));
                        failed.store(true, std::sync::atomic::Ordering::Relaxed);
                    }
                })
                .await;
            if failed.into_inner() {
                // The next repeat, or the next change, tries again.
                return;
            }
        }
    }

    async fn tell(&self, news: &News) -> Result<(), CallError> {
        let partition = self.keys.partition_of(&news.room);
        let site = self.site_of(partition).ok_or(CallError::Moved)?;
        // Near the bound of its memory Redis is spared the notices; the counts are needed.
        let notices = if site.beat.sheds() { Vec::new() } else { news.notices.clone() };
        let event = PresenceEvent { node: self.config.node, here: news.here.clone(), notices };
        let kept = if news.here.count == 0 { String::new() } else { event::encode_here(&news.here) };
        let keys = [self.keys.presence(&news.room), self.keys.absent(partition)];
        let args = Args::new()
            .with(format!("{:x}", self.config.node.0))
            .with(kept)
            .with(KEPT.as_millis())
            .with(self.keys.room_channel(&news.room))
            .with(event::encode_presence(&event));
        site.link.call::<String>(&self.scripts.presence, &keys, args).await.map(drop)
    }
}

async fn look_at_waiting(inner: Arc<Inner>) {
    loop {
        sleep(WAITING_LOOK).await;
        for partition in &inner.partitions {
            partition.expire(Instant::now());
        }
    }
}

/// Watermarks come over pub/sub and may be lost: whoever needs them reads them, too.
async fn look_at_marks(inner: Arc<Inner>) {
    loop {
        sleep(MARKS_LOOK).await;
        let needed = inner.partitions.iter().filter(|partition| partition.needs_marks());
        stream::iter(needed)
            .for_each_concurrent(AT_ONCE, async |partition| {
                let Some(link) = inner.map.link_of(partition.id) else { return };
                if let Ok(Some(mark)) = read_mark(&inner, &link, partition.id).await {
                    partition.marked(Instant::now(), &mark);
                }
            })
            .await;
    }
}

async fn read_mark(inner: &Inner, link: &Link, partition: u32) -> Result<Option<Mark>, CallError> {
    let (mark, dead) = (inner.keys.mark(partition), inner.keys.dead(partition));
    let read = redis::cmd("HMGET").arg(mark).arg(&["epoch", "id", "text"]).to_owned();
    let (epoch, id, text): (Option<String>, Option<u64>, Option<String>) = link.command(&read).await?;
    let Some(told) = text.as_deref().and_then(Mark::decode) else { return Ok(None) };
    let (Some(epoch), Some(id)) = (epoch, id) else { return Ok(Some(told)) };
    let read = redis::cmd("XREVRANGE").arg(dead).arg(&["+", "-", "COUNT"]).arg(DEAD_LOOK).to_owned();
    let letters: Vec<(String, Vec<String>)> = link.command(&read).await?;
    let dead = letters.iter().filter_map(|(_, fields)| fields.get(1)?.parse().ok()).collect();
    Ok(Some(Mark { epoch: Epoch::trusted(epoch), id, dead, ..told }))
}

/// Where a cluster's slots are, now and whenever one has moved.
async fn follow_cluster(inner: Arc<Inner>, found: mpsc::Sender<Arc<Link>>) {
    loop {
        match timeout(CLUSTER_LOOK, inner.map.refresh()).await {
            Ok(Ok((links, moved))) => {
                for link in links {
                    drop(found.send(link).await);
                }
                // Channels go with their slots.
                if !moved.is_empty() {
                    tracing::info!(
                        partitions = moved.len(),
                        "partitions are on another server of the cluster"
                    );
                    inner.sites().iter().for_each(|site| site.relay.break_off());
                }
                drop(timeout(CLUSTER_LOOK, inner.moved.notified()).await);
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "the cluster cannot be found; trying again");
                sleep(CLUSTER_RETRY).await;
            }
            Err(_) => tracing::warn!("the cluster does not answer; trying again"),
        }
        sleep(CLUSTER_RETRY).await;
    }
}
