//! How each fault is made and healed; each returns when everything is as it was.
//! Not here: which there are (`faults`), what must hold (the promises, by `moim-loadtest check`).

use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::fault::Fault;
use crate::servers::cassandra::ring;

use super::clock::Clock;
use super::members::Members;
use super::stage::{GATEWAYS, Stage};

/// Between two faults: the promises are about one at a time.
pub(crate) const APART: Duration = Duration::from_secs(10);

type Outcome = Result<(), Fault>;

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn none(_: &mut Stage<'_>, _: &mut Members) -> Outcome {
    sleep(seconds(10));
    Ok(())
}

pub(crate) fn gateway_kill(stage: &mut Stage<'_>, _: &mut Members) -> Outcome {
    let mut victim = 0;
    for _ in 0..10 {
        victim = stage.random.below(GATEWAYS);
        let start = Instant::now();
        stage.kill_gateway(victim);
        stage.start_gateway(victim)?;
        sleep(seconds(2).saturating_sub(start.elapsed()));
    }
    stage.gateway_ready(victim)
}

/// Longer than a lease of a log, of 5 s, so that somebody else drains it; and longer than a node's own, of 8 s.
const STALLS: [Duration; GATEWAYS] =
    [Duration::from_secs(7), Duration::from_secs(14), Duration::from_secs(7)];

pub(crate) fn gateway_stall(stage: &mut Stage<'_>, _: &mut Members) -> Outcome {
    for (gateway, how_long) in STALLS.into_iter().enumerate() {
        stage.stall_gateway(gateway, how_long);
        stage.gateway_ready(gateway)?;
        sleep(APART);
    }
    Ok(())
}

pub(crate) fn redis_kill(stage: &mut Stage<'_>, _: &mut Members) -> Outcome {
    for _ in 0..2 {
        stage.redis.kill();
        sleep(seconds(2));
        let place = stage.place;
        stage.redis.start_again(place)?;
        sleep(APART);
    }
    Ok(())
}

pub(crate) fn redis_wipe(stage: &mut Stage<'_>, _: &mut Members) -> Outcome {
    for _ in 0..2 {
        stage.redis.tell("FLUSHALL")?;
        sleep(APART);
    }
    Ok(())
}

pub(crate) fn redis_wipe_unstored(stage: &mut Stage<'_>, _: &mut Members) -> Outcome {
    stage.order("delay cassandra-* 500")?;
    sleep(seconds(3));
    stage.redis.tell("FLUSHALL")?;
    sleep(seconds(5));
    stage.order("heal cassandra-*")?;
    sleep(APART);
    Ok(())
}

pub(crate) fn redis_wipe_unread(stage: &mut Stage<'_>, _: &mut Members) -> Outcome {
    let victim = stage.random.below(GATEWAYS) + 1;
    stage.order(&format!("pause redis-{victim} down"))?;
    sleep(Duration::from_millis(700));
    stage.redis.tell("FLUSHALL")?;
    sleep(Duration::from_millis(300));
    stage.order(&format!("heal redis-{victim}"))?;
    sleep(APART);
    Ok(())
}

pub(crate) fn pubsub_cut(stage: &mut Stage<'_>, _: &mut Members) -> Outcome {
    for _ in 0..5 {
        stage.redis.tell("CLIENT KILL TYPE pubsub")?;
        sleep(seconds(2));
    }
    Ok(())
}

pub(crate) fn pubsub_deaf(stage: &mut Stage<'_>, _: &mut Members) -> Outcome {
    let victim = stage.random.below(GATEWAYS) + 1;
    stage.order(&format!("pause redis-{victim} subscribers"))?;
    sleep(seconds(15));
    stage.order(&format!("heal redis-{victim}"))?;
    sleep(seconds(4));
    Ok(())
}

pub(crate) fn redis_cut(stage: &mut Stage<'_>, _: &mut Members) -> Outcome {
    cut_off(stage, seconds(5))
}

fn cut_off(stage: &mut Stage<'_>, how_long: Duration) -> Outcome {
    let victim = stage.random.below(GATEWAYS);
    let route = format!("redis-{}", victim + 1);
    stage.order(&format!("cut {route}"))?;
    sleep(how_long);
    stage.order(&format!("heal {route}"))?;
    stage.gateway_ready(victim)?;
    sleep(seconds(5));
    Ok(())
}

pub(crate) fn redis_cut_long(stage: &mut Stage<'_>, _: &mut Members) -> Outcome {
    let victim = stage.random.below(GATEWAYS);
    let route = format!("redis-{}", victim + 1);
    stage.order(&format!("cut {route}"))?;
    sleep(seconds(20));
    let is_ready = stage.is_gateway_ready(victim);
    stage.demand(!is_ready, || format!("gateway-{} is ready 20 s after it was cut off", victim + 1));
    sleep(seconds(30));
    let connections = stage.gateway_connections(victim);
    stage.demand(connections == Some(0.0), || {
        format!("gateway-{} has {connections:?} sockets 50 s after it was cut off", victim + 1)
    });
    sleep(seconds(10));
    stage.order(&format!("heal {route}"))?;
    stage.gateway_ready(victim)?;
    sleep(seconds(5));
    Ok(())
}

/// Five minutes, which is what people find who look.
const CLOCK_OFF: i64 = 300;

pub(crate) fn clock_off(stage: &mut Stage<'_>, _: &mut Members) -> Outcome {
    let (workspace, place) = (stage.workspace, stage.place);
    let clock = Clock::build(workspace, place)?;
    for (gateway, off) in [(0, CLOCK_OFF), (1, -CLOCK_OFF)] {
        stage.kill_gateway(gateway);
        stage.start_gateway_in(gateway, &clock.off_by(off))?;
        stage.gateway_ready(gateway)?;
        sleep(APART);
    }
    for off in [-CLOCK_OFF, CLOCK_OFF] {
        stage.redis.kill();
        stage.redis.start_again_in(place, &clock.off_by(off))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_secs().cast_signed());
        let seen = stage.redis.time()? - now;
        if (seen - off).abs() > 30 {
            return Err(Fault::new(
                format!("Redis's clock is {seen} s off, not {off} s"),
                "run it on Linux: other systems do not let a library answer for the clock",
            ));
        }
        sleep(APART);
    }
    Ok(())
}

pub(crate) fn script_flush(stage: &mut Stage<'_>, _: &mut Members) -> Outcome {
    let start = Instant::now();
    while start.elapsed() < seconds(12) {
        stage.redis.tell("SCRIPT FLUSH")?;
        sleep(Duration::from_millis(100));
    }
    Ok(())
}

pub(crate) fn replica_attach(stage: &mut Stage<'_>, _: &mut Members) -> Outcome {
    let replica = stage.follower()?;
    sleep(APART);
    replica.tell("REPLICAOF NO ONE")?;
    drop(replica);
    sleep(seconds(5));
    Ok(())
}

/// What the replica does not get is in nobody's Redis afterwards.
const LAG: Duration = Duration::from_secs(3);

pub(crate) fn replica_failover(stage: &mut Stage<'_>, _: &mut Members) -> Outcome {
    fail_over_after(stage, |_| {
        sleep(LAG);
        Ok(())
    })
}

/// More than an epoch would have room for if a jump were of 16 bits.
const LAG_MESSAGES: u64 = 66_000;
const LAG_TIMEOUT: Duration = Duration::from_secs(300);

pub(crate) fn replica_failover_far(stage: &mut Stage<'_>, _: &mut Members) -> Outcome {
    fail_over_after(stage, |stage| {
        let (start, before) = (Instant::now(), stage.redis.numbers_given()?);
        while stage.redis.numbers_given()? < before + LAG_MESSAGES {
            if start.elapsed() > LAG_TIMEOUT {
                let limit = LAG_TIMEOUT.as_secs();
                return Err(Fault::plain(format!("no {LAG_MESSAGES} messages were taken in {limit} s")));
            }
            sleep(Duration::from_millis(200));
        }
        Ok(())
    })
}

fn fail_over_after(stage: &mut Stage<'_>, lag: impl FnOnce(&mut Stage<'_>) -> Outcome) -> Outcome {
    let replica = stage.follower()?;
    sleep(APART);
    replica.follow_no_more()?;
    lag(stage)?;
    stage.redis.kill();
    replica.tell("REPLICAOF NO ONE")?;
    stage.take_redis(replica)?;
    sleep(APART);
    Ok(())
}

pub(crate) fn replica_failover_alive(stage: &mut Stage<'_>, _: &mut Members) -> Outcome {
    let replica = stage.follower()?;
    sleep(APART);
    replica.follow_no_more()?;
    sleep(LAG);
    // The master takes the data of the one that lags, and is master again: no connection notices.
    replica.tell("REPLICAOF NO ONE")?;
    stage.redis.follow(&replica)?;
    stage.redis.tell("REPLICAOF NO ONE")?;
    sleep(APART);
    Ok(())
}

pub(crate) fn redis_oom(stage: &mut Stage<'_>, _: &mut Members) -> Outcome {
    stage.redis.tell("CONFIG SET maxmemory 1mb")?;
    sleep(seconds(10));
    stage.redis.tell("CONFIG SET maxmemory 0")?;
    sleep(APART);
    Ok(())
}

pub(crate) fn redis_oom_holder(stage: &mut Stage<'_>, _: &mut Members) -> Outcome {
    stage.redis.tell("CONFIG SET maxmemory 1mb")?;
    sleep(seconds(2));
    for gateway in 0..GATEWAYS {
        stage.kill_gateway(gateway);
        stage.start_gateway(gateway)?;
        sleep(APART);
    }
    // Whoever holds a log now took it, and drained it, while Redis took nothing.
    let left = stage.redis.in_logs()?;
    stage.demand(left == 0, || {
        format!("{left} messages are in the log of a full Redis 10 s after the last restart")
    });
    stage.redis.tell("CONFIG SET maxmemory 0")?;
    for gateway in 0..GATEWAYS {
        stage.gateway_ready(gateway)?;
    }
    sleep(APART);
    Ok(())
}

pub(crate) fn cassandra_stop(stage: &mut Stage<'_>, _: &mut Members) -> Outcome {
    cassandra_away(stage, seconds(if stage.full { 600 } else { 20 }))
}

/// Longer than an answer is kept that nobody asks for again.
pub(crate) fn cassandra_stop_stored(stage: &mut Stage<'_>, _: &mut Members) -> Outcome {
    cassandra_away(stage, seconds(if stage.full { 720 } else { 20 }))
}

fn cassandra_away(stage: &mut Stage<'_>, how_long: Duration) -> Outcome {
    stage.store.stop();
    stage.away.begins();
    sleep(how_long);
    stage.away.ends();
    let (workspace, place) = (stage.workspace, stage.place);
    stage.store.start_again(workspace, place)?;
    sleep(APART);
    Ok(())
}

pub(crate) fn cassandra_slow(stage: &mut Stage<'_>, _: &mut Members) -> Outcome {
    stage.order("delay cassandra-* 5000")?;
    sleep(seconds(20));
    stage.order("heal cassandra-*")?;
    sleep(APART);
    Ok(())
}

/// The last one killed stays away, so that the checker's quorum is of the two others: a row that only it had is lost then.
pub(crate) fn cassandra_ring(stage: &mut Stage<'_>, _: &mut Members) -> Outcome {
    let victim = stage.random.below(ring::NODES);
    let (workspace, place) = (stage.workspace, stage.place);
    let Some(ring) = &mut stage.ring else { return Err(Fault::plain("there is no ring")) };
    sleep(seconds(6));
    ring.kill(victim);
    sleep(seconds(20));
    ring.start_node(victim, workspace, place)?;
    sleep(APART);
    ring.kill((victim + 1) % ring::NODES);
    sleep(APART);
    Ok(())
}

pub(crate) fn haproxy_kill(stage: &mut Stage<'_>, _: &mut Members) -> Outcome {
    stage.kill_balancer(0);
    sleep(APART);
    stage.start_balancer(0)
}

pub(crate) fn front_cut(stage: &mut Stage<'_>, _: &mut Members) -> Outcome {
    for _ in 0..2 {
        front(stage, "cut", "", seconds(5))?;
    }
    Ok(())
}

pub(crate) fn front_deaf(stage: &mut Stage<'_>, _: &mut Members) -> Outcome {
    front(stage, "pause", "down", seconds(20))
}

/// A ping every 30 s and 10 s for its pong: within 40 s a gateway knows that nobody is there.
pub(crate) fn front_mute(stage: &mut Stage<'_>, _: &mut Members) -> Outcome {
    front(stage, "pause", "up", seconds(45))
}

pub(crate) fn front_drip(stage: &mut Stage<'_>, _: &mut Members) -> Outcome {
    front(stage, "drip", "2000", seconds(20))
}

/// Something befalls the links between the balancers and one gateway, which itself is well.
fn front(stage: &mut Stage<'_>, what: &str, how: &str, how_long: Duration) -> Outcome {
    let victim = stage.random.below(GATEWAYS) + 1;
    stage.order(&format!("{what} front-{victim} {how}"))?;
    sleep(how_long);
    stage.order(&format!("heal front-{victim}"))?;
    sleep(APART);
    Ok(())
}

pub(crate) fn rolling_restart(stage: &mut Stage<'_>, _: &mut Members) -> Outcome {
    for gateway in 0..GATEWAYS {
        stage.drain_gateway(gateway);
        stage.start_gateway(gateway)?;
        stage.gateway_ready(gateway)?;
        // HAProxy sees it come back.
        sleep(seconds(3));
    }
    Ok(())
}

pub(crate) fn holder_kill(stage: &mut Stage<'_>, _: &mut Members) -> Outcome {
    for gateway in 0..GATEWAYS {
        stage.kill_gateway(gateway);
        sleep(seconds(3));
        stage.start_gateway(gateway)?;
        stage.gateway_ready(gateway)?;
        sleep(seconds(7));
    }
    Ok(())
}

pub(crate) fn store_away_idle(stage: &mut Stage<'_>, members: &mut Members) -> Outcome {
    stage.order("cut cassandra-*")?;
    stage.away.begins();
    sleep(seconds(5));
    members.fall_silent();
    // Longer than rooms may be silent in Redis, were they stored.
    sleep(seconds(8));
    stage.away.ends();
    stage.order("delay cassandra-* 400")?;
    members.speak_again();
    sleep(seconds(6));
    stage.order("heal cassandra-*")?;
    sleep(APART);
    Ok(())
}
