//! Every server frame, byte for byte as the golden files that the JavaScript client is tested against have it.
//! Not here: what a client makes of them (`clients/js/test/frames.test.js`), WebSocket framing (`image`).

#![allow(clippy::unwrap_used, reason = "a test's helpers are tests, which clippy does not see")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use moim_protocol::{HeardFrame, ServerFrame, reference::for_each_frame};

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

/// What the server writes a client of our own understands, in each of its fields that this client has.
#[test]
fn every_golden_frame_is_heard() {
    for (name, golden) in fixtures() {
        let heard = HeardFrame::parse(&golden).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_ne!(heard, HeardFrame::Unknown, "{name}");
        assert_eq!(HeardFrame::parse(&heard.to_json()), Ok(heard), "{name}");
    }
    let message = HeardFrame::parse(&fixtures()["message"]).unwrap();
    let HeardFrame::Message(message) = message else { panic!("{message:?}") };
    assert_eq!((message.username.as_str(), message.content.as_str()), ("민수", "안녕하세요 👋"));
    assert_eq!((message.seq, message.prev, message.client_id.as_deref()), (42, Some(41), Some("c1")));
}
