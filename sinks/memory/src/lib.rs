//! A sink that keeps the newest rows in memory, for tests and for programs that embed a controller.
//!
//! A [`MemorySink`] is at once the handle a controller emits to, the configuration a pipeline opens and
//! the store that is read: every clone is the same store. Nothing is written anywhere.
//!
//! ```yaml
#![doc = include_str!("../sample.yaml")]
//! ```
//!
//! | setting | default | meaning |
//! |---|---|---|
//! | `rows` | 100000 | how many rows are kept, 1 or more; the oldest go first and are counted |

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use wanctl_sink::{
    Admission, Batch, Deadline, Event, FaultClass, Frame, Issue, Item, MetricsSink, OpenContext,
    Row, SinkConfig, SinkError, SinkWriter, Timestamp, Written, register_sink,
};

register_sink! {
    "memory" => MemorySink,
    summary: "Keeps the newest rows in memory, for tests and embedding",
    sample: include_str!("../sample.yaml"),
}

/// A bounded store of rows. A clone is the same store.
///
/// As a [`MetricsSink`] it takes a short lock and keeps the frame as it is; rows are made when somebody
/// reads. The lock is held for a push, or for copying the list of frames, never while rows are made.
///
/// ```
/// use std::sync::Arc;
/// use wanctl_sink::{Frame, Kind, Metric, MetricsSink, Rollup, Schema, Series, Timestamp, Unit};
/// use wanctl_sink_memory::MemorySink;
///
/// # static RTT: Metric = Metric {
/// #     name: "wanctl_example_rtt_ms", unit: Unit::Milliseconds, kind: Kind::Gauge,
/// #     rollup: Rollup::Mean, help: "Round-trip time", states: &[],
/// # };
/// let sink = MemorySink::new(1000);
/// let schema = Schema::new(vec![Series::new(&RTT, "wan1", "example")])?;
/// let mut frame = Frame::new(Timestamp::default(), &schema);
/// frame.push(0, 23.41);
/// let _ = sink.emit(&Arc::new(frame));
/// assert_eq!(sink.records()[0].value, 23.41);
/// # Ok::<(), wanctl_sink::SchemaError>(())
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "MemorySettings")]
pub struct MemorySink {
    capacity: usize,
    store: Arc<Mutex<Store>>,
}

/// One row, as it was emitted.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// When it was measured or happened.
    pub at: Timestamp,
    /// The WAN.
    pub wan: String,
    /// Who emitted it.
    pub source: String,
    /// The metric's name.
    pub metric: &'static str,
    /// The labels as the text of a JSON object; `None` for none.
    pub labels: Option<String>,
    /// The value, in the metric's unit.
    pub value: f64,
}

impl MemorySink {
    /// An empty store for this many rows.
    pub fn new(rows: usize) -> Self {
        MemorySink { capacity: rows, store: Arc::default() }
    }

    /// The rows kept, in the order they came.
    pub fn records(&self) -> Vec<Record> {
        let (items, excess) = {
            let store = self.lock();
            let items: Vec<Item> = store.items.iter().cloned().collect();
            (items, store.rows.saturating_sub(self.capacity))
        };
        Batch::new(&items).rows().skip(excess).map(Record::from).collect()
    }

    /// How many rows had to go to make room, since the store was made.
    pub fn evicted(&self) -> u64 {
        self.lock().evicted
    }

    /// Forgets all rows. They don't count as evicted.
    pub fn clear(&self) {
        let mut store = self.lock();
        store.items.clear();
        store.rows = 0;
    }

    fn push(&self, item: Item) -> Admission {
        let mut store = self.lock();
        let kept_before = store.rows.min(self.capacity);
        let added = item.rows();
        store.rows += added;
        store.items.push_back(item);
        // The front item stays while any of its rows is still wanted; `records` skips the others.
        while let Some(rows) = store.items.front().map(Item::rows)
            && store.rows - rows >= self.capacity
        {
            store.rows -= rows;
            store.items.pop_front();
        }
        let evicted = kept_before + added - store.rows.min(self.capacity);
        store.evicted += evicted as u64;
        match u32::try_from(evicted) {
            Ok(0) => Admission::Queued,
            Ok(rows) => Admission::Evicted(rows),
            Err(_) => Admission::Evicted(u32::MAX),
        }
    }

    /// The store is consistent between any two statements that can panic, so a poisoned lock is fine.
    fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemorySink {
    /// An empty store for 100 000 rows.
    fn default() -> Self {
        MemorySettings::default().into()
    }
}

impl MetricsSink for MemorySink {
    fn emit(&self, frame: &Arc<Frame>) -> Admission {
        self.push(Item::Frame(Arc::clone(frame)))
    }

    fn event(&self, event: &Arc<Event>) -> Admission {
        self.push(Item::Event(Arc::clone(event)))
    }
}

impl SinkConfig for MemorySink {
    fn check(&self) -> Vec<Issue> {
        match self.capacity {
            0 => vec![Issue::value("rows", 0, "1 or more")],
            _ => Vec::new(),
        }
    }

    fn open(&self, _: &OpenContext) -> Result<Box<dyn SinkWriter>, SinkError> {
        Ok(Box::new(self.clone()))
    }
}

impl SinkWriter for MemorySink {
    fn write(&mut self, batch: &Batch<'_>, deadline: Deadline) -> Written {
        if deadline.is_over() && !batch.is_empty() {
            return Written::Failed(SinkError::new(FaultClass::Cancelled, "no time left to write"));
        }
        for item in batch.items() {
            let _ = self.push(item.clone());
        }
        Written::All
    }
}

impl From<Row<'_>> for Record {
    fn from(row: Row<'_>) -> Self {
        Record {
            at: row.at,
            wan: row.wan().to_owned(),
            source: row.source().to_owned(),
            metric: row.metric().name,
            labels: row.label_text().map(Into::into),
            value: row.value,
        }
    }
}

/// Whole frames and events. Up to one item's rows more than wanted are held.
#[derive(Debug, Default)]
struct Store {
    items: VecDeque<Item>,
    rows: usize,
    evicted: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct MemorySettings {
    rows: usize,
}

impl Default for MemorySettings {
    fn default() -> Self {
        MemorySettings { rows: 100_000 }
    }
}

impl From<MemorySettings> for MemorySink {
    fn from(settings: MemorySettings) -> Self {
        MemorySink::new(settings.rows)
    }
}

#[cfg(test)]
mod tests;
