//! The open file: whole batches or nothing, and a new file where the old one went away.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use wanctl_sink::{Batch, Deadline, FaultClass, SinkError, SinkWriter, Written};

use crate::line;

/// Appends batches to the file at a path.
pub(crate) struct FileWriter {
    path: PathBuf,
    /// `None` when the file must be opened before the next use.
    file: Option<File>,
    /// The lines of the batch at hand, kept for its capacity.
    buffer: Vec<u8>,
}

impl FileWriter {
    /// Opens or creates the file, and the folder it is in.
    pub(crate) fn open(path: &Path) -> Result<Self, SinkError> {
        let file = open(path).map_err(|error| failed("can't open", path, error))?;
        Ok(FileWriter { path: path.to_owned(), file: Some(file), buffer: Vec::new() })
    }

    /// The file that has this path now, opened again if it is another one than before.
    fn file(&mut self) -> io::Result<&File> {
        let current = self.file.take().filter(|file| is_at(file, &self.path));
        let file = match current {
            Some(file) => file,
            None => open(&self.path)?,
        };
        Ok(self.file.insert(file))
    }
}

impl SinkWriter for FileWriter {
    fn write(&mut self, batch: &Batch<'_>, deadline: Deadline) -> Written {
        if batch.is_empty() {
            return Written::All;
        }
        if deadline.is_over() {
            return Written::Failed(SinkError::new(FaultClass::Cancelled, "no time left to write"));
        }
        let mut lines = std::mem::take(&mut self.buffer);
        lines.clear();
        let mut rejected = Vec::new();
        for (position, row) in batch.rows().enumerate() {
            if let Err(error) = line::append(&mut lines, &row) {
                rejected.push((position, error.to_string()));
            }
        }
        let appended =
            self.file().and_then(|file| append_or_nothing(file, |mut file| file.write_all(&lines)));
        self.buffer = lines;
        match appended {
            Ok(()) if rejected.is_empty() => Written::All,
            Ok(()) => Written::Rejected(rejected),
            Err(error) => {
                // Opening it again ends a line that could not be taken back.
                self.file = None;
                Written::Failed(failed("can't write to", &self.path, error))
            }
        }
    }

    fn flush(&mut self, _: Deadline) -> Result<(), SinkError> {
        match &self.file {
            Some(file) => {
                file.sync_data().map_err(|error| failed("can't write to disk", &self.path, error))
            }
            None => Ok(()),
        }
    }

    fn probe(&mut self, _: Deadline) -> Result<(), SinkError> {
        self.file().map(drop).map_err(|error| failed("can't open", &self.path, error))
    }
}

/// Lets `write` append to the file. If it fails half way, the file is cut back to what it was.
fn append_or_nothing(file: &File, write: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
    let length = file.metadata()?.len();
    write(file).inspect_err(|_| {
        // The failure that matters is that of the write.
        let _ = file.set_len(length);
    })
}

/// Opens the file for appending, and ends a line that a crash left torn.
fn open(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file =
        OpenOptions::new().create(true).read(true).append(true).mode(0o640).open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() && metadata.len() > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(file)
}

/// Whether the open file is still the one that has this path.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

fn failed(doing: &str, path: &Path, error: io::Error) -> SinkError {
    SinkError::io(&format!("{doing} {}", path.display()), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_fails_half_way_leaves_the_file_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.jsonl");
        fs::write(&path, "one\n").unwrap();
        let file = open(&path).unwrap();
        let error = append_or_nothing(&file, |mut file| {
            file.write_all(b"tw")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\n");
    }
}
