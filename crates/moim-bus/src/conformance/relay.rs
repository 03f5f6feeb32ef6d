//! Cases about what is relayed: messages without a hole, signals, and only what was asked for; and who is where.
//! Not here: what is lost with a connection and found again, which needs faults.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::future;
use moim_protocol::{MemberKey, Message, NodeId, Notice, PresenceChange, RoomEvent, RoomId, Seq, UserName};
use tokio::time::{sleep, timeout};

use super::{Node, PATIENCE, Rows, SILENCE, Subject, draft, node::assert_chain, room, typing, within};
use crate::{HERE_NAMES_MAX, Here, Relayed};

/// Members come while others talk: what the ring gave after the subscription, and what is relayed above its head, are one
/// log without a hole.
pub async fn subscribed_before_read_is_gapless(start: &impl AsyncFn(Arc<Rows>) -> Subject) {
    let mut node = Node::start(start, &Rows::new()).await;
    let rooms: Vec<RoomId> = (0..4).map(|nth| room(&format!("join{nth}"))).collect();
    let done = Arc::new(AtomicBool::new(false));
    let talkers: Vec<_> = rooms
        .iter()
        .flat_map(|room| [room, room])
        .map(|room| {
            let (bus, room, done) = (node.bus.clone(), room.clone(), done.clone());
            tokio::spawn(async move {
                while !done.load(Ordering::Relaxed) {
                    within("answer", bus.publish(draft(&room, "말"))).await.expect("publish");
                }
            })
        })
        .collect();
    for round in 0..40 {
        let room = &rooms[round % rooms.len()];
        node.subscribe(room).await;
        let mut joined = node.ring(room, 50).await.rows;
        let head = joined.last().map_or(Seq::ZERO, |row| row.seq);
        let mut last = head;
        // Events of the rounds before may still come: those of this room are all at or below the head.
        while joined.iter().filter(|row| row.seq > head).count() < 30 {
            let Relayed { room: of, event: RoomEvent::Message(message) } = node.event().await else {
                continue;
            };
            if of == *room && message.seq > last {
                last = message.seq;
                joined.push(message);
            }
        }
        assert_chain(room, &joined);
        node.bus.unsubscribe(room);
    }
    done.store(true, Ordering::Relaxed);
    // Somebody must read what they wait for.
    let talkers = future::join_all(talkers);
    tokio::select! {
        ended = talkers => assert!(ended.iter().all(Result::is_ok), "a talker panicked"),
        () = async { loop { node.event().await; } } => {}
    }
    node.stop().await;
}

/// Many rooms at once: each room's messages come in the order of its log, all of them.
pub async fn relay_keeps_the_order_of_each_room(start: &impl AsyncFn(Arc<Rows>) -> Subject) {
    let mut node = Node::start(start, &Rows::new()).await;
    let rooms: Vec<RoomId> = (0..10).map(|nth| room(&format!("relay{nth}"))).collect();
    future::join_all(rooms.iter().map(|room| node.subscribe(room))).await;
    let answers: Vec<_> = (0..100)
        .flat_map(|nth| rooms.iter().map(move |room| draft(room, &nth.to_string())))
        .map(|draft| node.publish(draft))
        .collect();
    let mut relayed: HashMap<RoomId, Vec<Arc<Message>>> = HashMap::new();
    for _ in 0..1000 {
        let message = node.message().await;
        relayed.entry(message.room.clone()).or_default().push(message);
    }
    for answer in answers {
        node.answer(answer).await;
    }
    for room in &rooms {
        assert_eq!(relayed[room], node.whole(room).await);
    }
    node.stop().await;
}

/// What nobody subscribed to does not come, before, after, or beside what somebody did; and it comes again when they do.
pub async fn unsubscribed_rooms_are_silent(start: &impl AsyncFn(Arc<Rows>) -> Subject) {
    let mut node = Node::start(start, &Rows::new()).await;
    let (here, elsewhere) = (room("here"), room("elsewhere"));
    node.subscribe(&here).await;
    for turn in 0..3 {
        node.send(draft(&elsewhere, &turn.to_string())).await;
        let receipt = node.send(draft(&here, &turn.to_string())).await;
        let relayed = node.message().await;
        assert_eq!((&relayed.room, relayed.seq), (&here, receipt.position.seq));
    }
    node.bus.unsubscribe(&here);
    // Events on their way may still come.
    sleep(SILENCE).await;
    while node.event_soon().await.is_some() {}
    node.send(draft(&here, "nobody hears")).await;
    node.bus.typing(&here, typing(1));
    let late = node.event_soon().await;
    assert!(late.is_none(), "{late:?}");
    node.subscribe(&here).await;
    let receipt = node.send(draft(&here, "again")).await;
    assert_eq!(node.message().await.seq, receipt.position.seq);
    node.stop().await;
}

/// Typing and notices come to those who subscribed to the room, with everything in them, and to nobody else.
pub async fn signals_reach_subscribers_only(start: &impl AsyncFn(Arc<Rows>) -> Subject) {
    let mut node = Node::start(start, &Rows::new()).await;
    let (here, elsewhere) = (room("signals"), room("signals"));
    node.subscribe(&here).await;
    let notice = Notice {
        change: PresenceChange::Join,
        username: UserName::trusted("지민"),
        count: 3,
        except: Some(MemberKey { node: NodeId(u64::MAX), connection: u64::MAX - 1 }),
    };
    // Signals may be lost, so they are sent until one comes.
    let typed = async {
        loop {
            node.bus.typing(&elsewhere, typing(99));
            node.bus.typing(&here, typing(5));
            match node.event_soon().await {
                Some(Relayed { room, event: RoomEvent::Typing(typed) }) => return (room, typed),
                Some(Relayed { room, .. }) => assert_eq!(room, here),
                None => {}
            }
        }
    };
    assert_eq!(timeout(PATIENCE, typed).await.expect("typing came"), (here.clone(), typing(5)));
    let noticed = async {
        loop {
            node.bus.presence(&elsewhere, people(1), Some(Notice { count: 99, ..notice.clone() }));
            node.bus.presence(&here, people(1), Some(notice.clone()));
            while let Some(relayed) = node.event_soon().await {
                assert_eq!(relayed.room, here);
                if let RoomEvent::Presence { notice: Some(notice), .. } = relayed.event {
                    return notice;
                }
            }
        }
    };
    assert_eq!(timeout(PATIENCE, noticed).await.expect("a notice came"), notice);
    while let Some(Relayed { room, .. }) = node.event_soon().await {
        assert_eq!(room, here);
    }
    node.stop().await;
}

/// So many, by name as far as names are told.
fn people(count: u64) -> Here {
    let names = (0..count.min(HERE_NAMES_MAX as u64)).map(|nth| UserName::trusted(format!("사람{nth}")));
    Here { count, names: names.collect() }
}

/// The last count said is the count, however often it was said; rooms have their own; none is zero.
pub async fn counts_are_absolute(start: &impl AsyncFn(Arc<Rows>) -> Subject) {
    let node = Node::start(start, &Rows::new()).await;
    let (here, elsewhere) = (room("counts"), room("counts"));
    node.counts(&here, 0).await;
    for count in [1, 2, 3, 3, 3, 1000, 2] {
        node.bus.presence(&here, people(count), None);
    }
    node.bus.presence(&elsewhere, people(7), None);
    node.counts(&here, 2).await;
    node.counts(&elsewhere, 7).await;
    sleep(SILENCE).await;
    node.counts(&here, 2).await;
    // Each told by itself.
    for count in [5, 4] {
        node.bus.presence(&here, people(count), None);
        node.counts(&here, count).await;
    }
    node.bus.presence(&here, people(0), None);
    node.counts(&here, 0).await;
    node.counts(&elsewhere, 7).await;
    node.bus.presence(&here, people(3), None);
    node.counts(&here, 3).await;
    let mut who = node.bus.who(&here).await.expect("who");
    who.names.sort();
    assert_eq!(who, people(3));
    node.stop().await;
}
