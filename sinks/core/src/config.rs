//! A sink as configured, not open yet.

use std::fmt::{self, Debug};
use std::path::{Component, PathBuf};

use dyn_clone::DynClone;
use serde::de::DeserializeOwned;
use serde_yaml::{Mapping, Value};

use crate::{Deadline, Issue, SinkError, SinkWriter, nearest};

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
    /// Return before [`OpenContext::deadline`], with an error if need be: it is tried again.
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
#[non_exhaustive]
pub struct OpenContext {
    /// The sink's name in the configuration, for log messages.
    pub sink: String,
    /// Until when [`SinkConfig::open`] must have returned. If it takes twice as long, another thread
    /// opens the sink in its place, and what it returns then is dropped.
    pub deadline: Deadline,
}

impl OpenContext {
    /// The surroundings of a sink of this name, for tests of writers; the pipeline makes its own.
    pub fn new(sink: impl Into<String>, deadline: Deadline) -> Self {
        OpenContext { sink: sink.into(), deadline }
    }
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

    /// The same resource by the name the file system gives it: symbolic links are followed.
    pub(crate) fn followed(self) -> Self {
        let Resource::File(path) = &self else { return self };
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return self };
        // A file that is not there yet is in a folder that may be.
        match path.canonicalize().or_else(|_| folder.canonicalize().map(|f| f.join(name))) {
            Ok(path) => Resource::File(path),
            Err(_) => self,
        }
    }

    /// Whether nobody can have both: they are the same, or one address stands for all addresses of its
    /// port.
    pub(crate) fn clashes_with(&self, other: &Self) -> bool {
        let (Resource::TcpListener(one), Resource::TcpListener(two)) = (self, other) else {
            return self == other;
        };
        let (Some((a, port)), Some((b, other_port))) = (one.rsplit_once(':'), two.rsplit_once(':'))
        else {
            return one == two;
        };
        let all = |host: &str| ["0.0.0.0", "[::]"].contains(&host);
        port == other_port && (a == b || all(a) || all(b))
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
pub struct Settings(Value);

impl Settings {
    /// Settings out of YAML text, for tests and for programs that configure sinks in code.
    ///
    /// # Errors
    ///
    /// Text that is not YAML.
    pub fn from_yaml(text: &str) -> Result<Self, Issue> {
        serde_yaml::from_str(text).map(Settings).map_err(|error| Issue::new("", error.to_string()))
    }

    pub(crate) fn from_value(value: Value) -> Self {
        Settings(value)
    }

    /// Reads the settings as `T`. No settings at all are read as an empty map, so `T`'s defaults hold.
    ///
    /// # Errors
    ///
    /// The first key that `T` does not accept, with its path. The value is not shown where it may be a
    /// secret: below a key that sounds like one, and where there is no key at all.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Issue> {
        read(self.map()?).map_err(|(issue, _)| issue)
    }

    /// Reads the settings as `T`, as [`parse`](Self::parse) does, and goes on after a mistake.
    ///
    /// # Errors
    ///
    /// Every key that `T` does not accept, as far as each can be told apart from the others.
    pub fn parse_all<T: DeserializeOwned>(&self) -> Result<T, Vec<Issue>> {
        let mut map = self.map().map_err(|issue| vec![issue])?;
        let mut issues: Vec<Issue> = Vec::new();
        // Each round finds one mistake and takes it away, so there are at most as many as keys.
        loop {
            match read(map.clone()) {
                Ok(settings) if issues.is_empty() => return Ok(settings),
                Ok(_) => return Err(issues),
                Err((issue, path)) => {
                    let taken = take_away(&mut map, &path);
                    // A key that is missing may be missing because it was taken away.
                    if taken || issues.is_empty() {
                        issues.push(issue);
                    }
                    if !taken {
                        return Err(issues);
                    }
                }
            }
        }
    }

    fn map(&self) -> Result<Mapping, Issue> {
        match &self.0 {
            Value::Null => Ok(Mapping::new()),
            Value::Mapping(map) => Ok(map.clone()),
            _ => Err(Issue::value("", "(hidden)", "a map of settings")),
        }
    }
}

/// Reads a map as `T`; says what is wrong and where.
fn read<T: DeserializeOwned>(map: Mapping) -> Result<T, (Issue, Vec<String>)> {
    serde_path_to_error::deserialize(Value::Mapping(map)).map_err(|error| {
        let path = error.path().to_string();
        let steps = error.path().iter().map(ToString::to_string).collect();
        let message = error.into_inner().to_string();
        if sounds_secret(&path) && !names_a_key(&message) {
            return (Issue::value(path, "(hidden)", "a value of another type"), steps);
        }
        let path = if path == "." { String::new() } else { path };
        (Issue::new(path, with_suggestion(message)), steps)
    })
}

/// Removes the key at this path; false if there is none.
fn take_away(map: &mut Mapping, path: &[String]) -> bool {
    let Some((last, parents)) = path.split_last() else { return false };
    let mut map = map;
    for step in parents {
        // Inside a list, say: what is wrong is taken away with all of it.
        if !map.get(step.as_str()).is_some_and(Value::is_mapping) {
            return map.remove(step.as_str()).is_some();
        }
        let Some(Value::Mapping(below)) = map.get_mut(step.as_str()) else { return false };
        map = below;
    }
    map.remove(last.as_str()).is_some()
}

/// Adds the nearest known key to serde's message about an unknown one.
fn with_suggestion(mut message: String) -> String {
    let words: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    if let [unknown, known @ ..] = &words[..]
        && message.starts_with("unknown ")
        && let Some(near) = nearest(unknown, known)
    {
        let suggestion = format!("; did you mean `{near}`?");
        message.push_str(&suggestion);
    }
    message
}

/// Parts of keys below which there may be a secret: itself, or as a part of an address.
const SECRETS: [&str; 16] = [
    "pass",
    "pwd",
    "secret",
    "token",
    "key",
    "cred",
    "auth",
    "bearer",
    "cookie",
    "session",
    "header",
    "url",
    "uri",
    "dsn",
    "connection",
    "private",
];

/// Whether the value below this key path may be a secret. To hide too much costs a hint; to show too much
/// costs a password.
fn sounds_secret(path: &str) -> bool {
    let path = path.to_lowercase();
    SECRETS.iter().any(|word| path.contains(word))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_hold_a_secret_is_told_by_its_key() {
        for path in [
            "password",
            "login.passwd",
            "db_pwd",
            "passphrase",
            "API_KEY",
            "client_secret",
            "token",
            "credentials",
            "auth",
            "Authorization",
            "basic_auth.user",
            "bearer",
            "servers[0].url",
            "uri",
            "dsn",
            "connection_string",
            "http.headers.X-Custom",
            "cookies[1]",
            "session_id",
            "private",
        ] {
            assert!(sounds_secret(path), "{path}");
        }
    }

    /// Every key of the sinks that wanctl has.
    #[test]
    fn ordinary_keys_show_their_values() {
        for path in [
            ".",
            "path",
            "format",
            "fsync",
            "rotate.max_bytes",
            "rotate.max_age",
            "rotate.keep",
            "rotate.compress",
            "host",
            "port",
            "max_series",
            "level",
            "rows",
            "retention_days",
            "address",
            "prefix",
            "database",
            "interval",
            "servers[0].host",
        ] {
            assert!(!sounds_secret(path), "{path}");
        }
    }

    #[test]
    fn a_value_of_another_type_is_shown_below_an_ordinary_key_only() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Plain {
            #[serde(rename = "port")]
            _port: Option<u16>,
            #[serde(rename = "headers")]
            _headers: Option<std::collections::BTreeMap<String, u16>>,
        }
        let issue = |text: &str| {
            Settings::from_yaml(text).unwrap().parse::<Plain>().unwrap_err().to_string()
        };
        assert!(issue("port: high").contains("high"));
        let hidden = "headers.X-Custom: found (hidden); accepted: a value of another type";
        assert_eq!(issue("headers: { X-Custom: hunter2 }"), hidden);
    }
}
