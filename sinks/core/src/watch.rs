//! The one thread of a pipeline that looks after its sinks: it keeps their coarse clock, replaces a
//! thread that hangs, and reports their accounts.
#![expect(clippy::disallowed_methods, reason = "it measures real time")]

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::Timestamp;
use crate::handle::Handle;
use crate::queue::CoarseClock;
use crate::running::RunningSink;
use crate::telemetry::Reporter;

/// How often it looks.
const EVERY: Duration = Duration::from_millis(100);

/// The sinks of a pipeline, as the watcher and the pipeline know them.
#[derive(Default)]
pub(crate) struct Watched {
    /// Held for a moment only, never while a sink is waited for.
    sinks: Mutex<Vec<Arc<RunningSink>>>,
    pub(crate) handle: Handle,
    pub(crate) clock: Arc<CoarseClock>,
    over: AtomicBool,
}

impl Watched {
    pub(crate) fn sinks(&self) -> MutexGuard<'_, Vec<Arc<RunningSink>>> {
        self.sinks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on these are the sinks, in this order.
    pub(crate) fn set(&self, sinks: Vec<Arc<RunningSink>>) {
        self.handle.point_at(sinks.iter().map(|sink| Arc::clone(&sink.queue)).collect());
        *self.sinks() = sinks;
    }
}

/// The watcher's thread.
pub(crate) struct Watcher {
    watched: Arc<Watched>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    /// Starts it. `report` is the time between two reports; `None` for no reports.
    ///
    /// # Errors
    ///
    /// The system gives no thread.
    pub(crate) fn start(watched: Arc<Watched>, report: Option<Duration>) -> io::Result<Self> {
        let shared = Arc::clone(&watched);
        let thread = thread::Builder::new()
            .name("sinks/watch".to_owned())
            .spawn(move || watch(&shared, report))?;
        Ok(Watcher { watched, thread: Some(thread) })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.watched.over.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

fn watch(watched: &Watched, report: Option<Duration>) {
    let start = Instant::now();
    let mut reporter = Reporter::default();
    let mut next_report = report;
    while !watched.over.load(Relaxed) {
        let elapsed = start.elapsed();
        watched.clock.set(elapsed);
        let sinks = watched.sinks().clone();
        sinks.iter().for_each(|sink| sink.worker.look_after());
        if next_report.is_some_and(|at| elapsed >= at) {
            next_report = report.map(|every| elapsed + every);
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let at = Timestamp {
                unix_nanos: i64::try_from(now.as_nanos()).unwrap_or(i64::MAX),
                mono_nanos: u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX),
            };
            let clock = watched.clock.now();
            if let Err(error) = reporter.report(&sinks, at, clock, &watched.handle) {
                tracing::warn!(%error, "The accounts of the sinks are not reported.");
            }
        }
        drop(sinks);
        thread::park_timeout(EVERY);
    }
}
