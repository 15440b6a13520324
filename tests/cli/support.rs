//! A folder to run the program in, and the programs that run in it.
#![expect(clippy::disallowed_methods, reason = "polls what other processes do, with deadlines")]

use std::cell::Cell;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Far beyond anything that should happen here.
const PATIENCE: Duration = Duration::from_secs(60);

/// Autorate and steering of a WAN named `loop`, which is this machine itself.
///
/// The TCP targets are named because their default is on the internet.
pub(super) const BOTH: &str = "\
wan_name: loop
continuous_monitoring:
  reflectors: [127.0.0.1]
  download: { ceiling_mbps: 100, floor_mbps: 20 }
  upload: { ceiling_mbps: 20, floor_mbps: 4 }
  fallback_checks: { local: true, check_gateway: false, tcp_targets: [[127.0.0.1, 9]] }
shaper: { type: dry_run }
topology: { primary_wan: loop, alternate_wan: spare }
measurement: { interval_seconds: 0.5, reflectors: [127.0.0.1], fallback_to_local: true }
mode: { cake_aware: false }
";

/// [`BOTH`] without steering.
pub(super) fn autorate() -> String {
    BOTH.split_inclusive('\n').take(7).collect()
}

/// [`BOTH`] without autorate.
pub(super) fn steering() -> String {
    BOTH.split_inclusive('\n').skip(7).collect()
}

/// Calls `probe` until it gives something.
pub(super) fn poll<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < until, "{what} did not happen");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A folder with configuration files, and in it an empty working directory for the program.
pub(super) struct Place {
    folder: tempfile::TempDir,
    started: Cell<u32>,
}

impl Place {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("work")).unwrap();
        Place { folder, started: Cell::new(0) }
    }

    /// The working directory of programs.
    pub(super) fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// A path outside the working directory.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file outside the working directory.
    pub(super) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// What is in the working directory, sorted.
    pub(super) fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.work()).unwrap();
        let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        let mut names: Vec<String> = entries.map(|entry| name(entry.unwrap())).collect();
        names.sort();
        names
    }

    /// The program in the working directory, with arguments separated by spaces, of which `{}` is `config`.
    pub(super) fn command(&self, arguments: &str, config: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wanctl"));
        for argument in arguments.split_whitespace() {
            match argument {
                "{}" => command.arg(config),
                argument => command.arg(argument),
            };
        }
        // The default is a place of the machine, where a daemon may really run.
        if arguments.starts_with("run ") && !arguments.contains("--status-socket") {
            command.args(["--status-socket", "none"]);
        }
        command.current_dir(self.work()).env_remove("WANCTL_LOG").stdin(Stdio::null());
        command
    }

    /// Starts a command, with what it prints in files.
    pub(super) fn start(&self, mut command: Command) -> Running {
        let number = self.started.replace(self.started.get() + 1);
        let out = self.path(&format!("{number}.out"));
        let err = self.path(&format!("{number}.err"));
        let child = command
            .stdout(File::create(&out).unwrap())
            .stderr(File::create(&err).unwrap())
            .spawn()
            .unwrap();
        Running { child, out, err }
    }

    /// Runs the program to its end.
    pub(super) fn run(&self, arguments: &str, config: &Path) -> Finished {
        self.start(self.command(arguments, config)).finish()
    }
}

/// A program that runs. It ends with the test at the latest.
pub(super) struct Running {
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Running {
    /// What it has logged so far.
    pub(super) fn log_so_far(&self) -> String {
        fs::read_to_string(&self.err).unwrap()
    }

    /// What it has printed so far.
    pub(super) fn out_so_far(&self) -> String {
        fs::read_to_string(&self.out).unwrap()
    }

    /// Sends a signal, by its name without `SIG`.
    pub(super) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    pub(super) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for the end.
    pub(super) fn finish(mut self) -> Finished {
        let status = poll("the end of the program", || self.child.try_wait().unwrap());
        Finished {
            code: status.code(),
            out: fs::read_to_string(&self.out).unwrap(),
            err: fs::read_to_string(&self.err).unwrap(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a program left.
pub(super) struct Finished {
    /// `None` for a program that a signal ended.
    pub(super) code: Option<i32>,
    pub(super) out: String,
    pub(super) err: String,
}

impl Finished {
    /// This, after a check that the program succeeded.
    pub(super) fn success(self) -> Self {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        self
    }

    /// This, after a check that the program failed.
    pub(super) fn failure(self) -> Self {
        assert_eq!(self.code, Some(1), "{}{}", self.out, self.err);
        self
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }

    /// Every line of a log in JSON.
    pub(super) fn log(&self) -> Vec<Value> {
        let line = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        self.err.lines().map(line).collect()
    }

    /// The lines of a log in JSON with this message.
    pub(super) fn said(&self, message: &str) -> Vec<Value> {
        self.log().into_iter().filter(|line| line["message"] == message).collect()
    }

    /// How many cycles the log says a controller made.
    pub(super) fn cycles(&self, controller: &str) -> u64 {
        let stopped = self.said("Controller stopped.");
        let line = stopped.iter().find(|line| line["controller"] == controller).unwrap();
        line["cycles"].as_u64().unwrap()
    }
}
