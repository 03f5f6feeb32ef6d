//! Free ports on loopback, for servers that must be told theirs before they start.
//! Not here: who listens on them.

use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

use crate::fault::Fault;

/// Below what Linux and macOS give to outgoing connections and to listeners on port 0: between our look and the
/// server's bind nobody else gets one of these by chance.
const RANGE: Range<u16> = 20_000..32_000;

/// A run has all ports of a block to itself, or two that start servers in the same moment could give them the same.
const BLOCK: u16 = 200;

/// Gives each port once. Whoever owns the servers keeps it for as long as one of them may start again: its ports go with it.
pub(crate) struct Ports {
    next: Range<u16>,
    source: Source,
}

enum Source {
    /// One block after the other. Whoever listens on its first port has it: for as long as this value lives.
    Blocks(Vec<TcpListener>),
    /// No more than those.
    Upward(u16),
}

impl Ports {
    /// Any.
    pub(crate) fn new() -> Self {
        Self { next: 0..0, source: Source::Blocks(Vec::new()) }
    }

    /// The lowest from this one upward: for addresses that a person reads.
    pub(crate) fn upward(from: u16) -> Self {
        Self { next: from..u16::MAX, source: Source::Upward(from) }
    }

    pub(crate) fn free(&mut self) -> Result<u16, Fault> {
        loop {
            if let Some(port) = self.next.find(|port| is_free(*port)) {
                return Ok(port);
            }
            let searched = match &mut self.source {
                Source::Upward(from) => *from..u16::MAX,
                Source::Blocks(claims) => match claim() {
                    Some((claim, ports)) => {
                        claims.push(claim);
                        self.next = ports;
                        continue;
                    }
                    None => RANGE,
                },
            };
            return Err(Fault::new(
                format!("no port from {} to {} is free on 127.0.0.1", searched.start, searched.end - 1),
                "end programs that listen there (`ss -ltnp` shows them)",
            ));
        }
    }
}

/// A block that nobody has, and the ports in it.
fn claim() -> Option<(TcpListener, Range<u16>)> {
    RANGE.step_by(usize::from(BLOCK)).find_map(|first| {
        let claim = TcpListener::bind((Ipv4Addr::LOCALHOST, first)).ok()?;
        Some((claim, first + 1..first + BLOCK))
    })
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
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, ports.next.start));
        let two = ports.free().unwrap();
        assert_ne!(one, two);
        assert!(RANGE.contains(&one) && RANGE.contains(&two));
        if let Ok(taken) = taken {
            assert_ne!(taken.local_addr().unwrap().port(), two);
        }
    }

    #[test]
    fn two_runs_at_the_same_time_are_given_no_port_twice() {
        let (mut one, mut other) = (Ports::new(), Ports::new());
        let mut given: Vec<_> =
            (0..BLOCK + 5).flat_map(|_| [one.free().unwrap(), other.free().unwrap()]).collect();
        given.sort_unstable();
        given.dedup();
        assert_eq!(given.len(), 2 * usize::from(BLOCK + 5));
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
        let mut ports = Ports { next: u16::MAX..u16::MAX, source: Source::Upward(40_000) };
        let fault = ports.free().unwrap_err();
        assert!(fault.what.starts_with("no port from 40000 to 65534 is free"), "{fault}");
    }
}
