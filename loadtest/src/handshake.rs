//! The opening handshake, in one fixed form: always the key of the RFC's example, whose answer is known.
//! Not here: the server's side of it in general (`moim-gateway`); the bare loop answers this one request only.

use std::net::SocketAddr;

use moim_protocol::Profile;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// What RFC 6455 says the answer to that key is.
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// An answer's head is a few hundred bytes.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// The request that enters a room.
pub(crate) fn request(host: SocketAddr, room: &str, username: &str, profile: Profile) -> String {
    request_of(host, &format!("/chat/{room}?username={username}"), profile)
}

/// The request that enters no room yet.
pub(crate) fn request_many(host: SocketAddr) -> String {
    request_of(host, "/ws", Profile::V1)
}

fn request_of(host: SocketAddr, path: &str, profile: Profile) -> String {
    let protocol = match profile {
        Profile::V1 => format!("Sec-WebSocket-Protocol: {}\r\n", Profile::V1_SUBPROTOCOL),
        Profile::Plain => String::new(),
    };
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{protocol}\r\n"
    )
}

/// How long the answer's head is; `None` when it is not all there; the answer itself when it is none we wait for.
pub(crate) fn answer_length(bytes: &[u8]) -> Result<Option<usize>, String> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return if bytes.len() > HEAD_BYTES_MAX { Err("a head without end".into()) } else { Ok(None) };
    };
    let head = String::from_utf8_lossy(&bytes[..end]);
    let accepted = head.lines().any(|line| {
        line.split_once(':').is_some_and(|(name, value)| {
            name.eq_ignore_ascii_case("sec-websocket-accept") && value.trim() == ACCEPT
        })
    });
    if head.starts_with("HTTP/1.1 101 ") && accepted {
        return Ok(Some(end + 4));
    }
    Err(String::from_utf8_lossy(&bytes[..bytes.len().min(400)]).into_owned())
}

/// What the bare loop answers.
pub(crate) fn bare_answer() -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_when_it_is_all_there() {
        let answer = bare_answer();
        let mut bytes = answer.clone().into_bytes();
        bytes.extend_from_slice(&[0x81, 0]);
        assert_eq!(answer_length(&bytes), Ok(Some(answer.len())));
        assert_eq!(answer_length(&bytes[..answer.len() - 1]), Ok(None));
    }

    #[test]
    fn a_refusal_and_a_wrong_accept_are_told() {
        let refused = b"HTTP/1.1 503 Service Unavailable\r\n\r\n";
        assert!(answer_length(refused).unwrap_err().contains("503"));
        let wrong = bare_answer().replace(ACCEPT, "AAAA");
        assert!(answer_length(wrong.as_bytes()).is_err());
        assert!(answer_length(&[b'x'; HEAD_BYTES_MAX + 1]).is_err());
    }
}
