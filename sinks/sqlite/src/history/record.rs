//! What is read.

use std::sync::Arc;

use wanctl_sink::Rollup;

use super::Granularity;

/// Whose values: what a row's series is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesName {
    /// The metric's full name.
    pub metric_name: String,
    /// The WAN.
    pub wan_name: String,
    /// Who recorded it; empty in files of the original.
    pub source: String,
    /// The text of a JSON object; `None` for no labels.
    pub labels: Option<String>,
}

/// One row of history.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Whole seconds of Unix time; of an interval, its first.
    pub timestamp: i64,
    /// Microseconds within the second.
    pub micros: u32,
    /// Whose value; rows of a series share it.
    pub series: Arc<SeriesName>,
    /// The value, in the metric's unit; of an interval, its mean or its most frequent state.
    pub value: f64,
    /// What the value stands for.
    pub granularity: Granularity,
    /// What else is known of an interval; `None` for raw rows, and in files of the original.
    pub rolled: Option<Rolled>,
    /// It happened once: a transition or a snapshot, with its own labels.
    pub is_event: bool,
}

/// What is kept of an interval beside its value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rolled {
    /// The least value.
    pub min: f64,
    /// The greatest value.
    pub max: f64,
    /// How many values there were.
    pub count: u64,
}

/// A series, and how it is summed up.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesInfo {
    /// What it is called.
    pub name: Arc<SeriesName>,
    /// What an interval of it comes to; of states, [`Rollup::Mode`].
    pub rollup: Rollup,
}
