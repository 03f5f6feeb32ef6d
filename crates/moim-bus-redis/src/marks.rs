//! Watermarks as they stand in Redis: they come over pub/sub and may be lost, so whoever needs them reads them, too.
//! Not here: what a mark means to those who wait (`partition`), who sets it (`log`).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
use moim_protocol::{Epoch, MessageId};
use tokio::time::timeout;

use crate::{
    inner::Inner,
    link::{Args, CallError, Link},
    partition::Partition,
    store_view::Mark,
    tail::LogId,
};

/// How often marks are read.
const LOOK: Duration = Duration::from_millis(500);
/// Calls under way at the same time.
const AT_ONCE: usize = 64;
/// Dead letters looked at in one call when a mark was missed: each may be as large as a message can be.
const DEAD_LOOK: usize = 16;
/// With fewer of them none has been thrown away (`lua/commit.lua`).
const DEAD_LETTERS: usize = 1000;

/// Reads marks that may have been lost on the way, for ever.
///
/// # Cancel safety
/// Dropping it leaves those who wait for the store waiting.
pub(crate) async fn run(inner: Arc<Inner>) {
    loop {
        drop(timeout(LOOK, inner.mark_missed.notified()).await);
        let needed = inner.partitions.iter().filter(|partition| partition.needs_marks());
        stream::iter(needed)
            .for_each_concurrent(AT_ONCE, async |partition| {
                let Some(link) = inner.map.link_of(partition.id) else { return };
                if let Ok(Some(mark)) = read_mark(&inner, &link, partition).await {
                    partition.marked(Instant::now(), &mark);
                }
            })
            .await;
    }
}

async fn read_mark(inner: &Inner, link: &Link, partition: &Partition) -> Result<Option<Mark>, CallError> {
    let read =
        redis::cmd("HMGET").arg(inner.keys.mark(partition.id)).arg(&["epoch", "id", "text"]).to_owned();
    let (epoch, id, text): (Option<String>, Option<u64>, Option<String>) = link.command(&read).await?;
    let Some(told) = text.as_deref().and_then(Mark::decode) else { return Ok(None) };
    let (Some(epoch), Some(id)) = (epoch, id) else { return Ok(Some(told)) };
    let (epoch, known) = (Epoch::trusted(epoch), partition.mark());
    let dead = if id > known && partition.is_in(&epoch) {
        read_dead(inner, link, inner.keys.dead(partition.id), known).await?
    } else {
        Some(Vec::new())
    };
    Ok(Some(Mark { epoch, from: None, id, dead, ..told }))
}

/// Dead letters above a place in the log. `None`: the oldest are gone from Redis, and may have been above it.
async fn read_dead(
    inner: &Inner,
    link: &Link,
    key: String,
    above: LogId,
) -> Result<Option<Vec<MessageId>>, CallError> {
    let (keys, mut dead, mut from) = ([key], Vec::new(), "+".to_owned());
    loop {
        let args = Args::new().with(from).with(above).with(DEAD_LOOK);
        let words: Vec<String> = link.call(&inner.scripts.dead, &keys, args).await?;
        let Some((next, ids)) = words.split_first() else { return Ok(None) };
        dead.extend(ids.iter().map(|id| MessageId::trusted(id.as_str())));
        match next.as_str() {
            "above" => return Ok(Some(dead)),
            "end" => return Ok((dead.len() < DEAD_LETTERS).then_some(dead)),
            _ => from = next.clone(),
        }
    }
}
