//! What a worker does next, and what it makes of how that went. No thread, no I/O, no clock: the worker's
//! thread carries out what is decided here, with the time passed in.

mod orders;
mod outcome;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use orders::Flush;
pub(crate) use orders::{Answer, Change};
use outcome::Outage;
pub(crate) use outcome::{Keep, Outcome, refuses_a_change};

use super::breaker::Breaker;
use super::notice::Notice;
use super::pending::Pending;
use crate::counters::{self, Counters, Health};
use crate::queue::{Came, CoarseClock, Entry, Queue};
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
    pub(crate) config: Arc<dyn SinkConfig>,
    pub(crate) batch: BatchOptions,
    pub(crate) retry: RetryOptions,
    pub(crate) timeout: Duration,
    pub(crate) startup: Startup,
    transform: Option<Transform>,
}

impl Setup {
    pub(crate) fn new(spec: &SinkSpec) -> Self {
        Setup {
            config: Arc::from(spec.config.clone()),
            batch: spec.batch,
            retry: spec.retry,
            timeout: spec.timeout,
            startup: spec.startup,
            transform: Transform::new(&spec.select, &spec.prefix),
        }
    }
}

/// What the worker's thread is to do, without the state's lock.
pub(crate) enum Task {
    /// Look again after this time, or when there is an order.
    Rest(Duration),
    Open(Arc<dyn SinkConfig>, Deadline),
    Write(Vec<Item>, Deadline),
    /// Carries out orders up to this one.
    Flush(u64, Deadline),
    Close(Deadline),
    /// Open this one and close the one that is open, in the order that `close_first` asks for.
    Exchange {
        config: Arc<dyn SinkConfig>,
        close_first: bool,
        deadline: Deadline,
    },
    /// There is nothing more to do.
    End,
}

/// One sink's worker, as a matter of logic.
pub(crate) struct State {
    setup: Setup,
    counters: Arc<Counters>,
    clock: Arc<CoarseClock>,
    /// The newest last; one that was replaced stays until nobody can push to it any more.
    queues: VecDeque<(Arc<Queue>, Option<Instant>)>,
    /// Which thread works. One that was left behind has an older number, and no say any more.
    pub(crate) generation: u64,
    left_behind: u32,
    /// No thread works, because the system had none to give.
    needs_thread: bool,
    call: Option<Call>,
    /// Whether the thread has a writer.
    open: bool,
    /// The writer is to be closed and opened again.
    unfit: bool,
    /// Rows were written since the last flush.
    unflushed: bool,
    /// A writer was lost with such rows.
    lost_unflushed: bool,

    pending: Pending,
    /// When the first of the pending rows was taken, and how long they wait for others.
    lingering: Option<(Instant, Duration)>,

    breaker: Breaker,
    outage: Option<Outage>,
    /// When rows were rejected last.
    rejected: Option<Instant>,
    /// The writer panicked over the batch, and the row to blame is looked for.
    searching: bool,
    /// Panics over one row alone.
    panics: u32,
    /// When the sink's code panicked, as far as it matters.
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
    /// What is to be said once the lock is released.
    notices: Vec<Notice>,
    /// What others wrote and is to be dropped once the lock is released.
    discarded: Vec<Setup>,
    /// Nobody waits any more to hear how the first try to open goes.
    unattended: bool,
}

/// A call of the sink's code that is under way.
#[derive(Clone, Copy)]
struct Call {
    since: Instant,
    /// Until when it should have returned.
    deadline: Deadline,
    /// It may have come as far as the destination with rows.
    writes: bool,
}

impl State {
    pub(crate) fn new(
        setup: Setup,
        queue: Arc<Queue>,
        counters: Arc<Counters>,
        clock: Arc<CoarseClock>,
    ) -> Self {
        State {
            setup,
            counters,
            clock,
            queues: VecDeque::from([(queue, None)]),
            generation: 0,
            left_behind: 0,
            needs_thread: false,
            call: None,
            open: false,
            unfit: false,
            unflushed: false,
            lost_unflushed: false,
            pending: Pending::default(),
            lingering: None,
            breaker: Breaker::default(),
            outage: None,
            rejected: None,
            searching: false,
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
            notices: Vec::new(),
            discarded: Vec::new(),
            unattended: false,
        }
    }

    /// What to do now.
    pub(crate) fn next(&mut self, now: Instant) -> Task {
        let task = self.decide(now);
        let deadline = match &task {
            Task::Rest(_) | Task::End => None,
            Task::Open(_, deadline)
            | Task::Write(_, deadline)
            | Task::Flush(_, deadline)
            | Task::Close(deadline)
            | Task::Exchange { deadline, .. } => Some(*deadline),
        };
        let writes = matches!(task, Task::Write(..));
        self.call = deadline.map(|deadline| Call { since: now, deadline, writes });
        self.counters.breaker.store(self.breaker.state(now) as u8, Relaxed);
        task
    }

    /// The thread lets go of a writer, which may take its time.
    pub(crate) fn letting_go(&mut self, now: Instant) {
        let deadline = Deadline::after(self.setup.timeout);
        self.call = Some(Call { since: now, deadline, writes: false });
    }

    /// It has let go.
    pub(crate) fn let_go(&mut self) {
        self.call = None;
    }

    fn decide(&mut self, now: Instant) -> Task {
        if self.first_open.is_none() {
            return self.opening();
        }
        if std::mem::take(&mut self.unfit) && self.open {
            return Task::Close(self.deadline());
        }
        if let Some(change) = self.change.take() {
            let config = Arc::clone(&change.setup.config);
            let close_first = change.close_first;
            self.exchanging = Some(change);
            return Task::Exchange { config, close_first, deadline: self.deadline() };
        }
        if std::mem::take(&mut self.reopen) {
            self.breaker.go_on();
            if self.is_off() {
                return self.opening();
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
        if let Some(order) = self.settled_order() {
            if !self.open {
                self.flushed(order);
            } else if wait.is_zero() {
                return Task::Flush(order, self.deadline());
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
            let hurried = self.flush.is_ordered() || self.stop.is_some();
            let due = waited || full || hurried || self.pending.comes_again();
            if due && wait.is_zero() && !self.stop.is_some_and(Deadline::is_over) {
                return if self.open {
                    Task::Write(self.pending.next(), self.deadline())
                } else {
                    self.opening()
                };
            }
        }
        match self.stop {
            // There will be no other try.
            Some(until) if until.remaining() <= wait => self.close(),
            Some(until) => Task::Rest(LAST_TRIES.min(until.remaining())),
            None => Task::Rest(self.rest(now)),
        }
    }

    /// Until the next look: a part of the linger, and not beyond its end.
    fn rest(&self, now: Instant) -> Duration {
        let look = (self.setup.batch.linger / 4).clamp(POLL.0, POLL.1);
        let end = self.lingering.map(|(since, time)| (since + time).saturating_duration_since(now));
        // After its end, something else is waited for.
        end.filter(|left| !left.is_zero()).map_or(look, |left| left.clamp(POLL.0, look))
    }

    fn opening(&self) -> Task {
        Task::Open(Arc::clone(&self.setup.config), self.deadline())
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
        let max_age = u64::try_from(self.setup.retry.max_age.as_millis()).unwrap_or(u64::MAX);
        let oldest = self.clock.now().saturating_sub(max_age);
        if self.stop.is_none() && self.pending.oldest().is_some_and(|emitted| emitted < oldest) {
            let rows = self.pending.expire(oldest);
            counters::shift(&self.counters.in_flight, &self.counters.expired, rows);
        }
        while !self.pending.comes_again()
            && self.pending.rows() < self.setup.batch.rows
            && self.pending.bytes() < self.setup.batch.bytes
        {
            let Some(entry) = self.pop() else { break };
            if entry.came.emitted < oldest {
                let rows = entry.what.rows();
                counters::shift(&self.counters.in_flight, &self.counters.expired, rows);
            } else {
                self.take(entry);
            }
        }
        let is_over = |at: Instant| now >= at + OLD_QUEUE;
        self.queues.retain(|(queue, replaced)| !replaced.is_some_and(is_over) || !queue.is_empty());
        self.close_windows(self.stop.is_some());
        if self.pending.is_empty() {
            self.lingering = None;
        } else if self.lingering.is_none() {
            let batch = &self.setup.batch;
            self.lingering = Some((now, batch.linger + batch.jitter.mul_f64(fraction())));
        }
        self.counters.oldest.store(self.pending.oldest().unwrap_or(u64::MAX), Relaxed);
    }

    /// The next item of the oldest queue that has any. It is noted how far orders to flush have come.
    fn pop(&mut self) -> Option<Entry<Item>> {
        let last = self.queues.len().saturating_sub(1);
        let mut popped = self.queues.iter().enumerate();
        let popped = popped.find_map(|(at, (queue, _))| Some((at, queue.pop()?)));
        match &popped {
            None => self.flush.passed = self.flush.newest(),
            // Events are taken before frames, and frames in their order: what came before is out.
            Some((at, Entry { what: Item::Frame(_), came })) if *at == last => {
                self.flush.passed = self.flush.passed.max(came.epoch);
            }
            Some(_) => {}
        }
        popped.map(|(_, entry)| entry)
    }

    /// Takes an item off the queue into the batch, as far as the sink is to get it.
    fn take(&mut self, Entry { what, came }: Entry<Item>) {
        let rows = what.rows();
        let transform = &mut self.setup.transform;
        // The details of an event are other people's code.
        let taken = catch_unwind(AssertUnwindSafe(|| {
            let mut passed = Vec::with_capacity(1);
            let filtered = match transform {
                None => {
                    passed.push(what);
                    0
                }
                Some(transform) => transform.take(what, came.emitted, &mut passed),
            };
            let sized = passed.into_iter().map(|item| (item.bytes(), item));
            (filtered, sized.collect::<Vec<_>>())
        }));
        let counters = &self.counters;
        match taken {
            Ok((filtered, passed)) => {
                counters::shift(&counters.in_flight, &counters.filtered, filtered);
                passed.into_iter().for_each(|(bytes, item)| self.pending.add(item, bytes, came));
            }
            Err(_) => {
                counters::shift(&counters.in_flight, &counters.rejected, rows);
                let reason = "the details of an event panicked".to_owned();
                self.notices.push(Notice::Rejects { rows, reason });
            }
        }
    }

    /// Closes windows of decimation: all of them once for an order, and those of emitters that ended.
    fn close_windows(&mut self, all: bool) {
        let Some(transform) = &mut self.setup.transform else { return };
        let Some(every) = transform.every() else { return };
        let mut passed = Vec::new();
        let now = self.clock.now();
        let ordered = self.flush.windows < self.flush.passed;
        let filtered = if all || ordered {
            self.flush.windows = self.flush.passed;
            transform.close(&mut passed)
        } else {
            let age = u64::try_from(every.saturating_mul(2).as_millis()).unwrap_or(u64::MAX);
            transform.close_older(now.saturating_sub(age), &mut passed)
        };
        counters::shift(&self.counters.in_flight, &self.counters.filtered, filtered);
        for item in passed {
            let bytes = item.bytes();
            self.pending.add(item, bytes, Came { emitted: now, epoch: 0 });
        }
    }

    /// Counts what is left as lost.
    pub(crate) fn finish(&mut self) {
        while let Some(entry) = self.pop() {
            self.take(entry);
        }
        self.close_windows(true);
        let rows = self.pending.rows();
        counters::shift(&self.counters.in_flight, &self.counters.lost_at_shutdown, rows);
        self.pending = Pending::default();
        self.ended = true;
        self.counters.set_health(Health::Stopped);
    }
}
