//! Leases: of this node, told to every Redis, and of the partitions whose logs it drains.
//! Not here: what a lease holder does (`log`), what follows when a node is dead (`presence`).

use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use futures_util::{StreamExt, stream};
use moim_bus::stable_hash;
use moim_protocol::{NodeId, Timestamp};
use tokio::time::timeout;

use crate::{
    inner::{Inner, Site},
    link::{Args, CallError},
    lock::locked,
    log::PartitionLog,
};

/// How long a node counts as alive after it was last heard.
pub(crate) const LEASE: Duration = Duration::from_secs(8);
/// Between two renewals of it.
pub(crate) const REFRESH: Duration = Duration::from_secs(2);
/// After a Redis was away, or was another: nobody dies before all had the time to find it and to be heard.
const GRACE: Duration = LEASE.saturating_add(REFRESH).saturating_add(REFRESH);
/// Between two tries to be heard while it does not answer.
pub(crate) const RETRY: Duration = Duration::from_millis(500);
/// How long a partition's lease lasts, and when it is renewed.
pub(crate) const PARTITION_LEASE: Duration = Duration::from_secs(5);
pub(crate) const PARTITION_REFRESH: Duration = Duration::from_millis(1500);
/// How often, a heartbeat apart: whoever took this node for dead may still be about to remove what is told first.
const TELL_AGAIN: u8 = 2;
/// How long the store may take to say whether anybody ever was here.
const STORE_WAIT: Duration = Duration::from_millis(500);
/// Lease calls under way at the same time.
const LEASES_AT_ONCE: usize = 64;
/// Of Redis's maxmemory, in percent: beyond the first typing and notices are not sent, beyond the second nothing is taken.
const MEMORY_SHED: u64 = 60;
const MEMORY_FULL: u64 = 80;

/// In place of a configuration's hash, by one who goes.
const LEAVES: &str = "";

/// Without either of them nobody can notice that its data are gone.
pub(crate) const HIDDEN: &str = "it tells neither its replication id nor its run id, so a loss of its data could not be noticed. \
                                 Allow the command INFO to moim's user";

/// What one Redis last said of itself, and who lives there.
#[derive(Default)]
pub(crate) struct Beat {
    /// Redis's clock minus ours, in microseconds.
    ahead: AtomicI64,
    memory_percent: AtomicU64,
    state: Mutex<State>,
    /// Whether this node has said that it goes. Held over each call, so that no heartbeat comes after the last word.
    has_left: tokio::sync::Mutex<bool>,
}

#[derive(Default)]
struct State {
    replication_id: String,
    unfit: Option<String>,
    /// When it last answered.
    answered: Option<Instant>,
    /// Heartbeats with which everything this node knows of who is here is told again.
    tell_again: u8,
    /// When it first knew this node, and whether nobody else is there or ever was.
    registered: Option<(Instant, bool)>,
    /// Live nodes that drain logs.
    writers: Vec<NodeId>,
}

impl Beat {
    fn lock(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }

    /// Redis's time, nearly.
    pub(crate) fn now(&self) -> Timestamp {
        let own = Timestamp::from_system(SystemTime::now()).micros;
        Timestamp { micros: own.saturating_add_signed(self.ahead.load(Ordering::Relaxed)) }
    }

    /// Every node that is alive knows this one, and has been heard: if anything is lost, they wait for what it knows, and it for them.
    pub(crate) fn is_known(&self) -> bool {
        self.lock().registered.is_some_and(|(since, alone)| alone || since.elapsed() >= REFRESH + REFRESH / 4)
    }

    /// It has answered once.
    pub(crate) fn is_registered(&self) -> bool {
        self.lock().registered.is_some()
    }

    pub(crate) fn unfit(&self) -> Option<String> {
        self.lock().unfit.clone()
    }

    pub(crate) fn sheds(&self) -> bool {
        self.memory_percent.load(Ordering::Relaxed) >= MEMORY_SHED
    }

    pub(crate) fn is_full(&self) -> bool {
        self.memory_percent.load(Ordering::Relaxed) >= MEMORY_FULL
    }

    /// Which of the live writers should drain a partition (rendezvous hashing: Thaler and Ravishankar, 1996).
    fn owner_of(&self, partition: u32) -> Option<NodeId> {
        let weight = |node: &NodeId| stable_hash(format!("{:x}/{partition}", node.0).as_bytes());
        self.lock().writers.iter().copied().max_by_key(weight)
    }
}

/// As it stands among the leases: the node, and whether it drains logs. Without that, also among those who hand in.
pub(crate) fn name(node: NodeId, drains: bool) -> String {
    format!("{:016x}{}", node.0, if drains { "w" } else { "" })
}

fn node_of(name: &str) -> Option<(NodeId, bool)> {
    let (hex, role) = name.split_at_checked(16)?;
    Some((NodeId(u64::from_str_radix(hex, 16).ok()?), role == "w"))
}

/// Tells one Redis that this node lives, and takes note of what it says. Answers whether it said something.
pub(crate) async fn beat(inner: &Inner, site: &Site) -> bool {
    let Some(place) = inner.map.partitions_of(&site.link).first().copied() else { return false };
    // Before the heartbeat, whose answer tells the time.
    let is_new = !site.beat.is_registered() && never_was(inner, place).await;
    let has_left = site.beat.has_left.lock().await;
    if *has_left {
        return false;
    }
    let asked = Instant::now();
    let answered = heartbeat(inner, site, place, &inner.config_hash).await;
    drop(has_left);
    match answered {
        Ok(words) => {
            take_note(inner, site, (asked, is_new), &words);
            return true;
        }
        Err(CallError::Refused(why)) => {
            site.beat.lock().unfit = Some(format!("{} refuses the heartbeat: {why}", site.link.name));
        }
        Err(error) => tracing::debug!(redis = %site.link.name, %error, "no heartbeat"),
    }
    false
}

/// Whether nobody can have anything to hand in. A Redis that has lost everything shows a node that begins nobody, too.
async fn never_was(inner: &Inner, partition: u32) -> bool {
    let asked = timeout(STORE_WAIT, inner.source.generation(partition));
    inner.config.has_store && matches!(asked.await, Ok(Ok(None)))
}

/// Says that it goes.
pub(crate) async fn leave(inner: &Inner, site: &Site) {
    let partitions = inner.map.partitions_of(&site.link);
    let Some(place) = partitions.first().copied() else { return };
    stream::iter(partitions)
        .for_each_concurrent(LEASES_AT_ONCE, async |partition| {
            if inner.logs.end(partition) {
                drop(lease(inner, site, partition, "release").await);
            }
        })
        .await;
    let mut has_left = site.beat.has_left.lock().await;
    *has_left = true;
    if let Err(error) = heartbeat(inner, site, place, LEAVES).await {
        tracing::debug!(redis = %site.link.name, %error, "the leave was not told; the lease ends by itself");
    }
}

/// Of the last word as of all before it: the script goes by how long every lease is.
async fn heartbeat(
    inner: &Inner,
    site: &Site,
    place: u32,
    config_hash: &str,
) -> Result<Vec<String>, CallError> {
    let keys = [inner.keys.nodes(place), inner.keys.absent(place), inner.keys.config(place)];
    let args = Args::new()
        .with(name(inner.config.node, inner.config.drains))
        .with(LEASE.as_millis())
        .with(config_hash);
    site.link.call(&inner.scripts.heartbeat, &keys, args).await
}

fn take_note(inner: &Inner, site: &Site, (asked, is_new): (Instant, bool), words: &[String]) {
    let [now, replication_id, config, used, max, policy, nodes @ ..] = words else { return };
    let number = |word: &String| word.parse::<u64>().unwrap_or_default();
    let beat = &site.beat;
    // The answer was made somewhere between question and now.
    let half = u64::try_from(asked.elapsed().as_micros() / 2).unwrap_or_default();
    let own = Timestamp::from_system(SystemTime::now()).micros.saturating_sub(half);
    let now = number(now);
    beat.ahead.store(now.cast_signed().wrapping_sub(own.cast_signed()), Ordering::Relaxed);
    let percent = number(used).saturating_mul(100).checked_div(number(max)).unwrap_or(0);
    beat.memory_percent.store(percent, Ordering::Relaxed);
    inner.metrics.redis_memory_percent.set(i64::try_from(percent).unwrap_or(i64::MAX));
    let (mut alive, mut silent, mut writers) = (Vec::new(), Vec::new(), Vec::new());
    for pair in nodes.chunks(2) {
        let [node, end] = pair else { continue };
        let Some((node, drains)) = node_of(node) else { continue };
        let left = Duration::from_millis(number(end).saturating_sub(now / 1000));
        if left.is_zero() {
            silent.push(node);
        } else {
            alive.push((node, asked + left.min(LEASE)));
            writers.extend(drains.then_some(node));
        }
    }
    let unfit = unfit(inner, site, replication_id, config, policy);
    let mut state = beat.lock();
    if state.unfit != unfit
        && let Some(why) = &unfit
    {
        tracing::error!(redis = %site.link.name, "{why}");
    }
    state.unfit = unfit;
    if state.registered.is_none() {
        let alone = is_new && silent.is_empty() && alive.iter().all(|(node, _)| *node == inner.config.node);
        inner.presence.may_live(&silent, asked + LEASE);
        state.registered = Some((Instant::now(), alone));
    }
    state.writers = writers;
    let changed = std::mem::replace(&mut state.replication_id, replication_id.clone()) != *replication_id;
    let was_cut_off = state.answered.replace(asked).is_none_or(|before| asked - before > REFRESH * 2);
    if was_cut_off || changed {
        // While it was away nobody could renew a lease, and what it has of them now may be old: nobody is dead for that.
        inner.presence.nobody_dies_before(asked + GRACE);
        state.tell_again = TELL_AGAIN;
    }
    let tells_again = state.tell_again > 0;
    state.tell_again = state.tell_again.saturating_sub(1);
    drop(state);
    for room in inner.presence.leases(Instant::now(), &alive) {
        inner.tell_count(&room);
    }
    if tells_again {
        inner.tell_again(&site.link);
    }
    if changed {
        for partition in inner.map.partitions_of(&site.link) {
            inner.look_after(&inner.partitions[partition as usize]);
        }
    }
}

fn unfit(inner: &Inner, site: &Site, replication_id: &str, config: &str, policy: &str) -> Option<String> {
    let redis = &site.link.name;
    if replication_id == "hidden" {
        return Some(format!("{redis} is not to be used: {HIDDEN}"));
    }
    if !policy.is_empty() && policy != "noeviction" {
        return Some(format!(
            "{redis} has maxmemory-policy {policy}: it may throw messages away that are acknowledged. Set maxmemory-policy \
             noeviction there"
        ));
    }
    if config != inner.config_hash {
        return Some(format!(
            "{redis} is used by nodes with other redis.urls or redis.partitions: a room would be in two places. Give all \
             nodes the same, in the same order"
        ));
    }
    None
}

async fn lease(inner: &Inner, site: &Site, partition: u32, what: &str) -> Result<String, CallError> {
    let keys = [inner.keys.lease(partition), inner.keys.absent(partition)];
    let node = name(inner.config.node, false);
    let args = Args::new().with(node).with(PARTITION_LEASE.as_millis()).with(what);
    site.link.call(&inner.scripts.lease, &keys, args).await
}

/// Holds, takes and gives up the logs of one Redis.
pub(crate) async fn lease_all(inner: &Arc<Inner>, site: &Site) {
    if !inner.config.drains || !inner.config.has_store {
        return;
    }
    stream::iter(inner.map.partitions_of(&site.link))
        .for_each_concurrent(LEASES_AT_ONCE, async |partition| lease_one(inner, site, partition).await)
        .await;
}

async fn lease_one(inner: &Arc<Inner>, site: &Site, partition: u32) {
    let (own, asked) = (inner.config.node, Instant::now());
    let is_ours = site.beat.owner_of(partition).is_none_or(|owner| owner == own);
    let holds = inner.logs.holds(partition);
    let what = match (holds, is_ours) {
        (false, _) if inner.logs.takes_none() => return,
        (true, false) => {
            // Two holders at once are harmless: what one has written, the other writes again.
            inner.logs.end(partition);
            "release"
        }
        (true, true) | (false, true) => "take",
        // Its owner may be dead and not known to be: a lease that stays free is taken.
        (false, false) if inner.logs.was_free(partition) => "take",
        (false, false) => "hold",
    };
    match lease(inner, site, partition, what).await {
        Ok(holder) if holder == name(own, false) => match (what, holds) {
            ("take", false) => inner.logs.begin(partition, || PartitionLog::new(inner.clone(), partition)),
            _ => inner.logs.renewed(partition, asked),
        },
        Ok(holder) => {
            inner.logs.seen_free(partition, holder.is_empty());
            if holds {
                inner.logs.end(partition);
            }
        }
        // Nobody else can have taken it either, or they have: both is harmless.
        Err(error) => tracing::debug!(partition, %error, "a lease could not be renewed"),
    }
}
