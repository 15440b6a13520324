//! A steady beat: ticks at fixed instants, however long a cycle takes.
#![expect(clippy::disallowed_methods, reason = "this is where the control loop reads the clock")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Ticks at `origin + k × interval` for k = 1, 2, …
///
/// A tick that could not be kept is skipped and counted; ticks never come in a burst, and lateness of
/// one never shifts the next.
#[derive(Debug)]
pub struct Schedule {
    origin: Instant,
    interval: Duration,
    /// The tick that was given last; 0 before the first.
    last: u64,
    /// No tick after this one.
    end: u64,
}

/// A moment to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// Its number, from 1.
    pub number: u64,
    /// How long after its time it came.
    pub lateness: Duration,
    /// How many ticks before it were skipped.
    pub skipped: u64,
}

impl Schedule {
    /// A schedule that begins one interval after `origin` and, where a duration is given, ends with it.
    pub fn new(origin: Instant, interval: Duration, duration: Option<Duration>) -> Self {
        let ticks = |d: Duration| (d.as_nanos() / interval.as_nanos().max(1)) as u64;
        Schedule { origin, interval, last: 0, end: duration.map_or(u64::MAX, ticks) }
    }

    /// Waits for the next tick. `None` when the schedule is over or `stop` is set; whoever sets it
    /// unparks this thread.
    pub fn wait(&mut self, stop: &AtomicBool) -> Option<Tick> {
        let tick = self.next(Instant::now())?;
        let due = self.due(tick);
        loop {
            if stop.load(Ordering::Acquire) {
                return None;
            }
            let now = Instant::now();
            if now >= due {
                let skipped = tick - self.last - 1;
                self.last = tick;
                return Some(Tick { number: tick, lateness: now - due, skipped });
            }
            thread::park_timeout(due - now);
        }
    }

    /// The tick to wait for at this time: the next one, or, if that is more than an interval ago, the
    /// newest that is due.
    fn next(&self, now: Instant) -> Option<u64> {
        let elapsed = now.saturating_duration_since(self.origin).as_nanos();
        let newest_due = (elapsed / self.interval.as_nanos().max(1)) as u64;
        Some(newest_due.max(self.last + 1)).filter(|tick| *tick <= self.end)
    }

    fn due(&self, tick: u64) -> Instant {
        let nanos = self.interval.as_nanos().saturating_mul(u128::from(tick));
        self.origin + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn ticks_come_at_multiples_of_the_interval_and_end_with_the_duration() {
        let origin = Instant::now();
        let mut schedule = Schedule::new(origin, 2 * MS, Some(10 * MS));
        let stop = AtomicBool::new(false);
        let mut count = 0;
        while let Some(tick) = schedule.wait(&stop) {
            count += 1 + tick.skipped;
            assert!(Instant::now() >= origin + 2 * MS * tick.number as u32);
            assert_eq!(count, tick.number);
        }
        assert_eq!(count, 5);
    }

    #[test]
    fn missed_ticks_are_skipped_and_counted_never_made_up() {
        let origin = Instant::now();
        let mut schedule = Schedule::new(origin, 10 * MS, None);
        let stop = AtomicBool::new(false);
        assert_eq!(schedule.next(origin + 35 * MS), Some(3));
        let first = schedule.wait(&stop).unwrap();
        assert_eq!(schedule.next(origin), Some(first.number + 1));
        assert_eq!(schedule.next(origin + 500 * MS), Some(50));
    }

    #[test]
    fn a_stop_ends_the_wait_at_once() {
        let mut schedule = Schedule::new(Instant::now(), Duration::from_secs(3600), None);
        assert_eq!(schedule.wait(&AtomicBool::new(true)), None);
    }
}
