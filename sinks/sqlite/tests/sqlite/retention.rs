//! What goes when it is old, what stays, and how much goes at once. The writers here keep one day.

use crate::support::*;

const DAY: i64 = 24 * 60 * 60;

#[test]
fn only_rows_older_than_the_retention_go() {
    let folder = Folder::new();
    let mut writer = folder.open();
    let (old, live) = (schema("old"), schema("live"));
    let seconds: Vec<_> = (0..120).map(|s| rtt(&old, second(s), s as f64)).collect();
    write(&mut *writer, &seconds);
    // The first minute is as old as it may be, and not older.
    write(&mut *writer, &[rtt(&live, second(DAY + 59), -1.0)]);
    assert_eq!(folder.count("frames"), 121);

    write(&mut *writer, &[rtt(&live, second(DAY + 60), -2.0)]);
    let left = folder.values();
    assert_eq!(left.len(), 62, "a minute is gone");
    assert_eq!(left[2..], (60..120).rev().map(f64::from).collect::<Vec<_>>());
}

#[test]
fn a_long_backlog_goes_a_minute_of_each_series_at_a_time() {
    let folder = Folder::new();
    let mut writer = folder.open();
    let (one, two, live) = (schema("one"), schema("two"), schema("live"));
    for schema in [&one, &two] {
        let seconds: Vec<_> = (0..180).map(|s| rtt(schema, second(s), 1.0)).collect();
        write(&mut *writer, &seconds);
    }
    let left = |wan: &str| -> i64 {
        let sql = "SELECT count(*) FROM metrics WHERE wan_name = ?1";
        folder.connect().query_row(sql, [wan], |row| row.get(0)).unwrap()
    };
    let mut before = (left("one"), left("two"));
    assert_eq!(before, (180, 180));
    for write_count in 0.. {
        assert!(write_count < 100, "clean-up never ends: {before:?}");
        write(&mut *writer, &[rtt(&live, second(2 * DAY + write_count), 1.0)]);
        let now = (left("one"), left("two"));
        // The series where a round begins and ends may have two turns in it.
        assert!(before.0 - now.0 <= 120 && before.1 - now.1 <= 120, "{before:?} {now:?}");
        before = now;
        if now == (0, 0) {
            break;
        }
    }
    assert!(left("live") > 0);
}

#[test]
fn events_stay_ten_times_as_long() {
    let folder = Folder::new();
    let mut writer = folder.open();
    let live = schema("live");
    write(&mut *writer, &[event(second(0), &SNAPSHOT, 1.0)]);
    write(&mut *writer, &[rtt(&live, second(10 * DAY), 2.0)]);
    assert_eq!(folder.count("events"), 1);
    write(&mut *writer, &[rtt(&live, second(10 * DAY + 1), 3.0)]);
    assert_eq!(folder.count("events"), 0);
}

#[test]
fn pages_set_free_go_back_to_the_disk() {
    let folder = Folder::new();
    let mut writer = folder.open();
    let db = folder.connect();
    db.execute_batch(
        "CREATE TABLE ballast AS
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 2000)
         SELECT zeroblob(4000) FROM n;
         DROP TABLE ballast",
    )
    .unwrap();
    let free = || -> i64 { db.pragma_query_value(None, "freelist_count", |r| r.get(0)).unwrap() };
    let before = free();
    assert!(before > 1024, "{before}");
    write(&mut *writer, &[rtt(&schema("wan1"), second(0), 1.0)]);
    let after = free();
    assert!((1..=140).contains(&(before - after)), "{before} {after}");
}
