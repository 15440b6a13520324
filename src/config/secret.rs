//! Passwords: where they come from, and that nobody sees them.
//!
//! A file may name the place of a password instead of holding it. The place is looked up when the
//! password is used, so reading a configuration needs neither the environment nor the file.

use std::path::PathBuf;
use std::{env, fmt, fs, io};

/// A password or the place where it is. `Debug` and `Display` print `(hidden)`.
///
/// | written | means |
/// |---|---|
/// | `env:NAME` | the environment variable, which must be set |
/// | `file:PATH` | the file's text without line ends after it |
/// | `${NAME}` | the environment variable, empty when it is not set, as in the original |
/// | anything else | the password itself |
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Place);

#[derive(Clone, PartialEq, Eq)]
enum Place {
    Here(String),
    Variable(String),
    VariableOrEmpty(String),
    File(PathBuf),
}

/// Why a secret cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The environment variable is not set, or is not text.
    #[error("environment variable {0} is not set here")]
    NotSet(String),
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Secret {
    /// From the text of a configuration file.
    pub fn new(text: &str) -> Self {
        let place = if let Some(name) = text.strip_prefix("env:") {
            Place::Variable(name.to_owned())
        } else if let Some(path) = text.strip_prefix("file:") {
            Place::File(PathBuf::from(path))
        } else if let Some(name) = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) {
            Place::VariableOrEmpty(name.to_owned())
        } else {
            Place::Here(text.to_owned())
        };
        Secret(place)
    }

    /// The password itself, for the request that needs it and nothing else.
    ///
    /// Reads the environment or a file, so it is called where a router is opened, not in a cycle.
    ///
    /// # Errors
    ///
    /// `env:NAME` when the variable is not set; `file:PATH` when the file cannot be read.
    pub fn reveal(&self) -> Result<String, SecretError> {
        match &self.0 {
            Place::Here(text) => Ok(text.clone()),
            Place::VariableOrEmpty(name) => Ok(env::var(name).unwrap_or_default()),
            Place::Variable(name) => env::var(name).map_err(|_| SecretError::NotSet(name.clone())),
            Place::File(path) => match fs::read_to_string(path) {
                Ok(text) => Ok(text.trim_end_matches(['\r', '\n']).to_owned()),
                Err(source) => Err(SecretError::Unreadable { path: path.clone(), source }),
            },
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}
