//! The bounded queue between controllers and one sink's worker.
//!
//! An emit is a push to a lock-free ring. It wakes nobody: the worker looks for itself. Events have a
//! ring of their own, so that samples never push them out.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_queue::ArrayQueue;

use crate::counters::{self, Counters};
use crate::{Admission, Event, Frame, Item};

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

/// A clock that an emit can afford: one relaxed load. The pipeline's watcher sets it several times a
/// second, which is enough to tell how long a row has waited.
#[derive(Debug, Default)]
pub(crate) struct CoarseClock(AtomicU64);

impl CoarseClock {
    pub(crate) fn set(&self, since_start: Duration) {
        self.0.store(u64::try_from(since_start.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Milliseconds since the pipeline's start.
    pub(crate) fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Something on its way, and when it came.
pub(crate) struct Entry<T> {
    pub(crate) what: T,
    pub(crate) came: Came,
}

/// When something came to a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Came {
    /// In milliseconds of the [`CoarseClock`].
    pub(crate) emitted: u64,
    /// After how many orders to flush.
    pub(crate) epoch: u64,
}

/// One sink's queue, shared by its handles and its worker.
pub(crate) struct Queue {
    frames: ArrayQueue<Entry<Arc<Frame>>>,
    events: ArrayQueue<Entry<Arc<Event>>>,
    overflow: Overflow,
    closed: AtomicBool,
    disabled: AtomicBool,
    clock: Arc<CoarseClock>,
    /// How many orders to flush there were.
    epoch: AtomicU64,
    counters: Arc<Counters>,
}

impl Queue {
    /// A queue for this many frames, at least one.
    pub(crate) fn new(
        frames: usize,
        overflow: Overflow,
        clock: Arc<CoarseClock>,
        counters: Arc<Counters>,
    ) -> Self {
        let frames = if overflow == Overflow::Latest { 1 } else { frames.max(1) };
        Queue {
            frames: ArrayQueue::new(frames),
            events: ArrayQueue::new(EVENTS),
            overflow,
            closed: AtomicBool::new(false),
            disabled: AtomicBool::new(false),
            clock,
            epoch: AtomicU64::new(0),
            counters,
        }
    }

    /// The next item, events first. Its rows are in flight from now on.
    pub(crate) fn pop(&self) -> Option<Entry<Item>> {
        let event = self.events.pop();
        let entry = match event {
            Some(Entry { what, came }) => Entry { what: Item::Event(what), came },
            None => {
                let Entry { what, came } = self.frames.pop()?;
                Entry { what: Item::Frame(what), came }
            }
        };
        counters::shift(&self.counters.queued, &self.counters.in_flight, entry.what.rows());
        Some(entry)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.events.is_empty()
    }

    /// What comes from now on comes after this many orders to flush.
    pub(crate) fn set_epoch(&self, epoch: u64) {
        self.epoch.store(epoch, Ordering::Relaxed);
    }

    /// Answers everything with `Closed` from now on.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Refuses everything from now on, because the sink is off.
    pub(crate) fn disable(&self) {
        self.disabled.store(true, Ordering::Release);
        while let Some(entry) = self.pop() {
            let (rows, counters) = (entry.what.rows(), &self.counters);
            counters::shift(&counters.in_flight, &counters.rejected, rows);
        }
    }

    /// Takes everything again.
    pub(crate) fn enable(&self) {
        self.disabled.store(false, Ordering::Release);
    }

    /// Takes one cycle's samples.
    pub(crate) fn emit(&self, frame: &Arc<Frame>) -> Admission {
        let refused = usize::from(frame.refused());
        if refused != 0 {
            counters::add(&self.counters.offered, refused);
            counters::add(&self.counters.rejected, refused);
            if frame.samples().is_empty() {
                return Admission::Refused;
            }
        }
        self.push(&self.frames, frame, |frame| frame.samples().len())
    }

    /// Takes a transition or a snapshot.
    pub(crate) fn event(&self, event: &Arc<Event>) -> Admission {
        if !event.value.is_finite() {
            counters::add(&self.counters.offered, 1);
            counters::add(&self.counters.rejected, 1);
            return Admission::Refused;
        }
        self.push(&self.events, event, |_| 1)
    }

    /// Pushes to a ring by the overflow policy, with the accounts kept.
    fn push<T>(
        &self,
        ring: &ArrayQueue<Entry<Arc<T>>>,
        item: &Arc<T>,
        rows: fn(&T) -> usize,
    ) -> Admission {
        let counters = &self.counters;
        let n = rows(item);
        let turned_away = if self.closed.load(Ordering::Acquire) {
            Some((&counters.lost_at_shutdown, Admission::Closed))
        } else if self.disabled.load(Ordering::Acquire) {
            Some((&counters.rejected, Admission::Refused))
        } else {
            None
        };
        if let Some((account, answer)) = turned_away {
            counters::add(account, n);
            counters::add(&counters.offered, n);
            return answer;
        }
        // In this order, so that a flush never takes a row for gone that is on its way.
        counters::add(&counters.queued, n);
        counters::add(&counters.offered, n);
        let came = Came { emitted: self.clock.now(), epoch: self.epoch.load(Ordering::Relaxed) };
        let entry = Entry { what: Arc::clone(item), came };
        if self.overflow == Overflow::DropNewest {
            return match ring.push(entry) {
                Ok(()) => Admission::Queued,
                Err(_) => {
                    counters::shift(&counters.queued, &counters.evicted, n);
                    Admission::Refused
                }
            };
        }
        match ring.force_push(entry) {
            None => Admission::Queued,
            Some(oldest) => {
                let gone = rows(&oldest.what);
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
