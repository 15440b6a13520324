//! The control loops: wait for the tick, observe, step the runner, publish.
//!
//! They run on a control thread each. Nothing here opens a file, resolves a name, takes a lock that
//! another thread can hold, or logs: what others want to know is published in [`Status`] or, where it
//! happens rarely, left in a [`Journal`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use crossbeam_queue::ArrayQueue;

use crate::autorate;
use crate::daemon::clock::Clock;
use crate::daemon::schedule::{Schedule, Tick};
use crate::daemon::state_file::Slot;
use crate::daemon::status::Status;
use crate::runner::{AutorateRunner, RouteOutcome, SteeringRunner};
use crate::steering;

/// Things that a control thread wants logged; somebody else does it.
pub type Journal = ArrayQueue<Entry>;

/// Something worth a line in the log.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A direction's zone changed.
    Zone(Arc<str>, autorate::Direction, autorate::Transition),
    /// Traffic takes another WAN.
    Route(Arc<str>, steering::Transition),
    /// Autorate's measurement came or went.
    Measurement(Arc<str>, autorate::Outcome),
}

/// What a control loop needs besides its runner.
#[derive(Debug)]
pub struct Beat {
    /// The WAN, for the journal.
    pub wan: Arc<str>,
    /// When to act.
    pub schedule: Schedule,
    /// The time between ticks.
    pub interval: Duration,
    /// The clocks.
    pub clock: Clock,
    /// Set to end the loop; unpark its thread after it.
    pub stop: Arc<AtomicBool>,
    /// Where to publish.
    pub status: Arc<Status>,
    /// Where to leave what should be logged.
    pub journal: Arc<Journal>,
}

impl Beat {
    fn next(&mut self) -> Option<Tick> {
        self.schedule.wait(&self.stop)
    }

    fn done(&self, tick: Tick, fresh: bool) {
        let micros = u64::try_from(tick.lateness.as_micros()).unwrap_or(u64::MAX);
        let now_nanos = self.clock.stamp().mono_nanos;
        self.status.cycle(now_nanos, micros, tick.skipped, fresh);
    }

    /// The time that a tick stands for, with the ones skipped before it, in seconds.
    fn elapsed_seconds(&self, tick: Tick) -> f64 {
        self.interval.as_secs_f64() * (tick.skipped + 1) as f64
    }
}

/// Runs an autorate controller until its schedule ends or it is stopped.
///
/// `observe` gives what the probes brought since the last call; `act` leaves the decision for the
/// shaper. Neither may wait. The controller's newest state is left in `keep`.
pub fn autorate(
    mut beat: Beat,
    runner: &mut AutorateRunner,
    keep: Option<&Slot>,
    mut observe: impl FnMut() -> autorate::Probe,
    mut act: impl FnMut(&autorate::Decision),
) {
    let mut lost = false;
    while let Some(tick) = beat.next() {
        let elapsed_seconds = beat.elapsed_seconds(tick);
        let observation = autorate::Observation { probe: observe(), elapsed_seconds };
        let decision = runner.step(beat.clock.stamp(), &observation, &mut act);
        let fresh = decision.outcome == autorate::Outcome::Stepped;
        if let Some(slot) = keep {
            slot.force_push(runner.controller_mut().state());
        }
        let status = &beat.status;
        status.rtt_ms.set(decision.rtt_ms.or(status.rtt_ms.get()));
        status.baseline_ms.set(decision.baseline_ms);
        status.delta_ms.set(decision.delta_ms());
        status.download_mbps.set(Some(decision.download.rate.mbps()));
        status.upload_mbps.set(Some(decision.upload.rate.mbps()));
        status.state.store(u64::from(decision.download.zone.code()), Relaxed);
        status.second.store(u64::from(decision.upload.zone.code()), Relaxed);
        for direction in decision.directions() {
            if let Some(transition) = direction.transition {
                let entry = Entry::Zone(Arc::clone(&beat.wan), direction.direction, transition);
                beat.journal.force_push(entry);
            }
        }
        let is_lost = match decision.outcome {
            autorate::Outcome::Held | autorate::Outcome::Frozen => lost,
            outcome => outcome == autorate::Outcome::Lost,
        };
        if is_lost != lost {
            lost = is_lost;
            beat.journal.force_push(Entry::Measurement(Arc::clone(&beat.wan), decision.outcome));
        }
        beat.done(tick, fresh);
    }
}

/// What steering sees at a tick.
#[derive(Clone, Copy, Debug, Default)]
pub struct SteeringView {
    /// A fresh round-trip time, in ms.
    pub rtt_ms: Option<f64>,
    /// The baseline, in ms.
    pub baseline_ms: Option<f64>,
    /// CAKE's statistics since the last tick that had a fresh round-trip time; `None` in one that has none,
    /// for it is not evaluated and would lose them.
    pub cake: Option<steering::CakeSample>,
    /// The outcome of a change of route that was pending.
    pub route: Option<RouteOutcome>,
}

/// Runs a steering controller until its schedule ends or it is stopped.
///
/// `observe` and `act` are as for [`autorate()`]; `act` is called for changes of route only.
pub fn steering(
    mut beat: Beat,
    runner: &mut SteeringRunner,
    mut observe: impl FnMut() -> SteeringView,
    mut act: impl FnMut(steering::RouteChange) -> RouteOutcome,
) {
    // The controller's timers move in evaluated steps only, so those are given the time of the others.
    let mut elapsed_seconds = 0.0;
    while let Some(tick) = beat.next() {
        elapsed_seconds += beat.elapsed_seconds(tick);
        let at = beat.clock.stamp();
        let view = observe();
        let reported = view.route.and_then(|outcome| runner.route_changed(at, outcome));
        let observation = steering::Observation {
            rtt_ms: view.rtt_ms,
            baseline_ms: view.baseline_ms,
            cake: view.cake,
            elapsed_seconds,
            mono_seconds: at.mono_nanos as f64 / 1e9,
        };
        let (decision, transition) = runner.step(at, &observation, &mut act);
        for transition in reported.into_iter().chain(transition) {
            beat.journal.force_push(Entry::Route(Arc::clone(&beat.wan), transition));
        }
        let status = &beat.status;
        status.rtt_ms.set(decision.rtt_ms.or(status.rtt_ms.get()));
        status.baseline_ms.set(decision.baseline_ms);
        status.delta_ms.set(decision.delta_ms);
        status.state.store(u64::from(decision.congestion.code()), Relaxed);
        status.second.store(u64::from(runner.route() == steering::Route::Alternate), Relaxed);
        let fresh = decision.outcome == steering::Outcome::Stepped;
        if fresh {
            elapsed_seconds = 0.0;
        }
        beat.done(tick, fresh);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steering::fixtures::{confidence, policy};
    use crate::steering::{CakeSample, Confidence, Policy};

    const INTERVAL: Duration = Duration::from_millis(20);

    fn beat(ticks: u32) -> Beat {
        let clock = Clock::start();
        Beat {
            wan: "wan1".into(),
            schedule: Schedule::new(clock.now(), INTERVAL, Some(INTERVAL * ticks)),
            interval: INTERVAL,
            clock,
            stop: Arc::default(),
            status: Arc::default(),
            journal: Arc::new(Journal::new(16)),
        }
    }

    #[test]
    fn time_of_ticks_without_a_round_trip_moves_the_timers_at_the_next_one() {
        let confidence = Confidence {
            steer_threshold: 1.0,
            sustain_seconds: 2.5 * INTERVAL.as_secs_f64(),
            dry_run: false,
            ..confidence()
        };
        let mut policy = Policy { confidence: Some(confidence), ..policy() };
        // The counters of samples are to stay out of it.
        policy.thresholds.red_samples_required = 100;
        let sink = Box::new(wanctl_sink_memory::MemorySink::default());
        let mut runner = SteeringRunner::new(policy, sink).unwrap();
        // The first starts the timer, and three intervals later it has run out.
        let mut fresh = [true, false, false, true].into_iter();
        let observe = || SteeringView {
            rtt_ms: fresh.next().unwrap_or(false).then_some(200.0),
            baseline_ms: Some(24.0),
            cake: Some(CakeSample { drops: 100, queued_packets: 100 }),
            route: None,
        };
        let mut asked = Vec::new();
        steering(beat(4), &mut runner, observe, |change| {
            asked.push(change.to);
            RouteOutcome::Changed
        });
        assert_eq!(asked, [steering::Route::Alternate]);
    }
}
