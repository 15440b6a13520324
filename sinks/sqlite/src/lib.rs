//! The default sink: history in one SQLite file that any program can read while it is written.
//!
//! ```yaml
#![doc = include_str!("../sample.yaml")]
//! ```
//!
//! | setting | default | meaning |
//! |---|---|---|
//! | `path` | `/var/lib/wanctl/metrics.db` | the file; its folder is created |
//! | `retention_days` | 7 | how long samples are kept, 1 to 365 days; events stay ten times as long |
//!
//! Readers use the view `metrics`, whose first six columns are those of the original's table:
//!
//! ```sql
//! SELECT timestamp, wan_name, metric_name, value, labels, granularity, source, micros FROM metrics
//! ```
//!
//! `timestamp` is whole Unix seconds and `micros` the microseconds within it; `labels` is NULL or the
//! text of a JSON object; `granularity` is `raw`. Name a metric or a range of `timestamp` in the `WHERE`
//! clause and the query reads that part of the file only. Rust programs use [`History`].
//!
//! # What is promised
//!
//! * A batch is one transaction, on disk when the write returns (`synchronous=FULL`), so a crash or a
//!   power cut loses at most what was still in the queue.
//! * A batch that comes again, because nobody knew whether it was committed, changes nothing: a series
//!   has one value an instant, and an event is there once.
//! * Several processes may write to one file. Waiting for another one is bounded by the deadline.
//! * Opening takes the same time for any size of file. Old rows go in small slices after a commit.
//! * A damaged file is moved aside (`….corrupt-<Unix seconds>`) with its `-wal` and `-shm`, and a new
//!   one is begun. A file that belongs to another program, that never was a
//!   database, or that a later version made, is never altered.
//! * A file that is deleted or replaced while it is written is followed by a new one at the path.
//!
//! This crate does not aggregate: every row is a raw one.

mod beside;
mod config;
mod database;
mod fault;
mod history;
mod import;
mod insert;
mod places;
mod quarantine;
mod retention;
mod writer;

pub use config::SqliteConfig;
pub use history::{
    Granularity, History, HistoryError, Order, Query, Record, Rolled, Rows, SeriesName,
    SeriesSummary, StateShare, Statistics, Summary, Tiers, UnknownGranularity, summary,
};
pub use import::{Import, ImportError, ImportReport};
