//! Several gateways, real Redis, real Cassandra: what a cluster promises, seen from its sockets and its tables.
//! Not here: one node (the other files beside this folder), the same under faults (`cargo xtask drill`).

#![allow(clippy::unwrap_used, reason = "a test's helpers are tests, which clippy does not see")]

#[path = "../harness/mod.rs"]
mod harness;

mod article;
mod cost;
mod crowd;
mod door;
mod fresh;
mod nodes;
mod order;
mod rooms;
mod series;
mod store_away;
mod tries;
