//! The bus of a single node: the suite every bus must pass, with a store that keeps and with one that forgets; its own
//! promises; and any interleaving of what can happen to it.
//! Not here: the cases of the suite (`src/conformance.rs`), one room's log (`src/in_process/room_log.rs`).

mod bounds;
mod life;
mod property;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use moim_bus::{
    InProcessBus, InProcessConfig, Numbering, RelaySink, SeedSource,
    conformance::{Rows, Subject},
};
use moim_protocol::{Epoch, NodeId, Timestamp};

/// A clock that goes by hand.
#[derive(Clone)]
struct HandClock(Arc<AtomicU64>);

impl HandClock {
    fn at(micros: u64) -> Self {
        Self(Arc::new(AtomicU64::new(micros)))
    }

    fn set(&self, micros: u64) {
        self.0.store(micros, Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

fn kept() -> Numbering {
    Numbering::Kept(Epoch::trusted("e"))
}

fn subject(source: Arc<dyn SeedSource>, config: InProcessConfig, workers: usize) -> Subject {
    let (sink, relayed) = RelaySink::new(workers);
    let (bus, driver) = InProcessBus::new(config, sink, source);
    Subject { bus: bus.clone(), logs: vec![bus], relayed, driver: Box::pin(driver.run()), keep: Box::new(()) }
}

/// With the wall clock.
async fn start(rows: Arc<Rows>, numbering: Numbering) -> Subject {
    subject(rows, InProcessConfig::new(NodeId(1), numbering), 3)
}

/// With a clock that goes by hand, and one worker.
fn start_at(rows: Arc<dyn SeedSource>, numbering: Numbering, clock: &HandClock) -> Subject {
    let clock = clock.clone();
    let clock = Arc::new(move || Timestamp { micros: clock.now() });
    subject(rows, InProcessConfig { node: NodeId(1), numbering, clock }, 1)
}

mod suite_kept {
    moim_bus::bus_suite!(async |rows| super::start(rows, super::kept()).await);
}

mod suite_volatile {
    moim_bus::bus_suite!(async |rows| super::start(rows, super::Numbering::Volatile).await);
}
