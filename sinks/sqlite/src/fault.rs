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

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[test]
    fn result_codes_fall_into_the_class_that_calls_for_the_right_answer() {
        for (code, expected) in [
            (ffi::SQLITE_BUSY, FaultClass::Transient),
            (ffi::SQLITE_BUSY_SNAPSHOT, FaultClass::Transient),
            (ffi::SQLITE_LOCKED, FaultClass::Transient),
            (ffi::SQLITE_IOERR_WRITE, FaultClass::Transient),
            (ffi::SQLITE_FULL, FaultClass::Resource),
            (ffi::SQLITE_NOMEM, FaultClass::Resource),
            (ffi::SQLITE_CORRUPT_INDEX, FaultClass::Corrupt),
            (ffi::SQLITE_NOTADB, FaultClass::Corrupt),
            (ffi::SQLITE_READONLY, FaultClass::Config),
            (ffi::SQLITE_CANTOPEN, FaultClass::Config),
            (ffi::SQLITE_PERM, FaultClass::Config),
            (ffi::SQLITE_INTERRUPT, FaultClass::Cancelled),
            (ffi::SQLITE_MISUSE, FaultClass::Bug),
        ] {
            let error = Error::SqliteFailure(ffi::Error::new(code), None);
            assert_eq!(class(&error), expected, "{error}");
        }
    }
}
