//! Kill -9 at random moments: while the file is opened, between writes, in the middle of one, of a
//! roll-up, of sealing, of a checkpoint.
//!
//! The writer is a whole pipeline with the default linger of a second. Before it emits a frame it appends
//! the frame's number and the time to a plain file, which says afterwards what is missing, and since when.
//! Simulated time goes a hundred times as fast as real time, so that every tier is at work.
//!
//! `WANCTL_CRASH_ROUNDS` sets how often it is killed; 20 times by default.

#![expect(clippy::disallowed_methods, reason = "what is killed has to run in real time")]

use std::fs::{self, File};
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::Connection;
use wanctl_sink::{Pipeline, PipelineOptions, Registry, SinkSpec};

use crate::contents::{self, BUSY, IDLE};
use crate::frames;
use crate::random::Random;
use crate::writer::{Writer, open, soon, write};

/// The writer's folder, set in its process only.
const FOLDER: &str = "WANCTL_CRASH_FOLDER";
const ROUNDS: &str = "WANCTL_CRASH_ROUNDS";

/// Frames a second of real time.
const PACE: u32 = 2000;
/// So many at once.
const BURST: u32 = 10;
/// A writer is killed within this time from its start.
const LONGEST_MICROS: u64 = 2_000_000;
/// More than any round takes.
const ABANDONED: Duration = Duration::from_secs(30);

/// What may be gone: the linger and its jitter, and the time a commit takes.
const USUAL_LOSS: Duration = Duration::from_millis(1100);
const WORST_LOSS: Duration = Duration::from_secs(2);

fn database(folder: &Path) -> PathBuf {
    folder.join("metrics.db")
}

fn log(folder: &Path) -> PathBuf {
    folder.join("emitted")
}

/// Does nothing unless it was started by the test below.
#[test]
fn writes_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let mut number = emitted(&folder).last().map_or(0, |(number, _)| number + 1);
    let yaml = format!(
        "history: {{ type: sqlite, batch: {{ rows: 1000000, bytes: 1GiB }}, settings: {} }}",
        frames::settings(&database(&folder))
    );
    let specs = SinkSpec::parse_yaml(&yaml, &Registry::linked().unwrap()).unwrap();
    let options =
        PipelineOptions { frames_per_second: f64::from(PACE), ..PipelineOptions::default() };
    let pipeline = Pipeline::start(specs, options).unwrap();
    let (sink, schema) = (pipeline.sink(), frames::schema());
    let mut log = File::options().append(true).create(true).open(log(&folder)).unwrap();
    let begun = Instant::now();
    for burst in 0.. {
        for _ in 0..BURST {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
            log.write_all(format!("{number} {now}\n").as_bytes()).unwrap();
            let _ = sink.emit(&frames::frame(number, &schema));
            number += 1;
        }
        let due = Duration::from_secs(1) * BURST * (burst + 1) / PACE;
        assert!(due < ABANDONED, "nobody has killed it");
        thread::sleep(due.saturating_sub(begun.elapsed()));
    }
}

/// The numbers of the frames that were emitted so far, and when, in microseconds.
fn emitted(folder: &Path) -> Vec<(i64, i64)> {
    let text = fs::read_to_string(log(folder)).unwrap_or_default();
    // A line is written whole or not at all.
    let pair = |line: &str| {
        let (number, micros) = line.split_once(' ').unwrap();
        (number.parse().unwrap(), micros.parse().unwrap())
    };
    text.lines().map(pair).collect()
}

#[test]
fn a_killed_writer_loses_two_seconds_at_most_and_nothing_that_was_written() {
    let rounds = std::env::var(ROUNDS).map_or(20, |rounds| rounds.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = database(folder.path());
    let mut random = Random::new();
    let mut losses = Vec::new();
    let mut written: Vec<Range<i64>> = Vec::new();
    let mut known = 0;
    for round in 0..rounds {
        let writer = Writer::start("kill::writes_until_it_is_killed", &[(FOLDER, folder.path())]);
        thread::sleep(Duration::from_micros(random.below(LONGEST_MICROS)));
        writer.kill();

        let all = emitted(folder.path());
        let new = &all[known..];
        known = all.len();
        let (Some(&(first, begun)), Some(&(_, killed))) = (new.first(), new.last()) else {
            continue;
        };
        // The next writer shall find the files as they are, so a copy is looked at.
        let copy = copy(&path);
        let last = contents::last(&Connection::open(database(copy.path())).unwrap());
        let saved = last.filter(|last| first <= *last);
        if let Some(last) = saved {
            written.push(first..last + 1);
        }
        let since = saved.map_or(begun, |last| new[(last - first) as usize].1);
        losses.push(Duration::from_micros((killed - since) as u64));
        println!("round {round}: {} frames, lost {:?}", new.len(), losses.last().unwrap());
        contents::check(&database(copy.path()), &written, BUSY);
    }
    idle(&path, &mut written);
    losses.sort();
    let usual = losses[(losses.len() - 1) * 95 / 100];
    let worst = losses[losses.len() - 1];
    println!(
        "{rounds} kills, {} of them after rows were emitted; gone: p95 {usual:?}, at most {worst:?}",
        losses.len()
    );
    // Of a few kills, p95 is one of the worst, and says more of the machine than of us.
    assert!(usual <= USUAL_LOSS || losses.len() < 100, "p95 {usual:?}");
    assert!(worst <= WORST_LOSS, "at most {worst:?}");
}

/// Goes on slowly for a minute, so that maintenance has the time it needs, and looks once more.
fn idle(path: &Path, written: &mut Vec<Range<i64>>) {
    const ONE_SECOND: i64 = 20;
    let first = written.last().map_or(0, |range| range.end);
    let mut writer = open(path);
    for second in 0..60 {
        let start = first + second * ONE_SECOND;
        write(&mut *writer, start..start + ONE_SECOND);
    }
    writer.close(soon()).unwrap();
    written.push(first..first + 60 * ONE_SECOND);
    contents::check(path, written, IDLE);
}

/// The history and its log, elsewhere.
fn copy(path: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let log = path.with_extension("db-wal");
    for file in [path, &log].into_iter().filter(|file| file.exists()) {
        fs::copy(file, folder.path().join(file.file_name().unwrap())).unwrap();
    }
    folder
}
