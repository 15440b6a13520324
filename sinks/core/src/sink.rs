//! The trait that controllers hold.

use std::fmt::Debug;
use std::sync::Arc;

use dyn_clone::DynClone;

use crate::{Event, Frame};

/// Where a controller sends every cycle.
///
/// # Contract
///
/// * Called from the control thread, 20 times a second and more. It returns at once: no I/O, no wait,
///   no lock that another thread can hold for long, no allocation, no wake-up of another thread.
/// * It never fails the caller. What became of the frame is in the [`Admission`], for counting only;
///   a controller must not decide anything by it.
/// * A clone is another handle to the *same* destination. Handles may be used from several threads.
/// * After the destination was shut down, everything is answered with [`Admission::Closed`].
///
/// Most plugin authors don't implement this trait: they write a [`SinkWriter`](crate::SinkWriter), and
/// the [`Pipeline`](crate::Pipeline) puts a queue and a worker thread in front of it. Implement it
/// directly only for a destination that is memory.
///
/// ```
/// use std::sync::Arc;
/// use wanctl_sink::{Admission, Event, Frame, MetricsSink};
///
/// /// Counts frames.
/// #[derive(Clone, Debug, Default)]
/// struct Counter(Arc<std::sync::atomic::AtomicUsize>);
///
/// impl MetricsSink for Counter {
///     fn emit(&self, _: &Arc<Frame>) -> Admission {
///         self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
///         Admission::Queued
///     }
///     fn event(&self, _: &Arc<Event>) -> Admission {
///         Admission::Queued
///     }
/// }
///
/// let sink: Box<dyn MetricsSink> = Box::new(Counter::default());
/// let same_destination = sink.clone();
/// # let _ = same_destination;
/// ```
pub trait MetricsSink: DynClone + Debug + Send + Sync {
    /// Takes one cycle's samples.
    fn emit(&self, frame: &Arc<Frame>) -> Admission;

    /// Takes a transition or a snapshot. Samples never push an event out of a queue.
    fn event(&self, event: &Arc<Event>) -> Admission;
}

dyn_clone::clone_trait_object!(MetricsSink);

/// What became of a frame or an event that was offered to a sink. Ordered from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[must_use = "count it, or say `let _ =` where it does not matter"]
pub enum Admission {
    /// Taken.
    Queued,
    /// Taken; this many older rows had to go, and were counted.
    Evicted(u32),
    /// Not taken, and counted.
    Refused,
    /// The sink has been shut down.
    Closed,
}

/// Several destinations behind one handle. Each gets everything; the worst answer is returned.
#[derive(Clone, Debug, Default)]
pub struct Fanout {
    sinks: Arc<[Box<dyn MetricsSink>]>,
}

impl Fanout {
    /// A handle to all of these. None at all is allowed: it discards everything.
    pub fn new(sinks: Vec<Box<dyn MetricsSink>>) -> Self {
        Fanout { sinks: sinks.into() }
    }
}

impl MetricsSink for Fanout {
    fn emit(&self, frame: &Arc<Frame>) -> Admission {
        self.sinks.iter().fold(Admission::Queued, |worst, sink| worst.max(sink.emit(frame)))
    }

    fn event(&self, event: &Arc<Event>) -> Admission {
        self.sinks.iter().fold(Admission::Queued, |worst, sink| worst.max(sink.event(event)))
    }
}
