//! The file sink keeps the contract of sinks, in each of its formats; and the kit that says so sees it
//! when it does not (`sabotage`).

#![cfg(test)]

mod formats;
mod sabotage;

use std::fs;
use std::marker::PhantomData;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Map;
use wanctl_sink::conformance::{Arrived, Fault, Harness};
use wanctl_sink::{Event, Item, Kind, Metric, Rollup, Row, Timestamp, Unit};

use formats::{Csv, Influx, Jsonl, Reader};

/// A file in a folder of its own.
struct File<R> {
    folder: tempfile::TempDir,
    reader: PhantomData<R>,
}

impl<R> File<R> {
    fn path(&self) -> PathBuf {
        self.folder.path().join("rows")
    }

    /// Where the file lies while it is not at its path.
    fn aside(&self) -> PathBuf {
        self.folder.path().join("aside")
    }
}

impl<R: Reader> Harness for File<R> {
    const KIND: &'static str = "file";

    fn new() -> Self {
        File { folder: tempfile::tempdir().unwrap(), reader: PhantomData }
    }

    fn settings(&self) -> String {
        let rotate = "{ max_bytes: 1GiB, max_age: 3650d, keep: 2, compress: none }";
        let (path, format) = (self.path(), R::FORMAT);
        format!("{{ path: {}, format: {format}, fsync: flush, rotate: {rotate} }}", path.display())
    }

    fn arrived(&self) -> Vec<Arrived> {
        R::read(&fs::read_to_string(self.path()).unwrap_or_default())
    }

    fn keeps(&self, row: &Row<'_>) -> Option<Arrived> {
        Some(R::keeps(row))
    }

    fn folder(&self) -> Option<PathBuf> {
        Some(self.folder.path().to_owned())
    }

    fn unrecordable(&self) -> Option<Item> {
        Some(not_a_number())
    }

    /// The path leads to a disk that is always full.
    fn break_down(&self, how: Fault) -> bool {
        if how != Fault::Refuses {
            return false;
        }
        fs::rename(self.path(), self.aside()).unwrap();
        symlink("/dev/full", self.path()).unwrap();
        true
    }

    fn mend(&self) {
        if self.aside().exists() {
            fs::remove_file(self.path()).unwrap();
            fs::rename(self.aside(), self.path()).unwrap();
        }
    }
}

/// The pipeline lets no such row through; a writer is not told.
fn not_a_number() -> Item {
    static METRIC: Metric = Metric {
        name: "wanctl_test_rtt_ms",
        unit: Unit::Milliseconds,
        kind: Kind::Gauge,
        rollup: Rollup::Mean,
        help: "Round-trip time",
        states: &[],
    };
    Item::Event(Arc::new(Event {
        at: Timestamp { unix_nanos: 1_769_300_027_050_000_000, mono_nanos: 0 },
        metric: &METRIC,
        wan: "wan1".into(),
        source: "test".into(),
        value: f64::NAN,
        details: Arc::new(Map::new()),
    }))
}

mod jsonl {
    wanctl_sink::conformance!(super::File<super::Jsonl>);
}

mod csv {
    wanctl_sink::conformance!(super::File<super::Csv>);
}

mod influx {
    wanctl_sink::conformance!(super::File<super::Influx>);
}
