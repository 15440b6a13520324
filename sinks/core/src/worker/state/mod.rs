//! What a worker does next, and what it makes of how that went. No thread, no I/O, no clock: the worker's
//! thread carries out what is decided here, with the time passed in.

mod orders;
mod outcome;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use orders::Flush;
pub(crate) use orders::{Answer, Change};
use outcome::Outage;
pub(crate) use outcome::{Keep, Outcome, refuses_a_change};

use super::breaker::Breaker;
use super::pending::Pending;
use crate::counters::{self, Counters, Health};
use crate::queue::{CoarseClock, Queue};
use crate::random::fraction;
use crate::transform::Transform;
use crate::{
    BatchOptions, Deadline, FaultClass, Item, RetryOptions, SinkConfig, SinkSpec, Startup,
};

/// How often a worker looks at its queue, at most and at least.
const POLL: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(100));
/// Between tries once the worker is told to stop.
const LAST_TRIES: Duration = Duration::from_millis(20);
/// What a close gets at least.
const LETTING_GO: Duration = Duration::from_millis(200);
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
        if std::mem::take(&mut self.reopen) {
            self.breaker.go_on();
            if self.is_off() {
                return Task::Open(self.setup.config.clone());
            }
            if self.open {
                return Task::Close(self.deadline());
            }
        }
        self.fill(now);
        // The last tries don't wait for long.
        let wait = match self.stop {
            Some(_) => self.breaker.wait_at_most(LAST_TRIES, now),
            None => self.breaker.wait(now),
        };
        let ordered = self.flush.ordered != self.flush.done;
        if ordered && (self.pending.is_empty() || self.has_settled()) {
            if !self.open {
                // Without a writer nothing was ever written that could be flushed.
                self.flush.done = self.flush.ordered;
            } else if wait.is_zero() {
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
            if due && wait.is_zero() && !self.stop.is_some_and(Deadline::is_over) {
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

    /// Whether its destination could not work when it was opened, and the sink is to be done without.
    fn is_off(&self) -> bool {
        self.setup.startup == Startup::Ignore
            && matches!(self.first_open, Some(Err((FaultClass::Config, _))))
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
}
