//! A sink that writes each row to the program's log, as one `tracing` event.
//!
//! ```yaml
#![doc = include_str!("../sample.yaml")]
//! ```
//!
//! | setting | default | meaning |
//! |---|---|---|
//! | `level` | `debug` | the level of the rows: `trace`, `debug` or `info` |
//!
//! The target is [`TARGET`], so that rows can be switched on and off apart from everything else. Fields
//! are `metric`, `wan`, `source`, `value` and, where there are any, `labels` (the text of a JSON object).
//!
//! Where events go, and whether rows of this level are shown, is up to the subscriber of the program; a
//! row that it does not show counts as delivered. This sink installs no subscriber, and keeps nothing.

use serde::Deserialize;
use wanctl_sink::{
    Batch, Deadline, FaultClass, OpenContext, Row, SinkConfig, SinkError, SinkWriter, Written,
    register_sink,
};

/// The target of every event this sink makes.
pub const TARGET: &str = "wanctl::sink::log";

register_sink! {
    "log" => LogConfig,
    summary: "Writes rows to the program's log",
    sample: include_str!("../sample.yaml"),
}

/// What `settings:` of a log sink is read into.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// The level of the rows.
    #[serde(default)]
    pub level: Level,
}

/// The level of a row in the log. Rows are no warnings and no errors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Below everything else.
    Trace,
    /// Off in the program's usual log; the default.
    #[default]
    Debug,
    /// Shown in the program's usual log.
    Info,
}

impl SinkConfig for LogConfig {
    fn open(&self, _: &OpenContext) -> Result<Box<dyn SinkWriter>, SinkError> {
        Ok(Box::new(LogWriter { level: self.level }))
    }
}

struct LogWriter {
    level: Level,
}

impl SinkWriter for LogWriter {
    fn write(&mut self, batch: &Batch<'_>, deadline: Deadline) -> Written {
        if deadline.is_over() {
            return Written::Failed(SinkError::new(FaultClass::Cancelled, "no time left to write"));
        }
        for row in batch.rows() {
            log(self.level, &row);
        }
        Written::All
    }
}

/// Levels are part of an event's static description, so there is one event for each.
fn log(level: Level, row: &Row<'_>) {
    macro_rules! event {
        ($level:expr) => {
            tracing::event!(
                target: TARGET,
                $level,
                metric = row.metric().name,
                wan = row.wan(),
                source = row.source(),
                value = row.value,
                labels = row.label_text().as_deref(),
                "Row."
            )
        };
    }
    match level {
        Level::Trace => event!(tracing::Level::TRACE),
        Level::Debug => event!(tracing::Level::DEBUG),
        Level::Info => event!(tracing::Level::INFO),
    }
}
