//! One sink's thread: takes items from the queue, makes batches, writes them, tries again.
//!
//! Nothing a sink does reaches further than this thread. A panic is caught and the writer is built
//! again from its configuration; a call that hangs costs this thread and no other.
#![expect(clippy::disallowed_methods, reason = "a worker waits and measures in real time")]

use std::any::Any;
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
/// What a close gets at least.
const LETTING_GO: Duration = Duration::from_millis(200);
/// An item that makes the writer panic this often, alone, is put aside.
const PANICS_PER_ITEM: u32 = 3;

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
            portion: usize::MAX,
            panics: 0,
            again: false,
            rejecting: false,
            flush_order: 0,
            flush_at: 0,
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
    /// Rows in flight, until the destination has them.
    pending: Vec<Item>,
    pending_rows: usize,
    pending_since: Instant,
    /// How many of the pending items the next call gets. All of them, unless the writer panicked: then
    /// half as many each time, until the item that makes it panic is alone.
    portion: usize,
    /// Panics over one item alone.
    panics: u32,
    /// The last call failed, so the batch comes again as it is.
    again: bool,
    /// Rows were rejected by the last batch too.
    rejecting: bool,
    /// The newest order to flush that was seen, and how many rows had been offered then.
    flush_order: u64,
    flush_at: u64,
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
            let (ordered, stop) = {
                let state = self.worker.mailbox.lock();
                let ordered =
                    (state.flushes_ordered != state.flushes_done).then_some(state.flushes_ordered);
                (ordered, state.stop)
            };
            self.fill();
            if let Some(order) = ordered
                && (self.pending.is_empty() || self.has_settled_before(order))
            {
                self.flush(order);
            }
            if self.pending.is_empty() {
                if stop.is_some() {
                    break;
                }
            } else {
                let now = Instant::now();
                let old = now.duration_since(self.pending_since) >= self.worker.batch.linger;
                let full = self.pending_rows >= self.worker.batch.rows;
                let due = old || full || self.again || ordered.is_some() || stop.is_some();
                // The last tries don't wait for their turn.
                let turn = stop.is_some() || self.backoff.wait(now).is_zero();
                if due && turn && self.write(stop) {
                    // There may be more where that came from.
                    continue;
                }
            }
            if stop.is_some_and(Deadline::is_over) {
                break;
            }
            thread::park_timeout(self.pause(stop));
        }
        self.close();
    }

    /// Whether all rows that were offered before this order was first seen have gone somewhere. While
    /// new ones keep coming, the queue alone does not tell.
    fn has_settled_before(&mut self, order: u64) -> bool {
        let counters = &self.worker.queue.counters;
        if self.flush_order != order {
            self.flush_order = order;
            self.flush_at = counters.offered.load(Relaxed);
        }
        let waiting = counters.queued.load(Relaxed) + counters.in_flight.load(Relaxed);
        self.flush_at + waiting <= counters.offered.load(Relaxed)
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
    ///
    /// A batch that failed is left as it is: it comes again unchanged.
    fn fill(&mut self) {
        while !self.again && self.pending_rows < self.worker.batch.rows {
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
            .unwrap_or_else(|panic| Err(panicked("open", &*panic)));
        let report = match &opened {
            Ok(_) => Ok(()),
            Err(error) => Err((error.class, error.to_string())),
        };
        match opened {
            Ok(writer) => {
                if self.worker.mailbox.lock().first_open.is_none() {
                    info!(sink = self.worker.context.sink, "Sink is open.");
                }
                self.writer = Some(writer);
            }
            Err(error) => {
                let stops_the_start = error.class == FaultClass::Config
                    && self.worker.startup == Startup::Error
                    && self.worker.mailbox.lock().first_open.is_none();
                if !stops_the_start {
                    self.failed(&error);
                }
                if error.class == FaultClass::Config && self.worker.startup == Startup::Ignore {
                    self.worker.queue.disable();
                }
            }
        }
        self.worker.mailbox.change(|state| {
            state.first_open.get_or_insert(report);
        });
    }

    /// Writes the batch, or the next portion of it. True if that went well, so that more may follow.
    fn write(&mut self, stop: Option<Deadline>) -> bool {
        if self.writer.is_none() {
            self.open();
        }
        let Some(writer) = &mut self.writer else { return false };
        let portion = self.portion.min(self.pending.len());
        let batch = Batch::new(&self.pending[..portion]);
        let call = Deadline::after(CALL);
        let deadline = stop.map_or(call, |stop| stop.min(call));
        match catch_unwind(AssertUnwindSafe(|| writer.write(&batch, deadline))) {
            Ok(Written::All) => {
                self.rejecting = false;
                self.delivered(portion, 0);
            }
            Ok(Written::Rejected(rows)) => {
                let all = self.pending[..portion].iter().map(Item::rows).sum();
                let rejected: HashSet<usize> =
                    rows.iter().map(|(row, _)| *row).filter(|row| *row < all).collect();
                let reason = rows.first().map_or("", |(_, reason)| reason.as_str());
                if !std::mem::replace(&mut self.rejecting, true) {
                    let (sink, rows) = (&self.worker.context.sink, rejected.len());
                    warn!(sink, rows, reason, "Sink rejects rows; they are counted.");
                }
                self.delivered(portion, rejected.len());
            }
            Ok(Written::TooLarge) => {
                if portion > 1 {
                    self.again = true;
                    self.portion = portion / 2;
                } else {
                    let rows = self.pending.first().map_or(0, Item::rows);
                    self.delivered(portion, rows);
                }
            }
            Ok(Written::Failed(error)) => {
                if matches!(error.class, FaultClass::Corrupt | FaultClass::Bug | FaultClass::Config)
                {
                    self.writer = None;
                }
                self.again = true;
                self.failed(&error);
                return false;
            }
            Err(panic) => {
                self.writer = None;
                self.again = true;
                self.worker.queue.counters.panics.fetch_add(1, Relaxed);
                self.failed(&panicked("write", &*panic));
                if portion > 1 {
                    self.portion = portion / 2;
                    return false;
                }
                self.panics += 1;
                if self.panics < PANICS_PER_ITEM {
                    return false;
                }
                self.put_aside();
            }
        }
        true
    }

    /// The first items of the batch are at the destination, but for this many rows.
    fn delivered(&mut self, items: usize, rejected: usize) {
        let rows = self.remove(items);
        let counters = &self.worker.queue.counters;
        counters::shift(&counters.in_flight, &counters.rejected, rejected);
        counters::shift(&counters.in_flight, &counters.delivered, rows - rejected);
        self.recovered();
    }

    /// The first item of the batch makes the sink panic whenever it sees it.
    fn put_aside(&mut self) {
        let rows = self.remove(1);
        error!(sink = self.worker.context.sink, rows, "Rows put aside: they make the sink panic.");
        let counters = &self.worker.queue.counters;
        counters::shift(&counters.in_flight, &counters.quarantined, rows);
    }

    /// Takes the first items out of the batch; returns how many rows they were.
    fn remove(&mut self, items: usize) -> usize {
        let rows = self.pending.drain(..items).map(|item| item.rows()).sum();
        self.pending_rows -= rows;
        self.panics = 0;
        self.again = !self.pending.is_empty();
        if self.pending.is_empty() {
            self.portion = usize::MAX;
        }
        rows
    }

    /// Carries out orders to flush. Everything was written before.
    fn flush(&mut self, order: u64) {
        // Without a writer nothing was ever written that could be flushed.
        let flushed = match &mut self.writer {
            Some(writer) => catch_unwind(AssertUnwindSafe(|| writer.flush(Deadline::after(CALL))))
                .unwrap_or_else(|panic| Err(panicked("flush", &*panic))),
            None => Ok(()),
        };
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
            let call = Deadline::after(CALL);
            let stop = self.worker.mailbox.lock().stop.unwrap_or(call);
            // Also after the last moment: letting go takes a moment of its own.
            let deadline = stop.min(call).max(Deadline::after(LETTING_GO));
            let closed = catch_unwind(AssertUnwindSafe(|| writer.close(deadline)))
                .unwrap_or_else(|panic| Err(panicked("close", &*panic)));
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

fn panicked(call: &str, panic: &(dyn Any + Send)) -> SinkError {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let why = text.unwrap_or("no message");
    SinkError::new(FaultClass::Bug, format!("the sink panicked in `{call}`: {why}"))
}
