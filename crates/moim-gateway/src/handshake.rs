//! The WebSocket handshake: is it one, may this page and host do it, which profile, and the socket that comes of it.
//! Not here: accepting TCP (`accept`), what the connection is then for (`session_task`).

use axum::{
    body::Body,
    http::{
        HeaderMap, HeaderValue, Request, Response, Uri,
        header::{HOST, ORIGIN, SEC_WEBSOCKET_PROTOCOL},
    },
};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use moim_protocol::{ErrorCode, Profile};
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;

use crate::{
    config::AuthConfig,
    http_stream::HttpStream,
    socket::{Socket, SocketOptions},
};

/// A handshake that was answered with 101 and whose socket is not yet ours.
#[derive(Debug)]
pub struct Upgrading {
    upgrade: OnUpgrade,
    /// What the client speaks.
    pub profile: Profile,
}

/// Checks a handshake and makes its answer.
///
/// # Errors
/// `handshake_invalid` when it is none.
pub fn answer<B>(mut request: Request<B>) -> Result<(Response<Body>, Upgrading), ErrorCode> {
    let profile = profile_of(request.headers());
    let upgrade = request.extensions_mut().remove::<OnUpgrade>().ok_or(ErrorCode::HandshakeInvalid)?;
    let request = request.map(drop);
    let mut response =
        create_response_with_body(&request, Body::empty).map_err(|_| ErrorCode::HandshakeInvalid)?;
    if profile == Profile::V1 {
        // Only the profile is echoed: other offered names may be credentials.
        let name = HeaderValue::from_static(Profile::V1_SUBPROTOCOL);
        response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, name);
    }
    Ok((response, Upgrading { upgrade, profile }))
}

fn profile_of(headers: &HeaderMap) -> Profile {
    let offered = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    let v1 = offered.flat_map(|value| value.split(',')).any(|name| name.trim() == Profile::V1_SUBPROTOCOL);
    if v1 { Profile::V1 } else { Profile::Plain }
}

impl Upgrading {
    /// The socket, once hyper has sent the 101. hyper's own wrapping is taken off again: it would cost as much memory as
    /// the connection itself.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub async fn open(self, number: u64, options: &SocketOptions) -> Option<Box<Socket>> {
        let upgraded: Upgraded = match self.upgrade.await {
            Ok(upgraded) => upgraded,
            Err(error) => {
                tracing::debug!(%error, "client went away during the handshake");
                return None;
            }
        };
        match upgraded.downcast::<TokioIo<HttpStream>>() {
            Ok(parts) => {
                let stream = parts.io.into_inner().into_inner();
                Some(Box::new(Socket::open(number, stream, &parts.read_buf, options).await))
            }
            Err(_) => {
                tracing::error!("an upgraded connection is not the TCP stream it was accepted as");
                None
            }
        }
    }
}

/// Whether this page, under this host name, may talk to us. Browsers send `Origin` with every WebSocket; other clients send
/// none and are let through.
///
/// # Errors
/// `host_refused` for a foreign host name on a server that was only asked to serve loopback (DNS rebinding);
/// `origin_refused` for a page of another site (cross-site WebSocket hijacking).
pub fn admit(headers: &HeaderMap, auth: &AuthConfig) -> Result<(), ErrorCode> {
    let host = headers.get(HOST).and_then(|value| value.to_str().ok()).unwrap_or("");
    if auth.mode.is_none() && !is_loopback_host(host) {
        return Err(ErrorCode::HostRefused);
    }
    let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().map_err(|_| ErrorCode::OriginRefused)?;
    let allowed = auth.allowed_origins.iter().any(|allowed| allowed == "*" || allowed == origin);
    let authority = origin.split_once("://").map_or("", |(_, authority)| authority);
    // A page opened from a file has the origin `file://`, which no other site can have.
    let local = is_loopback_host(host) && (origin == "file://" || is_loopback_host(authority));
    if allowed || local || (!authority.is_empty() && authority == host) {
        return Ok(());
    }
    Err(ErrorCode::OriginRefused)
}

fn is_loopback_host(authority: &str) -> bool {
    let Ok(uri) = authority.parse::<Uri>() else { return false };
    let host = uri.host().unwrap_or("").trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AuthMode;

    fn headers(host: &str, origin: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().unwrap());
        }
        headers
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        let auth = AuthConfig::default();
        let host = "localhost:8765";
        for good in [None, Some("http://localhost:8765"), Some("http://127.0.0.1:3000"), Some("file://")] {
            assert_eq!(admit(&headers(host, good), &auth), Ok(()), "{good:?}");
        }
        for bad in ["https://evil.example", "null", "http://localhost.evil.example"] {
            assert_eq!(admit(&headers(host, Some(bad)), &auth), Err(ErrorCode::OriginRefused), "{bad}");
        }
        let named = AuthConfig { allowed_origins: vec!["https://chat.example".into()], ..auth };
        assert_eq!(admit(&headers(host, Some("https://chat.example")), &named), Ok(()));
    }

    #[test]
    fn a_rebound_name_is_refused_until_anonymous_chat_is_asked_for() {
        let rebound = headers("evil.example:8765", Some("http://evil.example:8765"));
        assert_eq!(admit(&rebound, &AuthConfig::default()), Err(ErrorCode::HostRefused));
        let anonymous = AuthConfig { mode: Some(AuthMode::Anonymous), ..AuthConfig::default() };
        assert_eq!(admit(&rebound, &anonymous), Ok(()));
        assert!(is_loopback_host("[::1]:8765"));
    }

    #[test]
    fn the_profile_is_the_offered_one() {
        let mut headers = HeaderMap::new();
        assert_eq!(profile_of(&headers), Profile::Plain);
        headers.insert(SEC_WEBSOCKET_PROTOCOL, "bearer.abc, moim.v1".parse().unwrap());
        assert_eq!(profile_of(&headers), Profile::V1);
    }
}
