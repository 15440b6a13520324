//! What a metric *is*: declared once, by whoever emits it, in a table that every sink and report reads.
//!
//! A table is registered at link time with [`register_metrics!`](crate::register_metrics), as sinks are.
//! `HELP` and `TYPE` lines, the way values are rolled up and the names of states all come from here.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// One metric: its name and everything a sink or a report has to know to show it.
#[derive(Debug, PartialEq)]
pub struct Metric {
    /// The full name, `wanctl_` first, the unit last (`wanctl_rtt_ms`).
    pub name: &'static str,
    /// What the value counts.
    pub unit: Unit,
    /// How the value behaves over time.
    pub kind: Kind,
    /// How many values become one in a longer interval.
    pub rollup: Rollup,
    /// One sentence for people, without a full stop.
    pub help: &'static str,
    /// Names of the values of a [`Kind::State`] metric, for each `source` that uses them.
    pub states: &'static [StateNames],
}

impl Metric {
    /// The name of a state value as `source` encodes it; `None` when there is none.
    pub fn state_name(&self, source: &str, value: f64) -> Option<&'static str> {
        let names = self.states.iter().find(|s| s.source == source)?.names;
        names.iter().enumerate().find(|(code, _)| *code as f64 == value).map(|(_, name)| *name)
    }

    /// The same metric with `prefix` before its name; itself for an empty one.
    ///
    /// It is made once for each metric and prefix, and never freed: what that takes is bounded by the
    /// prefixes that the program is ever configured with.
    pub fn with_prefix(&'static self, prefix: &str) -> &'static Metric {
        static MADE: Mutex<Vec<(String, &Metric, &Metric)>> = Mutex::new(Vec::new());

        if prefix.is_empty() {
            return self;
        }
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        let known = made.iter().find(|(before, metric, _)| before == prefix && *metric == self);
        if let Some((_, _, renamed)) = known {
            return renamed;
        }
        let name = Box::leak(format!("{prefix}{}", self.name).into_boxed_str());
        let renamed: &'static Metric = Box::leak(Box::new(Metric { name, ..*self }));
        made.push((prefix.to_owned(), self, renamed));
        renamed
    }
}

/// The state names of one emitter, in the order of their codes from 0.
#[derive(Debug, PartialEq)]
pub struct StateNames {
    /// The emitter (`autorate`, `steering`).
    pub source: &'static str,
    /// `names[code]`.
    pub names: &'static [&'static str],
}

/// What a value counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unit {
    /// A number without a unit, such as a state code.
    None,
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// Megabits (1 000 000 bit) a second.
    MegabitsPerSecond,
    /// Seconds since 1970-01-01 UTC.
    UnixSeconds,
    /// A count of things.
    Count,
}

impl Unit {
    /// The unit's usual abbreviation; empty where there is none.
    pub fn as_str(self) -> &'static str {
        match self {
            Unit::None | Unit::Count => "",
            Unit::Milliseconds => "ms",
            Unit::MegabitsPerSecond => "Mbit/s",
            Unit::Seconds | Unit::UnixSeconds => "s",
        }
    }
}

/// How a value behaves over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A level that goes up and down.
    Gauge,
    /// A sum since the program's start, which only grows; its name ends in `_total`.
    Counter,
    /// A code out of a closed list; averaging it makes no sense.
    State,
    /// Something that happened once, with details.
    Event,
}

/// How many values become one in a longer interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rollup {
    /// The arithmetic mean.
    Mean,
    /// The most frequent value; a tie goes to the larger, which is the worse state.
    Mode,
    /// The newest value.
    Last,
    /// Never rolled up.
    None,
}

/// A registered table of metrics. Made by [`register_metrics!`](crate::register_metrics).
#[derive(Debug)]
pub struct MetricTable {
    /// The crate that emits these metrics.
    pub crate_name: &'static str,
    /// The metrics, in the order reports show them.
    pub metrics: &'static [&'static Metric],
}

inventory::collect!(MetricTable);

/// Every metric of every linked emitter, by name.
///
/// Two tables may hold the same metric only if they say the same of it; see [`conflicts`].
pub fn catalogue() -> BTreeMap<&'static str, &'static Metric> {
    inventory::iter::<MetricTable>
        .into_iter()
        .flat_map(|table| table.metrics.iter().map(|metric| (metric.name, *metric)))
        .collect()
}

/// Names that two linked tables declare differently, each with the crates that do.
pub fn conflicts() -> Vec<(&'static str, &'static str, &'static str)> {
    let mut seen: BTreeMap<&str, (&Metric, &str)> = BTreeMap::new();
    let mut conflicts = Vec::new();
    for table in inventory::iter::<MetricTable> {
        for metric in table.metrics {
            match seen.insert(metric.name, (metric, table.crate_name)) {
                Some((other, crate_name)) if other != *metric => {
                    conflicts.push((metric.name, crate_name, table.crate_name));
                }
                _ => {}
            }
        }
    }
    conflicts
}

/// Registers a table of [`Metric`]s at link time.
///
/// ```
/// use wanctl_sink::{Kind, Metric, Rollup, Unit};
///
/// static QUEUE: Metric = Metric {
///     name: "wanctl_example_queue_packets",
///     unit: Unit::Count,
///     kind: Kind::Gauge,
///     rollup: Rollup::Mean,
///     help: "Packets in the example's queue",
///     states: &[],
/// };
/// wanctl_sink::register_metrics!(&[&QUEUE]);
///
/// # fn main() {
/// assert_eq!(wanctl_sink::catalogue()["wanctl_example_queue_packets"], &QUEUE);
/// # }
/// ```
#[macro_export]
macro_rules! register_metrics {
    ($table:expr) => {
        $crate::private::inventory::submit! {
            $crate::MetricTable { crate_name: env!("CARGO_PKG_NAME"), metrics: $table }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    static STATE: Metric = Metric {
        name: "wanctl_example_state",
        unit: Unit::None,
        kind: Kind::State,
        rollup: Rollup::Mode,
        help: "State of the example",
        states: &[StateNames { source: "example", names: &["GREEN", "RED"] }],
    };

    #[test]
    fn a_prefix_changes_the_name_and_nothing_else() {
        let renamed = STATE.with_prefix("edge_");
        assert_eq!(renamed, &Metric { name: "edge_wanctl_example_state", ..STATE });
        assert_eq!(renamed.state_name("example", 1.0), Some("RED"));
    }

    #[test]
    fn a_prefixed_metric_is_made_once() {
        assert!(std::ptr::eq(STATE.with_prefix("once_"), STATE.with_prefix("once_")));
        assert!(!std::ptr::eq(STATE.with_prefix("once_"), STATE.with_prefix("twice_")));
        assert!(std::ptr::eq(STATE.with_prefix(""), &STATE));
    }
}
