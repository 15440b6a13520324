//! Where rows go: `sinks`, and the original's `storage` and `metrics`.
//!
//! The content of `sinks` belongs to the sinks; it is handed on as it stands.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_yaml::Value;
use wanctl_sink::Issue;

use super::accept::{Filled, Flag, Port, Text, kind, whole};
use super::section::Section;

/// Where history is kept when a file does not say: `/var/lib/wanctl/metrics.db`.
pub const DEFAULT_DATABASE: &str = "/var/lib/wanctl/metrics.db";

/// How long history is kept when a file does not say, in days.
pub const DEFAULT_RETENTION_DAYS: u32 = 7;

/// One file's destinations.
#[derive(Clone, Debug)]
pub struct SinkSource {
    /// The file.
    pub file: PathBuf,
    /// `sinks`; when it is there it is all there is, but for `metrics`.
    pub sinks: Option<SinksSection>,
    /// `storage`, the original's database. Never beside `sinks`.
    pub storage: Storage,
    /// `metrics`, the original's Prometheus listener; `None` unless it is enabled.
    pub metrics: Option<Listen>,
}

/// The original's `storage` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    /// The file says nothing: without `sinks` this is [`DEFAULT_DATABASE`] for [`DEFAULT_RETENTION_DAYS`].
    Default,
    /// No history: `storage:` with nothing in it, or an empty `db_path`.
    Off,
    /// This database.
    Path {
        /// The database file.
        path: PathBuf,
        /// How many days are kept, 1 to 365.
        retention_days: u32,
    },
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Address or name. Default 127.0.0.1.
    pub host: String,
    /// TCP port, 1 to 65535. Default 9100 for `metrics`, 9101 for `health_check`.
    pub port: u16,
}

/// `host:port`, with brackets around an IPv6 address.
impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.parse() {
            Ok(ip) => SocketAddr::new(ip, self.port).fmt(f),
            Err(_) => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// The `sinks` section, not interpreted. `Debug` shows nothing of it, because settings may hold secrets.
#[derive(Clone, PartialEq)]
pub struct SinksSection(Value);

impl SinksSection {
    /// Reads the section as `T`.
    ///
    /// # Errors
    ///
    /// A section that `T` does not accept, at `sinks`.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Issue> {
        serde_yaml::from_value(self.0.clone())
            .map_err(|error| Issue::new("sinks", error.to_string()))
    }
}

impl fmt::Debug for SinksSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SinksSection(..)")
    }
}

/// Reads a file's destinations.
pub(super) fn read(root: &Section<'_>, file: &Path) -> SinkSource {
    let sinks = sinks(root);
    let storage = storage(&root.ours());
    if sinks.is_some() && root.has("storage") {
        let message =
            "beside `sinks`; remove `storage`, or remove `sinks` to keep the database alone";
        root.refuse("storage", message.to_owned(), true);
    }
    SinkSource { file: file.to_owned(), sinks, storage, metrics: metrics(&root.ours()) }
}

fn sinks(root: &Section<'_>) -> Option<SinksSection> {
    let value = root.raw("sinks")?;
    if !value.is_mapping() {
        let accepted = "a section that names sinks, {} for none";
        root.refuse("sinks", format!("found {}; accepted: {accepted}", kind(value)), true);
    }
    Some(SinksSection(value.clone()))
}

fn storage(root: &Section<'_>) -> Storage {
    match root.raw("storage") {
        None => return Storage::Default,
        Some(Value::Null) => return Storage::Off,
        Some(_) => {}
    }
    let section = root.section("storage");
    let retention =
        section.get_or("retention_days", &whole(1, 365, "days"), i64::from(DEFAULT_RETENTION_DAYS));
    let path = match section.raw("db_path") {
        None => Some(DEFAULT_DATABASE.to_owned()),
        Some(Value::Null) => None,
        Some(_) => section.get("db_path", &Text).filter(|path| !path.is_empty()),
    };
    match path {
        None => Storage::Off,
        Some(path) => Storage::Path {
            path: PathBuf::from(path),
            retention_days: u32::try_from(retention).unwrap_or(DEFAULT_RETENTION_DAYS),
        },
    }
}

fn metrics(root: &Section<'_>) -> Option<Listen> {
    let section = root.section("metrics");
    let enabled = section.get_or("enabled", &Flag, false);
    let host = section.get_or("host", &Filled("an address to listen on"), "127.0.0.1".to_owned());
    let port = section.get_or("port", &Port, 9100);
    enabled.then_some(Listen { host, port })
}
