//! The same link, recorded to a database that works and to one that is locked: the same decisions, and
//! nothing is lost.
#![expect(clippy::disallowed_methods, reason = "lateness is measured")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_queue::ArrayQueue;
use wanctl::autorate::{Controller, Decision, Observation, Policy, Probe, Zone};
use wanctl::daemon::cycle::{self, Beat};
use wanctl::daemon::{Clock, Schedule, Status};
use wanctl::runner::AutorateRunner;
use wanctl::sink::{Pipeline, PipelineOptions, Registry, SinkSpec, SinkStats};
use wanctl::units::quantise_ms;

use super::locker::Locker;
use super::rows;
use super::support::BOTH;

const INTERVAL: Duration = Duration::from_millis(50);
const CYCLES: u64 = 240;
/// The lock is released after this cycle, 10 s from the start.
const LOCKED_CYCLES: usize = 200;

/// The recorded trace: what the probes brought in each cycle. A slow wave with noise goes through all
/// zones; a few cycles have no sample, or none by ICMP.
fn trace(cycle: u64) -> Probe {
    let noise = (cycle.wrapping_mul(2_654_435_761) % 4_096) as f64 / 1_000.0;
    let rtt = quantise_ms(23.0 + 110.0 * (cycle as f64 / 20.0).sin().max(0.0) + noise);
    match cycle % 31 {
        7 => Probe::Pending,
        19 => Probe::Lost,
        23 => Probe::Tcp(rtt),
        _ => Probe::Icmp(rtt),
    }
}

fn policy() -> Policy {
    wanctl::config::parse(BOTH, Path::new("wan.yaml")).unwrap().autorate.unwrap().policy
}

/// What one run did.
struct Run {
    decisions: Vec<Decision>,
    /// How many ticks were skipped before each cycle.
    skipped: Vec<u64>,
    lateness: Vec<Duration>,
    stats: SinkStats,
    database: PathBuf,
}

/// Drives the trace through the control loop of the daemon, recording to `database`.
fn drive(database: PathBuf, lock: bool) -> Run {
    let sinks =
        format!("history: {{ type: sqlite, settings: {{ path: '{}' }} }}", database.display());
    let specs = SinkSpec::parse_yaml(&sinks, &Registry::linked().unwrap()).unwrap();
    let pipeline =
        Pipeline::start(specs, PipelineOptions { frames_per_second: 20.0, ..Default::default() })
            .unwrap();
    assert!(database.exists(), "the sink is open when the pipeline has started");
    let mut locker = lock.then(|| Locker::start(&database));

    let clock = Clock::start();
    let origin = clock.now();
    let status = Arc::new(Status::default());
    let beat = Beat {
        wan: "loop".into(),
        schedule: Schedule::new(origin, INTERVAL, Some(INTERVAL * CYCLES as u32)),
        interval: INTERVAL,
        clock,
        stop: Arc::default(),
        status: Arc::clone(&status),
        journal: Arc::new(ArrayQueue::new(16)),
    };
    let mut runner = AutorateRunner::new("loop", policy(), pipeline.sink()).unwrap();
    let mut begun: Vec<(u64, Instant)> = Vec::new();
    let mut decisions = Vec::new();
    let skipped = || status.skipped.load(Ordering::Relaxed);
    cycle::autorate(
        beat,
        &mut runner,
        None,
        || {
            begun.push((skipped(), Instant::now()));
            trace(begun.len() as u64 - 1)
        },
        |decision| {
            decisions.push(decision.clone());
            if let Some(locker) = locker.as_mut().filter(|_| decisions.len() == LOCKED_CYCLES) {
                locker.release();
            }
        },
    );
    if let Some(locker) = locker {
        locker.finish();
    }
    let stats = pipeline.shutdown(Duration::from_secs(30)).remove(0);

    // A cycle's own skipped ticks are counted at its end, so the next one sees them.
    let counts: Vec<u64> =
        begun.iter().map(|(count, _)| *count).skip(1).chain([skipped()]).collect();
    let due = |(cycle, count): (u64, &u64)| origin + INTERVAL * (cycle + 1 + count) as u32;
    let lateness =
        (0..).zip(&counts).map(due).zip(&begun).map(|(due, (_, at))| *at - due).collect();
    let skipped = begun.iter().zip(&counts).map(|((before, _), after)| after - before).collect();
    Run { decisions, skipped, lateness, stats, database }
}

/// What the controller decides on the trace when nothing is recorded at all.
fn decided_without_recording(skipped: &[u64]) -> Vec<Decision> {
    let mut controller = Controller::new(policy());
    let mut step = |(cycle, skipped): (u64, &u64)| {
        let elapsed_seconds = INTERVAL.as_secs_f64() * (skipped + 1) as f64;
        controller.step(&Observation { probe: trace(cycle), elapsed_seconds })
    };
    (0..).zip(skipped).map(&mut step).collect()
}

#[test]
fn a_locked_database_changes_no_decision_and_loses_no_sample() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (free, locked) = thread::scope(|scope| {
        let free = scope.spawn(|| drive(path("free.db"), false));
        let locked = scope.spawn(|| drive(path("locked.db"), true));
        (free.join().unwrap(), locked.join().unwrap())
    });

    assert!(locked.stats.failures > 0, "the lock was felt: {:?}", locked.stats);
    for zone in [Zone::Green, Zone::Yellow, Zone::SoftRed, Zone::Red] {
        assert!(free.decisions.iter().any(|decision| decision.download.zone == zone), "{zone:?}");
    }
    for run in [&free, &locked] {
        // A machine that is too busy skips ticks, and elapsed time is an input of the controller.
        assert!(run.decisions == decided_without_recording(&run.skipped), "a decision differs");
        check_recorded(run);
    }
    if free.skipped == locked.skipped {
        assert!(free.decisions == locked.decisions, "a decision differs");
    }
    for (name, run) in [("free", free), ("locked", locked)] {
        let mut lateness = run.lateness;
        lateness.sort_unstable();
        let p999 = lateness[((lateness.len() - 1) * 999).div_ceil(1_000)];
        crate::visible::say(&format!(
            "{name}: {} cycles, p99.9 of their lateness {p999:?}",
            lateness.len()
        ));
    }
}

/// Checks that every sample of every cycle is in the database, in order and as it was decided.
fn check_recorded(run: &Run) {
    let stats = &run.stats;
    assert!(stats.is_balanced(), "{stats:?}");
    assert_eq!(stats.delivered, stats.offered, "{stats:?}");
    let rows = rows::read(&run.database);
    assert_eq!(rows.len() as u64, stats.offered);
    assert_eq!(rows::check_cycles(&rows, "autorate"), run.decisions.len() as u64);
    let recorded = |metric| rows::values(&rows, "autorate", metric);
    let decided = |value: fn(&Decision) -> Option<f64>| -> Vec<f64> {
        run.decisions.iter().filter_map(value).collect()
    };
    assert_eq!(recorded("wanctl_rtt_ms"), decided(|d| d.rtt_ms));
    assert_eq!(recorded("wanctl_rtt_baseline_ms"), decided(|d| d.baseline_ms.map(quantise_ms)));
    assert_eq!(recorded("wanctl_rtt_delta_ms"), decided(|d| d.delta_ms().map(quantise_ms)));
    assert_eq!(recorded("wanctl_rate_download_mbps"), decided(|d| Some(d.download.rate.mbps())));
    assert_eq!(recorded("wanctl_rate_upload_mbps"), decided(|d| Some(d.upload.rate.mbps())));
    let changes = run.decisions.iter().flat_map(Decision::directions);
    let changes = changes.filter(|direction| direction.transition.is_some()).count();
    let states = recorded("wanctl_state").len();
    assert_eq!(states, 2 * run.decisions.len() + changes, "both zones a cycle, and every change");
}
