//! The end of a run: until everything said is answered, everybody is up to date and every count has had time to be right.
//! Not here: judging what it came to (`checker`).

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde::Deserialize;

use crate::{checker::What, http};

use super::{
    RecordArgs,
    book::{Book, RoomFigures},
};

/// Counts must be right within 10 s of any crash. A refresh that is under way when the 10 s end has a moment more.
const COUNTS_WITHIN: Duration = Duration::from_secs(12);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What settling came to.
pub(super) struct Settled {
    pub(super) took: Duration,
}

/// Waits, at most as long as it was told; then writes down for every member how many there really are.
pub(super) async fn settle(book: &Book, args: &RecordArgs) -> Settled {
    let start = Instant::now();
    let limit = Duration::from_secs(args.settle_seconds);
    let mut judged = BTreeSet::new();
    while start.elapsed() < limit && !book.rooms().iter().all(is_settled) {
        // A count that is wrong by then is wrong, whatever else has still to settle.
        for (room, _) in
            (0u32..).zip(book.rooms()).filter(|(_, room)| room.changed.elapsed() >= COUNTS_WITHIN)
        {
            if judged.insert(room) {
                write_down(book, args, room);
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let took = start.elapsed();
    (0..args.rooms).filter(|room| !judged.contains(room)).for_each(|room| write_down(book, args, room));
    for (room, connected) in
        book.rooms().iter().map(|room| room.connected).enumerate().take(args.members as usize)
    {
        for gateway in &args.gateways {
            ask(book, *gateway, room as u32, args.seed, connected).await;
        }
    }
    Settled { took }
}

/// How many there really are, for all of a room.
fn write_down(book: &Book, args: &RecordArgs, room: u32) {
    let connected = book.room(room, |room| room.connected);
    for number in (0..args.members + args.plain).filter(|number| number % args.rooms == room) {
        book.write(number, What::Settled { connected });
    }
}

/// Right early, or late enough for the checker to say that it is not.
fn is_settled(room: &RoomFigures) -> bool {
    let counts_right = room.counts.values().all(|count| *count == room.connected);
    let up_to_date = room.cursors.values().all(|cursor| *cursor >= room.head);
    room.waiting == 0 && up_to_date && (counts_right || room.changed.elapsed() >= COUNTS_WITHIN)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RoomAnswer {
    user_count: u64,
}

/// A gateway that does not answer tells nothing: whether it may be away is the drill's to know.
async fn ask(book: &Book, gateway: std::net::SocketAddr, room: u32, seed: u64, connected: u64) {
    let path = format!("/api/v1/rooms/{}", super::member::room_name(seed, room));
    let answer = tokio::task::spawn_blocking(move || http::get(gateway, &path)).await;
    let Ok(Ok(body)) = answer else { return };
    if let Ok(RoomAnswer { user_count }) = serde_json::from_str(&body) {
        // The first member of that room keeps it.
        book.write(room, What::Asked { node: gateway.to_string(), count: user_count, connected });
    }
}
