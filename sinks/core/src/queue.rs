//! The bounded queue between controllers and one sink's worker.
//!
//! An emit is a push to a lock-free ring. It wakes nobody: the worker looks for itself. Events have a
//! ring of their own, so that samples never push them out.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_queue::ArrayQueue;

use crate::counters::{self, Counters};
use crate::{Admission, Event, Frame, Item, MetricsSink};

/// How many events wait at most. They are rare; it takes a long outage to fill this.
const EVENTS: usize = 1024;

/// What happens to samples when a queue is full. Whatever happens is counted; nothing ever waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// The oldest frame makes room. The default.
    #[default]
    DropOldest,
    /// The new frame is not taken.
    DropNewest,
    /// Only the newest frame is kept: the queue holds one.
    Latest,
}

/// One sink's queue, shared by its handles and its worker.
pub(crate) struct Queue {
    frames: ArrayQueue<Arc<Frame>>,
    events: ArrayQueue<Arc<Event>>,
    overflow: Overflow,
    closed: AtomicBool,
    disabled: AtomicBool,
    pub(crate) counters: Counters,
}

impl Queue {
    /// A queue for this many frames, at least one.
    pub(crate) fn new(frames: usize, overflow: Overflow) -> Self {
        let frames = if overflow == Overflow::Latest { 1 } else { frames.max(1) };
        Queue {
            frames: ArrayQueue::new(frames),
            events: ArrayQueue::new(EVENTS),
            overflow,
            closed: AtomicBool::new(false),
            disabled: AtomicBool::new(false),
            counters: Counters::default(),
        }
    }

    /// The next item, events first. Its rows are in flight from now on.
    pub(crate) fn pop(&self) -> Option<Item> {
        let item =
            self.events.pop().map(Item::Event).or_else(|| self.frames.pop().map(Item::Frame))?;
        counters::shift(&self.counters.queued, &self.counters.in_flight, item.rows());
        Some(item)
    }

    /// Answers everything with `Closed` from now on.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Refuses everything from now on, because the sink is off.
    pub(crate) fn disable(&self) {
        self.disabled.store(true, Ordering::Release);
        while let Some(item) = self.pop() {
            counters::shift(&self.counters.in_flight, &self.counters.rejected, item.rows());
        }
    }

    /// Pushes to a ring by the overflow policy, with the accounts kept.
    fn push<T>(
        &self,
        ring: &ArrayQueue<Arc<T>>,
        item: &Arc<T>,
        rows: fn(&T) -> usize,
    ) -> Admission {
        let counters = &self.counters;
        let n = rows(item);
        counters::add(&counters.offered, n);
        if self.closed.load(Ordering::Acquire) {
            counters::add(&counters.lost_at_shutdown, n);
            return Admission::Closed;
        }
        if self.disabled.load(Ordering::Acquire) {
            counters::add(&counters.rejected, n);
            return Admission::Refused;
        }
        counters::add(&counters.queued, n);
        let item = Arc::clone(item);
        if self.overflow == Overflow::DropNewest {
            return match ring.push(item) {
                Ok(()) => Admission::Queued,
                Err(_) => {
                    counters::shift(&counters.queued, &counters.evicted, n);
                    Admission::Refused
                }
            };
        }
        match ring.force_push(item) {
            None => Admission::Queued,
            Some(oldest) => {
                let gone = rows(&oldest);
                counters::shift(&counters.queued, &counters.evicted, gone);
                Admission::Evicted(gone as u32)
            }
        }
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("frames", &self.frames.len()).finish_non_exhaustive()
    }
}

/// A handle to a queue: what the pipeline gives to controllers for each sink.
#[derive(Clone, Debug)]
pub(crate) struct Queued(pub(crate) Arc<Queue>);

impl MetricsSink for Queued {
    fn emit(&self, frame: &Arc<Frame>) -> Admission {
        let refused = usize::from(frame.refused());
        if refused != 0 {
            counters::add(&self.0.counters.offered, refused);
            counters::add(&self.0.counters.rejected, refused);
        }
        self.0.push(&self.0.frames, frame, |frame| frame.samples().len())
    }

    fn event(&self, event: &Arc<Event>) -> Admission {
        if !event.value.is_finite() {
            counters::add(&self.0.counters.offered, 1);
            counters::add(&self.0.counters.rejected, 1);
            return Admission::Refused;
        }
        self.0.push(&self.0.events, event, |_| 1)
    }
}
