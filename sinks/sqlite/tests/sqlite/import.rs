//! Databases of the original, and what becomes of their rows.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, params};
use wanctl_sink::{Batch, OpenContext, SinkConfig, Written};
use wanctl_sink_sqlite::{
    Granularity, History, Import, ImportError, Order, Query, SqliteConfig, Statistics, Tiers,
};

use super::original::{CONFIGURATION, LATER, Old, Row, assert_adds_up, realistic};
use super::support::{SNAPSHOT, START, event, rtt, schema, second, soon};

/// `WANCTL_IMPORT_ROWS` is for a larger one.
fn size() -> usize {
    std::env::var("WANCTL_IMPORT_ROWS").map_or(60_000, |rows| rows.parse().unwrap())
}

#[test]
fn every_row_comes_over_with_its_value() {
    let old = realistic(size());
    let report = old.run();
    assert_eq!((report.read, report.imported()), (report.expected, report.expected));
    assert_eq!((report.minutes, report.five_minutes, report.hours), (90, 90, 90));
    assert_eq!(old.differences(), 0);
}

#[test]
fn a_cycle_of_the_original_is_one_row_of_ours() {
    let old = realistic(6_000);
    old.run();
    let new = Connection::open(old.path("new.db")).unwrap();
    let number = |sql: &str| new.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let cycles = "SELECT sum(metric_name IN ('wanctl_rate_upload_mbps', 'wanctl_steering_enabled'))
         FROM metrics WHERE granularity = 'raw' AND labels IS NULL";
    assert_eq!(number("SELECT count(*) FROM frames"), number(cycles));
}

#[test]
fn what_both_record_is_told_apart_by_the_cycle() {
    let old = realistic(6_000);
    old.run();
    let new = Connection::open(old.path("new.db")).unwrap();
    let count = |metric, wan, source, granularity| -> i64 {
        let sql = "SELECT count(*) FROM metrics WHERE metric_name = ?1 AND wan_name = ?2
             AND source = ?3 AND granularity = ?4";
        new.query_row(sql, [metric, wan, source, granularity], |row| row.get(0)).unwrap()
    };
    let steering = count("wanctl_steering_enabled", "spectrum", "steering", "raw");
    assert!(steering > 10);
    assert_eq!(count("wanctl_rtt_ms", "spectrum", "steering", "raw"), steering);
    let cycles = count("wanctl_rate_download_mbps", "spectrum", "autorate", "raw");
    assert_eq!(count("wanctl_rtt_ms", "spectrum", "autorate", "raw"), cycles);
    // Their intervals hold the rows of both.
    assert_eq!(count("wanctl_rtt_ms", "spectrum", "", "1m"), 30);
    assert_eq!(count("wanctl_rate_download_mbps", "spectrum", "autorate", "1m"), 30);
}

#[test]
fn the_cycles_of_a_second_keep_their_order_and_are_spread_over_it() {
    let rows: Vec<Row<'_>> = [3.0, 1.0, 4.0, 1.0, 5.0]
        .map(|value| (START, "wan1", "wanctl_rtt_ms", value, None, "raw"))
        .into();
    let old = Old::with(&rows);
    old.add((START + 1, "wan1", "wanctl_rtt_ms", 9.0, None, "raw"));
    old.run();
    let found: Vec<(i64, u32, f64)> =
        old.found().into_iter().map(|(sec, us, _, _, value)| (sec, us, value)).collect();
    let expected = [
        (0, 0, 3.0),
        (0, 200_000, 1.0),
        (0, 400_000, 4.0),
        (0, 600_000, 1.0),
        (0, 800_000, 5.0),
        (1, 0, 9.0),
    ];
    assert_eq!(found, expected);
}

#[test]
fn transitions_and_snapshots_are_events_with_their_labels() {
    let reason = Some(r#"{"direction": "upload", "reason": "RTT delta 50.3ms"}"#);
    let steering = Some(r#"{"reason": "x", "from_state": "A", "to_state": "B"}"#);
    let old = Old::with(&[
        (START, "wan1", "wanctl_rtt_ms", 1.0, None, "raw"),
        (START, "wan1", "wanctl_rtt_ms", 2.0, None, "raw"),
        (START, "wan1", "wanctl_state", 2.0, reason, "raw"),
        (START, "wan1", "wanctl_state", 2.0, reason, "raw"),
        (START, "wan1", "wanctl_steering_transition", 1.0, steering, "raw"),
        (START, "wan1", "wanctl_config_snapshot", START as f64, Some(CONFIGURATION), "raw"),
    ]);
    let report = old.run();
    assert_eq!((report.raw, report.events), (2, 4));
    assert_eq!(old.differences(), 0);
    let new = Connection::open(old.path("new.db")).unwrap();
    let mut events = new.prepare("SELECT us, metric_name, source FROM events ORDER BY id").unwrap();
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let events: Vec<(u32, String, String)> =
        events.query_map([], row).unwrap().map(Result::unwrap).collect();
    let event = |us, metric: &str, source: &str| (us, metric.to_owned(), source.to_owned());
    assert_eq!(
        events,
        [
            event(500_000, "wanctl_state", "autorate"),
            event(500_001, "wanctl_state", "autorate"),
            event(500_000, "wanctl_steering_transition", "steering"),
            event(500_000, "wanctl_config_snapshot", "autorate"),
        ]
    );
}

#[test]
fn of_two_rows_for_one_interval_the_first_is_kept() {
    let minute = START - START % 60;
    let old = Old::with(&[
        (minute, "wan1", "wanctl_rtt_ms", 1.0, None, "1m"),
        (minute, "wan1", "wanctl_rtt_ms", 3.0, None, "1m"),
        (minute, "wan1", "wanctl_state", 3.0, None, "1m"),
    ]);
    let report = old.run();
    assert_eq!((report.minutes, report.duplicates), (2, 1));
    let query = Query { tiers: Tiers::Only(Granularity::Minute), ..Query::default() };
    let history = History::open(old.path("new.db")).unwrap();
    let values: Vec<f64> =
        history.query(&query).unwrap().iter().map(|record| record.value).collect();
    assert_eq!(values.iter().sum::<f64>(), 4.0, "{values:?}");
}

#[test]
fn an_interval_counts_the_cycles_of_its_length() {
    let hour = START - START % 3600;
    let interval = |metric, value, granularity| (hour, "wan1", metric, value, None, granularity);
    let old = Old::with(&[
        interval("wanctl_rtt_ms", 1.0, "1m"),
        interval("wanctl_state", 3.0, "5m"),
        interval("wanctl_steering_enabled", 1.0, "1h"),
    ]);
    old.run();
    let new = Connection::open(old.path("new.db")).unwrap();
    let kept = |seconds: i64| -> String {
        let kept = "SELECT group_concat(min || ' ' || max || ' ' || count || ' ' || ifnull(states, '-'), ';')
             FROM rollups WHERE seconds = ?1";
        new.query_row(kept, [seconds], |row| row.get(0)).unwrap()
    };
    assert_eq!(kept(60), "1.0 1.0 1200 -");
    assert_eq!(kept(300), r#"1.0 1.0 1200 -;3.0 3.0 6000 {"3":6000}"#);
    assert_eq!(kept(3600), r#"1.0 1.0 1200 -;3.0 3.0 6000 {"3":6000};1.0 1.0 7200 {"1":7200}"#);
}

#[test]
fn a_mean_over_imported_and_own_intervals_weighs_them_by_their_length() {
    let day = START - START % 86_400;
    let old = Old::new();
    for start in (day - 3 * 3600..day).step_by(3600) {
        old.add((start, "wan1", "wanctl_rtt_ms", 24.0, None, "1h"));
    }
    old.run();
    let new = Connection::open(old.path("new.db")).unwrap();
    // An hour that was recorded here, at 20 cycles a second.
    let own = "INSERT INTO rollups SELECT 300, id, ?1, 20.0, 20.0, 20.0, 6000, NULL FROM series";
    for start in (day..day + 3600).step_by(300) {
        new.execute(own, [start]).unwrap();
    }
    let query = Query { from: day - 86_400, to: day + 3599, ..Query::default() };
    let summary = History::open(old.path("new.db")).unwrap().summary(&query).unwrap().remove(0);
    let Statistics::Numbers(summary) = summary.statistics else { panic!("{summary:?}") };
    assert_eq!(summary.avg, 23.0);
}

#[test]
fn tiers_that_the_original_kept_one_after_the_other_leave_no_hole() {
    let day = START - START % 86_400;
    let (old, middle, new) = (day..day + 86_400, day + 86_400..day + 172_800, day + 172_800);
    let interval = |start: i64, granularity| {
        (start, "wan1", "wanctl_rtt_ms", (start % 86_400) as f64, None, granularity)
    };
    let mut rows: Vec<Row<'_>> =
        old.clone().step_by(3600).map(|start| interval(start, "1h")).collect();
    rows.extend(middle.step_by(300).map(|start| interval(start, "5m")));
    rows.extend((new..new + 7200).step_by(60).map(|start| interval(start, "1m")));
    let place = Old::with(&rows);
    let report = place.run();
    assert_eq!((report.hours, report.five_minutes, report.minutes), (24, 288, 120));
    let history = History::open(place.path("new.db")).unwrap();
    let starts = |granularity| -> Vec<i64> {
        let query = Query {
            tiers: Tiers::Only(granularity),
            order: Order::OldestFirst,
            ..Query::default()
        };
        history.query(&query).unwrap().iter().map(|record| record.timestamp).collect()
    };
    let hours: Vec<i64> = (day..new + 7200).step_by(3600).collect();
    assert_eq!(starts(Granularity::Hour), hours);
    let fives: Vec<i64> = (old.end..new + 7200).step_by(300).collect();
    assert_eq!(starts(Granularity::FiveMinutes), fives);
    let hour = Query {
        from: old.end,
        to: old.end,
        tiers: Tiers::Only(Granularity::Hour),
        ..Query::default()
    };
    let made = history.query(&hour).unwrap().remove(0);
    let mean = (0..12).map(|five| f64::from(five) * 300.0).sum::<f64>() / 12.0;
    assert_eq!(made.value, mean);
    let rolled = made.rolled.unwrap();
    assert_eq!((rolled.min, rolled.max, rolled.count), (0.0, 3300.0, 72_000));
}

#[test]
fn what_cannot_be_kept_is_counted_with_the_reason() {
    let old = Old::with(&[
        (START, "wan1", "wanctl_rtt_ms", 1.0, None, "raw"),
        (START, "wan1", "wanctl_rtt_ms", f64::INFINITY, None, "raw"),
        (START, "", "wanctl_rtt_ms", 1.0, None, "raw"),
        (START, "wan1", "", 1.0, None, "raw"),
        (START, "wan1", "wanctl_rtt_ms", 1.0, Some("[1]"), "raw"),
        (START, "wan1", "wanctl_rtt_ms", 1.0, Some("{"), "raw"),
        (START, "wan1", "wanctl_rtt_ms", 1.0, None, "2m"),
        (START, "wan1", "wanctl_rtt_ms", 1.0, None, "1m"),
        (START - START % 60, "wan1", "wanctl_config_snapshot", 1.0, None, "1m"),
        (-1, "wan1", "wanctl_rtt_ms", 1.0, None, "raw"),
    ]);
    // The original's schema takes texts for numbers.
    let text = "INSERT INTO metrics (timestamp, wan_name, metric_name, value) VALUES (?1, 'wan1', 'm', ?2)";
    old.db.execute(text, params!["yesterday", 1.0]).unwrap();
    old.db.execute(text, params![START, "much"]).unwrap();
    let report = old.run();
    assert_eq!((report.read, report.raw), (12, 1));
    let skipped: Vec<(&str, u64)> = report.skipped.into_iter().collect();
    assert_eq!(
        skipped,
        [
            ("events were averaged", 1),
            ("the granularity is unknown", 1),
            ("the interval begins at no multiple of its length", 1),
            ("the labels are no JSON object", 2),
            ("the time is no number of seconds since 1970", 2),
            ("the value is infinite", 1),
            ("the value is no number", 1),
            ("there is no WAN name", 1),
            ("there is no metric name", 1),
        ]
    );
}

#[test]
fn a_second_import_reads_only_what_is_new() {
    let old = realistic(6_000);
    let first = old.run();
    let again = old.run();
    assert_eq!((again.before, again.read, again.imported()), (first.read, 0, 0));
    old.add((START + 100_000, "spectrum", "wanctl_rtt_ms", 1.0, None, "raw"));
    let third = old.run();
    assert_eq!((third.read, third.raw), (1, 1));
    assert_eq!(old.differences(), 0);
}

#[test]
fn an_import_of_what_is_there_changes_nothing() {
    let old = realistic(6_000);
    let first = old.run();
    // Under another name it is another file.
    old.db.execute("VACUUM INTO ?1", [old.path("copy.db").to_str().unwrap()]).unwrap();
    let copy = Import { from: old.path("copy.db"), ..old.import() }.run(|_| true).unwrap();
    assert_adds_up(&copy);
    assert_eq!((copy.read, copy.imported(), copy.already), (first.read, 0, first.read));
    assert_eq!(old.differences(), 0);
}

#[test]
fn another_file_of_the_same_name_is_read_from_its_start() {
    let old = realistic(6_000);
    old.run();
    old.db.execute_batch("DELETE FROM metrics; DELETE FROM sqlite_sequence").unwrap();
    old.add((START - 5, "att", "wanctl_rtt_ms", 1.0, None, "raw"));
    let other = old.run();
    assert_eq!((other.before, other.raw), (0, 1));
}

#[test]
fn another_file_with_higher_ids_is_read_from_its_start() {
    let old = Old::new();
    let fill = |wan: &str, first_id: i64| {
        let fill = "WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 999)
             INSERT INTO metrics (id, timestamp, wan_name, metric_name, value)
             SELECT ?1 + n, ?2 + n, ?3, 'wanctl_rtt_ms', n FROM n";
        old.db.execute(fill, params![first_id, START - 997, wan]).unwrap();
    };
    fill("cable", 1);
    old.run();
    old.db.execute_batch("DELETE FROM metrics").unwrap();
    fill("dsl", 5_000_000);
    let other = old.run();
    assert_eq!((other.before, other.read, other.raw), (0, 1000, 1000));
    assert_eq!(old.missing(), 0);
}

#[test]
fn a_file_with_another_row_at_the_same_place_is_read_from_its_start() {
    for change in ["wan_name = 'dsl'", "metric_name = 'm'", "value = 7", "labels = '{\"a\": 1}'"] {
        let old = Old::with(&[
            (START, "cable", "wanctl_rtt_ms", 1.0, None, "raw"),
            (START + 1, "cable", "wanctl_rtt_ms", 2.0, None, "raw"),
        ]);
        old.run();
        old.db.execute(&format!("UPDATE metrics SET {change} WHERE id = 2"), []).unwrap();
        let other = old.run();
        assert_eq!((other.before, other.read), (0, 2), "{change}");
    }
}

#[test]
fn a_file_that_lost_its_last_imported_row_is_read_again_and_adds_nothing_twice() {
    let old = realistic(6_000);
    old.run();
    let last = "DELETE FROM metrics WHERE timestamp = (SELECT max(timestamp) FROM metrics)";
    let removed = old.db.execute(last, []).unwrap();
    assert!(removed > 0);
    old.add((START + 100_000, "att", "wanctl_rtt_ms", 1.0, None, "raw"));
    let next = old.run();
    assert_eq!((next.before, next.raw), (0, 1));
    assert_eq!(next.already, next.read - 1);
}

#[test]
fn a_stopped_import_goes_on_where_it_was() {
    let old = realistic(60_000);
    let (mut before, mut raw, mut runs) = (0, 0, 0);
    loop {
        let report = old.import().run(|_| false).unwrap();
        assert_adds_up(&report);
        assert_eq!(report.before, before);
        assert_eq!(report.already, 0);
        before += report.read;
        raw += report.raw;
        runs += 1;
        if report.complete {
            break;
        }
        assert!(runs < 10);
    }
    // Four pages; and of two bundles' intervals, longer ones.
    assert_eq!(runs, 6);
    let last = old.run();
    assert_eq!((last.before, last.expected), (before, 0));
    assert!(raw >= 60_000);
    assert_eq!(old.differences(), 0);
}

/// Two days of minutes, of which 576 intervals of five and 48 hours are to be made.
fn minutes() -> Old {
    let day = START - START % 86_400;
    let minute = |start| (start, "wan1", "wanctl_rtt_ms", start as f64, None, "1m");
    let rows: Vec<Row<'_>> = (day..day + 2 * 86_400).step_by(60).map(minute).collect();
    Old::with(&rows)
}

fn longer_intervals(new: &Connection) -> i64 {
    let count = "SELECT count(*) FROM rollups WHERE seconds > 60";
    new.query_row(count, [], |row| row.get(0)).unwrap()
}

#[test]
fn longer_intervals_are_made_a_few_at_a_time_and_others_may_write_between() {
    let old = minutes();
    let (mut found, mut other) = (Vec::new(), None);
    let import = |_: &_| {
        let other = other.get_or_insert_with(|| {
            let other = Connection::open(old.path("new.db")).unwrap();
            other.busy_timeout(Duration::ZERO).unwrap();
            other
        });
        other.execute_batch("BEGIN IMMEDIATE; COMMIT").unwrap();
        found.push(longer_intervals(other));
        true
    };
    assert!(old.import().run(import).unwrap().complete);
    // The minutes of all series of one bundle's hour are not split.
    assert!(found.is_sorted_by(|one, next| (one + 1..=one + 304).contains(next)), "{found:?}");
    assert_eq!((found.first(), found.last()), (Some(&0), Some(&624)));
}

#[test]
fn longer_intervals_that_were_not_made_when_it_was_stopped_are_made_the_next_time() {
    let old = minutes();
    let stopped = old.import().run(|_| false).unwrap();
    assert_eq!((stopped.read, stopped.complete), (2880, false));
    let new = Connection::open(old.path("new.db")).unwrap();
    assert!((1..624).contains(&longer_intervals(&new)));
    let rest = old.run();
    assert_eq!((rest.before, rest.read), (2880, 0));
    assert_eq!(longer_intervals(&new), 624);
}

#[test]
fn the_seconds_that_are_still_written_are_left_for_the_next_time() {
    let old = Old::with(&[
        (START, "wan1", "wanctl_rtt_ms", 1.0, None, "raw"),
        (START + 1, "wan1", "wanctl_rtt_ms", 2.0, None, "raw"),
    ]);
    let import = Import { until: START + 1, ..old.import() };
    let report = import.run(|_| true).unwrap();
    assert_eq!((report.raw, report.left), (1, 1));
    old.add((START + 1, "wan1", "wanctl_rtt_ms", 3.0, None, "raw"));
    assert_eq!(old.run().raw, 2);
    assert_eq!(old.differences(), 0);
}

#[test]
fn a_dry_run_tells_the_same_and_writes_nothing() {
    let old = realistic(6_000);
    let dry = Import { dry_run: true, ..old.import() }.run(|_| true).unwrap();
    assert!(!old.path("new.db").exists());
    let report = old.run();
    assert_eq!(dry, report);
    let dry = Import { dry_run: true, ..old.import() }.run(|_| true).unwrap();
    assert_eq!((dry.before, dry.read), (report.read, 0));
}

#[test]
fn an_import_joins_a_file_that_is_written_meanwhile() {
    let old = realistic(60_000);
    let config = SqliteConfig { path: old.path("new.db"), ..SqliteConfig::default() };
    let mut writer = config.open(&OpenContext::new("history", soon())).unwrap();
    let schema = schema("wan1");
    let (done, written) = (AtomicBool::new(false), AtomicI64::new(0));
    let report = thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let at = second(written.load(Ordering::Relaxed));
                let items = [rtt(&schema, at, 23.4), event(at, &SNAPSHOT, 1.0)];
                // While the importer commits, a writer may have to try again.
                if matches!(writer.write(&Batch::new(&items), soon()), Written::All) {
                    written.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let report = old.import().run(|_| true);
        done.store(true, Ordering::Relaxed);
        report.unwrap()
    });
    assert_eq!((report.imported(), report.already), (report.read, 0));
    let written = written.into_inner();
    assert!(written > 3, "{written} writes");
    let new = Connection::open(old.path("new.db")).unwrap();
    let count = |sql| new.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let live = "SELECT count(*) FROM frames JOIN series USING (bundle_id)
         WHERE metric_name = 'wanctl_test_rtt_ms'";
    assert_eq!(count(live), written);
    let events = "SELECT count(*) FROM events WHERE metric_name = 'wanctl_test_snapshot'";
    assert_eq!(count(events), written);
    assert_eq!(old.missing(), 0);
}

#[test]
fn rows_older_than_what_is_kept_raw_become_intervals_before_they_go() {
    let config = |old: &Old| SqliteConfig { path: old.path("new.db"), ..SqliteConfig::default() };
    let old = Old::with(&[
        (START, "wan1", "wanctl_test_rtt_ms", 10.0, None, "raw"),
        (START, "wan1", "wanctl_test_rtt_ms", 20.0, Some(r#"{"source": "test"}"#), "raw"),
    ]);
    old.run();
    let new = Connection::open(old.path("new.db")).unwrap();
    // As if the file had been written to for a long time.
    new.execute("UPDATE bundles SET raw_from = ?1, rolled_to = ?1", [START + 864_000]).unwrap();
    new.execute_batch("DELETE FROM frames; DELETE FROM imports").unwrap();
    assert_eq!(old.run().raw, 2);
    let mut writer = config(&old).open(&OpenContext::new("history", soon())).unwrap();
    let schema = schema("wan1");
    for later in 0..100 {
        let item = rtt(&schema, second(864_000 + 100 * later), 23.4);
        assert!(matches!(writer.write(&Batch::new(&[item]), soon()), Written::All));
    }
    let sql = "SELECT group_concat(value, ' ') FROM
         (SELECT value FROM metrics WHERE granularity = '1m' AND timestamp <= ?1 ORDER BY value)";
    let minutes: String = new.query_row(sql, [START], |row| row.get(0)).unwrap();
    assert_eq!(minutes, "10.0 20.0");
    let raw = "SELECT count(*) FROM metrics WHERE granularity = 'raw' AND timestamp <= ?1";
    assert_eq!(new.query_row(raw, [START], |row| row.get::<_, i64>(0)).unwrap(), 0);
}

#[test]
fn a_file_without_the_indexes_and_with_more_columns_is_read_too() {
    let old = realistic(30_000);
    old.db
        .execute_batch(
            "CREATE TABLE other AS SELECT *, 'x' AS later FROM metrics;
             DROP TABLE metrics;
             ALTER TABLE other RENAME TO metrics;",
        )
        .unwrap();
    let report = old.run();
    assert_eq!(report.imported(), report.read);
    assert_eq!(old.differences(), 0);
}

#[test]
fn the_original_is_not_touched_and_may_be_read_only() {
    let old = realistic(6_000);
    let Old { folder, db } = old;
    db.close().unwrap();
    let from = folder.path().join("archive/old.db");
    fs::create_dir(folder.path().join("archive")).unwrap();
    fs::rename(folder.path().join("old.db"), &from).unwrap();
    let archive = fs::Permissions::from_mode(0o500);
    fs::set_permissions(folder.path().join("archive"), archive).unwrap();
    let before = fs::read(&from).unwrap();
    let to = folder.path().join("new.db");
    let report = Import { from: from.clone(), to, until: LATER, dry_run: false }.run(|_| true);
    assert!(report.unwrap().raw >= 6_000);
    assert_eq!(fs::read(&from).unwrap(), before);
    fs::set_permissions(folder.path().join("archive"), fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn files_that_are_none_of_the_originals_are_refused() {
    let old = realistic(600);
    old.run();
    let refused = |from: &str, to: &str| {
        let import = Import { from: old.path(from), to: old.path(to), ..old.import() };
        import.run(|_| true).unwrap_err()
    };
    assert!(matches!(refused("none.db", "new.db"), ImportError::Missing { .. }));
    assert!(matches!(refused("new.db", "newer.db"), ImportError::Ours { .. }));
    assert!(matches!(refused("old.db", "old.db"), ImportError::Target { .. }));
    fs::write(old.path("text"), "x".repeat(5000)).unwrap();
    assert!(matches!(refused("text", "new.db"), ImportError::Source { .. }));
    Connection::open(old.path("empty.db")).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    assert!(matches!(refused("empty.db", "new.db"), ImportError::NotOriginal { .. }));
    assert!(!old.path("newer.db").exists(), "what is refused leaves no file");
}

#[test]
fn what_is_before_the_damage_comes_over() {
    let old = realistic(60_000);
    let Old { folder, db } = old;
    db.close().unwrap();
    let path = folder.path().join("old.db");
    let mut bytes = fs::read(&path).unwrap();
    let length = bytes.len();
    // The last rows, and what of the indexes lies between.
    bytes[length * 3 / 4..].fill(0xa5);
    fs::write(&path, bytes).unwrap();
    let to = folder.path().join("new.db");
    let import = Import { from: path, to: to.clone(), until: LATER, dry_run: false };
    let error = import.run(|_| true).unwrap_err();
    assert!(error.is_damage(), "{error}");
    let rows = History::open(to).unwrap().count(&Query::default()).unwrap();
    assert!(rows > 10_000, "{rows} rows, {error}");
}

#[test]
fn the_oldest_row_of_each_granularity_is_known_beforehand() {
    let old = realistic(600);
    let oldest = old.import().oldest().unwrap();
    let granularities: Vec<Granularity> =
        oldest.iter().map(|(granularity, _)| *granularity).collect();
    assert_eq!(granularities, Granularity::ALL);
    assert_eq!(oldest[0].1, START);
    assert_eq!(oldest[3].1, (START / 3600) * 3600 - 90 * 3600);
}
