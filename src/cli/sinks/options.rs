//! The options that the framework gives every sink, in the words of the configuration.

use serde_json::{Value, json};

use crate::sink::{BatchOptions, Overflow, QueueOptions, SinkSpec, Startup};

/// One option: its key beside `type`, its default and what it means.
pub(super) struct Described {
    pub(super) key: &'static str,
    pub(super) default: String,
    pub(super) meaning: &'static str,
}

/// All of them.
pub(super) fn described() -> [Described; 6] {
    let described = |key, default, meaning| Described { key, default, meaning };
    let (queue, batch) = (QueueOptions::default(), BatchOptions::default());
    [
        described("enabled", true.to_string(), "whether it runs: true, false"),
        described(
            "startup",
            startup(Startup::default()).to_owned(),
            "when its destination can't work: error (no start), retry (rarely), ignore (off)",
        ),
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
        described("batch.linger", format!("{:?}", batch.linger), "fewer rows wait this long"),
    ]
}

/// A sink's options as one line.
pub(super) fn line(spec: &SinkSpec) -> String {
    format!(
        "startup {}, queue {} s {}, batch {} rows or {:?}",
        startup(spec.startup),
        spec.queue.seconds,
        overflow(spec.queue.full),
        spec.batch.rows,
        spec.batch.linger
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
        "queue": { "seconds": spec.queue.seconds, "full": overflow(spec.queue.full) },
        "batch": { "rows": spec.batch.rows, "linger_seconds": spec.batch.linger.as_secs_f64() },
        "claims": claims,
    })
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
