//! Reading files as their writers make them: this sink's while it works, and the original's.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, params};
use wanctl_sink::{Deadline, Frame, Item, Kind, Metric, Rollup, Schema, Series};
use wanctl_sink_sqlite::{
    Granularity, History, HistoryError, Order, Problem, Query, Record, Rows, Statistics, Tier,
    Tiers,
};

use crate::support::*;

const HOUR: i64 = 3600;
const EPOCH: i64 = START / HOUR * HOUR;

static MODE: Metric =
    Metric { name: "wanctl_test_mode", kind: Kind::State, rollup: Rollup::Mode, ..RTT };

fn cycle(schema: &Arc<Schema>, second: i64) -> Item {
    let mut frame = Frame::new(at((second - START) * 1_000_000 + 250_000), schema);
    frame.push(0, (second % 1000) as f64 / 100.0);
    frame.push(1, (second / 60 % 2) as f64);
    Item::Frame(Arc::new(frame))
}

fn oldest_first() -> Query {
    Query { order: Order::OldestFirst, tiers: Tiers::Finest, ..Query::default() }
}

#[test]
fn a_reader_that_polls_while_rows_are_sealed_rolled_up_and_expire_sees_each_once() {
    let folder = Folder::new();
    let mut writer = folder.open_with("hot: 1h\nretention: { raw: 4h, 1m: 8h, 5m: 1d, 1h: 3d }");
    let schema =
        Schema::new(vec![Series::new(&RTT, "wan1", "test"), Series::new(&MODE, "wan1", "test")])
            .unwrap();
    let history = {
        write(&mut *writer, &[cycle(&schema, EPOCH)]);
        History::open(folder.path()).unwrap()
    };
    let mut tiers = Vec::new();
    for part in 0..150 {
        let seconds = EPOCH + 1 + part * 300..EPOCH + 1 + (part + 1) * 300;
        let items: Vec<Item> = seconds.clone().map(|second| cycle(&schema, second)).collect();
        // Half way through a reading, more is written, and maintained.
        let query = Query { metrics: vec![RTT.name.into()], ..oldest_first() };
        let mut records = history.records(&query).unwrap();
        let first: Vec<Record> = records.by_ref().take(500).map(Result::unwrap).collect();
        write(&mut *writer, &items);
        let all: Vec<Record> = first.into_iter().chain(records.map(Result::unwrap)).collect();
        // No gap, and nothing twice: each row begins where the one before ends.
        for pair in all.windows(2) {
            let end = pair[0].timestamp + pair[0].granularity.seconds().max(1);
            assert_eq!(pair[1].timestamp, end, "{:?} {:?}", pair[0], pair[1]);
        }
        assert!(all.last().unwrap().timestamp >= seconds.start - 1);
        assert_eq!(history.newest().unwrap(), Some((seconds.end - 1, 250_000)));
        tiers.extend(all.iter().map(|record| record.granularity));
        tiers.sort();
        tiers.dedup();
    }
    assert!(tiers.contains(&Granularity::Minute), "{tiers:?}");
    assert_eq!(history.verify(&mut |_| {}).unwrap(), []);
    let stats = history.stats().unwrap();
    assert!(stats.tiers.iter().any(|tier| tier.tier == Tier::Sealed && tier.rows > 0));
    let states = Query { metrics: vec![MODE.name.into()], ..Query::default() };
    let summaries = history.summary(&states).unwrap();
    let Statistics::States(shares) = &summaries[0].statistics else { panic!("{summaries:?}") };
    assert!(shares.iter().all(|share| (share.share - 0.5).abs() < 0.01), "{shares:?}");
    let series = history.series().unwrap();
    let rollups: Vec<Rollup> = series.iter().map(|info| info.rollup).collect();
    assert_eq!(rollups, [Rollup::Mode, Rollup::Mean]);
}

#[test]
fn the_newest_row_is_found_in_a_large_file_as_fast_as_in_a_small_one() {
    let folder = Folder::new();
    let mut writer = folder.open();
    let schema =
        Schema::new(vec![Series::new(&RTT, "wan1", "test"), Series::new(&MODE, "wan1", "test")]);
    let schema = schema.unwrap();
    let items: Vec<Item> = (0..50_000).map(|second| cycle(&schema, EPOCH + second)).collect();
    write(&mut *writer, &items);
    let history = History::open(folder.path()).unwrap();
    // A thousand scans of the file would take minutes.
    let soon = Deadline::after(Duration::from_secs(10));
    for _ in 0..1000 {
        assert_eq!(history.newest().unwrap(), Some((EPOCH + 49_999, 250_000)));
        assert_eq!(history.oldest().unwrap(), Some((EPOCH, 250_000)));
        let query = Query { limit: Some(1), ..Query::default() };
        assert_eq!(history.query(&query).unwrap()[0].timestamp, EPOCH + 49_999);
    }
    assert!(!soon.is_over());
}

/// A file as the original makes it: raw rows of the last hour, minutes of the day before.
fn original(folder: &Folder) -> Connection {
    let db = folder.connect();
    db.execute_batch(
        "PRAGMA journal_mode = WAL;
         CREATE TABLE metrics (
             id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp INTEGER NOT NULL,
             wan_name TEXT NOT NULL, metric_name TEXT NOT NULL, value REAL NOT NULL, labels TEXT,
             granularity TEXT DEFAULT 'raw');
         CREATE INDEX idx_metrics_timestamp ON metrics (timestamp);
         CREATE INDEX idx_metrics_wan_metric_time ON metrics (wan_name, metric_name, timestamp);
         CREATE INDEX idx_metrics_granularity_time ON metrics (granularity, timestamp);",
    )
    .unwrap();
    let transaction = db.unchecked_transaction().unwrap();
    let mut row = transaction
        .prepare(
            "INSERT INTO metrics (timestamp, wan_name, metric_name, value, labels, granularity)
             VALUES (?, 'spectrum', ?, ?, ?, ?)",
        )
        .unwrap();
    for minute in 0..24 * 60 {
        let at = EPOCH + minute * 60;
        row.execute(params![at, "wanctl_rtt_ms", 25.0, None::<&str>, "1m"]).unwrap();
        row.execute(params![at, "wanctl_state", 1.0, None::<&str>, "1m"]).unwrap();
    }
    for second in 0..600 {
        let at = EPOCH + 24 * HOUR + second;
        for cycle in 0..4 {
            let state = f64::from(u8::from(second >= 450));
            let direction = r#"{"direction":"download"}"#;
            let value = second as f64 + f64::from(cycle) / 4.0;
            row.execute(params![at, "wanctl_rtt_ms", value, None::<&str>, "raw"]).unwrap();
            row.execute(params![at, "wanctl_state", state, direction, "raw"]).unwrap();
        }
    }
    let reason = r#"{"direction": "download", "reason": "RTT delta 50.3ms"}"#;
    let at = EPOCH + 24 * HOUR + 450;
    row.execute(params![at, "wanctl_state", 1.0, reason, "raw"]).unwrap();
    let trigger = r#"{"trigger": "startup", "autorate": null, "steering": null}"#;
    row.execute(params![at, "wanctl_config_snapshot", at as f64, trigger, "raw"]).unwrap();
    drop(row);
    transaction.commit().unwrap();
    db
}

#[test]
fn a_file_of_the_original_is_read_in_order_in_pages_and_by_tier() {
    let folder = Folder::new();
    let _db = original(&folder);
    let history = History::open(folder.path()).unwrap();
    for order in [Order::OldestFirst, Order::NewestFirst] {
        let query = Query { order, ..oldest_first() };
        let whole = history.query(&query).unwrap();
        assert_eq!(whole.len(), 2 * 24 * 60 + 600 * 8 + 2);
        assert_eq!(history.count(&query).unwrap(), whole.len() as u64);
        let times = whole.iter().map(|record| record.timestamp);
        match order {
            Order::OldestFirst => assert!(times.is_sorted()),
            Order::NewestFirst => assert!(times.is_sorted_by(|one, next| one >= next)),
        }
        let mut pages = Vec::new();
        while pages.len() < whole.len() {
            let offset = pages.len() as u64;
            let page = Query { limit: Some(777), offset, ..query.clone() };
            pages.extend(history.query(&page).unwrap());
        }
        assert_eq!(pages, whole);
        let rtt = |record: &&Record| record.series.metric_name == "wanctl_rtt_ms";
        let first_names: Vec<&str> =
            whole.iter().take(2).map(|record| record.series.metric_name.as_str()).collect();
        assert_eq!(first_names[0], "wanctl_rtt_ms");
        let only = Query { metrics: vec!["wanctl_rtt_ms".into()], ..query.clone() };
        let expected: Vec<Record> = whole.iter().filter(rtt).cloned().collect();
        assert_eq!(history.query(&only).unwrap(), expected);
    }
    // A day and ten minutes: five minutes are wanted, minutes and raw rows are there.
    let auto = Query { order: Order::OldestFirst, ..Query::default() };
    assert_eq!(history.granularity(&auto).unwrap(), Granularity::FiveMinutes);
    assert_eq!(history.query(&auto).unwrap(), history.query(&oldest_first()).unwrap());
    let minutes = Query { tiers: Tiers::Only(Granularity::Minute), ..oldest_first() };
    assert_eq!(history.count(&minutes).unwrap(), 2 * 24 * 60);
    assert_eq!(history.newest().unwrap(), Some((EPOCH + 24 * HOUR + 599, 0)));
    assert_eq!(history.oldest().unwrap(), Some((EPOCH, 0)));
}

#[test]
fn a_file_of_the_original_is_filtered_by_labels_and_kind() {
    let folder = Folder::new();
    let _db = original(&folder);
    let history = History::open(folder.path()).unwrap();
    let count = |query: &Query| {
        let count = history.count(query).unwrap();
        assert_eq!(history.query(query).unwrap().len() as u64, count);
        count
    };
    let events = Query { rows: Rows::Events, ..oldest_first() };
    assert_eq!(count(&events), 2);
    assert!(history.query(&events).unwrap().iter().all(|record| record.is_event));
    assert_eq!(count(&Query { rows: Rows::Samples, ..oldest_first() }), 2 * 24 * 60 + 600 * 8);
    let labels = vec![("direction".to_owned(), "download".to_owned())];
    assert_eq!(count(&Query { labels, ..oldest_first() }), 2401);
    assert_eq!(count(&Query { wan: Some("spectrum".into()), ..events.clone() }), 2);
    assert_eq!(count(&Query { wan: Some("att".into()), ..oldest_first() }), 0);
    assert_eq!(count(&Query { source: Some("autorate".into()), ..oldest_first() }), 0);
    let names: Vec<String> =
        history.series().unwrap().iter().map(|info| info.name.metric_name.clone()).collect();
    assert_eq!(names, ["wanctl_config_snapshot", "wanctl_rtt_ms", "wanctl_state"]);
}

#[test]
fn a_file_of_the_original_is_summed_up_as_the_original_does_and_states_by_time() {
    let folder = Folder::new();
    let _db = original(&folder);
    let history = History::open(folder.path()).unwrap();
    let raw = Query { tiers: Tiers::Only(Granularity::Raw), ..oldest_first() };
    let summaries = history.summary(&raw).unwrap();
    assert_eq!(summaries.len(), 2);
    let values: Vec<f64> = (0..2400).map(|at| f64::from(at) / 4.0).collect();
    let expected = wanctl_sink_sqlite::summary(&values).unwrap();
    assert_eq!(summaries[0].statistics, Statistics::Numbers(expected));
    let Statistics::States(states) = &summaries[1].statistics else { panic!("{summaries:?}") };
    let shares: Vec<(f64, f64, f64)> =
        states.iter().map(|s| (s.value, (s.share * 1e6).round() / 1e6, s.seconds)).collect();
    assert_eq!(shares, [(0.0, 0.75, 450.0), (1.0, 0.25, 150.0)]);
}

#[test]
fn what_is_wrong_with_a_file_of_the_original_is_found() {
    let folder = Folder::new();
    let db = original(&folder);
    let history = History::open(folder.path()).unwrap();
    assert_eq!(history.verify(&mut |_| {}).unwrap(), []);
    db.execute_batch(&format!(
        "INSERT INTO metrics (timestamp, wan_name, metric_name, value, granularity) VALUES
         ({EPOCH}, 'spectrum', 'wanctl_rtt_ms', 3.0, '1m'),
         ({EPOCH} + 7, 'spectrum', 'wanctl_rtt_ms', 3.0, '5m'),
         ({EPOCH}, 'spectrum', 'wanctl_rtt_ms', 3.0, '2m')"
    ))
    .unwrap();
    let found = history.verify(&mut |_| {}).unwrap();
    assert!(
        matches!(
            &found[..],
            [
                Problem::IntervalTwice { granularity: Granularity::Minute, times: 2, .. },
                Problem::OffBoundary { granularity: Granularity::FiveMinutes, .. },
                Problem::UnknownTier { rows: 1, .. },
            ]
        ),
        "{found:#?}"
    );
    let stats = history.stats().unwrap();
    assert_eq!((stats.tiers[0].tier, stats.tiers[0].rows), (Tier::Hot, 4802));
    assert_eq!(stats.rates[0].samples_per_second, 4802.0 / 600.0);
}

#[test]
fn a_table_of_the_same_name_that_is_no_history_is_refused() {
    let folder = Folder::new();
    folder.connect().execute_batch("CREATE TABLE metrics (name TEXT, value REAL)").unwrap();
    let error = History::open(folder.path()).unwrap_err();
    assert!(matches!(error, HistoryError::NotHistory { .. }), "{error}");
}
