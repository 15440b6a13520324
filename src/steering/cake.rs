//! From CAKE's cumulative counters to what happened in a step.

use super::CakeSample;

/// Remembers the drop counter of the last successful read.
///
/// The first read has nothing to be compared with, and answers with the counter as it stands: all the
/// drops since the queue was made. A daemon should throw that sample away. A counter that starts again
/// gives a negative difference, which no threshold takes for congestion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CakeCounters {
    dropped: Option<i64>,
}

impl CakeCounters {
    /// What happened since the last read, from packets dropped in total and packets queued now.
    pub fn sample(&mut self, dropped: i64, queued_packets: i64) -> CakeSample {
        let before = self.dropped.replace(dropped).unwrap_or(0);
        CakeSample { drops: dropped.saturating_sub(before), queued_packets }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_are_the_difference_to_the_read_before() {
        let mut counters = CakeCounters::default();
        let drops = [500, 500, 507, 3].map(|dropped| counters.sample(dropped, 9).drops);
        assert_eq!(drops, [500, 0, 7, -504]);
    }

    #[test]
    fn queue_is_taken_as_it_stands() {
        let mut counters = CakeCounters::default();
        counters.sample(0, 40);
        assert_eq!(counters.sample(0, 12).queued_packets, 12);
    }
}
