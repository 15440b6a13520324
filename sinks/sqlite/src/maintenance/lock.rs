//! One process maintains a file, by a lock that the system takes back when the process ends.
//!
//! The lock is on a file of its own beside the history: closing any handle to the history itself would
//! take away SQLite's locks on it.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::database::{identity, with_suffix};

/// The right to maintain a file, for as long as this lives.
pub(crate) struct Lock {
    path: PathBuf,
    // Held, not used.
    _file: File,
}

impl Lock {
    /// The lock of the history at this path; `None` while somebody else has it.
    ///
    /// # Errors
    ///
    /// The folder can't be written to.
    pub(crate) fn take(history: &Path) -> io::Result<Option<Self>> {
        let path = with_suffix(history, "-maintenance");
        loop {
            let file = File::options().write(true).create(true).truncate(false).open(&path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            // Whoever had it before may have removed it after it was opened here.
            if is_at(&file, &path)? {
                return Ok(Some(Lock { path, _file: file }));
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // It is still locked, so nobody else works by it; who waits for it finds that it is gone.
        let _ = fs::remove_file(&self.path);
    }
}

fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;

    let metadata = file.metadata()?;
    Ok(identity(path) == Some((metadata.dev(), metadata.ino())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_has_it_and_nothing_stays_behind() {
        let folder = tempfile::tempdir().unwrap();
        let history = folder.path().join("metrics.db");
        let lock = Lock::take(&history).unwrap().unwrap();
        assert!(Lock::take(&history).unwrap().is_none());
        drop(lock);
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
        // A process that was killed leaves the file, but not the lock.
        fs::write(with_suffix(&history, "-maintenance"), "").unwrap();
        assert!(Lock::take(&history).unwrap().is_some());
    }
}
