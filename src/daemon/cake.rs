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
    /// What happened since the last sample, for a tick with this round-trip time.
    ///
    /// A tick without one is not evaluated, so it takes nothing and its drops count at the next that is.
    /// The first read only tells where the counters stand.
    pub(super) fn take(&mut self, rtt_ms: Option<f64>) -> Option<CakeSample> {
        rtt_ms?;
        let newest = self.newest.pop()?;
        let sample = self.counters.sample(newest.dropped.into(), newest.queued.into());
        std::mem::replace(&mut self.started, true).then_some(sample)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: Option<f64> = Some(24.0);

    fn readings() -> CakeReadings {
        let newest = Arc::new(ArrayQueue::new(1));
        CakeReadings { newest, counters: CakeCounters::default(), started: false }
    }

    fn read(readings: &CakeReadings, dropped: u32, queued: u32) {
        readings.newest.force_push(QueueCounters { dropped, queued });
    }

    #[test]
    fn the_first_read_is_no_sample_and_the_next_is_a_difference() {
        let mut readings = readings();
        assert_eq!(readings.take(FRESH), None);
        read(&readings, 500, 9);
        assert_eq!(readings.take(FRESH), None);
        read(&readings, 507, 60);
        assert_eq!(readings.take(FRESH), Some(CakeSample { drops: 7, queued_packets: 60 }));
        assert_eq!(readings.take(FRESH), None);
    }

    #[test]
    fn drops_of_ticks_without_a_round_trip_count_at_the_next_one() {
        let mut readings = readings();
        read(&readings, 500, 9);
        assert_eq!(readings.take(FRESH), None);
        for dropped in [510, 520] {
            read(&readings, dropped, 60);
            assert_eq!(readings.take(None), None);
        }
        read(&readings, 521, 3);
        assert_eq!(readings.take(FRESH), Some(CakeSample { drops: 21, queued_packets: 3 }));
    }
}
