//! The protocol's reference page, made from the tables and types that the server itself uses.
//! Not here: the tables (`error_code`, `close`, `limits`), the frames (`server_frame`, `client_frame`).

mod examples;

use std::{collections::BTreeMap, fmt::Write};

pub use examples::{client_frames, for_each_frame};

use crate::{ClientFrame, CloseReason, ErrorCode, limits};

/// What a frame of the server is for. `examples` are names of golden files.
struct Row {
    name: &'static str,
    profile: &'static str,
    about: &'static str,
    examples: &'static [&'static str],
}

const SERVER_FRAMES: &[Row] = &[
    Row {
        name: "joined",
        profile: "v1",
        about: "The first frame after a join. `seq` is the head of the room's log: the last number used, or the new base right after \
                a jump. With `since`, `recovered` says whether everything after it follows; without, it is `true`. Then come, with \
                `since` and `recovered: true`, the missed `message` frames, each once, in order; otherwise one `history`.",
        examples: &["joined"],
    },
    Row {
        name: "history",
        profile: "both",
        about: "On a join without a cursor (or one that was not recovered): the last messages, oldest first. In the plain profile only \
                if the room has any. In v1 it may be empty, and it ends at `joined.seq`: live messages start above it.",
        examples: &["history_on_join"],
    },
    Row {
        name: "message",
        profile: "both",
        about: "Somebody said something; the sender hears it too. `seq` rises by exactly one for each message of a room within an \
                `epoch`; `prev` is the number before, over a jump too, and absent where it is unknown: a hole always shows. \
                A number that was given to nobody, because Redis died over it, is no hole: the next `prev` passes over it. \
                `clientId` is what the sender called it.",
        examples: &["message", "message_without_prev"],
    },
    Row {
        name: "system",
        profile: "both",
        about: "Somebody came (everyone but them hears it) or went. `userCount` is the number of connections in the room, over the \
                whole cluster, after it. In a burst notices are merged: `count` is how many this one tells of, `username` the first.",
        examples: &["system_join", "system_leave_merged"],
    },
    Row {
        name: "typing",
        profile: "both",
        about: "Somebody types, or stopped. Everyone but them hears it. It is not in the log, and may be dropped.",
        examples: &["typing"],
    },
    Row {
        name: "error",
        profile: "both",
        about: "A request was refused; the connection stays open unless a close follows. `code` is stable (see the table of errors); \
                `message` is for people, in Korean or English by `Accept-Language`. `clientId` names the send it is about, \
                `retryAfterMs` when trying again may help.",
        examples: &["error_bad_frame", "error_rate_limited"],
    },
    Row {
        name: "ack",
        profile: "v1",
        about: "The message with that `clientId` has that durability: `wal`, in the log of the bus; `stored`, in the store. The \
                sender's own `message` may come before or after it.",
        examples: &["ack_stored", "ack_wal"],
    },
    Row {
        name: "history, as an answer",
        profile: "v1",
        about: "The page that was asked for, `before` and `limit` echoed. `complete: false` says that the store could not be asked; ask \
                again after `retryAfterMs`. A complete page shorter than `limit` is the beginning of the room.",
        examples: &["history_page", "history_incomplete"],
    },
    Row {
        name: "gap",
        profile: "v1",
        about: "The messages `from` to `to`, both included, were dropped for this reader, who was too slow; they can be read as history. \
                It comes before the next message.",
        examples: &["gap"],
    },
    Row {
        name: "reconnect",
        profile: "v1",
        about: "This node is about to stop: come back after so many milliseconds, elsewhere. Close 1012 follows.",
        examples: &["reconnect"],
    },
    Row { name: "pong", profile: "v1", about: "The answer to `ping`.", examples: &["pong"] },
];

const HEAD: &str = r#"# Protocol

<!-- Made by `cargo xtask docs` from the tables and types of crates/moim-protocol; edit those. -->

One protocol, two profiles, one JSON. Fields are camelCase, text is UTF-8, each frame is one WebSocket text message with one object.
Both sides ignore fields they do not know, and the server ignores a `type` it does not know.

| | plain | v1 |
|---|---|---|
| chosen by | no subprotocol | subprotocol `moim.v1` |
| one room | `GET /chat/{room}?username={name}` | the same, with `&since={seq}&epoch={epoch}` to resume |
| many rooms | - | `GET /ws`, then `join` and `leave` |
| for | any WebSocket client, no library | clients that must lose nothing |

An empty room means `general`, no name means `익명`; both are percent-decoded UTF-8. Every frame about a room carries `room`; from the
client it may be left out on `/chat/{room}`.

**Heartbeat.** The server pings every 30 s and closes a connection whose pong does not come within 10 s. WebSocket libraries answer by
themselves; a v1 client that cannot see pings sends `ping`.

**Which pages may connect.** A browser names the page's origin: that of the server itself and pages on loopback are let in, others must be
in `auth.allowed_origins`. A page opened from a file has the origin `null`: to try one, start moim with
`MOIM__AUTH__ALLOWED_ORIGINS=null`, and only there, because sandboxed frames of any site have it too; better serve the file
(`python3 -m http.server`). Programs send no origin and are let in.

**Resuming (v1).** Keep the `seq` and `epoch` of the last message seen. After a break connect with both: what was missed comes, each once,
in order. Treat `epoch` and `id` as opaque. (room, seq) is never used twice, and a new epoch goes on above the old one.

**Sending without loss (v1).** Give each message a `clientId` of your own (1 to 64 characters). No `ack`, or a break: send it again with the
same `clientId`; it stays one message, for 10 minutes from the last try (60 seconds over a loss of Redis's data), per room and sender.
"#;

const HTTP: &str = r#"
## HTTP

The same log, the same cursor. Errors are `{"error":{"code","message","retryAfterMs?"}}` with the status of the table above.

| request | answer |
|---|---|
| `GET /api/v1/rooms/{room}/messages` | the newest messages: `{"room","epoch","head","messages":[…],"complete":true}`, oldest first |
| `…?before={seq}` or `?after={seq}`, `&limit=1…100` | a page beside that number, which is not in it; both together is an error |
| `…?after={seq}&wait={seconds}` | the same, held until a message comes, or answered empty (long polling) |
| `POST /api/v1/rooms/{room}/messages` `{"content":"…","username":"…"}` | 201 `{"room","seq","id","epoch","level","timestamp"}`; the header `Idempotency-Key` is the `clientId`; `"ack"` as in the frame |
| `GET /api/v1/rooms/{room}` | `{"room","epoch","seq","userCount"}`, and `members` of a small room |
| `GET`, `POST /api/messages` | the same as history and send, in room `general` unless `?room=` |
"#;

/// The page, as Markdown.
#[must_use]
pub fn markdown() -> String {
    let mut page = String::from(HEAD);
    client_part(&mut page);
    server_part(&mut page);
    errors(&mut page);
    closes(&mut page);
    page.push_str(HTTP);
    bounds(&mut page);
    page
}

// Writing to a String cannot fail.
macro_rules! put {
    ($page:expr, $($words:tt)*) => { writeln!($page, $($words)*).ok(); };
}

fn about_client(frame: &ClientFrame) -> (&'static str, &'static str) {
    match frame {
        ClientFrame::Message { client_id: None, .. } => {
            ("both", "Say something. A missing `type` means this; a missing `content` is empty.")
        }
        ClientFrame::Message { .. } => (
            "v1",
            "The same, idempotent and acknowledged. `ack` (`wal` or `stored`) says which durability to wait for; without it the server's \
             setting holds. The same `clientId` with other content is `client_id_reused`.",
        ),
        ClientFrame::Typing { .. } => ("both", "Somebody types here, or stopped."),
        ClientFrame::Join { .. } => (
            "v1, `/ws`",
            "Enter a room; with `since` and `epoch` go on from there. Answered with `joined`, or an `error` with the room.",
        ),
        ClientFrame::Leave { .. } => ("v1, `/ws`", "Leave a room."),
        ClientFrame::History { .. } => {
            ("v1", "A page of older messages; without `before` the newest. `limit` is 1 to 100.")
        }
        ClientFrame::Ping => ("v1", "Answered with `pong`."),
        ClientFrame::Unknown => ("", ""),
    }
}

fn client_part(page: &mut String) {
    page.push_str("\n## From the client\n\n| profile | what | example |\n|---|---|---|\n");
    for frame in client_frames() {
        let (profile, about) = about_client(&frame);
        put!(page, "| {profile} | {about} | `{}` |", frame.encode());
    }
}

fn server_part(page: &mut String) {
    let mut examples = BTreeMap::new();
    for_each_frame(|name, frame| {
        let json = String::from_utf8_lossy(&frame.encode().json()).into_owned();
        examples.insert(name.to_owned(), json);
    });
    page.push_str(
        "\n## From the server\n\nThe plain profile has the five types marked \"both\" and no others.\n",
    );
    for row in SERVER_FRAMES {
        put!(page, "\n### {} ({})\n\n{}\n\n```json", row.name, row.profile, row.about);
        for name in row.examples {
            put!(page, "{}", examples.get(*name).map_or("", String::as_str));
        }
        page.push_str("```\n");
    }
}

fn errors(page: &mut String) {
    page.push_str("\n## Errors\n\nThe same codes in `error` frames and in HTTP answers.\n\n");
    page.push_str("| code | status | when | what to do |\n|---|---|---|---|\n");
    for code in ErrorCode::ALL {
        let row = code.row();
        put!(page, "| `{}` | {} | {} | {} |", row.code, row.status, row.cause, row.cure);
    }
}

fn closes(page: &mut String) {
    page.push_str("\n## Close codes\n\nComing back means after a random pause (zero to a bound that doubles up to 30 s), ");
    page.push_str("or when `reconnect` said.\n\n| code | reason | when | come back |\n|---|---|---|---|\n");
    for reason in CloseReason::ALL {
        let row = reason.row();
        let back = if row.reconnect { "yes" } else { "no" };
        put!(page, "| {} | {} | {} | {back} |", row.code, row.text, row.meaning.trim());
    }
}

fn bounds(page: &mut String) {
    page.push_str("\n## Bounds of the protocol\n\nThe others can be set: [configuration.md](configuration.md), section `limits`.\n\n");
    page.push_str("| what | bound |\n|---|---|\n");
    put!(page, "| messages told on a join | {} |", limits::HISTORY_ON_JOIN);
    put!(
        page,
        "| messages of a page, and without `limit` | {}, {} |",
        limits::PAGE_LIMIT_MAX,
        limits::PAGE_LIMIT_DEFAULT
    );
    put!(page, "| characters of a `clientId` | {} |", limits::CLIENT_ID_CHARS_MAX);
    put!(page, "| seconds of a long poll | {} |", limits::POLL_WAIT_SECONDS_MAX);
    put!(
        page,
        "| joins, or leaves, a second of one room that are told one by one | {} |",
        limits::NOTICES_PER_SECOND
    );
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{ClientFrame, SERVER_FRAMES, client_frames, for_each_frame, markdown};

    #[test]
    fn every_example_is_shown_once() {
        let mut built = BTreeSet::new();
        for_each_frame(|name, _| assert!(built.insert(name.to_owned())));
        let shown: Vec<_> =
            SERVER_FRAMES.iter().flat_map(|row| row.examples).map(ToString::to_string).collect();
        assert_eq!(shown.len(), built.len());
        assert_eq!(shown.into_iter().collect::<BTreeSet<_>>(), built);
    }

    #[test]
    fn what_a_client_is_told_to_send_is_understood() {
        for frame in client_frames() {
            assert_eq!(ClientFrame::parse(frame.encode().as_bytes()).as_ref(), Ok(&frame));
            assert!(markdown().contains(&frame.encode()));
        }
    }
}
