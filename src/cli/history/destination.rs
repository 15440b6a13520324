//! Where a file that is made goes: never onto a history, and under its name only when it is complete.
//!
//! Only regular files are replaced. Devices and pipes are written as the bytes come, because a file put in
//! their place would take them away from everybody.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// What every SQLite database begins with.
const SQLITE: &[u8] = b"SQLite format 3";

/// What SQLite appends to the name of a database for the files beside it; nothing for the database.
const OF_DATABASE: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// A file that is being made. Unless it is finished, nothing is left of it.
pub(super) struct Destination {
    file: File,
    part: Option<Part>,
}

impl Destination {
    /// Begins what will be at this path. `may_replace` says whether a regular file that is there may go, and
    /// `history` is the file that is read.
    ///
    /// # Errors
    ///
    /// A path at which nothing can or should be written.
    pub(super) fn open(path: &Path, may_replace: bool, history: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let there = match fs::metadata(path) {
            Ok(there) => there,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if path.is_symlink() {
                    bail!("{shown} is a link to a file that is not there");
                }
                return Self::beside(path, history);
            }
            Err(error) => return Err(error).with_context(|| format!("can't write {shown}")),
        };
        if there.is_dir() {
            bail!("{shown} is a folder");
        }
        if !there.is_file() {
            let file = OpenOptions::new().append(true).open(path);
            let file = file.with_context(|| format!("can't write {shown}"))?;
            return Ok(Destination { file, part: None });
        }
        refuse_history(path, &there, history)?;
        if begins_like_database(path).with_context(|| format!("can't read {shown}"))? {
            bail!("{shown} is an SQLite database, which is never replaced");
        }
        if !may_replace {
            bail!("{shown} is there already; --force replaces it");
        }
        let meant = fs::canonicalize(path).with_context(|| format!("can't write {shown}"))?;
        Self::beside(&meant, history)
    }

    fn beside(meant: &Path, history: &Path) -> anyhow::Result<Self> {
        if is_name_of_history(meant, history) {
            bail!("{} belongs to the history that is read", meant.display());
        }
        let (file, part) = Part::beside(meant)
            .with_context(|| format!("can't write beside {}", meant.display()))?;
        Ok(Destination { file, part: Some(part) })
    }

    pub(super) fn writer(&mut self) -> &mut File {
        &mut self.file
    }

    /// Whether a file appears when it is complete; of a device or a pipe, the bytes are gone as they come.
    pub(super) fn is_file(&self) -> bool {
        self.part.is_some()
    }

    /// Gives the file its name, when all of it is on disk. Returns its size in bytes, if it is a file.
    pub(super) fn finish(self) -> io::Result<Option<u64>> {
        let Some(part) = self.part else { return Ok(None) };
        self.file.sync_all()?;
        fs::rename(&part.path, &part.meant)?;
        Ok(Some(self.file.metadata()?.len()))
    }
}

/// The name a file has until it is complete. The file goes when this is dropped.
struct Part {
    path: PathBuf,
    meant: PathBuf,
}

impl Part {
    fn beside(meant: &Path) -> io::Result<(File, Self)> {
        let path = with_suffix(meant, &format!(".{}.part", std::process::id()));
        let file = File::create_new(&path)?;
        Ok((file, Part { path, meant: meant.to_owned() }))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Gone already when it has got its name.
        let _ = fs::remove_file(&self.path);
    }
}

/// Refuses the history and the files beside it, by whatever links they are reached.
fn refuse_history(path: &Path, there: &Metadata, history: &Path) -> anyhow::Result<()> {
    let history = fs::canonicalize(history).unwrap_or_else(|_| history.to_owned());
    let is_same = |suffix: &str| {
        let other = fs::metadata(with_suffix(&history, suffix));
        other.is_ok_and(|other| (other.dev(), other.ino()) == (there.dev(), there.ino()))
    };
    if OF_DATABASE.iter().any(|suffix| is_same(suffix)) {
        bail!("{} belongs to the history that is read", path.display());
    }
    Ok(())
}

/// Whether SQLite would take a file of this name, which is not there yet, for a part of the history.
fn is_name_of_history(path: &Path, history: &Path) -> bool {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = fs::canonicalize(folder.unwrap_or(Path::new(".")));
    let (Ok(folder), Some(name), Ok(history)) =
        (folder, path.file_name(), fs::canonicalize(history))
    else {
        return false;
    };
    let path = folder.join(name);
    OF_DATABASE.iter().any(|suffix| with_suffix(&history, suffix) == path)
}

fn begins_like_database(path: &Path) -> io::Result<bool> {
    let mut begin = Vec::new();
    File::open(path)?.take(SQLITE.len() as u64).read_to_end(&mut begin)?;
    Ok(begin == SQLITE)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}
