//! How messages, signals and counts are written in Redis and on its channels: text heads and counted bytes, so that a script can
//! put the numbers in front of what a gateway wrote. Names hold no control characters, so lines are safe for them.
//! Not here: how they look to clients (`moim-protocol`).

use std::{sync::Arc, time::Duration};

use moim_bus::{ANSWER_KEPT, Draft, Here};
use moim_protocol::{
    ClientId, Epoch, MemberKey, Message, MessageId, NodeId, Notice, PresenceChange, RoomId, Seq, Timestamp,
    Typing, UserName,
};

use crate::tail::{LogId, RECENT_KEPT};

/// A draft as the publish script takes it: `id client-id-bytes|- sender-bytes`, a line's end, then the three texts.
pub(crate) fn body(draft: &Draft) -> Vec<u8> {
    encode_body(&draft.id, draft.client_id.as_ref(), &draft.sender, &draft.content)
}

fn encode_body(id: &MessageId, client_id: Option<&ClientId>, sender: &UserName, content: &str) -> Vec<u8> {
    let client_bytes = client_id.map_or_else(|| "-".into(), |id| id.as_str().len().to_string());
    let client_id = client_id.map_or("", ClientId::as_str);
    let sender = sender.as_str();
    format!("{id} {client_bytes} {}\n{client_id}{sender}{content}", sender.len()).into_bytes()
}

/// A message as it stands in ring and log: `seq prev|- time epoch`, a line's end, the body.
pub(crate) fn encode(message: &Message) -> Vec<u8> {
    let Message { seq, prev, epoch, time, .. } = message;
    let prev = seq_text(*prev);
    let mut event = format!("{seq} {prev} {} {epoch}\n", time.micros).into_bytes();
    event.extend(encode_body(&message.id, message.client_id.as_ref(), &message.username, &message.content));
    event
}

/// Reads it back; `None` when it is not one.
pub(crate) fn decode(room: &RoomId, event: &[u8]) -> Option<Arc<Message>> {
    let event = std::str::from_utf8(event).ok()?;
    let (head, body) = event.split_once('\n')?;
    let (numbers, texts) = body.split_once('\n')?;
    let mut head = head.split(' ');
    let mut numbers = numbers.split(' ');
    let seq = Seq(head.next()?.parse().ok()?);
    let prev = seq_or_unknown(head.next()?)?;
    let time = Timestamp { micros: head.next()?.parse().ok()? };
    let epoch = Epoch::trusted(head.next()?);
    let id = MessageId::trusted(numbers.next()?);
    let client_bytes = numbers.next()?;
    let sender_bytes: usize = numbers.next()?.parse().ok()?;
    let (client_id, texts) = match client_bytes {
        "-" => (None, texts),
        bytes => {
            let (client_id, texts) = texts.split_at_checked(bytes.parse().ok()?)?;
            (Some(ClientId::trusted(client_id)), texts)
        }
    };
    let (username, content) = texts.split_at_checked(sender_bytes)?;
    let (room, username, content) = (room.clone(), UserName::trusted(username), content.into());
    Some(Arc::new(Message { room, seq, prev, epoch, id, client_id, username, content, time }))
}

/// The generation that a room's epoch is of: a room that started by the clock has an epoch of its own within it
/// (`lua/seed.lua`).
pub(crate) fn generation_of(epoch: &Epoch) -> Epoch {
    match epoch.as_str().split_once('.') {
        Some((generation, _)) => Epoch::trusted(generation),
        None => epoch.clone(),
    }
}

/// A number, or `-` where it is unknown.
pub(crate) fn seq_text(seq: Option<Seq>) -> String {
    seq.map_or_else(|| "-".into(), |seq| seq.to_string())
}

/// Of a message's content, as an answer holds it.
pub(crate) fn hash_text(hash: u64) -> String {
    format!("{hash:016x}")
}

/// The answer to a send that is stored, or will be when the log is stored up to its place. Nobody asks any more what was before
/// it. The others are written by the scripts.
pub(crate) fn later_answer(
    place: LogId,
    seq: Seq,
    epoch: &Epoch,
    time: Timestamp,
    hash: u64,
    id: &MessageId,
) -> String {
    format!("{place} {seq} {epoch} {} {} - {id}", time.micros, hash_text(hash))
}

/// How long the answer to a send is kept: a client may send again for ten minutes, this node does for one.
pub(crate) fn answer_kept(client_id: Option<&ClientId>) -> Duration {
    if client_id.is_some() { ANSWER_KEPT } else { RECENT_KEPT }
}

/// The outer option: whether it could be read.
pub(crate) fn seq_or_unknown(text: &str) -> Option<Option<Seq>> {
    if text == "-" { Some(None) } else { text.parse().ok().map(|seq| Some(Seq(seq))) }
}

/// The counted events of one publish, without its first letter.
pub(crate) fn split_counted(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut events = Vec::new();
    while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
        let count = std::str::from_utf8(&bytes[..end]).ok().and_then(|count| count.parse::<usize>().ok());
        let Some((event, rest)) = count.and_then(|count| bytes[end + 1..].split_at_checked(count)) else {
            break;
        };
        events.push(event);
        bytes = rest;
    }
    events
}

/// `Tnode connection 0|1`, a line's end, the name.
pub(crate) fn encode_typing(typing: &Typing) -> String {
    let Typing { username, is_typing, from } = typing;
    format!("T{:x} {} {}\n{username}", from.node.0, from.connection, u8::from(*is_typing))
}

/// Without its first letter.
pub(crate) fn decode_typing(text: &str) -> Option<Typing> {
    let (head, username) = text.split_once('\n')?;
    let mut head = head.split(' ');
    let from = member(head.next()?, head.next()?)?;
    Some(Typing { username: UserName::trusted(username), is_typing: head.next()? == "1", from })
}

fn member(node: &str, connection: &str) -> Option<MemberKey> {
    let node = NodeId(u64::from_str_radix(node, 16).ok()?);
    Some(MemberKey { node, connection: connection.parse().ok()? })
}

/// Who is in a room on a node, as the hash keeps it: the count and the names, a line each.
pub(crate) fn encode_here(here: &Here) -> String {
    let mut text = here.count.to_string();
    for name in &here.names {
        text.push('\n');
        text.push_str(name.as_str());
    }
    text
}

/// Reads it back.
pub(crate) fn decode_here(text: &str) -> Option<Here> {
    let mut lines = text.split('\n');
    let count = lines.next()?.parse().ok()?;
    Some(Here { count, names: lines.map(UserName::trusted).collect() })
}

/// What a node tells of a room: who is there, and who came or went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PresenceEvent {
    pub(crate) node: NodeId,
    pub(crate) here: Here,
    pub(crate) notices: Vec<Notice>,
}

/// `node names notices`, the names, then for each notice `J|L count node|- connection` and a name. The script puts the time in
/// front.
pub(crate) fn encode_presence(event: &PresenceEvent) -> String {
    let PresenceEvent { node, here, notices } = event;
    let mut text = format!("{:x} {} {}\n{}", node.0, here.names.len(), notices.len(), encode_here(here));
    for notice in notices {
        let change = if notice.change == PresenceChange::Join { 'J' } else { 'L' };
        let except =
            notice.except.map_or_else(|| "- 0".into(), |key| format!("{:x} {}", key.node.0, key.connection));
        text.push_str(&format!("\n{change} {} {except}\n{}", notice.count, notice.username));
    }
    text
}

/// With the script's time in front, without the first letter.
pub(crate) fn decode_presence(text: &str) -> Option<(Timestamp, PresenceEvent)> {
    let mut lines = text.split('\n');
    let mut head = lines.next()?.split(' ');
    let time = Timestamp { micros: head.next()?.parse().ok()? };
    let node = NodeId(u64::from_str_radix(head.next()?, 16).ok()?);
    let (names, notices): (usize, usize) = (head.next()?.parse().ok()?, head.next()?.parse().ok()?);
    let count = lines.next()?.parse().ok()?;
    let names = lines.by_ref().take(names).map(UserName::trusted).collect();
    let notices = (0..notices).map(|_| decode_notice(lines.next()?, lines.next()?));
    let notices = notices.collect::<Option<_>>()?;
    Some((time, PresenceEvent { node, here: Here { count, names }, notices }))
}

fn decode_notice(head: &str, username: &str) -> Option<Notice> {
    let mut head = head.split(' ');
    let change = match head.next()? {
        "J" => PresenceChange::Join,
        _ => PresenceChange::Leave,
    };
    let count = head.next()?.parse().ok()?;
    let (node, connection) = (head.next()?, head.next()?);
    let except = if node == "-" { None } else { Some(member(node, connection)?) };
    Some(Notice { change, username: UserName::trusted(username), count, except })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(client_id: Option<&str>, content: &str) -> Message {
        Message {
            room: RoomId::trusted("방"),
            seq: Seq(42),
            prev: Some(Seq(41)),
            epoch: Epoch::trusted("e"),
            id: MessageId::trusted("id"),
            client_id: client_id.map(ClientId::trusted),
            username: UserName::trusted("민 수"),
            content: content.into(),
            time: Timestamp { micros: 1_700_000_000_000_001 },
        }
    }

    #[test]
    fn messages_are_read_as_written() {
        let all = [
            message(None, ""),
            message(Some("c 1"), "a\nb 12\n"),
            Message { prev: None, ..message(Some("-"), "말") },
        ];
        for message in all {
            assert_eq!(*decode(&message.room, &encode(&message)).unwrap(), message);
        }
    }

    #[test]
    fn what_is_cut_is_no_message() {
        let event = encode(&message(Some("c"), "말"));
        let room = RoomId::trusted("방");
        // The content is what is left, so only a cut before it shows.
        let content_at = event.len() - "말".len();
        for end in 0..content_at {
            assert!(decode(&room, &event[..end]).is_none(), "{end}");
        }
    }

    #[test]
    fn counted_events_are_split() {
        assert_eq!(split_counted(b"1\na3\n\nbc0\n"), [b"a" as &[u8], b"\nbc", b""]);
        assert!(split_counted(b"9\nshort").is_empty());
    }

    #[test]
    fn signals_are_read_as_written() {
        let from = MemberKey { node: NodeId(u64::MAX), connection: 7 };
        let typing = Typing { username: UserName::trusted("민수"), is_typing: true, from };
        assert_eq!(decode_typing(&encode_typing(&typing)[1..]), Some(typing));
        let names = vec![UserName::trusted("민 수"), UserName::trusted("7 2")];
        let notice = |change, except| Notice { change, username: names[0].clone(), count: 2, except };
        let notices = vec![notice(PresenceChange::Join, Some(from)), notice(PresenceChange::Leave, None)];
        for (names, notices) in [(names.clone(), notices), (Vec::new(), Vec::new())] {
            let here = Here { count: 9, names };
            assert_eq!(decode_here(&encode_here(&here)), Some(here.clone()));
            let event = PresenceEvent { node: from.node, here, notices };
            let text = format!("5 {}", encode_presence(&event));
            assert_eq!(decode_presence(&text), Some((Timestamp { micros: 5 }, event)));
        }
    }
}
