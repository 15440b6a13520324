//! How the sinks themselves are: the accounts of each as metrics, sent through the same pipeline.
//!
//! A fixed number of rows per sink and interval, whatever goes wrong, so that failures can't multiply
//! themselves.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::counters::Health;
use crate::running::RunningSink;
use crate::{
    Frame, Kind, Metric, MetricsSink, Rollup, Schema, SchemaError, Series, StateNames, Timestamp,
    Unit,
};

/// Who emits these metrics.
const SOURCE: &str = "sinks";
/// They belong to no WAN.
const WAN: &str = "daemon";

/// The metrics of one sink, in the order of the values that `values` takes.
macro_rules! table {
    ($($name:literal, $unit:ident, $kind:ident, $rollup:ident, $states:expr, $help:literal;)*) => {
        const METRICS: &[&Metric] = &[$(&Metric {
            name: concat!("wanctl_sink_", $name),
            unit: Unit::$unit,
            kind: Kind::$kind,
            rollup: Rollup::$rollup,
            help: $help,
            states: $states,
        }),*];
    };
}

table! {
    "offered_rows_total", Count, Counter, Last, &[], "Rows that controllers emitted";
    "filtered_rows_total", Count, Counter, Last, &[], "Rows that select keeps from the sink or every made one of";
    "evicted_rows_total", Count, Counter, Last, &[], "Rows that a full queue gave up";
    "expired_rows_total", Count, Counter, Last, &[], "Rows that waited longer than max_age";
    "delivered_rows_total", Count, Counter, Last, &[], "Rows that are at the destination";
    "rejected_rows_total", Count, Counter, Last, &[], "Rows that can't be recorded";
    "quarantined_rows_total", Count, Counter, Last, &[], "Rows put aside because they make the sink panic";
    "lost_at_shutdown_rows_total", Count, Counter, Last, &[], "Rows that were not written before a shutdown's deadline";
    "redelivered_rows_total", Count, Counter, Last, &[], "Delivered rows that a failed call had carried before";
    "failures_total", Count, Counter, Last, &[], "Calls to the destination that failed";
    "panics_total", Count, Counter, Last, &[], "Panics of the sink's code";
    "replaced_threads_total", Count, Counter, Last, &[], "Threads left behind in a call that hung";
    "queued_rows", Count, Gauge, Mean, &[], "Rows in the queue";
    "in_flight_rows", Count, Gauge, Mean, &[], "Rows taken off the queue and not at the destination yet";
    "oldest_row_seconds", Seconds, Gauge, Mean, &[], "Age of the oldest row in flight";
    "longest_call_seconds", Seconds, Gauge, Mean, &[], "The longest call to the destination since the last report";
    "breaker", None, State, Mode, BREAKER, "Whether calls go through: closed, half open, open";
    "health", None, State, Mode, HEALTH, "How the sink is";
}

const BREAKER: &[StateNames] =
    &[StateNames { source: SOURCE, names: &["closed", "half_open", "open"] }];
const HEALTH: &[StateNames] = &[StateNames { source: SOURCE, names: &Health::NAMES }];

crate::register_metrics!(METRICS);

/// Makes frames of accounts.
#[derive(Default)]
pub(crate) struct Reporter {
    /// By the sink's name and kind.
    schemas: HashMap<(String, String), Arc<Schema>>,
}

impl Reporter {
    /// Emits one frame for each sink.
    ///
    /// # Errors
    ///
    /// None that could happen: the schema of a sink is well formed.
    pub(crate) fn report(
        &mut self,
        sinks: &[Arc<RunningSink>],
        at: Timestamp,
        clock_ms: u64,
        to: &dyn MetricsSink,
    ) -> Result<(), SchemaError> {
        self.schemas.retain(|(name, kind), _| {
            sinks.iter().any(|sink| sink.spec.name == *name && sink.spec.kind == *kind)
        });
        for (position, sink) in sinks.iter().enumerate() {
            let (name, kind) = (&sink.spec.name, &sink.spec.kind);
            let key = (name.clone(), kind.clone());
            if !self.schemas.contains_key(&key) {
                self.schemas.insert(key.clone(), schema(name, kind)?);
            }
            // A frame's series have one value an instant.
            let mut at = at;
            at.unix_nanos += position as i64 * 1_000;
            let mut frame = Frame::new(at, &self.schemas[&key]);
            for (series, value) in values(sink, clock_ms).into_iter().enumerate() {
                frame.push(series, value);
            }
            let _ = to.emit(&Arc::new(frame));
        }
        Ok(())
    }
}

fn schema(name: &str, kind: &str) -> Result<Arc<Schema>, SchemaError> {
    let labels = [("sink", name), ("kind", kind)];
    let series = METRICS.iter().map(|metric| Series::new(metric, WAN, SOURCE).with_labels(&labels));
    Schema::new(series.collect())
}

/// The accounts as numbers, in the order of the table.
fn values(sink: &RunningSink, clock_ms: u64) -> [f64; 18] {
    let stats = sink.stats();
    let oldest = match sink.counters.oldest.load(Relaxed) {
        u64::MAX => 0,
        emitted => clock_ms.saturating_sub(emitted),
    };
    let call = sink.counters.longest_call.swap(0, Relaxed);
    [
        stats.offered as f64,
        stats.filtered as f64,
        stats.evicted as f64,
        stats.expired as f64,
        stats.delivered as f64,
        stats.rejected as f64,
        stats.quarantined as f64,
        stats.lost_at_shutdown as f64,
        stats.redelivered as f64,
        stats.failures as f64,
        stats.panics as f64,
        stats.replaced as f64,
        stats.queued as f64,
        stats.in_flight as f64,
        oldest as f64 / 1e3,
        call as f64 / 1e6,
        f64::from(sink.counters.breaker.load(Relaxed)),
        f64::from(stats.health as u8),
    ]
}
