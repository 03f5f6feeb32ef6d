//! Every server frame, byte for byte as the golden files that the JavaScript client is tested against have it.
//! Not here: what a client makes of them (`clients/js/test/frames.test.js`), WebSocket framing (`image`).

#![allow(clippy::unwrap_used, reason = "a test's helpers are tests, which clippy does not see")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::Arc,
};

use moim_protocol::{
    AckFrame, AckLevel, ClientId, Epoch, ErrorCode, ErrorFrame, GapFrame, HistoryFrame, JoinedFrame,
    Language, Message, MessageId, PageFrame, PresenceChange, RoomId, Seq, ServerFrame, Timestamp, UserName,
};

/// Kinds of frames; each has one file at least.
const KINDS: usize = 11;

fn kind_of(frame: &ServerFrame<'_>) -> usize {
    match frame {
        ServerFrame::Message(_) => 0,
        ServerFrame::System { .. } => 1,
        ServerFrame::History(_) => 2,
        ServerFrame::Typing { .. } => 3,
        ServerFrame::Error(_) => 4,
        ServerFrame::Joined(_) => 5,
        ServerFrame::Ack(_) => 6,
        ServerFrame::Page(_) => 7,
        ServerFrame::Gap(_) => 8,
        ServerFrame::Reconnect { .. } => 9,
        // A new kind: give it a number here, count it in `KINDS`, and write its file.
        ServerFrame::Pong => 10,
    }
}

fn fixtures() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../clients/js/fixtures/frames");
    let files = fs::read_dir(&folder).unwrap_or_else(|fault| panic!("{}: {fault}", folder.display()));
    let read = |file: fs::DirEntry| {
        let name = file.file_name().into_string().unwrap();
        let text = fs::read_to_string(file.path()).unwrap();
        let line = text.strip_suffix('\n').unwrap_or(&text).to_owned();
        (name.strip_suffix(".json").unwrap_or(&name).to_owned(), line)
    };
    files.map(|file| read(file.unwrap())).collect()
}

fn at(rfc_3339: &str) -> Timestamp {
    Timestamp::from_system(humantime::parse_rfc3339(rfc_3339).unwrap())
}

fn message(seq: u64, username: &str, content: &str, time: &str) -> Message {
    Message {
        room: RoomId::trusted("general"),
        seq: Seq(seq),
        prev: Some(Seq(seq - 1)),
        epoch: Epoch::trusted("5f3a9c1e"),
        id: MessageId::trusted(format!("5f3a9c1e-{seq}")),
        client_id: Some(ClientId::trusted(format!("a{seq}"))),
        username: UserName::trusted(username),
        content: content.into(),
        time: at(time),
    }
}

fn live() -> Message {
    let client_id = Some(ClientId::trusted("c1"));
    Message { client_id, ..message(42, "민수", "안녕하세요 👋", "2026-11-23T06:15:45.123Z") }
}

fn right_after_a_jump() -> Message {
    Message {
        prev: None,
        epoch: Epoch::trusted("71b20d44"),
        id: MessageId::trusted("71b20d44-4294967339"),
        client_id: Some(ClientId::trusted("c2")),
        ..message((1 << 32) + 43, "민수", "줄을\n바꿉니다", "2026-11-23T06:15:46.000Z")
    }
}

/// Calls `each` with every golden frame and its file's name.
fn for_each_frame(mut each: impl FnMut(&str, &ServerFrame<'_>)) {
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
    let (one, two) = (
        message(1, "민수", "하나", "2026-11-23T06:15:44.000Z"),
        message(2, "Jane", "two", "2026-11-23T06:15:45.000Z"),
    );
    let messages = [Arc::new(one), Arc::new(two)];
    let on_join = HistoryFrame { room, messages: &messages, complete: true };
    each("history_on_join", &ServerFrame::History(on_join));
    let old = [Arc::new(message(21, "민수", "옛 이야기", "2026-11-23T06:15:40.000Z"))];
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
    let time = at("2026-11-23T06:15:45.123Z");
    let system = |change, count| ServerFrame::System { room, change, username, count, user_count: 3, time };
    each("system_join", &system(PresenceChange::Join, 1));
    each("system_leave_merged", &system(PresenceChange::Leave, 25));
    each("typing", &ServerFrame::Typing { room, username, is_typing: true });
}

#[test]
fn every_golden_frame_is_what_we_write() {
    let fixtures = fixtures();
    for_each_frame(|name, frame| {
        let Some(golden) = fixtures.get(name) else { return };
        assert_eq!(str::from_utf8(&frame.encode().json()).unwrap(), golden, "{name}.json");
    });
}

#[test]
fn every_file_has_its_frame_and_every_frame_its_file() {
    let files: BTreeSet<String> = fixtures().into_keys().collect();
    let (mut built, mut kinds) = (BTreeSet::new(), BTreeSet::new());
    for_each_frame(|name, frame| {
        assert!(built.insert(name.to_owned()), "{name} is built twice");
        kinds.insert(kind_of(frame));
    });
    assert_eq!(
        files.difference(&built).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "files that nothing builds"
    );
    assert_eq!(built.difference(&files).collect::<Vec<_>>(), Vec::<&String>::new(), "frames without a file");
    assert_eq!(kinds.len(), KINDS, "kinds of frames without a file");
}
