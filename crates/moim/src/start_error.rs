//! Why a node could not start or stay up, each with what to do about it.
//! Not here: faults of the configuration (`config::Faults`).

use std::{
    fmt, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

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
    /// Another process has the store open.
    #[error(
        "the folder {} is in use by another moim; stop that, or choose another folder {DATA_WAYS}",
        .path.display()
    )]
    #[allow(dead_code, reason = "the stub of wiring opens no store; goes with it")]
    DataLocked { path: PathBuf },
    /// This user may not write there.
    #[error(
        "the folder {} may not be written by this user; change its owner, or choose another folder {DATA_WAYS}",
        .path.display()
    )]
    DataDenied { path: PathBuf },
    /// The store cannot work there for another reason.
    #[error("the folder {} cannot keep messages: {problem}; choose another folder {DATA_WAYS}", .path.display())]
    Data { path: PathBuf, problem: String },
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

const DATA_WAYS: &str = "with --data, MOIM__EMBEDDED__PATH or embedded.path in the file";

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

    /// The sentence for a folder that the system refuses.
    pub(crate) fn data(path: &Path, source: &io::Error) -> Self {
        let path = path.into();
        match source.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::DataDenied { path },
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
                Self::Data { path, problem: "a part of the path is a file".into() }
            }
            _ => Self::Data { path, problem: source.to_string() },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io, net::SocketAddr, path::Path};

    use super::{Listener, StartError};

    fn bind(listener: Listener, kind: io::ErrorKind) -> String {
        StartError::bind(listener, SocketAddr::from(([0, 0, 0, 0], 80)), kind.into()).to_string()
    }

    fn data(kind: io::ErrorKind) -> String {
        StartError::data(Path::new("moim-data"), &kind.into()).to_string()
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
        let ways = "choose another folder with --data, MOIM__EMBEDDED__PATH or embedded.path in the file";
        for (told, problem) in [
            (data(io::ErrorKind::PermissionDenied), "may not be written by this user"),
            (data(io::ErrorKind::NotADirectory), "a part of the path is a file"),
            (data(io::ErrorKind::StorageFull), "no storage space"),
            (StartError::DataLocked { path: "moim-data".into() }.to_string(), "is in use by another moim"),
        ] {
            assert!(told.starts_with("the folder moim-data ") && told.contains(problem), "{told}");
            assert!(told.ends_with(ways), "{told}");
        }
    }
}
