//! What can go wrong at a destination, in the few classes that call for different answers.

use std::error::Error;
use std::io;
use std::time::Duration;

/// A failure of a sink's destination.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SinkError {
    /// What to do about it.
    pub class: FaultClass,
    /// What happened, lower case, without a full stop and without secrets.
    pub message: String,
    /// The underlying error.
    #[source]
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

/// What the pipeline does about a [`SinkError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultClass {
    /// Gone by itself soon: locked, refused, timed out. The batch is kept and tried again with backoff.
    Transient,
    /// The destination asks for a pause. Like `Transient`, but not before this time.
    Throttled(Duration),
    /// Credentials are refused. The batch is kept, tried rarely.
    Auth,
    /// The configuration can't work: a path that can't exist, a permission that is missing.
    /// At start-up it is an error (unless `startup` says otherwise); later it is tried rarely.
    Config,
    /// The disk is full, descriptors are used up. The batch is kept and tried again.
    Resource,
    /// The destination is damaged. The writer is opened again.
    Corrupt,
    /// The deadline passed before the work was done. The batch is kept.
    Cancelled,
    /// A panic or a broken invariant. The writer is rebuilt from its configuration.
    Bug,
}

impl SinkError {
    /// An error of this class.
    pub fn new(class: FaultClass, message: impl Into<String>) -> Self {
        SinkError { class, message: message.into(), source: None }
    }

    /// The same error, caused by `source`.
    #[must_use]
    pub fn caused_by(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// An I/O error with what was being done, classified by its kind.
    pub fn io(doing: &str, error: io::Error) -> Self {
        use io::ErrorKind as Kind;
        let class = match error.kind() {
            Kind::PermissionDenied
            | Kind::NotFound
            | Kind::NotADirectory
            | Kind::AlreadyExists
            | Kind::IsADirectory
            | Kind::InvalidInput
            | Kind::InvalidFilename
            | Kind::ReadOnlyFilesystem => FaultClass::Config,
            Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge | Kind::OutOfMemory => {
                FaultClass::Resource
            }
            _ => FaultClass::Transient,
        };
        SinkError::new(class, format!("{doing}: {error}")).caused_by(error)
    }
}
