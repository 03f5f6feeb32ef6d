//! The table of faults: one entry for each, with what it does and what it needs. To add a fault, add one here.
//! Not here: how each is made (`acts`).

use std::fmt::Write as _;

use crate::fault::Fault;

use super::members::{Load, Members};
use super::must::Must::{
    self, AckWithin, Answer, Break, Error, IncompletePages, LiveWithin, NewEpoch, SameEpoch, Stay,
    TellNothing, WholePages,
};
use super::stage::Stage;
use super::{acts, random, together};

/// One fault.
pub(crate) struct Named {
    pub(crate) name: &'static str,
    /// What happens, and after the colon what must hold beside the promises.
    pub(crate) about: &'static str,
    pub(crate) load: Load,
    pub(crate) needs: Needs,
    /// What must show beside the promises.
    pub(crate) must: &'static [Must],
    pub(crate) make: fn(&mut Stage<'_>, &mut Members) -> Result<(), Fault>,
}

/// What a fault needs beside three gateways, one Redis, one Cassandra and one HAProxy.
#[derive(Clone, Copy, Default)]
pub(crate) struct Needs {
    /// Three nodes of Cassandra, which take the place of the one.
    pub(crate) ring: bool,
    /// A second HAProxy.
    pub(crate) second_haproxy: bool,
    /// The proxy between the balancers and the gateways, too.
    pub(crate) front: bool,
    /// Settings of the gateways.
    pub(crate) settings: &'static [(&'static str, &'static str)],
}

const USUAL: Load = Load { members: 24, plain: 6, rooms: 4, rate: 60, pages: 6, ack: "mixed" };
/// One room, as fast as this machine stands it beside everything else, and its history asked all the time.
const ONE_FAST_ROOM: Load = Load { members: 6, plain: 1, rooms: 1, rate: 600, pages: 30, ack: "mixed" };
/// Few who hear it, so that it is the log that is fast.
const FLOOD: Load = Load { members: 3, plain: 0, rooms: 1, rate: 3000, pages: 1, ack: "mixed" };
const ALL_STORED: Load = Load { ack: "stored", ..USUAL };
const NOTHING: Needs = Needs { ring: false, second_haproxy: false, front: true, settings: &[] };
const RING: Needs = Needs { ring: true, ..NOTHING };
const NO_RATE: Needs = Needs { settings: &[("MOIM__LIMITS__MESSAGES_PER_SECOND", "100000")], ..NOTHING };
const SECOND_HAPROXY: Needs = Needs { second_haproxy: true, ..NOTHING };
/// What the store does not have yet must be in Redis all the same.
const SHORT_RING: Needs = Needs { settings: &[("MOIM__REDIS__RING_ROWS", "32")], ..NOTHING };
const SHORT_RING_NO_RATE: Needs = Needs {
    settings: &[("MOIM__REDIS__RING_ROWS", "32"), ("MOIM__LIMITS__MESSAGES_PER_SECOND", "100000")],
    ..NOTHING
};
const SHORT_IDLE: Needs = Needs { settings: &[("MOIM__REDIS__ROOM_IDLE_SECONDS", "3")], ..NOTHING };

/// A busy machine can take a while for anything, but not for as long as what is broken here would.
const NOW_LIVE: Must = LiveWithin(4);
const NOW_ACK: Must = AckWithin(4);
/// One recovery, or everybody who was on a node comes back.
const SOON_LIVE: Must = LiveWithin(15);
const SOON_ACK: Must = AckWithin(15);

/// Nobody notices.
const UNNOTICED: &[Must] = &[Stay, SameEpoch, WholePages, TellNothing, Answer, NOW_LIVE, NOW_ACK];
/// The probe finds it within 10 s, and then the hole must be filled.
const DEAF: &[Must] = &[Stay, SameEpoch, WholePages, TellNothing, Answer, LiveWithin(12), AckWithin(12)];
const GATEWAY_GONE: &[Must] = &[Break, SameEpoch, TellNothing, Answer, SOON_LIVE, SOON_ACK];
/// Whoever said something to a node that stands still waits for it.
const GATEWAY_STILL: &[Must] = &[Break, SameEpoch, TellNothing, LiveWithin(30)];
const REDIS_LOST: &[Must] = &[Stay, NewEpoch, TellNothing, Answer, SOON_LIVE, SOON_ACK];
/// Shorter than a gateway tries.
const REDIS_UNREACHED: &[Must] = &[Stay, SameEpoch, TellNothing, Answer, SOON_LIVE, SOON_ACK];
const REDIS_OUT_OF_REACH: &[Must] = &[Break, SameEpoch, TellNothing, Answer, Error("unavailable")];
/// Too many for a resume, or for a slow machine's outbox: it may be told.
const FLOODED: &[Must] = &[NewEpoch, Answer, SOON_LIVE, SOON_ACK];
const BARRIER: &[Must] = &[Stay, TellNothing, Answer, SOON_LIVE, SOON_ACK];
const CLOCKS: &[Must] = &[Break, NewEpoch, Answer, LiveWithin(30), AckWithin(30)];
const FULL: &[Must] = &[Stay, SameEpoch, TellNothing, Answer, Error("overloaded"), LiveWithin(30)];
const FULL_AND_BROKEN: &[Must] = &[Break, Answer, Error("overloaded")];
/// History says that it is incomplete, and who asks for `stored` is told; all else goes on.
const STORE_AWAY: &[Must] =
    &[Stay, SameEpoch, TellNothing, Answer, IncompletePages, Error("store_unavailable"), NOW_LIVE, NOW_ACK];
/// Nobody is acknowledged before it is back.
const STORE_AWAY_FOR_ALL: &[Must] =
    &[Stay, SameEpoch, TellNothing, Answer, IncompletePages, Error("store_unavailable"), NOW_LIVE];
const ONE_STORE_OF_THREE: &[Must] = &[Stay, SameEpoch, TellNothing, Answer, NOW_LIVE, NOW_ACK];
const BALANCER_GONE: &[Must] = &[Break, SameEpoch, WholePages, TellNothing, Answer, LiveWithin(20)];
/// A member finds out by itself within 12 s that nobody hears it.
const FRONT_GONE: &[Must] = &[Break, SameEpoch, WholePages, TellNothing, Answer, LiveWithin(30), SOON_ACK];
const FRONT_MUTE: &[Must] = &[Break, SameEpoch, TellNothing, SOON_ACK];
const FRONT_SLOW: &[Must] = &[SameEpoch, TellNothing, SOON_ACK];
const ONE_ROOM_GONE: &[Must] = &[Break, SameEpoch, WholePages, Answer, SOON_LIVE, SOON_ACK];
/// The ring has all that was said.
const STORE_AWAY_AND_SILENT: &[Must] = &[Stay, TellNothing, Answer, Error("store_unavailable")];
const ANYTHING: &[Must] = &[];

/// In the order of the promises' own table.
#[rustfmt::skip] // one line a fault reads as the table it is
pub(crate) const FAULTS: &[Named] = &[
    Named { name: "none", about: "nothing happens: what everything else is held against", load: USUAL, needs: NOTHING, must: UNNOTICED, make: acts::none },
    Named { name: "gateway-kill", about: "kill -9 of one gateway of three every 2 s, started again at once", load: USUAL, needs: NOTHING, must: GATEWAY_GONE, make: acts::gateway_kill },
    Named { name: "gateway-stall", about: "each gateway in turn stands still, sockets open: for 7 s, 14 s, 7 s. Others take its leases, and it goes on", load: USUAL, needs: NOTHING, must: GATEWAY_STILL, make: acts::gateway_stall },
    Named { name: "redis-kill", about: "kill -9 of Redis, started again with its AOF after 2 s", load: USUAL, needs: NOTHING, must: REDIS_LOST, make: acts::redis_kill },
    Named { name: "redis-wipe", about: "FLUSHALL", load: USUAL, needs: NOTHING, must: REDIS_LOST, make: acts::redis_wipe },
    Named { name: "redis-wipe-unread", about: "FLUSHALL while a gateway's answers and events are on their way to it", load: USUAL, needs: NOTHING, must: REDIS_LOST, make: acts::redis_wipe_unread },
    Named { name: "redis-wipe-unstored", about: "FLUSHALL while the store is a second behind", load: USUAL, needs: NOTHING, must: REDIS_LOST, make: acts::redis_wipe_unstored },
    Named { name: "pubsub-cut", about: "CLIENT KILL TYPE pubsub, five times", load: USUAL, needs: NOTHING, must: UNNOTICED, make: acts::pubsub_cut },
    Named { name: "pubsub-deaf", about: "one gateway's pub/sub socket stays open and brings nothing for 15 s", load: USUAL, needs: NOTHING, must: DEAF, make: acts::pubsub_deaf },
    Named { name: "redis-cut", about: "one gateway is cut off from Redis for 5 s", load: USUAL, needs: NOTHING, must: REDIS_UNREACHED, make: acts::redis_cut },
    Named { name: "redis-cut-long", about: "one gateway is cut off from Redis for 60 s: unready after 10 s, sockets moved after 30 s", load: USUAL, needs: NOTHING, must: REDIS_OUT_OF_REACH, make: acts::redis_cut_long },
    Named { name: "replica-failover", about: "a replica stops following, the master is killed, the replica is promoted and taken", load: USUAL, needs: NOTHING, must: REDIS_LOST, make: acts::replica_failover },
    Named { name: "replica-failover-alive", about: "the same data loss and promotion under connections that stay open", load: USUAL, needs: NOTHING, must: REDIS_LOST, make: acts::replica_failover_alive },
    Named { name: "replica-failover-far", about: "the same when the replica lags by more than 65,536 messages of one room", load: FLOOD, needs: NO_RATE, must: FLOODED, make: acts::replica_failover_far },
    Named { name: "replica-attach", about: "a first replica is attached, and leaves again", load: USUAL, needs: NOTHING, must: BARRIER, make: acts::replica_attach },
    Named { name: "clock-off", about: "gateways with clocks five minutes ahead and behind, then Redis too", load: USUAL, needs: NOTHING, must: CLOCKS, make: acts::clock_off },
    Named { name: "script-flush", about: "SCRIPT FLUSH ten times a second", load: USUAL, needs: NOTHING, must: UNNOTICED, make: acts::script_flush },
    Named { name: "redis-oom", about: "Redis has no memory for new keys for 10 s: `overloaded` to senders", load: USUAL, needs: NOTHING, must: FULL, make: acts::redis_oom },
    Named { name: "redis-oom-holder", about: "Redis has no memory, and every gateway is started again meanwhile: it drains and recovers", load: USUAL, needs: NOTHING, must: FULL_AND_BROKEN, make: acts::redis_oom_holder },
    Named { name: "cassandra-stop", about: "Cassandra stops, and starts again after 20 s (--full: ten minutes): live goes on", load: USUAL, needs: SHORT_RING, must: STORE_AWAY, make: acts::cassandra_stop },
    Named { name: "cassandra-stop-stored", about: "the same for 20 s (--full: twelve minutes) while every message asks for `stored` and is sent again until it is", load: ALL_STORED, needs: SHORT_RING_NO_RATE, must: STORE_AWAY_FOR_ALL, make: acts::cassandra_stop_stored },
    Named { name: "cassandra-slow", about: "every answer of Cassandra takes 5 s for 20 s: live goes on", load: USUAL, needs: SHORT_RING, must: STORE_AWAY, make: acts::cassandra_slow },
    Named { name: "cassandra-ring", about: "kill -9 of one Cassandra of three, started again after 20 s, then of the next, which stays away: live and acknowledgements go on, all is read at LOCAL_QUORUM", load: USUAL, needs: RING, must: ONE_STORE_OF_THREE, make: acts::cassandra_ring },
    Named { name: "haproxy-kill", about: "kill -9 of one load balancer of two", load: USUAL, needs: SECOND_HAPROXY, must: BALANCER_GONE, make: acts::haproxy_kill },
    Named { name: "front-cut", about: "connections between the balancer and one gateway break, and break again for 5 s while it counts as well; twice", load: USUAL, needs: NOTHING, must: FRONT_GONE, make: acts::front_cut },
    Named { name: "front-deaf", about: "what one gateway says to its members comes to nobody for 20 s, and late then; sockets stay open", load: USUAL, needs: NOTHING, must: FRONT_GONE, make: acts::front_deaf },
    Named { name: "front-mute", about: "what members say to one gateway comes to nobody for 45 s, pongs neither; sockets stay open", load: USUAL, needs: NOTHING, must: FRONT_MUTE, make: acts::front_mute },
    Named { name: "front-drip", about: "each member of one gateway gets 2,000 bytes a second for 20 s", load: USUAL, needs: NOTHING, must: FRONT_SLOW, make: acts::front_drip },
    Named { name: "rolling-restart", about: "each gateway in turn drains and starts again", load: USUAL, needs: NOTHING, must: GATEWAY_GONE, make: acts::rolling_restart },
    Named { name: "holder-kill", about: "each gateway in turn is killed while one room is fast and its history asked all the time", load: ONE_FAST_ROOM, needs: SHORT_RING_NO_RATE, must: ONE_ROOM_GONE, make: acts::holder_kill },
    Named { name: "store-away-idle", about: "the store is away, rooms fall silent past their time, the store is back but slow, and all speak", load: USUAL, needs: SHORT_IDLE, must: STORE_AWAY_AND_SILENT, make: acts::store_away_idle },
    Named { name: "random", about: "faults of this table drawn from the seed, each 10 s after the one before it, for --minutes", load: USUAL, needs: NOTHING, must: ANYTHING, make: random::schedule },
    Named { name: "together", about: "two to four faults at once, drawn from the seed, again and again for --minutes, while every message asks for `stored`", load: ALL_STORED, needs: NOTHING, must: ANYTHING, make: together::schedule },
];

/// The fault of that name.
pub(crate) fn named(name: &str) -> Result<&'static Named, Fault> {
    FAULTS.iter().find(|fault| fault.name == name).ok_or_else(|| {
        let names: Vec<_> = FAULTS.iter().map(|fault| fault.name).collect();
        Fault::new(format!("no fault is called {name}"), format!("`all`, or some of {}", names.join(", ")))
    })
}

/// The faults with what each does.
pub(crate) fn list() -> String {
    let width = FAULTS.iter().map(|fault| fault.name.len()).max().unwrap_or(0);
    FAULTS.iter().fold(String::new(), |mut text, fault| {
        writeln!(text, "{:width$}  {}", fault.name, fault.about).ok();
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_fault_has_a_name_of_its_own_and_is_found_by_it() {
        let names: BTreeSet<_> = FAULTS.iter().map(|fault| fault.name).collect();
        assert_eq!(names.len(), FAULTS.len());
        assert!(FAULTS.iter().all(|fault| named(fault.name).is_ok()));
        assert!(named("earthquake").err().unwrap().cure.contains("gateway-kill"));
    }
}
