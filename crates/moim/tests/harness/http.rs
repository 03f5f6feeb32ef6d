//! HTTP as plain text: one request, one connection, one answer.
//! Not here: WebSockets (`client`).

use std::{io, net::SocketAddr};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::within;

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    /// `None` until all of it is there: by its length, its chunks, or, without either, the end of the connection.
    fn parse(bytes: &[u8], ended: bool) -> Option<Self> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let mut answer = Self { status, head, body: Vec::new() };
        let rest = &bytes[end + 4..];
        let length = answer.header("content-length").and_then(|length| length.parse::<usize>().ok());
        answer.body = match length {
            Some(length) => rest.get(..length)?.to_vec(),
            None if answer.header("transfer-encoding") == Some("chunked") => unchunked(rest)?,
            None if ended || status == 101 => rest.to_vec(),
            None => return None,
        };
        Some(answer)
    }

    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{} with no JSON: {error}", self.status))
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// Asserts that it is an error of the contract's shape, with that status and code.
    pub(crate) fn assert_error(&self, status: u16, code: &str) {
        let body = self.json();
        assert_eq!((self.status, body["error"]["code"].as_str()), (status, Some(code)), "{body}");
        assert!(body["error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{body}");
        assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
    }
}

/// The body of a chunked answer, once its last chunk is there.
fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        let size = usize::from_str_radix(str::from_utf8(&rest[..end]).ok()?, 16).ok()?;
        let chunk = rest.get(end + 2..end + 2 + size)?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(chunk);
        rest = rest.get(end + 2 + size + 2..)?;
    }
}

/// `GET`.
pub(crate) async fn get(address: SocketAddr, path: &str) -> Answer {
    get_with(address, path, &[]).await
}

/// `GET` with headers; `Host` is added when it is not among them.
pub(crate) async fn get_with(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Answer {
    request(address, "GET", path, headers, b"").await
}

/// `POST` of JSON.
pub(crate) async fn post(address: SocketAddr, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    request(address, "POST", path, headers, body.to_string().as_bytes()).await
}

/// Any request.
pub(crate) async fn raw(address: SocketAddr, method: &str, path: &str, body: &[u8]) -> Answer {
    request(address, method, path, &[], body).await
}

async fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let mut head = format!("{method} {path} HTTP/1.1\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        head += &format!("Host: {address}\r\n");
    }
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("connection")) {
        head += "Connection: close\r\n";
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() {
        head += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    }
    let bytes = [head.as_bytes(), b"\r\n", body].concat();
    let answer = send_raw(address, &bytes).await.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
    Answer::parse(&answer, true).unwrap_or_else(|| {
        panic!("{method} {path}: no HTTP answer but {:?}", String::from_utf8_lossy(&answer))
    })
}

/// Sends bytes on a connection of their own and reads the answer, also when the server closes before it has read all.
pub(crate) async fn send_raw(address: SocketAddr, bytes: &[u8]) -> io::Result<Vec<u8>> {
    within("an answer over HTTP", async {
        let mut stream = TcpStream::connect(address).await?;
        let (mut read, mut write) = stream.split();
        let sending = async {
            // What the server does not want to hear is no failure; what it answers counts.
            drop(write.write_all(bytes).await);
        };
        let reading = async {
            let mut answer = Vec::new();
            loop {
                match read.read_buf(&mut answer).await {
                    Ok(0) => return Ok(answer),
                    Ok(_) if Answer::parse(&answer, false).is_some() => return Ok(answer),
                    Ok(_) => {}
                    Err(_) if !answer.is_empty() => return Ok(answer),
                    Err(error) => return Err(error),
                }
            }
        };
        tokio::pin!(reading);
        tokio::select! {
            answer = &mut reading => answer,
            () = sending => reading.await,
        }
    })
    .await
}
