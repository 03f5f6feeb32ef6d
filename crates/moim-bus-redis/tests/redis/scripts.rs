//! The scripts by themselves, on a Redis of their own: rules that only show when something happens at one certain moment.
//! Not here: what nodes do with them (the other tests).

use redis::FromRedisValue;

use super::own::OwnRedis;

const GENERATION: &str = include_str!("../../src/lua/lib_generation.lua");
const RECOVERY: &str = include_str!("../../src/lua/lib_recovery.lua");
const PUBLISH: &str = include_str!("../../src/lua/publish.lua");
const HEARTBEAT: &str = include_str!("../../src/lua/heartbeat.lua");
const LATE: &str = include_str!("../../src/lua/lib_late.lua");
const RING: &str = include_str!("../../src/lua/ring.lua");
const SEED: &str = include_str!("../../src/lua/seed.lua");
const COMMIT: &str = include_str!("../../src/lua/commit.lua");
const MERGE: &str = include_str!("../../src/lua/merge.lua");
const HAND_IN: &str = include_str!("../../src/lua/hand_in.lua");
const LEASE: &str = include_str!("../../src/lua/lease.lua");

const EPOCH: &str = "e";
const HOUR_MS: u64 = 3_600_000;
/// A hash, as an answer keeps it.
const HASH: &str = "0000000000000007";

/// One partition with one room.
struct Room {
    redis: OwnRedis,
}

impl Room {
    /// In a generation of this state, without a head.
    async fn of(state: &str) -> Self {
        let redis = OwnRedis::start().await;
        let id = redis.info("replication", "master_replid").await;
        let record = format!("HSET gen replid {id} epoch {EPOCH} state {state} since 0 first 0 lid 0");
        let _: i64 = redis.ask(&record).await;
        Self { redis }
    }

    async fn call<T: FromRedisValue>(&self, script: &str, keys: &[&str], args: &[&str]) -> T {
        let client = redis::Client::open(self.redis.url()).expect("a client");
        let mut connection = client.get_multiplexed_async_connection().await.expect("a connection");
        let mut command = redis::cmd("EVAL");
        command.arg([GENERATION, RECOVERY, LATE, script].concat()).arg(keys.len()).arg(keys).arg(args);
        command.query_async(&mut connection).await.expect("an answer")
    }

    /// What it answers.
    async fn publish(&self, answer: &str) -> Vec<String> {
        let keys = ["gen", "head", "ring", "log", answer];
        let args = [EPOCH, "2", "1", "3600000", "room", "partition", "-", HASH, "600000", "id - 3\nkimtext"];
        let mut answers: Vec<Vec<String>> = self.call(PUBLISH, &keys, &args).await;
        answers.remove(0)
    }

    /// Seeds it as `seq` rows of the store would, for one who did not find it at that time.
    async fn seed(&self, asked: &str, seq: u64) -> String {
        let seq = seq.to_string();
        let args = [EPOCH, asked, "600000000", &seq, EPOCH, &seq, "0", "3600000", "0"];
        self.call(SEED, &["gen", "head", "ring"], &args).await
    }

    /// Seeds it with the newest row of the store.
    async fn seed_of_row(&self, asked: &str, seq: u64) -> String {
        let seq = seq.to_string();
        let args = [EPOCH, asked, "600000000", &seq, EPOCH, &seq, "0", "3600000", "1", &seq, "event"];
        self.call(SEED, &["gen", "head", "ring"], &args).await
    }

    /// Seeds it for one whom the store has not answered.
    async fn seed_by_the_clock(&self, asked: &str) -> String {
        let args = [EPOCH, asked, "600000000", "0", "", "-", "0", "3600000", "0"];
        self.call(SEED, &["gen", "head", "ring"], &args).await
    }

    /// Commits the log up to an entry, whose highest number that is.
    async fn commit(&self, log_id: &str, seq: &str) -> String {
        let keys = ["gen", "absent", "log", "mark", "dead", "head", "ring"];
        let args = [EPOCH, log_id, "3600000", "2", "partition", "text", "0", "1", seq, seq];
        self.call(COMMIT, &keys, &args).await
    }

    /// Merges rows of these numbers, each after the one before it.
    async fn merge(&self, numbers: std::ops::RangeInclusive<u64>) -> String {
        self.merge_after(numbers, |seq| (seq - 1).to_string()).await
    }

    async fn merge_after(
        &self,
        numbers: std::ops::RangeInclusive<u64>,
        prev: impl Fn(u64) -> String,
    ) -> String {
        let mut keys: Vec<_> = ["gen", "absent", "head", "ring", "log"].map(str::to_owned).into();
        let mut args: Vec<_> = [EPOCH, "1"].map(str::to_owned).into();
        for seq in numbers {
            keys.push(format!("answer{seq}"));
            let (seq, prev) = (seq.to_string(), prev(seq));
            args.extend([&*seq, &prev, &seq, EPOCH, HASH, "600000", "id", "-", "event"].map(str::to_owned));
        }
        let (keys, args): (Vec<_>, Vec<_>) =
            (keys.iter().map(String::as_str).collect(), args.iter().map(String::as_str).collect());
        self.call(MERGE, &keys, &args).await
    }

    /// What a node reads that knows of the room up to there, or '-'.
    async fn ring(&self, known: &str) -> Vec<String> {
        self.call(RING, &["gen", "head", "ring", "log"], &[EPOCH, "0", "0", "+", known]).await
    }

    async fn head(&self, field: &str) -> String {
        self.redis.ask(&format!("HGET head {field}")).await
    }

    async fn expires_in(&self, key: &str) -> i64 {
        self.redis.ask(&format!("PTTL {key}")).await
    }

    /// The numbers of an ordered list of entries.
    async fn ids(&self, stream: &str) -> Vec<String> {
        let entries: Vec<(String, Vec<String>)> = self.redis.ask(&format!("XRANGE {stream} - +")).await;
        entries.into_iter().map(|(id, _)| id.trim_end_matches("-0").to_owned()).collect()
    }

    async fn now_micros(&self) -> u64 {
        let (seconds, micros): (u64, u64) = self.redis.ask("TIME").await;
        seconds * 1_000_000 + micros
    }
}

#[tokio::test]
async fn the_first_seed_wins() {
    let room = Room::of("open").await;
    let asked = room.now_micros().await.to_string();
    assert_eq!(room.seed(&asked, 5).await, "ok");
    assert_eq!(room.publish("answer").await[..2], ["n", "6"]);
    // Of one who found nothing either, and read the store while the other was faster.
    assert_eq!(room.seed(&asked, 5).await, "ok");
    assert_eq!(room.head("seq").await, "6", "a seed brought an old head back");
    assert_eq!(room.publish("another").await[..3], ["n", "7", "6"]);
}

/// Redis may have lost the end of the generation that the room's head is of, and nobody may know of it but the store.
#[tokio::test]
async fn a_head_of_an_older_generation_is_asked_of_the_store_once() {
    let room = Room::of("open").await;
    let asked = room.now_micros().await.to_string();
    let of_older = async || {
        let _: i64 = room.redis.ask("DEL head ring log").await;
        let head = "HSET head seq 5 epoch older stored 5 time 1 last 5 version 1";
        let _: i64 = room.redis.ask(head).await;
    };
    of_older().await;
    assert_eq!(room.publish("answer").await[0], "i", "nobody has asked the store");
    assert_eq!(room.ring("-").await[0], "init");
    assert_eq!(room.ring("6").await[0], "init", "it knows of more");
    assert_eq!(room.ring("5").await[0], "ok", "it has had the room open since");
    assert_eq!(room.seed_of_row(&asked, 9).await, "ok");
    assert_eq!(room.ring("-").await[..5], ["ok", "9", "e", "9", "9"], "the store knows of more");
    assert_eq!(room.ids("ring").await, ["9"]);
    // The store knows of no more.
    for rows in [3, 5] {
        of_older().await;
        assert_eq!(room.seed_of_row(&asked, rows).await, "ok");
        assert_eq!(room.ring("-").await[..5], ["ok", "5", "older", "5", "5"]);
        let published = room.publish(&format!("answer{rows}")).await;
        assert_eq!(published[..3], ["n", &(5 + (1u64 << 32) + 1).to_string(), "5"]);
    }
    // The store cannot be asked: the room goes on, and does not say after what.
    of_older().await;
    assert_eq!(room.seed_by_the_clock(&asked).await, "ok");
    assert_eq!(room.ring("-").await[3], "-");
    assert_eq!(room.ring("5").await[3], "5", "it has had the room open since");
    assert_eq!(room.publish("answer6").await[2], "-");
    // It is asked again, and what it says then counts.
    of_older().await;
    let long_ago = room.now_micros().await - 10_000_001;
    let _: i64 = room.redis.ask(&format!("HSET head checked {EPOCH}?{long_ago}")).await;
    assert_eq!(room.ring("-").await[0], "init", "a store that was silent once is never asked again");
    assert_eq!(room.seed_of_row(&asked, 5).await, "ok");
    assert_eq!(room.ring("-").await[..4], ["ok", "5", "older", "5"]);
    // What is not stored stands in the ring alone.
    of_older().await;
    let _: i64 = room.redis.ask("HSET head stored 4").await;
    assert_eq!(room.seed_of_row(&asked, 9).await, "later");
    assert_eq!(room.ring("-").await[0], "init");
}

/// Its newest row is of an older generation, and it was asked for in this one.
#[tokio::test]
async fn a_room_that_was_not_here_is_asked_of_the_store_once() {
    let room = Room::of("open").await;
    let asked = room.now_micros().await.to_string();
    let args = [EPOCH, &asked, "600000000", "5", "older", "5", "0", "3600000", "1", "5", "event"];
    assert_eq!(room.call::<String>(SEED, &["gen", "head", "ring"], &args).await, "ok");
    assert_eq!(room.ring("-").await[..4], ["ok", "5", "older", "5"], "it is asked for twice");
}

/// Its release did not come here, and whoever should drain it now waits for it to be free.
#[tokio::test]
async fn a_lease_of_one_who_does_not_drain_is_given_up() {
    let room = Room::of("open").await;
    let lease =
        async |node, what| -> String { room.call(LEASE, &["lease", "absent"], &[node, "5000", what]).await };
    assert_eq!(lease("a", "take").await, "a");
    assert_eq!(lease("b", "take").await, "a");
    assert_eq!(lease("a", "hold").await, "", "it is kept for ever, and nobody drains");
    assert_eq!(lease("b", "take").await, "b");
}

/// Or an old one would bring back an old head, once the room has been here, grown, and gone again.
#[tokio::test]
async fn an_old_seed_is_refused() {
    let room = Room::of("open").await;
    let long_ago = (room.now_micros().await - 600_000_001).to_string();
    assert_eq!(room.seed(&long_ago, 5).await, "old", "the room may have been here meanwhile");
    assert_eq!(room.redis.ask::<u64>("EXISTS head").await, 0);
    let asked = room.now_micros().await.to_string();
    assert_eq!(room.seed(&asked, 5).await, "ok");
}

/// Its lease ends by Redis's clock, and that may be set back.
#[tokio::test]
async fn a_clock_that_is_set_back_brings_no_dead_node_back() {
    let room = Room::of("open").await;
    let now = room.now_micros().await / 1000;
    let _: i64 = room.redis.ask(&format!("ZADD nodes {} dead {} alive", now + 300_000, now + 7000)).await;
    let told: Vec<String> =
        room.call(HEARTBEAT, &["nodes", "absent", "config"], &["own", "8000", "hash"]).await;
    let named: Vec<_> = told[6..].iter().step_by(2).map(String::as_str).collect();
    assert_eq!(named, ["alive", "own"], "who said nothing since the clock was set back counts as alive");
}

/// Whoever tries for longer than an answer is kept is still known.
#[tokio::test]
async fn a_hit_renews_the_answer() {
    let room = Room::of("open").await;
    room.seed(&room.now_micros().await.to_string(), 5).await;
    room.publish("answer").await;
    let _: u64 = room.redis.ask("PEXPIRE answer 5000").await;
    assert_eq!(room.publish("answer").await[..2], ["d", "6"]);
    assert!(room.expires_in("answer").await > 5000, "a hit did not renew the answer");
}

/// A holder that has lost its lease may come late with what another has committed, and more, since.
#[tokio::test]
async fn what_is_stored_stays_stored() {
    let room = Room::of("open").await;
    room.seed(&room.now_micros().await.to_string(), 0).await;
    let mut logged = Vec::new();
    for nth in 0..5 {
        logged.push(room.publish(&format!("answer{nth}")).await[3].clone());
    }
    assert_eq!(room.expires_in("head").await, -1, "what is not stored does not expire");
    assert_eq!(room.commit(&logged[4], "5").await, "ok");
    assert_eq!(room.commit(&logged[1], "2").await, "ok");
    assert_eq!(room.head("stored").await, "5", "what is stored stays stored");
    assert!(room.expires_in("head").await > 0, "a room that is stored may leave");
}

/// Pages of the store that were read before the row came are not good any more.
#[tokio::test]
async fn a_row_that_is_stored_late_changes_the_version() {
    let room = Room::of("open").await;
    room.seed(&room.now_micros().await.to_string(), 5).await;
    let logged = room.publish("answer").await[3].clone();
    let before = room.head("version").await;
    assert_eq!(room.commit(&logged, "6").await, "ok");
    assert_eq!(room.head("version").await, before, "what follows changes no page");
    assert_eq!(room.commit(&logged, "3").await, "ok");
    assert_ne!(room.head("version").await, before, "nobody is told that a kept page has grown");
}

/// Whoever began may have died half way; whoever goes on begins anew.
#[tokio::test]
async fn a_merge_that_was_left_half_way_is_finished() {
    let room = Room::of("merging").await;
    assert_eq!(room.merge(4..=6).await, "merging");
    let (ring, log) = (room.ids("ring").await, room.ids("log").await);
    assert_eq!(room.merge(4..=8).await, "merging", "a merge could not be gone on with");
    assert_eq!(room.ids("ring").await, ["4", "5", "6", "7", "8"]);
    let merged = room.ids("log").await;
    assert_eq!((ring.len(), &merged[..3], merged.len()), (3, &log[..], 5), "each is in the log once");
    assert_eq!((room.head("seq").await, room.head("last").await), ("8".into(), "8".into()));
}

/// They are only here, whatever the room was before.
#[tokio::test]
async fn merged_rows_stay_until_they_are_stored() {
    let room = Room::of("merging").await;
    let head = format!("HSET head seq 3 epoch {EPOCH} stored 3 time 3 last 3 version 1");
    let _: i64 = room.redis.ask(&head).await;
    let _: String = room.redis.ask("XADD ring 3-0 m event").await;
    for key in ["head", "ring"] {
        let _: i64 = room.redis.ask(&format!("PEXPIRE {key} {HOUR_MS}")).await;
    }
    assert_eq!(room.merge(4..=8).await, "merging");
    for key in ["head", "ring"] {
        assert_eq!(room.expires_in(key).await, -1, "what is not stored does not expire: {key}");
    }
    assert_eq!(room.head("stored").await, "3", "what was handed in is not stored");
}

/// What lies between is in nobody's tail, so it is stored: the ring is not asked for it.
#[tokio::test]
async fn what_nobody_hands_in_is_stored() {
    let room = Room::of("merging").await;
    assert_eq!(room.merge(4..=5).await, "merging");
    assert_eq!(room.merge(8..=9).await, "merging");
    assert_eq!(room.head("stored").await, "7", "it is in nobody's tail");
    assert_eq!(room.ids("ring").await, ["8", "9"]);
}

/// Nobody knows what came before it, so it says nothing of what is stored.
#[tokio::test]
async fn a_row_that_does_not_say_after_what_stores_nothing() {
    let room = Room::of("merging").await;
    assert_eq!(room.merge(4..=5).await, "merging");
    assert_eq!(room.merge_after(9..=9, |_| "-".to_owned()).await, "merging");
    assert_eq!(room.head("stored").await, "3", "what is handed in is not stored");
    assert_eq!(room.ids("ring").await, ["4", "5", "9"]);
}

/// It would be thrown away with the rest when the generation opens, and its node would think that it is safe.
#[tokio::test]
async fn nothing_is_handed_in_once_the_merge_has_begun() {
    let room = Room::of("recovering").await;
    let hand_in = async || -> String {
        let args = [EPOCH, "0", "node", "1", "1", "node", "item"];
        room.call(HAND_IN, &["gen", "absent", "staged"], &args).await
    };
    assert_eq!(hand_in().await, "recovering");
    let _: i64 = room.redis.ask("HSET gen state merging").await;
    assert_eq!(hand_in().await, "merging");
    assert_eq!(room.redis.ask::<usize>("LLEN staged").await, 1, "it was taken, and nobody reads it");
}
