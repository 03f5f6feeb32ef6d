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

/// Rooms whose workers had no space for something.
#[derive(Default)]
struct Untold {
    /// For events of their logs.
    lost: HashSet<RoomId>,
    /// For a count.
    counts: HashSet<RoomId>,
}

impl Untold {
    fn is_empty(&self) -> bool {
        self.lost.is_empty() && self.counts.is_empty()
    }

    fn tell(&mut self, inner: &Inner) {
        self.lost.extend(inner.take_lost());
        self.lost.retain(|room| {
            let event = RoomEvent::Lost;
            inner.sink.try_deliver(Relayed { room: room.clone(), event }).is_err()
        });
        self.counts.retain(|room| !inner.tell_count(room));
    }
}

/// Reads until the bus stops.
pub(crate) async fn read(inner: &Inner, relay: &Relay, mut unread: mpsc::Receiver<Pushed>) {
    let mut untold = Untold::default();
    loop {
        let next = if untold.is_empty() {
            unread.recv().await
        } else {
            timeout(LOST_RETRY, unread.recv()).await.unwrap_or_else(|_| unread.try_recv().ok())
        };
        if let Some((number, info)) = next
            && relay.is_current(number)
        {
            pushed(inner, relay, info.kind, &info.data, &mut untold);
        }
        if relay.has_overflowed() {
            tracing::warn!(redis = %relay.link.name, "events came faster than they are read; rooms read on from their cursors");
            inner.lost_on(&relay.link);
        }
        untold.tell(inner);
    }
}

fn pushed(inner: &Inner, relay: &Relay, kind: PushKind, data: &[Value], untold: &mut Untold) {
    match (kind, data) {
        (
            PushKind::Message | PushKind::SMessage,
            [Value::BulkString(channel), Value::BulkString(payload)],
        ) => {
            let channel = std::str::from_utf8(channel).ok().and_then(|name| inner.keys.channel(name));
            match channel {
                Some(Channel::Room(room)) => of_room(inner, &room, payload, untold),
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

fn of_room(inner: &Inner, room: &RoomId, payload: &[u8], untold: &mut Untold) {
    let Some((letter, rest)) = payload.split_first() else { return };
    let mut deliver = |event| {
        let relayed = Relayed { room: room.clone(), event };
        if let Err(relayed) = inner.sink.try_deliver(relayed)
            && matches!(relayed.event, RoomEvent::Message(_) | RoomEvent::Late(_))
        {
            inner.metrics.relay_dropped.inc();
            untold.lost.insert(relayed.room);
        }
    };
    match letter {
        b'M' => {
            for message in
                event::split_counted(rest).into_iter().filter_map(|event| event::decode(room, event))
            {
                // Kept before it is shown. Of a generation that this node is not in, it is neither.
                let generation = event::generation_of(&message.epoch);
                if inner.partition_of(room).keep(&generation, &message, &inner.keys) {
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
                if !inner.deliver_count(room, event) {
                    // The minute's repeat would say the same count, which is known, and so nothing.
                    inner.metrics.relay_dropped.inc();
                    untold.counts.insert(room.clone());
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
            if let Some(mark) = Mark::decode_told(&text)
                && !partition.marked(Instant::now(), &mark)
            {
                inner.mark_missed.notify_one();
            }
        }
        b'D' => partition.doorbell.notify_one(),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, atomic::Ordering};

    use moim_bus::{Here, RELAY_QUEUE_MAX, RelaySink, conformance::Rows};
    use moim_protocol::{NodeId, Timestamp, UserName};
    use moim_telemetry::Registry;
    use redis::PushInfo;

    use super::*;
    use crate::{AckPolicy, RedisBusConfig, RedisConfig, event::PresenceEvent, link::Link, lock::locked};

    const PATIENCE: Duration = Duration::from_secs(60);

    /// A node that is connected to nothing, and what its one worker is told.
    fn node() -> (Arc<Inner>, mpsc::Receiver<Relayed>, Arc<Link>) {
        let (sink, mut workers) = RelaySink::new(1);
        let redis = RedisConfig { partitions: 1, ..RedisConfig::default() };
        let config =
            RedisBusConfig { redis, node: NodeId(1), ack: AckPolicy::Wal, has_store: true, drains: false };
        let registry = Registry::new("0").unwrap();
        let (inner, _, _) = Inner::new(config, sink, Rows::new(), &registry).unwrap();
        let link = inner.map.links().remove(0);
        (inner, workers.remove(0), link)
    }

    fn relay(inner: &Arc<Inner>, link: Arc<Link>) -> (Arc<Relay>, mpsc::Sender<Pushed>) {
        let (relay, (sender, unread)) = (Relay::new(link), mpsc::channel(8));
        let (reader, node) = (relay.clone(), inner.clone());
        tokio::spawn(async move { read(&node, &reader, unread).await });
        (relay, sender)
    }

    #[tokio::test]
    async fn a_count_for_which_there_was_no_space_is_told_when_there_is() {
        let (inner, mut worker, link) = node();
        let (_relay, sender) = relay(&inner, link);
        let (room, other) = (RoomId::trusted("r"), NodeId(2));
        inner.presence.loads(&room);
        inner.presence.loaded(Instant::now(), &room, Timestamp::default(), Some(Vec::new()));
        let filler = || Relayed { room: RoomId::trusted("full"), event: RoomEvent::Lost };
        (0..RELAY_QUEUE_MAX).for_each(|_| inner.sink.try_deliver(filler()).unwrap());
        let here = Here { count: 7, names: vec![UserName::trusted("kim")] };
        let text = event::encode_presence(&PresenceEvent { node: other, here, notices: Vec::new() });
        let words = [inner.keys.room_channel(&room), format!("P5 {text}")];
        let data = words.map(|word| Value::BulkString(word.into_bytes())).to_vec();
        sender.send((0, PushInfo { kind: PushKind::Message, data })).await.unwrap();
        let dropped = async {
            while inner.metrics.relay_dropped.get() == 0 {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, dropped).await.unwrap();
        let told = async {
            loop {
                let Relayed { room: of, event } = worker.recv().await.unwrap();
                if let RoomEvent::Presence { elsewhere, .. } = event {
                    return (of, elsewhere);
                }
            }
        };
        assert_eq!(timeout(PATIENCE, told).await.unwrap(), (room, 7));
    }

    /// Its fences may be among what was dropped, and then it would go on in a generation that is over.
    #[tokio::test]
    async fn a_full_socket_is_answered_like_one_that_was_away() {
        let (inner, _worker, link) = node();
        let (relay, sender) = relay(&inner, link);
        relay.overflowed.store(true, Ordering::Release);
        sender.send((0, PushInfo { kind: PushKind::Other("event".into()), data: Vec::new() })).await.unwrap();
        let looked_after = async {
            while locked(&inner.attention).is_empty() {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, looked_after).await.unwrap();
        assert!(!relay.has_overflowed(), "once");
    }
}
