//! What follows from deaths: members are told, and Redis forgets the dead. Beside the heartbeat: with many rooms it takes long.
//! Not here: who is dead, and which node clears which room (`presence`).

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Instant,
};

use futures_util::{StreamExt, stream};
use moim_protocol::NodeId;
use tokio::sync::mpsc;

use crate::{inner::Inner, lock::locked, presence::Buried};

/// Deaths that wait. Full: who is dead is looked at later.
const WAITING_MAX: usize = 4;
/// Rooms being cleared at the same time.
const CLEARED_AT_ONCE: usize = 16;

/// What is to be done.
pub(crate) struct Burials {
    pub(crate) sender: mpsc::Sender<Buried>,
    /// Only [`run`] reads it.
    waiting: tokio::sync::Mutex<mpsc::Receiver<Buried>>,
}

impl Default for Burials {
    fn default() -> Self {
        let (sender, waiting) = mpsc::channel(WAITING_MAX);
        Self { sender, waiting: tokio::sync::Mutex::new(waiting) }
    }
}

/// Buries, one after the other, until the bus stops.
///
/// # Cancel safety
/// Dropping it leaves the dead in Redis, where they are not counted.
pub(crate) async fn run(inner: Arc<Inner>) {
    let mut waiting = inner.burials.waiting.lock().await;
    while let Some(buried) = waiting.recv().await {
        bury(&inner, buried).await;
    }
}

async fn bury(inner: &Inner, Buried { dead, told, cleared }: Buried) {
    tracing::info!(nodes = dead.len(), "nodes are gone; their members have left");
    for relayed in told {
        let (room, event) = (relayed.room.clone(), relayed.event.clone());
        inner.sink.deliver(relayed).await;
        inner.presence.was_told(Instant::now(), &room, &event);
        // It may have waited for so long that something newer was told before it.
        if let Some(now) = inner.presence.newer_than(&room, &event) {
            inner.deliver_count(&room, now);
        }
    }
    let names: Vec<_> = dead.iter().map(|NodeId(node)| format!("{node:x}")).collect();
    let late: Mutex<HashSet<Arc<str>>> = Mutex::default();
    stream::iter(cleared)
        .for_each_concurrent(CLEARED_AT_ONCE, async |room| {
            let Some(link) = inner.map.link_of(inner.keys.partition_of(&room)) else { return };
            if locked(&late).contains(&link.name) {
                return;
            }
            let command = redis::cmd("HDEL").arg(inner.keys.presence(&room)).arg(&names).to_owned();
            if let Err(error) = link.command::<i64>(&command).await {
                // The dead are not counted anyway.
                tracing::debug!(%room, %error, "redis cannot forget the dead now");
                locked(&late).insert(link.name.clone());
            }
        })
        .await;
}
