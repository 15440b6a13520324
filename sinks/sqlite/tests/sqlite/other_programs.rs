//! Debian's sqlite3 shell and Python read the file while it is written.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use wanctl_sink::Item;

use crate::support::*;

/// The raw rows of the last hours, and what they are rolled up to.
const RAW: &str = "SELECT count(*), min(value), max(value) FROM metrics WHERE granularity = 'raw' \
                   AND metric_name = 'wanctl_test_rtt_ms' AND wan_name = 'wan1' AND timestamp > 0";
const MINUTES: &str = "SELECT count(*), sum(count), max(max) FROM metrics WHERE granularity = '1m' \
                       AND metric_name = 'wanctl_test_rtt_ms' AND wan_name = 'wan1'";

/// Asks another program again and again while a writer commits, and compares its last answers with what
/// was written.
fn ask_while_writing(ask: impl Fn(&Path, &str) -> String + Send + Sync) {
    let folder = Folder::new();
    let mut writer = folder.open();
    let schema = schema("wan1");
    let minute = |minute: i64| -> Vec<Item> {
        (0..60).map(|s| rtt(&schema, second(60 * minute + s), s as f64)).collect()
    };
    for batch in 0..120 {
        write(&mut *writer, &minute(batch));
    }
    let done = AtomicBool::new(false);
    let asked = thread::scope(|scope| {
        let asker = scope.spawn(|| {
            let mut asked = 0;
            while !done.load(Ordering::Relaxed) || asked == 0 {
                let rows = ask(&folder.path(), RAW);
                let (count, rest) = rows.trim().split_once('|').unwrap();
                assert_eq!(count.parse::<i64>().unwrap() % 60, 0, "a part of a transaction");
                assert_eq!(rest, "0.0|59.0");
                asked += 1;
            }
            asked
        });
        for batch in 120..180 {
            write(&mut *writer, &minute(batch));
        }
        done.store(true, Ordering::Relaxed);
        asker.join().unwrap()
    });
    assert!(asked > 0);
    assert_eq!(ask(&folder.path(), RAW).trim(), "10800|0.0|59.0");
    let minutes = ask(&folder.path(), MINUTES);
    let minutes: Vec<f64> = minutes.trim().split('|').map(|text| text.parse().unwrap()).collect();
    assert!(minutes[0] >= 178.0, "{minutes:?}");
    // The first minute of the wall clock has only the rows after the start.
    assert!((60.0 * (minutes[0] - 1.0)..=60.0 * minutes[0]).contains(&minutes[1]), "{minutes:?}");
    assert_eq!(minutes[2], 59.0);
}

fn is_here(program: &str) -> bool {
    let here = Command::new(program).arg("--version").output().is_ok();
    if !here {
        println!("SKIPPED: {program} is not installed");
    }
    here
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_sqlite3_shell_reads_raw_rows_and_intervals_while_they_are_written() {
    if is_here("sqlite3") {
        ask_while_writing(|path, sql| {
            output(Command::new("sqlite3").arg("-readonly").arg(path).arg(sql))
        });
    }
}

#[test]
fn python_reads_raw_rows_and_intervals_while_they_are_written() {
    let program = "import sqlite3, sys\n\
                   db = sqlite3.connect(f'file:{sys.argv[1]}?mode=ro', uri=True)\n\
                   print(*db.execute(sys.argv[2]).fetchone(), sep='|')";
    if is_here("python3") {
        ask_while_writing(|path, sql| {
            output(Command::new("python3").arg("-c").arg(program).arg(path).arg(sql))
        });
    }
}

#[test]
fn the_newest_snapshot_is_found_by_its_name_whatever_the_size() {
    let folder = Folder::new();
    let mut writer = folder.open();
    write(&mut *writer, &[event(second(0), &SNAPSHOT, 1.0)]);
    let sql = "EXPLAIN QUERY PLAN SELECT labels FROM metrics
               WHERE metric_name = 'wanctl_test_snapshot' ORDER BY timestamp DESC LIMIT 1";
    let db = folder.connect();
    let mut plan = db.prepare(sql).unwrap();
    let steps: Vec<String> =
        plan.query_map([], |row| row.get(3)).unwrap().map(Result::unwrap).collect();
    let scans = steps.iter().filter(|step| step.starts_with("SCAN") && *step != "SCAN metrics");
    assert_eq!(scans.count(), 0, "{steps:#?}");
}
