//! A disk of a test's own, a program that records to it, and the accounts of its rows.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::super::rows;
use super::super::support::{Finished, Place, Running, autorate, poll};

const NAMESPACE: &str = "WANCTL_TEST_MOUNT_NAMESPACE";
pub(super) const BEGINS: &str = "Sink does not take samples; they queue.";
pub(super) const ENDS: &str = "Sink takes samples again.";
/// The sinks on the disk that fails.
pub(super) const BOTH: [&str; 2] = ["trace", "history"];

/// Runs the test of this name, in this module, in a mount namespace of its own.
pub(super) fn in_own_namespace(test: &str, body: impl FnOnce()) {
    if std::env::var_os(NAMESPACE).is_some() {
        return body();
    }
    // The new namespace needs the right to mount, too.
    let probe = ["--mount", "mount", "-t", "tmpfs", "tmpfs", "/tmp"];
    if !Command::new("unshare").args(probe).output().is_ok_and(|output| output.status.success()) {
        crate::visible::say("skipped: no file system can be mounted here (needs root)");
        return;
    }
    let output = Command::new("unshare")
        .arg("--mount")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &format!("cli::disk::{test}"), "--nocapture"])
        .env(NAMESPACE, "1")
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() && out.contains("1 passed"), "{out}{err}");
}

fn mount<const N: usize>(arguments: [&OsStr; N]) {
    let output = Command::new("mount").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A small disk, and a place with a program that records to it.
pub(super) struct Disk {
    pub(super) place: Place,
    pub(super) folder: PathBuf,
}

impl Disk {
    /// A disk of this many bytes.
    pub(super) fn new(size: &str) -> Self {
        let place = Place::new();
        let folder = place.path("disk");
        fs::create_dir(&folder).unwrap();
        let disk = Disk { place, folder };
        disk.mount_here(&format!("size={size}"));
        disk
    }

    /// Mounts an empty file system over what is there.
    pub(super) fn mount_here(&self, options: &str) {
        let (kind, options) = (OsStr::new("tmpfs"), OsStr::new(options));
        let flags = ["-t", "-o"].map(OsStr::new);
        mount([flags[0], kind, flags[1], options, kind, self.folder.as_os_str()]);
    }

    /// Takes away what was mounted last.
    pub(super) fn unmount(&self) {
        // Who has a file open there keeps it until it is closed.
        let status = Command::new("umount").arg("--lazy").arg(&self.folder).status().unwrap();
        assert!(status.success());
    }

    pub(super) fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        mount([OsStr::new("-o"), OsStr::new(&options), self.folder.as_os_str()]);
    }

    /// The folder that the sinks write to.
    pub(super) fn rows(&self) -> PathBuf {
        self.folder.join("rows")
    }

    pub(super) fn trace(&self) -> PathBuf {
        self.rows().join("trace.jsonl")
    }

    pub(super) fn history(&self) -> PathBuf {
        self.rows().join("history.db")
    }

    pub(super) fn witness(&self) -> PathBuf {
        self.place.path("witness.jsonl")
    }

    /// A configuration with the sinks of the disk, which get these options.
    pub(super) fn config(&self, options: &str) -> PathBuf {
        let sink = |name: &str, kind: &str, options: &str, path: &Path| {
            let settings = format!("{{ path: '{}' }}", path.display());
            let batch = "batch: { linger: 200ms }";
            format!("  {name}: {{ type: {kind}, {batch}, {options} settings: {settings} }}\n")
        };
        let sinks = [
            sink("witness", "file", "", &self.witness()),
            sink("trace", "file", options, &self.trace()),
            sink("history", "sqlite", options, &self.history()),
        ];
        self.place.write("wan.yaml", &format!("{}sinks:\n{}", autorate(), sinks.concat()))
    }

    /// Starts the program, with these options of the sinks on the disk.
    pub(super) fn start(&self, options: &str) -> Running {
        let config = self.config(options);
        self.place.start(self.place.command("run --config {} --log-format json", &config))
    }

    /// Waits until both sinks have said this so many times.
    pub(super) fn wait_for(&self, message: &str, times: usize) {
        let log = self.place.path("0.err");
        for sink in BOTH {
            poll(&format!("{sink}: {message}"), || {
                let text = fs::read_to_string(&log).unwrap();
                (said(&parse(&text), sink, message) >= times).then_some(())
            });
        }
    }

    /// Waits until the program has made this many more cycles.
    pub(super) fn wait_for_cycles(&self, more: usize) {
        let cycles = || {
            let text = fs::read_to_string(self.witness()).unwrap_or_default();
            text.lines().filter(|line| line.contains("wanctl_probe_outcome")).count()
        };
        let enough = cycles() + more;
        poll("more cycles", || (enough <= cycles()).then_some(()));
    }

    /// Waits until both sinks have written more.
    pub(super) fn wait_for_rows(&self) {
        let files = [self.trace(), self.history()];
        let count = |file: &Path| match file.extension() {
            Some(kind) if kind == "db" => rows::so_far(file).len(),
            _ => fs::read_to_string(file).unwrap_or_default().lines().count(),
        };
        let before = files.each_ref().map(|file| count(file));
        for (file, before) in files.iter().zip(before) {
            poll("more rows", || (before < count(file)).then_some(()));
        }
    }

    /// Stops the program, and checks that each row that was offered is accounted for.
    pub(super) fn stop(&self, daemon: Running) -> Outcome {
        daemon.signal("TERM");
        let run = daemon.finish().success();
        let witness = Accounts::of(&run, "witness");
        assert_eq!((witness.evicted, witness.rejected, witness.lost), (0, 0, 0));
        let offered = trace(&self.witness());
        assert_eq!(witness.delivered, offered.len(), "rows at the destination that works");
        for sink in BOTH {
            let accounts = Accounts::of(&run, sink);
            assert_eq!(accounts.all(), offered.len(), "{sink}: {accounts:?}\n{}", run.err);
        }
        Outcome { run, offered }
    }
}

/// What a program left.
pub(super) struct Outcome {
    pub(super) run: Finished,
    /// Every row that the controllers emitted.
    pub(super) offered: BTreeSet<String>,
}

impl Outcome {
    pub(super) fn trace(&self) -> Accounts {
        Accounts::of(&self.run, "trace")
    }

    pub(super) fn history(&self) -> Accounts {
        Accounts::of(&self.run, "history")
    }

    /// Checks that these are all that was delivered, and that they were offered.
    #[track_caller]
    pub(super) fn check(&self, accounts: &Accounts, rows: &BTreeSet<String>) {
        assert_eq!(rows.len(), accounts.delivered, "{accounts:?}\n{}", self.run.err);
        assert!(rows.is_subset(&self.offered));
    }

    /// Checks what the sinks said, apart from where they begin and end.
    #[track_caller]
    pub(super) fn said(&self, messages: &[&str]) {
        for sink in BOTH {
            assert_eq!(lines(&self.run, sink), messages, "{sink}\n{}", self.run.err);
        }
    }
}

/// Where the rows of a sink went, as the program says at its end.
#[derive(Debug)]
pub(super) struct Accounts {
    pub(super) delivered: usize,
    pub(super) evicted: usize,
    pub(super) rejected: usize,
    pub(super) lost: usize,
}

impl Accounts {
    fn of(run: &Finished, sink: &str) -> Self {
        let closed = run.said("Sink closed.");
        let line = closed.iter().find(|line| line["sink"] == sink).unwrap();
        let number = |key: &str| line[key].as_u64().unwrap() as usize;
        Accounts {
            delivered: number("delivered"),
            evicted: number("evicted"),
            rejected: number("rejected"),
            lost: number("lost"),
        }
    }

    fn all(&self) -> usize {
        self.delivered + self.evicted + self.rejected + self.lost
    }
}

/// Everything a sink said from when it was open until the program was told to stop.
pub(super) fn lines(run: &Finished, sink: &str) -> Vec<String> {
    let log = run.log().into_iter().take_while(|line| line["message"] != "Stopping.");
    let messages = log
        .filter(|line| line["sink"] == sink)
        .map(|line| line["message"].as_str().unwrap().to_owned());
    messages.filter(|message| message != "Sink is open.").collect()
}

/// The complete lines of a log in JSON.
pub(super) fn parse(text: &str) -> Vec<Value> {
    let complete = text.rsplit_once('\n').map_or("", |(complete, _)| complete);
    complete.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// How often a sink said this.
pub(super) fn said(log: &[Value], sink: &str, message: &str) -> usize {
    log.iter().filter(|line| line["sink"] == sink && line["message"] == message).count()
}

/// The rows of a file in JSON, each of which is there once.
#[track_caller]
pub(super) fn trace(path: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    let row = |line: &Value| {
        let text = |key: &str| line[key].as_str().unwrap().to_owned();
        let time: jiff::Timestamp = text("time").parse().unwrap();
        rows::Row {
            at: time.as_microsecond(),
            wan: text("wan_name"),
            metric: text("metric_name"),
            source: text("source"),
            value: line["value"].as_f64().unwrap(),
            labels: line.get("labels").cloned(),
        }
    };
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let rows: BTreeSet<String> = lines.iter().map(|line| row(line).key()).collect();
    assert_eq!(rows.len(), lines.len(), "a row is there twice");
    rows
}

/// The rows of a sound history, each of which is there once.
#[track_caller]
pub(super) fn history(path: &Path) -> BTreeSet<String> {
    let check: String =
        rows::open(path).query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    let all = rows::read(path);
    let rows: BTreeSet<String> = all.iter().map(rows::Row::key).collect();
    assert_eq!(rows.len(), all.len(), "a row is there twice");
    rows
}

/// The rows of two files, none of which is in both.
#[track_caller]
pub(super) fn together(one: BTreeSet<String>, other: BTreeSet<String>) -> BTreeSet<String> {
    assert!(one.is_disjoint(&other), "a row is there twice");
    one.into_iter().chain(other).collect()
}

/// Writes to this file until nothing more goes in.
pub(super) fn fill(path: &Path) {
    let mut ballast = File::create(path).unwrap();
    let mut block = vec![0; 4096];
    loop {
        match ballast.write(&block) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::StorageFull && 1 < block.len() => {
                block.truncate(block.len() / 2);
            }
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::StorageFull);
                return;
            }
        }
    }
}
