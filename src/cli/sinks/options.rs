//! The options that the framework gives every sink, in the words of the configuration.

use serde_json::{Value, json};

use crate::sink::{
    BatchOptions, Glob, Overflow, QueueOptions, Reduce, RetryOptions, Select, SinkSpec, Startup,
    format_bytes, format_duration,
};

/// One option: its key beside `type`, its default and what it means.
pub(super) struct Described {
    pub(super) key: &'static str,
    pub(super) default: String,
    pub(super) meaning: &'static str,
}

/// All of them.
pub(super) fn described() -> Vec<Described> {
    let described = |key, default, meaning| Described { key, default, meaning };
    let (queue, batch) = (QueueOptions::default(), BatchOptions::default());
    let retry = RetryOptions::default();
    vec![
        described("enabled", true.to_string(), "whether it runs: true, false"),
        described(
            "startup",
            startup(Startup::default()).to_owned(),
            "when its destination can't work: error (no start), retry (rarely), ignore (off)",
        ),
        described(
            "select.include",
            "[]".to_owned(),
            "globs of the metrics it gets; none means all",
        ),
        described("select.exclude", "[]".to_owned(), "globs of the metrics it does not get"),
        described("select.labels", "{}".to_owned(), "globs for wan, source and labels"),
        described("select.every", "none".to_owned(), "one value of a series for each such span"),
        described(
            "select.as",
            reduce(Reduce::default()).to_owned(),
            "which value that is: last, min, max, mean (states: last)",
        ),
        described("rename.prefix", "none".to_owned(), "stands before each metric's name"),
        described(
            "queue.seconds",
            queue.seconds.to_string(),
            "how many seconds of cycles wait for it at most",
        ),
        described(
            "queue.full",
            overflow(queue.full).to_owned(),
            "what goes when that is not enough: drop_oldest, drop_newest, latest (all but the newest)",
        ),
        described("batch.rows", batch.rows.to_string(), "this many rows are written at once"),
        described("batch.bytes", format_bytes(batch.bytes as u64), "so are about this many bytes"),
        described("batch.linger", format_duration(batch.linger), "fewer rows wait this long"),
        described(
            "batch.jitter",
            format_duration(batch.jitter),
            "and up to so much longer, at random; a tenth of linger",
        ),
        described("retry.initial", format_duration(retry.initial), "the pause after one failure"),
        described(
            "retry.max",
            format_duration(retry.max),
            "the longest pause; six times that for what a person has to mend",
        ),
        described("retry.max_age", format_duration(retry.max_age), "older rows are given up"),
        described(
            "timeout",
            format_duration(SinkSpec::TIMEOUT),
            "how long one call to the destination may take",
        ),
    ]
}

/// A sink's options as one line.
pub(super) fn line(spec: &SinkSpec) -> String {
    format!(
        "startup {}, queue {} s {}, batch {} rows, {} or {}",
        startup(spec.startup),
        spec.queue.seconds,
        overflow(spec.queue.full),
        spec.batch.rows,
        format_bytes(spec.batch.bytes as u64),
        format_duration(spec.batch.linger)
    )
}

/// A sink with its options and claims, without its settings.
pub(super) fn json(spec: &SinkSpec) -> Value {
    let claims: Vec<String> = spec.config.claims().iter().map(ToString::to_string).collect();
    json!({
        "name": spec.name,
        "kind": spec.kind,
        "enabled": spec.enabled,
        "startup": startup(spec.startup),
        "select": select(&spec.select),
        "rename": { "prefix": spec.prefix },
        "queue": { "seconds": spec.queue.seconds, "full": overflow(spec.queue.full) },
        "batch": {
            "rows": spec.batch.rows,
            "bytes": spec.batch.bytes,
            "linger_seconds": spec.batch.linger.as_secs_f64(),
            "jitter_seconds": spec.batch.jitter.as_secs_f64(),
        },
        "retry": {
            "initial_seconds": spec.retry.initial.as_secs_f64(),
            "max_seconds": spec.retry.max.as_secs_f64(),
            "max_age_seconds": spec.retry.max_age.as_secs_f64(),
        },
        "timeout_seconds": spec.timeout.as_secs_f64(),
        "claims": claims,
    })
}

fn select(select: &Select) -> Value {
    let globs = |globs: &[Glob]| globs.iter().map(Glob::to_string).collect::<Vec<_>>();
    let labels =
        select.labels.iter().map(|(label, patterns)| (label.clone(), json!(globs(patterns))));
    json!({
        "include": globs(&select.include),
        "exclude": globs(&select.exclude),
        "labels": labels.collect::<serde_json::Map<_, _>>(),
        "every_seconds": select.every.map(|every| every.as_secs_f64()),
        "as": reduce(select.reduce),
    })
}

fn reduce(reduce: Reduce) -> &'static str {
    match reduce {
        Reduce::Last => "last",
        Reduce::Min => "min",
        Reduce::Max => "max",
        Reduce::Mean => "mean",
    }
}

fn startup(startup: Startup) -> &'static str {
    match startup {
        Startup::Error => "error",
        Startup::Retry => "retry",
        Startup::Ignore => "ignore",
    }
}

fn overflow(overflow: Overflow) -> &'static str {
    match overflow {
        Overflow::DropOldest => "drop_oldest",
        Overflow::DropNewest => "drop_newest",
        Overflow::Latest => "latest",
    }
}
