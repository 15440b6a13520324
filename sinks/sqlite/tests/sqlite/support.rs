//! A folder with a history file in it, and rows to put there.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::json;
use wanctl_sink::{
    Batch, Deadline, Event, FaultClass, Frame, Item, Kind, Metric, OpenContext, Rollup, Schema,
    Series, Settings, SinkConfig, SinkError, SinkWriter, Timestamp, Unit, Written,
};
use wanctl_sink_sqlite::{History, Query, Record, SqliteConfig};

pub(crate) static RTT: Metric = Metric {
    name: "wanctl_test_rtt_ms",
    unit: Unit::Milliseconds,
    kind: Kind::Gauge,
    rollup: Rollup::Mean,
    help: "Round-trip time",
    states: &[],
};
pub(crate) static STATE: Metric = Metric { name: "wanctl_test_state", ..RTT };
pub(crate) static SNAPSHOT: Metric = Metric { name: "wanctl_test_snapshot", ..RTT };

/// A Sunday in January 2026.
pub(crate) const START: i64 = 1_769_300_027;

pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Folder(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("metrics.db")
    }

    pub(crate) fn try_open(&self) -> Result<Box<dyn SinkWriter>, SinkError> {
        self.try_open_with("")
    }

    /// With further settings, as YAML.
    pub(crate) fn try_open_with(&self, more: &str) -> Result<Box<dyn SinkWriter>, SinkError> {
        let settings = format!("path: {}\n{more}", self.path().display());
        let config: SqliteConfig = Settings::from_yaml(&settings).unwrap().parse().unwrap();
        assert_eq!(config.check(), []);
        config.open(&OpenContext::new("history", soon()))
    }

    pub(crate) fn open_with(&self, more: &str) -> Box<dyn SinkWriter> {
        self.try_open_with(more).unwrap()
    }

    pub(crate) fn open(&self) -> Box<dyn SinkWriter> {
        self.try_open().unwrap()
    }

    /// A plain connection, as another program would open it.
    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }

    pub(crate) fn count(&self, table: &str) -> i64 {
        self.connect()
            .query_row(&format!("SELECT count(*) FROM {table}"), [], |r| r.get(0))
            .unwrap()
    }

    /// All rows, newest first.
    pub(crate) fn records(&self) -> Vec<Record> {
        let everything = Query { to: i64::MAX, ..Query::default() };
        History::open(self.path()).unwrap().query(&everything).unwrap()
    }

    /// The values of all rows, newest first.
    pub(crate) fn values(&self) -> Vec<f64> {
        self.records().iter().map(|record| record.value).collect()
    }

    /// Files beside the history whose names hold `part`.
    pub(crate) fn files(&self, part: &str) -> Vec<String> {
        let entries = self.0.path().read_dir().unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name.contains(part)).collect();
        names.sort();
        names
    }
}

pub(crate) fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(10))
}

/// Microseconds after `START`, as a time.
pub(crate) fn at(micros: i64) -> Timestamp {
    Timestamp { unix_nanos: START * 1_000_000_000 + micros * 1_000, mono_nanos: 0 }
}

/// Seconds after `START`, as a time.
pub(crate) fn second(seconds: i64) -> Timestamp {
    at(seconds * 1_000_000)
}

pub(crate) fn schema(wan: &str) -> Arc<Schema> {
    let state = Series::new(&STATE, wan, "test").with_labels(&[("direction", "download")]);
    Schema::new(vec![Series::new(&RTT, wan, "test"), state]).unwrap()
}

/// One round-trip time.
pub(crate) fn rtt(schema: &Arc<Schema>, at: Timestamp, value: f64) -> Item {
    let mut frame = Frame::new(at, schema);
    frame.push(0, value);
    Item::Frame(Arc::new(frame))
}

/// One transition with a reason.
pub(crate) fn event(at: Timestamp, metric: &'static Metric, value: f64) -> Item {
    let labels = json!({ "reason": "delta 50.3ms", "list": [1, null] });
    Item::Event(Arc::new(Event {
        at,
        metric,
        wan: "wan1".into(),
        source: "test".into(),
        value,
        details: Arc::new(labels.as_object().unwrap().clone()),
    }))
}

#[track_caller]
pub(crate) fn write(writer: &mut dyn SinkWriter, items: &[Item]) {
    let written = writer.write(&Batch::new(items), soon());
    assert!(matches!(written, Written::All), "{written:?}");
}

#[track_caller]
pub(crate) fn fails(writer: &mut dyn SinkWriter, items: &[Item], deadline: Deadline) -> FaultClass {
    match writer.write(&Batch::new(items), deadline) {
        Written::Failed(error) => error.class,
        written => panic!("{written:?}"),
    }
}
