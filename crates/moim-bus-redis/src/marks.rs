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
    event,
    inner::Inner,
    link::{CallError, Link},
    partition::Partition,
    store_view::Mark,
    tail::LogId,
};

/// How often marks are read.
const LOOK: Duration = Duration::from_millis(500);
/// Calls under way at the same time.
const AT_ONCE: usize = 64;
/// Dead letters read at once when a mark was missed: each may be as large as a message can be.
const DEAD_LOOK: usize = 8;
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
    let read = redis::cmd("HMGET").arg(inner.keys.mark(partition.id)).arg(&["epoch", "id", "text"]).to_owned();
    let (epoch, id, text): (Option<String>, Option<u64>, Option<String>) = link.command(&read).await?;
    let Some(told) = text.as_deref().and_then(Mark::decode) else { return Ok(None) };
    let (Some(epoch), Some(id)) = (epoch, id) else { return Ok(Some(told)) };
    let (epoch, from) = (Epoch::trusted(epoch), partition.mark());
    let dead = if id > from && partition.is_in(&epoch) {
        read_dead(link, &inner.keys.dead(partition.id), from).await?
    } else {
        Some(Vec::new())
    };
    Ok(Some(Mark { epoch, from, id, dead, ..told }))
}

/// Dead letters above a place in the log. `None`: the oldest are gone from Redis, and may have been above it.
async fn read_dead(link: &Link, key: &str, above: LogId) -> Result<Option<Vec<MessageId>>, CallError> {
    let (mut dead, mut end) = (Vec::new(), "+".to_owned());
    loop {
        let read = redis::cmd("XREVRANGE").arg(key).arg(&end).arg(&["-", "COUNT"]).arg(DEAD_LOOK).to_owned();
        let letters: Vec<(String, Vec<Vec<u8>>)> = link.command_aside(&read).await?;
        for (_, fields) in &letters {
            let [_, place, _, event] = &fields[..] else { continue };
            let place = std::str::from_utf8(place).ok().and_then(|place| place.parse::<LogId>().ok());
            if place.is_some_and(|place| place <= above) {
                return Ok(Some(dead));
            }
            dead.extend(event::id_of(event));
        }
        match letters.last() {
            Some((last, _)) if letters.len() == DEAD_LOOK => end = format!("({last}"),
            _ => return Ok((dead.len() < DEAD_LETTERS).then_some(dead)),
        }
    }
}
