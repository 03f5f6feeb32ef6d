//! Rooms that Redis holds nothing of while the store cannot say where they were: they go on above every number that was used.
//! Not here: rooms that the store knows (the suite).

use moim_bus::{
    Bus,
    conformance::{Rows, room},
};
use moim_bus_redis::{RedisBusConfig, RedisConfig, Topology};
use moim_protocol::RoomId;

use super::{
    own::{OwnRedis, until},
    peer::{Peer, nth_config},
    unused,
};

/// A silent room soon leaves Redis.
fn soon_cold(redis: &OwnRedis, prefix: &str, nth: usize) -> RedisBusConfig {
    let config = nth_config(&[redis.url()], Topology::Single, prefix, nth);
    RedisBusConfig { redis: RedisConfig { room_idle_seconds: 2, ..config.redis }, ..config }
}

async fn is_cold(redis: &OwnRedis, room: &RoomId) {
    let keys = format!("KEYS *:h:{room}");
    until("the room has left redis", async || redis.ask::<Vec<String>>(&keys).await.is_empty()).await;
}

async fn shows(peer: &Peer, room: &RoomId, texts: &[&str]) {
    let seen = async || peer.seen(room).await.iter().map(|row| row.content.to_string()).collect::<Vec<_>>();
    until("the message is seen", async || seen().await == texts).await;
}

/// A jump is farther than the clock goes in an hour, and who comes later knows nothing of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_jumped_and_fell_silent_does_not_start_below_its_numbers() {
    let (rows, redis, room, prefix) =
        (Rows::new(), OwnRedis::start().await, room("jumped"), format!("c{:x}", unused()));
    let start = async |nth| {
        let config = RedisBusConfig { has_store: false, drains: false, ..soon_cold(&redis, &prefix, nth) };
        Peer::start(&rows, config).await
    };
    let member = start(1).await;
    member.join(&room).await;
    let first = member.say(&room, "one").await;
    redis.lose_everything().await;
    let second = member.say(&room, "two").await;
    assert!(second.position.seq.0 >= first.position.seq.0 + (1 << 32), "it has jumped");
    is_cold(&redis, &room).await;
    // Somebody who was never in the room.
    let other = start(2).await;
    let third = other.say(&room, "three").await;
    assert!(third.position.seq > second.position.seq, "{third:?} after {second:?}");
    shows(&member, &room, &["one", "two", "three"]).await;
    // Nor does the clock run away with each silence.
    is_cold(&redis, &room).await;
    let fourth = other.say(&room, "four").await;
    assert!(fourth.position.seq.0 - third.position.seq.0 < 1 << 32, "{fourth:?} after {third:?}");
    shows(&member, &room, &["one", "two", "three", "four"]).await;
}

/// Its members have seen numbers that no message told this node of: all was stored and read when they joined.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_that_was_only_read_is_handed_in() {
    let (rows, redis, room, prefix) =
        (Rows::new(), OwnRedis::start().await, room("read"), format!("d{:x}", unused()));
    let of_node = |nth| nth_config(&[redis.url()], Topology::Single, &prefix, nth);
    let writer = Peer::start(&rows, of_node(0)).await;
    let said = writer.say(&room, "one").await;
    until("it is stored", async || rows.has(&room, said.position.seq)).await;
    until("and committed", async || redis.in_logs().await == 0).await;
    drop(writer);
    let member = Peer::start(&rows, of_node(1)).await;
    member.join(&room).await;
    redis.lose_everything().await;
    // Who does not know its place would start it by the clock.
    rows.set_seeds_fail(true);
    // The writer is waited for, as long as it may live.
    let ring = loop {
        if let Ok(ring) = member.bus.ring(&room, 1).await {
            break ring;
        }
    };
    assert_eq!(ring.head, said.position, "it was handed in");
}

/// The numbers between two starts belong to nobody, and in one epoch they would be a hole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_start_by_the_clock_is_an_epoch_of_its_own() {
    let (rows, redis, room, prefix) =
        (Rows::new(), OwnRedis::start().await, room("starts"), format!("e{:x}", unused()));
    rows.set_seeds_fail(true);
    let peer = Peer::start(&rows, soon_cold(&redis, &prefix, 0)).await;
    peer.join(&room).await;
    let mut said = vec![peer.say(&room, "1").await.position, peer.say(&room, "2").await.position];
    is_cold(&redis, &room).await;
    said.push(peer.say(&room, "3").await.position);
    is_cold(&redis, &room).await;
    // The store can be asked again, and the room goes on where it was.
    rows.set_seeds_fail(false);
    said.push(peer.say(&room, "4").await.position);
    redis.lose_everything().await;
    said.push(peer.say(&room, "5").await.position);
    let follows =
        |at: usize| (said[at].epoch == said[at - 1].epoch, said[at].seq.0 - said[at - 1].seq.0 < 1 << 32);
    assert_eq!([follows(1), follows(2)], [(true, true), (false, true)], "{said:?}");
    assert_eq!(
        [follows(3), follows(4)],
        [(true, true), (false, false)],
        "a jump is for generations: {said:?}"
    );
    shows(&peer, &room, &["1", "2", "3", "4", "5"]).await;
    until("all is stored", async || rows.of(&room).len() == said.len()).await;
    for (pair, at) in rows.of(&room).windows(2).zip(1..) {
        assert!(pair[0].epoch != pair[1].epoch || pair[1].seq == pair[0].seq.next(), "a hole at {at}");
        assert_eq!(pair[1].position(), said[at]);
        assert_eq!(pair[1].prev, (at != 2).then_some(said[at - 1].seq));
    }
}
