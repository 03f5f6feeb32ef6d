//! What the store's callers and its driver both see: the session once there is one, the breaker, the metrics.
//! Not here: who connects (`driver`), what is read (`page`).

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use moim_store::StoreError;
use tokio::sync::watch;

use crate::{
    CassandraConfig, StoreMetrics,
    breaker::{Breaker, Stands},
    metrics::Call,
    session::Link,
};

pub(crate) struct Shared {
    pub(crate) config: CassandraConfig,
    pub(crate) metrics: StoreMetrics,
    breaker: Breaker,
    // Std mutexes: never held across an await, the critical sections are a clone or an assignment.
    phase: Mutex<Phase>,
    last_failure: Mutex<String>,
    closing: watch::Sender<bool>,
}

enum Phase {
    /// Why not yet.
    Connecting(String),
    Connected(Arc<Link>),
    Closed,
}

impl Shared {
    pub(crate) fn new(config: CassandraConfig, metrics: StoreMetrics) -> Self {
        let why = "not tried to connect yet".to_owned();
        Self {
            config,
            metrics,
            breaker: Breaker::default(),
            phase: Mutex::new(Phase::Connecting(why)),
            last_failure: Mutex::default(),
            closing: watch::Sender::new(false),
        }
    }

    /// The session to work with, or why there is none.
    pub(crate) fn link(&self) -> Result<Arc<Link>, StoreError> {
        match &*locked(&self.phase) {
            Phase::Connected(link) => Ok(link.clone()),
            Phase::Connecting(why) => {
                let nodes = self.config.nodes();
                let text =
                    format!("connecting to Cassandra at {nodes}: {why}. It is tried again until it succeeds");
                Err(StoreError::Unavailable(text))
            }
            Phase::Closed => Err(closed()),
        }
    }

    pub(crate) fn not_connected(&self, why: &str) {
        self.change(Phase::Connecting(why.to_owned()));
    }

    pub(crate) fn connected(&self, link: Arc<Link>) {
        self.change(Phase::Connected(link));
    }

    pub(crate) fn close(&self) {
        *locked(&self.phase) = Phase::Closed;
        self.closing.send_replace(true);
    }

    pub(crate) async fn closed(&self) {
        // It fails only without a sender, and that is us.
        self.closing.subscribe().wait_for(|closing| *closing).await.ok();
    }

    /// Nothing comes after closed.
    fn change(&self, next: Phase) {
        let mut phase = locked(&self.phase);
        if !matches!(*phase, Phase::Closed) {
            *phase = next;
        }
    }

    /// A read: only where the breaker admits it, measured, and never longer than two queries may take.
    ///
    /// # Cancel safety
    /// Safe: it only reads, and a probe that is dropped leaves the next read free to probe.
    pub(crate) async fn read<T>(
        &self,
        work: impl AsyncFnOnce(&Link) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let link = self.link()?;
        let Some(pass) = self.breaker.admit(Instant::now()) else {
            let last = locked(&self.last_failure).clone();
            let text =
                format!("reads fail ({last}); until one succeeds again, one every few seconds is tried");
            return Err(StoreError::Unavailable(text));
        };
        let started = Instant::now();
        let most = self.config.read_timeout() * 2;
        let outcome = tokio::time::timeout(most, work(&link)).await.unwrap_or_else(|_| {
            Err(StoreError::Unavailable(format!("a read took longer than {} ms", most.as_millis())))
        });
        self.metrics.read_seconds.observe(started.elapsed().as_secs_f64());
        match &outcome {
            Ok(_) => pass.succeeded(),
            Err(error) => {
                self.metrics.failures[Call::Read].inc();
                *locked(&self.last_failure) = error.to_string();
                pass.failed(Instant::now());
            }
        }
        self.tell_circuit();
        outcome
    }

    /// A write: always tried, because the writer repeats it for ever with its own backoff; measured.
    pub(crate) async fn write(
        &self,
        work: impl AsyncFnOnce(&Link) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let link = self.link()?;
        let started = Instant::now();
        let outcome = work(&link).await;
        self.metrics.write_seconds.observe(started.elapsed().as_secs_f64());
        if outcome.is_err() {
            self.metrics.failures[Call::Write].inc();
        }
        outcome
    }

    fn tell_circuit(&self) {
        let stands = match self.breaker.stands() {
            Stands::Closed => 0,
            Stands::Probing => 1,
            Stands::Open => 2,
        };
        let before = self.metrics.circuit.get();
        self.metrics.circuit.set(stands);
        if before == 0 && stands == 2 {
            let error = locked(&self.last_failure).clone();
            tracing::warn!(%error, "reads from the message store fail; history is incomplete until one succeeds again");
        } else if before != 0 && stands == 0 {
            tracing::info!("reads from the message store succeed again");
        }
    }
}

pub(crate) fn closed() -> StoreError {
    StoreError::Broken("it was closed".to_owned())
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
