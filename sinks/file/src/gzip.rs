//! Compressing one file, a piece at a time, so that no call of the sink takes long.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use wanctl_sink::Deadline;

/// Bytes compressed between two looks at the deadline.
const STEP: usize = 64 * 1024;

/// Bytes compressed in one call at most: about as much as the largest batch has, so that compression
/// keeps up with what is written.
const PIECE: usize = 2 * 1024 * 1024;

/// A file on its way to a compressed copy. The copy is removed unless it was moved away.
pub(crate) struct Job {
    source: File,
    target: PathBuf,
    encoder: GzEncoder<File>,
    step: Vec<u8>,
}

impl Job {
    /// Begins to compress `source` to `target`, which gets the same permissions.
    pub(crate) fn start(source: &Path, target: PathBuf) -> io::Result<Self> {
        let source = File::open(source)?;
        let copy = File::create(&target)?;
        let job = Job {
            encoder: GzEncoder::new(copy, Compression::default()),
            source,
            target,
            step: vec![0; STEP],
        };
        job.encoder.get_ref().set_permissions(job.source.metadata()?.permissions())?;
        Ok(job)
    }

    /// Goes on for a piece, or until the deadline; tells whether the copy is complete and on disk.
    pub(crate) fn advance(&mut self, deadline: Deadline) -> io::Result<bool> {
        let mut done = 0;
        while done < PIECE && !deadline.is_over() {
            let read = self.source.read(&mut self.step)?;
            if read == 0 {
                self.encoder.try_finish()?;
                self.encoder.get_ref().sync_all()?;
                return Ok(true);
            }
            self.encoder.write_all(self.step.get(..read).unwrap_or_default())?;
            done += read;
        }
        Ok(false)
    }

    /// The file that is compressed.
    pub(crate) fn source(&self) -> &File {
        &self.source
    }

    /// Where the copy is.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        // What stays after a failure is removed at the next start.
        let _ = fs::remove_file(&self.target);
    }
}
