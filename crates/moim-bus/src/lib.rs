//! The promise of a bus: one log per room, who relays it, who is where. And the bus inside one process.
//! Not here: the bus over Redis (its own crate), what members see of it (`moim-core`), the store (`moim-store`).

#[cfg(feature = "conformance")]
pub mod conformance;
mod give_back;
mod in_process;
mod relay;

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use moim_protocol::{
    AckLevel, ClientId, Epoch, Message, MessageId, NodeId, Notice, Position, RoomId, Seq, Timestamp, Typing,
    UserName,
};

pub use give_back::GiveBack;
pub use in_process::{
    ANSWERS_MAX, Clock, InProcessBus, InProcessConfig, InProcessDriver, LOG_BYTES_MAX, LOG_ROWS_MAX,
    Numbering, ROOMS_MAX, SEED_DRAFTS_MAX,
};
pub use moim_protocol::{HERE_NAMES_MAX, Here};
pub use relay::{RELAY_QUEUE_MAX, RelaySink, Relayed};
use tokio::sync::mpsc;

/// Gives every room one log, and carries its events to the nodes that subscribed to it.
///
/// How the bus over Redis will meet each sentence stands in `crates/README.md`, "The bus over Redis".
pub trait Bus: Send + Sync + 'static {
    /// This node, random for each boot.
    fn node(&self) -> NodeId;

    /// Takes a message into its room's log and answers when it has the durability asked for.
    ///
    /// Calls for one room are numbered in the order they were made on this node, whether their futures are polled or not
    /// (`conformance::numbers_follow_call_order`); numbers rise by exactly one within an epoch and are never used twice
    /// (`conformance::numbers_are_gapless`, `conformance::numbers_go_on_after_a_kill`). The same (room, sender, client id)
    /// with the same content within ten minutes is the same message with the same receipt, after a restart too
    /// (`conformance::same_client_id_is_one_message`, `conformance::same_client_id_after_a_restart_is_one_message`); with
    /// other content it is [`BusError::ClientIdReused`] (`conformance::other_content_is_client_id_reused`). A receipt that
    /// says `stored` is of a row that the store has (`conformance::stored_is_in_the_store`).
    ///
    /// # Errors
    /// After an error other than `ClientIdReused` the message may or may not be in the log. The same client id again is
    /// safe (`conformance::same_client_id_after_a_dropped_answer_is_one_message`).
    ///
    /// # Cancel safety
    /// The message is in the bus's hands when the call returns; dropping the future only drops the answer.
    fn publish(&self, draft: Draft) -> BoxFuture<'static, Result<Receipt, BusError>>;

    /// Tells members everywhere that somebody types, on nodes that subscribed to the room
    /// (`conformance::signals_reach_subscribers_only`). At most once, in no order with messages; dropped under load.
    fn typing(&self, room: &RoomId, typing: Typing);

    /// From now on these are in the room on this node; `notice` is what members everywhere are told.
    /// Counts are absolute, so a lost one is repaired by the next (`conformance::counts_are_absolute`). A notice is told at
    /// most once; it may be lost with the connection to the bus.
    fn presence(&self, room: &RoomId, here: Here, notice: Option<Notice>);

    /// Asks for the room's events on the sink given at start. When it answers `Ok`, every message whose number is above
    /// a head read after that is relayed (`conformance::subscribed_before_read_is_gapless`): in order, each at least once, but
    /// NOT reliably: what is lost shows as a `prev` that is not the last number seen, and is read with [`Bus::ring`] and
    /// from the store. Without a fault nothing is lost (`conformance::relay_keeps_the_order_of_each_room`).
    ///
    /// # Errors
    /// After an error there is no subscription, unless there was one before the call.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the subscription in place; `unsubscribe` ends it.
    fn subscribe<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<(), BusError>>;

    /// Ends it. Events already on their way may still come, no others (`conformance::unsubscribed_rooms_are_silent`).
    fn unsubscribe(&self, room: &RoomId);

    /// The room's head, read after the call was made, and its newest messages, at most `rows_max`, that the bus still
    /// holds (`conformance::ring_is_fresh`, `conformance::ring_gives_the_newest_rows_asked_for`). Ring and store together,
    /// read in this order, are always the whole room: what the ring no longer holds is in the store
    /// (`conformance::ring_and_store_are_the_whole_room`).
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    fn ring<'a>(&'a self, room: &'a RoomId, rows_max: usize) -> BoxFuture<'a, Result<Ring, BusError>>;

    /// Messages below a number that are not in the store yet, contiguous, oldest first, the last one being the nearest; empty
    /// when there are none: then they are in the store.
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    fn older<'a>(
        &'a self,
        room: &'a RoomId,
        below: Seq,
        rows_max: usize,
    ) -> BoxFuture<'a, Result<Vec<Arc<Message>>, BusError>>;

    /// Who is in the room over all live nodes (`conformance::counts_are_absolute`).
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    fn who<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<Here, BusError>>;

    /// Whether the bus takes publishes now: part of readiness.
    fn health(&self) -> BusHealth;

    /// Takes no more publishes. What was taken goes on to the store
    /// (`conformance::closed_takes_no_more_and_drains_the_rest`).
    fn close(&self);

    /// After [`Bus::close`]: answers when everything this node took is in the store, and the node has said that it goes. In
    /// one process, the end of the log says so, and this answers at once.
    ///
    /// # Cancel safety
    /// Safe: it may be called again.
    fn flushed(&self) -> BoxFuture<'_, ()>;
}

/// The write-ahead log as its writer sees it. One reader at a time per partition.
pub trait WriteAhead: Send + Sync + 'static {
    /// The oldest messages that are not committed, in log order; waits until there is one. `None` when the bus is closed
    /// and nothing is left. The same messages come again until they are committed
    /// (`conformance::read_gives_the_same_until_committed`). At least one message, then no more than `rows_max` and
    /// `bytes_max` (`conformance::read_is_bounded`).
    ///
    /// # Cancel safety
    /// Safe: nothing is taken out.
    fn read(&self, rows_max: usize, bytes_max: usize) -> BoxFuture<'_, Option<Vec<Arc<Message>>>>;

    /// These messages, the first ones of the log, are done: they leave the log, their senders get `stored`. But for those
    /// whose numbers are in `dead`, which the store refuses for good: their senders get [`BusError::Refused`]
    /// (`conformance::a_dead_letter_is_refused`).
    ///
    /// # Cancel safety
    /// Dropping the future may leave the first ones committed and the others not; those come again. The last one that was
    /// committed may not be relayed.
    fn commit<'a>(
        &'a self,
        first: &'a [Arc<Message>],
        dead: &'a [(RoomId, Seq)],
    ) -> BoxFuture<'a, Result<(), BusError>>;

    /// Whether what was read last may still be written. A process that stood still may have lost the log meanwhile, and the log
    /// what was read from it: written then, a message that was sent again under another number would be stored twice. Asked
    /// right before a write; cheap.
    fn is_current(&self) -> bool;

    /// What the writer last saw of the store. Whoever publishes goes by it: while it is away, `auto` is `wal` and an
    /// explicit `stored` is [`BusError::StoreUnavailable`]. Cheap; may be called after every write.
    fn report(&self, store: StoreState);
}

/// The logs that this node drains, as it comes to drain them: a bus over a network moves partitions between nodes. A log
/// whose `read` answered `None` is gone; it may come again as another. The channel ends with the bus.
pub type Logs = mpsc::Receiver<Arc<dyn WriteAhead>>;

/// Whether the store takes what it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreState {
    /// The last write succeeded.
    Here,
    /// The last write failed, and is being tried again.
    Away,
}

/// Where a bus reads a room it holds nothing of.
pub trait SeedSource: Send + Sync + 'static {
    /// The room as the store knows it.
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    fn seed(&self, room: RoomId) -> BoxFuture<'static, Result<Seed, SeedError>>;

    /// The generation last recorded for a partition; `None`: it never had one.
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    fn generation(&self, partition: u32) -> BoxFuture<'static, Result<Option<Epoch>, SeedError>>;

    /// Records a partition's generation for good.
    ///
    /// # Cancel safety
    /// Dropping the future may or may not record it.
    fn set_generation(&self, partition: u32, epoch: Epoch) -> BoxFuture<'static, Result<(), SeedError>>;
}

/// The store could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot ask the store: {0}")]
pub struct SeedError(pub String);

/// What the store knows of a room.
#[derive(Debug, Clone, Default)]
pub struct Seed {
    /// The newest rows, oldest first; empty for a room that was never stored.
    pub newest: Vec<Arc<Message>>,
    /// Rows with a client id of the last ten minutes, for duplicates that come after a restart.
    pub answers: Vec<SeedAnswer>,
}

/// A send that was answered, or would have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeedAnswer {
    /// Who sent it.
    pub sender: UserName,
    /// What they called it.
    pub client_id: ClientId,
    /// [`content_hash`] of what they wrote.
    pub content_hash: u64,
    /// What they were, or would have been, told.
    pub receipt: Receipt,
}

impl SeedAnswer {
    /// What a stored row was answered with; `None`: its sender gave it no name.
    #[must_use]
    pub fn of(row: &Message) -> Option<Self> {
        Some(Self {
            sender: row.username.clone(),
            client_id: row.client_id.clone()?,
            content_hash: content_hash(&row.content),
            receipt: Receipt {
                position: row.position(),
                id: row.id.clone(),
                time: row.time,
                level: AckLevel::Stored,
            },
        })
    }
}

/// How long the same client id stays the same message, from its last try.
pub const ANSWER_KEPT: Duration = Duration::from_secs(600);

/// Tells contents of one client id apart, the same in every build of every node. Not for anything that an attacker gains by
/// a collision: it is the attacker's own content on both sides.
#[must_use]
pub fn content_hash(content: &str) -> u64 {
    stable_hash(content.as_bytes())
}

/// For what all nodes of a cluster must agree on, whatever they were built with: FNV-1a, 64 bits (RFC 9923), then the
/// finalizer of MurmurHash3 (Appleby), without which similar names fall into few partitions.
#[must_use]
pub fn stable_hash(bytes: &[u8]) -> u64 {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

/// A message before it has a number.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The room.
    pub room: RoomId,
    /// Its public name, chosen by the gateway; the first of a duplicate's stays.
    pub id: MessageId,
    /// The sender's name for it.
    pub client_id: Option<ClientId>,
    /// Who sends it.
    pub sender: UserName,
    /// What they say.
    pub content: Arc<str>,
    /// The durability to wait for; `None`: the deployment's.
    pub level: Option<AckLevel>,
}

/// What a publish is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Where it stands.
    pub position: Position,
    /// Its public name.
    pub id: MessageId,
    /// When the bus took it.
    pub time: Timestamp,
    /// The durability it has.
    pub level: AckLevel,
}

/// The newest part of a room's log.
#[derive(Debug, Clone)]
pub struct Ring {
    /// The last number used, or the new base right after a jump.
    pub head: Position,
    /// The number of the last message at or below the head: zero when there was none, `None` when unknown. Unknown beside rows:
    /// see [`Ring::end_is_unknown`].
    pub last: Option<Seq>,
    /// Everything at or below this is in the store; what is above it may be only here ([`Bus::older`]).
    pub stored: Seq,
    /// As long as it is the same, nothing at or below `stored` has come to the store that a page read earlier can miss.
    pub version: u64,
    /// Between these numbers, both among them, messages came when later ones were there already, and they are not in the store
    /// yet: no `prev` leads to them, so a page across them is not complete. Nothing that is asked for later is without them.
    pub late: Option<(Seq, Seq)>,
    /// The newest messages, contiguous, oldest first, the last one being the head's.
    pub rows: Vec<Arc<Message>>,
}

impl Ring {
    /// Whether more may have been said than its rows and its head show: the bus may have lost the end, and the store, which alone
    /// can say, was asked a moment ago and did not.
    #[must_use]
    pub fn end_is_unknown(&self) -> bool {
        self.last.is_none() && !self.rows.is_empty()
    }
}

/// Whether the bus takes publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BusHealth {
    /// It does.
    Open,
    /// It has reached none of its servers for that long, or heard nothing from any: short cuts are ridden out, after ten
    /// seconds the node is not ready, after thirty its sockets are better off elsewhere. Zero: some of them are away, or not
    /// ready, which is no better on another node.
    CutOff(Duration),
    /// It must not be used: the servers, or this node's configuration, are not what they must be.
    Unfit(String),
    /// It was closed.
    Closed,
}

/// Why a bus did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BusError {
    /// The sender used this client id for other content.
    #[error("the client id was used for other content")]
    ClientIdReused,
    /// A queue or the log is at its bound.
    #[error("the {0} is full")]
    Overloaded(&'static str),
    /// The bus cannot be reached or is closed; the outcome may be unknown.
    #[error("the bus is unavailable: {0}")]
    Unavailable(String),
    /// It is in the log, but `stored` was asked for and the store is away; when it may be back.
    #[error("the store is away")]
    StoreUnavailable(Duration),
    /// It was in the log, and the store refuses it for good: it is nowhere now.
    #[error("the store refuses this message")]
    Refused,
}

impl BusError {
    /// When trying again may help; `None`: never.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::ClientIdReused | Self::Refused => None,
            Self::Overloaded(_) => Some(Duration::from_millis(1000)),
            Self::Unavailable(_) => Some(Duration::from_millis(1000)),
            Self::StoreUnavailable(after) => Some(*after),
        }
    }
}
