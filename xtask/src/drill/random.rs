//! What the seed decides: victims, and schedules of several faults, each some seconds after the one before has healed.
//! Not here: the faults themselves (`acts`).

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::fault::Fault;

use super::acts;
use super::members::Members;
use super::stage::{GATEWAYS, Stage};

/// splitmix64: victims and schedules come from the seed alone.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % bound.max(1) as u64).unwrap_or(0)
    }
}

type Act = (&'static str, fn(&mut Stage<'_>, &mut Members) -> Result<(), Fault>);

/// Those that leave everything as it was, so that any can follow any.
const ACTS: &[Act] = &[
    ("gateway-kill", kill_one_gateway),
    ("gateway-stall", acts::gateway_stall),
    ("redis-kill", acts::redis_kill),
    ("redis-wipe", acts::redis_wipe),
    ("redis-wipe-unread", acts::redis_wipe_unread),
    ("pubsub-cut", acts::pubsub_cut),
    ("pubsub-deaf", acts::pubsub_deaf),
    ("redis-cut", acts::redis_cut),
    ("script-flush", acts::script_flush),
    ("redis-oom", acts::redis_oom),
    ("cassandra-slow", acts::cassandra_slow),
    ("redis-wipe-unstored", acts::redis_wipe_unstored),
    ("replica-attach", acts::replica_attach),
    ("replica-failover", acts::replica_failover),
    ("replica-failover-alive", acts::replica_failover_alive),
    ("cassandra-stop", acts::cassandra_stop),
    ("front-cut", acts::front_cut),
    ("front-deaf", acts::front_deaf),
    ("haproxy-kill", acts::haproxy_kill),
    ("rolling-restart", acts::rolling_restart),
];

/// Beside the 10 s of the promises, so that no two overlap by a moment of our own clock.
const MARGIN: Duration = Duration::from_secs(2);

pub(crate) fn schedule(stage: &mut Stage<'_>, members: &mut Members) -> Result<(), Fault> {
    let start = Instant::now();
    let limit = Duration::from_secs(stage.minutes * 60);
    while start.elapsed() < limit {
        let (name, act) = ACTS[stage.random.below(ACTS.len())];
        println!("  random: {name} after {} s", start.elapsed().as_secs());
        act(stage, members)?;
        sleep(acts::APART + MARGIN);
    }
    Ok(())
}

/// One at a time: the others are this fault's promise.
fn kill_one_gateway(stage: &mut Stage<'_>, _: &mut Members) -> Result<(), Fault> {
    let victim = stage.random.below(GATEWAYS);
    stage.kill_gateway(victim);
    sleep(Duration::from_secs(2));
    stage.start_gateway(victim)?;
    stage.gateway_ready(victim)
}
