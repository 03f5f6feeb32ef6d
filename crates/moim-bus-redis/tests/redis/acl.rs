//! The user with the least rights that this crate's README gives: everything works, and every right of it is used.
//! Not here: a Redis Cluster.

use std::collections::BTreeSet;

use moim_bus::{
    Bus, BusError, BusHealth, Here,
    conformance::{Rows, draft, room},
};
use moim_bus_redis::{RedisConfig, Topology};
use moim_protocol::{AckLevel, MemberKey, Seq, Typing, UserName};

use super::{
    own::{OwnRedis, until},
    peer::{Peer, all_is_stored, nth_config, talk},
};

/// The line in the README, word by word.
fn documented() -> &'static str {
    let readme = include_str!("../../README.md");
    readme.lines().find(|line| line.starts_with("ACL SETUSER ")).expect("the line")
}

/// With that user, whose password stands there, too.
fn config(redis: &OwnRedis, nth: usize) -> moim_bus_redis::RedisBusConfig {
    let config = nth_config(&[redis.url()], Topology::Single, &RedisConfig::default().key_prefix, nth);
    let redis = RedisConfig { username: "moim".into(), password: "PASSWORD".into(), ..config.redis };
    moim_bus_redis::RedisBusConfig { redis, ..config }
}

/// Commands that were called, in scripts or not.
async fn called(redis: &OwnRedis) -> BTreeSet<String> {
    let stats: String = redis.ask("INFO commandstats").await;
    let name = |line: &str| {
        line.strip_prefix("cmdstat_")?
            .split_once(":calls=")
            .filter(|(_, is)| !is.starts_with("0,"))
            .map(|(name, _)| name.to_owned())
    };
    stats.lines().filter_map(name).collect()
}

/// All that a bus does.
async fn everything(redis: &OwnRedis) {
    let (rows, room) = (Rows::new(), room("acl"));
    let mut peers = Vec::new();
    for nth in 0..2 {
        peers.push(Peer::start(&rows, config(redis, nth)).await);
        peers[nth].join(&room).await;
    }
    let bus = &peers[1].bus;
    let names = vec![UserName::trusted("kim")];
    bus.presence(&room, Here { count: 1, names }, None);
    let from = MemberKey { node: bus.node(), connection: 1 };
    bus.typing(&room, Typing { username: UserName::trusted("kim"), is_typing: true, from });
    until("who is here is told", async || peers[0].bus.who(&room).await.is_ok_and(|here| here.count == 1))
        .await;
    let mut said = talk(&peers, &room, "a", 4).await;
    let stored = bus
        .publish(moim_bus::Draft { level: Some(AckLevel::Stored), ..draft(&room, "b") })
        .await
        .expect("it is stored");
    assert_eq!(stored.level, AckLevel::Stored);
    assert!(!bus.ring(&room, 9).await.expect("the ring").rows.is_empty());
    rows.set_stuck(true);
    said.extend(talk(&peers, &room, "c", 4).await);
    assert!(!bus.older(&room, Seq(9), 2).await.expect("rows").is_empty());
    // Marks that may have been missed are read while something is not stored.
    until("marks are read", async || called(redis).await.contains("xrevrange")).await;
    redis.lose_everything().await;
    said.extend(talk(&peers, &room, "d", 4).await);
    rows.set_stuck(false);
    bus.presence(&room, Here::default(), None);
    until("that they left is told", async || peers[0].bus.who(&room).await.is_ok_and(|here| here.count == 0))
        .await;
    bus.unsubscribe(&room);
    until("nobody listens", async || called(redis).await.contains("unsubscribe")).await;
    all_is_stored(&peers).await;
    assert_eq!(rows.of(&room).len(), said.len() + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_rights_are_enough_and_none_is_too_many() {
    let redis = OwnRedis::start().await;
    let _: String = redis.ask(documented()).await;
    everything(&redis).await;
    let refused: Vec<redis::Value> = redis.ask("ACL LOG").await;
    assert!(refused.is_empty(), "{refused:?}");
    let granted: BTreeSet<_> =
        documented().split(' ').filter_map(|word| word.strip_prefix('+')).map(str::to_owned).collect();
    // The test's own, and what everybody may.
    let others = ["acl|setuser", "acl|log", "flushall", "hello", "auth", "client|setinfo"];
    let used: BTreeSet<_> =
        called(&redis).await.into_iter().filter(|name| !others.contains(&&**name)).collect();
    assert_eq!(used, granted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_hides_who_it_is_takes_nothing_and_is_told_of() {
    let (redis, room) = (OwnRedis::start().await, room("hidden"));
    let _: String = redis.ask(documented()).await;
    let _: String = redis.ask("ACL SETUSER moim -info").await;
    let peer = Peer::begin(&Rows::new(), config(&redis, 0));
    let mut health = BusHealth::Closed;
    until("it is known to be unfit", async || {
        health = peer.bus.health();
        matches!(health, BusHealth::Unfit(_))
    })
    .await;
    assert!(format!("{health:?}").contains("INFO"), "{health:?}");
    let Err(BusError::Unavailable(why)) = peer.bus.publish(draft(&room, "x")).await else {
        panic!("it was taken")
    };
    assert!(why.contains("INFO"), "{why}");
}

/// What is refused is told, and not only tried again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_right_is_named() {
    let redis = OwnRedis::start().await;
    let _: String = redis.ask(documented()).await;
    let _: String = redis.ask("ACL SETUSER moim -zadd").await;
    let peer = Peer::begin(&Rows::new(), config(&redis, 0));
    let mut health = BusHealth::Closed;
    until("it is known to be unfit", async || {
        health = peer.bus.health();
        matches!(health, BusHealth::Unfit(_))
    })
    .await;
    assert!(format!("{health:?}").contains("can't run this command"), "{health:?}");
    let _: String = redis.ask("ACL SETUSER moim +zadd").await;
    until("with the right it is fit again", async || peer.bus.health() == BusHealth::Open).await;
}
