//! The power is cut below SQLite: what was written and not synced is lost, or half of it.
//!
//! A writer is traced while it writes batches, maintains its file and closes it. From the calls that it
//! made follows what a disk may hold if the power is cut after any of them: everything up to the last sync
//! of a file, and of what was written after that each sector (512 bytes) as it was before, as it was to
//! be, or as garbage, whatever became of the others. Each such disk is opened again. What was
//! acknowledged before the cut has to be there, and nothing twice or out of its tier.
//!
//! Not simulated: disks that lie about a sync, that damage what was not written just then, and folders
//! that forget the name of a new file (SQLite syncs the folder too). A removed file stays removed.
//!
//! `WANCTL_CRASH_CUTS` sets how often the power is cut; 40 times by default.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write, stdin};
use std::ops::Range;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::contents::{self, BUSY};
use crate::random::Random;
use crate::tracer::{Step, Traced};
use crate::writer::{Writer, open, soon, write};

/// The writer's folder, set in its process only.
const FOLDER: &str = "WANCTL_POWER_CUT_FOLDER";
const CUTS: &str = "WANCTL_CRASH_CUTS";

const DATABASE: &str = "metrics.db";
/// Gets a byte when a batch is acknowledged.
const ACKNOWLEDGED: &str = "acknowledged";

/// How many batches are written, and the frames of each: one minute.
const BATCHES: usize = 50;
const FRAMES: i64 = 1200;

/// What a disk writes whole, or not at all.
const SECTOR: usize = 512;

fn batch(number: usize) -> Range<i64> {
    number as i64 * FRAMES..(number as i64 + 1) * FRAMES
}

/// Does nothing unless it was started by the test below.
#[test]
fn writes_while_it_is_traced() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    println!("\nthread {}", nix::unistd::gettid());
    stdin().read_line(&mut String::new()).unwrap();
    let mut acknowledged = File::create(folder.join(ACKNOWLEDGED)).unwrap();
    let mut writer = open(&folder.join(DATABASE));
    for number in 0..BATCHES {
        write(&mut *writer, batch(number));
        acknowledged.write_all(b".").unwrap();
    }
    writer.close(soon()).unwrap();
}

/// All that the writer does to its files.
fn trace(folder: &Path) -> Vec<Step> {
    let mut writer = Writer::start("power_cut::writes_while_it_is_traced", &[(FOLDER, folder)]);
    // Its output is kept open to its end.
    let mut output = BufReader::new(writer.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let thread = output.find_map(|line| line.strip_prefix("thread ").map(|id| id.parse().unwrap()));
    let traced = Traced::stop(thread.unwrap(), folder);
    writer.0.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let steps = traced.record(|file| !file.ends_with("-shm") && !file.ends_with("-maintenance"));
    let rest: Vec<String> = output.collect();
    assert!(writer.0.wait().unwrap().success(), "{}", rest.join("\n"));
    steps
}

#[test]
fn a_power_cut_loses_nothing_that_was_acknowledged() {
    let cuts = std::env::var(CUTS).map_or(40, |cuts| cuts.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let steps = trace(folder.path());
    let mut disk = Disk::default();
    steps.iter().for_each(|step| disk.step(step));
    for (name, file) in &disk.files {
        let now = fs::read(folder.path().join(name)).unwrap();
        assert!(now == file.now(), "not every call on {name} was seen");
    }

    let mut random = Random::new();
    for cut in 0..cuts {
        let at = 1 + moment(&steps, &mut random);
        let mut disk = Disk::default();
        steps[..at].iter().for_each(|step| disk.step(step));
        let copy = tempfile::tempdir().unwrap();
        disk.cut(copy.path(), &mut random);
        println!("cut {cut} after step {at} of {}: {:?}", steps.len(), steps[at - 1].file());
        recover(copy.path(), disk.acknowledged());
    }
}

/// A step to cut after: any, or one that writes the file itself and not its log.
fn moment(steps: &[Step], random: &mut Random) -> usize {
    let of_database: Vec<usize> =
        (0..steps.len()).filter(|at| steps[*at].file() == DATABASE).collect();
    match random.below(2) {
        0 => random.below(steps.len() as u64) as usize,
        _ => of_database[random.below(of_database.len() as u64) as usize],
    }
}

/// Opens the history again and goes on with it.
fn recover(folder: &Path, acknowledged: usize) {
    let path = folder.join(DATABASE);
    let mut writer = open(&path);
    let last = contents::last(&Connection::open(&path).unwrap());
    let batches = last.map_or(0, |last| (last + 1) as usize / FRAMES as usize);
    assert!(
        acknowledged <= batches,
        "{acknowledged} batches were acknowledged, {batches} are there"
    );
    assert!(
        batches <= acknowledged + 1,
        "{batches} batches are there, {acknowledged} were written"
    );
    let written = |batches: usize| (0 < batches).then(|| 0..batches as i64 * FRAMES);
    contents::check(&path, written(batches).as_slice(), BUSY);
    write(&mut *writer, batch(batches));
    writer.close(soon()).unwrap();
    contents::check(&path, written(batches + 1).as_slice(), BUSY);
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name());
    let aside: Vec<_> = files.filter(|name| name.to_string_lossy().contains("corrupt")).collect();
    assert!(aside.is_empty(), "{aside:?} was taken for damaged");
}

/// What has reached the disk, and what may have.
#[derive(Default)]
struct Disk {
    files: BTreeMap<String, Contents>,
}

/// The contents of a file.
#[derive(Default)]
struct Contents {
    synced: Vec<u8>,
    pending: Vec<Change>,
}

enum Change {
    Write(usize, Vec<u8>),
    Resize(usize),
}

impl Disk {
    fn step(&mut self, step: &Step) {
        let file = self.files.entry(step.file().to_owned()).or_default();
        match step {
            Step::Write { offset, bytes, .. } => {
                file.pending.push(Change::Write(*offset, bytes.clone()));
            }
            Step::Resize { len, .. } => file.pending.push(Change::Resize(*len)),
            Step::Sync { .. } => {
                file.synced = file.now();
                file.pending.clear();
            }
            Step::Remove { file } => drop(self.files.remove(file)),
        }
    }

    fn acknowledged(&self) -> usize {
        self.files.get(ACKNOWLEDGED).map_or(0, |file| file.now().len())
    }

    /// Puts what a power cut leaves into a folder.
    fn cut(&self, folder: &Path, random: &mut Random) {
        for (name, file) in self.files.iter().filter(|(name, _)| *name != ACKNOWLEDGED) {
            // Of some cuts nothing is left that was not synced, of others everything.
            let left = random.below(4);
            let contents = file.torn(|| match left {
                0 => Fate::Lost,
                1 => Fate::Written,
                _ => Fate::of(random),
            });
            fs::write(folder.join(name), contents).unwrap();
        }
    }
}

/// What becomes of a sector that was not synced.
enum Fate {
    Lost,
    Written,
    Garbage,
}

impl Fate {
    fn of(random: &mut Random) -> Self {
        match random.below(9) {
            0..4 => Fate::Lost,
            4..8 => Fate::Written,
            _ => Fate::Garbage,
        }
    }
}

impl Contents {
    /// The contents as everybody reads them.
    fn now(&self) -> Vec<u8> {
        self.torn(|| Fate::Written)
    }

    fn torn(&self, mut fate: impl FnMut() -> Fate) -> Vec<u8> {
        let mut bytes = self.synced.clone();
        for change in &self.pending {
            match change {
                Change::Resize(len) => {
                    if !matches!(fate(), Fate::Lost) {
                        bytes.resize(*len, 0);
                    }
                }
                Change::Write(offset, new) => {
                    // Pieces of the write, each in a sector of its own.
                    let mut at = *offset;
                    while at < offset + new.len() {
                        let end = ((at / SECTOR + 1) * SECTOR).min(offset + new.len());
                        let piece = &new[at - offset..end - offset];
                        let fate = fate();
                        if !matches!(fate, Fate::Lost) {
                            bytes.resize(bytes.len().max(end), 0);
                            bytes[at..end].copy_from_slice(piece);
                        }
                        if matches!(fate, Fate::Garbage) {
                            bytes[at..end].fill(0xa5);
                        }
                        at = end;
                    }
                }
            }
        }
        bytes
    }
}
