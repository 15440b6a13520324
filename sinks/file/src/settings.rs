//! What `settings:` of a file sink is read into. Nothing is opened here.

use std::fmt::{self, Display};
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use wanctl_sink::{Issue, parse_bytes, parse_duration};

use crate::Format;

const SIZE: &str =
    "a size above 0: a number of bytes, or text such as 50MiB (kB, MB, GB, KiB, MiB, GiB)";
const AGE: &str = "a duration from 1s to 3650d, such as 12h, 1d (s, m, h, d)";
const KEEP: &str = "a whole number from 1 to 100";
const FSYNC: &str = "`flush`, `never`, `batch`, or a duration from 10ms to 1d, such as 500ms, 5s";
const DAY: Duration = Duration::from_secs(86_400);

/// What `settings:` of a file sink is read into.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileConfig {
    /// The file to append to.
    pub path: PathBuf,
    /// How a row is written. Default: one JSON object a line.
    #[serde(default)]
    pub format: Format,
    /// When the file makes room for a new one. Default: never.
    #[serde(default)]
    pub rotate: Option<Rotate>,
    /// When rows are made safe from a crash of the machine. Default: at each flush.
    #[serde(default)]
    pub fsync: Fsync,
}

impl FileConfig {
    /// The file at `path`, everything else at its default.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        FileConfig {
            path: path.into(),
            format: Format::default(),
            rotate: None,
            fsync: Fsync::default(),
        }
    }

    pub(crate) fn issues(&self) -> Vec<Issue> {
        let mut issues = Vec::new();
        if self.path.as_os_str().is_empty() {
            issues.push(Issue::value("path", "nothing", "the path of a file"));
        }
        if self.rotate.as_ref().is_some_and(|r| r.max_bytes.is_none() && r.max_age.is_none()) {
            let accepted = "`max_bytes`, `max_age` or both";
            issues.push(Issue::value("rotate", "no limit", accepted));
        }
        issues
    }
}

/// `rotate:` When a file is moved to `path.1`, and what becomes of those that were there.
///
/// At least one of the limits is needed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotate {
    /// Bytes: a batch that would make the file longer goes to a new one. Default: no limit.
    #[serde(default, deserialize_with = "max_bytes")]
    pub max_bytes: Option<u64>,
    /// From the first row of a file to the first of a batch; a batch this much later goes to a new file.
    /// Default: no limit.
    #[serde(default, deserialize_with = "max_age")]
    pub max_age: Option<Duration>,
    /// How many rotated files are kept, 1 to 100. Default 5.
    #[serde(default = "five", deserialize_with = "keep")]
    pub keep: u32,
    /// Whether rotated files are compressed. Default: they are not.
    #[serde(default)]
    pub compress: Compress,
}

/// Whether rotated files are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Compress {
    /// They stay as they are.
    #[default]
    None,
    /// By gzip, to `path.1.gz`.
    Gzip,
}

/// When rows are made safe from a crash of the machine. A crash of the program loses none that are
/// written, whatever stands here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fsync {
    /// When the program flushes its sinks, at the end and before a rotation.
    #[default]
    Flush,
    /// When the system likes.
    Never,
    /// After each batch, before it counts as written; and at each flush.
    Batch,
    /// After the first batch that is this much later than the last one made safe, by the time of its
    /// rows; and at each flush.
    Every(Duration),
}

impl<'de> Deserialize<'de> for Fsync {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar(deserializer, FSYNC, |text| match text {
            "flush" => Some(Fsync::Flush),
            "never" => Some(Fsync::Never),
            "batch" => Some(Fsync::Batch),
            other => duration(other, Duration::from_millis(10), DAY).map(Fsync::Every),
        })
    }
}

fn five() -> u32 {
    5
}

fn max_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    scalar(deserializer, SIZE, parse_bytes).map(Some)
}

fn max_age<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    scalar(deserializer, AGE, |text| duration(text, Duration::from_secs(1), 3650 * DAY)).map(Some)
}

fn keep<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    scalar(deserializer, KEEP, |text| text.parse().ok().filter(|n| (1..=100).contains(n)))
}

/// A duration from `shortest` to `longest`.
fn duration(text: &str, shortest: Duration, longest: Duration) -> Option<Duration> {
    parse_duration(text).filter(|duration| (shortest..=longest).contains(duration))
}

/// Reads text or a number by its text, and says what is accepted instead of everything else.
fn scalar<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    accepted: &'static str,
    parse: fn(&str) -> Option<T>,
) -> Result<T, D::Error> {
    deserializer.deserialize_any(Scalar { accepted, parse })
}

struct Scalar<T> {
    accepted: &'static str,
    parse: fn(&str) -> Option<T>,
}

impl<T> Scalar<T> {
    fn read<E: Error>(self, found: impl Display) -> Result<T, E> {
        let text = found.to_string();
        (self.parse)(&text)
            .ok_or_else(|| E::custom(format!("found {text}; accepted: {}", self.accepted)))
    }
}

impl<T> Visitor<'_> for Scalar<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.accepted)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        self.read(text)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        self.read(number)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        self.read(number)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<T, E> {
        self.read(number)
    }
}
