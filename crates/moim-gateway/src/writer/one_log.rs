//! One log on its way to the store: read, append, commit, for as long as the log is this node's.
//! Not here: how many logs write at once (`pace`), which logs there are (`writer`).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use moim_bus::{StoreState, WriteAhead};
use moim_protocol::{Message, RoomId, Seq};
use moim_store::{MessageStore, Retry, StoreError};
use tokio::time::sleep;

use super::{
    metrics::WriterMetrics,
    pace::{Pace, Went},
};

/// Messages taken from the log at once. While they are written the next ones gather: that is the group commit.
const BATCH_ROWS_MAX: usize = 512;
/// And their bytes.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The longest pause between two tries.
const RETRY_MAX: Duration = Duration::from_secs(5);
/// The shortest, where the store does not name one.
const RETRY_MIN: Duration = Duration::from_millis(500);
/// A write that takes longer has a store that is given too much at once.
const SLOW: Duration = Duration::from_secs(1);

/// Drains one log into a store. The writer spawns [`OneLog::run`].
pub(super) struct OneLog {
    pub(super) log: Arc<dyn WriteAhead>,
    pub(super) store: Arc<dyn MessageStore>,
    pub(super) pace: Arc<Pace>,
    pub(super) metrics: Arc<WriterMetrics>,
}

type Batch = [Arc<Message>];

impl OneLog {
    /// Runs until the log is gone, or the bus is closed and the log is empty.
    ///
    /// # Errors
    /// When the store says that nothing but a restart helps.
    ///
    /// # Cancel safety
    /// Dropping it leaves what is not committed in the log; rows that were written are written again.
    pub(super) async fn run(self) -> Result<(), StoreError> {
        let mut pause = Duration::ZERO;
        // After a failure the log is read again: it may have grown, and it may have gone to another node.
        while let Some(batch) = self.log.read(BATCH_ROWS_MAX, BATCH_BYTES_MAX).await {
            let least = match self.store_batch(&batch).await {
                Ok(None) => RETRY_MIN,
                Ok(Some(dead)) => match self.log.commit(&batch, &dead).await {
                    Ok(()) => {
                        self.count(&batch, &dead);
                        pause = Duration::ZERO;
                        continue;
                    }
                    Err(error) => {
                        tracing::warn!(%error, "stored messages could not be committed; they are written again");
                        RETRY_MIN
                    }
                },
                Err(error) => {
                    self.metrics.store_write_errors.inc();
                    let least = match error.retry() {
                        Retry::After(least) => least,
                        Retry::OneByOne => RETRY_MIN,
                        Retry::Never => return Err(error),
                    };
                    tracing::warn!(%error, rows = batch.len(), "store did not take a batch; trying again");
                    least
                }
            };
            pause = (pause * 2).clamp(least, RETRY_MAX);
            sleep(jittered(pause)).await;
        }
        Ok(())
    }

    /// Writes them all; answers which of them are dead letters. `None`: they may not be this node's to write any more, and are to be
    /// read again.
    async fn store_batch(&self, batch: &Batch) -> Result<Option<Vec<(RoomId, Seq)>>, StoreError> {
        let oldest = batch.first().map(|row| row.time).unwrap_or_default();
        let turn = self.pace.turn(oldest).await;
        if !self.log.is_current() {
            tracing::debug!(rows = batch.len(), "what was read may be another node's by now; reading again");
            return Ok(None);
        }
        let started = Instant::now();
        let mut dead = Vec::new();
        let result = self.store_or_split(batch, &mut dead).await;
        let took = started.elapsed();
        self.metrics.batch_rows.observe(batch.len() as f64);
        self.metrics.write_seconds.observe(took.as_secs_f64());
        let went = if result.is_ok() && took < SLOW { Went::Well } else { Went::Badly };
        turn.end(went);
        self.metrics.writes_at_once.set(i64::try_from(self.pace.limit()).unwrap_or(i64::MAX));
        self.log.report(if result.is_ok() { StoreState::Here } else { StoreState::Away });
        result.map(|()| Some(dead))
    }

    /// A batch that the store refuses is halved until the rows it refuses stand alone.
    fn store_or_split<'a>(
        &'a self,
        batch: &'a Batch,
        dead: &'a mut Vec<(RoomId, Seq)>,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let error = match self.store.append(batch.to_vec()).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            match (error.retry(), batch) {
                (Retry::OneByOne, [row]) => {
                    // That the store takes its stub shows that it is the row and not the store: no time-out, no outage,
                    // no missing table makes a dead letter.
                    self.store.append(vec![stub(row)]).await?;
                    dead.push((row.room.clone(), row.seq));
                    Ok(())
                }
                (Retry::OneByOne, _) => {
                    let (first, rest) = batch.split_at(batch.len() / 2);
                    self.store_or_split(first, dead).await?;
                    self.store_or_split(rest, dead).await
                }
                (Retry::After(_) | Retry::Never, _) => Err(error),
            }
        })
    }

    fn count(&self, batch: &Batch, dead: &[(RoomId, Seq)]) {
        self.metrics.stored.inc_by((batch.len() - dead.len()) as u64);
        self.metrics.dead_letters.inc_by(dead.len() as u64);
        for (room, seq) in dead {
            let row = batch.iter().find(|row| row.seq == *seq && row.room == *room);
            let content_bytes = row.map_or(0, |row| row.content.len());
            tracing::error!(%room, %seq, content_bytes, "the store refuses this message: stored without its content");
        }
    }
}

/// What stands in a dead letter's place, so that the log keeps its chain. Without the client id: the same id with the same
/// content again is a message of its own, not this one.
fn stub(row: &Message) -> Arc<Message> {
    Arc::new(Message { content: "".into(), client_id: None, ..row.clone() })
}

/// Between half of it and all of it: many logs that failed together do not come back together.
fn jittered(pause: Duration) -> Duration {
    let random = getrandom::u32().unwrap_or(u32::MAX);
    pause / 2 + (pause / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
}
