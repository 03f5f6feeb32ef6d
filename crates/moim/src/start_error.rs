//! Why a node could not start or stay up, each with what to do about it.
//! Not here: faults of the configuration (`config::Faults`).

use std::{io, net::SocketAddr};

use moim_protocol::Language;
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

impl Listener {
    // How it is changed.
    fn means(self, language: Language) -> &'static str {
        match (self, language) {
            (Self::Public, Language::English) => {
                "with --listen, MOIM__LISTEN__PUBLIC or listen.public in the file"
            }
            (Self::Ops, Language::English) => {
                "with --ops-listen, MOIM__LISTEN__OPS or listen.ops in the file"
            }
            (Self::Public, Language::Korean) => {
                "--listen, MOIM__LISTEN__PUBLIC 또는 파일의 listen.public으로"
            }
            (Self::Ops, Language::Korean) => "--ops-listen, MOIM__LISTEN__OPS 또는 파일의 listen.ops로",
        }
    }
}

/// Why it did not start, or stopped by itself.
#[derive(Debug)]
pub(crate) enum StartError {
    /// Somebody listens there already.
    AddressInUse { listener: Listener, address: SocketAddr },
    /// This user may not listen there.
    AddressDenied { listener: Listener, address: SocketAddr },
    /// No interface has the address.
    AddressUnknown { listener: Listener, address: SocketAddr },
    /// The system would not listen there for another reason.
    Address { listener: Listener, address: SocketAddr, source: io::Error },
    /// The embedded store does not open; its own sentence says why and what to do.
    Store(OpenError),
    /// The tables could not be made; its own sentence says why and what to do.
    Migrate(MigrateError),
    /// There is no log.
    Log(LogError),
    /// The system has no threads or files for us.
    Runtime(io::Error),
    /// A part failed in a way that no setting changes.
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

    /// The sentence for a person: what, where, why, and what to do. What comes from a store or the system is English.
    pub(crate) fn tell(&self, language: Language) -> String {
        match language {
            Language::English => self.in_english(),
            Language::Korean => self.in_korean(),
        }
    }

    fn in_english(&self) -> String {
        let means = |listener: &Listener| listener.means(Language::English);
        match self {
            Self::AddressInUse { listener, address } => format!(
                "{} = {address} is in use, perhaps by another moim; stop that, or choose another address {}",
                listener.key(),
                means(listener)
            ),
            Self::AddressDenied { listener, address } => format!(
                "{} = {address} is not allowed to this user, as ports below 1024 often are; choose another address {}",
                listener.key(),
                means(listener)
            ),
            Self::AddressUnknown { listener, address } => format!(
                "{} = {address} is no address of this machine; choose another {}",
                listener.key(),
                means(listener)
            ),
            Self::Address { listener, address, source } => format!(
                "{} = {address} cannot be listened on: {source}; choose another address {}",
                listener.key(),
                means(listener)
            ),
            Self::Store(error) => {
                format!(
                    "{error}. The folder is set with --data, MOIM__EMBEDDED__PATH or embedded.path in the file"
                )
            }
            Self::Migrate(error) => error.to_string(),
            Self::Log(error) => format!("the log cannot be started: {error}"),
            Self::Runtime(error) => {
                format!("the system has no threads or file handles left for moim: {error}; see `ulimit -a`")
            }
            Self::Failed { what, problem } => format!("{what} failed: {problem}"),
        }
    }

    fn in_korean(&self) -> String {
        let means = |listener: &Listener| listener.means(Language::Korean);
        match self {
            Self::AddressInUse { listener, address } => format!(
                "{} = {address}는 이미 쓰이고 있습니다. 다른 moim이 실행 중일 수 있습니다. 그것을 멈추거나, {} 다른 주소를 고르세요",
                listener.key(),
                means(listener)
            ),
            Self::AddressDenied { listener, address } => format!(
                "{} = {address}는 이 사용자에게 허용되지 않습니다. 1024보다 작은 포트는 대개 그렇습니다. {} 다른 주소를 고르세요",
                listener.key(),
                means(listener)
            ),
            Self::AddressUnknown { listener, address } => format!(
                "{} = {address}는 이 컴퓨터의 주소가 아닙니다. {} 다른 주소를 고르세요",
                listener.key(),
                means(listener)
            ),
            Self::Address { listener, address, source } => format!(
                "{} = {address}에서 기다릴 수 없습니다: {source}. {} 다른 주소를 고르세요",
                listener.key(),
                means(listener)
            ),
            Self::Store(error) => format!(
                "메시지 저장소를 열 수 없습니다: {error}. 폴더는 --data, MOIM__EMBEDDED__PATH 또는 파일의 embedded.path로 정합니다"
            ),
            Self::Migrate(error) => format!("테이블을 만들 수 없습니다: {error}"),
            Self::Log(error) => format!("로그를 시작할 수 없습니다: {error}"),
            Self::Runtime(error) => {
                format!(
                    "시스템에 moim이 쓸 스레드나 파일 핸들이 남아 있지 않습니다: {error}. `ulimit -a`를 보세요"
                )
            }
            Self::Failed { what, problem } => format!("{what} 문제로 멈췄습니다: {problem}"),
        }
    }
}

impl From<OpenError> for StartError {
    fn from(error: OpenError) -> Self {
        Self::Store(error)
    }
}

impl From<MigrateError> for StartError {
    fn from(error: MigrateError) -> Self {
        Self::Migrate(error)
    }
}

impl From<LogError> for StartError {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

#[cfg(test)]
mod tests {
    use std::{io, net::SocketAddr};

    use super::{Language, Listener, OpenError, StartError};

    fn bind(listener: Listener, kind: io::ErrorKind) -> String {
        StartError::bind(listener, SocketAddr::from(([0, 0, 0, 0], 80)), kind.into()).tell(Language::English)
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
    fn korean_names_the_same_keys_and_flags() {
        for listener in [Listener::Public, Listener::Ops] {
            for kind in
                [io::ErrorKind::AddrInUse, io::ErrorKind::PermissionDenied, io::ErrorKind::OutOfMemory]
            {
                let error = StartError::bind(listener, SocketAddr::from(([0, 0, 0, 0], 80)), kind.into());
                let (english, korean) = (error.tell(Language::English), error.tell(Language::Korean));
                let names = [
                    "listen.public",
                    "listen.ops",
                    "--listen",
                    "--ops-listen",
                    "MOIM__LISTEN__OPS",
                    "0.0.0.0:80",
                ];
                for name in names {
                    assert_eq!(english.contains(name), korean.contains(name), "{name}: {korean}");
                }
            }
        }
    }

    #[test]
    fn a_folder_names_what_changes_it() {
        let told = StartError::from(OpenError::Locked { path: "moim-data".into() }).tell(Language::English);
        assert!(told.contains(" moim-data: another moim is running on this folder. "), "{told}");
        assert!(
            told.ends_with(
                ". The folder is set with --data, MOIM__EMBEDDED__PATH or embedded.path in the file"
            )
        );
    }
}
