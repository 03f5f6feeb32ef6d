//! What all parts of the bus share: servers, partitions, queues, and the small calls that belong to no larger part.
//! Not here: tasks (`driver`), sends (`lane`), reads (`reads`), generations (`recovery`).

use std::{
    collections::{BTreeSet, HashSet},
    sync::{
        Arc, Mutex, PoisonError, RwLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use futures_util::future;
use moim_bus::{BusError, BusHealth, GiveBack, Here, Logs, RelaySink, Relayed, SeedSource, stable_hash};
use moim_protocol::{Epoch, Notice, RoomId, Timestamp, Typing};
use moim_telemetry::Registry;
use tokio::{
    sync::{Notify, Semaphore, mpsc},
    task::JoinSet,
    time::sleep,
};

use crate::{
    RedisBusConfig, RedisBusError, RedisDriver, Topology,
    burials::Burials,
    counts::Counts,
    event,
    keys::Keys,
    lane::{Lanes, Taken},
    link::{CallError, Link},
    lock::locked,
    log::Held,
    metrics::Metrics,
    nodes::{self, Beat},
    partition::{Partition, reply},
    presence::Presence,
    reads::Seeds,
    relay::Relay,
    script::Scripts,
    tail::TailBytes,
    topology::Map,
};

/// Between two looks at whether everything is stored, at the end.
const FLUSH_LOOK: Duration = Duration::from_millis(50);
/// Typing signals on their way to Redis. Full: typing is dropped.
const SIGNALS_MAX: usize = 1024;

/// One Redis with everything this node keeps about it.
pub(crate) struct Site {
    pub(crate) link: Arc<Link>,
    pub(crate) relay: Arc<Relay>,
    pub(crate) beat: Beat,
    pub(crate) counts: Counts,
    /// Something is to be told of a room there.
    pub(crate) news_came: Notify,
}

/// Shared by all.
pub(crate) struct Inner {
    this: Weak<Inner>,
    pub(crate) config: RedisBusConfig,
    /// Of what must be the same on every node.
    pub(crate) config_hash: String,
    pub(crate) keys: Keys,
    pub(crate) scripts: Scripts,
    pub(crate) map: Map,
    /// A std lock: never held across an await; it changes when a cluster does.
    sites: RwLock<Vec<Arc<Site>>>,
    pub(crate) partitions: Vec<Arc<Partition>>,
    pub(crate) lanes: Lanes,
    pub(crate) seeds: Seeds,
    pub(crate) presence: Presence,
    pub(crate) logs: Held,
    pub(crate) metrics: Metrics,
    pub(crate) sink: RelaySink,
    pub(crate) source: Arc<dyn SeedSource>,
    /// Rooms whose events are wanted here.
    rooms: Mutex<HashSet<RoomId>>,
    /// Rooms that may have missed something and have not been told.
    lost: Mutex<Vec<RoomId>>,
    /// Partitions that may not be open.
    pub(crate) attention: Mutex<BTreeSet<u32>>,
    pub(crate) attention_came: Notify,
    pub(crate) recovery_turns: Semaphore,
    /// Some slot is not where it was.
    pub(crate) moved: Notify,
    /// Deaths, and what follows from them.
    pub(crate) burials: Burials,
    /// A mark came over pub/sub that does not follow the one before.
    pub(crate) mark_missed: Notify,
    /// Short tasks: one for each room with sends on their way, each signal, each room read. The driver ends them.
    tasks: Mutex<JoinSet<()>>,
    signals: Arc<Semaphore>,
    is_closed: AtomicBool,
    /// When it left, everything was.
    was_stored: AtomicBool,
    pub(crate) tail_bytes: Arc<TailBytes>,
}

impl Inner {
    pub(crate) fn new(
        config: RedisBusConfig,
        sink: RelaySink,
        source: Arc<dyn SeedSource>,
        registry: &Registry,
    ) -> Result<(Arc<Self>, RedisDriver, Logs), RedisBusError> {
        let redis = &config.redis;
        let keys = Keys::new(&redis.key_prefix, redis.partitions);
        let map = Map::new(redis, keys.clone())?;
        let metrics = Metrics::register(registry)?;
        let tail_bytes = Arc::new(TailBytes::default());
        let partition = |id| Arc::new(Partition::new(id, tail_bytes.clone(), redis.tail_bytes_max));
        let partitions = (0..redis.partitions).map(partition).collect();
        // As many as there are partitions: a log is only begun when there is none.
        let (log_sender, logs) = mpsc::channel(redis.partitions as usize * 2);
        // Several servers are told apart by their place in the list; sentinels and clusters may be named in any way.
        let servers: Vec<_> = match redis.topology {
            Topology::Several => map.links().iter().map(|link| link.name.clone()).collect(),
            Topology::Single | Topology::Sentinel | Topology::Cluster => Vec::new(),
        };
        let same = format!("{servers:?} {}", redis.partitions);
        let inner = Arc::new_cyclic(|this| Self {
            this: this.clone(),
            config_hash: format!("{:016x}", stable_hash(same.as_bytes())),
            scripts: Scripts::new(map.is_cluster()),
            sites: RwLock::default(),
            partitions,
            lanes: Lanes::default(),
            seeds: Seeds::default(),
            presence: Presence::new(config.node, keys.clone()),
            logs: Held::new(log_sender),
            rooms: Mutex::default(),
            lost: Mutex::default(),
            attention: Mutex::default(),
            attention_came: Notify::new(),
            recovery_turns: Semaphore::new(crate::recovery::TURNS),
            moved: Notify::new(),
            burials: Burials::default(),
            mark_missed: Notify::new(),
            signals: Arc::new(Semaphore::new(SIGNALS_MAX)),
            is_closed: AtomicBool::new(false),
            was_stored: AtomicBool::new(false),
            keys,
            map,
            metrics,
            sink,
            source,
            tasks: Mutex::default(),
            tail_bytes,
            config,
        });
        let driver = RedisDriver::new(inner.clone());
        Ok((inner, driver, logs))
    }

    pub(crate) fn this(&self) -> Arc<Self> {
        // Somebody calls it, so it is there.
        self.this.upgrade().unwrap_or_else(|| unreachable!("called on a bus that is gone"))
    }

    /// Runs a task until it or the bus ends. Call it where a runtime is.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = locked(&self.tasks);
        while let Some(ended) = tasks.try_join_next() {
            if ended.is_err_and(|error| error.is_panic()) {
                tracing::error!("a task of the bus panicked");
            }
        }
        tasks.spawn(task);
    }

    /// Ends every task where it is.
    pub(crate) fn abort_tasks(&self) {
        locked(&self.tasks).abort_all();
    }

    pub(crate) fn random(&self) -> u64 {
        getrandom::u64()
            .unwrap_or_else(|_| Timestamp::from_system(SystemTime::now()).micros ^ self.config.node.0)
    }

    pub(crate) fn idle_ms(&self) -> u128 {
        Duration::from_secs(self.config.redis.room_idle_seconds).as_millis()
    }

    pub(crate) fn partition_of(&self, room: &RoomId) -> &Arc<Partition> {
        &self.partitions[self.keys.partition_of(room) as usize]
    }

    pub(crate) fn sites(&self) -> Vec<Arc<Site>> {
        self.sites.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn add_site(&self, link: Arc<Link>) -> Arc<Site> {
        let (relay, beat, counts) = (Relay::new(link.clone()), Beat::default(), Counts::default());
        let site = Arc::new(Site { relay, link, beat, counts, news_came: Notify::new() });
        self.sites.write().unwrap_or_else(PoisonError::into_inner).push(site.clone());
        site
    }

    /// Nothing is on it any more.
    pub(crate) fn remove_site(&self, link: &Arc<Link>) {
        let mut sites = self.sites.write().unwrap_or_else(PoisonError::into_inner);
        sites.retain(|site| !Arc::ptr_eq(&site.link, link));
    }

    /// Those that any room can be on. Of the others nothing is asked, so their silence says nothing.
    pub(crate) fn used_sites(&self) -> Vec<Arc<Site>> {
        self.sites().into_iter().filter(|site| self.map.is_used(&site.link)).collect()
    }

    pub(crate) fn site_of(&self, partition: u32) -> Option<Arc<Site>> {
        let link = self.map.link_of(partition)?;
        let sites = self.sites.read().unwrap_or_else(PoisonError::into_inner);
        sites.iter().find(|site| Arc::ptr_eq(&site.link, &link)).cloned()
    }

    pub(crate) fn redis_now(&self, partition: u32) -> Timestamp {
        let own = || Timestamp::from_system(SystemTime::now());
        self.site_of(partition).map_or_else(own, |site| site.beat.now())
    }

    /// Why a partition has taken nothing, as far as it is known.
    pub(crate) fn why_closed(&self, partition: &Partition) -> String {
        match self.map.link_of(partition.id) {
            None => "the cluster has not said where the room is".into(),
            Some(link) if partition.is_open() => format!("{} answers too slowly", link.name),
            Some(link) => match link.trouble() {
                Some(trouble) => format!("{}: {trouble}", link.name),
                None => format!("{} is not ready", link.name),
            },
        }
    }

    pub(crate) fn take(&self, taken: Taken) {
        let refuse = |taken: Taken, error| reply(taken.into_answer(), Err(error));
        if self.is_closed() {
            return refuse(taken, BusError::Unavailable("it is stopping".into()));
        }
        let room = taken.room().clone();
        let site = self.site_of(self.keys.partition_of(&room));
        if site.is_some_and(|site| site.beat.is_full()) {
            return refuse(taken, BusError::Overloaded("memory of redis"));
        }
        if self.lanes.push(taken) {
            self.spawn(crate::lane::drain(self.this(), room));
        }
    }

    /// Its generation is not what we thought.
    pub(crate) fn stale(&self, partition: &Partition, epoch: &Epoch) {
        partition.stale(epoch);
        self.look_after(partition);
    }

    pub(crate) fn look_after(&self, partition: &Partition) {
        locked(&self.attention).insert(partition.id);
        self.attention_came.notify_one();
    }

    /// A generation is open: whatever was relayed meanwhile was not shown, and counts may be gone.
    pub(crate) fn opened(&self, partition: &Partition) {
        let of_it = |room: &RoomId| self.keys.partition_of(room) == partition.id;
        let rooms: Vec<_> = locked(&self.rooms).iter().filter(|room| of_it(room)).cloned().collect();
        self.have_missed(rooms);
        self.presence.repeat_if(of_it);
        self.has_news(partition.id);
        partition.doorbell.notify_one();
    }

    /// Who is here is told again, to one Redis.
    pub(crate) fn tell_again(&self, link: &Arc<Link>) {
        let partitions: HashSet<_> = self.map.partitions_of(link).into_iter().collect();
        self.presence.repeat_if(|room| partitions.contains(&self.keys.partition_of(room)));
        partitions.iter().take(1).for_each(|partition| self.has_news(*partition));
    }

    /// Something is to be told of a room in it. Where nobody knows yet on which server it is: the next repeat finds it.
    fn has_news(&self, partition: u32) {
        if let Some(site) = self.site_of(partition) {
            site.news_came.notify_one();
        }
    }

    /// So many members are here.
    pub(crate) fn set_presence(&self, room: &RoomId, here: Here, notice: Option<Notice>) {
        self.presence.set(room, here, notice);
        self.has_news(self.keys.partition_of(room));
    }

    /// These rooms may have missed events: messages are read on from the cursor, counts anew, beside everything else.
    fn have_missed(&self, rooms: Vec<RoomId>) {
        for room in &rooms {
            let event = moim_protocol::RoomEvent::Lost;
            if let Err(relayed) = self.sink.try_deliver(Relayed { room: room.clone(), event }) {
                locked(&self.lost).push(relayed.room);
            }
        }
        for room in rooms {
            if let Some(site) = self.site_of(self.keys.partition_of(&room)) {
                site.counts.add(room);
            }
        }
    }

    /// Rooms that could not be told; the relay tries again.
    pub(crate) fn take_lost(&self) -> Vec<RoomId> {
        std::mem::take(&mut *locked(&self.lost))
    }

    pub(crate) fn rooms_of(&self, link: &Arc<Link>) -> Vec<RoomId> {
        let partitions: HashSet<_> = self.map.partitions_of(link).into_iter().collect();
        let of_it = |room: &&RoomId| partitions.contains(&self.keys.partition_of(room));
        locked(&self.rooms).iter().filter(of_it).cloned().collect()
    }

    /// Its pub/sub socket was away.
    pub(crate) fn lost_on(&self, link: &Arc<Link>) {
        self.have_missed(self.rooms_of(link));
        // A fence may have been missed.
        for partition in self.map.partitions_of(link) {
            self.look_after(&self.partitions[partition as usize]);
        }
    }

    /// Every channel wanted of a Redis.
    pub(crate) fn channels_of(&self, link: &Arc<Link>) -> Vec<String> {
        let partitions = self.map.partitions_of(link);
        let mut channels: Vec<_> =
            partitions.first().map(|place| self.probe_channel(*place)).into_iter().collect();
        channels.extend(partitions.iter().map(|partition| self.keys.partition_channel(*partition)));
        channels.extend(self.rooms_of(link).iter().map(|room| self.keys.room_channel(room)));
        channels
    }

    fn probe_channel(&self, place: u32) -> String {
        self.keys.probe_channel(place, self.config.node)
    }

    /// Says something on a channel.
    pub(crate) async fn publish(&self, link: &Link, channel: &str, text: &str) -> Result<(), CallError> {
        let command = if self.map.is_cluster() { "SPUBLISH" } else { "PUBLISH" };
        link.command(redis::cmd(command).arg(channel).arg(text)).await
    }

    /// Says something to itself: that it comes back proves that the socket hears.
    pub(crate) async fn probe(&self, link: &Arc<Link>) {
        let Some(place) = self.map.partitions_of(link).first().copied() else { return };
        if let Err(error) = self.publish(link, &self.probe_channel(place), "").await {
            tracing::debug!(redis = %link.name, %error, "no probe");
        }
    }

    pub(crate) fn tell_typing(&self, room: &RoomId, typing: &Typing) {
        let Some(site) = self.site_of(self.keys.partition_of(room)) else { return };
        let Ok(permit) = self.signals.clone().try_acquire_owned() else { return };
        if site.beat.sheds() {
            return;
        }
        let (inner, channel, text) =
            (self.this(), self.keys.room_channel(room), event::encode_typing(typing));
        self.spawn(async move {
            // A signal that is lost is lost.
            drop(inner.publish(&site.link, &channel, &text).await);
            drop(permit);
        });
    }

    pub(crate) async fn subscribe(&self, room: &RoomId) -> Result<(), BusError> {
        let unavailable = |why: &str| BusError::Unavailable(why.into());
        let is_new = locked(&self.rooms).insert(room.clone());
        self.partition_of(room).open_room(room);
        let Some(site) = self.site_of(self.keys.partition_of(room)) else {
            self.give_up(room, is_new);
            return Err(unavailable("the cluster has not said where the room is"));
        };
        let channel = self.keys.room_channel(room);
        site.relay.want(channel.clone(), true);
        if !site.relay.confirms(&channel).await {
            self.give_up(room, is_new);
            return Err(unavailable("redis did not confirm the subscription"));
        }
        self.enter_counts(&site, room).await;
        Ok(())
    }

    fn give_up(&self, room: &RoomId, was_new: bool) {
        if was_new {
            self.unsubscribe(room);
        }
    }

    pub(crate) fn unsubscribe(&self, room: &RoomId) {
        let mut rooms = locked(&self.rooms);
        rooms.remove(room);
        rooms.give_back();
        drop(rooms);
        self.presence.forget(room);
        self.partition_of(room).forget_room(room);
        if let Some(site) = self.site_of(self.keys.partition_of(room)) {
            site.relay.want(self.keys.room_channel(room), false);
        }
    }

    /// Whether its events are wanted here.
    pub(crate) fn is_open_here(&self, room: &RoomId) -> bool {
        locked(&self.rooms).contains(room)
    }

    pub(crate) fn health(&self) -> BusHealth {
        if self.is_closed() {
            return BusHealth::Closed;
        }
        let sites = self.used_sites();
        if let Some(why) = sites.iter().find_map(|site| site.beat.unfit()) {
            return BusHealth::Unfit(why);
        }
        // What is renewed every two seconds may be a little late.
        let usual = nodes::REFRESH * 2;
        let silence = |site: &Arc<Site>| site.link.silent_for().max(site.relay.deaf_for());
        let longest = sites.iter().map(silence).max().unwrap_or(Duration::MAX);
        // While any of them answers, it is the others that are away and not this node: elsewhere nobody would be better off.
        let shortest = sites.iter().map(silence).min().unwrap_or(Duration::MAX);
        let all_open = || self.partitions.iter().all(|partition| partition.is_open());
        if shortest > usual {
            BusHealth::CutOff(shortest)
        } else if longest <= usual && all_open() {
            BusHealth::Open
        } else {
            BusHealth::CutOff(Duration::ZERO)
        }
    }

    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        for partition in &self.partitions {
            partition.doorbell.notify_one();
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// Nothing this node took is only in Redis. Its writers end when they see that, so of the store it is said once and for
    /// all: a generation that began after it would have the node wait for logs that nobody drains any more.
    pub(crate) fn is_flushed(&self) -> bool {
        if !self.lanes.is_empty() {
            return false;
        }
        if !self.config.has_store || self.was_stored.load(Ordering::Acquire) {
            return true;
        }
        // Each is asked, whatever the ones before it say: what it waits for is settled when it is asked first.
        let left = self.partitions.iter().filter(|partition| !partition.is_flushed()).count();
        self.was_stored.fetch_or(left == 0, Ordering::AcqRel) || left == 0
    }

    /// Waits until it is flushed, and says that this node goes.
    pub(crate) async fn flushed(&self) {
        while !self.is_flushed() {
            sleep(FLUSH_LOOK).await;
        }
        let sites = self.sites();
        future::join_all(sites.iter().map(|site| self.tell_news(site))).await;
        future::join_all(sites.iter().map(|site| nodes::leave(self, site))).await;
    }
}
