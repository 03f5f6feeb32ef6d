//! One connection of the v1 profile: opened, heard, asked whether it still lives.
//! Not here: opening the next one (`wire`), what frames mean (`conversation`).

use std::{io, time::Duration};

use futures_util::{SinkExt, StreamExt};
use moim_protocol::{ClientFrame, Cursor, HeardError, HeardFrame, Language, Profile};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, client_async_tls_with_config,
    tungstenite::{self, Message, client::IntoClientRequest, http::HeaderValue, protocol::WebSocketConfig},
};

use crate::{address::Address, words};

const OPEN_WITHIN: Duration = Duration::from_secs(10);
const SEND_WITHIN: Duration = Duration::from_secs(10);
/// A connection that says nothing for so long is asked, and left after so much more.
const ASK_AFTER: Duration = Duration::from_secs(25);
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// History of a hundred messages of a mebibyte each is one frame.
const FRAME_BYTES_MAX: usize = 160 * 1024 * 1024;

/// Where a client connects to, and as whom.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) address: Address,
    pub(crate) room: String,
    pub(crate) username: String,
    /// The language of the server's sentences.
    pub(crate) language: Language,
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OpenFault {
    /// The host has no address.
    NoSuchHost,
    /// Nothing listens there.
    Refused,
    /// Nothing answered in time.
    Silent,
    /// moim answered, and does not let us in: the error, the seconds after which it may.
    Turned(HeardError),
    /// Something answered that is no moim, or no longer one: the status.
    NotMoim(u16),
    /// Anything else, in the system's words.
    Other(String),
}

/// What comes over a connection.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A frame.
    Frame(HeardFrame),
    /// Its end: the close code, if there was one, and the reason in words.
    Ended(Option<u16>, String),
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct Link {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    heard: Instant,
    asked: Option<Instant>,
}

impl Link {
    /// Opens one to that room.
    pub(crate) async fn open(target: Target, cursor: Option<Cursor>) -> Result<Self, OpenFault> {
        match timeout(OPEN_WITHIN, connect(&target, cursor.as_ref())).await {
            Ok(opened) => opened,
            Err(_) => Err(OpenFault::Silent),
        }
    }

    /// The next frame, or the end. After the end it is not asked again.
    ///
    /// Cancel safe: what was read is kept by the socket.
    pub(crate) async fn hear(&mut self) -> Heard {
        loop {
            let (until, may_ask) = match self.asked {
                Some(asked) => (asked + ANSWER_WITHIN, false),
                None => (self.heard + ASK_AFTER, true),
            };
            let next = match timeout_at(until, self.socket.next()).await {
                Ok(next) => next,
                Err(_) if may_ask => {
                    self.asked = Some(Instant::now());
                    if !self.send(&ClientFrame::Ping).await {
                        return Heard::Ended(None, String::new());
                    }
                    continue;
                }
                Err(_) => return Heard::Ended(None, String::new()),
            };
            (self.heard, self.asked) = (Instant::now(), None);
            match next {
                Some(Ok(Message::Text(text))) => {
                    // What this client does not understand is not for it.
                    let frame = HeardFrame::parse(&text).unwrap_or(HeardFrame::Unknown);
                    return Heard::Frame(frame);
                }
                Some(Ok(Message::Close(Some(frame)))) => {
                    return Heard::Ended(Some(frame.code.into()), frame.reason.to_string());
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Heard::Ended(None, error.to_string()),
                None => return Heard::Ended(None, String::new()),
            }
        }
    }

    /// Sends a frame; false when the connection does not take it.
    pub(crate) async fn send(&mut self, frame: &ClientFrame) -> bool {
        let sending = self.socket.send(Message::text(frame.encode()));
        matches!(timeout(SEND_WITHIN, sending).await, Ok(Ok(())))
    }

    /// Says goodbye, so that the room hears at once that we left.
    pub(crate) async fn close(mut self) {
        // Who has gone already needs no goodbye.
        drop(timeout(Duration::from_secs(1), self.socket.close(None)).await);
    }
}

async fn connect(target: &Target, cursor: Option<&Cursor>) -> Result<Link, OpenFault> {
    let Target { address, room, username, language } = target;
    let url = address.room(room, username, cursor);
    let mut request = url.into_client_request().map_err(|error| OpenFault::Other(error.to_string()))?;
    let protocol = HeaderValue::from_static(Profile::V1_SUBPROTOCOL);
    request.headers_mut().insert("Sec-WebSocket-Protocol", protocol);
    let language = HeaderValue::from_static(words::either(*language, "ko", "en"));
    request.headers_mut().insert("Accept-Language", language);
    let stream = TcpStream::connect(address.host_and_port()).await.map_err(|error| match error.kind() {
        io::ErrorKind::ConnectionRefused => OpenFault::Refused,
        io::ErrorKind::TimedOut => OpenFault::Silent,
        // Of a name that does not resolve the system gives no kind of its own.
        _ if error.raw_os_error().is_none() => OpenFault::NoSuchHost,
        _ => OpenFault::Other(error.to_string()),
    })?;
    // A line typed is a packet sent; without it the other side waits for more, which costs only time.
    drop(stream.set_nodelay(true));
    let config = WebSocketConfig::default()
        .max_message_size(Some(FRAME_BYTES_MAX))
        .max_frame_size(Some(FRAME_BYTES_MAX));
    let (socket, response) =
        client_async_tls_with_config(request, stream, Some(config), None).await.map_err(not_opened)?;
    if response.headers().get("Sec-WebSocket-Protocol").is_none() {
        return Err(OpenFault::NotMoim(response.status().as_u16()));
    }
    Ok(Link { socket, heard: Instant::now(), asked: None })
}

fn not_opened(error: tungstenite::Error) -> OpenFault {
    let tungstenite::Error::Http(answer) = error else {
        return OpenFault::Other(error.to_string());
    };
    let mut told = answer.body().as_deref().and_then(HeardError::in_answer);
    let seconds =
        answer.headers().get("Retry-After").and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if let (Some(told), Some(seconds)) = (&mut told, seconds) {
        told.retry_after_ms.get_or_insert(seconds.saturating_mul(1000));
    }
    told.map_or(OpenFault::NotMoim(answer.status().as_u16()), OpenFault::Turned)
}
