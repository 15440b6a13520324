//! The open file: whole batches or nothing, a new file where the old one went away, and when it is time
//! for a new one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use wanctl_sink::{Batch, Deadline, FaultClass, OpenContext, SinkError, SinkWriter, Written};

use crate::rotated::Rotated;
use crate::{FileConfig, Format, Fsync};

/// How much of a file is searched for the time of its first row.
const HEAD: u64 = 64 * 1024;

/// Appends batches to the file at a path.
pub(crate) struct FileWriter {
    config: FileConfig,
    /// The sink's name, for messages.
    sink: String,
    /// `None` when the file must be opened before the next use.
    file: Option<OpenFile>,
    /// `None` when files are not rotated.
    rotated: Option<Rotated>,
    /// When the last batch that was made safe began, in nanoseconds since 1970; `None` before the first.
    synced: Option<i64>,
    /// The lines of the batch at hand, kept for its capacity.
    buffer: Vec<u8>,
}

impl FileWriter {
    /// Opens or creates the file, and the folder it is in.
    pub(crate) fn open(config: &FileConfig, context: &OpenContext) -> Result<Self, SinkError> {
        let path = &config.path;
        let file = OpenFile::open(path, config.format, context.deadline)
            .map_err(|error| failed("can't open", path, error))?;
        let rotated = config.rotate.as_ref().map(|r| Rotated::open(path, r.keep, r.compress));
        let rotated = rotated
            .transpose()
            .map_err(|error| failed("can't tidy up the rotated files of", path, error))?;
        Ok(FileWriter {
            config: config.clone(),
            sink: context.sink.clone(),
            file: Some(file),
            rotated,
            synced: None,
            buffer: Vec::new(),
        })
    }

    /// The file that has this path now, opened again if it is another one than before.
    fn current(&mut self, deadline: Deadline) -> io::Result<OpenFile> {
        let path = &self.config.path;
        let mut open = match self.file.take() {
            Some(open) if is_at(&open.file, path) => open,
            old => {
                let new = OpenFile::open(path, self.config.format, deadline)?;
                // After a failure the pipeline has said so already.
                if old.is_some() {
                    let path = path.display();
                    tracing::info!(sink = self.sink, %path, "The file was moved, deleted or replaced; the one at the path is used now.");
                }
                return Ok(new);
            }
        };
        let metadata = open.file.metadata()?;
        if metadata.is_file() && metadata.len() == 0 {
            // Others have emptied it, and it begins anew.
            open.first = None;
        }
        Ok(open)
    }

    /// Puts lines whose first row is of the time `at` at the end of the file, or of a new one.
    fn append(&mut self, lines: &[u8], at: i64, deadline: Deadline) -> Result<(), SinkError> {
        let path = self.config.path.clone();
        let wrong = |error| failed_later("can't write to", &path, error);
        let mut open = self.current(deadline).map_err(wrong)?;
        if self.is_full(&open, lines.len(), at).map_err(wrong)? {
            open = self
                .rotate(open, deadline)
                .map_err(|error| failed_later("can't rotate", &path, error))?;
        }
        let sync = match self.config.fsync {
            Fsync::Flush | Fsync::Never => false,
            Fsync::Batch => true,
            Fsync::Every(time) => self.synced.is_none_or(|synced| is_apart(synced, at, time)),
        };
        let format = self.config.format;
        let begins = open.first.is_none();
        // A call that overran its deadline may have been given up, and its batch written by another
        // writer: it must not leave a row any more.
        if deadline.is_over() {
            self.file = Some(open);
            return Err(no_time());
        }
        append_or_nothing(&open.file, deadline, |mut file, length| {
            if begins && length == 0 {
                file.write_all(format.header().as_bytes())?;
            }
            file.write_all(lines)?;
            if sync { file.sync_data() } else { Ok(()) }
        })
        .map_err(wrong)?;
        if sync {
            self.synced = Some(at);
        }
        // A clock that was set back must not keep a file for as long as it was ahead.
        open.first = Some(open.first.map_or(at, |first| first.min(at)));
        self.file = Some(open);
        Ok(())
    }

    /// Whether the next lines belong into a new file.
    fn is_full(&self, open: &OpenFile, lines: usize, at: i64) -> io::Result<bool> {
        let Some(rotate) = &self.config.rotate else { return Ok(false) };
        let metadata = open.file.metadata()?;
        if !metadata.is_file() || metadata.len() == 0 {
            return Ok(false);
        }
        let length = metadata.len().saturating_add(lines as u64);
        let too_long = rotate.max_bytes.is_some_and(|most| most < length);
        let too_old = rotate
            .max_age
            .zip(open.first)
            .is_some_and(|(most, first)| first < at && is_apart(first, at, most));
        Ok(too_long || too_old)
    }

    /// Moves the file away and begins a new one.
    fn rotate(&mut self, full: OpenFile, deadline: Deadline) -> io::Result<OpenFile> {
        if self.config.fsync != Fsync::Never {
            // A flush reaches the new file only.
            full.file.sync_data()?;
        }
        if let Some(rotated) = &mut self.rotated {
            rotated.take()?;
        }
        OpenFile::open(&self.config.path, self.config.format, deadline)
    }
}

impl SinkWriter for FileWriter {
    fn write(&mut self, batch: &Batch<'_>, deadline: Deadline) -> Written {
        let Some(first) = batch.rows().next() else { return Written::All };
        if deadline.is_over() {
            return Written::Failed(no_time());
        }
        let mut lines = std::mem::take(&mut self.buffer);
        lines.clear();
        let mut rejected = Vec::new();
        for (position, row) in batch.rows().enumerate() {
            if let Err(error) = self.config.format.append(&mut lines, &row) {
                rejected.push((position, error.to_string()));
            }
        }
        // A failure leaves the file to be opened again, which mends a line that could not be taken back.
        let appended = if lines.is_empty() {
            Ok(())
        } else {
            self.append(&lines, first.at.unix_nanos, deadline)
        };
        self.buffer = lines;
        if let Err(error) = appended {
            return Written::Failed(error);
        }
        // The rows are there; what happens to older ones must not bring them again.
        if let Some(Err(error)) = self.rotated.as_mut().map(|r| r.compress_some(deadline)) {
            tracing::warn!(sink = self.sink, %error, "A rotated file could not be compressed.");
        }
        if rejected.is_empty() { Written::All } else { Written::Rejected(rejected) }
    }

    fn flush(&mut self, _: Deadline) -> Result<(), SinkError> {
        match &self.file {
            Some(open) if self.config.fsync != Fsync::Never => open
                .file
                .sync_data()
                .map_err(|error| failed_later("can't write to disk", &self.config.path, error)),
            _ => Ok(()),
        }
    }

    fn probe(&mut self, deadline: Deadline) -> Result<(), SinkError> {
        let open = self
            .current(deadline)
            .map_err(|error| failed_later("can't open", &self.config.path, error))?;
        self.file = Some(open);
        Ok(())
    }
}

/// A file open for appending.
struct OpenFile {
    file: File,
    /// The time of its first row in nanoseconds since 1970, where known.
    first: Option<i64>,
}

impl OpenFile {
    /// Opens or creates the file, and mends a line that a crash left torn.
    fn open(path: &Path, format: Format, deadline: Deadline) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file =
            OpenOptions::new().create(true).read(true).append(true).mode(0o640).open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.len() == 0 {
            return Ok(OpenFile { file, first: None });
        }
        mend(&mut file, metadata.len(), format, deadline)?;
        let first = first_time(&mut file, format)?;
        Ok(OpenFile { file, first })
    }
}

/// Ends a torn last line, or takes it away where its beginning could pass for a whole line. After the
/// deadline nothing is changed: a line of the writer in the place of this one may be the last by then.
fn mend(file: &mut File, length: u64, format: Format, deadline: Deadline) -> io::Result<()> {
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    if last == *b"\n" {
        return Ok(());
    }
    in_time(deadline)?;
    if !format.torn_lines_mislead() {
        return file.write_all(b"\n");
    }
    let mut block = Vec::new();
    let mut end = length;
    while end > 0 {
        in_time(deadline)?;
        let start = end.saturating_sub(HEAD);
        block.clear();
        file.seek(SeekFrom::Start(start))?;
        Read::by_ref(file).take(end - start).read_to_end(&mut block)?;
        if let Some(position) = block.iter().rposition(|byte| *byte == b'\n') {
            return file.set_len(start + position as u64 + 1);
        }
        end = start;
    }
    file.set_len(0)
}

fn in_time(deadline: Deadline) -> io::Result<()> {
    if deadline.is_over() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
}

/// The time of the first row at the beginning of a file.
fn first_time(file: &mut File, format: Format) -> io::Result<Option<i64>> {
    let mut head = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    Read::by_ref(file).take(HEAD).read_to_end(&mut head)?;
    Ok(String::from_utf8_lossy(&head).lines().find_map(|line| format.time_of(line)))
}

/// Lets `write` append to the file, whose length it is told. If it fails half way, the file is cut back
/// to what it was; but not after the deadline, when another writer may have added rows to it.
fn append_or_nothing(
    file: &File,
    deadline: Deadline,
    write: impl FnOnce(&File, u64) -> io::Result<()>,
) -> io::Result<()> {
    let length = file.metadata()?.len();
    write(file, length).inspect_err(|_| {
        if !deadline.is_over() {
            // The failure that matters is that of the write.
            let _ = file.set_len(length);
        }
    })
}

/// Whether two times are at least this far apart, either way.
fn is_apart(one: i64, other: i64, time: Duration) -> bool {
    time.as_nanos() <= u128::from(one.abs_diff(other))
}

/// Whether the open file is still the one that has this path.
pub(crate) fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

fn failed(doing: &str, path: &Path, error: io::Error) -> SinkError {
    SinkError::io(&format!("{doing} {}", path.display()), error)
}

/// A failure of a file that could be opened once. The path is no wrong configuration then, and what is
/// in its way now (a read-only disk, a missing folder) may go away as it came: it is tried again soon.
fn failed_later(doing: &str, path: &Path, error: io::Error) -> SinkError {
    let mut error = failed(doing, path, error);
    if error.class == FaultClass::Config {
        error.class = FaultClass::Resource;
    }
    error
}

fn no_time() -> SinkError {
    SinkError::new(FaultClass::Cancelled, "no time left to write")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Deadline {
        Deadline::after(Duration::from_secs(10))
    }

    #[test]
    fn a_torn_line_is_not_touched_after_the_deadline() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows");
        fs::write(&path, "one\ntw").unwrap();
        let late = || Deadline::after(Duration::ZERO);
        for (format, mended) in [(Format::Csv, "one\n"), (Format::Jsonl, "one\ntw\n")] {
            fs::write(&path, "one\ntw").unwrap();
            let error = OpenFile::open(&path, format, late()).err().unwrap();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntw");
            OpenFile::open(&path, format, soon()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), mended);
        }
    }

    #[test]
    fn a_write_that_fails_half_way_leaves_the_file_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.jsonl");
        fs::write(&path, "one\n").unwrap();
        let open = OpenFile::open(&path, Format::Jsonl, soon()).unwrap();
        let error = append_or_nothing(&open.file, soon(), |mut file, length| {
            assert_eq!(length, 4);
            file.write_all(b"tw")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\n");
    }

    #[test]
    fn a_write_that_is_late_after_its_last_row_leaves_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.jsonl");
        let context = OpenContext::new("trace", soon());
        let mut writer = FileWriter::open(&FileConfig::new(&path), &context).unwrap();
        let late = writer.append(b"{}\n", 0, Deadline::after(Duration::ZERO));
        assert_eq!(late.unwrap_err().class, FaultClass::Cancelled);
        assert_eq!(fs::read(&path).unwrap(), b"");
        writer.append(b"{}\n", 0, soon()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"{}\n");
    }

    #[test]
    fn a_write_that_fails_after_its_deadline_takes_nothing_from_the_writer_in_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.jsonl");
        let open = OpenFile::open(&path, Format::Jsonl, soon()).unwrap();
        let over = Deadline::after(Duration::ZERO);
        let error = append_or_nothing(&open.file, over, |_, _| {
            fs::write(&path, "of the other\n")?;
            Err(io::ErrorKind::TimedOut.into())
        });
        assert!(error.is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "of the other\n");
    }
}
