//! What is named how in Redis, and which partition a room is in. All keys of a partition share one hash tag, so that a script
//! touches one slot.
//! Not here: what stands under the names (`lua/`, `event`).

use moim_bus::stable_hash;
use moim_protocol::{ClientId, Message, MessageId, NodeId, RoomId, UserName};

/// Names under one prefix.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    prefix: String,
    partitions: u32,
}

impl Keys {
    pub(crate) fn new(prefix: &str, partitions: u32) -> Self {
        Self { prefix: prefix.into(), partitions }
    }

    pub(crate) fn partition_of(&self, room: &RoomId) -> u32 {
        (stable_hash(room.as_str().as_bytes()) % u64::from(self.partitions)) as u32
    }

    /// What the slot is made of.
    pub(crate) fn tag(&self, partition: u32) -> String {
        format!("{}:{partition}", self.prefix)
    }

    fn of(&self, partition: u32, rest: &str) -> String {
        format!("{{{}:{partition}}}{rest}", self.prefix)
    }

    fn of_room(&self, room: &RoomId, kind: &str) -> String {
        self.of(self.partition_of(room), &format!("{kind}{room}"))
    }

    pub(crate) fn generation(&self, partition: u32) -> String {
        self.of(partition, ":gen")
    }

    pub(crate) fn log(&self, partition: u32) -> String {
        self.of(partition, ":log")
    }

    pub(crate) fn mark(&self, partition: u32) -> String {
        self.of(partition, ":mark")
    }

    pub(crate) fn dead(&self, partition: u32) -> String {
        self.of(partition, ":dead")
    }

    pub(crate) fn lease(&self, partition: u32) -> String {
        self.of(partition, ":lease")
    }

    /// Never written: what a script deletes to be let in at maxmemory.
    pub(crate) fn absent(&self, partition: u32) -> String {
        self.of(partition, ":absent")
    }

    pub(crate) fn staged(&self, partition: u32) -> String {
        self.of(partition, ":staged")
    }

    /// Of one Redis, in the slot of one of its partitions.
    pub(crate) fn nodes(&self, partition: u32) -> String {
        self.of(partition, ":nodes")
    }

    pub(crate) fn config(&self, partition: u32) -> String {
        self.of(partition, ":config")
    }

    pub(crate) fn head(&self, room: &RoomId) -> String {
        self.of_room(room, ":h:")
    }

    pub(crate) fn ring(&self, room: &RoomId) -> String {
        self.of_room(room, ":r:")
    }

    pub(crate) fn presence(&self, room: &RoomId) -> String {
        self.of_room(room, ":n:")
    }

    /// The channel of a room's events.
    pub(crate) fn room_channel(&self, room: &RoomId) -> String {
        self.of_room(room, ":c:")
    }

    /// The channel of what concerns a whole partition.
    pub(crate) fn partition_channel(&self, partition: u32) -> String {
        self.of(partition, ":p")
    }

    /// The channel on which a node proves that it hears.
    pub(crate) fn probe_channel(&self, partition: u32, node: NodeId) -> String {
        self.of(partition, &format!(":probe:{:016x}", node.0))
    }

    /// Where the answer to a send is kept. A send without a client id is known by its message's id, in a space of its own.
    pub(crate) fn answer(
        &self,
        room: &RoomId,
        sender: &UserName,
        client_id: Option<&ClientId>,
        id: &MessageId,
    ) -> String {
        let (kind, name) = match client_id {
            Some(client_id) => ('a', client_id.as_str()),
            None => ('b', id.as_str()),
        };
        let (room_bytes, sender_bytes) = (room.as_str().len(), sender.as_str().len());
        self.of(self.partition_of(room), &format!(":{kind}:{room_bytes}:{sender_bytes}:{room}{sender}{name}"))
    }

    pub(crate) fn answer_of(&self, message: &Message) -> String {
        self.answer(&message.room, &message.username, message.client_id.as_ref(), &message.id)
    }

    /// What a channel is about.
    pub(crate) fn channel(&self, name: &str) -> Option<Channel> {
        let rest = name.strip_prefix('{')?.strip_prefix(&self.prefix)?.strip_prefix(':')?;
        let (partition, rest) = rest.split_once('}')?;
        if let Some(room) = rest.strip_prefix(":c:") {
            return Some(Channel::Room(RoomId::trusted(room)));
        }
        match rest {
            ":p" => partition.parse().ok().map(Channel::Partition),
            _ => rest.starts_with(":probe:").then_some(Channel::Probe),
        }
    }

    /// The room whose head has this key.
    pub(crate) fn room_of_head(&self, key: &str) -> Option<RoomId> {
        key.split_once("}:h:").map(|(_, room)| RoomId::trusted(room))
    }
}

/// What comes over a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Channel {
    /// Events of a room.
    Room(RoomId),
    /// Fences, watermarks and doorbells.
    Partition(u32),
    /// This node's own probes.
    Probe,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_known_by_their_names() {
        let keys = Keys::new("moim", 16);
        for name in ["방", "a}:h:b", "{x}", ":c:"] {
            let room = RoomId::trusted(name);
            assert_eq!(keys.channel(&keys.room_channel(&room)), Some(Channel::Room(room.clone())));
            assert_eq!(keys.room_of_head(&keys.head(&room)), Some(room));
        }
        assert_eq!(keys.channel(&keys.partition_channel(15)), Some(Channel::Partition(15)));
        assert_eq!(keys.channel(&keys.probe_channel(0, NodeId(7))), Some(Channel::Probe));
        assert_eq!(keys.channel("{other:1}:p"), None);
    }

    #[test]
    fn answers_of_different_sends_have_different_keys() {
        let keys = Keys::new("moim", 1);
        let key = |room: &str, sender: &str, client_id: Option<&str>, id: &str| {
            let client_id = client_id.map(ClientId::trusted);
            let (room, sender) = (RoomId::trusted(room), UserName::trusted(sender));
            keys.answer(&room, &sender, client_id.as_ref(), &MessageId::trusted(id))
        };
        let all = [
            key("r", "kim", Some("c"), "1"),
            key("r", "kimc", Some(""), "1"),
            key("rk", "im", Some("c"), "1"),
            key("r", "kim", None, "c"),
        ];
        assert_eq!(all.iter().collect::<std::collections::HashSet<_>>().len(), all.len());
        assert_eq!(all[0], key("r", "kim", Some("c"), "2"), "the id is chosen anew for each try");
    }

    #[test]
    fn rooms_spread_over_partitions() {
        let keys = Keys::new("moim", 16);
        let mut counts = [0; 16];
        for nth in 0..16_000 {
            counts[keys.partition_of(&RoomId::trusted(format!("room-{nth}"))) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (800..1200).contains(count)), "{counts:?}");
    }
}
