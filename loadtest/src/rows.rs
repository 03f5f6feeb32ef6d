//! The rows of the store, read past every gateway: through the same driver, with a connection of our own.
//! Not here: what they must be (`checker`), how a store is read (`moim-store-cassandra`).

use std::{sync::Arc, time::Duration};

use moim_protocol::{ConfigFault, Message, RoomId, Seq};
use moim_store::{MessageStore, PageRange, StoreError};
use moim_store_cassandra::{CassandraConfig, CassandraStore, StoreMetrics};
use moim_telemetry::Registry;
use tokio::time::{Instant, sleep};

use crate::{
    checker::{Row, Seen, hash},
    fault::Fault,
};

const PAGE_ROWS: usize = 100;
const TRY_AGAIN: Duration = Duration::from_millis(300);
/// A store that cannot be read for so long cannot be read.
const TRIES_WITHIN: Duration = Duration::from_secs(60);

/// Reads rooms of one keyspace.
pub(crate) struct Reader {
    store: Arc<CassandraStore>,
}

impl Reader {
    /// Connects in the background of the runtime it is called in.
    pub(crate) fn open(contact_point: &str, keyspace: &str) -> Result<Self, Fault> {
        let config = CassandraConfig {
            contact_points: vec![contact_point.to_owned()],
            keyspace: keyspace.to_owned(),
            replication_factor: 1,
            ..CassandraConfig::default()
        };
        if let Some(faults) = ConfigFault::joined(&config.validate()) {
            return Err(Fault::Usage(faults));
        }
        let usage = |error: moim_telemetry::MetricError| Fault::Usage(error.to_string());
        let registry = Registry::new("loadtest").map_err(usage)?;
        let metrics = StoreMetrics::register(&registry).map_err(usage)?;
        let (store, driver) = CassandraStore::new(config, metrics);
        tokio::spawn(driver.run());
        Ok(Self { store })
    }

    /// All rows of a room, oldest first.
    pub(crate) async fn room(&self, room: &str) -> Result<Vec<Row>, Fault> {
        let id = RoomId::trusted(room);
        let mut rows: Vec<Row> = Vec::new();
        loop {
            let after = Seq(rows.last().map_or(0, |row| row.seen.seq));
            let page = self.page(&id, after).await?;
            if page.is_empty() {
                return Ok(rows);
            }
            rows.extend(page.iter().map(|message| row(room, message)));
        }
    }

    async fn page(&self, room: &RoomId, after: Seq) -> Result<Vec<Arc<Message>>, Fault> {
        let start = Instant::now();
        loop {
            match self.store.page(room, PageRange::After(after), PAGE_ROWS).await {
                Ok(page) => return Ok(page),
                Err(StoreError::Unavailable(_)) if start.elapsed() < TRIES_WITHIN => sleep(TRY_AGAIN).await,
                Err(error) => {
                    return Err(Fault::Usage(format!("cannot read {room} from the store: {error}")));
                }
            }
        }
    }
}

fn row(room: &str, message: &Message) -> Row {
    let seen = Seen {
        seq: message.seq.0,
        prev: message.prev.map(|seq| seq.0),
        epoch: message.epoch.to_string(),
        id: message.id.to_string(),
        username: message.username.to_string(),
        client_id: message.client_id.as_ref().map(ToString::to_string),
        hash: hash(&message.content),
    };
    Row { room: room.to_owned(), seen }
}
