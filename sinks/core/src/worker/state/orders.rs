//! What the pipeline may ask of a worker, and how far it has come with that.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::{Setup, State};
use crate::queue::Queue;
use crate::{Deadline, FaultClass};

/// Another configuration for a running sink.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) setup: Setup,
    /// Set if the queue is another one from now on.
    pub(crate) queue: Option<Arc<Queue>>,
    /// Both want the same file or port, so the old writer must let go first.
    pub(crate) close_first: bool,
}

/// The first answer of a sink, or that to a change: why it can't work, if it can't.
pub(crate) type Answer = Result<(), (FaultClass, String)>;

/// Orders to flush, and how many of them were carried out.
#[derive(Debug, Default)]
pub(crate) struct Flush {
    pub(crate) ordered: u64,
    pub(crate) done: u64,
    /// The newest order that was seen, and how many rows had been offered then.
    seen: u64,
    offered: u64,
}

impl State {
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

    /// Whether all rows that were offered before the newest order was first seen have gone somewhere.
    /// While new ones keep coming, the queue alone does not tell.
    pub(super) fn has_settled(&mut self) -> bool {
        let counters = &self.counters;
        if self.flush.seen != self.flush.ordered {
            self.flush.seen = self.flush.ordered;
            self.flush.offered = counters.offered.load(Relaxed);
        }
        let waiting = counters.queued.load(Relaxed) + counters.in_flight.load(Relaxed);
        self.flush.offered + waiting <= counters.offered.load(Relaxed)
    }
}
