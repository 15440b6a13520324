//! The `sinks:` section: what the framework reads for each sink, apart from the plugin's own settings.

use std::time::Duration;

use serde::Serialize;
use serde_yaml::{Mapping, Value};

use crate::{Issue, Overflow, Registry, Settings, SinkConfig};

const KEYS: [&str; 6] = ["type", "enabled", "startup", "queue", "batch", "settings"];

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
    /// How much waits for it.
    pub queue: QueueOptions,
    /// How much it gets at once.
    pub batch: BatchOptions,
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
    /// A smaller one is written after this time. Default 1 s.
    pub linger: Duration,
}

impl Default for BatchOptions {
    fn default() -> Self {
        BatchOptions { rows: 10_000, linger: Duration::from_secs(1) }
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
            queue: QueueOptions::default(),
            batch: BatchOptions::default(),
        }
    }

    /// Reads a `sinks:` section: a map from name to sink, in any serialisable form.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with any of them, with key paths that begin with `sinks`.
    pub fn parse_section(
        section: &impl Serialize,
        registry: &Registry,
    ) -> Result<Vec<Self>, Vec<Issue>> {
        let value = serde_yaml::to_value(section)
            .map_err(|error| vec![Issue::new("sinks", error.to_string())])?;
        let mut issues = Vec::new();
        let sinks = match &value {
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
        if issues.is_empty() { Ok(sinks) } else { Err(issues) }
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

/// One sink; what is wrong with it goes to `issues`.
fn parse_sink(
    name: &Value,
    sink: &Value,
    registry: &Registry,
    issues: &mut Vec<Issue>,
) -> Option<SinkSpec> {
    let Some(name) = name.as_str().filter(|name| is_name(name)) else {
        issues.push(Issue::value(
            "sinks",
            show(name),
            "a name of letters, digits, `_`, `-` and `.`",
        ));
        return None;
    };
    let path = format!("sinks.{name}");
    let Value::Mapping(sink) = sink else {
        issues.push(Issue::value(path, kind_of(sink), "a map with `type` and `settings`"));
        return None;
    };
    let mut found = Vec::new();
    unknown_keys("", sink, &KEYS, &mut found);
    let kind = match sink.get("type") {
        // YAML reads an unquoted `type: null` as no value; the null sink is meant.
        Some(Value::Null) => Some("null"),
        Some(Value::String(kind)) => Some(kind.as_str()),
        Some(other) => {
            found.push(Issue::value("type", kind_of(other), "the name of a kind of sink"));
            None
        }
        None => {
            let kinds: Vec<&str> = registry.iter().map(|d| d.kind).collect();
            found.push(Issue::new("type", format!("missing; accepted: {}", kinds.join(", "))));
            None
        }
    };
    let settings = Settings::from_value(sink.get("settings").cloned().unwrap_or_default());
    let config = kind.and_then(|kind| {
        let descriptor =
            registry.get(kind).map_err(|issue| found.push(issue.below("type"))).ok()?;
        (descriptor.parse)(&settings).map_err(|issue| found.push(issue.below("settings"))).ok()
    });
    if let Some(config) = &config {
        found.extend(config.check().into_iter().map(|issue| issue.below("settings")));
    }
    let enabled = flag(sink, "enabled", &mut found).unwrap_or(true);
    let startup = choice(
        sink,
        "startup",
        &[("error", Startup::Error), ("retry", Startup::Retry), ("ignore", Startup::Ignore)],
        &mut found,
    );
    let queue = section(sink, "queue", &["seconds", "full"], &mut found, |map, issues| {
        let default = QueueOptions::default();
        QueueOptions {
            seconds: number(map, "seconds", issues).unwrap_or(default.seconds),
            full: choice(
                map,
                "full",
                &[
                    ("drop_oldest", Overflow::DropOldest),
                    ("drop_newest", Overflow::DropNewest),
                    ("latest", Overflow::Latest),
                ],
                issues,
            )
            .unwrap_or_default(),
        }
    });
    let batch = section(sink, "batch", &["rows", "linger"], &mut found, |map, issues| {
        let default = BatchOptions::default();
        BatchOptions {
            rows: number(map, "rows", issues).map_or(default.rows, |rows| rows as usize),
            linger: duration(map, "linger", issues).unwrap_or(default.linger),
        }
    });
    let clean = found.is_empty();
    issues.extend(found.into_iter().map(|issue| issue.below(&path)));
    let config = config.filter(|_| clean)?;
    Some(SinkSpec {
        name: name.to_owned(),
        kind: kind.unwrap_or_default().to_owned(),
        config,
        enabled,
        startup: startup.unwrap_or_default(),
        queue: queue.unwrap_or_default(),
        batch: batch.unwrap_or_default(),
    })
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
}

fn unknown_keys(prefix: &str, map: &Mapping, known: &[&str], issues: &mut Vec<Issue>) {
    for key in map.keys() {
        let key = show(key);
        if !known.contains(&key.as_str()) {
            issues.push(Issue::unknown_key(key.clone(), &key, known).below(prefix));
        }
    }
}

fn section<T>(
    map: &Mapping,
    key: &str,
    known: &[&str],
    issues: &mut Vec<Issue>,
    read: impl FnOnce(&Mapping, &mut Vec<Issue>) -> T,
) -> Option<T> {
    match map.get(key)? {
        Value::Mapping(section) => {
            unknown_keys(key, section, known, issues);
            let mut below = Vec::new();
            let value = read(section, &mut below);
            issues.extend(below.into_iter().map(|issue| issue.below(key)));
            Some(value)
        }
        other => {
            issues.push(Issue::value(
                key,
                kind_of(other),
                format!("a map with {}", known.join(", ")),
            ));
            None
        }
    }
}

fn flag(map: &Mapping, key: &str, issues: &mut Vec<Issue>) -> Option<bool> {
    let value = map.get(key)?;
    value.as_bool().or_else(|| {
        issues.push(Issue::value(key, show(value), "true, false"));
        None
    })
}

/// A number of at least 1, which all of ours are.
fn number(map: &Mapping, key: &str, issues: &mut Vec<Issue>) -> Option<f64> {
    const MOST: f64 = 1e6;
    let value = map.get(key)?;
    value.as_f64().filter(|n| (1.0..=MOST).contains(n)).or_else(|| {
        issues.push(Issue::value(key, show(value), "a number from 1 to 1000000"));
        None
    })
}

fn choice<T: Copy>(
    map: &Mapping,
    key: &str,
    choices: &[(&str, T)],
    issues: &mut Vec<Issue>,
) -> Option<T> {
    let value = map.get(key)?;
    let chosen = value.as_str().and_then(|name| choices.iter().find(|(n, _)| *n == name));
    if chosen.is_none() {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        issues.push(Issue::value(key, show(value), names.join(", ")));
    }
    chosen.map(|(_, value)| *value)
}

/// `250ms`, `1s`, `5m`, or a number of seconds; from 10 ms to an hour.
fn duration(map: &Mapping, key: &str, issues: &mut Vec<Issue>) -> Option<Duration> {
    let value = map.get(key)?;
    let seconds = match value {
        Value::String(text) => {
            let digits = text.trim_end_matches(char::is_alphabetic);
            let unit = match &text[digits.len()..] {
                "ms" => Some(0.001),
                "s" => Some(1.0),
                "m" => Some(60.0),
                _ => None,
            };
            digits.trim().parse::<f64>().ok().zip(unit).map(|(n, unit)| n * unit)
        }
        other => other.as_f64(),
    };
    let duration = seconds.filter(|s| (0.01..=3600.0).contains(s)).map(Duration::from_secs_f64);
    if duration.is_none() {
        issues.push(Issue::value(
            key,
            show(value),
            "a duration from 10ms to 60m, such as 250ms, 1s",
        ));
    }
    duration
}

/// A key or an option for a message. What is below it may be a secret in the wrong place, so of a list
/// or a map only the kind is shown.
fn show(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        other => kind_of(other).to_owned(),
    }
}

/// What stands where a map is expected. It may hold a secret (a URL with a password), so nothing of it
/// is shown.
fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Sequence(_) => "a list",
        Value::Mapping(_) => "a map",
        Value::Tagged(_) => "a tagged value",
    }
}
