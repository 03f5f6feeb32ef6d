//! As much of CQL's protocol as tells whether a node serves: it is greeted and must say that it is ready.
//! Not here: any query (`moim-store-cassandra` has a driver).

use std::io::{self, Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::time::Duration;

/// A node that has just begun to listen can take a while for its first answer.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Version 4, a request, no flags, stream 0, STARTUP, 22 bytes: a map of one entry.
const STARTUP: &[u8] = b"\x04\x00\x00\x00\x01\x00\x00\x00\x16\x00\x01\x00\x0bCQL_VERSION\x00\x053.0.0";
/// Version 4, a response, no flags, stream 0, READY. AUTHENTICATE would be another one: our nodes ask for none.
const READY: [u8; 5] = *b"\x84\x00\x00\x00\x02";

/// Whether a node there serves now.
pub(super) fn serves(address: SocketAddrV4) -> bool {
    greet(address).is_ok_and(|answer| answer == READY)
}

fn greet(address: SocketAddrV4) -> io::Result<[u8; 5]> {
    let mut stream = TcpStream::connect_timeout(&address.into(), TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(STARTUP)?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpListener};
    use std::thread;

    fn node(answer: &'static [u8]) -> SocketAddrV4 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; STARTUP.len()];
            stream.read_exact(&mut request).unwrap();
            stream.write_all(answer).unwrap();
        });
        SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)
    }

    #[test]
    fn the_greeting_is_as_long_as_it_says() {
        assert_eq!(STARTUP.len(), 9 + usize::from(STARTUP[8]));
    }

    #[test]
    fn only_ready_is_ready() {
        assert!(serves(node(b"\x84\x00\x00\x00\x02\x00\x00\x00\x00")));
        assert!(!serves(node(b"\x84\x00\x00\x00\x00\x00\x00\x00\x00")), "an ERROR");
        assert!(!serves(node(b"")), "a listener that hangs up");
    }
}
