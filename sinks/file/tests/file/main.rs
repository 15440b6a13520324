//! The file sink against real files: what is in them, and what happens to them.

#![cfg(test)]

mod formats;
mod rotation;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use wanctl_sink::{
    Batch, Deadline, Event, FaultClass, Frame, Item, Kind, Metric, OpenContext, Rollup, Schema,
    Series, SinkConfig, SinkWriter, Timestamp, Unit, Written,
};
use wanctl_sink_file::FileConfig;

static RTT: Metric = Metric {
    name: "wanctl_test_rtt_ms",
    unit: Unit::Milliseconds,
    kind: Kind::Gauge,
    rollup: Rollup::Mean,
    help: "Round-trip time",
    states: &[],
};
static STATE: Metric = Metric { name: "wanctl_test_state", unit: Unit::None, ..RTT };

const AT: Timestamp = Timestamp { unix_nanos: 1_769_300_027_050_000_000, mono_nanos: 0 };

fn open(path: &Path) -> Box<dyn SinkWriter> {
    open_as(&FileConfig::new(path))
}

fn open_as(config: &FileConfig) -> Box<dyn SinkWriter> {
    config.open(&OpenContext::new("trace", soon())).unwrap()
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(10))
}

/// One row of `value` without labels.
fn row(value: f64) -> Item {
    row_at(AT, value)
}

fn row_at(at: Timestamp, value: f64) -> Item {
    let schema = Schema::new(vec![Series::new(&RTT, "wan1", "test")]).unwrap();
    let mut frame = Frame::new(at, &schema);
    frame.push(0, value);
    Item::Frame(Arc::new(frame))
}

fn event(value: f64) -> Item {
    let labels = json!({ "reason": "line\nfeed \u{e9} \"quoted\"" });
    Item::Event(Arc::new(Event {
        at: AT,
        metric: &STATE,
        wan: "wan\u{e9}".into(),
        source: "test".into(),
        value,
        details: Arc::new(labels.as_object().unwrap().clone()),
    }))
}

#[track_caller]
fn write(writer: &mut dyn SinkWriter, items: &[Item]) {
    let written = writer.write(&Batch::new(items), soon());
    assert!(matches!(written, Written::All), "{written:?}");
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn values(path: &Path) -> Vec<f64> {
    lines(path).iter().map(|line| line["value"].as_f64().unwrap()).collect()
}

#[test]
fn each_row_is_one_object_with_the_columns_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/folder/rows.jsonl");
    write(&mut *open(&path), &[row(23.41), event(2.0)]);
    assert_eq!(
        fs::read_to_string(&path).unwrap().lines().next(),
        Some(
            r#"{"time":"2026-01-25T00:13:47.050000Z","timestamp":1769300027,"wan_name":"wan1","metric_name":"wanctl_test_rtt_ms","source":"test","value":23.41,"unit":"ms"}"#
        )
    );
    assert_eq!(
        lines(&path)[1],
        json!({
            "time": "2026-01-25T00:13:47.050000Z",
            "timestamp": 1769300027,
            "wan_name": "wan\u{e9}",
            "metric_name": "wanctl_test_state",
            "source": "test",
            "value": 2.0,
            "labels": { "reason": "line\nfeed \u{e9} \"quoted\"" },
        })
    );
}

#[test]
fn a_file_that_is_there_is_continued() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    write(&mut *open(&path), &[row(1.0)]);
    write(&mut *open(&path), &[row(2.0)]);
    assert_eq!(values(&path), [1.0, 2.0]);
}

#[test]
fn a_torn_last_line_is_ended_before_the_next_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    fs::write(&path, "{\"time\":\"20").unwrap();
    write(&mut *open(&path), &[row(1.0)]);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("{\"time\":\"20\n{\"time\":\"2026"), "{text}");
}

#[test]
fn an_empty_batch_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    write(&mut *open(&path), &[]);
    assert_eq!(fs::read(&path).unwrap(), b"");
}

#[test]
fn a_file_moved_away_or_deleted_is_followed_by_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let (path, moved) = (folder.path().join("logs/rows.jsonl"), folder.path().join("rows.1"));
    let mut writer = open(&path);
    write(&mut *writer, &[row(1.0)]);
    fs::rename(&path, &moved).unwrap();
    write(&mut *writer, &[row(2.0)]);
    assert_eq!((values(&moved), values(&path)), (vec![1.0], vec![2.0]));
    fs::remove_dir_all(folder.path().join("logs")).unwrap();
    write(&mut *writer, &[row(3.0)]);
    assert_eq!(values(&path), [3.0]);
}

#[test]
fn only_the_row_that_json_cannot_hold_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    let items = [row(1.0), event(f64::NAN), row(2.0)];
    match open(&path).write(&Batch::new(&items), soon()) {
        Written::Rejected(rows) => assert_eq!(rows[0].0, 1),
        other => panic!("{other:?}"),
    }
    assert_eq!(values(&path), [1.0, 2.0]);
}

#[test]
fn a_full_disk_is_a_resource_fault_and_the_batch_is_kept() {
    let mut writer = open(Path::new("/dev/full"));
    match writer.write(&Batch::new(&[row(1.0)]), soon()) {
        Written::Failed(error) => assert_eq!(error.class, FaultClass::Resource, "{error}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_path_that_is_a_folder_is_a_configuration_fault() {
    let folder = tempfile::tempdir().unwrap();
    let config = FileConfig::new(folder.path());
    let error = config.open(&OpenContext::new("trace", soon())).err().unwrap();
    assert_eq!(error.class, FaultClass::Config, "{error}");
    assert!(error.to_string().contains(&folder.path().display().to_string()), "{error}");
}

#[test]
fn a_deadline_that_has_passed_keeps_the_batch() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    let written = open(&path).write(&Batch::new(&[row(1.0)]), Deadline::after(Duration::ZERO));
    assert!(matches!(written, Written::Failed(error) if error.class == FaultClass::Cancelled));
    assert_eq!(fs::read(&path).unwrap(), b"");
}

#[test]
fn a_probe_adds_no_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    let mut writer = open(&path);
    writer.probe(soon()).unwrap();
    writer.flush(soon()).unwrap();
    writer.close(soon()).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"");
}

#[test]
fn closing_and_opening_again_between_batches_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (path, moved) = (folder.path().join("rows.jsonl"), folder.path().join("rows.moved"));
    let reopened = |value| {
        let mut writer = open(&path);
        write(&mut *writer, &[row(value)]);
        writer.close(soon()).unwrap();
    };
    reopened(1.0);
    reopened(2.0);
    fs::rename(&path, &moved).unwrap();
    reopened(3.0);
    assert_eq!((values(&moved), values(&path)), (vec![1.0, 2.0], vec![3.0]));
}

#[test]
fn a_new_writer_opened_before_the_old_one_is_closed_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    let mut old = open(&path);
    write(&mut *old, &[row(1.0)]);
    let mut new = open(&path);
    write(&mut *new, &[row(2.0)]);
    old.close(soon()).unwrap();
    write(&mut *new, &[row(3.0)]);
    assert_eq!(values(&path), [1.0, 2.0, 3.0]);
}

#[test]
fn a_path_that_worked_once_is_tried_again_soon_whatever_is_in_its_way() {
    let folder = tempfile::tempdir().unwrap();
    let (path, moved) = (folder.path().join("rows.jsonl"), folder.path().join("rows.moved"));
    let mut writer = open(&path);
    fs::rename(&path, &moved).unwrap();
    fs::create_dir(&path).unwrap();
    match writer.write(&Batch::new(&[row(1.0)]), soon()) {
        Written::Failed(error) => assert_eq!(error.class, FaultClass::Resource, "{error}"),
        other => panic!("{other:?}"),
    }
    fs::remove_dir(&path).unwrap();
    write(&mut *writer, &[row(1.0)]);
    assert_eq!(values(&path), [1.0]);
}
