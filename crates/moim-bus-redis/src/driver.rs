//! What the bus does beside its callers: connections, heartbeats, leases, presence, marks that were missed, generations.
//! Not here: what each of them does.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use moim_bus::Relayed;
use moim_protocol::{RoomEvent, RoomId, Timestamp};
use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinSet},
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use crate::{
    burials, counts,
    inner::{Inner, Site},
    link::Link,
    marks, news, nodes, recovery,
    topology::Change,
};

/// How often those who wait are looked at: for the store, or for a notice.
const WAITING_LOOK: Duration = Duration::from_millis(100);
/// How often a cluster is asked where its slots are, beside when it says that one has moved.
const CLUSTER_LOOK: Duration = Duration::from_secs(10);
/// Between two tries to find the cluster at all.
const CLUSTER_RETRY: Duration = Duration::from_millis(250);
/// Before a task that panicked begins again.
const BEGIN_AGAIN: Duration = Duration::from_millis(200);

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
        let (mut tasks, mut running) = (JoinSet::new(), Vec::new());
        for link in inner.map.links() {
            running.push(start(&mut tasks, &inner, link));
        }
        let node = inner.clone();
        tasks.spawn(again("recovery", move || {
            // What it had in hand when it ended is not known: nothing is open that is not looked after.
            node.partitions.iter().for_each(|partition| node.look_after(partition));
            recovery::run(node.clone())
        }));
        let node = inner.clone();
        tasks.spawn(again("presence", move || news::repeat(node.clone())));
        let node = inner.clone();
        tasks.spawn(again("burials", move || burials::run(node.clone())));
        let node = inner.clone();
        tasks.spawn(again("waiting", move || look_at_waiting(node.clone())));
        let node = inner.clone();
        tasks.spawn(again("marks", move || marks::run(node.clone())));
        // Full: the cluster is not asked again before they are taken.
        let (found, mut changes) = mpsc::channel(1);
        if inner.map.is_cluster() {
            let node = inner.clone();
            tasks.spawn(again("cluster", move || follow_cluster(node.clone(), found.clone())));
        }
        loop {
            tokio::select! {
                Some(Change { made, gone, .. }) = changes.recv() => {
                    running.extend(made.into_iter().map(|link| start(&mut tasks, &inner, link)));
                    gone.iter().for_each(|link| end(&mut running, &inner, link));
                }
                Some(_) = tasks.join_next() => {}
            }
        }
    }
}

impl Drop for RedisDriver {
    fn drop(&mut self) {
        self.inner.abort_tasks();
    }
}

/// A link and the tasks that keep it.
type Running = (Arc<Link>, Vec<AbortHandle>);

fn start(tasks: &mut JoinSet<()>, inner: &Arc<Inner>, link: Arc<Link>) -> Running {
    let site = inner.add_site(link.clone());
    let handles = vec![
        of_site(tasks, "link", inner, &site, |_, site| site.link.clone().run()),
        of_site(tasks, "relay", inner, &site, |inner, site| site.relay.clone().run(inner)),
        of_site(tasks, "heartbeat", inner, &site, beat),
        of_site(tasks, "leases", inner, &site, lease),
        of_site(tasks, "news", inner, &site, news::tell),
        of_site(tasks, "counts", inner, &site, counts::run),
    ];
    (link, handles)
}

fn of_site<T: Future<Output = ()> + Send + 'static>(
    tasks: &mut JoinSet<()>,
    task: &'static str,
    inner: &Arc<Inner>,
    site: &Arc<Site>,
    begin: impl Fn(Arc<Inner>, Arc<Site>) -> T + Send + Sync + 'static,
) -> AbortHandle {
    let (inner, site) = (inner.clone(), site.clone());
    tasks.spawn(again(task, move || begin(inner.clone(), site.clone())))
}

fn end(running: &mut Vec<Running>, inner: &Inner, link: &Arc<Link>) {
    tracing::info!(redis = %link.name, "no partition is on it any more");
    inner.remove_site(link);
    for (_, tasks) in running.extract_if(.., |(there, _)| Arc::ptr_eq(there, link)) {
        tasks.iter().for_each(AbortHandle::abort);
    }
}

/// Begins a task again when it panics. A node without one of them would look ready and be none: a fault that one event brought
/// about is over with it, and one that stays shows in what the task is for (nothing opens, no heartbeat, a deaf socket), which
/// makes the node unready.
async fn again<T: Future<Output = ()>>(task: &'static str, begin: impl Fn() -> T) {
    while AssertUnwindSafe(async { begin().await }).catch_unwind().await.is_err() {
        tracing::error!(task, "a task of the bus panicked; it begins again");
        sleep(BEGIN_AGAIN).await;
    }
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
            look_for_dead(&inner, &site);
        } else {
            turn.reset_after(nodes::RETRY);
        }
        inner.forget_old(&site);
        let worst = inner.used_sites().iter().map(|site| site.relay.deaf_for()).max().unwrap_or_default();
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

/// What follows from deaths is done beside the heartbeat, which must not be late. When too much of it waits, who died is looked
/// at again with the next one.
fn look_for_dead(inner: &Inner, site: &Site) {
    let Ok(place) = inner.burials.sender.try_reserve() else { return };
    let buried = inner.presence.bury(Instant::now(), site.beat.now());
    if !buried.dead.is_empty() {
        place.send(buried);
    }
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

impl Inner {
    fn forget_old(&self, site: &Site) {
        let kept_micros = self.config.redis.room_idle_seconds.saturating_mul(1_000_000);
        let before = Timestamp { micros: site.beat.now().micros.saturating_sub(kept_micros) };
        let before = (!self.config.has_store).then_some(before);
        for partition in &self.partitions {
            partition.forget_old(Instant::now(), before);
        }
    }

    /// Tells members how many are here where no notice has.
    fn tell_counts(&self) {
        let time = |room: &RoomId| self.redis_now(self.keys.partition_of(room));
        for Relayed { room, event } in self.presence.untold(Instant::now(), time) {
            // Else it is told with the next look.
            self.deliver_count(&room, event);
        }
    }

    /// Tells a room how many are elsewhere, without a notice.
    pub(crate) fn tell_count(&self, room: &RoomId) -> bool {
        let time = self.redis_now(self.keys.partition_of(room));
        self.presence.now(room, time).is_none_or(|event| self.deliver_count(room, event))
    }

    /// Hands a room's count over, if there is space. Several tasks do: what is told last must be what is known last.
    pub(crate) fn deliver_count(&self, room: &RoomId, mut event: RoomEvent) -> bool {
        loop {
            if self.sink.try_deliver(Relayed { room: room.clone(), event: event.clone() }).is_err() {
                return false;
            }
            self.presence.was_told(Instant::now(), room, &event);
            match self.presence.newer_than(room, &event) {
                Some(newer) => event = newer,
                None => return true,
            }
        }
    }
}

async fn look_at_waiting(inner: Arc<Inner>) {
    loop {
        sleep(WAITING_LOOK).await;
        for partition in &inner.partitions {
            partition.expire(Instant::now());
        }
        inner.tell_counts();
    }
}

/// Where a cluster's slots are, now and whenever one has moved.
async fn follow_cluster(inner: Arc<Inner>, found: mpsc::Sender<Change>) {
    loop {
        match timeout(CLUSTER_LOOK, inner.map.refresh()).await {
            Ok(Ok(change)) => {
                // Channels go with their slots.
                if !change.moved.is_empty() {
                    tracing::info!(
                        partitions = change.moved.len(),
                        "partitions are on another server of the cluster"
                    );
                    inner.sites().iter().for_each(|site| site.relay.break_off());
                }
                drop(found.send(change).await);
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_begins_again() {
        let begun = AtomicU32::new(0);
        let task = || async {
            assert!(begun.fetch_add(1, Ordering::Relaxed) >= 2, "it panics twice");
        };
        again("test", task).await;
        assert_eq!(begun.load(Ordering::Relaxed), 3);
    }
}
