//! One example of every frame: what the reference shows, and what the golden files of the clients hold.
//! Not here: the reference's words (`reference`).

use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use crate::{
    AckFrame, AckLevel, ClientFrame, ClientId, Epoch, ErrorCode, ErrorFrame, GapFrame, HistoryFrame,
    JoinedFrame, Language, Message, MessageId, PageFrame, PresenceChange, RoomId, Seq, ServerFrame,
    Timestamp, UserName,
};

/// Seconds of 2026-11-23T06:15:00Z.
const MINUTE: u64 = 1_795_414_500;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_system(UNIX_EPOCH + Duration::from_millis(MINUTE * 1000 + millis))
}

fn message(seq: u64, username: &str, content: &str, millis: u64) -> Message {
    Message {
        room: RoomId::trusted("general"),
        seq: Seq(seq),
        prev: Some(Seq(seq - 1)),
        epoch: Epoch::trusted("5f3a9c1e"),
        id: MessageId::trusted(format!("5f3a9c1e-{seq}")),
        client_id: Some(ClientId::trusted(format!("a{seq}"))),
        username: UserName::trusted(username),
        content: content.into(),
        time: at(millis),
    }
}

fn live() -> Message {
    let client_id = Some(ClientId::trusted("c1"));
    Message { client_id, ..message(42, "민수", "안녕하세요 👋", 45_123) }
}

fn right_after_a_jump() -> Message {
    Message {
        prev: None,
        epoch: Epoch::trusted("71b20d44"),
        id: MessageId::trusted("71b20d44-4294967339"),
        client_id: Some(ClientId::trusted("c2")),
        ..message((1 << 32) + 43, "민수", "줄을\n바꿉니다", 46_000)
    }
}

/// Calls `each` with every server frame and the name of its golden file.
pub fn for_each_frame(mut each: impl FnMut(&str, &ServerFrame<'_>)) {
    let (room, epoch, username) =
        (&RoomId::trusted("general"), &Epoch::trusted("5f3a9c1e"), &UserName::trusted("민수"));
    let ack = |level| ServerFrame::Ack(AckFrame { room, client_id: "c1", seq: Seq(42), epoch, level });
    each("ack_stored", &ack(AckLevel::Stored));
    each("ack_wal", &ack(AckLevel::Wal));

    let bad_frame = ErrorFrame {
        code: ErrorCode::BadFrame,
        language: Language::Korean,
        room: None,
        client_id: None,
        retry_after_ms: None,
    };
    each("error_bad_frame", &ServerFrame::Error(bad_frame));
    let rate_limited = ErrorFrame {
        code: ErrorCode::RateLimited,
        language: Language::Korean,
        room: Some("general"),
        client_id: Some("c1"),
        retry_after_ms: Some(500),
    };
    each("error_rate_limited", &ServerFrame::Error(rate_limited));

    each("gap", &ServerFrame::Gap(GapFrame { room, epoch, from: Seq(44), to: Seq(51) }));
    let (one, two) = (message(1, "민수", "하나", 44_000), message(2, "Jane", "two", 45_000));
    let messages = [Arc::new(one), Arc::new(two)];
    let on_join = HistoryFrame { room, messages: &messages, complete: true };
    each("history_on_join", &ServerFrame::History(on_join));
    let old = [Arc::new(message(21, "민수", "옛 이야기", 40_000))];
    let page = |messages, complete, retry_after_ms| {
        let before = Some(Seq(22));
        ServerFrame::Page(PageFrame { room, before, limit: 50, messages, complete, retry_after_ms })
    };
    each("history_page", &page(&old, true, None));
    each("history_incomplete", &page(&[], false, Some(2000)));

    let joined = JoinedFrame { room, epoch, seq: Seq(41), user_count: 3, recovered: true };
    each("joined", &ServerFrame::Joined(joined));
    each("message", &ServerFrame::Message(&live()));
    each("message_without_prev", &ServerFrame::Message(&right_after_a_jump()));
    each("pong", &ServerFrame::Pong);
    each("reconnect", &ServerFrame::Reconnect { after_ms: 1234, reason: "drain" });
    let time = at(45_123);
    let system = |change, count| ServerFrame::System { room, change, username, count, user_count: 3, time };
    each("system_join", &system(PresenceChange::Join, 1));
    each("system_leave_merged", &system(PresenceChange::Leave, 25));
    each("typing", &ServerFrame::Typing { room, username, is_typing: true });
}

/// Every frame that a client may send.
#[must_use]
pub fn client_frames() -> Vec<ClientFrame> {
    let (room, epoch) = (Some("general".to_owned()), Some("5f3a9c1e".to_owned()));
    vec![
        ClientFrame::Message {
            room: None, content: "안녕하세요 👋".into(), client_id: None, ack: None
        },
        ClientFrame::Message {
            room: room.clone(),
            content: "안녕하세요 👋".into(),
            client_id: Some("c1".into()),
            ack: Some(AckLevel::Stored),
        },
        ClientFrame::Typing { room: None, is_typing: true },
        ClientFrame::Join { room: room.clone(), username: Some("민수".into()), since: Some(41), epoch },
        ClientFrame::Leave { room: room.clone() },
        ClientFrame::History { room, before: Some(22), limit: Some(50) },
        ClientFrame::Ping,
    ]
}
