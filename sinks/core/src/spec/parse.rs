//! One sink of the `sinks:` section: which options there are and what they may be.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_yaml::Value;

use super::reader::{Reader, kind_of, show};
use super::{BatchOptions, Origin, QueueOptions, RetryOptions, SinkSpec, Startup};
use crate::{Issue, Overflow, Reduce, Registry, Select, Settings, format_duration};

const KEYS: [&str; 10] = [
    "type", "enabled", "startup", "select", "rename", "queue", "batch", "retry", "timeout",
    "settings",
];

const SHORTEST: Duration = Duration::from_millis(10);
const HOUR: Duration = Duration::from_secs(3600);
const MAX_AGE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(7 * 86_400));
const TIMEOUTS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(300));
const BYTES: (usize, usize) = (1 << 10, 1 << 30);

/// One sink; what is wrong with it goes to `issues`, and options that are wrong are at their defaults.
/// `None` if even its settings can't be told.
pub(super) fn parse_sink(
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
    let mut reader = Reader::new(sink, &KEYS);
    let spec = read(name, &mut reader, registry);
    issues.extend(reader.issues.into_iter().map(|issue| issue.below(&path)));
    spec
}

/// The sink's options, each at its default where something is wrong with it.
fn read(name: &str, sink: &mut Reader<'_>, registry: &Registry) -> Option<SinkSpec> {
    let kind = kind(sink, registry);
    let settings = Settings::from_value(sink.map.get("settings").cloned().unwrap_or_default());
    let config = kind.and_then(|kind| {
        let found = &mut sink.issues;
        let descriptor =
            registry.get(kind).map_err(|issue| found.push(issue.below("type"))).ok()?;
        let below = |issue: Issue| issue.below("settings");
        (descriptor.parse)(&settings)
            .map_err(|issues| found.extend(issues.into_iter().map(below)))
            .ok()
    });
    if let Some(config) = &config {
        sink.issues.extend(config.check().into_iter().map(|issue| issue.below("settings")));
    }
    let enabled = sink.flag("enabled").unwrap_or(true);
    let startup = sink.choice(
        "startup",
        &[("error", Startup::Error), ("retry", Startup::Retry), ("ignore", Startup::Ignore)],
    );
    let select =
        sink.section("select", &["include", "exclude", "labels", "every", "as"], read_select);
    let prefix = sink.section("rename", &["prefix"], |rename| {
        let accepted =
            "the beginning of a metric's name: letters, digits, `_` and `:`, no digit first";
        rename.text("prefix", accepted, is_prefix)
    });
    let queue = sink.section("queue", &["seconds", "full"], read_queue);
    let batch = sink.section("batch", &["rows", "bytes", "linger", "jitter"], read_batch);
    let retry = sink.section("retry", &["initial", "max", "max_age"], read_retry);
    let timeout = sink.duration("timeout", TIMEOUTS.0, TIMEOUTS.1);
    Some(SinkSpec {
        name: name.to_owned(),
        kind: kind.unwrap_or_default().to_owned(),
        config: config?,
        enabled,
        startup: startup.unwrap_or_default(),
        select: select.unwrap_or_default(),
        prefix: prefix.flatten().unwrap_or_default(),
        queue: queue.unwrap_or_default(),
        batch: batch.unwrap_or_default(),
        retry: retry.unwrap_or_default(),
        timeout: timeout.unwrap_or(SinkSpec::TIMEOUT),
        origin: Origin::Read(settings),
    })
}

fn kind<'a>(sink: &mut Reader<'a>, registry: &Registry) -> Option<&'a str> {
    match sink.map.get("type") {
        // YAML reads an unquoted `type: null` as no value; the null sink is meant.
        Some(Value::Null) => Some("null"),
        Some(Value::String(kind)) => Some(kind.as_str()),
        Some(other) => sink.wrong("type", kind_of(other), "the name of a kind of sink"),
        None => {
            let kinds: Vec<&str> = registry.iter().map(|d| d.kind).collect();
            let missing = format!("missing; accepted: {}", kinds.join(", "));
            sink.issues.push(Issue::new("type", missing));
            None
        }
    }
}

fn read_select(select: &mut Reader<'_>) -> Select {
    let (include, exclude) = (select.globs("include"), select.globs("exclude"));
    let names: Vec<&str> = match select.map.get("labels") {
        Some(Value::Mapping(labels)) => labels.keys().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    // Any label may be named, so every key that is text is known.
    let labels = match select.map.get("labels") {
        Some(Value::Mapping(_)) | None => select.section("labels", &names, |labels| {
            let mut globs_of = BTreeMap::new();
            for name in &names {
                let globs = labels.globs(name);
                if globs.as_ref().is_some_and(Vec::is_empty) {
                    labels.wrong::<()>(name, "an empty list", "at least one glob");
                }
                globs_of.insert((*name).to_owned(), globs.unwrap_or_default());
            }
            globs_of
        }),
        Some(other) => select.wrong("labels", kind_of(other), "a map from label to globs"),
    };
    let reduce = select.choice(
        "as",
        &[
            ("last", Reduce::Last),
            ("min", Reduce::Min),
            ("max", Reduce::Max),
            ("mean", Reduce::Mean),
        ],
    );
    if select.map.contains_key("as") && !select.map.contains_key("every") {
        select.issues.push(Issue::new("as", "means nothing without `every`"));
    }
    Select {
        include: include.unwrap_or_default(),
        exclude: exclude.unwrap_or_default(),
        labels: labels.unwrap_or_default(),
        every: select.duration("every", SHORTEST, HOUR),
        reduce: reduce.unwrap_or_default(),
    }
}

fn read_queue(queue: &mut Reader<'_>) -> QueueOptions {
    let default = QueueOptions::default();
    QueueOptions {
        seconds: queue.number("seconds").unwrap_or(default.seconds),
        full: queue
            .choice(
                "full",
                &[
                    ("drop_oldest", Overflow::DropOldest),
                    ("drop_newest", Overflow::DropNewest),
                    ("latest", Overflow::Latest),
                ],
            )
            .unwrap_or_default(),
    }
}

fn read_batch(batch: &mut Reader<'_>) -> BatchOptions {
    let default = BatchOptions::default();
    let rows = batch.number("rows").map_or(default.rows, |rows| rows as usize);
    let bytes = batch.bytes("bytes", BYTES.0, BYTES.1).unwrap_or(default.bytes);
    let linger = batch.duration("linger", SHORTEST, HOUR).unwrap_or(default.linger);
    let jitter = batch.duration("jitter", Duration::ZERO, linger).unwrap_or(linger / 10);
    BatchOptions { rows, bytes, linger, jitter }
}

fn read_retry(retry: &mut Reader<'_>) -> RetryOptions {
    let default = RetryOptions::default();
    let initial = retry.duration("initial", SHORTEST, HOUR).unwrap_or(default.initial);
    let max = retry.duration("max", SHORTEST, HOUR).unwrap_or(default.max);
    if initial > max && retry.issues.is_empty() {
        let accepted = format!("at most `max`, which is {}", format_duration(max));
        retry.wrong::<()>("initial", format_duration(initial), accepted);
    }
    let max_age = retry.duration("max_age", MAX_AGE.0, MAX_AGE.1).unwrap_or(default.max_age);
    RetryOptions { initial, max, max_age }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
}

/// Whether a metric's name that begins with it is one that every destination takes.
fn is_prefix(prefix: &str) -> bool {
    !prefix.starts_with(|c: char| c.is_ascii_digit())
        && prefix.chars().all(|c| c.is_ascii_alphanumeric() || "_:".contains(c))
}
