//! Every error a client can be told: one table, with the stable code, the HTTP status, the words, the cause and the cure.
//! Not here: how an error frame or answer looks (`server_frame`, `http`), close codes (`close`).

use crate::Language;

/// One row of the table.
#[derive(Debug)]
pub struct ErrorRow {
    /// The stable word on the wire.
    pub code: &'static str,
    /// The status of the HTTP answer that carries it.
    pub status: u16,
    /// What a Korean reader sees.
    pub korean: &'static str,
    /// What any other reader sees.
    pub english: &'static str,
    /// When it happens, for the documentation.
    pub cause: &'static str,
    /// What the client does about it, for the documentation.
    pub cure: &'static str,
}

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident => $code:literal, $status:literal, $ko:literal, $en:literal, $cause:literal, $cure:literal;)*) => {
        /// What went wrong, as a client can tell it apart.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $($(#[$doc])* #[doc = $cause] $name,)* }

        impl ErrorCode {
            /// All of them, in the table's order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its row of the table.
            #[must_use]
            pub fn row(self) -> &'static ErrorRow {
                match self {
                    $(Self::$name => &ErrorRow {
                        code: $code, status: $status, korean: $ko, english: $en, cause: $cause, cure: $cure,
                    },)*
                }
            }
        }
    };
}

error_codes! {
    BadFrame => "bad_frame", 400, "잘못된 메시지 형식입니다.", "The message is not in a valid format.",
        "The frame or body is not a JSON object, or a field has the wrong type.", "Fix the client; sending it again changes nothing.";
    RoomInvalid => "room_invalid", 400, "방 이름이 올바르지 않습니다.", "The room name is not valid.",
        "The room name is too long, not UTF-8, or has a control character.", "Choose another room name.";
    RoomMissing => "room_missing", 400, "방을 지정해 주세요.", "The frame names no room.",
        "A frame on `/ws` that is about a room has no `room`.", "Name the room in the frame.";
    UsernameInvalid => "username_invalid", 400, "이름이 올바르지 않습니다.", "The user name is not valid.",
        "The user name is too long, not UTF-8, or has a control character.", "Choose another name.";
    ClientIdInvalid => "client_id_invalid", 400, "clientId가 올바르지 않습니다.", "The clientId is not valid.",
        "`clientId` or `Idempotency-Key` is empty, longer than 64 characters, or has a control character.", "Make a new id, for example a UUID.";
    ClientIdReused => "client_id_reused", 409, "같은 clientId가 다른 내용에 이미 쓰였습니다.", "The clientId was already used for other content.",
        "The same sender used this `clientId` in this room for other content.", "Make a new id for new content.";
    CursorInvalid => "cursor_invalid", 400, "커서가 올바르지 않습니다.", "The cursor is not valid.",
        "`since`, `before` or `after` is not an integer below 2^53, or two are given together.", "Use the `seq` of a message you have, and only one cursor.";
    LimitInvalid => "limit_invalid", 400, "limit은 1에서 100 사이여야 합니다.", "The limit must be from 1 to 100.",
        "`limit` is not an integer from 1 to 100.", "Ask for 1 to 100 messages.";
    WaitInvalid => "wait_invalid", 400, "wait는 0에서 60 사이의 초이고 after가 필요합니다.", "The wait must be 0 to 60 seconds and needs `after`.",
        "`wait` is not an integer from 0 to 60, or comes without `after`.", "Ask for at most 60 seconds, with `after`.";
    NotJoined => "not_joined", 409, "먼저 방에 들어가야 합니다.", "You are not in that room.",
        "A frame on `/ws` names a room that the connection has not joined.", "Send a `join` first and wait for `joined`.";
    AlreadyJoined => "already_joined", 409, "이미 그 방에 있습니다.", "You are already in that room.",
        "A second `join` for a room the connection is in.", "Send a `leave` first.";
    TooManyRooms => "too_many_rooms", 409, "한 연결로 들어갈 수 있는 방이 다 찼습니다.", "This connection is in as many rooms as it may be.",
        "The connection is in `limits.rooms_per_connection_max` rooms.", "Leave a room, or open another connection.";
    RateLimited => "rate_limited", 429, "너무 빠릅니다. 잠시 후 다시 보내 주세요.", "Too fast. Send it again in a moment.",
        "The connection sent more than `limits.messages_per_second` frames in a second.", "Wait `retryAfterMs`, then send it again with the same `clientId`.";
    MessageTooLarge => "message_too_large", 413, "메시지가 너무 큽니다.", "The message is too large.",
        "The body is larger than `limits.message_bytes_max`.", "Send less at once.";
    Overloaded => "overloaded", 503, "서버가 바쁩니다. 잠시 후 다시 보내 주세요.", "The server is overloaded. Send it again in a moment.",
        "A queue or the log is at its bound.", "Wait `retryAfterMs`, then send it again with the same `clientId`.";
    Unavailable => "unavailable", 503, "서버가 지금 메시지를 받을 수 없습니다.", "The server cannot take messages right now.",
        "The log cannot be reached; whether the message was taken may be unknown.", "Wait `retryAfterMs`, then send it again with the same `clientId`.";
    StoreUnavailable => "store_unavailable", 503, "저장소를 지금 쓸 수 없습니다.", "The message store is away right now.",
        "`stored` was asked for while the store is away. The message is in the log.", "Send it again with the same `clientId` after `retryAfterMs`: it gets its ack and is not doubled.";
    MessageRefused => "message_refused", 422, "저장할 수 없는 메시지라서 버려졌습니다.", "The message cannot be stored, and was dropped.",
        "The store refuses this message for good, for example for its size. Nothing of it is kept but its number.", "Change the content, and send it with a new `clientId`.";
    ServerFull => "server_full", 503, "서버의 연결이 모두 찼습니다.", "The server has as many connections as it may have.",
        "The node holds `limits.connections_max` connections.", "Come back after `Retry-After` seconds; with several nodes another one answers.";
    AddressFull => "address_full", 429, "이 주소의 연결이 모두 찼습니다.", "Your address has as many connections as it may have.",
        "The address holds `limits.connections_per_address_max` connections.", "Close some, or ask the operator to name your proxy in `listen.trusted_proxies`.";
    Draining => "draining", 503, "서버가 곧 다시 시작됩니다.", "The server is about to restart.",
        "The node is draining.", "Come back after `Retry-After` seconds.";
    OriginRefused => "origin_refused", 403, "허용되지 않은 웹 페이지에서 온 연결입니다.", "Connections from that web page are not allowed.",
        "The `Origin` of the page is neither this server nor in `auth.allowed_origins`.", "Ask the operator to name the page's origin in `auth.allowed_origins`.";
    HostRefused => "host_refused", 403, "이 이름으로는 서버를 쓸 수 없습니다.", "This server does not answer to that host name.",
        "A server on loopback was asked under a foreign host name while `auth.mode` was not set.", "Use `localhost`, or set `auth.mode = \"anonymous\"` if everyone who reaches the server may chat.";
    HandshakeInvalid => "handshake_invalid", 400, "올바른 WebSocket 연결 요청이 아닙니다.", "That is not a valid WebSocket handshake.",
        "`Upgrade`, `Connection`, `Sec-WebSocket-Version` or `Sec-WebSocket-Key` is missing or wrong.", "Connect with a WebSocket client (RFC 6455, version 13).";
    NotFound => "not_found", 404, "그런 주소가 없습니다.", "There is nothing at that address.",
        "No route has that path.", "See the protocol reference for the paths.";
    MethodNotAllowed => "method_not_allowed", 405, "그 주소에는 쓸 수 없는 메서드입니다.", "That address does not take this method.",
        "The path exists, with other methods.", "See the protocol reference for the methods.";
    Internal => "internal", 500, "서버 오류입니다.", "Something went wrong on our side.",
        "A fault of the server; its log says more.", "Send it again with the same `clientId`; tell the operator if it stays.";
}

impl ErrorCode {
    /// The stable word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.row().code
    }

    /// The sentence for a reader of that language.
    #[must_use]
    pub fn message(self, language: Language) -> &'static str {
        match language {
            Language::Korean => self.row().korean,
            Language::English => self.row().english,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_every_row_is_filled() {
        let mut codes: Vec<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), ErrorCode::ALL.len());
        for code in ErrorCode::ALL {
            let row = code.row();
            assert!((400..600).contains(&row.status), "{row:?}");
            for text in [row.korean, row.english, row.cause, row.cure] {
                assert!(text.len() > 5, "{row:?}");
            }
        }
    }

    #[test]
    fn the_articles_error_text_is_exact() {
        assert_eq!(ErrorCode::BadFrame.message(Language::Korean), "잘못된 메시지 형식입니다.");
    }
}
