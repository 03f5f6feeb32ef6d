//! Why a folder could not be opened: what, where, why, and what to do about it.
//! Not here: errors of an open store (`moim_store::StoreError`).

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

/// Why the embedded store did not open. The text is for an operator to read.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The settings are not usable.
    #[error("the message store cannot be opened with these settings: {0}")]
    Config(String),
    /// Something else than a folder is in the way.
    #[error(
        "cannot open the message store in {path}: it, or a part of its path, is a file and not a folder. Set embedded.path to \
         a folder", path = path.display()
    )]
    NotADirectory {
        /// The folder that was asked for.
        path: PathBuf,
    },
    /// The folder is not there and could not be made.
    #[error(
        "cannot make the folder {path} for the message store: {source}. Make it yourself and give it to the user that runs \
         moim, or set embedded.path to another", path = path.display()
    )]
    CannotCreate {
        /// The folder that was asked for.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another process holds it.
    #[error(
        "cannot open the message store in {path}: another moim is running on this folder. Stop that one first, or set \
         embedded.path to another folder", path = path.display()
    )]
    Locked {
        /// The folder that was asked for.
        path: PathBuf,
    },
    /// A later moim wrote it.
    #[error(
        "cannot open the message store in {path}: it has format {found}, and this moim knows only up to {known}. Start the \
         newer moim that wrote it, or set embedded.path to another folder", path = path.display()
    )]
    NewerFormat {
        /// The folder that was asked for.
        path: PathBuf,
        /// The format found there.
        found: u32,
        /// The newest format that this version can read.
        known: u32,
    },
    /// No space is left.
    #[error(
        "cannot open the message store in {path}: the disk (or the quota) is full. Free some space, 200 MB or more, and start \
         again", path = path.display()
    )]
    DiskFull {
        /// The folder that was asked for.
        path: PathBuf,
    },
    /// The files are not as they were left.
    #[error(
        "cannot open the message store in {path}: its files are damaged ({cause}). Keep a copy of the folder, then restore it \
         from a backup, or set embedded.path to another folder", path = path.display()
    )]
    Damaged {
        /// The folder that was asked for.
        path: PathBuf,
        /// What was found.
        cause: String,
    },
    /// The system refused something.
    #[error(
        "cannot open the message store in {path}: {source}. Check that the user that runs moim may read and write there",
        path = path.display()
    )]
    Io {
        /// The folder that was asked for.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl OpenError {
    pub(crate) fn from_io(folder: &Path, source: io::Error) -> Self {
        let path = folder.into();
        match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::DiskFull { path },
            ErrorKind::NotADirectory => Self::NotADirectory { path },
            _ => Self::Io { path, source },
        }
    }

    pub(crate) fn from_fjall(folder: &Path, error: fjall::Error) -> Self {
        match error {
            fjall::Error::Locked => Self::Locked { path: folder.into() },
            fjall::Error::Io(source) | fjall::Error::Storage(fjall::LsmError::Io(source)) => {
                Self::from_io(folder, source)
            }
            error => Self::Damaged { path: folder.into(), cause: error.to_string() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_as_such_from_wherever_it_comes() {
        let full = || io::Error::from(ErrorKind::StorageFull);
        let folder = Path::new("data");
        let errors = [
            OpenError::from_io(folder, full()),
            OpenError::from_fjall(folder, fjall::Error::Io(full())),
            OpenError::from_fjall(folder, fjall::Error::Storage(fjall::LsmError::Io(full()))),
        ];
        for error in errors {
            assert!(
                error.to_string().contains("in data: the disk (or the quota) is full. Free some"),
                "{error}"
            );
        }
    }
}
