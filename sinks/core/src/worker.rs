//! One sink's thread: takes items from the queue, makes batches, writes them, tries again.
//!
//! Nothing a sink does reaches further than this thread. A panic is caught and the writer is built
//! again from its configuration; a call that hangs costs this thread and no other.
#![expect(clippy::disallowed_methods, reason = "a worker waits and measures in real time")]

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tracing::{error, info, warn};

use crate::backoff::Backoff;
use crate::counters;
use crate::queue::Queue;
use crate::{
    Batch, BatchOptions, Deadline, FaultClass, Item, OpenContext, SinkConfig, SinkError,
    SinkWriter, Startup, Written,
};

/// The deadline of one call to a writer.
const CALL: Duration = Duration::from_secs(5);
/// How often a worker looks at its queue, at most and at least.
const POLL: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(100));
/// Between tries once the worker is told to stop.
const LAST_TRIES: Duration = Duration::from_millis(20);
/// A batch that makes the writer panic this often is put aside.
const PANICS_PER_BATCH: u32 = 3;

/// What the pipeline and a worker tell each other. Never touched by a control thread.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// How the first try to open went.
    first_open: Option<Result<(), (FaultClass, String)>>,
    /// Orders to flush, and how many of them were carried out.
    flushes_ordered: u64,
    flushes_done: u64,
    /// Set by an order to stop: until when to go on trying.
    stop: Option<Deadline>,
    ended: bool,
}

impl Mailbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while holding this lock can't leave the plain data behind it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn wait<T>(&self, until: Deadline, ready: impl Fn(&State) -> Option<T>) -> Option<T> {
        let mut state = self.lock();
        loop {
            if let Some(answer) = ready(&state) {
                return Some(answer);
            }
            let left = until.remaining();
            if left.is_zero() {
                return None;
            }
            state =
                self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// How the first try to open went; `None` if it takes longer than this.
    pub(crate) fn first_open(&self, until: Deadline) -> Option<Result<(), (FaultClass, String)>> {
        self.wait(until, |state| state.first_open.clone())
    }

    /// Orders a flush. The worker must be unparked after it.
    pub(crate) fn order_flush(&self) -> u64 {
        let mut state = self.lock();
        state.flushes_ordered += 1;
        state.flushes_ordered
    }

    /// Whether that flush was carried out in time.
    pub(crate) fn wait_flushed(&self, order: u64, until: Deadline) -> bool {
        self.wait(until, |state| (state.flushes_done >= order || state.ended).then_some(()))
            .is_some()
    }

    /// Orders the worker to write what is queued and end. The worker must be unparked after it.
    pub(crate) fn order_stop(&self, until: Deadline) {
        self.change(|state| state.stop = Some(until));
    }

    /// Whether the worker ended in time.
    pub(crate) fn wait_ended(&self, until: Deadline) -> bool {
        self.wait(until, |state| state.ended.then_some(())).is_some()
    }
}

/// One sink's worker.
pub(crate) struct Worker {
    pub(crate) queue: Arc<Queue>,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) config: Box<dyn SinkConfig>,
    pub(crate) context: OpenContext,
    pub(crate) batch: BatchOptions,
    pub(crate) startup: Startup,
}

impl Worker {
    /// Works until it is told to stop.
    pub(crate) fn run(self) {
        let mailbox = Arc::clone(&self.mailbox);
        Running {
            writer: None,
            pending: Vec::new(),
            pending_rows: 0,
            pending_since: Instant::now(),
            pending_panics: 0,
            backoff: Backoff::default(),
            outage: None,
            worker: self,
        }
        .run();
        mailbox.change(|state| state.ended = true);
    }
}

/// A worker's state while it runs.
struct Running {
    worker: Worker,
    writer: Option<Box<dyn SinkWriter>>,
    /// The batch: rows in flight until the destination has them.
    pending: Vec<Item>,
    pending_rows: usize,
    pending_since: Instant,
    pending_panics: u32,
    backoff: Backoff,
    outage: Option<Outage>,
}

/// A destination that does not work, since when and how often it was tried.
struct Outage {
    since: Instant,
    failures: u64,
}

impl Running {
    fn run(mut self) {
        self.open();
        loop {
            let (ordered, done, stop) = {
                let state = self.worker.mailbox.lock();
                (state.flushes_ordered, state.flushes_done, state.stop)
            };
            self.fill();
            let now = Instant::now();
            let old = now.duration_since(self.pending_since) >= self.worker.batch.linger;
            let full = self.pending_rows >= self.worker.batch.rows;
            let asked = ordered != done || stop.is_some();
            // The last tries don't wait for their turn.
            let wait = if stop.is_some() { Duration::ZERO } else { self.backoff.wait(now) };
            if (asked || full || (old && !self.pending.is_empty())) && wait.is_zero() {
                let clean = self.write();
                if clean && full {
                    // There may be more where that came from.
                    continue;
                }
                if clean && self.worker.queue.is_empty() && self.pending.is_empty() {
                    if stop.is_some() {
                        break;
                    }
                    self.flush(ordered);
                }
            }
            if stop.is_some_and(Deadline::is_over) {
                break;
            }
            thread::park_timeout(self.pause(stop));
        }
        self.close();
    }

    /// How long to look away. Emits wake nobody, so it is short; orders unpark the thread.
    fn pause(&self, stop: Option<Deadline>) -> Duration {
        let poll = (self.worker.batch.linger / 4).clamp(POLL.0, POLL.1);
        match stop {
            Some(until) => LAST_TRIES.min(until.remaining()),
            None => poll,
        }
    }

    /// Moves items from the queue to the batch, up to the size of a batch.
    fn fill(&mut self) {
        while self.pending_rows < self.worker.batch.rows {
            let Some(item) = self.worker.queue.pop() else { break };
            if self.pending.is_empty() {
                self.pending_since = Instant::now();
            }
            self.pending_rows += item.rows();
            self.pending.push(item);
        }
    }

    /// Opens the writer, from a clone of the configuration.
    fn open(&mut self) {
        let config = self.worker.config.clone();
        let context = &self.worker.context;
        let opened = catch_unwind(AssertUnwindSafe(|| config.open(context)))
            .unwrap_or_else(|_| Err(panicked("open")));
        let report = match &opened {
            Ok(_) => Ok(()),
            Err(error) => Err((error.class, error.to_string())),
        };
        match opened {
            Ok(writer) => self.writer = Some(writer),
            Err(error) => {
                self.failed(&error);
                if error.class == FaultClass::Config && self.worker.startup == Startup::Ignore {
                    self.worker.queue.disable();
                }
            }
        }
        self.worker.mailbox.change(|state| {
            state.first_open.get_or_insert(report);
        });
    }

    /// Writes the batch. True if nothing is left of it.
    fn write(&mut self) -> bool {
        if self.writer.is_none() {
            self.open();
        }
        let Some(writer) = &mut self.writer else { return false };
        if self.pending.is_empty() {
            return true;
        }
        let batch = Batch::new(&self.pending);
        let deadline = Deadline::after(CALL);
        let written = catch_unwind(AssertUnwindSafe(|| writer.write(&batch, deadline)));
        match written {
            Ok(Written::All) => self.delivered(0),
            Ok(Written::Rejected(rows)) => {
                let distinct: HashSet<usize> = rows
                    .iter()
                    .map(|(row, _)| *row)
                    .filter(|row| *row < self.pending_rows)
                    .collect();
                self.delivered(distinct.len());
            }
            Ok(Written::Failed(error)) => {
                if matches!(error.class, FaultClass::Corrupt | FaultClass::Bug | FaultClass::Config)
                {
                    self.writer = None;
                }
                self.failed(&error);
                return false;
            }
            Err(_) => {
                self.writer = None;
                self.worker.queue.counters.panics.fetch_add(1, Relaxed);
                self.pending_panics += 1;
                self.failed(&panicked("write"));
                if self.pending_panics < PANICS_PER_BATCH {
                    return false;
                }
                error!(
                    sink = self.worker.context.sink,
                    rows = self.pending_rows,
                    "Batch put aside: it makes the sink panic."
                );
                let counters = &self.worker.queue.counters;
                counters::shift(&counters.in_flight, &counters.quarantined, self.pending_rows);
                self.clear();
            }
        }
        true
    }

    fn delivered(&mut self, rejected: usize) {
        let counters = &self.worker.queue.counters;
        counters::shift(&counters.in_flight, &counters.rejected, rejected);
        counters::shift(&counters.in_flight, &counters.delivered, self.pending_rows - rejected);
        self.clear();
        self.recovered();
    }

    fn clear(&mut self) {
        self.pending.clear();
        self.pending_rows = 0;
        self.pending_panics = 0;
    }

    /// Carries out orders to flush.
    fn flush(&mut self, order: u64) {
        let Some(writer) = &mut self.writer else { return };
        if self.worker.mailbox.lock().flushes_done == order {
            return;
        }
        let flushed = catch_unwind(AssertUnwindSafe(|| writer.flush(Deadline::after(CALL))))
            .unwrap_or_else(|_| Err(panicked("flush")));
        match flushed {
            Ok(()) => self.worker.mailbox.change(|state| state.flushes_done = order),
            Err(error) => {
                if error.class == FaultClass::Bug {
                    self.writer = None;
                }
                self.failed(&error);
            }
        }
    }

    /// A call failed. Said once, when the outage begins.
    fn failed(&mut self, error: &SinkError) {
        let now = Instant::now();
        self.worker.queue.counters.failures.fetch_add(1, Relaxed);
        self.backoff.failed(error, now);
        let sink = &self.worker.context.sink;
        match &mut self.outage {
            Some(outage) => outage.failures += 1,
            None => {
                warn!(sink, class = ?error.class, %error, "Sink does not take samples; they queue.");
                self.outage = Some(Outage { since: now, failures: 1 });
            }
        }
    }

    fn recovered(&mut self) {
        self.backoff.succeeded();
        if let Some(outage) = self.outage.take() {
            let seconds = outage.since.elapsed().as_secs_f64();
            let sink = &self.worker.context.sink;
            let evicted = self.worker.queue.counters.evicted.load(Relaxed);
            info!(sink, seconds, failures = outage.failures, evicted, "Sink takes samples again.");
        }
    }

    /// Counts what is left as lost, and lets go of the destination.
    fn close(mut self) {
        if let Some(mut writer) = self.writer.take() {
            let deadline = self.worker.mailbox.lock().stop.unwrap_or(Deadline::after(CALL));
            let closed = catch_unwind(AssertUnwindSafe(|| writer.close(deadline)))
                .unwrap_or_else(|_| Err(panicked("close")));
            if let Err(error) = closed {
                warn!(sink = self.worker.context.sink, %error, "Sink did not close cleanly.");
            }
        }
        while let Some(item) = self.worker.queue.pop() {
            self.pending_rows += item.rows();
        }
        let counters = &self.worker.queue.counters;
        counters::shift(&counters.in_flight, &counters.lost_at_shutdown, self.pending_rows);
    }
}

fn panicked(call: &str) -> SinkError {
    SinkError::new(FaultClass::Bug, format!("the sink panicked in `{call}`"))
}
