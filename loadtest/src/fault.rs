//! Why a drill did not come to a figure.
//! Not here: aims that were missed, which are figures (`aim`).

use std::{io, path::PathBuf};

/// Every way to fail; each says what to do where something can be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("{0}")]
    Usage(String),
    #[error("{what}: {error}")]
    Io { what: String, error: io::Error },
    #[error("{0} is not there; build it with `cargo build --release -p {1}`, or name another one")]
    NoProgram(PathBuf, &'static str),
    #[error("the server did not start: {0}")]
    Start(String),
    /// The server did something that its contract forbids: the reason why a load test verifies.
    #[error("WRONG RESULT: {0}")]
    Wrong(String),
    #[error("{what} was not done within {seconds} s: {state}")]
    TooSlow { what: &'static str, seconds: u64, state: String },
    #[error("interrupted")]
    Interrupted,
}

impl Fault {
    /// For `map_err`: what was tried.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |error| Self::Io { what, error }
    }

    pub(crate) fn wrong(what: impl Into<String>) -> Self {
        Self::Wrong(what.into())
    }
}
