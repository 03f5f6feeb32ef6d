//! What came over a pub/sub socket, to whom it concerns: room workers, partitions, presence. Never waits: a room worker whose
//! queue is full is told later that its room lost something.
//! Not here: the socket (`relay`).

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use moim_bus::Relayed;
use moim_protocol::{Epoch, RoomEvent, RoomId};
use redis::{PushKind, Value};
use tokio::{sync::mpsc, time::timeout};

use crate::{
    event,
    inner::Inner,
    keys::Channel,
    relay::{Pushed, Relay},
    store_view::Mark,
};

/// How soon a room whose worker had no space is tried again.
const LOST_RETRY: Duration = Duration::from_millis(50);

/// Reads until the bus stops.
pub(crate) async fn read(inner: &Inner, relay: &Relay, mut unread: mpsc::Receiver<Pushed>) {
    let mut lost = HashSet::new();
    loop {
        let next = if lost.is_empty() {
            unread.recv().await
        } else {
            timeout(LOST_RETRY, unread.recv()).await.unwrap_or_else(|_| unread.try_recv().ok())
        };
        if let Some((number, info)) = next
            && relay.is_current(number)
        {
            pushed(inner, relay, info.kind, &info.data, &mut lost);
        }
        if relay.has_overflowed() {
            tracing::warn!(redis = %relay.link.name, "events came faster than they are read; rooms read on from their cursors");
            lost.extend(inner.rooms_of(&relay.link));
        }
        lost.extend(inner.take_lost());
        lost.retain(|room| {
            let event = RoomEvent::Lost;
            inner.sink.try_deliver(Relayed { room: room.clone(), event }).is_err()
        });
    }
}

fn pushed(inner: &Inner, relay: &Relay, kind: PushKind, data: &[Value], lost: &mut HashSet<RoomId>) {
    match (kind, data) {
        (
            PushKind::Message | PushKind::SMessage,
            [Value::BulkString(channel), Value::BulkString(payload)],
        ) => {
            let channel = std::str::from_utf8(channel).ok().and_then(|name| inner.keys.channel(name));
            match channel {
                Some(Channel::Room(room)) => of_room(inner, &room, payload, lost),
                Some(Channel::Partition(partition)) => of_partition(inner, partition, payload),
                Some(Channel::Probe) => relay.has_heard(),
                None => tracing::debug!("an event came over a channel that is not ours"),
            }
        }
        (PushKind::Disconnection, _) => relay.break_off(),
        // Unasked for: the slot has moved to another server.
        (PushKind::SUnsubscribe, [Value::BulkString(channel), ..])
            if std::str::from_utf8(channel).is_ok_and(|channel| relay.is_confirmed(channel)) =>
        {
            inner.moved.notify_one();
            relay.break_off();
        }
        _ => {}
    }
}

fn of_room(inner: &Inner, room: &RoomId, payload: &[u8], lost: &mut HashSet<RoomId>) {
    let Some((letter, rest)) = payload.split_first() else { return };
    let mut deliver = |event| {
        let relayed = Relayed { room: room.clone(), event };
        if let Err(relayed) = inner.sink.try_deliver(relayed)
            && matches!(relayed.event, RoomEvent::Message(_) | RoomEvent::Late(_))
        {
            inner.metrics.relay_dropped.inc();
            lost.insert(relayed.room);
        }
    };
    match letter {
        b'M' => {
            for message in
                event::split_counted(rest).into_iter().filter_map(|event| event::decode(room, event))
            {
                // Kept before it is shown. Of a generation that this node is not in, it is neither.
                if inner.partition_of(room).keep(&message.epoch, &message, &inner.keys) {
                    deliver(RoomEvent::Message(message));
                }
            }
        }
        b'L' => {
            for message in
                event::split_counted(rest).into_iter().filter_map(|event| event::decode(room, event))
            {
                deliver(RoomEvent::Late(message));
            }
        }
        b'T' => {
            let typing = std::str::from_utf8(rest).ok().and_then(event::decode_typing);
            typing.into_iter().for_each(|typing| deliver(RoomEvent::Typing(typing)));
        }
        b'P' => {
            let presence = std::str::from_utf8(rest).ok().and_then(event::decode_presence);
            let Some((time, presence)) = presence else { return };
            for event in inner.presence.heard(Instant::now(), room, time, presence) {
                let relayed = Relayed { room: room.clone(), event: event.clone() };
                if inner.sink.try_deliver(relayed).is_ok() {
                    inner.presence.was_told(room, &event);
                }
            }
        }
        _ => tracing::debug!(%room, "an event of an unknown kind: a newer node's"),
    }
}

fn of_partition(inner: &Inner, partition: u32, payload: &[u8]) {
    let Some(partition) = inner.partitions.get(partition as usize) else { return };
    let Some((letter, rest)) = payload.split_first() else { return };
    let text = String::from_utf8_lossy(rest);
    match letter {
        b'F' => {
            let epoch = Epoch::trusted(&*text);
            partition.fence_came(epoch.clone());
            if !partition.is_in(&epoch) {
                inner.look_after(partition);
            }
        }
        b'O' => inner.look_after(partition),
        b'W' => {
            if let Some(mark) = Mark::decode(&text) {
                partition.marked(Instant::now(), &mark);
            }
        }
        b'D' => partition.doorbell.notify_one(),
        _ => {}
    }
}
