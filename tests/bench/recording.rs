//! What recording costs the control thread, while the database is locked and unlocked at random.
//!
//! Both controllers step at once, each on its own thread, 100 000 cycles; a second process takes and
//! releases the write lock of their database. Beside them, in the same run: the same steps with no sink
//! at all, and one synchronous insert per cycle, as the original recorded.
//!
//!     cargo bench --bench recording                      2 000 cycles a second, about a minute
//!     cargo bench --bench recording -- --hz 200          as the daemon at its fastest, 10 minutes
//!     cargo bench --bench recording -- --hz 0            back to back
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

mod insert;
mod locker;
mod report;

use std::convert;
use std::path::Path;
use std::thread;
use std::time::Duration;

use wanctl::autorate::{self, Probe};
use wanctl::runner::{AutorateRunner, RouteOutcome, SteeringRunner};
use wanctl::sink::{Fanout, MetricsSink, Pipeline, PipelineOptions, Registry, SinkSpec, Timestamp};
use wanctl::steering;

use insert::SynchronousInsert;
use locker::Locker;
use report::{Costs, header, option, paced, verdict};

/// What the original promised of recording, and kept on average only.
const LIMIT: Duration = Duration::from_millis(5);

const CONFIG: &str = include_str!("../../config/quickstart.yaml");

fn main() {
    if locker::serve() {
        return;
    }
    let cycles = option("--cycles", 100_000.0) as u32;
    let hz = option("--hz", 2_000.0);

    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("bench.db");
    let locker = Locker::start(&database);
    let pipeline = pipeline(&database, hz);
    println!(
        "{cycles} cycles, {} a second, database locked and unlocked at random",
        if hz > 0.0 { hz.to_string() } else { "as many as possible".into() }
    );
    header("cost of a cycle, µs");
    thread::scope(|scope| {
        let autorate = scope.spawn(|| autorate_cycles(pipeline.sink(), cycles, hz));
        let steering = scope.spawn(|| steering_cycles(pipeline.sink(), cycles, hz));
        let (autorate, steering) = (autorate.join().unwrap(), steering.join().unwrap());
        autorate.print("autorate, sqlite sink");
        steering.print("steering, sqlite sink");
        let what = format!("below {LIMIT:?} in the worst of all cycles");
        verdict(&what, autorate.max().max(steering.max()) < LIMIT);
    });
    let locks = locker.stop();
    for stats in pipeline.shutdown(Duration::from_secs(60)) {
        assert!(stats.is_balanced(), "{stats:?}");
        println!(
            "  {} of {} rows delivered, {} evicted, {} failed tries",
            stats.delivered, stats.offered, stats.evicted, stats.failures
        );
    }
    println!("  the lock was taken {locks} times");
    let control = cycles.min(20_000);
    println!("control: {control} cycles");
    thread::scope(|scope| {
        let none = || Box::new(Fanout::default());
        let autorate = scope.spawn(move || autorate_cycles(none(), control, hz));
        let steering = scope.spawn(move || steering_cycles(none(), control, hz));
        autorate.join().unwrap().print("autorate, no sink");
        steering.join().unwrap().print("steering, no sink");
    });
    let original = SynchronousInsert::open(&folder.path().join("sync.db"));
    let insert = |cycle| original.insert(cycle);
    paced(cycles.min(5_000), 0.0, 0.0, convert::identity, insert)
        .print("8 synchronous inserts, unlocked");
}

fn pipeline(database: &Path, hz: f64) -> Pipeline {
    let sinks =
        format!("history: {{ type: sqlite, settings: {{ path: '{}' }} }}", database.display());
    let specs = SinkSpec::parse_yaml(&sinks, &Registry::linked().unwrap()).unwrap();
    let frames_per_second = if hz > 0.0 { 2.0 * hz } else { 10_000.0 };
    Pipeline::start(specs, PipelineOptions { frames_per_second, ..Default::default() }).unwrap()
}

/// A signal that goes through all zones: a slow wave with noise.
fn rtt(cycle: u32) -> f64 {
    let noise = f64::from(cycle.wrapping_mul(2_654_435_761) >> 20) / 1_000.0;
    23.0 + 45.0 * (f64::from(cycle) / 300.0).sin().max(0.0) + noise
}

/// The time a cycle stands for. Cycles that make up for a delay come faster than a clock counts.
fn stamp(cycle: u32) -> Timestamp {
    let mono_nanos = u64::from(cycle) * 50_000_000;
    Timestamp { unix_nanos: 1_769_300_000_000_000_000 + mono_nanos as i64, mono_nanos }
}

fn autorate_cycles(sink: Box<dyn MetricsSink>, cycles: u32, hz: f64) -> Costs {
    let config = wanctl::config::parse(CONFIG, Path::new("quickstart.yaml")).unwrap();
    let policy = config.autorate.unwrap().policy;
    let mut runner = AutorateRunner::new("wan1", policy, sink).unwrap();
    paced(cycles, hz, 0.0, convert::identity, |i| {
        let observation =
            autorate::Observation { probe: Probe::Icmp(rtt(i)), elapsed_seconds: 0.05 };
        runner.step(stamp(i), &observation, |_| {});
    })
}

fn steering_cycles(sink: Box<dyn MetricsSink>, cycles: u32, hz: f64) -> Costs {
    let config = wanctl::config::parse(CONFIG, Path::new("quickstart.yaml")).unwrap();
    let policy = config.steering().unwrap().policy.clone();
    let mut runner = SteeringRunner::new(policy, sink).unwrap();
    paced(cycles, hz, 0.0, convert::identity, |i| {
        let at = stamp(i);
        let observation = steering::Observation {
            rtt_ms: Some(rtt(i)),
            baseline_ms: Some(23.0),
            cake: None,
            elapsed_seconds: 0.05,
            mono_seconds: at.mono_nanos as f64 / 1e9,
        };
        runner.step(at, &observation, |_| RouteOutcome::Changed);
    })
}
