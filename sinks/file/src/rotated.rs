//! The files that were rotated away, beside the file they come from: `path.1` is the newest, and
//! `path.1.gz` when it is compressed. When to rotate is not decided here.
//!
//! Every step is one rename or removal, and whatever a crash leaves between two of them is in order: a
//! number that is free is filled before anything is removed, and a file is removed after compression
//! only when its replacement is complete and on disk.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use wanctl_sink::Deadline;

use crate::gzip::Job;
use crate::settings::Compress;
use crate::writer::is_at;

/// The rotated files of one path.
pub(crate) struct Rotated {
    path: PathBuf,
    keep: u32,
    compress: Compress,
    /// What is being compressed.
    job: Option<Job>,
    /// Whether there may be a file to compress.
    waiting: bool,
}

impl Rotated {
    /// Tidies up what a crash left behind.
    pub(crate) fn open(path: &Path, keep: u32, compress: Compress) -> io::Result<Self> {
        let rotated = Rotated { path: path.to_owned(), keep, compress, job: None, waiting: true };
        for n in 1..=keep {
            let (plain, packed) = (rotated.name(n, ""), rotated.name(n, ".gz"));
            there(fs::remove_file(rotated.name(n, ".gz.tmp")))?;
            if plain.exists() && packed.exists() && holds_as_much(&packed, &plain)? {
                fs::remove_file(plain)?;
            }
        }
        Ok(rotated)
    }

    /// Moves the file to number 1, and those that are there up by one. The oldest goes when all numbers
    /// are taken.
    pub(crate) fn take(&mut self) -> io::Result<()> {
        let free = (1..=self.keep).find(|n| !self.is_taken(*n)).unwrap_or(self.keep);
        for suffix in ["", ".gz"] {
            there(fs::remove_file(self.name(free, suffix)))?;
            for n in (1..free).rev() {
                there(fs::rename(self.name(n, suffix), self.name(n + 1, suffix)))?;
            }
        }
        self.waiting = true;
        there(fs::rename(&self.path, self.name(1, "")))
    }

    /// Compresses a piece of what waits for it, as much as takes a fraction of a second.
    ///
    /// # Errors
    ///
    /// The file in question stays as it is. It is tried again after the next rotation.
    pub(crate) fn compress_some(&mut self, deadline: Deadline) -> io::Result<()> {
        if self.compress == Compress::None || !self.waiting {
            return Ok(());
        }
        let result = self.compress_piece(deadline);
        if result.is_err() {
            self.job = None;
            self.waiting = false;
        }
        result
    }

    fn compress_piece(&mut self, deadline: Deadline) -> io::Result<()> {
        let job = match &mut self.job {
            Some(job) => job,
            None => {
                // The oldest first, so that it is done before it goes.
                let plain_only =
                    |n: &u32| self.name(*n, "").exists() && !self.name(*n, ".gz").exists();
                let Some(n) = (1..=self.keep).rev().find(plain_only) else {
                    self.waiting = false;
                    return Ok(());
                };
                let job = Job::start(&self.name(n, ""), self.name(n, ".gz.tmp"))?;
                self.job.insert(job)
            }
        };
        if !job.advance(deadline)? {
            return Ok(());
        }
        let Some(job) = self.job.take() else { return Ok(()) };
        // Rotations that happened meanwhile have moved it.
        let source = |n: &u32| is_at(job.source(), &self.name(*n, ""));
        if let Some(n) = (1..=self.keep).find(source) {
            fs::rename(job.target(), self.name(n, ".gz"))?;
            fs::remove_file(self.name(n, ""))?;
        }
        Ok(())
    }

    fn is_taken(&self, n: u32) -> bool {
        self.name(n, "").exists() || self.name(n, ".gz").exists()
    }

    fn name(&self, n: u32, suffix: &str) -> PathBuf {
        numbered(&self.path, n, suffix)
    }
}

/// `path.n` and the suffix.
pub(crate) fn numbered(path: &Path, n: u32, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{n}{suffix}"));
    name.into()
}

/// Takes it for done when the file isn't there.
fn there(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Whether a compressed file holds as many bytes as a plain one has, by the count at its end (of which
/// gzip keeps 32 bits).
fn holds_as_much(packed: &Path, plain: &Path) -> io::Result<bool> {
    let mut packed = File::open(packed)?;
    if packed.metadata()?.len() < 4 {
        return Ok(false);
    }
    let mut count = [0; 4];
    packed.seek(SeekFrom::End(-4))?;
    packed.read_exact(&mut count)?;
    Ok(u64::from(u32::from_le_bytes(count)) == fs::metadata(plain)?.len() & 0xffff_ffff)
}
