//! What the pipeline may ask of a worker, and how far it has come with that.

use std::sync::Arc;

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

/// Orders to flush, counted from 1, and how far the worker has come with them.
#[derive(Debug, Default)]
pub(crate) struct Flush {
    ordered: u64,
    /// Orders up to this one were answered.
    done: u64,
    /// The newest of them that was not carried out: what was written may be lost.
    failed: u64,
    /// What came before this order has left the queues.
    pub(super) passed: u64,
    /// The windows were closed for this order.
    pub(super) windows: u64,
}

impl Flush {
    pub(super) fn is_ordered(&self) -> bool {
        self.ordered != self.done
    }

    pub(super) fn newest(&self) -> u64 {
        self.ordered
    }

    /// How an order was answered; `None` while it was not.
    pub(crate) fn answer(&self, order: u64) -> Option<bool> {
        (order <= self.done).then_some(self.failed < order)
    }
}

impl State {
    /// Orders a flush; returns its number.
    pub(crate) fn order_flush(&mut self) -> u64 {
        self.flush.ordered += 1;
        self.queues.iter().for_each(|(queue, _)| queue.set_epoch(self.flush.ordered));
        self.flush.ordered
    }

    /// The newest order, if all that came before it has gone somewhere.
    pub(super) fn settled_order(&self) -> Option<u64> {
        let order = self.flush.ordered;
        let out = self.flush.passed >= order;
        (self.flush.is_ordered() && out && !self.pending.has_before(order)).then_some(order)
    }

    /// Orders up to this one are answered: well, unless a writer was lost with rows it had not flushed.
    pub(super) fn flushed(&mut self, order: u64) {
        self.flush.done = self.flush.done.max(order);
        if std::mem::take(&mut self.lost_unflushed) {
            self.flush.failed = self.flush.failed.max(order);
        }
    }

    /// Orders the writer to be closed and opened again.
    pub(crate) fn order_reopen(&mut self) {
        self.reopen = true;
    }

    /// Nobody waits any more to hear how the first try to open goes.
    pub(crate) fn leave_alone(&mut self) {
        self.unattended = true;
    }

    /// Orders what is queued to be written, until this time, and then the end.
    pub(crate) fn order_stop(&mut self, until: Deadline) {
        self.stop = Some(until);
        self.breaker.last_try();
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
}
