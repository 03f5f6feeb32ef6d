//! The address that reaches a listener from this machine.
//! Not here: what is said to it (`health`, the people who read the `banner`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A listener on every address of the machine is reached on loopback, any other where it listens.
pub(crate) fn from_this_machine(listener: SocketAddr) -> SocketAddr {
    let ip = match listener.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listener.port())
}

#[cfg(test)]
mod tests {
    use super::from_this_machine;

    #[test]
    fn every_address_is_reached_on_loopback() {
        assert_eq!(from_this_machine(([0, 0, 0, 0], 9).into()), ([127, 0, 0, 1], 9).into());
        assert_eq!(from_this_machine("[::]:9".parse().unwrap()), "[::1]:9".parse().unwrap());
        assert_eq!(from_this_machine(([10, 0, 0, 1], 9).into()), ([10, 0, 0, 1], 9).into());
    }
}
