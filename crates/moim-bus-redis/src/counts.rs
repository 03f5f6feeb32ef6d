//! Who is in which room on other nodes, read anew where something may have been missed: one set of rooms for each Redis, so many
//! at a time, and less often while it does not answer.
//! Not here: what is heard meanwhile (`deliver`), what this node tells (`news`).

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
use moim_bus::{BusError, Here};
use moim_protocol::{NodeId, RoomId};
use tokio::{
    sync::{Notify, Semaphore},
    time::sleep,
};

use crate::{
    event,
    inner::{Inner, Site},
    link::CallError,
    lock::locked,
};

/// Rooms read anew at the same time on one Redis. All at once they would be the next reason for it to be late.
const ROOMS_AT_ONCE: usize = 32;
/// And rooms that are entered. More: their counts come a moment later.
const ENTERED_AT_ONCE: usize = 32;
/// Between two tries: the first, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(4));

/// And how much later at most.
const SPREAD_MS: u64 = 500;

/// The rooms of one Redis whose counts are to be read. As many as are subscribed here.
pub(crate) struct Counts {
    /// A std mutex: never held across an await.
    rooms: Mutex<HashSet<RoomId>>,
    came: Notify,
    entered: Semaphore,
}

impl Default for Counts {
    fn default() -> Self {
        Self { rooms: Mutex::default(), came: Notify::new(), entered: Semaphore::new(ENTERED_AT_ONCE) }
    }
}

impl Counts {
    pub(crate) fn add(&self, room: RoomId) {
        locked(&self.rooms).insert(room);
        self.came.notify_one();
    }
}

/// What became of one room.
enum Read {
    Done,
    /// Redis did not say.
    Unanswered,
    /// Its members could not be told.
    Untold,
}

/// Reads what is to be read on one Redis, for ever.
///
/// # Cancel safety
/// Dropping it leaves rooms as they were last heard of.
pub(crate) async fn run(inner: Arc<Inner>, site: Arc<Site>) {
    let mut pause = RETRY.0;
    // If it begins again, what it had in hand is not known.
    locked(&site.counts.rooms).extend(inner.rooms_of(&site.link));
    loop {
        let rooms = std::mem::take(&mut *locked(&site.counts.rooms));
        if rooms.is_empty() {
            site.counts.came.notified().await;
            continue;
        }
        let is_late = AtomicBool::new(false);
        let one = async |room: RoomId| {
            // The others would only wait as the first did.
            if is_late.load(Ordering::Relaxed) {
                return Some(room);
            }
            match inner.read_counts(&room).await {
                Read::Done => return None,
                Read::Unanswered => is_late.store(true, Ordering::Relaxed),
                Read::Untold => {}
            }
            Some(room)
        };
        let again: Vec<_> = stream::iter(rooms)
            .map(one)
            .buffer_unordered(ROOMS_AT_ONCE)
            .filter_map(std::future::ready)
            .collect()
            .await;
        if again.is_empty() {
            pause = RETRY.0;
            continue;
        }
        locked(&site.counts.rooms).extend(again);
        pause = if is_late.into_inner() { (pause * 2).min(RETRY.1) } else { RETRY.0 };
        // Not all nodes at the same moment.
        sleep(pause + Duration::from_millis(inner.random() % SPREAD_MS)).await;
    }
}

impl Inner {
    /// A room was entered: who is there is known at once if it can be, else soon.
    pub(crate) async fn enter_counts(&self, site: &Site, room: &RoomId) {
        let is_known = match site.counts.entered.try_acquire() {
            Ok(_turn) => matches!(self.read_counts(room).await, Read::Done),
            Err(_) => false,
        };
        if !is_known {
            site.counts.add(room.clone());
        }
    }

    /// Reads who is in a room on other nodes, and tells its members.
    async fn read_counts(&self, room: &RoomId) -> Read {
        if !self.is_open_here(room) {
            return Read::Done;
        }
        self.presence.loads(room);
        let all = self.read_presence(room).await.ok();
        let was_read = all.is_some();
        let now = self.redis_now(self.keys.partition_of(room));
        let event = self.presence.loaded(Instant::now(), room, now, all);
        if !self.is_open_here(room) {
            // Everybody left meanwhile.
            self.presence.forget(room);
            return Read::Done;
        }
        match event {
            Some(event) => {
                if self.deliver_count(room, event) {
                    Read::Done
                } else {
                    Read::Untold
                }
            }
            None if was_read => Read::Done,
            None => Read::Unanswered,
        }
    }

    async fn read_presence(&self, room: &RoomId) -> Result<Vec<(NodeId, Here)>, CallError> {
        let link = self.map.link_of(self.keys.partition_of(room)).ok_or(CallError::Moved)?;
        let command = redis::cmd("HGETALL").arg(self.keys.presence(room)).to_owned();
        let all: Vec<(String, String)> = link.command(&command).await?;
        let one = |(node, here): (String, String)| {
            Some((NodeId(u64::from_str_radix(&node, 16).ok()?), event::decode_here(&here)?))
        };
        Ok(all.into_iter().filter_map(one).collect())
    }

    pub(crate) async fn who(&self, room: &RoomId) -> Result<Here, BusError> {
        let all = self.read_presence(room).await.map_err(|error| BusError::Unavailable(error.to_string()))?;
        Ok(self.presence.sum(all))
    }
}
