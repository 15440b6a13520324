//! The thread that reads CAKE's counters for a steering controller.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_queue::ArrayQueue;
use tracing::warn;

use super::background::Background;
use crate::shaper::{QueueCounters, QueueStatistics};
use crate::steering::{CakeCounters, CakeSample};

/// Where a control loop finds them.
#[derive(Debug)]
pub(super) struct CakeReadings {
    newest: Arc<ArrayQueue<QueueCounters>>,
    counters: CakeCounters,
    started: bool,
}

/// Starts the thread that reads the counters of one interface, twice in each `interval` of the loop.
pub(super) fn start(interface: &str, interval: Duration) -> io::Result<(Background, CakeReadings)> {
    let mut statistics = QueueStatistics::open(interface)?;
    let newest = Arc::new(ArrayQueue::new(1));
    let readings = Arc::clone(&newest);
    let interface = interface.to_owned();
    let background = Background::start(format!("cake/{interface}"), move |stop| {
        let mut failing = false;
        while !stop.is_set() {
            match statistics.read() {
                Ok(counters) => {
                    failing = false;
                    readings.force_push(counters);
                }
                Err(error) if !std::mem::replace(&mut failing, true) => {
                    warn!(interface, %error, "CAKE's statistics can't be read; they count as none.");
                }
                Err(_) => {}
            }
            stop.wait(interval / 2);
        }
    })?;
    let readings = CakeReadings { newest, counters: CakeCounters::default(), started: false };
    Ok((background, readings))
}

impl CakeReadings {
    /// What happened since the last call. The first read only tells where the counters stand.
    pub(super) fn take(&mut self) -> Option<CakeSample> {
        let newest = self.newest.pop()?;
        let sample = self.counters.sample(newest.dropped.into(), newest.queued.into());
        std::mem::replace(&mut self.started, true).then_some(sample)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_read_is_no_sample_and_the_next_is_a_difference() {
        let newest = Arc::new(ArrayQueue::new(1));
        let counters = CakeCounters::default();
        let mut readings = CakeReadings { newest: Arc::clone(&newest), counters, started: false };
        assert_eq!(readings.take(), None);
        newest.force_push(QueueCounters { dropped: 500, queued: 9 });
        assert_eq!(readings.take(), None);
        newest.force_push(QueueCounters { dropped: 507, queued: 60 });
        assert_eq!(readings.take(), Some(CakeSample { drops: 7, queued_packets: 60 }));
        assert_eq!(readings.take(), None);
    }
}
