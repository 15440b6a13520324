//! What an SQLite error means to the pipeline.

use rusqlite::{Error, ErrorCode};
use wanctl_sink::{FaultClass, SinkError};

/// A failure of SQLite, with what was being done.
pub(crate) fn failed(doing: &str, error: Error) -> SinkError {
    SinkError::new(class(&error), format!("{doing}: {error}")).caused_by(error)
}

/// The class of an SQLite error. What SQLite calls by no name of its own is a mistake of ours.
pub(crate) fn class(error: &Error) -> FaultClass {
    match error.sqlite_error_code() {
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::SchemaChanged
            | ErrorCode::SystemIoFailure,
        ) => FaultClass::Transient,
        Some(ErrorCode::DiskFull | ErrorCode::OutOfMemory) => FaultClass::Resource,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => FaultClass::Corrupt,
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            FaultClass::Config
        }
        Some(ErrorCode::OperationInterrupted) => FaultClass::Cancelled,
        _ => FaultClass::Bug,
    }
}
