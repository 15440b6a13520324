//! Checks of what belongs to the whole process: its threads, its descriptors, its log. Each runs in a
//! process of its own, because other tests run beside it in this one.

use std::fmt::Debug;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{env, fs};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Level, Metadata, Subscriber};

use super::bench::{Bench, LIMIT, close, wait_for};
use super::rows::Rows;
use super::{Fault, Harness, Outcome};
use crate::Item;

/// Set in the child, to the path of the test it is to run.
const CHILD: &str = "WANCTL_CONFORMANCE_CHILD";
/// How long threads may take to end after their destination was closed.
const ENDING: Duration = Duration::from_secs(2);
/// How many lines an outage may put into the log, however often the destination is tried.
const LINES: usize = 2;

/// Runs a check in a process of its own: this test binary again, for the one test at `path`
/// (`module_path!()` and the name of the test).
///
/// # Errors
///
/// What the check says, or why the process can't run.
pub fn in_own_process(path: &str, check: fn() -> Outcome) -> Outcome {
    let test = path.split_once("::").map_or(path, |(_, test)| test);
    if env::var_os(CHILD).is_some_and(|child| child == test) {
        return check();
    }
    let binary = env::current_exe().map_err(|error| format!("no path to this program: {error}"))?;
    let output = Command::new(binary)
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, test)
        .output()
        .map_err(|error| format!("this program does not run again: {error}"))?;
    let text =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    // A name that no test has would succeed too.
    if output.status.success() && text.iter().any(|text| text.contains("1 passed")) {
        return Ok(());
    }
    Err(format!("in a process of its own: {}", text.concat()))
}

/// To open and close the destination twenty times leaves no thread and no descriptor behind. Run it
/// by [`in_own_process`]. Needs `/proc`; elsewhere it finds nothing.
///
/// # Errors
///
/// How many were left.
pub fn nothing_leaks<H: Harness>() -> Outcome {
    const TIMES: usize = 20;
    let (mut bench, mut rows) = (Bench::<H>::new(), Rows::new()?);
    let mut cycle = |is_closed: bool| {
        let mut writer = bench.open()?;
        bench.write(&mut *writer, &rows.frames(1))?;
        // A writer that panicked is dropped without a close.
        if is_closed { close(writer) } else { Ok(()) }
    };
    for _ in 0..3 {
        cycle(true)?;
    }
    for (what, folder) in [("threads", "/proc/self/task"), ("descriptors", "/proc/self/fd")] {
        for is_closed in [true, false] {
            let before = entries(folder);
            for _ in 0..TIMES {
                cycle(is_closed)?;
            }
            if !wait_for(ENDING, || entries(folder) <= before) {
                let left = entries(folder).saturating_sub(before);
                let how = if is_closed { "closing" } else { "dropping" };
                return Err(format!("opening and {how} it {TIMES} times leaves {left} {what}"));
            }
        }
    }
    Ok(())
}

fn entries(folder: impl AsRef<Path>) -> usize {
    fs::read_dir(folder).map_or(0, Iterator::count)
}

/// While the destination is broken, it is tried again and again, and the log says so once, not each
/// time. Run it by [`in_own_process`]. Needs [`Fault::Refuses`].
///
/// # Errors
///
/// The lines, if there are too many or none.
pub fn outage_is_logged_once<H: Harness>() -> Outcome {
    const TRIES: u64 = 4;
    let (mut bench, mut rows) = (Bench::<H>::new(), Rows::new()?);
    let pipeline = bench.pipeline()?;
    if !bench.harness.break_down(Fault::Refuses) {
        return Ok(());
    }
    let log = Log::default();
    tracing::subscriber::set_global_default(log.clone())
        .map_err(|_| "the harness installs a subscriber of its own".to_owned())?;
    let sink = pipeline.sink();
    bench.emit(&*sink, Item::Frame(rows.frame()));
    let failures = |least| pipeline.stats().iter().any(|one| one.failures >= least);
    let fails = wait_for(LIMIT, || failures(1));
    // A fault that only a person can mend is tried too rarely to wait for.
    wait_for(Duration::from_secs(3), || failures(TRIES));
    let lines = log.lines();
    bench.harness.mend();
    drop(pipeline.shutdown(LIMIT));
    match lines.len() {
        0 if fails => Err("an outage leaves no line in the log".to_owned()),
        n if n > LINES => Err(format!("one outage puts {n} lines into the log: {lines:#?}")),
        _ => bench.ledger.compare(&bench.harness),
    }
}

/// Collects warnings and errors, as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line(event.metadata().target().to_owned());
        event.record(&mut line);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push_str(&format!(" {field}={value:?}"));
    }
}
