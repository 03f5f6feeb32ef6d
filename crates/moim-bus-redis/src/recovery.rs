//! A generation from its first doubt to its opening: fence, hand-in, merge. Any node may take each step, and all of them do.
//! Not here: what is kept to be handed in (`tail`), the steps inside Redis (`lua/open.lua` and after).

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
use moim_bus::content_hash;
use moim_protocol::{Epoch, Message, RoomId, Seq};
use tokio::time::{sleep, timeout};

use crate::{
    event,
    inner::{Inner, Site},
    late,
    link::{Args, CallError, Link},
    lock::locked,
    nodes,
    partition::{Partition, StillThere},
    staged::{self, Highest, Staged},
    tail::{LogId, RECENT_KEPT},
};

/// Partitions looked after at the same time.
const AT_ONCE: usize = 64;
/// Of them, those whose rows are in memory once more: as this node hands them in, or as all nodes did.
pub(crate) const TURNS: usize = 8;
/// Between two looks at what is not open yet.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Items in one call.
const ITEMS: usize = 200;
/// And their bytes.
const ITEMS_BYTES: usize = 1024 * 1024;
/// How long a partition's first generation waits for the store to say that it is the first.
const STORE_WAIT: Duration = Duration::from_secs(2);

/// Whether it must be looked at again.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Done,
    Again,
}

/// Looks after partitions that are not open, for ever.
///
/// # Cancel safety
/// Dropping it leaves each recovery where it is; another node goes on with it.
pub(crate) async fn run(inner: Arc<Inner>) {
    loop {
        let some = std::mem::take(&mut *locked(&inner.attention));
        if some.is_empty() {
            inner.attention_came.notified().await;
            continue;
        }
        let steps: Vec<(u32, Step)> = stream::iter(some)
            .map(|id| {
                let inner = &inner;
                async move { (id, look(inner, &inner.partitions[id as usize]).await) }
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let mut again =
            steps.into_iter().filter(|(_, step)| *step == Step::Again).map(|(id, _)| id).peekable();
        if again.peek().is_some() {
            locked(&inner.attention).extend(again);
            sleep(LOOK_AGAIN).await;
        }
    }
}

async fn look(inner: &Inner, partition: &Arc<Partition>) -> Step {
    let Some(site) = inner.site_of(partition.id) else { return Step::Again };
    match step(inner, &site, partition).await {
        Ok(step) => step,
        Err(CallError::Moved) => {
            inner.moved.notify_one();
            Step::Again
        }
        Err(error) => {
            tracing::debug!(partition = partition.id, %error, "a generation could not be looked at; trying again");
            Step::Again
        }
    }
}

async fn step(inner: &Inner, site: &Site, partition: &Arc<Partition>) -> Result<Step, CallError> {
    let (names, id) = (&inner.keys, partition.id);
    let keys = [names.generation(id), names.absent(id), names.staged(id)];
    let channel = names.partition_channel(id);
    let marker = format!("{:016x}", inner.random());
    let args = Args::new().with(marker).with(&channel);
    let with_log: Vec<_> = keys.iter().cloned().chain([names.log(id)]).collect();
    let words: Vec<String> = site.link.call(&inner.scripts.open, &with_log, args).await?;
    let [state, epoch, round, first, top, is_empty, was, was_top] = &words[..] else {
        return Err(CallError::Refused(format!("open answered {words:?}")));
    };
    let epoch = Epoch::trusted(epoch.as_str());
    match state.as_str() {
        "open" => {
            let log = Log { top: top.parse().unwrap_or_default(), is_empty: is_empty == "1" };
            open(inner, site, partition, (&epoch, round), first == "1", log).await
        }
        "recovering" => {
            partition.recovering(&epoch);
            // Whom to wait for is known from the first heartbeat on.
            if !site.beat.is_registered() {
                return Ok(Step::Again);
            }
            if !partition.is_quiet(&epoch) {
                if site.relay.is_confirmed(&channel) {
                    inner.publish(&site.link, &channel, &format!("F{epoch}")).await?;
                }
                return Ok(Step::Again);
            }
            if !partition.has_handed_in(&epoch, round) {
                let still_there = StillThere {
                    epoch: Epoch::trusted(was.as_str()),
                    top: was_top.parse().unwrap_or_default(),
                    now: round.parse().unwrap_or(u64::MAX),
                };
                hand_in(inner, site, partition, (&epoch, round), &still_there, &keys).await?;
            }
            // Who was here before hands in first, and may not have heard of it yet.
            if !site.beat.is_known() {
                return Ok(Step::Again);
            }
            let wait = nodes::LEASE.as_millis();
            let args =
                Args::new().with(&epoch).with(wait).with(round).with(nodes::name(inner.config.node, false));
            let state: String = site.link.call(&inner.scripts.enough, &keys, args).await?;
            tracing::debug!(partition = id, %epoch, %state, round, "a generation is being put together");
            Ok(Step::Again)
        }
        "merging" => {
            partition.recovering(&epoch);
            merge(inner, site, partition, &epoch, &keys).await?;
            Ok(Step::Again)
        }
        "hidden" => {
            site.link.refused(nodes::HIDDEN);
            Err(CallError::Refused(nodes::HIDDEN.into()))
        }
        other => Err(CallError::Refused(format!("a generation in state {other:?}: a newer node's?"))),
    }
}

/// An open generation's log, as it was a moment ago.
struct Log {
    top: u64,
    is_empty: bool,
}

async fn open(
    inner: &Inner,
    site: &Site,
    partition: &Arc<Partition>,
    (epoch, round): (&Epoch, &str),
    is_first: bool,
    log: Log,
) -> Result<Step, CallError> {
    if partition.is_in(epoch) {
        return Ok(Step::Done);
    }
    // Whoever puts the next generation together must know that this node may have something to hand in.
    if !site.beat.is_known() {
        return Ok(Step::Again);
    }
    let mut late_top = 0;
    if !partition.has_handed_in(epoch, round) {
        partition.recovering(epoch);
        // The answer of one that is under way may be the first thing this node knows.
        if !partition.has_no_calls() {
            return Ok(Step::Again);
        }
        if !partition.knows_nothing() {
            let Some(top) = late::hand_in(inner, site, partition, epoch).await? else {
                return Ok(Step::Again);
            };
            late_top = top;
        }
    }
    // What is handed in is in the log until it is stored. That it was may have been said in a generation that is gone.
    if log.is_empty && late_top <= log.top && inner.config.has_store {
        partition.all_is_stored();
    }
    let top = log.top.max(late_top);
    partition.open(epoch, top, is_first);
    tracing::debug!(partition = partition.id, %epoch, is_first, "a generation is open");
    inner.opened(partition);
    Ok(Step::Done)
}

/// `still_there`: see [`Partition::hand_in_above`].
async fn hand_in(
    inner: &Inner,
    site: &Site,
    partition: &Partition,
    (epoch, round): (&Epoch, &str),
    still_there: &StillThere,
    keys: &[String; 3],
) -> Result<(), CallError> {
    let Ok(_turn) = inner.recovery_turns.acquire().await else { return Ok(()) };
    let known = partition.hand_in_above(still_there);
    let rows = known.rows.len();
    let mut chunks = chunks(staged::items(&known, &inner.keys));
    drop(known);
    // The last call says that it is all.
    let last = chunks.pop().unwrap_or_default();
    for (chunk, is_last) in chunks.into_iter().map(|chunk| (chunk, 0)).chain([(last, 1)]) {
        let nodes = inner.presence.not_buried(Instant::now());
        let mut args = Args::new()
            .with(epoch)
            .with(round)
            .with(nodes::name(inner.config.node, false))
            .with(is_last)
            .with(nodes.len());
        nodes.into_iter().for_each(|node| args.push(nodes::name(node, false)));
        chunk.into_iter().for_each(|item| args.push_bytes(item));
        let state: String = site.link.call(&inner.scripts.hand_in, keys, args).await?;
        if state != "recovering" {
            return Ok(());
        }
    }
    partition.handed_in(epoch, round);
    if rows > 0 {
        tracing::info!(partition = partition.id, rows, "handed in what redis may have lost");
    }
    Ok(())
}

fn chunks(items: Vec<Vec<u8>>) -> Vec<Vec<Vec<u8>>> {
    let (mut chunks, mut chunk, mut bytes) = (Vec::new(), Vec::new(), 0);
    for item in items {
        if chunk.len() >= ITEMS || (bytes + item.len() > ITEMS_BYTES && !chunk.is_empty()) {
            chunks.push(std::mem::take(&mut chunk));
            bytes = 0;
        }
        bytes += item.len();
        chunk.push(item);
    }
    chunks.push(chunk);
    chunks
}

async fn merge(
    inner: &Inner,
    site: &Site,
    partition: &Partition,
    epoch: &Epoch,
    keys: &[String; 3],
) -> Result<(), CallError> {
    let Ok(turn) = inner.recovery_turns.acquire().await else { return Ok(()) };
    let Some(staged) = read_staged(inner, &site.link, epoch, keys).await? else { return Ok(()) };
    for (room, rows) in &staged.rows {
        merge_room(inner, site, partition, epoch, (room, rows), &staged.stored_to).await?;
    }
    let names = &inner.keys;
    let highest: Vec<_> = staged.highest.iter().collect();
    for chunk in highest.chunks(ITEMS) {
        let mut keys = vec![names.generation(partition.id), names.absent(partition.id)];
        let mut args = Args::new().with(epoch).with(inner.idle_ms());
        for (room, Highest { seq, epoch, time, is_open }) in chunk {
            keys.extend([names.head(room), names.ring(room)]);
            args.push(seq);
            args.push(epoch);
            args.push(time.micros);
            args.push(u8::from(*is_open));
        }
        site.link.call::<String>(&inner.scripts.raise, &keys, args).await?;
    }
    remember(inner, site, partition.id, (epoch, "merging"), staged.answers.into_iter().collect()).await?;
    drop((staged.rows, turn));
    let is_first = is_first(inner, partition.id, epoch).await;
    let args = Args::new().with(epoch).with(u8::from(is_first)).with(names.partition_channel(partition.id));
    let state: String = site.link.call(&inner.scripts.opened, keys, args).await?;
    tracing::debug!(partition = partition.id, %epoch, %state, is_first, "merged");
    Ok(())
}

/// Answers to recent sends, as they are kept under their keys. Taken while the generation is in that state.
pub(crate) async fn remember(
    inner: &Inner,
    site: &Site,
    partition: u32,
    (epoch, state): (&Epoch, &str),
    answers: Vec<(String, String)>,
) -> Result<(), CallError> {
    for chunk in answers.chunks(ITEMS) {
        let mut keys = vec![inner.keys.generation(partition), inner.keys.absent(partition)];
        let mut args = Args::new().with(epoch).with(RECENT_KEPT.as_millis()).with(state);
        for (key, value) in chunk {
            keys.push(key.clone());
            args.push(value);
        }
        site.link.call::<String>(&inner.scripts.remember, &keys, args).await?;
    }
    Ok(())
}

/// All of it, as much at a time as is quickly there, and not in the way of other calls. `None`: it is merged already, or gone.
async fn read_staged(
    inner: &Inner,
    link: &Link,
    epoch: &Epoch,
    keys: &[String; 3],
) -> Result<Option<Staged>, CallError> {
    let keys = [keys[0].clone(), keys[2].clone()];
    let (mut staged, mut from) = (Staged::default(), 0);
    loop {
        let args = Args::new().with(epoch).with(from).with(ITEMS).with(ITEMS_BYTES);
        let words: Vec<Vec<u8>> = link.call_aside(&inner.scripts.read_staged, &keys, args).await?;
        let Some((state, items)) = words.split_first() else { return Ok(None) };
        if state != b"merging" {
            return Ok(None);
        }
        if items.is_empty() {
            return Ok(Some(staged));
        }
        items.iter().for_each(|item| staged.add(item));
        from += items.len();
    }
}

async fn merge_room(
    inner: &Inner,
    site: &Site,
    partition: &Partition,
    epoch: &Epoch,
    (room, rows): (&RoomId, &BTreeMap<Seq, Arc<Message>>),
    stored_to: &HashMap<Epoch, LogId>,
) -> Result<(), CallError> {
    let names = &inner.keys;
    let mut rows = rows.values().peekable();
    while rows.peek().is_some() {
        let mut keys = vec![
            names.generation(partition.id),
            names.absent(partition.id),
            names.head(room),
            names.ring(room),
            names.log(partition.id),
        ];
        let mut args = Args::new().with(epoch).with(u8::from(inner.config.has_store));
        let mut bytes = 0;
        while keys.len() < ITEMS && bytes < ITEMS_BYTES {
            let Some(row) = rows.next() else { break };
            let event = event::encode(row);
            bytes += event.len();
            keys.push(names.answer_of(row));
            args.push(row.seq);
            args.push(event::seq_text(row.prev));
            args.push(row.time.micros);
            args.push(&row.epoch);
            args.push(event::hash_text(content_hash(&row.content)));
            args.push(event::answer_kept(row.client_id.as_ref()).as_millis());
            args.push(&row.id);
            let stored_to = stored_to.get(&event::generation_of(&row.epoch));
            args.push(stored_to.map_or_else(|| "-".into(), LogId::to_string));
            args.push_bytes(event);
        }
        site.link.call::<String>(&inner.scripts.merge, &keys, args).await?;
    }
    Ok(())
}

/// Whether nothing was ever in this partition. The store remembers its first generation, and that one only.
async fn is_first(inner: &Inner, partition: u32, epoch: &Epoch) -> bool {
    if !inner.config.has_store {
        return false;
    }
    let asked = async {
        match inner.source.generation(partition).await {
            Ok(Some(first)) => first == *epoch,
            Ok(None) => inner.source.set_generation(partition, epoch.clone()).await.is_ok(),
            Err(_) => false,
        }
    };
    timeout(STORE_WAIT, asked).await.unwrap_or(false)
}
