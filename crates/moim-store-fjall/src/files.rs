//! The folder of an embedded store: who holds it, how it is made for the first time, which format it has.
//! Not here: what rows look like (`row`), when they are written (`writer`).
//!
//! ```text
//! moim-data/
//!   lock      held while a moim runs on this folder
//!   db/       fjall's files
//!   db.new/   only while `db` is made for the first time; never holds a row
//! ```

use std::{
    fs::{self, File, TryLockError},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use fjall::{
    Database, Keyspace, KeyspaceCreateOptions, PersistMode,
    config::{BlockSizePolicy, FilterPolicy},
};

use moim_protocol::ConfigFault;

use crate::{EmbeddedConfig, OpenError};

/// What is kept, and how it is named. A change that an older moim cannot read gets the next number.
const FORMAT: u32 = 1;
const FORMAT_KEY: &str = "format";

/// How long a start waits for the folder: a moim that is just ending still holds it.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// Open files fjall may keep at once; over it the least used is closed. Its default, 900, would leave too few for sockets.
const OPEN_FILES_MAX: usize = 128;

/// One: fjall's first worker spins while a second one compacts, which would cost a whole core for that long.
const WORKERS: usize = 1;

/// fjall never seals a memtable on its own: it asks its worker to at *every* commit while the memtable is too large, and
/// when that worker compacts for a while, its queue of 1,000 is full, and then it waits for ever to put into its own queue.
/// From then on nothing is sorted, and memory and journal grow without bound (measured: 1 GB in 30 s). So the writer
/// seals, once each time.
const NEVER: u64 = u64::MAX;

/// The open files of a store. The last one to let go of it gives the folder free.
pub(crate) struct Files {
    pub(crate) db: Database,
    pub(crate) messages: Keyspace,
    pub(crate) meta: Keyspace,
    // Last, so that the folder is free only when all else is closed.
    _lock: File,
}

impl Files {
    pub(crate) fn open(config: &EmbeddedConfig) -> Result<Self, OpenError> {
        if let Some(faults) = ConfigFault::joined(&config.validate()) {
            return Err(OpenError::Config(faults));
        }
        let folder = config.path.as_path();
        make_folder(folder)?;
        let lock = lock(folder)?;
        let db_folder = folder.join("db");
        let fail = |error| OpenError::from_fjall(folder, error);
        if !db_folder.try_exists().map_err(|error| OpenError::from_io(folder, error))? {
            make_db(config, &db_folder)?;
        }
        let db = open_db(config, &db_folder).map_err(fail)?;
        // Without this name the keyspaces would be made anew, and rows that are there looked for in vain.
        for name in ["messages", "meta"] {
            if !db.keyspace_exists(name) {
                return Err(OpenError::Damaged {
                    path: folder.into(),
                    cause: format!("keyspace {name:?} is missing"),
                });
            }
        }
        let (messages, meta) = keyspaces(&db).map_err(fail)?;
        check_format(folder, meta.get(FORMAT_KEY).map_err(fail)?.as_deref())?;
        Ok(Self { db, messages, meta, _lock: lock })
    }
}

fn make_folder(folder: &Path) -> Result<(), OpenError> {
    fs::create_dir_all(folder).map_err(|source| match source.kind() {
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            OpenError::NotADirectory { path: folder.into() }
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => OpenError::DiskFull { path: folder.into() },
        _ => OpenError::CannotCreate { path: folder.into(), source },
    })
}

/// fjall has a lock of its own, but takes it only after it has looked at the files, and not while a folder is being made.
fn lock(folder: &Path) -> Result<File, OpenError> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join("lock"))
        .map_err(|error| OpenError::from_io(folder, error))?;
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(50));
            }
            Err(TryLockError::WouldBlock) => return Err(OpenError::Locked { path: folder.into() }),
            Err(TryLockError::Error(error)) => return Err(OpenError::from_io(folder, error)),
        }
    }
}

/// Makes an empty database beside its place and moves it there whole: a crash in between leaves nothing half made, which
/// fjall itself could not open again.
fn make_db(config: &EmbeddedConfig, db_folder: &Path) -> Result<(), OpenError> {
    let folder = config.path.as_path();
    let fail = |error| OpenError::from_io(folder, error);
    let unfinished = folder.join("db.new");
    match fs::remove_dir_all(&unfinished) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(fail(error)),
        _ => {}
    }
    let make = || {
        let db = open_db(config, &unfinished)?;
        let (_, meta) = keyspaces(&db)?;
        meta.insert(FORMAT_KEY, FORMAT.to_be_bytes())?;
        db.persist(PersistMode::SyncAll)
    };
    make().map_err(|error| OpenError::from_fjall(folder, error))?;
    fs::rename(&unfinished, db_folder).map_err(fail)?;
    sync_folder(folder).map_err(fail)?;
    // The folder itself may be new, too.
    match folder.canonicalize().map_err(fail)?.parent() {
        Some(parent) => sync_folder(parent).map_err(fail),
        None => Ok(()),
    }
}

fn open_db(config: &EmbeddedConfig, folder: &Path) -> fjall::Result<Database> {
    Database::builder(folder)
        .cache_size(config.cache_bytes)
        .max_journaling_size(config.journal_bytes_max)
        .max_cached_files(Some(OPEN_FILES_MAX))
        .worker_threads(WORKERS)
        // Durability is said with each batch.
        .manual_journal_persist(true)
        .open()
}

fn keyspaces(db: &Database) -> fjall::Result<(Keyspace, Keyspace)> {
    let messages = db.keyspace("messages", || {
        KeyspaceCreateOptions::default()
            .max_memtable_size(NEVER)
            // Rows are read in ranges: filters, which only help to look up single keys, would be memory for nothing, and
            // a page of chat rows is a few blocks of this size.
            .filter_policy(FilterPolicy::disabled())
            .data_block_size_policy(BlockSizePolicy::all(16 * 1024))
    })?;
    // A few bytes a partition; fjall seals it when it holds up the end of an old journal part.
    let meta = db.keyspace("meta", || KeyspaceCreateOptions::default().max_memtable_size(NEVER))?;
    Ok((messages, meta))
}

fn check_format(folder: &Path, stored: Option<&[u8]>) -> Result<(), OpenError> {
    let path = PathBuf::from(folder);
    match stored.map(<[u8; 4]>::try_from) {
        Some(Ok(bytes)) => match u32::from_be_bytes(bytes) {
            FORMAT => Ok(()),
            found if found > FORMAT => Err(OpenError::NewerFormat { path, found, known: FORMAT }),
            found => Err(OpenError::Damaged { path, cause: format!("its format is {found}") }),
        },
        _ => Err(OpenError::Damaged { path, cause: "its format is not written in it".to_owned() }),
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    // Elsewhere a folder cannot be opened as a file, and a rename is durable without it.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_while_the_folder_is_made_is_no_obstacle() {
        let folder = tempfile::tempdir().unwrap();
        let config = EmbeddedConfig::at(folder.path());
        // What a kill leaves between fjall's first file and its last: it refuses such a folder.
        fs::create_dir_all(folder.path().join("db.new/keyspaces")).unwrap();
        File::create(folder.path().join("db.new/0.jnl")).unwrap();
        assert!(
            open_db(&config, &folder.path().join("db.new")).is_err(),
            "fjall takes it now: simplify make_db"
        );
        drop(Files::open(&config).unwrap());
        assert!(!folder.path().join("db.new").exists());
        drop(Files::open(&config).unwrap());
    }

    #[test]
    fn a_newer_format_is_refused_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let config = EmbeddedConfig::at(folder.path());
        let files = Files::open(&config).unwrap();
        files.meta.insert(FORMAT_KEY, 9_u32.to_be_bytes()).unwrap();
        files.db.persist(PersistMode::SyncAll).unwrap();
        drop(files);
        let error = Files::open(&config).err().unwrap();
        assert!(matches!(error, OpenError::NewerFormat { found: 9, known: FORMAT, .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("format 9") && text.contains("newer moim"), "{text}");
        assert!(text.contains(folder.path().to_str().unwrap()), "{text}");
    }

    #[test]
    fn a_database_without_our_keyspaces_is_damaged_and_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let config = EmbeddedConfig::at(folder.path());
        drop(open_db(&config, &folder.path().join("db")).unwrap());
        for _ in 0..2 {
            let error = Files::open(&config).err().unwrap();
            assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
        }
    }
}
