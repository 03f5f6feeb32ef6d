//! A WebSocket client that hears everything and forgets nothing: each frame is asked for, in order.
//! Not here: what frames must look like (the tests).

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        Error, Message,
        client::IntoClientRequest,
        protocol::{CloseFrame, WebSocketConfig, frame::coding::CloseCode},
    },
};

use super::{Server, within};

/// The only types that a client of the plain profile may ever see.
const PLAIN_TYPES: [&str; 5] = ["system", "history", "message", "typing", "error"];

/// One thing that was heard.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Heard {
    /// A frame.
    Frame(Value),
    /// The server's close frame, or its answer to ours: code and reason.
    Closed(u16, String),
    /// The connection broke without one.
    Lost(String),
}

/// One connection.
pub(crate) struct Client {
    pub(crate) socket: WebSocketStream<TcpStream>,
    plain: bool,
}

impl Client {
    /// A client of the plain profile in a room, both names as people write them.
    pub(crate) async fn plain(server: &Server, room: &str, username: &str) -> Self {
        let path = format!("/chat/{}?username={}", encode(room), encode(username));
        Self::at(server, &path, None).await
    }

    /// A client of the v1 profile in a room, its `joined` still to be heard.
    pub(crate) async fn v1(server: &Server, room: &str, username: &str) -> Self {
        let path = format!("/chat/{}?username={}", encode(room), encode(username));
        Self::at(server, &path, Some("moim.v1")).await
    }

    /// A client of the v1 profile that has heard its `joined` and its history.
    pub(crate) async fn v1_joined(server: &Server, room: &str, username: &str) -> Self {
        let mut client = Self::v1(server, room, username).await;
        client.expect("joined").await;
        client.expect("history").await;
        client
    }

    /// A client of `/ws`.
    pub(crate) async fn many(server: &Server) -> Self {
        Self::at(server, "/ws", Some("moim.v1")).await
    }

    /// At a path, with a subprotocol.
    pub(crate) async fn at(server: &Server, path: &str, subprotocol: Option<&str>) -> Self {
        Self::connect(server.public, path, subprotocol)
            .await
            .unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// As `at`, when it may fail.
    pub(crate) async fn connect(
        address: SocketAddr,
        path: &str,
        subprotocol: Option<&str>,
    ) -> Result<Self, Error> {
        Self::over(TcpStream::connect(address).await?, path, subprotocol).await
    }

    /// With little space in the kernel for what it does not read.
    pub(crate) async fn slow(server: &Server, path: &str, subprotocol: Option<&str>) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        let stream = socket.connect(server.public).await.unwrap();
        Self::over(stream, path, subprotocol).await.unwrap()
    }

    /// Its bare stream, of which nothing was read yet but the handshake.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.socket.into_inner()
    }

    async fn over(stream: TcpStream, path: &str, subprotocol: Option<&str>) -> Result<Self, Error> {
        stream.set_nodelay(true)?;
        let address = stream.peer_addr()?;
        let mut request = format!("ws://{address}{path}").into_client_request()?;
        if let Some(name) = subprotocol {
            request.headers_mut().insert("Sec-WebSocket-Protocol", name.parse().unwrap());
        }
        let config = WebSocketConfig::default().read_buffer_size(16 * 1024);
        let connecting = client_async_with_config(request, stream, Some(config));
        let (socket, _) = within("the handshake", connecting).await?;
        Ok(Self { socket, plain: subprotocol.is_none() })
    }

    /// Sends a frame.
    pub(crate) async fn send(&mut self, frame: Value) {
        self.send_text(&frame.to_string()).await;
    }

    /// Sends a text.
    pub(crate) async fn send_text(&mut self, text: &str) {
        within("sending", self.socket.send(Message::text(text))).await.unwrap();
    }

    /// Sends a frame, when the connection may be gone.
    pub(crate) async fn try_send(&mut self, frame: &Value) -> Result<(), Error> {
        within("sending", self.socket.send(Message::text(frame.to_string()))).await
    }

    /// Says something, without asking for an answer.
    pub(crate) async fn say(&mut self, content: &str) {
        self.send(json!({"type": "message", "content": content})).await;
    }

    /// Says something under a client id.
    pub(crate) async fn say_as(&mut self, client_id: &str, content: &str) {
        self.send(json!({"type": "message", "content": content, "clientId": client_id})).await;
    }

    /// Says goodbye; the answer is still to be heard.
    pub(crate) async fn close(&mut self, code: u16) {
        let frame = CloseFrame { code: CloseCode::from(code), reason: "".into() };
        within("closing", self.socket.close(Some(frame))).await.unwrap();
    }

    /// The next thing that is heard, whatever it is.
    pub(crate) async fn hear(&mut self) -> Heard {
        within("hearing something", self.next()).await
    }

    /// As `hear`, for as long as it takes.
    ///
    /// Cancel safe.
    pub(crate) async fn next(&mut self) -> Heard {
        loop {
            return match self.socket.next().await {
                Some(Ok(Message::Text(text))) => {
                    let frame: Value = serde_json::from_str(&text).expect("a frame is JSON");
                    let kind = frame["type"].as_str().expect("a frame has a type");
                    assert!(!self.plain || PLAIN_TYPES.contains(&kind), "not of the plain profile: {frame}");
                    Heard::Frame(frame)
                }
                Some(Ok(Message::Close(Some(frame)))) => {
                    Heard::Closed(frame.code.into(), frame.reason.to_string())
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                Some(Ok(other)) => Heard::Lost(format!("{other:?}")),
                Some(Err(error)) => Heard::Lost(error.to_string()),
                None => Heard::Lost("end".to_owned()),
            };
        }
    }

    /// The next frame.
    pub(crate) async fn frame(&mut self) -> Value {
        match self.hear().await {
            Heard::Frame(frame) => frame,
            other => panic!("no frame but {other:?}"),
        }
    }

    /// The next frame, which must be of that type.
    pub(crate) async fn expect(&mut self, kind: &str) -> Value {
        let frame = self.frame().await;
        assert_eq!(frame["type"], kind, "{frame}");
        frame
    }

    /// The next frame of that type, whatever comes before.
    pub(crate) async fn skip_to(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.frame().await;
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// The next frame, which must be an error of that code (v1).
    pub(crate) async fn expect_error(&mut self, code: &str) -> Value {
        let frame = self.expect("error").await;
        assert_eq!(frame["code"], code, "{frame}");
        frame
    }

    /// The next thing, which must be a close frame with that code.
    pub(crate) async fn expect_close(&mut self, code: u16) {
        match self.hear().await {
            Heard::Closed(heard, _) if heard == code => {}
            other => panic!("no close {code} but {other:?}"),
        }
        match self.hear().await {
            Heard::Lost(end) if end == "end" => {}
            other => panic!("after the close frame came {other:?}"),
        }
    }
}

/// A text as one segment of a URL.
pub(crate) fn encode(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|b| if keep(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}
