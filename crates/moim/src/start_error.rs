//! Why a node could not start or stay up, each with what to do about it.
//! Not here: faults of the configuration (`config::Faults`).

use std::{fmt, io, net::SocketAddr};

use moim_store_cassandra::MigrateError;
use moim_store_fjall::OpenError;
use moim_telemetry::log::LogError;

/// Which of the two listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listener {
    /// Where people connect.
    Public,
    /// Where operators look.
    Ops,
}

impl Listener {
    fn key(self) -> &'static str {
        match self {
            Self::Public => "listen.public",
            Self::Ops => "listen.ops",
        }
    }
}

impl fmt::Display for Listener {
    // How it is changed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public => write!(f, "with --listen, MOIM__LISTEN__PUBLIC or listen.public in the file"),
            Self::Ops => write!(f, "with --ops-listen, MOIM__LISTEN__OPS or listen.ops in the file"),
        }
    }
}

/// Why it did not start, or stopped by itself.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// Somebody listens there already.
    #[error("{} = {address} is in use, perhaps by another moim; stop that, or choose another address {listener}", .listener.key())]
    AddressInUse { listener: Listener, address: SocketAddr },
    /// This user may not listen there.
    #[error(
        "{} = {address} is not allowed to this user, as ports below 1024 often are; choose another address {listener}",
        .listener.key()
    )]
    AddressDenied { listener: Listener, address: SocketAddr },
    /// No interface has the address.
    #[error("{} = {address} is no address of this machine; choose another {listener}", .listener.key())]
    AddressUnknown { listener: Listener, address: SocketAddr },
    /// The system would not listen there for another reason.
    #[error("{} = {address} cannot be listened on: {source}; choose another address {listener}", .listener.key())]
    Address { listener: Listener, address: SocketAddr, source: io::Error },
    /// The embedded store does not open; its own sentence says why and what to do.
    #[error("{0}. The folder is set with --data, MOIM__EMBEDDED__PATH or embedded.path in the file")]
    Store(#[from] OpenError),
    /// The tables could not be made; its own sentence says why and what to do.
    #[error("{0}")]
    Migrate(#[from] MigrateError),
    /// There is no log.
    #[error("the log cannot be started: {0}")]
    Log(#[from] LogError),
    /// The system has no threads or files for us.
    #[error("the system has no threads or file handles left for moim: {0}; see `ulimit -a`")]
    Runtime(#[source] io::Error),
    /// A part failed in a way that no setting changes.
    #[error("{what} failed: {problem}")]
    Failed { what: &'static str, problem: String },
}

impl StartError {
    /// The sentence for an address that cannot be listened on.
    pub(crate) fn bind(listener: Listener, address: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::AddressInUse { listener, address },
            io::ErrorKind::PermissionDenied => Self::AddressDenied { listener, address },
            io::ErrorKind::AddrNotAvailable => Self::AddressUnknown { listener, address },
            _ => Self::Address { listener, address, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io, net::SocketAddr};

    use super::{Listener, OpenError, StartError};

    fn bind(listener: Listener, kind: io::ErrorKind) -> String {
        StartError::bind(listener, SocketAddr::from(([0, 0, 0, 0], 80)), kind.into()).to_string()
    }

    #[test]
    fn an_address_names_what_changes_it() {
        assert_eq!(
            bind(Listener::Public, io::ErrorKind::AddrInUse),
            "listen.public = 0.0.0.0:80 is in use, perhaps by another moim; stop that, or choose another address \
             with --listen, MOIM__LISTEN__PUBLIC or listen.public in the file"
        );
        assert_eq!(
            bind(Listener::Ops, io::ErrorKind::PermissionDenied),
            "listen.ops = 0.0.0.0:80 is not allowed to this user, as ports below 1024 often are; choose another \
             address with --ops-listen, MOIM__LISTEN__OPS or listen.ops in the file"
        );
        assert!(
            bind(Listener::Public, io::ErrorKind::AddrNotAvailable).contains("is no address of this machine")
        );
        assert!(bind(Listener::Public, io::ErrorKind::OutOfMemory).contains("out of memory"));
    }

    #[test]
    fn a_folder_names_what_changes_it() {
        let told = StartError::from(OpenError::Locked { path: "moim-data".into() }).to_string();
        assert!(told.contains(" moim-data: another moim is running on this folder. "), "{told}");
        assert!(
            told.ends_with(
                ". The folder is set with --data, MOIM__EMBEDDED__PATH or embedded.path in the file"
            )
        );
    }
}
