//! What every task of a gateway shares.
//! Not here: how it is put together (`gateway`).

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use moim_bus::Bus;
use moim_core::SessionLimits;
use moim_protocol::{MemberKey, Profile};
use moim_telemetry::Registry;
use tokio::sync::watch;

use crate::{
    accept::Capacity, address::Addresses, budget::Budget, config::GatewayConfig, connection::Connection,
    drain::DrainPhase, hub::Hub, metrics::Metrics, pages::Pages, publisher::Publisher, socket::SocketOptions,
    spawn::Spawner,
};

pub(crate) struct Shared {
    pub(crate) config: GatewayConfig,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) hub: Hub,
    pub(crate) pages: Pages,
    pub(crate) publisher: Publisher,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) registry: Registry,
    pub(crate) capacity: Arc<Capacity>,
    pub(crate) addresses: Arc<Addresses>,
    pub(crate) phase: watch::Receiver<DrainPhase>,
    /// The bus has been out of reach for so long that people are better off elsewhere (`cut_off`).
    pub(crate) is_cut_off: AtomicBool,
    pub(crate) spawner: Spawner,
    pub(crate) connections: Connections,
    pub(crate) large_answers: Arc<Budget>,
}

impl Shared {
    pub(crate) fn session_limits(&self) -> SessionLimits {
        let limits = &self.config.limits;
        SessionLimits {
            rooms_max: limits.rooms_per_connection_max,
            messages_per_second: limits.messages_per_second,
            room_name_chars_max: limits.room_name_chars_max,
            username_chars_max: limits.username_chars_max,
        }
    }

    pub(crate) fn socket_options(&self, profile: Profile) -> SocketOptions {
        let limits = &self.config.limits;
        SocketOptions {
            message_bytes_max: limits.message_bytes_max,
            outbox_bytes_max: limits.outbox_bytes_max,
            profile,
            large_answers: self.large_answers.clone(),
        }
    }

    pub(crate) fn member(&self, connection: &Connection) -> MemberKey {
        MemberKey { node: self.bus.node(), connection: connection.number() }
    }

    pub(crate) fn is_serving(&self) -> bool {
        *self.phase.borrow() == DrainPhase::Serving
    }
}

/// The open WebSockets, for the drain. Bounded by `limits.connections_max`.
#[derive(Default)]
pub(crate) struct Connections {
    next: AtomicU64,
    /// A std mutex: never held across an await; the longest section lists the connections once, at the drain.
    open: Mutex<HashMap<u64, Arc<Connection>>>,
}

impl Connections {
    pub(crate) fn next_number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn add(&self, connection: &Arc<Connection>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.insert(connection.number(), connection.clone());
    }

    pub(crate) fn remove(&self, connection: &Connection) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&connection.number());
    }

    pub(crate) fn list(&self) -> Vec<Arc<Connection>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}
