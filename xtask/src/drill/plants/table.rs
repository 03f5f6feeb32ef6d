//! The table of plants: to add one, add its patch and a line here. Those of one crate stand together, so that little is built
//! between two of them.
//! Not here: how they are tried (`trial`).

use super::{CaughtBy, Plant, Test};

/// The bus over real Redis.
const fn redis(name: &'static str, says: &'static str) -> CaughtBy {
    CaughtBy::Test(Test { package: "moim-bus-redis", target: Some("redis"), name, says })
}

const fn unit(package: &'static str, name: &'static str, says: &'static str) -> CaughtBy {
    CaughtBy::Test(Test { package, target: None, name, says })
}

/// A moim that runs.
const fn moim(target: &'static str, name: &'static str, says: &'static str) -> CaughtBy {
    CaughtBy::Test(Test { package: "moim", target: Some(target), name, says })
}

const fn drill(fault: &'static str) -> CaughtBy {
    CaughtBy::Drill(fault)
}

#[rustfmt::skip] // one line a plant reads as the table it is
pub(crate) const PLANTS: &[Plant] = &[
    // Rooms.
    Plant { name: "join-forgets-what-came",      rule: "what is delivered while a joiner's page is read is kept for it",  caught_by: unit("moim-core", "room::tests::every_member_sees_one_gapless_sequence", "minimal failing input") },
    Plant { name: "resume-off-by-one",           rule: "a resume goes on with the message after the cursor",             caught_by: moim("resume", "what_was_missed_follows_and_then_what_is_new", "assertion `left == right` failed") },
    Plant { name: "outbox-unbounded",            rule: "a slow reader's outbox is bounded in bytes",                      caught_by: unit("moim-core", "outbox::tests::at_the_bound_a_v1_reader_is_told_what_it_misses", "assertion") },
    Plant { name: "delivery-skips",              rule: "every message is given to every member",                         caught_by: drill("none") },
    Plant { name: "no-hole-filling",             rule: "a hole is filled before anything is delivered on",               caught_by: drill("pubsub-cut") },
    // Pages and the writer.
    Plant { name: "store-before-ring",           rule: "a page reads the ring first, the store second",                  caught_by: unit("moim-gateway", "pages::tests::a_page_of_a_room_that_goes_on_is_whole", "assertion `left == right` failed") },
    Plant { name: "page-cache-without-version",  rule: "a row that comes late to the store empties the pages kept",      caught_by: unit("moim-gateway", "pages::tests::a_row_that_comes_to_the_store_late_is_not_missed_by_those_who_ask_then", "assertion `left == right` failed") },
    Plant { name: "unknown-end-claims-whole",    rule: "a page up to an end that Redis may have lost is not whole",      caught_by: unit("moim-gateway", "pages::tests::a_page_that_reaches_an_end_the_bus_may_have_lost_is_not_complete", "assertion `left == right` failed") },
    Plant { name: "dead-without-proof",          rule: "only a row is a dead letter whose stub the store takes",         caught_by: unit("moim-gateway", "writer::tests::a_store_that_refuses_everything_makes_no_dead_letters", "assertion") },
    Plant { name: "stale-batch-is-written",      rule: "what is another node's log by now is not written",             caught_by: unit("moim-gateway", "writer::tests::what_may_be_another_nodes_is_not_written_but_read_again", "the log was not this node's") },
    Plant { name: "commit-before-store",         rule: "the log is trimmed when the store has answered",                 caught_by: drill("cassandra-stop") },
    Plant { name: "short-page-claims-whole",     rule: "a page that could not be read to its end says so",               caught_by: drill("cassandra-stop") },
    // One node of the bus.
    Plant { name: "fence-not-awaited",           rule: "nothing is handed in before the fence has come",                 caught_by: unit("moim-bus-redis", "partition::tests::nothing_is_handed_in_before_calls_are_answered_and_the_fence_has_come", "the fence of another generation") },
    Plant { name: "calls-not-awaited",           rule: "nothing is handed in before calls are answered",                 caught_by: unit("moim-bus-redis", "partition::tests::nothing_is_handed_in_before_calls_are_answered_and_the_fence_has_come", "a call is under way") },
    Plant { name: "wal-on-one-leg",              rule: "`wal` stands on Redis and a node's memory",                    caught_by: unit("moim-bus-redis", "partition::tests::while_redis_recovers_nothing_is_wal", "on one leg") },
    Plant { name: "answers-have-run-out",        rule: "answers that Redis's clock has ended are handed in again",       caught_by: unit("moim-bus-redis", "partition::tests::what_redis_still_has_is_not_handed_in", "the answers may have run out") },
    Plant { name: "mark-of-any-generation",      rule: "a watermark of another generation means nothing",                caught_by: unit("moim-bus-redis", "partition::tests::a_mark_of_another_generation_means_nothing", "assertion") },
    Plant { name: "stored-before-watermark",     rule: "`stored` is said when the watermark has passed",                 caught_by: redis("suite_single::stored_is_in_the_store", "stored, but not in the store") },
    Plant { name: "counts-added-up",             rule: "counts are absolute and never increments",                       caught_by: redis("suite_single::counts_are_absolute", "are counted instead of") },
    Plant { name: "any-content-is-the-same",     rule: "a clientId with another content is refused",                     caught_by: redis("suite_single::other_content_is_client_id_reused", "ClientIdReused") },
    Plant { name: "hit-not-renewed",             rule: "a hit renews the answer",                                        caught_by: redis("scripts::a_hit_renews_the_answer", "a hit did not renew the answer") },
    Plant { name: "stored-goes-back",            rule: "what is stored stays stored",                                    caught_by: redis("scripts::what_is_stored_stays_stored", "what is stored stays stored") },
    Plant { name: "late-row-without-version",    rule: "a row below what is stored changes the room's version",          caught_by: redis("scripts::a_row_that_is_stored_late_changes_the_version", "nobody is told that a kept page has grown") },
    Plant { name: "seed-wins-always",            rule: "the first seed wins",                                            caught_by: redis("scripts::the_first_seed_wins", "a seed brought an old head back") },
    Plant { name: "seed-of-any-age",             rule: "an old seed is refused",                                         caught_by: redis("scripts::an_old_seed_is_refused", "the room may have been here meanwhile") },
    Plant { name: "strangers-are-forgotten",     rule: "who is read before their node is known is counted once it is",   caught_by: unit("moim-bus-redis", "presence::tests::who_is_read_before_their_node_is_known_is_counted_once_it_is", "assertion `left == right` failed") },
    Plant { name: "joiner-is-not-told",          rule: "who joined before the others were read is told of them",         caught_by: unit("moim-bus-redis", "presence::told::tests::who_came_before_the_news_is_told_of_it", "assertion `left == right` failed") },
    Plant { name: "silent-store-settles-a-doubt", rule: "a store that was silent is asked again of a head in doubt",     caught_by: redis("scripts::a_head_of_an_older_generation_is_asked_of_the_store_once", "a store that was silent once is never asked again") },
    Plant { name: "lost-release-is-held",        rule: "a lease of a log that is not drained is given up",               caught_by: redis("scripts::a_lease_of_one_who_does_not_drain_is_given_up", "it is kept for ever, and nobody drains") },
    Plant { name: "unknown-prev-stores",         rule: "a row with an unknown `prev` says nothing of what is stored",    caught_by: redis("scripts::a_row_that_does_not_say_after_what_stores_nothing", "what is handed in is not stored") },
    Plant { name: "leave-takes-others",          rule: "a node that goes ends no lease but its own",                     caught_by: redis("presence::who_has_left_does_not_come_back_by_a_heartbeat", "who goes takes nobody along") },
    // Generations.
    Plant { name: "merge-not-idempotent",        rule: "any node may go on with a merge",                                caught_by: redis("scripts::a_merge_that_was_left_half_way_is_finished", "each is in the log once") },
    Plant { name: "merged-rows-expire",          rule: "what is merged does not expire before it is stored",             caught_by: redis("scripts::merged_rows_stay_until_they_are_stored", "what is not stored does not expire") },
    Plant { name: "merged-rows-count-as-stored", rule: "what is handed in is not stored",                                caught_by: redis("scripts::merged_rows_stay_until_they_are_stored", "what was handed in is not stored") },
    Plant { name: "hand-in-at-any-time",         rule: "nothing is handed in once the merge has begun",                  caught_by: redis("scripts::nothing_is_handed_in_once_the_merge_has_begun", "it was taken, and nobody reads it") },
    Plant { name: "commit-in-any-generation",    rule: "a trim of another generation is refused",                        caught_by: redis("nodes::a_commit_of_a_generation_that_has_ended_is_refused", "what it counts on is gone") },
    Plant { name: "answers-not-handed-in",       rule: "the answers of the last minute are handed in",                   caught_by: redis("nodes::a_stored_message_that_is_sent_again_after_a_loss_is_the_same", "assertion `left == right` failed") },
    Plant { name: "dead-live-by-an-old-clock",   rule: "a lease ends, though Redis's clock be set back",               caught_by: redis("scripts::a_clock_that_is_set_back_brings_no_dead_node_back", "counts as alive") },
    Plant { name: "old-head-is-trusted",         rule: "the store is asked of a head of an older generation",          caught_by: redis("failover::what_only_the_store_knows_is_not_passed_over", "what is stored is passed over") },
    Plant { name: "no-jump",                     rule: "a new generation's numbers begin far above",                     caught_by: redis("failover::numbers_that_nobody_remembers_are_not_used_again", "left: Seq(21)") },
    Plant { name: "prev-by-counting",            rule: "`prev` is the message before, over a jump too",                  caught_by: redis("failover::a_lagging_replica_loses_nothing", "prev is not the row before") },
    Plant { name: "highest-not-raised",          rule: "a head is raised to the highest number seen",                    caught_by: redis("failover::what_follows_names_the_message_before_it_though_only_the_store_has_that", "prev is not the row before") },
    Plant { name: "nobody-is-waited-for",        rule: "a generation waits for every node seen alive",                   caught_by: redis("late::a_node_that_is_slow_is_waited_for", "it did not wait for who may know more") },
    Plant { name: "new-node-opens-alone",        rule: "who begins where others were waits for them to be heard",        caught_by: redis("late::a_node_that_begins_as_redis_loses_everything_waits_for_those_before_it", "it did not wait for who may know more") },
    Plant { name: "old-copy-names-nobody",       rule: "who begins on an old copy waits for all that it names",          caught_by: redis("late::a_node_that_begins_on_an_old_copy_waits_for_those_it_names", "it did not wait for who may know more") },
    Plant { name: "unknown-node-takes-part",     rule: "a node takes nothing before the others know it",                 caught_by: redis("late::a_node_that_has_just_come_is_waited_for", "a generation was opened without a node that may know more") },
    Plant { name: "ended-generation-is-acked",   rule: "an answer of a generation that has ended is no acknowledgement", caught_by: redis("uncertain::an_answer_of_a_generation_that_has_ended_is_no_acknowledgement", "acknowledged, and gone") },
    Plant { name: "late-rows-unannounced",       rule: "late rows are announced",                                        caught_by: redis("late::what_a_paused_node_knows_is_handed_in_late", "the rows are announced") },
    Plant { name: "late-row-with-another-number", rule: "a late row that has another number by now is dropped",          caught_by: redis("late::what_a_paused_node_knows_is_handed_in_late", "each once, but for the one that has another number by now") },
    Plant { name: "gap-closed-though-missed",    rule: "a hole stays named while somebody may know what was in it",      caught_by: redis("late::what_a_paused_node_alone_knows_is_not_passed_over", "a page would say that it is complete") },
    Plant { name: "no-del-first",                rule: "at maxmemory a lease is taken and the log drained",              caught_by: redis("pressure::a_full_redis_is_drained_by_a_new_lease_holder", "not in time: ") },
    // The same under load.
    Plant { name: "client-id-unscoped",          rule: "a clientId belongs to its sender",                               caught_by: drill("none") },
    Plant { name: "many-holders-trim-by-count",  rule: "a lease, and a commit that may come twice",                      caught_by: drill("none") },
    Plant { name: "ack-before-append",           rule: "nothing is acknowledged before it is in the log",                caught_by: drill("redis-kill") },
    Plant { name: "no-duplicate-check",          rule: "the same clientId is the same message",                          caught_by: drill("gateway-kill") },
    Plant { name: "dead-members-stay",           rule: "the members of a dead node are gone",                            caught_by: drill("gateway-kill") },
    Plant { name: "log-with-maxlen",             rule: "the log is never trimmed by its length",                         caught_by: drill("cassandra-stop") },
    Plant { name: "idle-while-unstored",         rule: "a room does not expire while it is not stored",                  caught_by: drill("store-away-idle") },
    Plant { name: "no-hand-in",                  rule: "what Redis has lost is handed in from the gateways' tails",      caught_by: drill("redis-wipe-unstored") },
    Plant { name: "ring-by-length",              rule: "the ring never drops what is not stored",                        caught_by: drill("holder-kill") },
    Plant { name: "no-generation-check",         rule: "a script reads the replication id itself",                       caught_by: drill("replica-failover-alive") },
];
