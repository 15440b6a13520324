//! The prober: its own thread, which probes on an absolute schedule.
//!
//! It decides when to send what. It makes nothing of the answers but to pass them on.
#![expect(clippy::disallowed_methods, reason = "the schedule is kept here")]

use super::counters::{Counters, ProbeCounts};
use super::engine::Engine;
use super::readings::{QUEUE_LEN, Readings};
use super::sample::{Method, Sample, Target};
use super::{MAX_REFLECTORS, MeasureError};
use crossbeam_queue::ArrayQueue;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often the fallbacks are tried while reflectors are silent.
const FALLBACK_INTERVAL: Duration = Duration::from_millis(500);

/// How long before a cycle its probe leaves, at most; a shorter interval gives four fifths of it.
const MAX_LEAD: Duration = Duration::from_millis(200);

/// What to probe, and how often.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeConfig {
    /// Reflectors of ICMP echo, at most [`MAX_REFLECTORS`]. With one, a reading is its answer; with
    /// several, their median.
    pub reflectors: Vec<IpAddr>,
    /// Targets of TCP connects, at most [`MAX_REFLECTORS`].
    pub tcp_targets: Vec<SocketAddr>,
    /// Asked by ICMP while everything else is silent.
    pub gateway: Option<IpAddr>,
    /// Time between probes to one target; 50 ms for autorate.
    pub interval: Duration,
    /// Later answers do not count. Default 1 s; a TCP connect is given up after 1 s at most.
    pub timeout: Duration,
    /// What is probed each interval: the reflectors by ICMP, or the TCP targets by TCP connect.
    /// With ICMP the TCP targets are the fallback.
    pub method: Method,
}

impl ProbeConfig {
    /// The usual timeout.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1);

    fn check(&self) -> Result<(), MeasureError> {
        let probed = match self.method {
            Method::Icmp => self.reflectors.len(),
            Method::TcpConnect => self.tcp_targets.len(),
        };
        let most = self.reflectors.len().max(self.tcp_targets.len());
        if probed == 0 {
            Err(MeasureError::NothingToProbe)
        } else if MAX_REFLECTORS < most {
            Err(MeasureError::TooManyTargets { count: most })
        } else if self.interval.is_zero() {
            Err(MeasureError::NoInterval)
        } else {
            Ok(())
        }
    }

    /// The methods' silence: an answer could have been there, and was not.
    fn silence(&self) -> Duration {
        self.timeout + self.interval
    }
}

/// A running prober. Dropping it stops its thread.
#[derive(Debug)]
pub struct Prober {
    thread: Option<JoinHandle<()>>,
    /// The thread sees the other end close.
    stop: Option<UnixStream>,
    counters: Arc<Counters>,
}

impl Prober {
    /// Opens the sockets and starts the thread `wanctl-probe`.
    ///
    /// Control cycles are expected at `origin` + k · interval. Probes leave four fifths of an interval
    /// before each (200 ms at most), so an answer that takes no longer is there in time.
    ///
    /// # Errors
    ///
    /// A configuration without targets, with too many or without an interval; with [`Method::Icmp`]
    /// a process that may open neither a raw nor a datagram ICMP socket; no thread or descriptors left.
    pub fn start(config: ProbeConfig, origin: Instant) -> Result<(Prober, Readings), MeasureError> {
        config.check()?;
        let counters = Arc::new(Counters::default());
        let mut engine = Engine::new(config.timeout, Arc::clone(&counters));
        if config.method == Method::Icmp {
            for &reflector in &config.reflectors {
                engine.open_for(reflector).map_err(|source| MeasureError::NoIcmp { source })?;
            }
        }
        if let Some(gateway) = config.gateway {
            // Without ICMP the gateway can't be asked, and nothing else depends on it.
            let _ = engine.open_for(gateway);
        }
        let queue = Arc::new(ArrayQueue::new(QUEUE_LEN));
        let now = Instant::now();
        let silent_after = config.silence() + FALLBACK_INTERVAL;
        let readings = Readings::new(queue.clone(), silent_after, now);
        let (stop, stopped) = UnixStream::pair().map_err(MeasureError::Start)?;
        let schedule = Schedule::new(origin, config.interval, now);
        let run = Run { config, engine, queue, schedule, last_answer: now, next_fallback: now };
        let thread = std::thread::Builder::new()
            .name("wanctl-probe".to_owned())
            .spawn(move || run.until_closed(&stopped))
            .map_err(MeasureError::Start)?;
        Ok((Prober { thread: Some(thread), stop: Some(stop), counters }, readings))
    }

    /// What became of the probes so far.
    pub fn counts(&self) -> ProbeCounts {
        self.counters.read()
    }

    /// Whether the thread is over, which before [`stop`](Self::stop) means that it panicked.
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Stops the thread and waits for it, which takes no longer than sending a probe.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("The prober had panicked.");
        }
    }
}

/// The prober's thread.
struct Run {
    config: ProbeConfig,
    engine: Engine,
    queue: Arc<ArrayQueue<Sample>>,
    schedule: Schedule,
    /// When the configured method last had an answer.
    last_answer: Instant,
    next_fallback: Instant,
}

impl Run {
    fn until_closed(mut self, stopped: &UnixStream) {
        loop {
            let now = Instant::now();
            if self.schedule.is_due(now) {
                self.probe();
            }
            let fallback_at = self.next_fallback.max(self.last_answer + self.config.silence());
            if fallback_at <= now {
                self.next_fallback = now + FALLBACK_INTERVAL;
                self.fall_back();
                continue;
            }
            let until = self.schedule.next.min(fallback_at);
            if self.engine.wait(until, Some(stopped.as_fd())) {
                return;
            }
            self.deliver();
        }
    }

    fn probe(&mut self) {
        match self.config.method {
            Method::Icmp => {
                for (index, &reflector) in self.config.reflectors.iter().enumerate() {
                    self.engine.echo(Target::Reflector(index), reflector);
                }
            }
            Method::TcpConnect => self.connect(),
        }
    }

    fn fall_back(&mut self) {
        if self.config.method == Method::Icmp {
            self.connect();
        }
        if let Some(gateway) = self.config.gateway {
            self.engine.echo(Target::Gateway, gateway);
        }
    }

    fn connect(&mut self) {
        for (index, &target) in self.config.tcp_targets.iter().enumerate() {
            self.engine.connect(Target::Tcp(index), target);
        }
    }

    fn deliver(&mut self) {
        for sample in self.engine.samples() {
            if sample.target.method() == Some(self.config.method) {
                self.last_answer = sample.arrived;
            }
            self.queue.force_push(sample);
        }
    }
}

/// Equally spaced instants. Those that were missed are left out, never made up for.
struct Schedule {
    next: Instant,
    interval: Duration,
}

impl Schedule {
    /// The instants a lead before `origin` + k · `interval`, from `now` on. `interval` is not zero.
    fn new(origin: Instant, interval: Duration, now: Instant) -> Self {
        let lead = MAX_LEAD.min(interval * 4 / 5);
        let mut schedule = Schedule { next: origin.checked_sub(lead).unwrap_or(origin), interval };
        if schedule.next < now {
            schedule.skip_to(now);
        }
        schedule
    }

    /// True once for each instant that has come.
    fn is_due(&mut self, now: Instant) -> bool {
        let due = self.next <= now;
        if due {
            self.skip_to(now);
        }
        due
    }

    /// Makes the next instant the first one after `now`.
    fn skip_to(&mut self, now: Instant) {
        let late = now.saturating_duration_since(self.next);
        let past = late.as_nanos() % self.interval.as_nanos();
        // The remainder is below the interval, so it fits.
        self.next = now + self.interval - Duration::from_nanos(past as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(50);
    const LEAD: Duration = Duration::from_millis(40);

    #[test]
    fn probes_leave_a_lead_before_each_cycle() {
        let now = Instant::now();
        let origin = now + Duration::from_secs(1);
        let mut schedule = Schedule::new(origin, INTERVAL, now);
        assert_eq!(schedule.next, origin - LEAD);
        assert!(!schedule.is_due(origin - LEAD - Duration::from_nanos(1)));
        assert!(schedule.is_due(origin - LEAD));
        assert_eq!(schedule.next, origin - LEAD + INTERVAL);
    }

    #[test]
    fn lead_is_bounded_for_long_intervals() {
        let now = Instant::now();
        let origin = now + Duration::from_secs(5);
        let schedule = Schedule::new(origin, Duration::from_secs(2), now);
        assert_eq!(schedule.next, origin - MAX_LEAD);
    }

    #[test]
    fn missed_instants_are_left_out_and_the_phase_stays() {
        let origin = Instant::now() + Duration::from_secs(1);
        let mut schedule = Schedule::new(origin, INTERVAL, origin - LEAD);
        assert!(schedule.is_due(origin - LEAD + 7 * INTERVAL + Duration::from_millis(3)));
        assert_eq!(schedule.next, origin - LEAD + 8 * INTERVAL);
        assert!(!schedule.is_due(origin - LEAD + 7 * INTERVAL + Duration::from_millis(4)));
    }

    #[test]
    fn origin_in_the_past_keeps_its_phase() {
        let now = Instant::now();
        let origin = now.checked_sub(Duration::from_millis(1_020)).unwrap();
        let schedule = Schedule::new(origin, INTERVAL, now);
        assert_eq!((schedule.next + LEAD - origin).as_millis() % 50, 0);
        assert!(now <= schedule.next && schedule.next < now + INTERVAL);
    }
}
