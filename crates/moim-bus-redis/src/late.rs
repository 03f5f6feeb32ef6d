//! What a node hands in when the others have opened a generation without it.
//! Not here: what a room makes of rows that come late (`moim-core`), a hand-in that is waited for (`recovery`).

use std::{collections::HashMap, sync::Arc, time::Duration};

use moim_bus::content_hash;
use moim_protocol::{Epoch, Message, RoomId, Seq};
use tokio::time::sleep;

use crate::{
    event,
    inner::{Inner, Site},
    link::{Args, CallError},
    partition::Partition,
    recovery::remember,
    staged,
    tail::Recent,
};

/// Between two tries while too many rooms wait to be read.
const RETRY: Duration = Duration::from_millis(200);

/// Rows, the highest number of each room, answers. Answers the newest place in the log; `None`: the generation ended meanwhile.
pub(crate) async fn hand_in(
    inner: &Inner,
    site: &Site,
    partition: &Partition,
    epoch: &Epoch,
) -> Result<Option<u64>, CallError> {
    let known = partition.hand_in();
    let (mut top, rows) = (0, known.rows.len());
    tracing::warn!(partition = partition.id, rows, "the others did not wait for what this node knows");
    // Of messages that have another number by now: their own, and the one before.
    let mut dropped: HashMap<RoomId, (Seq, Option<Seq>)> = HashMap::new();
    for row in &known.rows {
        let mut row = row.clone();
        if let Some((_, before)) = dropped.get(&row.room).filter(|(seq, _)| row.prev == Some(*seq)) {
            // Nothing stands between.
            row = Arc::new(Message { prev: *before, ..(*row).clone() });
        }
        match hand_in_row(inner, site, partition, epoch, &row).await? {
            Fate::Taken(place) => {
                inner.metrics.late_rows.inc();
                top = top.max(place);
            }
            Fate::Known(place) => top = top.max(place),
            Fate::Dropped(place) => {
                tracing::warn!(room = %row.room, seq = %row.seq, "a message has another number by now");
                partition.has_another_number(&row);
                dropped.insert(row.room.clone(), (row.seq, row.prev));
                top = top.max(place);
            }
            Fate::Stale => return Ok(None),
        }
    }
    // Of rooms that nobody here is in, the newest recent send.
    let passed = staged::passed(&known).into_iter().map(|recent| {
        let Recent { room, seq, epoch, time, .. } = recent;
        (room, seq, epoch, time)
    });
    let highest = known.highest.iter().map(|(room, seq, of, time)| (room, seq, of, time));
    for (room, seq, of, time) in highest.chain(passed) {
        let (names, id) = (&inner.keys, partition.id);
        let keys =
            [names.generation(id), names.absent(id), names.head(room), names.ring(room), names.log(id)];
        let args = Args::new().with(epoch).with(seq).with(of).with(time.micros).with(inner.idle_ms());
        let state: String = site.link.call(&inner.scripts.late_highest, &keys, args).await?;
        if state == "stale" {
            return Ok(None);
        }
    }
    remember(inner, site, partition.id, (epoch, "open"), staged::answers(&known, &inner.keys)).await?;
    Ok(Some(top))
}

/// What became of a row, and the newest place in the log then.
enum Fate {
    Taken(u64),
    Known(u64),
    Dropped(u64),
    Stale,
}

async fn hand_in_row(
    inner: &Inner,
    site: &Site,
    partition: &Partition,
    epoch: &Epoch,
    row: &Message,
) -> Result<Fate, CallError> {
    let (names, id) = (&inner.keys, partition.id);
    let keys = [
        names.generation(id),
        names.absent(id),
        names.head(&row.room),
        names.ring(&row.room),
        names.log(id),
        names.answer_of(row),
    ];
    let mut args = Args::new()
        .with(epoch)
        .with(names.room_channel(&row.room))
        .with(row.seq)
        .with(&row.epoch)
        .with(row.time.micros)
        .with(event::hash_text(content_hash(&row.content)))
        .with(event::answer_kept(row.client_id.as_ref()).as_millis())
        .with(event::seq_text(row.prev))
        .with(&row.id);
    args.push_bytes(event::encode(row));
    args.push(names.partition_channel(id));
    args.push(u8::from(inner.config.has_store));
    loop {
        let words: Vec<String> = site.link.call(&inner.scripts.late, &keys, args.clone()).await?;
        let [what, number] = &words[..] else { return Ok(Fate::Stale) };
        let place = number.parse().unwrap_or_default();
        match what.as_str() {
            "taken" => return Ok(Fate::Taken(place)),
            "known" => return Ok(Fate::Known(place)),
            "dropped" => return Ok(Fate::Dropped(place)),
            // Only the store knows how far its numbers went.
            "init" => {
                if inner.seed(&row.room, number.clone(), epoch).await.is_err() {
                    // Nobody else has the row: it waits until there is room for it.
                    sleep(RETRY).await;
                }
            }
            _ => return Ok(Fate::Stale),
        }
    }
}
