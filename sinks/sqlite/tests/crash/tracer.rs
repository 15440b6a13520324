//! The calls by which one thread of another process writes the files of a folder, in their order.
//!
//! What is written is read back from the file while the writer stands still after the call. Writes through
//! mapped memory are not seen; SQLite makes them to its `-shm` only, which a power cut makes worthless.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// What happened to the file of this name.
#[derive(Debug)]
pub(crate) enum Step {
    Write { file: String, offset: usize, bytes: Vec<u8> },
    Resize { file: String, len: usize },
    Sync { file: String },
    Remove { file: String },
}

/// A thread that stands still.
pub(crate) struct Traced {
    thread: Pid,
    folder: PathBuf,
}

impl Traced {
    /// Stops this thread of a process that was started by the calling thread.
    pub(crate) fn stop(thread: i32, folder: &Path) -> Self {
        let thread = Pid::from_raw(thread);
        let options = Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_EXITKILL;
        ptrace::seize(thread, options).expect("the system lets a process trace its child");
        ptrace::interrupt(thread).unwrap();
        waitpid(thread, Some(WaitPidFlag::__WALL)).unwrap();
        Traced { thread, folder: folder.canonicalize().unwrap() }
    }

    /// Lets it go on to its end, and tells what it did meanwhile to files that `is_wanted`.
    pub(crate) fn record(self, is_wanted: fn(&str) -> bool) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut known: Vec<String> = Vec::new();
        // The call that the thread is in.
        let mut entered: Option<Call> = None;
        let mut signal = None;
        loop {
            // It is gone when the process was killed, which the wait then tells.
            let _ = ptrace::syscall(self.thread, signal.take());
            match waitpid(self.thread, Some(WaitPidFlag::__WALL)).unwrap() {
                WaitStatus::PtraceSyscall(_) => match entered.take() {
                    None => entered = Some(self.call()),
                    Some(call) => {
                        let step = self.step(&call, &known);
                        if let Some(step) = step.filter(|step| is_wanted(step.file())) {
                            known.retain(|name| name != step.file());
                            if !matches!(step, Step::Remove { .. }) {
                                known.push(step.file().to_owned());
                            }
                            steps.push(step);
                        }
                    }
                },
                WaitStatus::Stopped(_, stopped) => signal = Some(stopped),
                WaitStatus::Exited(..) | WaitStatus::Signaled(..) => return steps,
                _ => {}
            }
        }
    }

    fn proc(&self, name: impl AsRef<Path>) -> PathBuf {
        Path::new(&format!("/proc/{}", self.thread)).join(name)
    }

    /// The call that it just enters.
    fn call(&self) -> Call {
        let text = fs::read_to_string(self.proc("syscall")).unwrap();
        let hex = |word: &str| u64::from_str_radix(word.trim_start_matches("0x"), 16).unwrap_or(0);
        let mut words = text.split_ascii_whitespace();
        let number = words.next().and_then(|number| number.parse().ok()).unwrap_or(-1);
        let mut argument = || words.next().map_or(0, hex);
        let arguments = [argument(), argument(), argument(), argument()];
        Call { number, arguments }
    }

    /// What the call has done that it just returns from.
    fn step(&self, call: &Call, known: &[String]) -> Option<Step> {
        let [descriptor, second, third, fourth] = call.arguments;
        let file = || self.file(descriptor);
        match call.number {
            libc::SYS_write => {
                let len = third as usize;
                let end = self.position(descriptor)?;
                file().map(|file| self.written(file, end - len, len))
            }
            libc::SYS_pwrite64 => {
                file().map(|file| self.written(file, fourth as usize, third as usize))
            }
            libc::SYS_ftruncate => file().map(|file| Step::Resize { file, len: second as usize }),
            libc::SYS_fsync | libc::SYS_fdatasync => file().map(|file| Step::Sync { file }),
            libc::SYS_unlink | libc::SYS_unlinkat => {
                let gone = known.iter().find(|name| !self.folder.join(name).exists())?;
                Some(Step::Remove { file: gone.clone() })
            }
            _ => None,
        }
    }

    fn written(&self, file: String, offset: usize, len: usize) -> Step {
        let mut bytes = vec![0; len];
        let open = File::open(self.folder.join(&file)).unwrap();
        open.read_exact_at(&mut bytes, offset as u64).unwrap();
        Step::Write { file, offset, bytes }
    }

    /// The name of a file in the folder.
    fn file(&self, descriptor: u64) -> Option<String> {
        let path = fs::read_link(self.proc(format!("fd/{descriptor}"))).ok()?;
        let name = path.strip_prefix(&self.folder).ok()?.to_str()?;
        // The folder itself has no name in it.
        (!name.is_empty()).then(|| name.to_owned())
    }

    /// Where in the file the next byte goes.
    fn position(&self, descriptor: u64) -> Option<usize> {
        let text = fs::read_to_string(self.proc(format!("fdinfo/{descriptor}"))).ok()?;
        text.lines().find_map(|line| line.strip_prefix("pos:"))?.trim().parse().ok()
    }
}

struct Call {
    number: i64,
    arguments: [u64; 4],
}

impl Step {
    pub(crate) fn file(&self) -> &str {
        match self {
            Step::Write { file, .. }
            | Step::Resize { file, .. }
            | Step::Sync { file }
            | Step::Remove { file } => file,
        }
    }
}
