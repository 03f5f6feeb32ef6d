//! Where the server is, as people write it, and the addresses a client asks there.
//! Not here: connecting (`link`).

use std::fmt;

use moim_protocol::{Cursor, Language, chat_path};
use tokio_tungstenite::tungstenite::http::Uri;

use crate::words::either;

/// A server's address without a path of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    secure: bool,
    host: String,
    port: u16,
    // In front of our paths, behind a proxy that serves moim below one of its own. Without a slash at its end.
    prefix: String,
}

/// What is wrong with an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressFault {
    /// It has the form of none.
    Form,
    /// Another scheme.
    Scheme,
    /// A name or password.
    Secret,
    /// A query or a fragment.
    Query,
    /// A port that is none.
    Port,
}

impl AddressFault {
    /// In words, to follow what was written.
    #[must_use]
    pub fn tell(self, language: Language) -> &'static str {
        let (korean, english) = match self {
            Self::Form => ("주소의 형식이 아닙니다", "it cannot be read as an address"),
            Self::Scheme => (
                "http://, https://, ws://, wss:// 가운데 하나로 시작해야 합니다",
                "it must begin with http://, https://, ws:// or wss://",
            ),
            Self::Secret => ("이름이나 비밀번호는 넣을 수 없습니다", "a name or password has no place in it"),
            Self::Query => (
                "?나 #은 넣을 수 없습니다",
                "a scheme, a host, a port and a path belong there, no ? and no #",
            ),
            Self::Port => {
                ("포트가 0에서 65535 사이의 수가 아닙니다", "its port is not a number from 0 to 65535")
            }
        };
        either(language, korean, english)
    }
}

impl Address {
    /// Reads `http://`, `https://`, `ws://`, `wss://`, or only a host with its port.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn parse(text: &str) -> Result<Self, AddressFault> {
        let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let uri: Uri = whole.parse().map_err(|_| AddressFault::Form)?;
        let secure = match uri.scheme_str() {
            Some("http" | "ws") => false,
            Some("https" | "wss") => true,
            _ => return Err(AddressFault::Scheme),
        };
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(AddressFault::Secret);
        }
        if uri.query().is_some() || text.contains('#') {
            return Err(AddressFault::Query);
        }
        let host = uri.host().filter(|host| !host.is_empty()).ok_or(AddressFault::Form)?.to_owned();
        let port_text = uri.authority().and_then(|authority| authority.as_str().strip_prefix(&host));
        if port_text.is_some_and(|port| !port.is_empty() && uri.port_u16().is_none()) {
            return Err(AddressFault::Port);
        }
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let prefix = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { secure, host, port, prefix })
    }

    /// The host as a resolver takes it, and the port.
    pub(crate) fn host_and_port(&self) -> (&str, u16) {
        (self.host.trim_start_matches('[').trim_end_matches(']'), self.port)
    }

    /// Where the v1 profile enters that room.
    pub(crate) fn room(&self, room: &str, username: &str, cursor: Option<&Cursor>) -> String {
        let scheme = if self.secure { "wss" } else { "ws" };
        format!("{scheme}://{}{}{}", self.authority(), self.prefix, chat_path(room, username, cursor))
    }

    fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}{}/", self.authority(), self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::{Address, AddressFault};

    #[test]
    fn what_people_write_is_understood() {
        let shown = |text| Address::parse(text).unwrap().to_string();
        assert_eq!(shown("http://127.0.0.1:8765/"), "http://127.0.0.1:8765/");
        assert_eq!(shown("localhost:9000"), "http://localhost:9000/");
        assert_eq!(shown("wss://chat.example.com"), "https://chat.example.com:443/");
        assert_eq!(shown("ws://[::1]:8765"), "http://[::1]:8765/");
        assert_eq!(shown("https://example.com/moim/"), "https://example.com:443/moim/");
        let address = Address::parse("https://example.com/moim").unwrap();
        assert_eq!(
            address.room("모임", "민수", None),
            "wss://example.com:443/moim/chat/%EB%AA%A8%EC%9E%84?username=%EB%AF%BC%EC%88%98"
        );
        assert_eq!(Address::parse("http://[::1]:1").unwrap().host_and_port(), ("::1", 1));
    }

    #[test]
    fn what_is_no_address_is_told() {
        for (text, fault) in [
            ("ftp://example.com", AddressFault::Scheme),
            ("http://", AddressFault::Form),
            ("http://me:secret@example.com", AddressFault::Secret),
            ("http://example.com/?room=a", AddressFault::Query),
            ("http://example.com:99999", AddressFault::Port),
            ("http://exa mple", AddressFault::Form),
            ("", AddressFault::Form),
        ] {
            assert_eq!(Address::parse(text), Err(fault), "{text}");
        }
    }
}
