//! Rotation and compression against real files: every row is there exactly once, in order.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use wanctl_sink::{Batch, Deadline, SinkWriter, Timestamp, Written};
use wanctl_sink_file::{Compress, FileConfig, Format, Fsync, Rotate};

use super::{AT, open_as, row, row_at, write};

/// Rows of `jsonl` here are between 130 and 200 bytes.
fn config(path: &Path, max_bytes: u64, keep: u32, compress: Compress) -> FileConfig {
    let rotate = Rotate { max_bytes: Some(max_bytes), max_age: None, keep, compress };
    FileConfig { rotate: Some(rotate), ..FileConfig::new(path) }
}

fn numbered(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}.{suffix}", path.display()))
}

/// The names of the files in the folder of `path`, without the name they have in common.
fn suffixes(path: &Path) -> Vec<String> {
    let name = path.file_name().unwrap().to_str().unwrap();
    let entries = fs::read_dir(path.parent().unwrap()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> =
        names.map(|one| one.strip_prefix(name).unwrap().to_owned()).collect();
    names.sort();
    names
}

fn text(path: &Path) -> String {
    let mut text = String::new();
    if path.extension().is_some_and(|extension| extension == "gz") {
        GzDecoder::new(File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    } else {
        text = fs::read_to_string(path).unwrap();
    }
    text
}

/// The values in all files, the oldest first.
fn all_values(path: &Path) -> Vec<f64> {
    let mut files = Vec::new();
    for n in (1..=100).rev() {
        files.extend([format!("{n}"), format!("{n}.gz")].map(|suffix| numbered(path, &suffix)));
    }
    files.push(path.to_owned());
    let texts = files.iter().filter(|file| file.exists()).map(|file| text(file));
    texts.flat_map(|text| text.lines().map(value).collect::<Vec<f64>>()).collect()
}

fn value(line: &str) -> f64 {
    serde_json::from_str::<serde_json::Value>(line).unwrap()["value"].as_f64().unwrap()
}

fn numbers(range: std::ops::Range<u32>) -> Vec<f64> {
    range.map(f64::from).collect()
}

fn write_each(writer: &mut dyn SinkWriter, range: std::ops::Range<u32>) {
    for n in range {
        write(writer, &[row(f64::from(n))]);
    }
}

fn gzip(path: &Path, text: &str) {
    let mut encoder = GzEncoder::new(File::create(path).unwrap(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap();
}

fn line(value: u32) -> String {
    format!("{{\"time\":\"2026-01-25T00:13:47.050000Z\",\"value\":{value}.0}}\n")
}

#[test]
fn every_row_is_in_one_file_and_none_is_longer_than_set() {
    for compress in [Compress::None, Compress::Gzip] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.jsonl");
        let config = config(&path, 1000, 50, compress);
        write_each(&mut *open_as(&config), 0..60);
        write_each(&mut *open_as(&config), 60..100);
        assert_eq!(all_values(&path), numbers(0..100));
        let files = suffixes(&path);
        assert!(10 < files.len(), "{files:?}");
        for suffix in &files {
            let file = PathBuf::from(format!("{}{suffix}", path.display()));
            assert!(text(&file).len() <= 1000, "{suffix}");
        }
    }
}

#[test]
fn of_more_than_keep_files_the_oldest_goes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    write_each(&mut *open_as(&config(&path, 1, 3, Compress::None)), 0..10);
    assert_eq!(suffixes(&path), ["", ".1", ".2", ".3"]);
    assert_eq!(all_values(&path), numbers(6..10));
}

#[test]
fn of_more_than_keep_compressed_files_the_oldest_goes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    write_each(&mut *open_as(&config(&path, 1, 3, Compress::Gzip)), 0..10);
    assert_eq!(suffixes(&path), ["", ".1.gz", ".2.gz", ".3.gz"]);
    assert_eq!(all_values(&path), numbers(6..10));
}

#[test]
fn a_batch_is_not_divided() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    let mut writer = open_as(&config(&path, 500, 5, Compress::None));
    write(&mut *writer, &[row(0.0)]);
    let batch: Vec<_> = numbers(1..21).into_iter().map(row).collect();
    write(&mut *writer, &batch);
    write(&mut *writer, &[row(21.0)]);
    assert_eq!(text(&numbered(&path, "1")).lines().count(), 20);
    assert_eq!(all_values(&path), numbers(0..22));
}

#[test]
fn age_is_counted_by_the_rows_time_across_a_restart() {
    for format in [Format::Jsonl, Format::Csv, Format::Influx] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows");
        let rotate = Rotate {
            max_bytes: None,
            max_age: Some(Duration::from_secs(60)),
            keep: 5,
            compress: Compress::None,
        };
        let config = FileConfig { format, rotate: Some(rotate), ..FileConfig::new(&path) };
        let after = |seconds: i64| {
            let unix_nanos = AT.unix_nanos + seconds * 1_000_000_000;
            [row_at(Timestamp { unix_nanos, mono_nanos: 0 }, 1.0)]
        };
        let mut writer = open_as(&config);
        write(&mut *writer, &after(0));
        write(&mut *writer, &after(59));
        assert_eq!(suffixes(&path), [""], "{format:?}");
        drop(writer);
        let mut writer = open_as(&config);
        write(&mut *writer, &after(59));
        assert_eq!(suffixes(&path), [""], "{format:?}");
        write(&mut *writer, &after(60));
        assert_eq!(suffixes(&path), ["", ".1"], "{format:?}");
        // The clock is set back by an hour, and a minute passes.
        write(&mut *writer, &after(-3600));
        write(&mut *writer, &after(-3541));
        assert_eq!(suffixes(&path), ["", ".1"], "{format:?}");
        write(&mut *writer, &after(-3540));
        assert_eq!(suffixes(&path), ["", ".1", ".2"], "{format:?}");
    }
}

#[test]
fn each_csv_file_begins_with_the_header() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.csv");
    let config = FileConfig { format: Format::Csv, ..config(&path, 1, 5, Compress::None) };
    write_each(&mut *open_as(&config), 0..3);
    for (file, value) in
        [(numbered(&path, "2"), "0.0"), (numbered(&path, "1"), "1.0"), (path, "2.0")]
    {
        let mut reader = csv::Reader::from_path(&file).unwrap();
        assert_eq!(
            reader.headers().unwrap(),
            "time,timestamp,wan_name,metric_name,source,value,labels"
                .split(',')
                .collect::<Vec<_>>()
        );
        let values: Vec<String> = reader.records().map(|r| r.unwrap()[5].to_owned()).collect();
        assert_eq!(values, [value]);
    }
}

#[test]
fn without_rotation_a_file_grows_and_leftovers_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    fs::write(numbered(&path, "1.gz.tmp"), "half").unwrap();
    write_each(&mut *open_as(&FileConfig::new(&path)), 0..50);
    assert_eq!(suffixes(&path), ["", ".1.gz.tmp"]);
}

#[test]
fn a_crash_between_two_renames_loses_no_row() {
    // Number 1 has moved on, and the file itself has not followed.
    for compress in [Compress::None, Compress::Gzip] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.jsonl");
        fs::write(numbered(&path, "3"), line(0)).unwrap();
        fs::write(numbered(&path, "2"), line(1)).unwrap();
        fs::write(&path, line(2)).unwrap();
        let mut writer = open_as(&config(&path, 1, 3, compress));
        write_each(&mut *writer, 3..4);
        assert_eq!(all_values(&path), numbers(0..4), "{compress:?}: the gap is filled");
        write_each(&mut *writer, 4..5);
        assert_eq!(all_values(&path), numbers(1..5), "{compress:?}: the oldest goes");
    }
}

#[test]
fn a_crash_before_the_new_file_loses_no_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    fs::write(numbered(&path, "1"), line(0)).unwrap();
    write_each(&mut *open_as(&config(&path, 1, 3, Compress::None)), 1..3);
    assert_eq!(all_values(&path), numbers(0..3));
}

#[test]
fn half_a_compressed_file_is_removed_at_the_start_and_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    fs::write(numbered(&path, "1"), line(0)).unwrap();
    fs::write(numbered(&path, "1.gz.tmp"), "half").unwrap();
    let mut writer = open_as(&config(&path, 1_000_000, 3, Compress::Gzip));
    assert_eq!(suffixes(&path), ["", ".1"]);
    write_each(&mut *writer, 1..3);
    assert_eq!(suffixes(&path), ["", ".1.gz"]);
    assert_eq!(all_values(&path), numbers(0..3));
}

#[test]
fn a_crash_after_compression_leaves_no_row_twice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    fs::write(numbered(&path, "1"), line(0)).unwrap();
    gzip(&numbered(&path, "1.gz"), &line(0));
    write_each(&mut *open_as(&config(&path, 1_000_000, 3, Compress::Gzip)), 1..2);
    assert_eq!(suffixes(&path), ["", ".1.gz"]);
    assert_eq!(all_values(&path), numbers(0..2));
}

#[test]
fn a_compressed_file_of_other_content_costs_no_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    gzip(&numbered(&path, "1.gz"), &format!("{}{}", line(0), line(1)));
    fs::write(numbered(&path, "1"), line(2)).unwrap();
    write_each(&mut *open_as(&config(&path, 1, 5, Compress::Gzip)), 3..6);
    let mut values = all_values(&path);
    values.sort_by(f64::total_cmp);
    assert_eq!(values, numbers(0..6));
}

/// A file that takes several calls to compress, and how many rows it has.
fn long_file(path: &Path) -> u32 {
    let rows = 200_000;
    fs::write(path, (0..rows).map(line).collect::<String>()).unwrap();
    rows
}

#[test]
fn a_long_file_is_compressed_over_several_calls_and_may_be_moved_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    let rows = long_file(&path);
    let mut writer = open_as(&config(&path, 1, 100, Compress::Gzip));
    write_each(&mut *writer, rows..rows + 2);
    let meanwhile = ["", ".1", ".1.gz.tmp", ".2"];
    assert_eq!(suffixes(&path), meanwhile, "it has moved, and two calls don't do it all");
    write_each(&mut *writer, rows + 2..rows + 30);
    drop(writer);
    // Without more rotations everything that waits has its turn.
    write_each(&mut *open_as(&config(&path, 1_000_000, 100, Compress::Gzip)), rows + 30..rows + 60);
    let files = suffixes(&path);
    assert!(files.iter().all(|file| file.is_empty() || file.ends_with(".gz")), "{files:?}");
    assert_eq!(all_values(&path), numbers(0..rows + 60));
}

#[test]
fn a_file_that_goes_while_it_is_compressed_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    let rows = long_file(&path);
    let mut writer = open_as(&config(&path, 1, 1, Compress::Gzip));
    write_each(&mut *writer, rows..rows + 40);
    assert_eq!(suffixes(&path), ["", ".1.gz"]);
    assert_eq!(all_values(&path), numbers(rows + 38..rows + 40));
}

#[test]
fn what_is_not_compressed_at_the_end_is_compressed_after_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    let rows = long_file(&path);
    let mut writer = open_as(&config(&path, 1000, 3, Compress::Gzip));
    write_each(&mut *writer, rows..rows + 1);
    writer.close(super::soon()).unwrap();
    drop(writer);
    assert_eq!(suffixes(&path), ["", ".1"]);
    let mut writer = open_as(&config(&path, 1_000_000_000, 3, Compress::Gzip));
    write_each(&mut *writer, rows + 1..rows + 20);
    assert_eq!(suffixes(&path), ["", ".1.gz"]);
    assert_eq!(all_values(&path), numbers(0..rows + 20));
}

#[test]
fn a_rotation_that_fails_keeps_the_batch_and_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    // A folder that isn't empty can't be removed to make room.
    fs::create_dir_all(numbered(&path, "1").join("in the way")).unwrap();
    let mut writer = open_as(&config(&path, 1, 1, Compress::None));
    write(&mut *writer, &[row(0.0)]);
    let written = writer.write(&Batch::new(&[row(1.0)]), Deadline::after(Duration::from_secs(10)));
    let Written::Failed(error) = written else { panic!("{written:?}") };
    assert!(error.to_string().starts_with("can't rotate "), "{error}");
    assert_eq!(text(&path).lines().map(value).collect::<Vec<_>>(), [0.0]);
    fs::remove_dir_all(numbered(&path, "1")).unwrap();
    write(&mut *writer, &[row(1.0)]);
    assert_eq!(all_values(&path), numbers(0..2));
}

#[test]
fn every_policy_of_fsync_writes_every_row() {
    for fsync in
        [Fsync::Flush, Fsync::Never, Fsync::Batch, Fsync::Every(Duration::from_millis(500))]
    {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.jsonl");
        let mut writer = open_as(&FileConfig { fsync, ..config(&path, 500, 20, Compress::None) });
        write_each(&mut *writer, 0..20);
        writer.flush(super::soon()).unwrap();
        writer.close(super::soon()).unwrap();
        assert_eq!(all_values(&path), numbers(0..20), "{fsync:?}");
    }
}

#[test]
fn a_file_that_cannot_be_synced_says_so_only_when_it_is_to_be_synced() {
    // This device takes writes and refuses to be synced.
    let path = Path::new("/dev/null");
    let refuses = |fsync| {
        let mut writer = open_as(&FileConfig { fsync, ..FileConfig::new(path) });
        matches!(writer.write(&Batch::new(&[row(1.0)]), super::soon()), Written::Failed(_))
    };
    let every = Fsync::Every(Duration::from_secs(5));
    let policies = [Fsync::Flush, Fsync::Never, Fsync::Batch, every];
    assert_eq!(policies.map(refuses), [false, false, true, true]);
    let flush = |fsync| {
        open_as(&FileConfig { fsync, ..FileConfig::new(path) }).flush(super::soon()).is_err()
    };
    assert_eq!(policies.map(flush), [true, false, true, true]);
}
