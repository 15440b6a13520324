//! `wanctl history export`, read back by readers that are not ours.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;

use serde_json::Value;

use super::history_import::Old;
use super::support::Finished;

const CYCLES: u32 = 700;

/// What was exported of a row, but for its time: metric, labels and the value's bits.
type Row = (String, Option<String>, u64);

/// A history to export, and what it must come to: how often there is which row.
struct Exported {
    old: Old,
    expected: BTreeMap<Row, u32>,
}

impl Exported {
    fn new() -> Self {
        let old = Old::with(CYCLES);
        old.import();
        let db = rusqlite::Connection::open(old.path("old.db")).unwrap();
        let mut rows = db.prepare("SELECT metric_name, labels, value FROM metrics").unwrap();
        let row = |row: &rusqlite::Row<'_>| {
            Ok((row.get(0)?, row.get(1)?, row.get::<_, f64>(2)?.to_bits()))
        };
        let expected = counted(rows.query_map([], row).unwrap().map(Result::unwrap));
        Exported { old, expected }
    }

    fn run(&self, options: &str) -> Finished {
        let arguments = format!("history export --db new.db {options}");
        self.old.place.run(&arguments, &self.old.path("none"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.old.path(name)
    }
}

fn counted(rows: impl Iterator<Item = Row>) -> BTreeMap<Row, u32> {
    let mut counted = BTreeMap::new();
    for row in rows {
        *counted.entry(row).or_default() += 1;
    }
    counted
}

#[test]
fn csv_has_every_row_with_its_exact_value() {
    let exported = Exported::new();
    let text = exported.run("").success().out;
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let rows: Vec<BTreeMap<String, String>> = reader.deserialize().map(Result::unwrap).collect();
    assert!(rows.is_sorted_by_key(|row| row["time"].clone()), "oldest first");
    let row = |row: BTreeMap<String, String>| {
        let labels = Some(row["labels"].clone()).filter(|labels| !labels.is_empty());
        (row["metric_name"].clone(), labels, row["value"].parse::<f64>().unwrap().to_bits())
    };
    assert_eq!(counted(rows.into_iter().map(row)), exported.expected);
}

#[test]
fn json_lines_have_every_row_with_its_exact_value() {
    let exported = Exported::new();
    let finished = exported.run("--output all.jsonl").success();
    assert_eq!(finished.out, "");
    assert!(
        finished.err.contains(&format!("{} rows in all.jsonl", CYCLES * 6 + 1)),
        "{}",
        finished.err
    );
    let text = fs::read_to_string(exported.path("all.jsonl")).unwrap();
    let row = |line: &str| {
        let row: Value = serde_json::from_str(line).unwrap();
        let labels = row["labels"].as_str().map(str::to_owned);
        let value = row["value"].as_f64().unwrap();
        (row["metric_name"].as_str().unwrap().to_owned(), labels, value.to_bits())
    };
    assert_eq!(counted(text.lines().map(row)), exported.expected);
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_has_every_row_with_its_exact_value_and_its_time() {
    use parquet::basic::{LogicalType, TimeUnit};
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor;

    let exported = Exported::new();
    exported.run("--output all.parquet").success();
    let file = File::open(exported.path("all.parquet")).unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    let schema = reader.metadata().file_metadata().schema_descr();
    let names: Vec<&str> = schema.columns().iter().map(|column| column.name()).collect();
    let expected = [
        "time",
        "wan_name",
        "source",
        "metric_name",
        "value",
        "state",
        "labels",
        "granularity",
        "min",
        "max",
        "count",
    ];
    assert_eq!(names, expected);
    let utc = LogicalType::timestamp(true, TimeUnit::MICROS);
    assert_eq!(schema.column(0).logical_type_ref(), Some(&utc));
    let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
    let times: Vec<i64> = rows.iter().map(|row| row.get_timestamp_micros(0).unwrap()).collect();
    assert!(times.is_sorted());
    assert_eq!(times[0], 1_769_300_027_000_000);
    assert_eq!(times[times.len() - 1], times[0] + (i64::from(CYCLES) - 1) * 50_000);
    let row = |row: &parquet::record::Row| {
        assert_eq!(row.get_string(1).unwrap(), "cable");
        assert_eq!(row.get_string(7).unwrap(), "raw");
        let labels = row.get_string(6).ok().cloned();
        (row.get_string(3).unwrap().clone(), labels, row.get_double(4).unwrap().to_bits())
    };
    assert_eq!(counted(rows.iter().map(row)), exported.expected);
}

#[test]
fn a_file_that_is_there_is_replaced_only_by_force_and_only_when_complete() {
    let exported = Exported::new();
    fs::write(exported.path("day.csv"), "precious").unwrap();
    let refused = exported.run("--output day.csv").failure();
    assert!(refused.err.contains("is there already; --force replaces it"), "{}", refused.err);
    assert_eq!(fs::read_to_string(exported.path("day.csv")).unwrap(), "precious");
    exported.run("--output day.csv --force --metrics rtt").success();
    let text = fs::read_to_string(exported.path("day.csv")).unwrap();
    assert_eq!(text.lines().count(), CYCLES as usize + 1);
    assert!(!exported.old.place.files().iter().any(|name| name.ends_with(".part")));
}

#[test]
fn the_suffix_says_the_form_and_without_one_it_must_be_said() {
    let exported = Exported::new();
    for name in ["rows.json", "rows.jsonl", "rows.NDJSON"] {
        exported.run(&format!("--limit 3 --output {name}")).success();
        let text = fs::read_to_string(exported.path(name)).unwrap();
        assert_eq!(text.lines().filter(|line| line.starts_with("{\"")).count(), 3, "{name}");
    }
    for name in ["rows.csv.gz", "rows.txt", "rows"] {
        let refused = exported.run(&format!("--output {name}")).failure();
        assert!(refused.err.contains("give --format"), "{}", refused.err);
        assert!(!exported.path(name).exists());
    }
    exported.run("--format csv --output rows.txt").success();
}

#[test]
fn the_history_that_is_read_is_never_replaced() {
    let exported = Exported::new();
    let path = |name: &str| exported.path(name);
    std::os::unix::fs::symlink("new.db", path("soft.csv")).unwrap();
    fs::hard_link(path("new.db"), path("hard.csv")).unwrap();
    fs::copy(path("old.db"), path("copy.csv")).unwrap();
    let before = fs::read(path("new.db")).unwrap();
    // A writer, so that there is a log beside the file.
    let writer = rusqlite::Connection::open(path("new.db")).unwrap();
    let begin = "BEGIN IMMEDIATE; UPDATE upkeep SET now = now; ROLLBACK;";
    writer.execute_batch(begin).unwrap();
    for name in ["new.db", "new.db-wal", "new.db-shm", "soft.csv", "hard.csv"] {
        let refused = exported.run(&format!("--format csv --output {name} --force")).failure();
        assert!(refused.err.contains("belongs to the history that is read"), "{}", refused.err);
    }
    let refused = exported.run("--output copy.csv --force").failure();
    assert!(refused.err.contains("is an SQLite database, which is never"), "{}", refused.err);
    assert!(fs::read(path("new.db")).unwrap() == before, "the history is as it was");
    assert!(fs::read(path("copy.csv")).unwrap() == fs::read(path("old.db")).unwrap());
    drop(writer);
    let refused = exported.run("--format csv --output new.db-wal").failure();
    assert!(refused.err.contains("belongs to the history that is read"), "{}", refused.err);
}

#[test]
fn a_pipe_is_written_through_and_stays_a_pipe() {
    use std::os::unix::fs::FileTypeExt;

    let exported = Exported::new();
    let pipe = exported.path("rows.csv");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::read_to_string(pipe).unwrap()
    });
    let finished = exported.run("--output rows.csv --metrics rtt --force").success();
    assert_eq!(reader.join().unwrap().lines().count(), CYCLES as usize + 1);
    assert_eq!(finished.err, format!("wanctl: {CYCLES} rows in rows.csv\n"));
    assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
    let stdout = exported.run("--output /dev/stdout --metrics rtt").success();
    assert_eq!(stdout.out.lines().count(), CYCLES as usize + 1);
}

#[test]
fn a_link_stays_and_what_it_leads_to_is_replaced() {
    let exported = Exported::new();
    fs::write(exported.path("target.csv"), "old").unwrap();
    std::os::unix::fs::symlink("target.csv", exported.path("link.csv")).unwrap();
    exported.run("--output link.csv").failure();
    exported.run("--output link.csv --metrics rtt --force").success();
    assert!(exported.path("link.csv").is_symlink());
    let text = fs::read_to_string(exported.path("target.csv")).unwrap();
    assert_eq!(text.lines().count(), CYCLES as usize + 1);
    std::os::unix::fs::symlink("nothing.csv", exported.path("broken.csv")).unwrap();
    let refused = exported.run("--output broken.csv --force").failure();
    assert!(refused.err.contains("a link to a file that is not there"), "{}", refused.err);
    let refused = exported.run("--output . --force --format csv").failure();
    assert!(refused.err.contains("is a folder"), "{}", refused.err);
}

#[test]
fn an_export_that_fails_leaves_no_file() {
    let exported = Exported::new();
    let refused = exported.run("--output nowhere/day.csv").failure();
    assert!(refused.err.contains("nowhere/day.csv"), "{}", refused.err);
    exported
        .old
        .place
        .run("history export --db none.db --output x.csv", &exported.path("none"))
        .failure();
    assert!(!exported.path("x.csv").exists());
}

#[test]
fn a_choice_of_rows_is_exported() {
    let exported = Exported::new();
    let lines = |options: &str| exported.run(options).success().out.lines().count() - 1;
    assert_eq!(lines("--metrics rtt,state --wan cable"), CYCLES as usize * 2 + 1);
    assert_eq!(lines("--from 2026-01-25T00:13:47Z --to 2026-01-25T00:13:48Z --metrics rtt"), 40);
    assert_eq!(lines("--wan other"), 0);
    let hint = "wanctl: no WAN is called \"other\"; there are: cable\n";
    assert_eq!(exported.run("--wan other").success().err, hint);
    assert!(exported.run("--wan other -o none.csv").success().err.ends_with(hint));
    let hint = "wanctl: no metric is called \"stat\"; did you mean \"state\"?\n";
    assert_eq!(exported.run("--metrics rtt,stat").success().err, hint);
    let reversed = exported.run("--from 2026-01-26 --to 2026-01-25");
    assert_eq!((reversed.code, &*reversed.out), (Some(2), ""));
    assert_eq!(lines("--format jsonl --limit 11"), 10);
}
