//! What can go wrong while reading.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use crate::chunk::ChunkError;

/// Why history can't be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// There is no such file.
    #[error("{} does not exist", .path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file has no table or view named `metrics`.
    #[error("{} holds no history (it has no table or view `metrics`)", .path.display())]
    NotHistory {
        /// The file.
        path: PathBuf,
    },
    /// Another version of this program made the file.
    #[error("{} has schema version {version}; accepted: {accepted}", .path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: i32,
        /// The version that can be read.
        accepted: i32,
    },
    /// SQLite refuses: the file is damaged, or may not be read.
    #[error("can't read {}: {}", .path.display(), reason(.source))]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: rusqlite::Error,
    },
    /// A sealed part of the file is damaged. The rest can be read.
    #[error("can't read {}: chunk {chunk} is damaged ({reason})", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The `id` of the row in `chunks`.
        chunk: i64,
        /// What is wrong with it.
        reason: String,
    },
}

/// SQLite's words for what an operator does not need to know SQLite for.
fn reason(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => "it is not a database".to_owned(),
        _ => error.to_string(),
    }
}

/// An error before the file's name is put to it.
#[derive(Debug)]
pub(super) enum ReadError {
    Sqlite(rusqlite::Error),
    Chunk(i64, ChunkError),
}

pub(super) type Read<T> = Result<T, ReadError>;

impl ReadError {
    pub(super) fn of(self, path: &Path) -> HistoryError {
        let path = path.to_owned();
        match self {
            ReadError::Sqlite(source) => HistoryError::Sqlite { path, source },
            ReadError::Chunk(chunk, error) => {
                HistoryError::Damaged { path, chunk, reason: error.to_string() }
            }
        }
    }
}

impl From<rusqlite::Error> for ReadError {
    fn from(error: rusqlite::Error) -> Self {
        ReadError::Sqlite(error)
    }
}
