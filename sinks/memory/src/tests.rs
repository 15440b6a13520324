//! What is kept, in which order, and what goes.

use std::time::Duration;

use wanctl_sink::{Kind, Metric, Registry, Rollup, Schema, Series, Settings, SinkSpec, Unit};

use super::*;

static RTT: Metric = Metric {
    name: "wanctl_test_rtt_ms",
    unit: Unit::Milliseconds,
    kind: Kind::Gauge,
    rollup: Rollup::Mean,
    help: "Round-trip time",
    states: &[],
};

fn at(second: i64) -> Timestamp {
    Timestamp { unix_nanos: second * 1_000_000_000, mono_nanos: 0 }
}

/// A frame of two samples: `value` and `value + 0.5`.
fn frame(value: f64) -> Arc<Frame> {
    let series =
        |direction| Series::new(&RTT, "wan1", "test").with_labels(&[("direction", direction)]);
    let schema = Schema::new(vec![series("download"), series("upload")]).unwrap();
    let mut frame = Frame::new(at(value as i64), &schema);
    frame.push(0, value);
    frame.push(1, value + 0.5);
    Arc::new(frame)
}

fn values(sink: &MemorySink) -> Vec<f64> {
    sink.records().iter().map(|record| record.value).collect()
}

#[test]
fn records_carry_everything_in_the_order_of_arrival() {
    let sink = MemorySink::new(10);
    assert_eq!(sink.emit(&frame(1.0)), Admission::Queued);
    let event = Event {
        at: at(7),
        metric: &RTT,
        wan: "wan2".into(),
        source: "test".into(),
        value: 9.0,
        details: Arc::new(serde_json_map("reason", "congested")),
    };
    assert_eq!(sink.event(&Arc::new(event)), Admission::Queued);

    let records = sink.records();
    assert_eq!(values(&sink), [1.0, 1.5, 9.0]);
    assert_eq!(records[1].labels.as_deref(), Some(r#"{"direction": "upload"}"#));
    let last = Record {
        at: at(7),
        wan: "wan2".into(),
        source: "test".into(),
        metric: "wanctl_test_rtt_ms",
        labels: Some(r#"{"reason": "congested"}"#.into()),
        value: 9.0,
    };
    assert_eq!(records[2], last);
}

fn serde_json_map(key: &str, value: &str) -> serde_json::Map<String, serde_json::Value> {
    [(key.to_owned(), value.into())].into_iter().collect()
}

#[test]
fn exactly_the_newest_rows_are_kept_and_the_others_counted() {
    let sink = MemorySink::new(3);
    assert_eq!(sink.emit(&frame(1.0)), Admission::Queued);
    assert_eq!(sink.emit(&frame(2.0)), Admission::Evicted(1));
    assert_eq!(values(&sink), [1.5, 2.0, 2.5]);
    assert_eq!(sink.emit(&frame(3.0)), Admission::Evicted(2));
    assert_eq!(values(&sink), [2.5, 3.0, 3.5]);
    assert_eq!(sink.evicted(), 3);
}

#[test]
fn a_store_smaller_than_a_frame_keeps_its_last_rows() {
    let sink = MemorySink::new(1);
    assert_eq!(sink.emit(&frame(1.0)), Admission::Evicted(1));
    assert_eq!(values(&sink), [1.5]);
}

#[test]
fn clones_and_opened_writers_share_one_store() {
    let sink = MemorySink::new(10);
    let deadline = Deadline::after(Duration::from_secs(1));
    let mut writer = sink.open(&OpenContext::new("buffer", deadline)).unwrap();
    let items = [Item::Frame(frame(1.0))];
    let written = writer.write(&Batch::new(&items), deadline);
    assert!(matches!(written, Written::All));
    assert_eq!(values(&sink.clone()), [1.0, 1.5]);
    sink.clone().clear();
    assert!(sink.records().is_empty());
    assert_eq!(sink.evicted(), 0);
}

#[test]
fn a_store_for_no_rows_is_an_issue() {
    let sink: MemorySink = Settings::from_yaml("rows: 0").unwrap().parse().unwrap();
    assert_eq!(sink.check()[0].to_string(), "rows: found 0; accepted: 1 or more");
    assert!(MemorySink::default().check().is_empty());
}

#[test]
fn the_sample_shows_the_default() {
    let specs = SinkSpec::parse_yaml(include_str!("../sample.yaml"), &Registry::linked().unwrap());
    assert_eq!(format!("{:?}", specs.unwrap()[0].config), format!("{:?}", MemorySink::default()));
}
