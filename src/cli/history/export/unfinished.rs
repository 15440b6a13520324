//! A file that has another name until it is complete.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// A file beside the one that is meant. It goes when it is dropped.
pub(super) struct Unfinished {
    file: File,
    path: PathBuf,
    meant: PathBuf,
}

impl Unfinished {
    /// Makes a file that will have this path.
    pub(super) fn beside(meant: &Path) -> io::Result<Self> {
        let mut name = meant.as_os_str().to_owned();
        name.push(format!(".{}.part", std::process::id()));
        let path = PathBuf::from(name);
        let file = File::create_new(&path)?;
        Ok(Unfinished { file, path, meant: meant.to_owned() })
    }

    pub(super) fn writer(&mut self) -> &mut File {
        &mut self.file
    }

    /// Gives the file its name, when all of it is on disk. Returns its size in bytes.
    pub(super) fn finish(self) -> io::Result<u64> {
        self.file.sync_all()?;
        fs::rename(&self.path, &self.meant)?;
        Ok(self.file.metadata()?.len())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Gone already when it has got its name.
        let _ = fs::remove_file(&self.path);
    }
}
