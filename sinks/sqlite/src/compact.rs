//! What maintenance does bit by bit while rows are recorded, done at once and to the end.

use std::path::{Path, PathBuf};
use std::time::Duration;

use wanctl_sink::{Deadline, SinkError};

use crate::bundle::Bundles;
use crate::database;
use crate::fault::failed;
use crate::history::{History, HistoryError};
use crate::maintenance::{Lock, compact_step};

/// How long a file that is locked is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// What [`compact`] has done so far, or in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// The size of the file and its log before, in bytes.
    pub bytes_before: u64,
    /// Their size now, in bytes.
    pub bytes: u64,
    /// How many cycles are left in the plain rows of `frames`. Counted at the end only, because counting takes
    /// as long as sealing; `None` before.
    pub hot_frames: Option<u64>,
}

/// Why a file is not compacted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompactError {
    /// The file is missing, or holds no history.
    #[error(transparent)]
    NoHistory(#[from] HistoryError),
    /// A program that records to the file maintains it.
    #[error(
        "{} is maintained by a program that records to it, which compacts it bit by bit; stop it first",
        .path.display()
    )]
    Maintained {
        /// The file.
        path: PathBuf,
    },
    /// The file is damaged, somebody else's, or can't be written.
    #[error(transparent)]
    Failed(#[from] SinkError),
}

/// Rolls up and seals what is older than `hot` (seconds before the newest row), gives free pages back to the
/// disk, and empties the write-ahead log. Nothing is removed.
///
/// `go_on` gets what was done so far, several times a second; where it returns false, the work ends there,
/// and nothing is lost.
///
/// # Errors
///
/// A file that is missing, no history of this sink, or maintained by another program.
pub fn compact(
    path: impl AsRef<Path>,
    hot: Duration,
    go_on: &mut dyn FnMut(Compacted) -> bool,
) -> Result<Compacted, CompactError> {
    let path = path.as_ref();
    // What opens a file to write makes a history of an empty one; what opens it to read does not.
    drop(History::open(path)?);
    let path = std::path::absolute(path)
        .map_err(|error| SinkError::io("can't make the path absolute", error))?;
    let locked = Lock::take(&path)
        .map_err(|error| SinkError::io(&format!("can't lock {}", path.display()), error))?;
    let Some(_lock) = locked else { return Err(CompactError::Maintained { path }) };
    let before = size(&path);
    let db = database::open(&path, Deadline::after(PATIENCE))?;
    let hot = i64::try_from(hot.as_secs()).unwrap_or(i64::MAX / 2);
    let wrong =
        |error| CompactError::Failed(failed(&format!("can't compact {}", path.display()), error));
    let so_far = |hot_frames| Compacted { bytes_before: before, bytes: size(&path), hot_frames };
    let mut bundles = Bundles::default();
    while compact_step(&db, &mut bundles, hot).map_err(wrong)? {
        if !go_on(so_far(None)) {
            break;
        }
    }
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(wrong)?;
    let count = "SELECT count(*) FROM frames";
    let frames: i64 = db.query_row(count, [], |row| row.get(0)).map_err(wrong)?;
    Ok(so_far(u64::try_from(frames).ok()))
}

fn size(path: &Path) -> u64 {
    let bytes = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    bytes(path) + bytes(&database::with_suffix(path, "-wal"))
}
