//! What the bus of a single node does beside its callers: rooms read from the store, signals relayed.
//! Not here: what it does when it is called (`in_process`), the loop that drains its log (`moim-gateway`'s writer).

use std::sync::Arc;

use futures_util::{StreamExt, stream::FuturesUnordered};
use moim_protocol::RoomId;
use tokio::sync::mpsc;

use super::InProcessBus;
use crate::SeedSource;

/// Rooms read at the same time: each may bring thousands of recent sends. More wait for their turn.
const SEEDS_AT_ONCE_MAX: usize = 64;

/// What the bus does beside its callers; the gateway spawns [`InProcessDriver::run`].
pub struct InProcessDriver {
    pub(super) bus: Arc<InProcessBus>,
    pub(super) source: Arc<dyn SeedSource>,
    pub(super) seeds: mpsc::Receiver<RoomId>,
}

impl InProcessDriver {
    /// Reads rooms from the store and relays signals, for ever: neither waits for the other.
    ///
    /// # Cancel safety
    /// Dropping it stops the bus: rooms that are not in memory are never answered.
    pub async fn run(self) {
        let Self { bus, source, seeds } = self;
        tokio::join!(read_rooms(&bus, &*source, seeds), relay_signals(&bus));
    }
}

async fn read_rooms(bus: &InProcessBus, source: &dyn SeedSource, mut seeds: mpsc::Receiver<RoomId>) {
    let mut reading = FuturesUnordered::new();
    loop {
        tokio::select! {
            Some(room) = seeds.recv(), if reading.len() < SEEDS_AT_ONCE_MAX => {
                let seed = source.seed(room.clone());
                reading.push(async move { (room, seed.await) });
            }
            Some((room, result)) = reading.next(), if !reading.is_empty() => bus.seeded(&room, result),
            else => return,
        }
    }
}

async fn relay_signals(bus: &InProcessBus) {
    loop {
        bus.signal_came.notified().await;
        while let Some(signal) = bus.next_signal() {
            bus.sink.deliver(signal).await;
        }
    }
}
