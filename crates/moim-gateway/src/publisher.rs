//! From what a sender says to an entry of the log, with the answer it waits for.
//! Not here: numbers and duplicates (`moim-bus`), who may send (`moim-core`).

use std::{future::Future, sync::Arc, time::Duration};

use moim_bus::{Bus, BusError, Draft, Receipt};
use moim_core::Refusal;
use moim_protocol::{AckLevel, ClientId, MessageId, RoomId, UserName};
use tokio::time::timeout;
use uuid::Uuid;

use crate::{metrics::Metrics, room_worker::code_of};

/// How long a sender waits before it is told `unavailable`. The message may still be taken: the same client id is safe.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(10);

/// What somebody says.
#[derive(Debug)]
pub(crate) struct Saying {
    pub(crate) room: RoomId,
    pub(crate) sender: UserName,
    pub(crate) client_id: Option<ClientId>,
    pub(crate) content: Arc<str>,
    pub(crate) level: Option<AckLevel>,
}

/// Publishes. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Publisher {
    bus: Arc<dyn Bus>,
    metrics: Arc<Metrics>,
}

impl Publisher {
    /// On this bus.
    pub(crate) fn new(bus: Arc<dyn Bus>, metrics: Arc<Metrics>) -> Self {
        Self { bus, metrics }
    }

    /// Publishes: the message is in the bus's hands when this returns, its answer comes with the future. So the messages of
    /// one caller are numbered in the order of its calls, whatever it does with the futures.
    pub(crate) fn publish(
        &self,
        saying: Saying,
    ) -> impl Future<Output = Result<Receipt, Refusal>> + Send + use<> {
        let Saying { room, sender, client_id, content, level } = saying;
        let id = MessageId::trusted(Uuid::now_v7().simple().to_string());
        let timer = self.metrics.publish_seconds.start_timer();
        let answer = self.bus.publish(Draft { room, id, client_id, sender, content, level });
        let metrics = self.metrics.clone();
        async move {
            let result = timeout(PUBLISH_TIMEOUT, answer)
                .await
                .unwrap_or_else(|_| Err(BusError::Unavailable("no answer in time".into())));
            timer.observe_duration();
            match result {
                Ok(receipt) => {
                    metrics.published.inc();
                    Ok(receipt)
                }
                Err(error) => {
                    let refusal = refusal_of(&error);
                    metrics.refused[refusal.code].inc();
                    Err(refusal)
                }
            }
        }
    }
}

/// What a client is told of an error of the bus, and when to try again.
pub(crate) fn refusal_of(error: &BusError) -> Refusal {
    let retry_after_ms = error.retry_after().and_then(|after| u64::try_from(after.as_millis()).ok());
    Refusal { code: code_of(error), retry_after_ms }
}
