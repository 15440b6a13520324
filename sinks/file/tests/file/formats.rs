//! CSV and line protocol, read back by parsers that are not ours.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use influxdb_line_protocol::{FieldValue, ParsedLine, parse_lines};
use serde_json::{Value, json};
use wanctl_sink::{Batch, Event, Frame, Item, Schema, Series, SinkWriter, Written};
use wanctl_sink_file::{FileConfig, Format};

use super::{AT, RTT, STATE, event, open_as, row, soon, write};

const HEADER: [&str; 7] =
    ["time", "timestamp", "wan_name", "metric_name", "source", "value", "labels"];

fn open(path: &Path, format: Format) -> Box<dyn SinkWriter> {
    open_as(&FileConfig { format, ..FileConfig::new(path) })
}

/// A row of a WAN, source and label that need care in every format.
fn awkward() -> Item {
    let series = Series::new(&RTT, "the, \"first\" = wan", "te st").with_labels(&[
        ("di,rection", "do=wn load"),
        ("source", "steering"),
        ("empty", ""),
    ]);
    let mut frame = Frame::new(AT, &Schema::new(vec![series]).unwrap());
    frame.push(0, 1e-7);
    Item::Frame(Arc::new(frame))
}

/// The records of a file, the first line included.
fn records(path: &Path) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_path(path).unwrap();
    // Without `flexible`, a record with another number of fields is an error.
    reader.records().map(|r| r.unwrap().iter().map(str::to_owned).collect()).collect()
}

fn tags(line: &ParsedLine<'_>) -> Vec<(String, String)> {
    let tags = line.series.tag_set.iter().flatten();
    tags.map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

#[test]
fn csv_reads_back_with_one_header_however_often_it_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.csv");
    write(&mut *open(&path, Format::Csv), &[row(23.41), awkward()]);
    write(&mut *open(&path, Format::Csv), &[event(2.0)]);
    let records = records(&path);
    assert_eq!(records[0], HEADER);
    let time = ["2026-01-25T00:13:47.050000Z", "1769300027"];
    assert_eq!(records[1][..2], time);
    assert_eq!(records[1][2..], ["wan1", "wanctl_test_rtt_ms", "test", "23.41", ""]);
    assert_eq!(records[2][2], "the, \"first\" = wan");
    assert_eq!(records[2][5].parse::<f64>().unwrap(), 1e-7);
    assert_eq!(
        serde_json::from_str::<Value>(&records[2][6]).unwrap(),
        json!({ "di,rection": "do=wn load", "source": "steering", "empty": "" })
    );
    assert_eq!(records[3][2..6], ["wan\u{e9}", "wanctl_test_state", "test", "2.0"]);
    assert_eq!(
        serde_json::from_str::<Value>(&records[3][6]).unwrap(),
        json!({ "reason": "line\nfeed \u{e9} \"quoted\"" })
    );
    assert_eq!(records.len(), 4);
}

#[test]
fn a_csv_file_that_others_emptied_or_took_away_begins_with_a_header_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.csv");
    let mut writer = open(&path, Format::Csv);
    write(&mut *writer, &[row(1.0)]);
    fs::write(&path, "").unwrap();
    write(&mut *writer, &[row(2.0)]);
    assert_eq!((records(&path)[0][0].as_str(), records(&path)[1][5].as_str()), ("time", "2.0"));
    fs::remove_file(&path).unwrap();
    write(&mut *writer, &[row(3.0)]);
    assert_eq!((records(&path)[0][0].as_str(), records(&path)[1][5].as_str()), ("time", "3.0"));
}

#[test]
fn a_csv_file_without_rows_is_empty() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.csv");
    let written = open(&path, Format::Csv).write(&Batch::new(&[event(f64::NAN)]), soon());
    assert!(matches!(written, Written::Rejected(rows) if rows[0].0 == 0));
    assert_eq!(fs::read(&path).unwrap(), b"");
}

#[test]
fn half_a_line_that_could_pass_for_a_whole_one_is_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    for (format, whole, half) in [
        (Format::Influx, "a,wan=b value=1.0 1\n", "a,wan=b value=23.4"),
        (Format::Csv, "time,a\n", "1,\"quo"),
        (Format::Influx, "", "a,wan=b value=2"),
    ] {
        let path = folder.path().join("rows");
        fs::write(&path, format!("{whole}{half}")).unwrap();
        drop(open(&path, format));
        assert_eq!(fs::read_to_string(&path).unwrap(), whole);
    }
}

#[test]
fn a_long_torn_line_is_taken_away_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows");
    fs::write(&path, format!("a value=1.0 1\na value=\"{}", "x".repeat(200_000))).unwrap();
    drop(open(&path, Format::Influx));
    assert_eq!(fs::read_to_string(&path).unwrap(), "a value=1.0 1\n");
}

#[test]
fn a_point_has_the_metric_as_measurement_and_identity_as_tags() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.lp");
    write(&mut *open(&path, Format::Influx), &[row(23.0), awkward()]);
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(
        text.lines().next(),
        Some("wanctl_test_rtt_ms,wan=wan1,source=test value=23.0 1769300027050000000")
    );
    let lines: Vec<ParsedLine<'_>> = parse_lines(&text).map(|line| line.unwrap()).collect();
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(
        tags(&lines[1]),
        [
            pair("wan", "the, \"first\" = wan"),
            pair("source", "te st"),
            pair("di,rection", "do=wn load"),
            pair("label_source", "steering"),
        ]
    );
    assert!(matches!(lines[1].field_set[0].1, FieldValue::F64(value) if value == 1e-7));
    assert_eq!(lines[1].timestamp, Some(AT.unix_nanos));
    assert_eq!(lines.len(), 2);
}

#[test]
fn an_events_details_are_fields_of_text() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.lp");
    let details =
        json!({ "reason": "a \"b\", c=\\d\ne\\", "value": 5, "some key": [true], "n": null });
    let event = Event {
        at: AT,
        metric: &STATE,
        wan: "back\\slash\\".into(),
        source: "".into(),
        value: 2.0,
        details: Arc::new(details.as_object().unwrap().clone()),
    };
    write(&mut *open(&path, Format::Influx), &[Item::Event(Arc::new(event)), row(1.0)]);
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<ParsedLine<'_>> = parse_lines(&text).map(|line| line.unwrap()).collect();
    assert_eq!(tags(&lines[0]), [("wan".to_owned(), "back/slash/".to_owned())]);
    let fields: Vec<(String, String)> =
        lines[0].field_set.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    let field = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(fields[0].0, "value");
    assert!(matches!(lines[0].field_set[0].1, FieldValue::F64(2.0)));
    let texts: Vec<(String, String)> = lines[0].field_set[1..]
        .iter()
        .map(|(key, value)| match value {
            FieldValue::String(text) => (key.to_string(), text.to_string()),
            other => panic!("{key} is no text: {other:?}"),
        })
        .collect();
    assert_eq!(
        texts,
        [
            field("reason", "a \"b\", c=\\d\\ne\\"),
            field("label_value", "5"),
            field("some key", "[true]"),
            field("n", "null"),
        ]
    );
    assert_eq!(lines.len(), 2);
}
