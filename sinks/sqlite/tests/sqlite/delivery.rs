//! What is written is what is read.

use std::process::Command;
use std::sync::Arc;

use wanctl_sink::{Batch, Frame, Item, Written};
use wanctl_sink_sqlite::{Granularity, History, HistoryError, Query, Record, SeriesName};

use crate::support::*;

fn record(timestamp: i64, micros: u32, metric: &str, value: f64, labels: Option<&str>) -> Record {
    let series = SeriesName {
        metric_name: metric.into(),
        wan_name: "wan1".into(),
        source: "test".into(),
        labels: labels.map(Into::into),
    };
    Record {
        timestamp,
        micros,
        series: Arc::new(series),
        value,
        granularity: Granularity::Raw,
        rolled: None,
        is_event: labels.is_some_and(|labels| labels.contains("reason")),
    }
}

#[test]
fn rows_come_back_exactly_and_newest_first() {
    let folder = Folder::new();
    let schema = schema("wan1");
    let mut frame = Frame::new(at(50_000), &schema);
    frame.push(0, 0.1 + 0.2);
    frame.push(1, 3.0);
    let items = [Item::Frame(Arc::new(frame)), event(second(1), &STATE, -0.25)];
    write(&mut *folder.open(), &items);

    let mut records = folder.records();
    records[1..].sort_by(|a, b| a.series.metric_name.cmp(&b.series.metric_name));
    let direction = Some(r#"{"direction": "download"}"#);
    let reason = Some(r#"{"reason": "delta 50.3ms", "list": [1, null]}"#);
    assert_eq!(
        records,
        [
            record(START + 1, 0, "wanctl_test_state", -0.25, reason),
            record(START, 50_000, "wanctl_test_rtt_ms", 0.1 + 0.2, None),
            record(START, 50_000, "wanctl_test_state", 3.0, direction),
        ]
    );
}

#[test]
fn a_batch_that_comes_again_changes_nothing() {
    let folder = Folder::new();
    let items =
        [rtt(&schema("wan1"), at(0), 1.0), event(at(0), &STATE, 1.0), event(at(0), &STATE, 2.0)];
    write(&mut *folder.open(), &items);
    write(&mut *folder.open(), &items);
    assert_eq!(folder.count("metrics"), 3);
}

#[test]
fn a_second_value_at_the_same_microsecond_is_rejected_and_not_lost_uncounted() {
    let folder = Folder::new();
    let schema = schema("wan1");
    let items = [rtt(&schema, at(7), 1.0), rtt(&schema, at(7), 2.0), rtt(&schema, at(8), 3.0)];
    let written = folder.open().write(&Batch::new(&items), soon());
    assert!(matches!(written, Written::Rejected(rows) if rows.len() == 1 && rows[0].0 == 1));
    assert_eq!(folder.count("metrics"), 2);
}

#[test]
fn two_cycles_in_one_second_are_two_rows() {
    let folder = Folder::new();
    let schema = schema("wan1");
    write(&mut *folder.open(), &[rtt(&schema, at(0), 1.0), rtt(&schema, at(50_000), 2.0)]);
    assert_eq!(folder.values(), [2.0, 1.0]);
}

#[test]
fn equal_series_of_two_schemas_are_one_series() {
    let folder = Folder::new();
    let items = [rtt(&schema("wan1"), second(0), 1.0), rtt(&schema("wan1"), second(1), 2.0)];
    write(&mut *folder.open(), &items);
    assert_eq!(folder.count("series"), 2);
    assert_eq!(folder.values(), [2.0, 1.0]);
}

#[test]
fn an_empty_batch_does_nothing() {
    let folder = Folder::new();
    let mut writer = folder.open();
    let changes = || -> i64 {
        folder.connect().pragma_query_value(None, "data_version", |row| row.get(0)).unwrap()
    };
    let before = changes();
    write(&mut *writer, &[]);
    assert_eq!(changes(), before);
    assert_eq!(folder.count("metrics"), 0);
}

#[test]
fn only_the_row_that_is_no_number_is_rejected() {
    let folder = Folder::new();
    let items = [event(at(0), &STATE, 1.0), event(at(1), &STATE, f64::INFINITY)];
    match folder.open().write(&Batch::new(&items), soon()) {
        Written::Rejected(rows) => {
            assert_eq!(rows.iter().map(|(position, _)| *position).collect::<Vec<_>>(), [1]);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(folder.values(), [1.0]);
}

#[test]
fn a_query_selects_by_time_metric_wan_and_count() {
    let folder = Folder::new();
    let (one, two) = (schema("wan1"), schema("wan2"));
    let mut items: Vec<Item> = (0..5).map(|s| rtt(&one, second(s), s as f64)).collect();
    items.push(rtt(&two, second(2), 20.0));
    items.push(event(second(2), &SNAPSHOT, 30.0));
    write(&mut *folder.open(), &items);

    let history = History::open(folder.path()).unwrap();
    let values = |query: &Query| -> Vec<f64> {
        history.query(query).unwrap().iter().map(|record| record.value).collect()
    };
    let all = Query { from: START, to: START + 9, ..Query::default() };
    let range = Query { from: START + 1, to: START + 3, wan: Some("wan1".into()), ..all.clone() };
    let metrics = vec![RTT.name.to_owned()];
    assert_eq!(values(&Query { metrics: metrics.clone(), ..range.clone() }), [3.0, 2.0, 1.0]);
    assert_eq!(values(&Query { limit: Some(2), ..all.clone() }), [4.0, 3.0]);
    assert_eq!(values(&Query { wan: Some("wan2".into()), ..all.clone() }), [20.0]);
    let both = vec![RTT.name.to_owned(), SNAPSHOT.name.to_owned()];
    assert_eq!(values(&Query { metrics: both, ..range.clone() }).len(), 4);
    assert_eq!(values(&Query { metrics: vec!["nothing".into()], ..all.clone() }).len(), 0);
    assert_eq!(values(&Query { limit: Some(0), ..all }).len(), 0);
}

#[test]
fn filters_on_time_and_metric_reach_the_keys() {
    let folder = Folder::new();
    let _writer = folder.open();
    let plan = |condition: &str| -> String {
        let db = folder.connect();
        let sql = format!("EXPLAIN QUERY PLAN SELECT value FROM metrics WHERE {condition}");
        let mut statement = db.prepare(&sql).unwrap();
        let steps = statement.query_map([], |row| row.get::<_, String>(3)).unwrap();
        steps.collect::<Result<Vec<_>, _>>().unwrap().join("\n")
    };
    let by_time = plan("timestamp >= 1 AND timestamp <= 2");
    assert!(by_time.contains("(bundle_id=? AND sec>? AND sec<?)"), "{by_time}");
    assert!(by_time.contains("events_by_time (sec>? AND sec<?)"), "{by_time}");
    let by_metric = plan("metric_name = 'x' AND timestamp >= 1");
    assert!(by_metric.contains("SEARCH s USING") && by_metric.contains("(metric_name=?"));
    assert!(by_metric.contains("(metric_name=? AND sec>?)"), "{by_metric}");
    assert!(!by_metric.contains("SCAN e"), "{by_metric}");
}

#[test]
fn the_sqlite3_shell_reads_while_we_write() {
    if Command::new("sqlite3").arg("--version").output().is_err() {
        println!("SKIPPED: sqlite3 is not installed");
        return;
    }
    let folder = Folder::new();
    let mut writer = folder.open();
    write(&mut *writer, &[rtt(&schema("wan1"), at(0), 23.41), event(second(1), &SNAPSHOT, 1.0)]);
    let sql = "SELECT timestamp, wan_name, metric_name, value, labels, granularity FROM metrics
               ORDER BY timestamp";
    let output = Command::new("sqlite3").arg(folder.path()).arg(sql).output().unwrap();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        format!(
            "{START}|wan1|wanctl_test_rtt_ms|23.41||raw\n\
             {}|wan1|wanctl_test_snapshot|1.0|{{\"reason\": \"delta 50.3ms\", \"list\": [1, null]}}|raw\n",
            START + 1
        )
    );
    drop(writer);
}

#[test]
fn a_file_of_the_original_is_read() {
    let folder = Folder::new();
    folder
        .connect()
        .execute_batch(
            "CREATE TABLE metrics (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp INTEGER NOT NULL,
             wan_name TEXT NOT NULL, metric_name TEXT NOT NULL, value REAL NOT NULL, labels TEXT,
             granularity TEXT DEFAULT 'raw');
             INSERT INTO metrics (timestamp, wan_name, metric_name, value) VALUES
             (7, 'w', 'm', 1.5), ('soon', 'w', 'm', 1.5), (8, 'w', 'm', 'much')",
        )
        .unwrap();
    assert_eq!(folder.records().len(), 1, "what is no number is left out");
    let record = folder.records().remove(0);
    assert_eq!((record.timestamp, record.micros, record.value), (7, 0, 1.5));
    assert_eq!((record.series.source.as_str(), record.series.labels.as_deref()), ("", None));
}

#[test]
fn what_is_no_history_is_named() {
    let folder = Folder::new();
    let missing = History::open(folder.path()).unwrap_err();
    assert!(matches!(missing, HistoryError::Missing { .. }), "{missing}");
    folder.connect().execute_batch("CREATE TABLE other (x)").unwrap();
    let other = History::open(folder.path()).unwrap_err();
    assert!(matches!(other, HistoryError::NotHistory { .. }), "{other}");
    assert!(other.to_string().contains("metrics.db"), "{other}");
}
