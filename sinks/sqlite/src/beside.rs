//! What SQLite keeps beside a database while it is open, by name only: the log and its index. Beside a
//! file that took the place of the old one, they would be taken for that one's.

use std::path::Path;
use std::{fs, io};

use crate::database::{self, Identity, with_suffix};
use crate::quarantine::free_name;

const LOG: &str = "-wal";
const INDEX: &str = "-shm";

/// Which files stand beside an open database.
pub(crate) struct Beside {
    log: Option<Identity>,
    index: Option<Identity>,
}

impl Beside {
    /// Those beside the database at this path, which is open.
    pub(crate) fn of(path: &Path) -> Self {
        Beside { log: identity(path, LOG), index: identity(path, INDEX) }
    }

    /// Takes them away once the database itself is no longer at this path and its log was put into it.
    ///
    /// A log that isn't empty, because somebody still reads the old file, is kept beside under another
    /// name. Files that came with a new database are left alone.
    pub(crate) fn take_away(&self, path: &Path) -> io::Result<()> {
        if self.log.is_some() && self.log == identity(path, LOG) {
            let log = with_suffix(path, LOG);
            if fs::metadata(&log)?.len() == 0 {
                fs::remove_file(log)?;
            } else {
                fs::rename(log, with_suffix(&free_name(path, "replaced"), LOG))?;
            }
        }
        if self.index.is_some() && self.index == identity(path, INDEX) {
            fs::remove_file(with_suffix(path, INDEX))?;
        }
        Ok(())
    }
}

fn identity(path: &Path, suffix: &str) -> Option<Identity> {
    database::identity(&with_suffix(path, suffix))
}
