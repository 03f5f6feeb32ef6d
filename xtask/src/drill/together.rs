//! Several faults at once, drawn from the seed: made one soon after the other, healed in another order, some seconds for all to
//! come back, and again.
//! Not here: what each fault is by itself (`acts`), one after another (`random`).

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::fault::Fault;

use super::acts;
use super::members::Members;
use super::random::Random;
use super::stage::{GATEWAYS, Stage};

/// Faults at once: at least two, and not everything, after which nothing would be left to promise.
const AT_ONCE: [usize; 2] = [2, 4];
/// Between two of them, and for how long they hold together.
const STAGGER_MS: usize = 1500;
const HOLD_MS: [usize; 2] = [2000, 8000];

type Outcome = Result<(), Fault>;

/// A fault in two halves. `nth` is the gateway it is about, where it is about one.
struct Pair {
    name: &'static str,
    make: fn(&mut Stage<'_>, nth: usize) -> Outcome,
    heal: fn(&mut Stage<'_>, nth: usize) -> Outcome,
}

#[rustfmt::skip] // one line a fault reads as the table it is
const PAIRS: &[Pair] = &[
    Pair { name: "gateway away",      make: kill_gateway, heal: start_gateway },
    Pair { name: "redis away",        make: kill_redis, heal: start_redis },
    Pair { name: "redis wiped",       make: |stage, _| tell(stage, "FLUSHALL"), heal: |_, _| Ok(()) },
    Pair { name: "pub/sub cut",       make: |stage, _| tell(stage, "CLIENT KILL TYPE pubsub"), heal: |_, _| Ok(()) },
    Pair { name: "scripts forgotten", make: |stage, _| tell(stage, "SCRIPT FLUSH"), heal: |_, _| Ok(()) },
    Pair { name: "no memory",         make: |stage, _| tell(stage, "CONFIG SET maxmemory 1mb"), heal: |stage, _| tell(stage, "CONFIG SET maxmemory 0") },
    Pair { name: "cut off",           make: |stage, nth| order(stage, "cut redis", nth, ""), heal: |stage, nth| order(stage, "heal redis", nth, "") },
    Pair { name: "deaf",              make: |stage, nth| order(stage, "pause redis", nth, " subscribers"), heal: |stage, nth| order(stage, "heal redis", nth, "") },
    Pair { name: "unread",            make: |stage, nth| order(stage, "pause redis", nth, " down"), heal: |stage, nth| order(stage, "heal redis", nth, "") },
    Pair { name: "failover",          make: follow_and_lag, heal: promote },
    Pair { name: "front cut",         make: |stage, nth| order(stage, "cut front", nth, ""), heal: |stage, nth| order(stage, "heal front", nth, "") },
    Pair { name: "front deaf",        make: |stage, nth| order(stage, "pause front", nth, " down"), heal: |stage, nth| order(stage, "heal front", nth, "") },
    Pair { name: "store slow",        make: |stage, _| stage.order("delay cassandra-* 3000"), heal: |stage, _| stage.order("heal cassandra-*") },
    Pair { name: "store cut off",     make: |stage, nth| order(stage, "cut cassandra", nth, ""), heal: |stage, nth| order(stage, "heal cassandra", nth, "") },
];

pub(crate) fn schedule(stage: &mut Stage<'_>, _: &mut Members) -> Outcome {
    let start = Instant::now();
    let limit = Duration::from_secs(stage.minutes * 60);
    while start.elapsed() < limit {
        let chosen = draw(&mut stage.random);
        let names: Vec<_> = chosen.iter().map(|(pair, _)| pair.name).collect();
        println!("  together: {} after {} s", names.join(", "), start.elapsed().as_secs());
        for (pair, nth) in &chosen {
            (pair.make)(stage, *nth)?;
            sleep(Duration::from_millis(stage.random.below(STAGGER_MS) as u64));
        }
        let hold = HOLD_MS[0] + stage.random.below(HOLD_MS[1] - HOLD_MS[0]);
        sleep(Duration::from_millis(hold as u64));
        for (pair, nth) in in_some_order(&mut stage.random, chosen) {
            (pair.heal)(stage, nth)?;
        }
        for gateway in 0..GATEWAYS {
            stage.gateway_ready(gateway)?;
        }
        sleep(acts::APART);
    }
    Ok(())
}

/// Different faults, each about a gateway of its own draw.
fn draw(random: &mut Random) -> Vec<(&'static Pair, usize)> {
    let number = AT_ONCE[0] + random.below(AT_ONCE[1] - AT_ONCE[0] + 1);
    let mut chosen = in_some_order(random, PAIRS.iter().collect());
    chosen.truncate(number);
    chosen.into_iter().map(|pair| (pair, random.below(GATEWAYS))).collect()
}

fn in_some_order<T>(random: &mut Random, mut from: Vec<T>) -> Vec<T> {
    let mut drawn = Vec::with_capacity(from.len());
    while !from.is_empty() {
        drawn.push(from.swap_remove(random.below(from.len())));
    }
    drawn
}

fn kill_gateway(stage: &mut Stage<'_>, nth: usize) -> Outcome {
    stage.kill_gateway(nth);
    Ok(())
}

fn start_gateway(stage: &mut Stage<'_>, nth: usize) -> Outcome {
    stage.start_gateway(nth)
}

fn kill_redis(stage: &mut Stage<'_>, _: usize) -> Outcome {
    stage.redis.kill();
    Ok(())
}

/// Unless another has taken its place meanwhile.
fn start_redis(stage: &mut Stage<'_>, _: usize) -> Outcome {
    let place = stage.place;
    if stage.redis.is_running() { Ok(()) } else { stage.redis.start_again(place) }
}

/// Where Redis is away there is nobody to follow, and so nothing to fail over to.
fn follow_and_lag(stage: &mut Stage<'_>, _: usize) -> Outcome {
    if !stage.redis.is_running() {
        return Ok(());
    }
    let replica = stage.follower()?;
    replica.follow_no_more()?;
    stage.lagging = Some(replica);
    Ok(())
}

fn promote(stage: &mut Stage<'_>, _: usize) -> Outcome {
    let Some(replica) = stage.lagging.take() else { return Ok(()) };
    stage.redis.kill();
    replica.tell("REPLICAOF NO ONE")?;
    stage.take_redis(replica)
}

/// Whether it is there or not is another fault's business.
fn tell(stage: &mut Stage<'_>, words: &str) -> Outcome {
    stage.redis.try_to_tell(words).ok();
    Ok(())
}

fn order(stage: &mut Stage<'_>, what: &str, nth: usize, how: &str) -> Outcome {
    stage.order(&format!("{what}-{}{how}", nth + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_seed_draws_the_same_and_different_faults_at_once() {
        let names = |seed| {
            let mut random = Random::new(seed);
            let drawn = (0..20).map(|_| draw(&mut random));
            drawn
                .map(|it| it.iter().map(|(pair, nth)| (pair.name, *nth)).collect::<Vec<_>>())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(7), names(7));
        assert_ne!(names(7), names(8));
        let mut seen = BTreeSet::new();
        for drawn in names(7) {
            assert!((AT_ONCE[0]..=AT_ONCE[1]).contains(&drawn.len()));
            let different: BTreeSet<_> = drawn.iter().map(|(name, _)| *name).collect();
            assert_eq!(different.len(), drawn.len());
            seen.extend(different);
        }
        assert_eq!(seen.len(), PAIRS.len(), "some are never drawn");
    }
}
