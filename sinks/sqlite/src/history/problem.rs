//! What may be wrong with a history file.

use std::fmt;
use std::sync::Arc;

use super::{Granularity, SeriesName};

/// A row of `chunks`, and whose rows it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkPlace {
    /// Its `id`.
    pub id: i64,
    /// The bundle whose rows it has.
    pub bundle: i64,
    /// The series of this bundle; none if nothing is known of it.
    pub series: Vec<Arc<SeriesName>>,
    /// The first second of its time by its row, in Unix time.
    pub first: i64,
    /// The last second.
    pub last: i64,
}

impl fmt::Display for ChunkPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ChunkPlace { id, bundle, series, first, last } = self;
        write!(f, "chunk {id} of ")?;
        match series.first().map(|series| &**series) {
            None => write!(f, "bundle {bundle}")?,
            Some(SeriesName { wan_name, source, .. }) => {
                let mut metrics: Vec<&str> =
                    series.iter().map(|series| &*series.metric_name).collect();
                // Series that differ in their labels only.
                metrics.dedup();
                write!(f, "{} {wan_name} {source}", metrics.join(", "))?;
            }
        }
        write!(f, ", {first} to {last}")
    }
}

/// Something in a history file that is not as it should be.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Problem {
    /// SQLite finds its own structure damaged.
    Structure {
        /// SQLite's words.
        found: String,
    },
    /// A chunk can't be decoded; its rows are lost.
    ChunkDamaged {
        /// Which one.
        chunk: ChunkPlace,
        /// What is wrong with it.
        reason: String,
    },
    /// A chunk does not hold what its row says.
    ChunkMismatch {
        /// Which one.
        chunk: ChunkPlace,
        /// The column of its row.
        column: &'static str,
        /// What the column says.
        stored: i64,
        /// What is in the chunk.
        found: i64,
    },
    /// A chunk's rows are not in the order of time.
    ChunkDisordered {
        /// Which one.
        chunk: ChunkPlace,
    },
    /// Two chunks of a bundle are of the same time.
    ChunksOverlap {
        /// The earlier one.
        chunk: ChunkPlace,
        /// The later one.
        other: ChunkPlace,
    },
    /// A row that is not sealed has another value than the sealed row of the same instant.
    TwoValues {
        /// Whose value.
        series: Arc<SeriesName>,
        /// Whole seconds of Unix time.
        timestamp: i64,
        /// Microseconds within the second.
        micros: u32,
        /// The sealed value.
        sealed: f64,
        /// The other one.
        hot: f64,
    },
    /// An interval does not begin where intervals of its length do.
    OffBoundary {
        /// Whose interval.
        series: Arc<SeriesName>,
        /// Its length.
        granularity: Granularity,
        /// Its first second.
        start: i64,
    },
    /// An interval is missing, though what it is made of is there.
    IntervalMissing {
        /// Whose interval.
        series: Arc<SeriesName>,
        /// Its length.
        granularity: Granularity,
        /// Its first second.
        start: i64,
    },
    /// An interval is not what its rows come to.
    IntervalMismatch {
        /// Whose interval.
        series: Arc<SeriesName>,
        /// Its length.
        granularity: Granularity,
        /// Its first second.
        start: i64,
        /// The column.
        column: &'static str,
        /// What the column says.
        stored: f64,
        /// What the rows come to.
        found: f64,
    },
    /// An interval is there more than once; in files of the original only.
    IntervalTwice {
        /// Whose interval.
        series: Arc<SeriesName>,
        /// Its length.
        granularity: Granularity,
        /// Its first second.
        start: i64,
        /// How often.
        times: u64,
    },
    /// Rows with a granularity that is not known; in files of the original only.
    UnknownTier {
        /// The text in the column `granularity`.
        granularity: String,
        /// How many rows have it.
        rows: u64,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Structure { found } => write!(f, "the file's structure: {found}"),
            Problem::ChunkDamaged { chunk, reason } => {
                write!(f, "{chunk}: can't be read: {reason}")
            }
            Problem::ChunkMismatch { chunk, column, stored, found } => {
                write!(f, "{chunk}: {column} is {stored}, but the chunk has {found}")
            }
            Problem::ChunkDisordered { chunk } => {
                write!(f, "{chunk}: its rows are not in the order of time")
            }
            Problem::ChunksOverlap { chunk, other } => {
                write!(f, "{chunk}, and {other}: they are of the same time")
            }
            Problem::TwoValues { series, timestamp, micros, sealed, hot } => write!(
                f,
                "{}: two values at {timestamp}.{micros:06}, {sealed} sealed and {hot} not sealed",
                name(series)
            ),
            Problem::OffBoundary { series, granularity, start } => {
                write!(f, "{}: an interval of {granularity} begins at {start}", name(series))
            }
            Problem::IntervalMissing { series, granularity, start } => {
                write!(f, "{}: the interval of {granularity} at {start} is missing", name(series))
            }
            Problem::IntervalMismatch { series, granularity, start, column, stored, found } => {
                write!(
                    f,
                    "{}: {column} of the interval of {granularity} at {start} is {stored}, \
                     but its rows come to {found}",
                    name(series)
                )
            }
            Problem::IntervalTwice { series, granularity, start, times } => write!(
                f,
                "{}: the interval of {granularity} at {start} is there {times} times",
                name(series)
            ),
            Problem::UnknownTier { granularity, rows } => {
                write!(f, "{rows} rows have the unknown granularity {granularity:?}")
            }
        }
    }
}

fn name(series: &SeriesName) -> String {
    let parts = [&series.metric_name, &series.wan_name, &series.source];
    let labels = series.labels.iter();
    let parts: Vec<&str> = parts
        .into_iter()
        .chain(labels)
        .map(String::as_str)
        .filter(|part| !part.is_empty())
        .collect();
    parts.join(" ")
}
