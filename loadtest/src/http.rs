//! The few HTTP requests a drill makes: one connection each, bounded in time and size. HTTP/1.0, so that long answers do not
//! come in chunks.
//! Not here: load over HTTP; WebSockets (`fleet`).

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::fault::Fault;

const TIMEOUT: Duration = Duration::from_secs(20);
const ANSWER_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The body of `GET path`.
pub(crate) fn get(address: SocketAddr, path: &str) -> Result<String, Fault> {
    ask(address, &format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n"), path)
}

/// The body of the answer to a JSON `POST path`.
pub(crate) fn post(address: SocketAddr, path: &str, body: &str) -> Result<String, Fault> {
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    ask(address, &request, path)
}

fn ask(address: SocketAddr, request: &str, path: &str) -> Result<String, Fault> {
    let what = || format!("asking {address}{path}");
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT).map_err(Fault::io(what()))?;
    stream.set_read_timeout(Some(TIMEOUT)).map_err(Fault::io(what()))?;
    stream.write_all(request.as_bytes()).map_err(Fault::io(what()))?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer).map_err(Fault::io(what()))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    if head.split(' ').nth(1).is_some_and(|status| status.starts_with('2')) {
        return Ok(body.to_owned());
    }
    Err(Fault::wrong(format!("{path} was answered with {answer}")))
}
