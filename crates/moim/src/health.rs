//! `moim healthcheck`: one question to the operators' listener of a running node, answered in a sentence.
//! Not here: what makes a node ready (`moim-gateway`).

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use crate::reach;

const TIMEOUT: Duration = Duration::from_secs(2);
// Enough for the status line, the headers and the few words that say why.
const ANSWER_BYTES_MAX: u64 = 4096;

/// Asks whether the node is ready, or only whether it is alive. `Ok` is yes; both carry the sentence to print.
pub(crate) fn ask(ops: SocketAddr, live: bool) -> Result<String, String> {
    let (path, state) = if live { ("/livez", "alive") } else { ("/readyz", "ready") };
    let address = reach::from_this_machine(ops);
    let (status, words) = get(address, path).map_err(|error| match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            format!(
                "nothing listens at {address} (listen.ops): moim does not run, or with another configuration"
            )
        }
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
            format!("no answer from http://{address}{path} within {} seconds", TIMEOUT.as_secs())
        }
        _ => format!("no answer from http://{address}{path}: {error}"),
    })?;
    match status.as_str() {
        "200" => Ok(format!("moim at {address} is {state}")),
        _ if words.is_empty() => Err(format!("moim at {address} is not {state}: it answered {status}")),
        _ => Err(format!("moim at {address} is not {state}: it answered {status}, {words}")),
    }
}

// The status and the first line of the body.
fn get(address: SocketAddr, path: &str) -> io::Result<(String, String)> {
    let deadline = Instant::now() + TIMEOUT;
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    // In one write: a server that answers at the first packet must not meet the rest on a closed socket.
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut buffer = [0; 1024];
    while (answer.len() as u64) < ANSWER_BYTES_MAX {
        // The deadline is for the whole answer: one byte a second is no answer.
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut buffer)? {
            0 => break,
            n => answer.extend(buffer.iter().take(n)),
        }
    }
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
    let status = status.ok_or_else(|| io::Error::other("what listens there does not speak HTTP/1.1"))?;
    Ok((status.into(), body.lines().next().unwrap_or_default().trim().into()))
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::{SocketAddr, TcpListener},
        thread,
    };

    use super::ask;

    // Answers one connection, then closes it; gives the request back.
    fn server(answer: &'static str) -> (SocketAddr, thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let thread = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let (mut request, mut byte) = (Vec::new(), [0]);
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() > 0 {
                request.push(byte[0]);
            }
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(request).unwrap()
        });
        (address, thread)
    }

    #[test]
    fn ready_and_alive_are_two_questions() {
        let (address, thread) = server("HTTP/1.1 200 OK\r\n\r\n");
        assert_eq!(ask(address, false).unwrap(), format!("moim at {address} is ready"));
        assert!(thread.join().unwrap().starts_with("GET /readyz HTTP/1.1\r\nHost: 127.0.0.1:"));
        let (address, thread) = server("HTTP/1.1 200 OK\r\n\r\n");
        assert_eq!(ask(address, true).unwrap(), format!("moim at {address} is alive"));
        assert!(thread.join().unwrap().starts_with("GET /livez "));
    }

    #[test]
    fn an_unready_node_says_why() {
        let (address, _thread) =
            server("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 8\r\n\r\ndraining");
        let told = ask(address, false).unwrap_err();
        assert_eq!(told, format!("moim at {address} is not ready: it answered 503, draining"));
    }

    #[test]
    fn silence_is_told_after_two_seconds() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let told = ask(address, false).unwrap_err();
        assert_eq!(told, format!("no answer from http://{address}/readyz within 2 seconds"));
    }

    #[test]
    fn another_protocol_and_nobody_are_told() {
        let (address, _thread) = server("220 mail.example ESMTP\r\n");
        assert!(ask(address, false).unwrap_err().ends_with("does not speak HTTP/1.1"));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        assert!(
            ask(address, false)
                .unwrap_err()
                .starts_with(&format!("nothing listens at {address} (listen.ops)"))
        );
    }
}
