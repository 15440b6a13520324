//! What controllers hold: all sinks of a pipeline behind one handle, whose set may change meanwhile.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::queue::Queue;
use crate::{Admission, Event, Frame, MetricsSink};

/// The queues that an emit goes to. A reader never waits for a change of the set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Handle(Arc<ArcSwap<Vec<Arc<Queue>>>>);

impl Handle {
    /// From the next emit on, it goes to these.
    pub(crate) fn point_at(&self, queues: Vec<Arc<Queue>>) {
        self.0.store(Arc::new(queues));
    }
}

impl MetricsSink for Handle {
    fn emit(&self, frame: &Arc<Frame>) -> Admission {
        let queues = self.0.load();
        queues.iter().fold(Admission::Queued, |worst, queue| worst.max(queue.emit(frame)))
    }

    fn event(&self, event: &Arc<Event>) -> Admission {
        let queues = self.0.load();
        queues.iter().fold(Admission::Queued, |worst, queue| worst.max(queue.event(event)))
    }
}
