//! Sinks that misbehave, all at once: one that hangs, one that panics at random, one whose database is
//! locked by another process most of the time, one whose disk is full.
//!
//! The last one's disk is a file system of its own where this process may mount one, `/dev/full` otherwise.
#![expect(clippy::disallowed_methods, reason = "a call hangs for some time")]

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use wanctl::sink::{
    Batch, Deadline, FaultClass, OpenContext, Registry, RetryOptions, SinkConfig, SinkError,
    SinkSpec, SinkWriter, Written,
};

use crate::locker::Locker;

/// A call to these sinks has this long; one that hangs is left behind after twice the time.
const TIMEOUT: Duration = Duration::from_millis(500);
/// How long a call of the sink that hangs takes: others are left behind meanwhile, and it comes back.
const HANGS: Duration = Duration::from_secs(5);
/// Set in a process that has mounts of its own.
const OWN_MOUNTS: &str = "BENCH_HAS_OWN_MOUNTS";

/// Starts this program again where it may mount file systems, if the system allows that.
pub(crate) fn enter_own_mounts() {
    let unshare = || {
        let mut command = Command::new("unshare");
        command.arg("--map-root-user").arg("--mount");
        command
    };
    let quiet = || unshare().arg("true").stderr(Stdio::null()).status();
    if std::env::var_os(OWN_MOUNTS).is_some() || !quiet().is_ok_and(|status| status.success()) {
        return;
    }
    let program = std::env::current_exe().unwrap();
    let error =
        unshare().arg(program).args(std::env::args_os().skip(1)).env(OWN_MOUNTS, "1").exec();
    panic!("unshare: {error}");
}

/// What the failing sinks need for as long as they run.
pub(crate) struct Faults {
    released: Arc<AtomicBool>,
    locker: Locker,
    disk: FullDisk,
}

impl Faults {
    /// The failing sinks, each with a queue of this many seconds, and what makes them fail.
    pub(crate) fn new(folder: &Path, queue_seconds: f64) -> (Vec<SinkSpec>, Self) {
        keep_quiet_about_panicking_sinks();
        let database = folder.join("locked.db");
        let locker = Locker::start(&database);
        let disk = FullDisk::new(folder);
        let released = Arc::new(AtomicBool::new(false));
        let files = format!(
            "locked: {{ type: sqlite, settings: {{ path: '{}' }} }}\n\
             full: {{ type: file, settings: {{ path: '{}' }} }}",
            database.display(),
            disk.file.display()
        );
        let mut specs = SinkSpec::parse_yaml(&files, &Registry::linked().unwrap()).unwrap();
        let hung = Hung { released: Arc::clone(&released) };
        specs.push(SinkSpec::new("hung", "hung", Box::new(hung)));
        specs.push(SinkSpec::new("panicking", "panicking", Box::new(Panicking::default())));
        for spec in &mut specs {
            spec.timeout = TIMEOUT;
            spec.queue.seconds = queue_seconds;
            spec.retry = RetryOptions { max: TIMEOUT, ..Default::default() };
        }
        (specs, Faults { released, locker, disk })
    }

    /// What the full disk is.
    pub(crate) fn disk(&self) -> &'static str {
        if self.disk.mounted.is_some() { "a tmpfs that is full" } else { "/dev/full" }
    }

    /// Lets calls that hang return, so that accounts are final.
    pub(crate) fn release(&self) {
        self.released.store(true, Relaxed);
    }

    /// Ends what makes them fail; returns how often the database was locked.
    pub(crate) fn stop(self) -> u32 {
        self.locker.stop()
    }
}

/// Panics of sinks are meant here; those of the bench itself are shown.
fn keep_quiet_about_panicking_sinks() {
    let show = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !thread::current().name().is_some_and(|name| name.starts_with("sink/")) {
            show(panic);
        }
    }));
}

/// A place for a file that takes nothing, or next to nothing.
struct FullDisk {
    file: PathBuf,
    mounted: Option<PathBuf>,
}

impl FullDisk {
    fn new(folder: &Path) -> Self {
        if std::env::var_os(OWN_MOUNTS).is_none() {
            return FullDisk { file: PathBuf::from("/dev/full"), mounted: None };
        }
        let disk = folder.join("disk");
        std::fs::create_dir(&disk).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(&disk);
        assert!(mount.status().unwrap().success(), "{mount:?}");
        FullDisk { file: disk.join("full.jsonl"), mounted: Some(disk) }
    }
}

impl Drop for FullDisk {
    fn drop(&mut self) {
        if let Some(disk) = &self.mounted {
            let _ = Command::new("umount").arg("--lazy").arg(disk).status();
        }
    }
}

/// A sink whose every write hangs, far beyond its deadline.
#[derive(Clone, Debug)]
struct Hung {
    released: Arc<AtomicBool>,
}

impl SinkConfig for Hung {
    fn open(&self, _: &OpenContext) -> Result<Box<dyn SinkWriter>, SinkError> {
        Ok(Box::new(self.clone()))
    }
}

impl SinkWriter for Hung {
    fn write(&mut self, _: &Batch<'_>, _: Deadline) -> Written {
        let until = Deadline::after(HANGS);
        while !until.is_over() && !self.released.load(Relaxed) {
            thread::sleep(Duration::from_millis(20));
        }
        Written::Failed(SinkError::new(FaultClass::Cancelled, "hung"))
    }
}

/// A sink that panics in every second write, at random.
#[derive(Clone, Debug)]
struct Panicking {
    /// Shared by all writers, so that one that is built anew does not begin with the same numbers.
    seed: Arc<AtomicU32>,
}

impl Default for Panicking {
    fn default() -> Self {
        Panicking { seed: Arc::new(AtomicU32::new(0x9E37_79B9)) }
    }
}

impl SinkConfig for Panicking {
    fn open(&self, _: &OpenContext) -> Result<Box<dyn SinkWriter>, SinkError> {
        Ok(Box::new(self.clone()))
    }
}

impl SinkWriter for Panicking {
    fn write(&mut self, _: &Batch<'_>, _: Deadline) -> Written {
        let mut seed = self.seed.load(Relaxed);
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        self.seed.store(seed, Relaxed);
        assert!(seed.is_multiple_of(2), "meant to happen");
        Written::All
    }
}
