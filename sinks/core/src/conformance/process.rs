//! Checks of what belongs to the whole process: its threads, its descriptors, its log. Each runs in a
//! process of its own, because other tests run beside it in this one.

use std::fmt::{self, Debug};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{env, fs};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Level, Metadata, Subscriber};

use super::bench::{self, Bench, LIMIT, close, wait_for};
use super::rows::Rows;
use super::{Fault, Harness, Outcome};
use crate::{Item, Pipeline, RetryOptions};

/// Set in the child, to the path of the test it is to run.
const CHILD: &str = "WANCTL_CONFORMANCE_CHILD";
/// How long threads may take to end after their destination was closed.
const ENDING: Duration = Duration::from_secs(2);
/// The lines of the framework itself come from modules of this crate, those of a sink from its own.
const FRAMEWORK: &str = "wanctl_sink::";
/// How often the destination breaks, and how often it is tried before it is mended.
const OUTAGES: u32 = 2;
const TRIES: u64 = 4;
/// The pause between two tries.
const SHORT: Duration = Duration::from_millis(50);

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

/// While the destination is broken, it is tried again and again. The log says so once, not each time:
/// one warning of the framework and at most one line of the sink; and once that it works again. Run it by
/// [`in_own_process`]. Needs [`Fault::Refuses`].
///
/// # Errors
///
/// The lines, if there are too many or none.
pub fn outage_is_logged_once<H: Harness>() -> Outcome {
    let (mut bench, mut rows) = (Bench::<H>::new(), Rows::new()?);
    let mut spec = bench.spec()?;
    spec.retry = RetryOptions { initial: SHORT, max: 2 * SHORT, ..RetryOptions::default() };
    spec.timeout = 10 * SHORT;
    let pipeline = bench::start(vec![spec])?;
    let log = Log::default();
    let failures = || pipeline.stats().iter().map(|one| one.failures).sum::<u64>();
    let sink = pipeline.sink();
    for outage in 0..OUTAGES {
        bench.emit(&*sink, Item::Frame(rows.frame()));
        flush(&pipeline)?;
        let (before, _) = (failures(), log.take());
        if !bench.harness.break_down(Fault::Refuses) {
            return Ok(());
        }
        if outage == 0 {
            tracing::subscriber::set_global_default(log.clone())
                .map_err(|_| "the harness installs a subscriber of its own".to_owned())?;
        }
        bench.emit(&*sink, Item::Frame(rows.frame()));
        // A destination that asks for long pauses is tried too rarely to wait for more than once.
        let fails = wait_for(LIMIT, || failures() > before);
        wait_for(LIMIT, || !fails || failures() >= before + TRIES);
        let lines = log.take();
        bench.harness.mend();
        if fails {
            said_once(&lines)?;
            wait_for(LIMIT, || log.count(Line::is_recovery) > 0);
            recovered_once(&log.take())?;
        }
    }
    flush(&pipeline)?;
    bench.ledger.compare(&bench.harness)?;
    drop(pipeline.shutdown(LIMIT));
    Ok(())
}

fn flush(pipeline: &Pipeline) -> Outcome {
    match pipeline.flush(LIMIT) {
        true => Ok(()),
        false => Err("a flush of the pipeline was not done in time".to_owned()),
    }
}

/// Whether these are the lines of an outage.
fn said_once(lines: &[Line]) -> Outcome {
    let (framework, own): (Vec<&Line>, Vec<&Line>) =
        lines.iter().partition(|line| line.is_framework());
    match framework.iter().filter(|line| line.is_warning()).count() {
        0 => return Err("an outage leaves no line in the log".to_owned()),
        1 => {}
        n => return Err(format!("one outage is warned of {n} times: {framework:#?}")),
    }
    match own.len() {
        0 | 1 => Ok(()),
        n => Err(format!("over one outage the sink logs {n} lines of its own: {own:#?}")),
    }
}

/// Whether these are the lines of an outage's end.
fn recovered_once(lines: &[Line]) -> Outcome {
    let framework: Vec<&Line> = lines.iter().filter(|line| line.is_framework()).collect();
    let recoveries = framework.iter().filter(|line| line.is_recovery()).count();
    if recoveries == 1 && !framework.iter().any(|line| line.is_warning()) {
        return Ok(());
    }
    Err(format!("the end of an outage is told {recoveries} times: {framework:#?}"))
}

/// Collects what an operator sees: information, warnings and errors.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Line>>>);

impl Log {
    fn lines(&self) -> MutexGuard<'_, Vec<Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lines since the last time.
    fn take(&self) -> Vec<Line> {
        std::mem::take(&mut *self.lines())
    }

    fn count(&self, is_it: fn(&Line) -> bool) -> usize {
        self.lines().iter().filter(|line| is_it(line)).count()
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let metadata = event.metadata();
        let mut line = Line {
            level: *metadata.level(),
            target: metadata.target().to_owned(),
            text: String::new(),
        };
        event.record(&mut line);
        self.lines().push(line);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Line {
    level: Level,
    target: String,
    text: String,
}

impl Line {
    fn is_framework(&self) -> bool {
        self.target.starts_with(FRAMEWORK)
    }

    fn is_warning(&self) -> bool {
        self.level <= Level::WARN
    }

    /// The framework has nothing else to tell while the destination works.
    fn is_recovery(&self) -> bool {
        self.is_framework() && self.level == Level::INFO
    }
}

impl Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.level, self.target, self.text)
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.text.push_str(&format!(" {field}={value:?}"));
    }
}
