//! Free ports on loopback, for servers that must be told theirs before they start.
//! Not here: who listens on them.

use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

use crate::fault::Fault;

/// Below what Linux and macOS give to outgoing connections and to listeners on port 0: between our look and the
/// server's bind nobody else gets one of these by chance.
const RANGE: Range<u16> = 20_000..32_000;

/// Gives each port once.
pub(crate) struct Ports {
    range: Range<u16>,
    next: u16,
    left: u16,
}

impl Ports {
    /// Any. Two runs at the same time begin at different places.
    pub(crate) fn new() -> Self {
        let left = RANGE.end - RANGE.start;
        // A prime, so that processes started one after the other are far apart.
        let offset = std::process::id().wrapping_mul(101) % u32::from(left);
        Self { range: RANGE, next: RANGE.start + u16::try_from(offset).unwrap_or(0), left }
    }

    /// The lowest from this one upward: for addresses that a person reads.
    pub(crate) fn upward(from: u16) -> Self {
        Self { range: from..u16::MAX, next: from, left: u16::MAX - from }
    }

    pub(crate) fn free(&mut self) -> Result<u16, Fault> {
        while self.left > 0 {
            let port = self.next;
            self.left -= 1;
            self.next = if port + 1 == self.range.end { self.range.start } else { port + 1 };
            if is_free(port) {
                return Ok(port);
            }
        }
        Err(Fault::new(
            format!("no port from {} to {} is free on 127.0.0.1", self.range.start, self.range.end - 1),
            "end programs that listen there (`ss -ltnp` shows them)",
        ))
    }
}

/// Whether a server could listen there now.
pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_port_is_given_once_and_only_if_free() {
        let mut ports = Ports::new();
        let one = ports.free().unwrap();
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, ports.next));
        let two = ports.free().unwrap();
        assert_ne!(one, two);
        assert!(RANGE.contains(&one) && RANGE.contains(&two));
        if let Ok(taken) = taken {
            assert_ne!(taken.local_addr().unwrap().port(), two);
        }
    }

    #[test]
    fn the_last_port_is_followed_by_the_first() {
        let mut ports = Ports { range: RANGE, next: RANGE.end - 1, left: RANGE.end - RANGE.start };
        ports.free().unwrap();
        assert!(ports.free().unwrap() < RANGE.end - 1);
    }

    #[test]
    fn upward_a_taken_port_is_stepped_over() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let from = taken.local_addr().unwrap().port();
        assert!(!is_free(from));
        assert!(Ports::upward(from).free().unwrap() > from);
    }

    #[test]
    fn no_port_left_is_a_fault() {
        let fault = Ports { range: RANGE, next: RANGE.start, left: 0 }.free().unwrap_err();
        assert!(fault.what.starts_with("no port from 20000 to 31999 is free"), "{fault}");
    }
}
