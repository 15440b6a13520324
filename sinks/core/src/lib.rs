//! The metrics sinks of wanctl: what a controller emits to, and what a sink author writes.
//!
//! A controller holds a [`MetricsSink`] and gives it one [`Frame`] a cycle, and an [`Event`] when
//! something happens. Neither call blocks or fails. Behind the handle stands a [`Pipeline`]: for each
//! configured sink a bounded queue and a worker thread, which writes batches to a [`SinkWriter`].
//!
//! Write a sink by depending on this crate alone:
//!
//! 1. a configuration type that implements [`SinkConfig`] and `serde::Deserialize`,
//! 2. a [`SinkWriter`] that its `open` returns,
//! 3. [`register_sink!`], which makes `type: yourkind` work in YAML,
//! 4. `use your_sink as _;` in the program, because a crate that is not named is not linked, and
//!    [`assert_linked!`] in its tests.
//!
//! `sinks/null` is the smallest complete one, and the template to copy. The [`mod@conformance`] kit (a feature
//! of that name, for tests) checks the whole contract.
//!
//! This crate does no I/O of its own, but for looking up a [`Secret`], and knows nothing of links, shapers or routers.

mod config;
#[cfg(any(feature = "conformance", doc))]
pub mod conformance;
mod counters;
mod error;
mod event;
mod frame;
mod handle;
mod issue;
mod metric;
mod pipeline;
mod queue;
mod random;
mod registry;
mod running;
mod schema_cache;
mod secret;
mod select;
mod series;
mod sink;
mod spec;
mod telemetry;
mod transform;
mod units;
mod watch;
mod worker;
mod writer;

pub use config::{OpenContext, Resource, Settings, SinkConfig};
pub use counters::{Health, SinkStats};
pub use error::{FaultClass, SinkError};
pub use event::{Details, Event, label_text};
pub use frame::{Frame, MAX_SAMPLES, Sample, Timestamp};
pub use issue::{Issue, nearest};
pub use metric::{Kind, Metric, MetricTable, Rollup, StateNames, Unit, catalogue, conflicts};
pub use pipeline::{Applied, Pipeline, PipelineOptions};
pub use queue::Overflow;
pub use registry::{ABI, ParseSettings, Registry, SinkDescriptor};
pub use schema_cache::SchemaCache;
pub use secret::{Secret, SecretError};
pub use select::{Glob, Reduce, Select};
pub use series::{Labels, Schema, SchemaError, Series};
pub use sink::{Admission, Fanout, MetricsSink};
pub use spec::{BatchOptions, QueueOptions, RetryOptions, SinkSpec, Startup};
pub use units::{format_bytes, format_duration, parse_bytes, parse_duration};
pub use writer::{Batch, Deadline, Identity, Item, Row, SinkWriter, Written};

/// What the macros need; not part of the interface.
#[doc(hidden)]
pub mod private {
    pub use inventory;
}
