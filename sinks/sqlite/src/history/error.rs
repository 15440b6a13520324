//! What can go wrong while reading.

use std::path::PathBuf;

use rusqlite::ErrorCode;

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
}

/// SQLite's words for what an operator does not need to know SQLite for.
fn reason(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => "it is not a database".to_owned(),
        _ => error.to_string(),
    }
}
