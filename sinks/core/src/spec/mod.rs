//! The `sinks:` section: what the framework reads for each sink, apart from the plugin's own settings.

mod parse;
mod reader;

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_yaml::Value;

use self::parse::parse_sink;
use self::reader::kind_of;
use crate::pipeline;
use crate::{Issue, Overflow, Registry, Select, Settings, SinkConfig, format_duration};

/// The most that `queue.seconds` may be: more than eleven days.
pub(crate) const MOST_SECONDS: f64 = 1e6;

/// One sink as configured.
#[derive(Clone, Debug)]
pub struct SinkSpec {
    /// Its name: the key below `sinks:`.
    pub name: String,
    /// Its kind: `type:`.
    pub kind: String,
    /// The plugin's part.
    pub config: Box<dyn SinkConfig>,
    /// Whether it runs. Default true.
    pub enabled: bool,
    /// What a destination that can't work means for the program's start.
    pub startup: Startup,
    /// Which rows it gets. Default all.
    pub select: Select,
    /// What stands before each metric's name at the destination: `rename.prefix`, of letters, digits, `_`
    /// and `:`. Default nothing.
    pub prefix: String,
    /// How much waits for it.
    pub queue: QueueOptions,
    /// How much it gets at once.
    pub batch: BatchOptions,
    /// When what failed is tried again.
    pub retry: RetryOptions,
    /// How long one call to the destination may take, 100 ms to 5 min. Default 5 s.
    pub timeout: Duration,
    /// Where the plugin's part comes from, which tells whether two are the same.
    origin: Origin,
}

/// What a plugin's part was made of.
#[derive(Clone, Debug)]
enum Origin {
    /// `settings:` as written.
    Read(Settings),
    /// Made in code; clones share it.
    Made(Arc<()>),
}

/// `queue:`
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QueueOptions {
    /// How many seconds of frames wait at most. Default 60.
    pub seconds: f64,
    /// What happens when that is not enough. Default `drop_oldest`.
    pub full: Overflow,
}

impl Default for QueueOptions {
    fn default() -> Self {
        QueueOptions { seconds: 60.0, full: Overflow::DropOldest }
    }
}

/// `batch:`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchOptions {
    /// A batch with this many rows is written at once. Default 10 000.
    pub rows: usize,
    /// So is one with this many bytes, as [`Item::bytes`](crate::Item::bytes) counts them; 1 KiB to 1 GiB.
    /// Default 1 MiB.
    pub bytes: usize,
    /// A smaller one is written after this time. Default 1 s.
    pub linger: Duration,
    /// Each batch lingers longer by a random part of this, so that many routers don't write in step; at
    /// most [`linger`](Self::linger). Default a tenth of it.
    pub jitter: Duration,
}

impl Default for BatchOptions {
    fn default() -> Self {
        let linger = Duration::from_secs(1);
        BatchOptions { rows: 10_000, bytes: 1 << 20, linger, jitter: linger / 10 }
    }
}

/// `retry:`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryOptions {
    /// The pause after the first failure; it doubles with each further one. 10 ms to
    /// [`max`](Self::max). Default 50 ms.
    pub initial: Duration,
    /// The longest pause, up to 1 h. Default 5 s.
    pub max: Duration,
    /// Rows older than this are given up instead of being tried again, 1 s to 7 d. Default 1 h.
    pub max_age: Duration,
}

impl Default for RetryOptions {
    fn default() -> Self {
        RetryOptions {
            initial: Duration::from_millis(50),
            max: Duration::from_secs(5),
            max_age: Duration::from_secs(3600),
        }
    }
}

/// `startup:` What happens when the destination can't work: a path that can't exist, a missing permission.
///
/// A destination that is only busy, full or unreachable is tried again in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Startup {
    /// The program does not start. The default.
    #[default]
    Error,
    /// The sink is tried again, rarely.
    Retry,
    /// The sink is off; its rows are counted as rejected.
    Ignore,
}

impl SinkSpec {
    /// [`timeout`](Self::timeout) where it is not set: 5 s.
    pub const TIMEOUT: Duration = Duration::from_secs(5);

    /// A sink with default options.
    pub fn new(
        name: impl Into<String>,
        kind: impl Into<String>,
        config: Box<dyn SinkConfig>,
    ) -> Self {
        SinkSpec {
            name: name.into(),
            kind: kind.into(),
            config,
            enabled: true,
            startup: Startup::default(),
            select: Select::default(),
            prefix: String::new(),
            queue: QueueOptions::default(),
            batch: BatchOptions::default(),
            retry: RetryOptions::default(),
            timeout: Self::TIMEOUT,
            origin: Origin::Made(Arc::new(())),
        }
    }

    /// Whether a sink that runs as `other` would run the same as this.
    pub(crate) fn is_as_before(&self, other: &Self) -> bool {
        let origin = match (&self.origin, &other.origin) {
            (Origin::Read(one), Origin::Read(other)) => one == other,
            (Origin::Made(one), Origin::Made(other)) => Arc::ptr_eq(one, other),
            _ => false,
        };
        origin && self.kind == other.kind && self.has_same_options(other)
    }

    /// Whether both have the same options; the name, the kind, the plugin's part and
    /// [`enabled`](Self::enabled) are not compared.
    pub fn has_same_options(&self, other: &Self) -> bool {
        self.startup == other.startup
            && self.select == other.select
            && self.prefix == other.prefix
            && self.queue == other.queue
            && self.batch == other.batch
            && self.retry == other.retry
            && self.timeout == other.timeout
    }

    /// Options that can't work, with their key paths: what code may set and YAML can't.
    pub(crate) fn check_options(&self) -> Vec<Issue> {
        let (batch, retry) = (&self.batch, &self.retry);
        let hour = Duration::from_secs(3600);
        let short = |key, value: Duration, most: Duration| {
            let accepted = format!("at most {}", format_duration(most));
            (value > most).then(|| Issue::value(key, format!("{value:?}"), accepted))
        };
        let some = |key, is_some: bool| (!is_some).then(|| Issue::value(key, 0, "more than 0"));
        let seconds = self.queue.seconds;
        let seconds = (!(seconds > 0.0 && seconds <= MOST_SECONDS)).then(|| {
            Issue::value("queue.seconds", seconds, format!("more than 0, at most {MOST_SECONDS}"))
        });
        let issues = [
            seconds,
            some("batch.rows", batch.rows > 0),
            some("batch.bytes", batch.bytes > 0),
            short("batch.linger", batch.linger, hour),
            short("batch.jitter", batch.jitter, hour),
            some("retry.initial", !retry.initial.is_zero()),
            short("retry.initial", retry.initial, retry.max),
            short("retry.max", retry.max, hour),
            some("timeout", !self.timeout.is_zero()),
            short("timeout", self.timeout, hour),
            short("select.every", self.select.every.unwrap_or_default(), hour),
        ];
        issues.into_iter().flatten().collect()
    }

    /// Reads a `sinks:` section: a map from name to sink, in any serialisable form.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with any of them, with key paths that begin with `sinks`; then also two of
    /// them that want one file or port. (If that is all, [`Pipeline::check`](crate::Pipeline::check) says so.)
    pub fn parse_section(
        section: &impl Serialize,
        registry: &Registry,
    ) -> Result<Vec<Self>, Vec<Issue>> {
        let value = serde_yaml::to_value(section)
            .map_err(|error| vec![Issue::new("sinks", error.to_string())])?;
        let mut issues = Vec::new();
        let sinks: Vec<Self> = match &value {
            Value::Null => Vec::new(),
            Value::Mapping(sinks) => sinks
                .iter()
                .filter_map(|(name, sink)| parse_sink(name, sink, registry, &mut issues))
                .collect(),
            other => {
                issues.push(Issue::value("sinks", kind_of(other), "a map from name to sink"));
                Vec::new()
            }
        };
        if issues.is_empty() {
            return Ok(sinks);
        }
        // Without mistakes it is left to the pipeline, which knows all sections.
        let checked: Vec<Self> =
            sinks.into_iter().filter(|sink| sink.config.check().is_empty()).collect();
        issues.extend(pipeline::conflicts(&checked));
        Err(issues)
    }

    /// Reads a `sinks:` section from YAML text, as [`parse_section`](Self::parse_section).
    ///
    /// # Errors
    ///
    /// As there, and text that is not YAML.
    pub fn parse_yaml(text: &str, registry: &Registry) -> Result<Vec<Self>, Vec<Issue>> {
        let value: Value = serde_yaml::from_str(text)
            .map_err(|error| vec![Issue::new("sinks", error.to_string())])?;
        Self::parse_section(&value, registry)
    }
}
