//! Where the server is, as people write it, and the addresses a client asks there.
//! Not here: connecting (`link`).

use std::fmt;

use moim_protocol::{Cursor, chat_path};
use tokio_tungstenite::tungstenite::http::Uri;

/// A server's address without a path of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    secure: bool,
    host: String,
    port: u16,
    // In front of our paths, behind a proxy that serves moim below one of its own. Without a slash at its end.
    prefix: String,
}

impl Address {
    /// Reads `http://`, `https://`, `ws://`, `wss://`, or only a host with its port.
    ///
    /// # Errors
    /// When it is none of these; the text is the part that is wrong, in words.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let uri: Uri = whole.parse().map_err(|_| "it cannot be read as an address")?;
        let secure = match uri.scheme_str() {
            Some("http" | "ws") => false,
            Some("https" | "wss") => true,
            _ => return Err("it must begin with http://, https://, ws:// or wss://"),
        };
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err("a name or password has no place in it");
        }
        if uri.query().is_some() || text.contains('#') {
            return Err("only a scheme, a host, a port and a path belong there: no ? and no #");
        }
        let host = uri.host().filter(|host| !host.is_empty()).ok_or("it names no host")?.to_owned();
        let port_text = uri.authority().and_then(|authority| authority.as_str().strip_prefix(&host));
        if port_text.is_some_and(|port| !port.is_empty() && uri.port_u16().is_none()) {
            return Err("its port is not a number from 0 to 65535");
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
    use super::Address;

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
        for (text, word) in [
            ("ftp://example.com", "begin with"),
            ("http://", "cannot be read"),
            ("http://me:secret@example.com", "password"),
            ("http://example.com/?room=a", "no ?"),
            ("http://example.com:99999", "port"),
            ("http://exa mple", "cannot be read"),
            ("", "cannot be read"),
        ] {
            let told = Address::parse(text).unwrap_err();
            assert!(told.contains(word), "{text}: {told}");
        }
    }
}
