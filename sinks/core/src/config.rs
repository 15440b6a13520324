//! A sink as configured, not open yet.

use std::fmt::{self, Debug};
use std::path::{Component, PathBuf};

use dyn_clone::DynClone;
use serde::de::DeserializeOwned;

use crate::{Issue, SinkError, SinkWriter};

/// A configured sink: plain data that can be checked, compared, cloned and opened.
///
/// The pipeline keeps it for as long as the sink runs, and opens a clone of it again after a panic or
/// a lost destination. A clone is an equal configuration, so both open the same destination.
pub trait SinkConfig: DynClone + Debug + Send + Sync {
    /// What is wrong with the settings, paths relative to `settings`. Pure: no I/O.
    ///
    /// By default nothing is.
    fn check(&self) -> Vec<Issue> {
        Vec::new()
    }

    /// What this sink must have for itself. Two sinks with the same claim are refused together.
    ///
    /// By default nothing.
    fn claims(&self) -> Vec<Resource> {
        Vec::new()
    }

    /// Opens the destination. Called on the sink's own thread, again after each failure.
    ///
    /// # Errors
    ///
    /// The [`FaultClass`](crate::FaultClass) of the error decides what happens next:
    /// [`Config`](crate::FaultClass::Config) means that trying again is useless and stops a program
    /// that is just starting; everything else is tried again with backoff.
    fn open(&self, context: &OpenContext) -> Result<Box<dyn SinkWriter>, SinkError>;
}

dyn_clone::clone_trait_object!(SinkConfig);

/// What a sink knows of its surroundings when it opens.
#[derive(Clone, Debug)]
pub struct OpenContext {
    /// The sink's name in the configuration, for log messages.
    pub sink: String,
}

/// Something that only one sink can have.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Resource {
    /// A file, by absolute path.
    File(PathBuf),
    /// A listening TCP address (`127.0.0.1:9100`).
    TcpListener(String),
}

impl Resource {
    /// A file, made absolute and free of `..` without touching the file system.
    ///
    /// Two paths that only a symbolic link makes equal are told apart here; [`Pipeline::start`](crate::Pipeline::start)
    /// finds them.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let absolute = std::path::absolute(&path).unwrap_or(path);
        let mut plain = PathBuf::new();
        for part in absolute.components() {
            match part {
                Component::ParentDir => {
                    plain.pop();
                }
                part => plain.push(part),
            }
        }
        Resource::File(plain)
    }

    /// The same resource by the name the file system gives it: symbolic links of the folder are followed.
    pub(crate) fn followed(self) -> Self {
        let Resource::File(path) = &self else { return self };
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return self };
        match folder.canonicalize() {
            Ok(folder) => Resource::File(folder.join(name)),
            Err(_) => self,
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Resource::File(path) => write!(f, "file {}", path.display()),
            Resource::TcpListener(address) => write!(f, "TCP address {address}"),
        }
    }
}

/// The plugin's own part of the configuration (`settings:`), not interpreted yet.
///
/// Its `Debug` shows nothing of the content, which may hold secrets.
#[derive(Clone, Default, PartialEq)]
pub struct Settings(serde_yaml::Value);

impl Settings {
    /// Settings out of YAML text, for tests and for programs that configure sinks in code.
    ///
    /// # Errors
    ///
    /// Text that is not YAML.
    pub fn from_yaml(text: &str) -> Result<Self, Issue> {
        serde_yaml::from_str(text).map(Settings).map_err(|error| Issue::new("", error.to_string()))
    }

    pub(crate) fn from_value(value: serde_yaml::Value) -> Self {
        Settings(value)
    }

    /// Reads the settings as `T`. No settings at all are read as an empty map, so `T`'s defaults hold.
    ///
    /// # Errors
    ///
    /// The first key that `T` does not accept, with its path. The value is not shown where it may be a
    /// secret: below a key that sounds like one, and where there is no key at all.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Issue> {
        let value = match &self.0 {
            serde_yaml::Value::Null => serde_yaml::Value::Mapping(serde_yaml::Mapping::new()),
            serde_yaml::Value::Mapping(map) => serde_yaml::Value::Mapping(map.clone()),
            _ => return Err(Issue::value("", "(hidden)", "a map of settings")),
        };
        serde_path_to_error::deserialize(value).map_err(|error| {
            let path = error.path().to_string();
            let message = error.into_inner().to_string();
            if sounds_secret(&path) && !names_a_key(&message) {
                return Issue::value(path, "(hidden)", "a value of another type");
            }
            let path = if path == "." { String::new() } else { path };
            Issue::new(path, message)
        })
    }
}

/// Whether the value below this key path may be a secret.
fn sounds_secret(path: &str) -> bool {
    let path = path.to_lowercase();
    ["password", "passphrase", "secret", "token", "key", "credential"]
        .iter()
        .any(|word| path.contains(word))
}

/// Whether serde's message is about a key, so that no value is in it.
fn names_a_key(message: &str) -> bool {
    ["unknown field `", "missing field `", "duplicate field `"]
        .iter()
        .any(|start| message.starts_with(start))
}

impl Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Settings(..)")
    }
}
