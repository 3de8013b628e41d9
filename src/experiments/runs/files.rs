//! Reading, writing and locking the files of a run.

use super::RECORD;
use crate::experiments::ExperimentError;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fs::{File, TryLockError},
    path::Path,
    time::Duration,
};
use time::{OffsetDateTime, macros::format_description};

/// A lock on an open file, given back when dropped; the system gives it back when the process ends,
/// however it ends. Closing the file would not do: the lock lives as long as any copy of it, and a
/// child process has one until it becomes another program.
#[must_use]
pub(crate) struct Lock(pub(crate) File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Nothing is known of others either where locks fail.
        let _ = self.0.unlock();
    }
}

/// Locks a run.
pub(super) fn lock(directory: &Path) -> Result<Lock, ExperimentError> {
    let path = directory.join(RECORD);
    let file = File::open(&path).map_err(ExperimentError::io(&path))?;
    while let Err(TryLockError::WouldBlock) = file.try_lock() {
        // Who only looks holds a shared lock, for a moment.
        match file.try_lock_shared() {
            Ok(()) => file.unlock().map_err(ExperimentError::io(&path))?,
            Err(_) => return Err(ExperimentError::Busy(directory.to_owned())),
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    // Held, or a file system without locks, where nothing is known of others.
    Ok(Lock(file))
}

pub(super) fn is_locked(directory: &Path) -> bool {
    // Shared, so that two who look do not take each other for the owner.
    let file = File::open(directory.join(RECORD)).map(Lock);
    file.is_ok_and(|lock| matches!(lock.0.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Keeps folders of runs from coming and going while the file lives: a member that is begun anew
/// leaves and comes back in two steps. Where folders cannot be locked, who looks at that moment
/// finds it broken.
pub(super) fn hold_shared(runs: &Path) -> Option<Lock> {
    File::open(runs).ok().filter(|folder| folder.lock_shared().is_ok()).map(Lock)
}

/// Waits for all who look, and keeps others away while the file lives.
pub(super) fn hold_exclusive(runs: &Path) -> Option<Lock> {
    File::open(runs).ok().filter(|folder| folder.lock().is_ok()).map(Lock)
}

/// UTC in RFC 3339, to the second.
pub(super) fn now() -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    OffsetDateTime::now_utc().format(format).unwrap_or_default()
}

/// `None` when there is no such file.
pub(super) fn read_json<T: DeserializeOwned>(
    directory: &Path,
    name: &str,
) -> Result<Option<T>, ExperimentError> {
    match std::fs::read(directory.join(name)) {
        Ok(bytes) => {
            serde_json::from_slice(&bytes).map(Some).map_err(|error| ExperimentError::Broken {
                path: directory.to_owned(),
                reason: format!("{name}: {error}"),
            })
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ExperimentError::io(&directory.join(name))(error)),
    }
}

pub(super) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), ExperimentError> {
    let text = serde_json::to_string_pretty(value);
    let text = text.map_err(|error| ExperimentError::io(path)(error.into()))?;
    write(path, text.as_bytes())
}

/// Whole or not at all.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), ExperimentError> {
    let next = path.with_extension("partial");
    let written = std::fs::write(&next, bytes).and_then(|()| std::fs::rename(&next, path));
    written.map_err(ExperimentError::io(path))
}
