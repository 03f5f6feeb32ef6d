//! Writing rows: what goes into one batch, the rows first, then the heads of their rooms.
//! Not here: what a row looks like (`row`), repeating what failed (the caller, for ever).

use std::{collections::HashMap, sync::Arc};

use futures_util::{StreamExt, TryStreamExt, stream};
use moim_protocol::{Epoch, Message, RoomId};
use moim_store::StoreError;
use scylla::statement::batch::{Batch, BatchType};
use tokio::sync::Semaphore;

use crate::{failure, row, schema, schema::bigint, session::Link};

/// Rows in a batch. Full: the next batch. More would make one slow request of many quick ones.
const BATCH_ROWS_MAX: usize = 64;
/// Bytes in a batch, beyond which servers begin to warn and then refuse. Full: the next batch; a row that is larger than
/// this by itself goes alone.
const BATCH_BYTES_MAX: usize = 32 * 1024;

/// What one append adds to the head of a room's epoch.
struct HeadPart<'a> {
    room: &'a RoomId,
    epoch: &'a Epoch,
    base: u64,
    first: u64,
    last: &'a Message,
    row_bytes_max: usize,
}

/// Keeps the rows, then raises the heads. In this order a head never names a row that is not there, so whoever pages within
/// the heads meets no hole; and a row without a head yet is one whose append was not answered.
///
/// # Errors
/// `Refused` when it is the fault of a row. After any error some may have been kept: the caller repeats all of it.
pub(crate) async fn append(
    link: &Link,
    rows: &[Arc<Message>],
    turns: &Semaphore,
    at_once: usize,
) -> Result<(), StoreError> {
    rows.iter().try_for_each(|row| row::check(row))?;
    let batches = batches(rows).into_iter().map(|batch| in_turn(turns, write_rows(link, batch)));
    all(batches.collect(), at_once).await?;
    let heads = heads(rows).into_iter().map(|head| in_turn(turns, write_head(link, head)));
    all(heads.collect(), at_once).await
}

/// Until the first of them fails.
async fn all<W: Future<Output = Result<(), StoreError>>>(
    writes: Vec<W>,
    at_once: usize,
) -> Result<(), StoreError> {
    stream::iter(writes).buffer_unordered(at_once).try_collect().await
}

async fn in_turn(
    turns: &Semaphore,
    write: impl Future<Output = Result<(), StoreError>>,
) -> Result<(), StoreError> {
    let closed = |_| StoreError::Broken("it was closed".to_owned());
    let _turn = turns.acquire().await.map_err(closed)?;
    write.await
}

/// Rows of one partition of the table each: a batch over several would make the server keep a batch log.
fn batches(rows: &[Arc<Message>]) -> Vec<Vec<&Message>> {
    let mut open: HashMap<(&RoomId, u64), (Vec<&Message>, usize)> = HashMap::new();
    let mut full = Vec::new();
    for row in rows {
        let (batch, bytes) = open.entry((&row.room, schema::bucket(row.seq.0))).or_default();
        let row_bytes = row::bytes(row);
        let has_space = batch.len() < BATCH_ROWS_MAX && *bytes + row_bytes <= BATCH_BYTES_MAX;
        if !batch.is_empty() && !has_space {
            full.push(std::mem::take(batch));
            *bytes = 0;
        }
        batch.push(row);
        *bytes += row_bytes;
    }
    full.extend(open.into_values().map(|(batch, _)| batch));
    full
}

fn heads(rows: &[Arc<Message>]) -> Vec<HeadPart<'_>> {
    let mut heads: HashMap<(&RoomId, u64, &Epoch), HeadPart<'_>> = HashMap::new();
    for row in rows {
        let base = schema::epoch_base(row.seq.0);
        let (room, epoch, row_bytes_max) = (&row.room, &row.epoch, row::bytes(row));
        let head = heads.entry((room, base, epoch)).or_insert(HeadPart {
            room,
            epoch,
            base,
            first: row.seq.0,
            last: row,
            row_bytes_max,
        });
        head.first = head.first.min(row.seq.0);
        head.row_bytes_max = head.row_bytes_max.max(row_bytes_max);
        if head.last.seq < row.seq {
            head.last = row;
        }
    }
    heads.into_values().collect()
}

async fn write_rows(link: &Link, rows: Vec<&Message>) -> Result<(), StoreError> {
    let insert = &link.statements.insert_row;
    let written = if let [row] = rows.as_slice() {
        link.session.execute_unpaged(insert, row::values(row)).await
    } else {
        let mut batch = unlogged(link);
        rows.iter().for_each(|_| batch.append_statement(insert.clone()));
        let values: Vec<_> = rows.iter().map(|row| row::values(row)).collect();
        link.session.batch(&batch, values).await
    };
    written.map(drop).map_err(|error| failure::of_rows(&error))
}

/// Three registers of one row, each under a timestamp that follows from its value.
async fn write_head(link: &Link, head: HeadPart<'_>) -> Result<(), StoreError> {
    let mut batch = unlogged(link);
    let statements = &link.statements;
    for statement in [&statements.set_last, &statements.set_first, &statements.set_largest] {
        batch.append_statement(statement.clone());
    }
    let (room, base, epoch) = (head.room.as_str(), bigint(head.base), head.epoch.as_str());
    let last = head.last.seq.0;
    let largest = head.row_bytes_max as u64;
    let values = (
        (room, base, epoch, bigint(last), bigint(head.last.time.micros), schema::rising(last)),
        (room, base, epoch, bigint(head.first), schema::falling(head.first)),
        (room, base, epoch, bigint(largest), schema::rising(largest)),
    );
    link.session.batch(&batch, values).await.map(drop).map_err(|error| failure::of_rows(&error))
}

fn unlogged(link: &Link) -> Batch {
    let mut batch = Batch::new(BatchType::Unlogged);
    batch.set_is_idempotent(true);
    batch.set_execution_profile_handle(Some(link.writes.clone()));
    batch
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::tests::sample;

    #[test]
    fn a_batch_is_of_one_partition_and_bounded_in_rows_and_bytes() {
        let small = (8_100..8_300).map(|seq| sample("a", seq, "hi"));
        let medium = (1..=10).map(|seq| sample("b", seq, &"x".repeat(10_000)));
        let large = [sample("b", 11, &"x".repeat(1_000_000)), sample("b", 12, "hi")];
        let rows: Vec<_> = small.chain(medium).chain(large).collect();
        let batches = batches(&rows);
        let mut sizes: Vec<_> = batches
            .iter()
            .map(|batch| {
                let places: Vec<_> = batch.iter().map(|row| (&row.room, row.seq.0 >> 13)).collect();
                assert!(places.iter().all(|place| place == &places[0]), "{places:?}");
                (places[0].0.as_str(), places[0].1, batch.len())
            })
            .collect();
        sizes.sort_unstable();
        let bucket_0 = [("a", 0, 28), ("a", 0, 64)];
        let bucket_1 = [("a", 1, 44), ("a", 1, 64)];
        let of_b = [("b", 0, 1), ("b", 0, 1), ("b", 0, 1), ("b", 0, 3), ("b", 0, 3), ("b", 0, 3)];
        assert_eq!(sizes, [bucket_0.as_slice(), &bucket_1, &of_b].concat());
        let mut seqs: Vec<_> = batches.iter().flatten().map(|row| (&row.room, row.seq)).collect();
        seqs.sort_unstable();
        seqs.dedup();
        assert_eq!(seqs.len(), rows.len(), "each row is in one batch");
    }

    #[test]
    fn a_head_is_told_for_each_epoch_with_its_extremes() {
        let jumped = (1 << 32) + 9;
        let rows = [
            sample("a", 7, "x"),
            sample("a", 9, &"x".repeat(900)),
            sample("a", 5, "x"),
            sample("a", jumped, "x"),
        ];
        let mut heads = heads(&rows);
        heads.sort_unstable_by_key(|head| head.base);
        let told: Vec<_> = heads.iter().map(|head| (head.base, head.first, head.last.seq.0)).collect();
        assert_eq!(told, [(0, 5, 9), (1 << 32, jumped, jumped)]);
        assert_eq!(heads[0].row_bytes_max, row::bytes(&rows[1]));
    }
}
