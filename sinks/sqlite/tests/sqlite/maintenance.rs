//! What becomes of rows as time goes on, by a clock that the rows carry.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::params;
use serde_json::Value;
use wanctl_sink::{Item, Kind, Schema, Series, SinkWriter};

use crate::support::*;

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// A multiple of an hour, near `START`.
const EPOCH: i64 = START / HOUR * HOUR;

fn at_second(second: i64) -> wanctl_sink::Timestamp {
    at((second - START) * 1_000_000)
}

static MODE: wanctl_sink::Metric = wanctl_sink::Metric {
    name: "wanctl_test_mode",
    kind: Kind::State,
    rollup: wanctl_sink::Rollup::Mode,
    ..RTT
};

/// A round trip and a state.
fn both(wan: &str) -> Arc<Schema> {
    Schema::new(vec![Series::new(&RTT, wan, "test"), Series::new(&MODE, wan, "test")]).unwrap()
}

fn cycle(schema: &Arc<Schema>, second: i64, rtt: f64, state: f64) -> Item {
    let mut frame = wanctl_sink::Frame::new(at_second(second), schema);
    frame.push(0, rtt);
    frame.push(1, state);
    Item::Frame(Arc::new(frame))
}

/// A round trip that nobody guesses from the one before.
fn value(second: i64) -> f64 {
    let mixed = (second as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93) >> 40) as f64 % 9973.0 / 100.0
}

/// Writes a row every `step` seconds, some minutes a batch.
fn run(writer: &mut dyn SinkWriter, schema: &Arc<Schema>, seconds: (i64, i64), step: usize) {
    let rows: Vec<Item> = (seconds.0..seconds.1)
        .step_by(step)
        .map(|second| cycle(schema, second, value(second), (second % 7 / 6) as f64))
        .collect();
    for batch in rows.chunks((300 / step).max(1)) {
        write(writer, batch);
    }
}

/// Goes on, a row every five seconds, until maintenance has come to this; on a busy machine its slices do
/// less. Says how many rows that took.
fn settle(
    writer: &mut dyn SinkWriter,
    schema: &Arc<Schema>,
    from: i64,
    done: impl Fn() -> bool,
) -> i64 {
    for rows in 0..500 {
        if done() {
            return rows;
        }
        let second = from + 5 * rows;
        write(writer, &[cycle(schema, second, value(second), 0.0)]);
    }
    panic!("maintenance does not get there");
}

/// `start: (value, min, max, count)` of one tier of a metric.
fn tier(folder: &Folder, granularity: &str, metric: &str) -> BTreeMap<i64, (f64, f64, f64, i64)> {
    let db = folder.connect();
    let mut read = db
        .prepare(
            "SELECT timestamp, value, min, max, count FROM metrics
             WHERE granularity = ?1 AND metric_name = ?2 ORDER BY timestamp",
        )
        .unwrap();
    let rows = read.query_map([granularity, metric], |row| {
        Ok((row.get(0)?, (row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))
    });
    let rows: Vec<_> = rows.unwrap().map(Result::unwrap).collect();
    let count = rows.len();
    let tier: BTreeMap<_, _> = rows.into_iter().collect();
    assert_eq!(tier.len(), count, "an interval is there twice");
    tier
}

fn number(folder: &Folder, sql: &str) -> i64 {
    folder.connect().query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Raw rows, sealed or not.
fn raw_rows(folder: &Folder) -> i64 {
    number(
        folder,
        "SELECT (SELECT count(*) FROM frames) + (SELECT coalesce(sum(frames), 0) FROM chunks)",
    )
}

#[test]
fn an_interval_is_there_when_it_is_over_in_every_tier() {
    let folder = Folder::new();
    let mut writer = folder.open();
    let schema = both("wan1");
    run(&mut *writer, &schema, (EPOCH, EPOCH + 2 * HOUR + 130), 1);
    settle(&mut *writer, &schema, EPOCH + 2 * HOUR + 130, || {
        number(&folder, "SELECT rolled_to FROM bundles") >= EPOCH + 2 * HOUR + 60
    });
    for (granularity, seconds, count) in [("1m", 60, 121), ("5m", 300, 24), ("1h", 3600, 2)] {
        let tier = tier(&folder, granularity, "wanctl_test_rtt_ms");
        assert!(tier.len() >= count, "{granularity}: {}", tier.len());
        for (start, (mean, min, max, count)) in tier.into_iter().take(count) {
            assert_eq!(start % seconds, 0);
            let values: Vec<f64> = (start..start + seconds).map(value).collect();
            let expected = values.iter().sum::<f64>() / values.len() as f64;
            assert!((mean - expected).abs() < 1e-9, "{granularity} {start}: {mean} {expected}");
            assert_eq!(min, values.iter().copied().fold(f64::MAX, f64::min));
            assert_eq!(max, values.iter().copied().fold(f64::MIN, f64::max));
            assert_eq!(count, seconds);
        }
    }
    let states: String = folder
        .connect()
        .query_row(
            "SELECT states FROM rollups WHERE seconds = 3600 AND states IS NOT NULL LIMIT 1",
            [],
            |row| row.get(0),
        )
        .unwrap();
    let states: BTreeMap<String, i64> = serde_json::from_str(&states).unwrap();
    assert_eq!(states.values().sum::<i64>(), 3600);
    assert_eq!(tier(&folder, "1h", "wanctl_test_mode")[&EPOCH].0, 0.0);
}

#[test]
fn intervals_are_those_the_original_made() {
    let folder = std::env::var_os("WANCTL_VECTORS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/vectors")),
        PathBuf::from,
    );
    let mut compared = 0;
    for file in ["downsample_01.json", "downsample_02.json"] {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        let vector: Value = serde_json::from_str(&text).unwrap();
        for step in vector["steps"].as_array().unwrap() {
            compared += replay(&step["in"]["rows"], &step["out"]);
        }
    }
    assert!(compared > 20, "{compared} intervals compared");
}

/// Records the raw rows of a vector, and compares the minutes that the original made of all their rows.
fn replay(rows: &Value, out: &Value) -> usize {
    let folder = Folder::new();
    let mut writer = folder.open();
    let mut schemas: BTreeMap<(String, String), Arc<Schema>> = BTreeMap::new();
    let mut raw: Vec<(i64, String, String, f64)> = rows
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row[6] == "raw")
        .map(|row| {
            let text = |at: usize| row[at].as_str().unwrap().to_owned();
            (row[1].as_i64().unwrap(), text(2), text(3), row[4].as_f64().unwrap())
        })
        .collect();
    raw.sort_by_key(|row| row.0);
    let mut sums: BTreeMap<(String, String, i64), Vec<f64>> = BTreeMap::new();
    let mut items = Vec::new();
    for (at_micros, (second, wan, name, value)) in raw.iter().enumerate() {
        let is_state = ["wanctl_state", "wanctl_steering_enabled"].contains(&name.as_str());
        let schema = schemas.entry((wan.clone(), name.clone())).or_insert_with(|| {
            let metric: &'static wanctl_sink::Metric = Box::leak(Box::new(wanctl_sink::Metric {
                name: Box::leak(name.clone().into_boxed_str()),
                ..*if is_state { &MODE } else { &RTT }
            }));
            Schema::new(vec![Series::new(metric, wan.as_str(), "test")]).unwrap()
        });
        let at = wanctl_sink::Timestamp {
            unix_nanos: second * 1_000_000_000 + (at_micros as i64 % 1_000_000) * 1000,
            mono_nanos: 0,
        };
        let mut frame = wanctl_sink::Frame::new(at, schema);
        frame.push(0, *value);
        items.push(Item::Frame(Arc::new(frame)));
        let minute = second.div_euclid(MINUTE) * MINUTE;
        sums.entry((wan.clone(), name.clone(), minute)).or_default().push(*value);
    }
    let newest = raw.last().map_or(0, |row| row.0);
    for batch in items.chunks(500) {
        write(&mut *writer, batch);
    }
    // Their times leap, and are believed after a day.
    let done = both("done");
    for second in 1..400 {
        write(&mut *writer, &[cycle(&done, newest + 60 + 300 * second, 1.0, 0.0)]);
    }
    let db = folder.connect();
    let mut find = db
        .prepare(
            "SELECT value FROM metrics WHERE granularity = '1m' AND timestamp = ?1
             AND wan_name = ?2 AND metric_name = ?3",
        )
        .unwrap();
    let mut compared = 0;
    let made = out["new_rows"].as_array().or(out["rows"].as_array()).unwrap();
    for row in made.iter().filter(|row| row[6] == "1m") {
        let (start, wan, name) =
            (row[1].as_i64().unwrap(), row[2].as_str().unwrap(), row[3].as_str().unwrap());
        // Rows that were 1m already have no raw ones.
        if !sums.contains_key(&(wan.to_owned(), name.to_owned(), start)) {
            continue;
        }
        let ours: f64 = find.query_row(params![start, wan, name], |row| row.get(0)).unwrap();
        let theirs = row[4].as_f64().unwrap();
        assert!((ours - theirs).abs() <= 1e-12 * theirs.abs().max(1.0), "{row}: {ours}");
        compared += 1;
    }
    compared
}

#[test]
fn a_late_row_is_in_the_intervals_of_its_time() {
    let folder = Folder::new();
    let mut writer = folder.open();
    let schema = both("wan1");
    run(&mut *writer, &schema, (EPOCH, EPOCH + HOUR + 600), 10);
    let before = tier(&folder, "1h", "wanctl_test_rtt_ms")[&EPOCH];
    write(&mut *writer, &[cycle(&schema, EPOCH + 1, 500.0, 1.0)]);
    assert_eq!(number(&folder, "SELECT count(*) FROM stale"), 1);
    settle(&mut *writer, &schema, EPOCH + HOUR + 600, || {
        number(&folder, "SELECT count(*) FROM stale") == 0
    });
    let after = tier(&folder, "1h", "wanctl_test_rtt_ms")[&EPOCH];
    assert_eq!((after.2, after.3), (500.0, before.3 + 1));
    assert_eq!(tier(&folder, "1m", "wanctl_test_rtt_ms")[&EPOCH].2, 500.0);
    assert_eq!(tier(&folder, "5m", "wanctl_test_rtt_ms")[&EPOCH].2, 500.0);
}

#[test]
fn a_restart_in_the_middle_of_an_interval_changes_nothing() {
    let (once, often) = (Folder::new(), Folder::new());
    let seconds = (EPOCH, EPOCH + HOUR + 400);
    run(&mut *once.open(), &both("wan1"), seconds, 1);
    for part in (seconds.0..seconds.1).step_by(187) {
        // Not closed, as after a kill.
        let end = seconds.1.min(part + 187);
        run(&mut *often.open(), &both("wan1"), (part, end), 1);
    }
    for folder in [&once, &often] {
        settle(&mut *folder.open(), &both("wan1"), seconds.1, || {
            number(folder, "SELECT rolled_to FROM bundles") >= EPOCH + HOUR + 360
        });
    }
    for granularity in ["1m", "5m", "1h"] {
        for metric in ["wanctl_test_rtt_ms", "wanctl_test_mode"] {
            let of = |folder| {
                let mut made = tier(folder, granularity, metric);
                made.split_off(&(EPOCH + HOUR + 300));
                made
            };
            assert!(!of(&once).is_empty());
            assert_eq!(of(&once), of(&often));
        }
    }
}

#[test]
fn rows_older_than_the_hot_window_are_sealed_and_none_is_lost() {
    let folder = Folder::new();
    let mut writer = folder.open_with("hot: 1h");
    let schema = both("wan1");
    run(&mut *writer, &schema, (EPOCH, EPOCH + 8 * HOUR), 1);
    let rows = 8 * HOUR;
    assert_eq!(raw_rows(&folder), rows);
    let rows = rows
        + settle(&mut *writer, &schema, EPOCH + 8 * HOUR, || {
            number(&folder, "SELECT count(*) FROM frames") <= HOUR + HOUR / 4 + 300
        });
    let hot = number(&folder, "SELECT count(*) FROM frames");
    // Rows that are too few for a chunk wait for more.
    assert!((HOUR..=HOUR + HOUR / 4 + 300).contains(&hot), "{hot}");
    let overlaps = "SELECT count(*) FROM chunks a JOIN chunks b
                    ON a.bundle_id = b.bundle_id AND a.id <> b.id
                    AND a.first_sec <= b.last_sec AND b.first_sec <= a.last_sec";
    assert_eq!(number(&folder, overlaps), 0);
    let last_sealed = number(&folder, "SELECT max(last_sec) FROM chunks");
    assert_eq!(number(&folder, "SELECT min(sec) FROM frames"), last_sealed + 1);
    // Rows that come late are sealed with those of their time.
    let chunks = folder.count("chunks");
    let late: Vec<Item> =
        (0..10).map(|i| Item::clone(&late_cycle(&schema, EPOCH + 100 * i))).collect();
    write(&mut *writer, &late);
    let more = settle(&mut *writer, &schema, EPOCH + 8 * HOUR, || {
        number(&folder, "SELECT min(sec) FROM frames") == last_sealed + 1
    });
    assert_eq!(raw_rows(&folder), rows + 10 + more);
    assert_eq!(folder.count("chunks"), chunks);
}

/// Half a second after the cycle of a second.
fn late_cycle(schema: &Arc<Schema>, second: i64) -> Item {
    let at = at((second - START) * 1_000_000 + 500_000);
    let mut frame = wanctl_sink::Frame::new(at, schema);
    frame.push(0, 1.0);
    Item::Frame(Arc::new(frame))
}

#[test]
fn each_tier_goes_at_its_own_age_and_raw_rows_only_when_they_are_rolled_up() {
    let folder = Folder::new();
    let keep = "hot: 1h\nretention: { raw: 4h, 1m: 8h, 5m: 1d, 1h: 3d, events: 2d }";
    let mut writer = folder.open_with(keep);
    let schema = both("wan1");
    write(&mut *writer, &[event(at_second(EPOCH), &SNAPSHOT, 1.0)]);
    let end = EPOCH + 2 * DAY + 2 * HOUR;
    run(&mut *writer, &schema, (EPOCH, end), 5);
    let more = settle(&mut *writer, &schema, end, || {
        number(&folder, "SELECT min(start) FROM rollups WHERE seconds = 60") >= end - 9 * HOUR
            && folder.count("events") == 0
    });
    let end = end + 5 * more;
    let from = |granularity: &str| {
        let starts: Vec<i64> =
            tier(&folder, granularity, "wanctl_test_rtt_ms").into_keys().collect();
        let step = starts[1] - starts[0];
        assert!(starts.windows(2).all(|two| two[1] - two[0] == step), "a gap in {granularity}");
        end - starts[0]
    };
    assert!((8 * HOUR..=9 * HOUR + 60).contains(&from("1m")), "{}", from("1m"));
    assert!((DAY..=DAY + HOUR + 60).contains(&from("5m")), "{}", from("5m"));
    assert!((2 * DAY..3 * DAY).contains(&from("1h")), "{}", from("1h"));
    let raw_from = number(&folder, "SELECT min(first_sec) FROM chunks");
    assert!((4 * HOUR..=6 * HOUR).contains(&(end - raw_from)), "{}", end - raw_from);
    assert_eq!(raw_rows(&folder), (end - raw_from + 4) / 5);
    let noted = number(&folder, "SELECT raw_from FROM bundles");
    assert!((raw_from - 4..=raw_from).contains(&noted), "{noted} {raw_from}");
    assert_eq!(folder.count("events"), 0);
}

#[test]
fn a_byte_budget_shortens_what_reaches_back_furthest_and_keeps_the_rest() {
    let folder = Folder::new();
    let mut writer = folder.open_with("hot: 2h\nmax_bytes: 1MiB");
    let schema = both("wan1");
    let end = EPOCH + 3 * DAY;
    run(&mut *writer, &schema, (EPOCH, end), 1);
    let used = |folder: &Folder| {
        number(folder, "SELECT page_count FROM pragma_page_count")
            - number(folder, "SELECT freelist_count FROM pragma_freelist_count")
    };
    let more = settle(&mut *writer, &schema, end, || used(&folder) * 4096 <= 1 << 20);
    assert!(raw_rows(&folder) < end - EPOCH);
    // What is left are the newest rows, and the tiers go on behind them.
    let oldest = number(
        &folder,
        "SELECT min(sec) FROM (SELECT min(first_sec) AS sec FROM chunks
         UNION ALL SELECT min(sec) FROM frames)",
    );
    assert_eq!(raw_rows(&folder), end - oldest + more);
    assert!(end - oldest >= 2 * HOUR, "{}", end - oldest);
    assert_eq!(*tier(&folder, "1h", "wanctl_test_rtt_ms").keys().next().unwrap(), EPOCH);
}

#[test]
fn a_clock_that_is_wrong_for_a_while_costs_nothing() {
    let folder = Folder::new();
    let keep = "hot: 1h\nretention: { raw: 4h, 1m: 8h, 5m: 1d, 1h: 3d, events: 2d }";
    let mut writer = folder.open_with(keep);
    let schema = both("wan1");
    run(&mut *writer, &schema, (EPOCH, EPOCH + 3 * HOUR), 1);
    // Years ahead for ten minutes, then as it was, then an hour back, then right again.
    let ahead = EPOCH + 3650 * DAY;
    run(&mut *writer, &schema, (ahead, ahead + 600), 1);
    run(&mut *writer, &schema, (EPOCH + 3 * HOUR, EPOCH + 3 * HOUR + 300), 1);
    let back: Vec<Item> =
        (0..300).map(|second| late_cycle(&schema, EPOCH + 2 * HOUR + second)).collect();
    write(&mut *writer, &back);
    run(&mut *writer, &schema, (EPOCH + 3 * HOUR + 600, EPOCH + 4 * HOUR), 1);
    assert_eq!(raw_rows(&folder), 4 * HOUR - 300 + 600 + 300);
    let minutes = tier(&folder, "1m", "wanctl_test_rtt_ms");
    for start in (EPOCH..EPOCH + 4 * HOUR - 60).step_by(60) {
        let expected = match start - EPOCH - 2 * HOUR {
            0..300 => Some(120),
            3900..4200 => None,
            _ => Some(60),
        };
        assert_eq!(minutes.get(&start).map(|minute| minute.3), expected, "{}", start - EPOCH);
    }
}

#[test]
fn one_of_two_writers_maintains_the_file_and_the_other_takes_over() {
    let folder = Folder::new();
    let (mut one, mut two) = (folder.open(), folder.open());
    let (of_one, of_two) = (both("wan1"), both("wan2"));
    assert_eq!(folder.files("-maintenance").len(), 0, "nobody has written yet");
    run(&mut *one, &of_one, (EPOCH, EPOCH + 10), 1);
    assert_eq!(folder.files("-maintenance").len(), 1);
    run(&mut *two, &of_two, (EPOCH, EPOCH + 300), 1);
    assert_eq!(folder.count("rollups"), 0, "the other one does that");
    // What the other one wrote is rolled up too.
    run(&mut *one, &of_one, (EPOCH + 10, EPOCH + 130), 1);
    let of = |wan: &str| {
        number(
            &folder,
            &format!(
                "SELECT count(*) FROM metrics WHERE granularity = '1m' AND wan_name = '{wan}'"
            ),
        )
    };
    assert_eq!((of("wan1"), of("wan2")), (4, 4));
    one.close(soon()).unwrap();
    assert_eq!(folder.files("-maintenance").len(), 0);
    drop(two);
    let mut three = folder.open();
    run(&mut *three, &of_two, (EPOCH + 300, EPOCH + 400), 1);
    assert!(of("wan2") > 8, "{}", of("wan2"));
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
    let free = || number(&folder, "SELECT freelist_count FROM pragma_freelist_count");
    let before = free();
    assert!(before > 1024, "{before}");
    write(&mut *writer, &[rtt(&schema("wan1"), second(0), 1.0)]);
    let after = free();
    assert!((100..=140).contains(&(before - after)), "{before} {after}");
}

#[test]
fn a_small_budget_is_kept_on_the_disk_too() {
    let folder = Folder::new();
    let mut writer = folder.open_with("hot: 3d\nmax_bytes: 1GiB");
    let schema = both("wan1");
    run(&mut *writer, &schema, (EPOCH, EPOCH + 2 * DAY), 2);
    writer.close(soon()).unwrap();
    let size = || folder.path().metadata().unwrap().len();
    assert!(size() > 2 << 20, "{}", size());
    let mut writer = folder.open_with("hot: 1h\nmax_bytes: 1MiB");
    let checkpoint = || {
        let _ = folder.connect().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        size()
    };
    settle(&mut *writer, &schema, EPOCH + 2 * DAY, || checkpoint() < (1 << 20) + (1 << 18));
}

#[test]
fn rows_that_are_too_old_when_they_come_make_their_intervals_before_they_go() {
    let folder = Folder::new();
    let keep = "hot: 1h\nretention: { raw: 2h, 1m: 8d, 5m: 9d, 1h: 10d, events: 2d }";
    let mut writer = folder.open_with(keep);
    let schema = both("wan1");
    run(&mut *writer, &schema, (EPOCH, EPOCH + HOUR), 10);
    let past = EPOCH - 5 * DAY;
    run(&mut *writer, &schema, (past, past + DAY), 2);
    settle(&mut *writer, &schema, EPOCH + HOUR, || {
        folder.count("stale") == 0
            && number(&folder, "SELECT raw_from FROM bundles") > past + DAY - 2
    });
    let of_past = |granularity: &str, seconds: i64| {
        let mut tier = tier(&folder, granularity, "wanctl_test_rtt_ms");
        tier.split_off(&(past + DAY));
        let counts: Vec<i64> = tier.values().map(|interval| interval.3).collect();
        (counts.len() as i64, counts.iter().all(|count| *count == seconds / 2))
    };
    assert_eq!(of_past("1m", 60), (DAY / 60, true));
    assert_eq!(of_past("1h", 3600), (24, true));
}

#[test]
fn what_is_recorded_after_a_wrong_time_is_rolled_up_like_before() {
    let folder = Folder::new();
    let mut writer = folder.open();
    let schema = both("wan1");
    run(&mut *writer, &schema, (EPOCH, EPOCH + 30), 1);
    let ahead = EPOCH + 3650 * DAY;
    run(&mut *writer, &schema, (ahead, ahead + 600), 1);
    run(&mut *writer, &schema, (EPOCH + 30, EPOCH + HOUR), 1);
    settle(&mut *writer, &schema, EPOCH + HOUR, || {
        number(&folder, "SELECT rolled_to FROM bundles") >= EPOCH + HOUR
    });
    assert_eq!(folder.count("stale"), 0);
    assert!(number(&folder, "SELECT rolled_to FROM bundles") < EPOCH + 2 * HOUR);
    assert_eq!(tier(&folder, "1m", "wanctl_test_rtt_ms")[&EPOCH].3, 60);
    assert_eq!(tier(&folder, "1h", "wanctl_test_rtt_ms")[&EPOCH].3, HOUR);
}

#[test]
fn damage_that_maintenance_finds_has_the_file_moved_aside() {
    let folder = Folder::new();
    let schema = both("wan1");
    let mut writer = folder.open();
    run(&mut *writer, &schema, (EPOCH, EPOCH + 8 * HOUR), 1);
    writer.close(soon()).unwrap();
    let page = number(
        &folder,
        "SELECT pageno FROM dbstat WHERE name = 'frames' AND pagetype = 'leaf' ORDER BY path LIMIT 1",
    );
    let mut bytes = std::fs::read(folder.path()).unwrap();
    bytes[(page as usize - 1) * 4096..][..4096].fill(0x55);
    std::fs::write(folder.path(), bytes).unwrap();

    let mut writer = folder.open_with("hot: 1h");
    for second in 0..50 {
        let second = EPOCH + 8 * HOUR + 5 * second;
        write(&mut *writer, &[cycle(&schema, second, 1.0, 0.0)]);
        if !folder.files(".corrupt-").is_empty() {
            break;
        }
    }
    assert!(!folder.files(".corrupt-").is_empty(), "{:?}", folder.files(""));
    run(&mut *writer, &schema, (EPOCH + 9 * HOUR, EPOCH + 9 * HOUR + 60), 1);
    assert_eq!(raw_rows(&folder), 60);
}

#[test]
fn a_lock_that_is_held_idly_does_not_keep_the_file_from_being_maintained() {
    let folder = Folder::new();
    let (of_one, of_two) = (both("wan1"), both("wan2"));
    let mut one = folder.open();
    run(&mut *one, &of_one, (EPOCH, EPOCH + 10), 1);
    run(&mut *folder.open(), &of_two, (EPOCH, EPOCH + HOUR), 1);
    assert_eq!(folder.count("rollups"), 0, "the other one may come back");
    // A writer looks at once after it was opened, and then every ten seconds.
    let mut three = folder.open();
    settle(&mut *three, &of_two, EPOCH + HOUR, || folder.count("rollups") > 100);
    assert_eq!(folder.files("-maintenance").len(), 1, "the first one still has the lock");
    drop(one);
}

#[test]
fn a_storm_of_events_does_not_drive_out_the_samples() {
    let folder = Folder::new();
    let mut writer = folder.open_with("hot: 1h\nmax_bytes: 1MiB");
    let schema = both("wan1");
    let storm: Vec<Item> =
        (0..12_000).map(|i| event(at_second(EPOCH + i), &SNAPSHOT, i as f64)).collect();
    run(&mut *writer, &schema, (EPOCH, EPOCH + HOUR), 1);
    for batch in storm.chunks(100) {
        write(&mut *writer, batch);
    }
    settle(&mut *writer, &schema, EPOCH + HOUR, || folder.count("events") < 6000);
    assert!(raw_rows(&folder) >= HOUR, "{}", raw_rows(&folder));
    assert!(folder.count("events") > 100);
}
