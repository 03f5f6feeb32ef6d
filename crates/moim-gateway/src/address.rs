//! Whose connection it is, and how many each address may have.
//! Not here: the cap over all addresses (`accept`).

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use ipnet::IpNet;

/// Counts open connections by address. At most one entry for each open connection.
#[derive(Debug)]
pub struct Addresses {
    trusted: Vec<IpNet>,
    per_address_max: usize,
    /// A std mutex: never held across an await, the section is one look-up.
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// One counted connection; dropping it counts it out.
#[derive(Debug)]
pub struct AddressGuard {
    addresses: Arc<Addresses>,
    address: IpAddr,
}

/// Whether an address may have another connection.
#[derive(Debug)]
pub enum Admission {
    /// It may, and it is counted.
    Counted(AddressGuard),
    /// It is not counted: loopback, or a trusted proxy, whose clients are.
    Exempt,
    /// It has as many as it may.
    Refused,
}

impl Addresses {
    /// None open yet.
    #[must_use]
    pub fn new(trusted: Vec<IpNet>, per_address_max: usize) -> Arc<Self> {
        Arc::new(Self { trusted, per_address_max, open: Mutex::default() })
    }

    fn is_trusted(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_loopback() || self.trusted.iter().any(|net| net.contains(&address))
    }

    /// The client behind a peer: the peer, or behind a trusted proxy the nearest address in `X-Forwarded-For` that is not
    /// itself a trusted proxy. What an untrusted peer writes there is not looked at.
    #[must_use]
    pub fn client_of(&self, peer: IpAddr, forwarded_for: Option<&str>) -> IpAddr {
        if !self.is_trusted(peer) {
            return peer;
        }
        let hops = forwarded_for.unwrap_or("").rsplit(',');
        hops.map_while(|hop| hop.trim().parse().ok()).find(|hop| !self.is_trusted(*hop)).unwrap_or(peer)
    }

    /// Counts a TCP connection in when it is accepted: half-open handshakes count like anything else.
    pub fn enter(self: &Arc<Self>, peer: IpAddr) -> Admission {
        let peer = peer.to_canonical();
        if self.is_trusted(peer) {
            return Admission::Exempt;
        }
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(peer).or_default();
        if *count >= self.per_address_max {
            return Admission::Refused;
        }
        *count += 1;
        Admission::Counted(AddressGuard { addresses: self.clone(), address: peer })
    }

    /// Counts in the client that a trusted proxy forwards, once it is known.
    pub fn enter_forwarded(self: &Arc<Self>, peer: IpAddr, forwarded_for: Option<&str>) -> Admission {
        match self.client_of(peer, forwarded_for) {
            // Counted when it was accepted.
            client if client == peer => Admission::Exempt,
            client => self.enter(client),
        }
    }
}

impl Drop for AddressGuard {
    fn drop(&mut self) {
        let mut open = self.addresses.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn addresses(max: usize) -> Arc<Addresses> {
        Addresses::new(vec!["10.0.0.0/8".parse().unwrap()], max)
    }

    #[test]
    fn an_address_has_its_bound_and_gets_it_back() {
        let addresses = addresses(2);
        let first = addresses.enter(ip("192.0.2.1"));
        let _second = addresses.enter(ip("192.0.2.1"));
        assert!(matches!(addresses.enter(ip("::ffff:192.0.2.1")), Admission::Refused));
        assert!(matches!(addresses.enter(ip("192.0.2.2")), Admission::Counted(_)));
        drop(first);
        assert!(matches!(addresses.enter(ip("192.0.2.1")), Admission::Counted(_)));
    }

    #[test]
    fn loopback_and_trusted_proxies_are_exempt_but_their_clients_are_not() {
        let addresses = addresses(1);
        for exempt in ["127.0.0.1", "::ffff:127.0.0.1", "10.1.2.3"] {
            assert!(matches!(addresses.enter(ip(exempt)), Admission::Exempt), "{exempt}");
        }
        let _one = addresses.enter_forwarded(ip("10.1.2.3"), Some("192.0.2.1"));
        assert!(matches!(addresses.enter_forwarded(ip("10.1.2.3"), Some("192.0.2.1")), Admission::Refused));
        assert!(matches!(addresses.enter_forwarded(ip("10.1.2.3"), None), Admission::Exempt));
        assert!(matches!(addresses.enter_forwarded(ip("192.0.2.1"), Some("6.6.6.6")), Admission::Exempt));
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let addresses = addresses(1);
        assert_eq!(addresses.client_of(ip("192.0.2.1"), Some("198.51.100.7")), ip("192.0.2.1"));
        assert_eq!(
            addresses.client_of(ip("10.0.0.1"), Some("6.6.6.6, 198.51.100.7, 10.0.0.2")),
            ip("198.51.100.7")
        );
        assert_eq!(addresses.client_of(ip("10.0.0.1"), Some("garbage")), ip("10.0.0.1"));
        assert_eq!(addresses.client_of(ip("10.0.0.1"), None), ip("10.0.0.1"));
    }
}
