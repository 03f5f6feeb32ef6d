//! The suite that every [`Bus`] with its [`WriteAhead`] must pass: each case is one sentence of the traits.
//! Not here: what only one implementation promises (bounds, when an event is relayed, faults: beside that implementation).
//!
//! The writer that drains the log, and the store behind it, are the suite's own ([`Rows`]). It takes whatever is in the
//! log, so each case needs a log of its own: a server, or a part of one, that no other case uses. The rows panic when a
//! number is used for two messages.

mod duplicates;
mod log;
mod node;
mod numbers;
mod relay;
mod rows;

use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::future::BoxFuture;
use moim_protocol::{ClientId, MemberKey, MessageId, NodeId, RoomId, Typing, UserName};
use tokio::{sync::mpsc, time::timeout};

pub use self::{duplicates::*, log::*, node::Node, numbers::*, relay::*, rows::Rows};
use crate::{Bus, Draft, Relayed, WriteAhead};

/// One node's bus, as the suite drives it.
pub struct Subject {
    /// The bus.
    pub bus: Arc<dyn Bus>,
    /// Its logs, one for each partition that this node drains; the suite has one writer for each. Empty: the bus has no
    /// store behind it, and cases about the log hold by themselves.
    pub logs: Vec<Arc<dyn WriteAhead>>,
    /// What it relays.
    pub relayed: Vec<mpsc::Receiver<Relayed>>,
    /// What it does beside its callers; the suite spawns it.
    pub driver: BoxFuture<'static, ()>,
    /// What must live as long as the bus: connections, a server.
    pub keep: Box<dyn Any + Send>,
}

/// Makes a `#[tokio::test]` of every case. The argument is an expression, evaluated once a case and free to await, that
/// gives an `AsyncFn(Arc<Rows>) -> Subject`: a node that reads rooms it does not know from these rows. A case calls it
/// again for a restart: the second node finds what the first left in the case's servers, and is never there together with
/// it.
/// `moim_bus::bus_suite!(in_process);`, `moim_bus::bus_suite!(over_redis().await);`
#[macro_export]
macro_rules! bus_suite {
    ($start:expr) => {
        $crate::bus_suite! { @cases $start;
            numbers_follow_call_order
            numbers_are_gapless
            numbers_go_on_after_a_restart
            numbers_go_on_after_a_kill
            fields_are_those_of_the_draft
            a_mebibyte_is_a_message
            rooms_do_not_mix
            a_thousand_rooms_at_once
            same_client_id_is_one_message
            same_client_id_at_once_is_one_message
            same_client_id_while_the_store_is_stuck_is_one_message
            same_client_id_after_the_message_left_the_ring_is_one_message
            same_client_id_after_a_restart_is_one_message
            same_client_id_after_a_dropped_answer_is_one_message
            same_client_id_of_others_is_another_message
            other_content_is_client_id_reused
            subscribed_before_read_is_gapless
            relay_keeps_the_order_of_each_room
            unsubscribed_rooms_are_silent
            signals_reach_subscribers_only
            counts_are_absolute
            ring_is_fresh
            ring_and_store_are_the_whole_room
            ring_gives_the_newest_rows_asked_for
            ring_of_a_new_room_is_empty
            stored_is_in_the_store
            a_dead_letter_is_refused
            read_gives_the_same_until_committed
            read_is_bounded
            closed_takes_no_more_and_drains_the_rest
        }
    };
    (@cases $start:expr; $($case:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let start = $start;
                $crate::conformance::$case(&start).await;
            }
        )*
    };
}

/// The longest a healthy bus may take for anything: long, because other suites run beside this one.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long nothing must come when nothing may.
const SILENCE: Duration = Duration::from_millis(300);

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match timeout(PATIENCE, future).await {
        Ok(result) => result,
        Err(_) => panic!("no {what} in {PATIENCE:?}"),
    }
}

/// A number that no other call gives, in this run or in another on the same servers.
fn unused() -> u64 {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let since_boot = u64::try_from(now.as_micros()).unwrap_or_default();
    since_boot.wrapping_add(CALLS.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// A fresh room.
#[must_use]
pub fn room(name: &str) -> RoomId {
    RoomId::trusted(format!("{name}-{:016x}", unused()))
}

/// A draft without a client id.
#[must_use]
pub fn draft(room: &RoomId, content: &str) -> Draft {
    Draft {
        room: room.clone(),
        id: MessageId::trusted(format!("{:016x}", unused())),
        client_id: None,
        sender: UserName::trusted("민수"),
        content: content.into(),
        level: None,
    }
}

/// A draft with a client id.
#[must_use]
pub fn draft_as(room: &RoomId, sender: &str, client_id: &str, content: &str) -> Draft {
    Draft {
        client_id: Some(ClientId::trusted(client_id)),
        sender: UserName::trusted(sender),
        ..draft(room, content)
    }
}

/// Somebody types; the number tells one from another.
#[must_use]
pub fn typing(connection: u64) -> Typing {
    let from = MemberKey { node: NodeId(7), connection };
    Typing { username: UserName::trusted("민수"), is_typing: true, from }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_macro_runs_every_case() {
        let (macro_text, _) = include_str!("conformance.rs").split_once("const PATIENCE").unwrap();
        let sources = [
            include_str!("conformance/duplicates.rs"),
            include_str!("conformance/log.rs"),
            include_str!("conformance/numbers.rs"),
            include_str!("conformance/relay.rs"),
        ];
        let mut found = 0;
        for case in sources.iter().flat_map(|source| source.split("\npub async fn ").skip(1)) {
            let (case, _) = case.split_once('(').unwrap();
            assert!(macro_text.contains(&format!(" {case}\n")), "bus_suite! does not run {case}");
            found += 1;
        }
        assert!(found >= 30, "the search above finds no cases any more: {found}");
    }

    #[test]
    fn every_case_that_the_traits_name_is_run() {
        let (macro_text, _) = include_str!("conformance.rs").split_once("const PATIENCE").unwrap();
        let named: Vec<_> = include_str!("lib.rs").split("`conformance::").skip(1).collect();
        assert!(named.len() >= 10, "the search above finds no names any more");
        for case in named {
            let (case, _) = case.split_once('`').unwrap();
            assert!(macro_text.contains(&format!(" {case}\n")), "lib.rs names {case}, which is no case");
        }
    }
}
