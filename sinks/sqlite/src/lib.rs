//! The default sink: history in one SQLite file that any program can read while it is written.
//!
//! ```yaml
#![doc = include_str!("../sample.yaml")]
//! ```
//!
//! | setting | default | meaning |
//! |---|---|---|
//! | `path` | `/var/lib/wanctl/metrics.db` | the file; its folder is created |
//! | `hot` | 24h | for so long, plain SQL reads every sample; older ones are compressed |
//! | `retention` | raw: 7d, 1m: 30d, 5m: 90d, 1h: 730d, events: 365d | how long each tier is kept |
//! | `retention_days` | | the original's name for `retention.raw`, in days |
//! | `max_bytes` | 1GiB | when the file would be larger, the oldest rows go |
//!
//! Readers use the view `metrics`, whose first six columns are those of the original's table:
//!
//! ```sql
//! SELECT timestamp, wan_name, metric_name, value, labels, granularity, source, micros FROM metrics
//! ```
//!
//! `timestamp` is whole Unix seconds and `micros` the microseconds within it; `labels` is NULL or the
//! text of a JSON object; `granularity` is `raw`, `1m`, `5m` or `1h`, so name one in the `WHERE` clause. Of
//! an interval, `value` is the mean, or the most frequent state, and the columns `min`, `max` and `count`
//! tell the rest. Raw rows are there for the hot window; older ones stand compressed in the table `chunks`,
//! which says which seconds are where. Name a metric or a range of `timestamp` too, and the query reads
//! that part of the file only. Rust programs use [`History`], which reads all of it.
//! [`Import`] puts what the original has recorded into such a file.
//!
//! # What is promised
//!
//! * A batch is one transaction, on disk when the write returns (`synchronous=FULL`), so a crash or a
//!   power cut loses at most what was still in the queue.
//! * A batch that comes again, because nobody knew whether it was committed, changes nothing: a series
//!   has one value an instant, and an event is there once.
//! * Several processes may write to one file. Waiting for another one is bounded by the deadline.
//! * Opening takes the same time for any size of file. Roll-ups, compression and retention are done in
//!   slices after a commit, by one of the processes that write to the file.
//! * Every value comes back as it was recorded, from every tier of age; an interval is made of all rows
//!   of its time, late ones too, and raw rows go only after their intervals were made.
//! * A damaged file is moved aside (`….corrupt-<Unix seconds>`) with its `-wal` and `-shm`, and a new
//!   one is begun. A file that belongs to another program, that never was a
//!   database, or that a later version made, is never altered.
//! * A file that is deleted or replaced while it is written is followed by a new one at the path.

mod beside;
mod bundle;
mod cell;
mod chunk;
mod compact;
mod config;
mod database;
mod fault;
mod frames;
mod history;
mod import;
mod insert;
mod maintenance;
mod places;
mod quarantine;
mod writer;

pub use compact::{CompactError, Compacted, compact};
pub use config::{Retention, SqliteConfig};
pub use history::{
    ChunkPlace, Granularity, History, HistoryError, Order, Problem, Query, Rate, Record, Records,
    Rolled, Rows, SeriesInfo, SeriesName, SeriesSummary, StateShare, Statistics, Stats, Summary,
    Tier, TierStats, Tiers, UnknownGranularity, VerifyProgress, VerifyStep, summary,
};
pub use import::{Import, ImportError, ImportReport};
