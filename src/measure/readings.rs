//! What a control cycle sees of the measurements: the news since it last looked.
//!
//! The prober's thread pushes into a lock-free bounded queue; the cycle empties it. Looking never waits,
//! takes no lock and allocates nothing.

use super::MAX_REFLECTORS;
use super::sample::{Method, Sample, Target};
use crossbeam_queue::ArrayQueue;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Answers kept for a cycle that is held up; beyond it the oldest go.
pub(super) const QUEUE_LEN: usize = 256;

/// What is new since the last look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum News {
    /// A round-trip time that no earlier look has returned.
    Fresh(Reading),
    /// Nothing new yet, which is normal for a cycle or two.
    Pending,
    /// Reflectors and TCP targets have been silent for too long, and the gateway answers.
    GatewayOnly,
    /// Nothing has answered for too long.
    Silent,
}

/// A round-trip time for control.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// In ms: the median over the targets that have something new, each with its newest answer; of an even
    /// number the lower of the two in the middle.
    ///
    /// The original takes the mean of two. But then one reflector that is late moves control, whenever the
    /// third is silent; and of two answers the lower one says what the link can do.
    pub rtt_ms: f64,
    /// How it was measured. TCP counts only while ICMP has nothing new.
    pub method: Method,
    /// Over how many targets.
    pub replies: u8,
}

/// The cycle's end of a prober.
#[derive(Debug)]
pub struct Readings {
    queue: Arc<ArrayQueue<Sample>>,
    silent_after: Duration,
    last_reading: Instant,
    last_gateway: Option<Instant>,
    icmp: Newest,
    tcp: Newest,
}

impl Readings {
    /// Readings of the samples in `queue`. Silence counts from `start`, and is called that after `silent_after`.
    pub(super) fn new(
        queue: Arc<ArrayQueue<Sample>>,
        silent_after: Duration,
        start: Instant,
    ) -> Self {
        Readings {
            queue,
            silent_after,
            last_reading: start,
            last_gateway: None,
            icmp: Newest::new(start),
            tcp: Newest::new(start),
        }
    }

    /// What came since the last call; `now` is the cycle's time.
    ///
    /// Every answer is returned at most once: while nothing new arrives, the answer is
    /// [`News::Pending`], and after a while [`News::GatewayOnly`] or [`News::Silent`].
    pub fn take(&mut self, now: Instant) -> News {
        // Bounded, so that a prober which is faster than this loop can't keep a cycle in it.
        for _ in 0..self.queue.capacity() {
            let Some(sample) = self.queue.pop() else { break };
            match sample.target {
                Target::Reflector(index) => self.icmp.offer(index, &sample),
                Target::Tcp(index) => self.tcp.offer(index, &sample),
                Target::Gateway => self.last_gateway = Some(sample.arrived),
            }
        }
        let (icmp, tcp) = (self.icmp.take(), self.tcp.take());
        let reading = icmp.map(|median| (median, Method::Icmp));
        let reading = reading.or_else(|| tcp.map(|median| (median, Method::TcpConnect)));
        if let Some(((rtt_ms, replies), method)) = reading {
            self.last_reading = now;
            return News::Fresh(Reading { rtt_ms, method, replies });
        }
        let recent = |at: Instant| now.saturating_duration_since(at) <= self.silent_after;
        if recent(self.last_reading) {
            News::Pending
        } else if self.last_gateway.is_some_and(recent) {
            News::GatewayOnly
        } else {
            News::Silent
        }
    }
}

/// The newest answer of each target that was not returned yet.
#[derive(Debug)]
struct Newest {
    targets: [(Instant, Option<f64>); MAX_REFLECTORS],
}

impl Newest {
    fn new(start: Instant) -> Self {
        Newest { targets: [(start, None); MAX_REFLECTORS] }
    }

    /// Takes an answer, unless one to a later probe was here before.
    fn offer(&mut self, index: usize, sample: &Sample) {
        if let Some((sent, rtt_ms)) = self.targets.get_mut(index)
            && *sent <= sample.sent
        {
            (*sent, *rtt_ms) = (sample.sent, Some(sample.rtt_ms));
        }
    }

    /// The median of what is new, and of how many it is the median. Nothing is new afterwards.
    fn take(&mut self) -> Option<(f64, u8)> {
        let mut fresh = [f64::INFINITY; MAX_REFLECTORS];
        let mut len = 0;
        let news = self.targets.iter_mut().filter_map(|(_, rtt_ms)| rtt_ms.take());
        for (place, rtt_ms) in fresh.iter_mut().zip(news) {
            *place = rtt_ms;
            len += 1;
        }
        // The unused rest is infinite and sorts behind.
        fresh.sort_unstable_by(f64::total_cmp);
        let last = usize::from(len).checked_sub(1)?;
        Some((*fresh.get(last / 2)?, len))
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "an `Instant` can be made in no other way")]
mod tests {
    use super::*;

    const SILENT_AFTER: Duration = Duration::from_secs(1);

    struct Bench {
        start: Instant,
        queue: Arc<ArrayQueue<Sample>>,
        readings: Readings,
    }

    impl Bench {
        fn new() -> Self {
            let start = Instant::now();
            let queue = Arc::new(ArrayQueue::new(QUEUE_LEN));
            let readings = Readings::new(queue.clone(), SILENT_AFTER, start);
            Bench { start, queue, readings }
        }

        fn at(&self, ms: u64) -> Instant {
            self.start + Duration::from_millis(ms)
        }

        fn answer(&self, target: Target, sent_ms: u64, rtt_ms: u64) {
            let sample = Sample::new(target, self.at(sent_ms), self.at(sent_ms + rtt_ms));
            self.queue.force_push(sample);
        }

        fn take(&mut self, ms: u64) -> News {
            self.readings.take(self.at(ms))
        }
    }

    fn fresh(rtt_ms: f64, method: Method, replies: u8) -> News {
        News::Fresh(Reading { rtt_ms, method, replies })
    }

    #[test]
    fn answer_is_returned_once() {
        let mut bench = Bench::new();
        bench.answer(Target::Reflector(0), 0, 20);
        assert_eq!(bench.take(50), fresh(20.0, Method::Icmp, 1));
        assert_eq!(bench.take(100), News::Pending);
    }

    #[test]
    fn median_of_three_reflectors_is_the_middle_one() {
        let mut bench = Bench::new();
        for (index, rtt) in [(0, 300), (1, 20), (2, 22)] {
            bench.answer(Target::Reflector(index), 0, rtt);
        }
        assert_eq!(bench.take(310), fresh(22.0, Method::Icmp, 3));
    }

    #[test]
    fn median_of_an_even_number_is_the_lower_one_so_one_late_answer_moves_nothing() {
        let mut bench = Bench::new();
        bench.answer(Target::Reflector(0), 0, 300);
        bench.answer(Target::Reflector(1), 0, 20);
        assert_eq!(bench.take(310), fresh(20.0, Method::Icmp, 2));
        for (index, rtt) in [(0, 300), (1, 20), (2, 24), (3, 25)] {
            bench.answer(Target::Reflector(index), 320, rtt);
        }
        assert_eq!(bench.take(630), fresh(24.0, Method::Icmp, 4));
    }

    #[test]
    fn newest_probe_counts_also_when_an_older_answer_comes_after_it() {
        let mut bench = Bench::new();
        bench.answer(Target::Reflector(0), 50, 20);
        bench.answer(Target::Reflector(0), 0, 90);
        assert_eq!(bench.take(100), fresh(20.0, Method::Icmp, 1));
        bench.answer(Target::Reflector(0), 10, 100);
        assert_eq!(bench.take(120), News::Pending);
    }

    #[test]
    fn tcp_counts_only_while_icmp_has_nothing_new() {
        let mut bench = Bench::new();
        bench.answer(Target::Tcp(0), 0, 40);
        bench.answer(Target::Reflector(0), 0, 20);
        assert_eq!(bench.take(50), fresh(20.0, Method::Icmp, 1));
        bench.answer(Target::Tcp(0), 50, 40);
        assert_eq!(bench.take(100), fresh(40.0, Method::TcpConnect, 1));
    }

    #[test]
    fn silence_begins_after_the_limit_and_not_at_it() {
        let mut bench = Bench::new();
        assert_eq!(bench.take(1_000), News::Pending);
        assert_eq!(bench.take(1_001), News::Silent);
    }

    #[test]
    fn gateway_alone_is_no_reading() {
        let mut bench = Bench::new();
        bench.answer(Target::Gateway, 900, 1);
        assert_eq!(bench.take(950), News::Pending);
        assert_eq!(bench.take(1_001), News::GatewayOnly);
        assert_eq!(bench.take(1_902), News::Silent);
    }

    #[test]
    fn answer_ends_the_silence() {
        let mut bench = Bench::new();
        assert_eq!(bench.take(5_000), News::Silent);
        bench.answer(Target::Reflector(0), 5_000, 20);
        assert_eq!(bench.take(5_050), fresh(20.0, Method::Icmp, 1));
        assert_eq!(bench.take(5_100), News::Pending);
    }

    #[test]
    fn more_targets_than_there_is_room_for_are_left_out() {
        let mut bench = Bench::new();
        bench.answer(Target::Reflector(MAX_REFLECTORS), 0, 20);
        assert_eq!(bench.take(50), News::Pending);
    }
}
