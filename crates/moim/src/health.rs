//! `moim healthcheck`: one question to the operators' listener of a running node, answered in a sentence.
//! Not here: what makes a node ready (`moim-gateway`).

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use moim_protocol::Language;

use crate::reach;

const TIMEOUT: Duration = Duration::from_secs(2);
// Enough for the status line, the headers and the few words that say why.
const ANSWER_BYTES_MAX: u64 = 4096;

/// Asks whether the node is ready, or only whether it is alive. `Ok` is yes; both carry the sentence to print.
pub(crate) fn ask(ops: SocketAddr, live: bool, language: Language) -> Result<String, String> {
    let address = reach::from_this_machine(ops);
    let path = if live { "/livez" } else { "/readyz" };
    let (status, words) = get(address, path).map_err(|error| no_answer(language, &error, (address, path)))?;
    let state = match (language, live) {
        (Language::English, true) => "alive",
        (Language::English, false) => "ready",
        (Language::Korean, true) => "살아 있",
        (Language::Korean, false) => "준비되어 있",
    };
    let words = if words.is_empty() { String::new() } else { format!(", {words}") };
    match (language, status.as_str()) {
        (Language::English, "200") => Ok(format!("moim at {address} is {state}")),
        (Language::Korean, "200") => Ok(format!("{address}의 moim은 {state}습니다")),
        (Language::English, _) => {
            Err(format!("moim at {address} is not {state}: it answered {status}{words}"))
        }
        (Language::Korean, _) => Err(format!("{address}의 moim은 {state}지 않습니다: 답은 {status}{words}")),
    }
}

fn no_answer(language: Language, error: &io::Error, (address, path): (SocketAddr, &str)) -> String {
    let seconds = TIMEOUT.as_secs();
    match (language, error.kind()) {
        (Language::English, io::ErrorKind::ConnectionRefused) => {
            format!(
                "nothing listens at {address} (listen.ops): moim does not run, or with another configuration"
            )
        }
        (Language::Korean, io::ErrorKind::ConnectionRefused) => {
            format!(
                "{address}(listen.ops)에서 듣고 있는 것이 없습니다. moim이 꺼져 있거나, 다른 설정으로 실행 중입니다"
            )
        }
        (Language::English, io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) => {
            format!("no answer from http://{address}{path} within {seconds} seconds")
        }
        (Language::Korean, io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) => {
            format!("http://{address}{path}에서 {seconds}초 안에 답이 없습니다")
        }
        (Language::English, _) => format!("no answer from http://{address}{path}: {error}"),
        (Language::Korean, _) => format!("http://{address}{path}에서 답이 없습니다: {error}"),
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

    use super::Language;

    fn ask(ops: SocketAddr, live: bool) -> Result<String, String> {
        super::ask(ops, live, Language::English)
    }

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

    #[test]
    fn korean_says_the_same() {
        let ask = |answer: &'static str, live| super::ask(server(answer).0, live, Language::Korean);
        assert!(ask("HTTP/1.1 200 OK\r\n\r\n", true).unwrap().ends_with("의 moim은 살아 있습니다"));
        let told =
            ask("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 8\r\n\r\ndraining", false).unwrap_err();
        assert!(told.ends_with("의 moim은 준비되어 있지 않습니다: 답은 503, draining"), "{told}");
    }
}
