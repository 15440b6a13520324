//! The memory sink keeps the contract of sinks.

#![cfg(test)]

use wanctl_sink::SinkConfig;
use wanctl_sink::conformance::{Arrived, Harness};
use wanctl_sink_memory::{MemorySink, Record};

struct Store(MemorySink);

impl Harness for Store {
    const KIND: &'static str = "memory";

    fn new() -> Self {
        Store(MemorySink::default())
    }

    fn settings(&self) -> String {
        "rows: 100000".to_owned()
    }

    /// Settings make a store of their own, which nobody can read.
    fn config(&self) -> Option<Box<dyn SinkConfig>> {
        Some(Box::new(self.0.clone()))
    }

    fn arrived(&self) -> Vec<Arrived> {
        let arrived = |record: Record| Arrived {
            metric: record.metric.to_owned(),
            wan: record.wan,
            source: record.source,
            labels: record.labels,
            unix_nanos: record.at.unix_nanos,
            value: record.value,
        };
        self.0.records().into_iter().map(arrived).collect()
    }
}

wanctl_sink::conformance!(Store);
