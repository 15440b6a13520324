//! The null sink as a controller holds it: no queue, no thread, no settings.

use std::sync::Arc;

use wanctl_sink::{Admission, Event, Frame, MetricsSink};

/// Takes everything on the spot, for programs that configure sinks in code.
///
/// ```
/// use wanctl_sink::MetricsSink;
///
/// let sink: Box<dyn MetricsSink> = Box::new(wanctl_sink_null::NullSink);
/// # let _ = sink;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NullSink;

impl MetricsSink for NullSink {
    fn emit(&self, _: &Arc<Frame>) -> Admission {
        Admission::Queued
    }

    fn event(&self, _: &Arc<Event>) -> Admission {
        Admission::Queued
    }
}

#[cfg(test)]
mod tests {
    use wanctl_sink::{Schema, Timestamp};

    use super::*;

    #[test]
    fn the_direct_sink_takes_frames() {
        let schema = Schema::new(Vec::new()).unwrap();
        let frame = Arc::new(Frame::new(Timestamp::default(), &schema));
        assert_eq!(NullSink.emit(&frame), Admission::Queued);
    }
}
