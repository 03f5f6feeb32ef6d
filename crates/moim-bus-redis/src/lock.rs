//! How a std mutex is taken everywhere in this crate.
//! Not here: what it guards; each says beside its field why it is never held across an await.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Takes it, also after somebody panicked with it: no section leaves what it guards half changed.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
