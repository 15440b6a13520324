//! What a worker does next, and what it makes of how that went. No thread, no I/O, no clock: the worker's
//! thread carries out what is decided here, with the time passed in.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use tracing::{error, info, warn};

use super::breaker::{Breaker, BreakerState};
use super::pending::{Narrowed, Pending};
use crate::counters::{self, Counters, Health};
use crate::queue::{CoarseClock, Queue};
use crate::random::fraction;
use crate::transform::Transform;
use crate::{
    BatchOptions, Deadline, FaultClass, Item, RetryOptions, SinkConfig, SinkError, SinkSpec,
    Startup, Written,
};

/// How often a worker looks at its queue, at most and at least.
const POLL: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(100));
/// Between tries once the worker is told to stop.
const LAST_TRIES: Duration = Duration::from_millis(20);
/// What a close gets at least.
const LETTING_GO: Duration = Duration::from_millis(200);
/// A row that makes the writer panic this often, alone, is put aside.
const PANICS_PER_ROW: u32 = 3;
/// A sink whose writer panics over this many batches within this time rests before it is built again.
const PANICS: (usize, Duration) = (3, Duration::from_secs(600));
/// How long it rests.
const REST: Duration = Duration::from_secs(60);
/// How many threads a sink may leave behind that hang in a call.
const LEFT_BEHIND: u32 = 3;
/// How long a queue that was replaced is still looked at, for emits that were under way.
const OLD_QUEUE: Duration = Duration::from_secs(10);

/// How a sink is written to: what of its options matters to a worker.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) config: Box<dyn SinkConfig>,
    pub(crate) batch: BatchOptions,
    pub(crate) retry: RetryOptions,
    pub(crate) timeout: Duration,
    pub(crate) startup: Startup,
    /// How long a window of decimation is.
    every: Duration,
    transform: Option<Transform>,
}

impl Setup {
    pub(crate) fn new(spec: &SinkSpec) -> Self {
        Setup {
            config: spec.config.clone(),
            batch: spec.batch,
            retry: spec.retry,
            timeout: spec.timeout,
            startup: spec.startup,
            every: spec.select.every.unwrap_or_default(),
            transform: Transform::new(&spec.select, &spec.prefix),
        }
    }
}

/// Another configuration for a running sink.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) setup: Setup,
    /// Set if the queue is another one from now on.
    pub(crate) queue: Option<Arc<Queue>>,
    /// Both want the same file or port, so the old writer must let go first.
    pub(crate) close_first: bool,
}

/// What the worker's thread is to do, without the state's lock.
pub(crate) enum Task {
    /// Look again after this time, or when there is an order.
    Rest(Duration),
    Open(Box<dyn SinkConfig>),
    Write(Vec<Item>, Deadline),
    Flush(Deadline),
    Close(Deadline),
    /// Open this one and close the one that is open, in the order that `close_first` asks for.
    Exchange {
        config: Box<dyn SinkConfig>,
        close_first: bool,
        deadline: Deadline,
    },
    /// There is nothing more to do.
    End,
}

/// How a task went. A panic is an error of class [`FaultClass::Bug`].
pub(crate) enum Outcome {
    Opened(Result<(), SinkError>),
    /// How many items were given, and what became of them.
    Wrote(usize, Result<Written, SinkError>),
    Flushed(Result<(), SinkError>),
    Closed(Result<(), SinkError>),
    Exchanged(Result<(), SinkError>),
}

/// What happens to the writer after a call.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Keep {
    Writer,
    Nothing,
}

/// The first answer of a sink, or that to a change: why it can't work, if it can't.
pub(crate) type Answer = Result<(), (FaultClass, String)>;

/// One sink's worker, as a matter of logic.
pub(crate) struct State {
    name: String,
    setup: Setup,
    counters: Arc<Counters>,
    clock: Arc<CoarseClock>,
    /// The newest last; one that was replaced stays until nobody can push to it any more.
    queues: VecDeque<(Arc<Queue>, Option<Instant>)>,
    /// Which thread works. One that was left behind has an older number, and no say any more.
    pub(crate) generation: u64,
    left_behind: u32,
    /// Until when the call that is under way should have returned.
    call: Option<(Instant, Deadline)>,
    /// Whether the thread has a writer.
    open: bool,

    pending: Pending,
    /// When the first of the pending rows was taken, and how long they wait for others.
    lingering: Option<(Instant, Duration)>,
    /// When rows were taken last, while windows are open.
    window: Option<Instant>,

    breaker: Breaker,
    outage: Option<Outage>,
    /// Rows were rejected by the last batch too.
    rejecting: bool,
    /// Panics over one row alone.
    panics: u32,
    /// When the writer panicked over a batch, as far as it matters.
    panicked: VecDeque<Instant>,

    /// How the first try to open went.
    pub(crate) first_open: Option<Answer>,
    pub(crate) flush: Flush,
    reopen: bool,
    change: Option<Change>,
    exchanging: Option<Change>,
    pub(crate) changed: Option<Answer>,
    /// Set by an order to stop: until when to go on trying.
    stop: Option<Deadline>,
    pub(crate) ended: bool,
}

/// A destination that does not work, since when and how often it was tried.
struct Outage {
    since: Instant,
    failures: u64,
    evicted: u64,
}

/// Orders to flush, and how many of them were carried out.
#[derive(Debug, Default)]
pub(crate) struct Flush {
    pub(crate) ordered: u64,
    pub(crate) done: u64,
    /// The newest order that was seen, and how many rows had been offered then.
    seen: u64,
    offered: u64,
}

/// Whether a failed write calls for another writer: a mended file, another password, an address that is
/// looked up anew.
fn is_reopened_after(class: FaultClass) -> bool {
    use FaultClass::{Auth, Bug, Config, Corrupt};
    matches!(class, Auth | Bug | Config | Corrupt)
}

impl State {
    pub(crate) fn new(
        name: String,
        setup: Setup,
        queue: Arc<Queue>,
        counters: Arc<Counters>,
        clock: Arc<CoarseClock>,
    ) -> Self {
        State {
            name,
            setup,
            counters,
            clock,
            queues: VecDeque::from([(queue, None)]),
            generation: 0,
            left_behind: 0,
            call: None,
            open: false,
            pending: Pending::default(),
            lingering: None,
            window: None,
            breaker: Breaker::default(),
            outage: None,
            rejecting: false,
            panics: 0,
            panicked: VecDeque::new(),
            first_open: None,
            flush: Flush::default(),
            reopen: false,
            change: None,
            exchanging: None,
            changed: None,
            stop: None,
            ended: false,
        }
    }

    /// Orders a flush; returns its number.
    pub(crate) fn order_flush(&mut self) -> u64 {
        self.flush.ordered += 1;
        self.flush.ordered
    }

    /// Orders the writer to be closed and opened again.
    pub(crate) fn order_reopen(&mut self) {
        self.reopen = true;
    }

    /// Orders what is queued to be written, until this time, and then the end.
    pub(crate) fn order_stop(&mut self, until: Deadline) {
        self.stop = Some(until);
    }

    /// Orders another configuration. The answer comes in `changed`.
    pub(crate) fn order_change(&mut self, change: Change) {
        self.changed = None;
        self.change = Some(change);
    }

    /// Takes an order to change back; false if it is being carried out already.
    pub(crate) fn cancel_change(&mut self) -> bool {
        self.change.take().is_some()
    }

    /// What to do now.
    pub(crate) fn next(&mut self, now: Instant) -> Task {
        let task = self.decide(now);
        let deadline = match &task {
            Task::Rest(_) | Task::End => None,
            Task::Open(_) => Some(Deadline::after(self.setup.timeout)),
            Task::Write(_, deadline) | Task::Flush(deadline) | Task::Close(deadline) => {
                Some(*deadline)
            }
            Task::Exchange { deadline, .. } => Some(*deadline),
        };
        self.call = deadline.map(|deadline| (now, deadline));
        self.counters.breaker.store(self.breaker.state(now) as u8, Relaxed);
        task
    }

    fn decide(&mut self, now: Instant) -> Task {
        if self.first_open.is_none() {
            return Task::Open(self.setup.config.clone());
        }
        if let Some(change) = self.change.take() {
            let config = change.setup.config.clone();
            let close_first = change.close_first;
            self.exchanging = Some(change);
            return Task::Exchange { config, close_first, deadline: self.deadline() };
        }
        if std::mem::take(&mut self.reopen) && self.open {
            return Task::Close(self.deadline());
        }
        self.fill(now);
        let ordered = self.flush.ordered != self.flush.done;
        if ordered && (self.pending.is_empty() || self.has_settled()) {
            if !self.open {
                // Without a writer nothing was ever written that could be flushed.
                self.flush.done = self.flush.ordered;
            } else if self.breaker.wait(now).is_zero() || self.stop.is_some() {
                return Task::Flush(self.deadline());
            }
        }
        if self.pending.is_empty() {
            if self.stop.is_some() {
                return self.close();
            }
        } else {
            let waited = self.lingering.is_some_and(|(since, time)| now >= since + time);
            let full = self.pending.rows() >= self.setup.batch.rows
                || self.pending.bytes() >= self.setup.batch.bytes;
            let again = self.pending.comes_again();
            let due = waited || full || again || ordered || self.stop.is_some();
            // The last tries don't wait for their turn.
            let turn = self.stop.is_some() || self.breaker.wait(now).is_zero();
            if due && turn && !self.stop.is_some_and(Deadline::is_over) {
                return if self.open {
                    Task::Write(self.pending.next(), self.deadline())
                } else {
                    Task::Open(self.setup.config.clone())
                };
            }
        }
        if self.stop.is_some_and(Deadline::is_over) {
            return self.close();
        }
        Task::Rest(match self.stop {
            Some(until) => LAST_TRIES.min(until.remaining()),
            None => (self.setup.batch.linger / 4).clamp(POLL.0, POLL.1),
        })
    }

    /// Until when a call that begins now must return.
    fn deadline(&self) -> Deadline {
        let call = Deadline::after(self.setup.timeout);
        self.stop.map_or(call, |stop| stop.min(call))
    }

    /// The last thing to do.
    fn close(&self) -> Task {
        if self.open {
            // Also after the last moment: letting go takes a moment of its own.
            Task::Close(self.deadline().max(Deadline::after(LETTING_GO)))
        } else {
            Task::End
        }
    }

    /// Moves items from the queue to the batch, up to the size of a batch.
    ///
    /// A batch that failed is left as it is, but for rows that are too old by now.
    fn fill(&mut self, now: Instant) {
        let max_age = self.setup.retry.max_age.as_millis();
        let oldest = self.clock.now().saturating_sub(u64::try_from(max_age).unwrap_or(u64::MAX));
        if self.stop.is_none() && self.pending.oldest().is_some_and(|emitted| emitted < oldest) {
            let rows = self.pending.expire(oldest);
            counters::shift(&self.counters.in_flight, &self.counters.expired, rows);
        }
        if self.pending.comes_again() {
            return;
        }
        let room = |pending: &Pending, batch: &BatchOptions| {
            pending.rows() < batch.rows && pending.bytes() < batch.bytes
        };
        while room(&self.pending, &self.setup.batch) {
            let Some(entry) = self.queues.iter().find_map(|(queue, _)| queue.pop()) else { break };
            if entry.emitted < oldest {
                let rows = entry.what.rows();
                counters::shift(&self.counters.in_flight, &self.counters.expired, rows);
                continue;
            }
            match &mut self.setup.transform {
                None => self.pending.add([entry.what], entry.emitted),
                Some(transform) => {
                    let mut passed = Vec::new();
                    let filtered = transform.take(entry.what, &mut passed);
                    counters::shift(&self.counters.in_flight, &self.counters.filtered, filtered);
                    self.window = (transform.held() > 0).then_some(now);
                    self.pending.add(passed, entry.emitted);
                }
            }
        }
        let is_over = |at: Instant| now >= at + OLD_QUEUE;
        self.queues.retain(|(queue, replaced)| !replaced.is_some_and(is_over) || !queue.is_empty());
        let ordered = self.flush.ordered != self.flush.done || self.stop.is_some();
        // An emitter that has stopped leaves its last window open.
        if ordered || self.window.is_some_and(|taken| now > taken + 2 * self.setup.every) {
            self.close_windows();
        }
        if self.pending.is_empty() {
            self.lingering = None;
        } else if self.lingering.is_none() {
            let batch = &self.setup.batch;
            self.lingering = Some((now, batch.linger + batch.jitter.mul_f64(fraction())));
        }
        let oldest = self.pending.oldest().unwrap_or(u64::MAX);
        self.counters.oldest.store(oldest, Relaxed);
    }

    fn close_windows(&mut self) {
        self.window = None;
        let Some(transform) = &mut self.setup.transform else { return };
        let mut passed = Vec::new();
        let filtered = transform.close(&mut passed);
        counters::shift(&self.counters.in_flight, &self.counters.filtered, filtered);
        self.pending.add(passed, self.clock.now());
    }

    /// Whether all rows that were offered before the newest order was first seen have gone somewhere.
    /// While new ones keep coming, the queue alone does not tell.
    fn has_settled(&mut self) -> bool {
        let counters = &self.counters;
        if self.flush.seen != self.flush.ordered {
            self.flush.seen = self.flush.ordered;
            self.flush.offered = counters.offered.load(Relaxed);
        }
        let waiting = counters.queued.load(Relaxed) + counters.in_flight.load(Relaxed);
        self.flush.offered + waiting <= counters.offered.load(Relaxed)
    }

    /// Takes note of how a call went that began at `since`.
    pub(crate) fn done(&mut self, outcome: Outcome, now: Instant) -> Keep {
        if let Some((since, _)) = self.call.take() {
            let took = u64::try_from(now.duration_since(since).as_micros()).unwrap_or(u64::MAX);
            self.counters.longest_call.fetch_max(took, Relaxed);
        }
        let keep = match outcome {
            Outcome::Opened(opened) => self.opened(opened, now),
            Outcome::Wrote(items, Ok(written)) => self.wrote(items, written, now),
            Outcome::Wrote(items, Err(panic)) => self.panicked(items, &panic, now),
            Outcome::Flushed(Ok(())) => {
                self.flush.done = self.flush.ordered;
                Keep::Writer
            }
            Outcome::Flushed(Err(error)) => {
                self.failed(&error, now);
                if error.class == FaultClass::Bug { Keep::Nothing } else { Keep::Writer }
            }
            Outcome::Closed(closed) => {
                if let Err(error) = closed {
                    warn!(sink = self.name, %error, "Sink did not close cleanly.");
                }
                Keep::Nothing
            }
            Outcome::Exchanged(exchanged) => self.exchanged(exchanged, now),
        };
        self.open = keep == Keep::Writer;
        self.tell_health();
        keep
    }

    fn opened(&mut self, opened: Result<(), SinkError>, now: Instant) -> Keep {
        let first = self.first_open.is_none();
        if first {
            let answer = opened.as_ref().copied();
            self.first_open = Some(answer.map_err(|error| (error.class, error.to_string())));
        }
        match opened {
            Ok(()) => {
                if first {
                    info!(sink = self.name, "Sink is open.");
                }
                Keep::Writer
            }
            Err(error) => {
                let config = error.class == FaultClass::Config;
                if !(first && config && self.setup.startup == Startup::Error) {
                    self.failed(&error, now);
                }
                if first && config && self.setup.startup == Startup::Ignore {
                    self.queues.iter().for_each(|(queue, _)| queue.disable());
                }
                Keep::Nothing
            }
        }
    }

    fn wrote(&mut self, items: usize, written: Written, now: Instant) -> Keep {
        match written {
            Written::All => {
                self.rejecting = false;
                self.delivered(items, 0, now);
            }
            Written::Rejected(rows) => {
                let rejected = self.pending.rejected(items, &rows);
                self.say_rejected(rejected, rows.first().map_or("", |(_, reason)| reason));
                self.delivered(items, rejected, now);
            }
            Written::TooLarge => {
                if self.pending.narrow(items) == Narrowed::Alone {
                    self.say_rejected(1, "too large for the destination");
                    self.delivered(1, 1, now);
                }
            }
            Written::Failed(error) => {
                self.pending.failed(items);
                self.failed(&error, now);
                if is_reopened_after(error.class) {
                    return Keep::Nothing;
                }
            }
        }
        Keep::Writer
    }

    /// The first items are at the destination, but for this many rows.
    fn delivered(&mut self, items: usize, rejected: usize, now: Instant) {
        let (rows, again) = self.pending.remove(items);
        self.panics = 0;
        self.lingering = None;
        let counters = &self.counters;
        counters::shift(&counters.in_flight, &counters.rejected, rejected);
        counters::shift(&counters.in_flight, &counters.delivered, rows - rejected);
        counters::add(&counters.redelivered, again);
        if !self.pending.is_empty() {
            // A full disk may take a row and not the next; it is well when all of the batch is through.
            return self.breaker.go_on();
        }
        self.breaker.succeeded();
        if let Some(outage) = self.outage.take() {
            let seconds = now.duration_since(outage.since).as_secs_f64();
            let evicted = counters.evicted.load(Relaxed) - outage.evicted;
            let (sink, failures) = (&self.name, outage.failures);
            info!(sink, seconds, failures, evicted, "Sink takes samples again.");
        }
        self.counters.tell(None);
    }

    /// Said once, when it begins.
    fn say_rejected(&mut self, rows: usize, reason: &str) {
        if !std::mem::replace(&mut self.rejecting, true) {
            warn!(sink = self.name, rows, reason, "Sink rejects rows; they are counted.");
        }
    }

    /// A call failed. Said once, when the outage begins.
    fn failed(&mut self, error: &SinkError, now: Instant) {
        self.counters.failures.fetch_add(1, Relaxed);
        self.breaker.failed(error.class, &self.setup.retry, now);
        if self.breaker.state(now) != BreakerState::Closed {
            self.pending.start_small();
        }
        match &mut self.outage {
            Some(outage) => outage.failures += 1,
            None => {
                let (sink, class) = (&self.name, error.class);
                warn!(sink, ?class, %error, "Sink does not take samples; they queue.");
                let evicted = self.counters.evicted.load(Relaxed);
                self.outage = Some(Outage { since: now, failures: 1, evicted });
            }
        }
        self.counters.tell(Some(error));
    }

    /// The writer panicked over the first items: it is built again, and the row to blame is looked for.
    fn panicked(&mut self, items: usize, panic: &SinkError, now: Instant) -> Keep {
        self.counters.panics.fetch_add(1, Relaxed);
        let searching = self.pending.comes_again();
        self.pending.failed(items);
        self.failed(panic, now);
        if !searching {
            self.panicked.push_back(now);
            self.panicked.retain(|at| now < *at + PANICS.1);
            if self.panicked.len() >= PANICS.0 {
                self.breaker.rest(REST, now);
            }
        }
        if self.pending.narrow(items) == Narrowed::Alone {
            self.panics += 1;
            if self.panics >= PANICS_PER_ROW {
                self.put_aside();
            }
        }
        Keep::Nothing
    }

    /// The first row makes the sink panic whenever it sees it.
    fn put_aside(&mut self) {
        let (rows, _) = self.pending.remove(1);
        self.panics = 0;
        error!(sink = self.name, rows, "Rows put aside: they make the sink panic.");
        counters::shift(&self.counters.in_flight, &self.counters.quarantined, rows);
    }

    fn exchanged(&mut self, exchanged: Result<(), SinkError>, now: Instant) -> Keep {
        let Some(change) = self.exchanging.take() else { return Keep::Nothing };
        let refused =
            matches!(&exchanged, Err(e) if matches!(e.class, FaultClass::Config | FaultClass::Bug));
        if refused && let Err(error) = exchanged {
            self.changed = Some(Err((error.class, error.to_string())));
            // With the same file or port, the old writer had to go, and comes back with the next rows.
            return if change.close_first || !self.open { Keep::Nothing } else { Keep::Writer };
        }
        self.close_windows();
        self.setup = change.setup;
        if let Some(queue) = change.queue {
            self.queues.iter_mut().for_each(|(_, replaced)| *replaced = Some(now));
            self.queues.push_back((queue, None));
        }
        self.breaker.succeeded();
        self.panicked.clear();
        self.changed = Some(Ok(()));
        match exchanged {
            Ok(()) => Keep::Writer,
            Err(error) => {
                self.failed(&error, now);
                Keep::Nothing
            }
        }
    }

    /// Leaves the thread behind whose call has not returned in twice its time: from now on another one
    /// works. Returns that one's generation, if one is to be started.
    pub(crate) fn replace(&mut self, now: Instant) -> Option<u64> {
        let (since, deadline) = self.call?;
        let overdue = deadline.is_over() && now >= since + 2 * self.setup.timeout;
        if !overdue || self.stop.is_some() {
            return None;
        }
        if self.exchanging.take().is_some() {
            let message = "the new configuration does not open in time".to_owned();
            self.changed = Some(Err((FaultClass::Cancelled, message)));
        }
        if self.left_behind >= LEFT_BEHIND {
            self.counters.set_health(Health::Stalled);
            return None;
        }
        self.left_behind += 1;
        self.generation += 1;
        self.call = None;
        self.open = false;
        self.counters.replaced.fetch_add(1, Relaxed);
        let message = format!(
            "a call has not returned for {:?}; its thread is left behind and the sink opened again",
            now.duration_since(since)
        );
        let error = SinkError::new(FaultClass::Cancelled, message);
        if self.first_open.is_none() {
            self.first_open = Some(Err((error.class, error.to_string())));
        }
        // The call may have come as far as the destination.
        self.pending.failed(self.pending.next().len());
        self.failed(&error, now);
        self.tell_health();
        Some(self.generation)
    }

    /// A thread that was left behind has come back.
    pub(crate) fn returned(&mut self) {
        self.left_behind = self.left_behind.saturating_sub(1);
    }

    /// Counts what is left as lost.
    pub(crate) fn finish(&mut self) {
        self.close_windows();
        while let Some(entry) = self.queues.iter().find_map(|(queue, _)| queue.pop()) {
            self.pending.add([entry.what], entry.emitted);
        }
        let rows = self.pending.rows();
        counters::shift(&self.counters.in_flight, &self.counters.lost_at_shutdown, rows);
        self.pending = Pending::default();
        self.ended = true;
        self.counters.set_health(Health::Stopped);
    }

    fn tell_health(&self) {
        let disabled = self.setup.startup == Startup::Ignore
            && matches!(self.first_open, Some(Err((FaultClass::Config, _))));
        self.counters.set_health(if disabled {
            Health::Off
        } else if self.panicked.len() >= PANICS.0 && self.outage.is_some() {
            Health::Quarantined
        } else if self.outage.is_some() {
            Health::Failing
        } else {
            Health::Ok
        });
    }
}
