//! What a cycle costs the control thread's allocator: one frame, whatever the number of sinks.

use std::path::Path;
use std::time::Duration;

use wanctl::autorate::{self, Probe};
use wanctl::runner::{AutorateRunner, RouteOutcome, SteeringRunner};
use wanctl::sink::{Pipeline, PipelineOptions, Registry, SinkSpec, Timestamp};
use wanctl::steering;

fn pipeline(folder: &Path) -> Pipeline {
    let sinks = format!(
        "a: {{ type: 'null' }}\nb: {{ type: memory }}\nc: {{ type: file, settings: {{ path: '{0}/c.jsonl' }} }}\n\
         d: {{ type: sqlite, settings: {{ path: '{0}/d.db' }} }}",
        folder.display()
    );
    let specs = SinkSpec::parse_yaml(&sinks, &Registry::linked().unwrap()).unwrap();
    Pipeline::start(specs, PipelineOptions::default()).unwrap()
}

fn config() -> wanctl::config::FileConfig {
    wanctl::config::parse(include_str!("../config/quickstart.yaml"), Path::new("quickstart.yaml"))
        .unwrap()
}

fn at(cycle: u64) -> Timestamp {
    let mono_nanos = cycle * 50_000_000;
    Timestamp { unix_nanos: mono_nanos as i64, mono_nanos }
}

/// The allocations of a thousand cycles, after a few to warm up.
fn of_a_thousand(mut cycle: impl FnMut(u64)) -> u64 {
    (0..100).for_each(&mut cycle);
    allocation_counter::measure(|| (100..1100).for_each(&mut cycle)).count_total
}

#[test]
fn a_cycle_of_autorate_into_four_sinks_allocates_one_frame() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = pipeline(folder.path());
    let policy = config().autorate.unwrap().policy;
    let mut runner = AutorateRunner::new("wan1", policy, pipeline.sink()).unwrap();
    let count = of_a_thousand(|n| {
        let observation = autorate::Observation { probe: Probe::Icmp(23.0), elapsed_seconds: 0.05 };
        runner.step(at(n), &observation, |_| {});
    });
    assert_eq!(count, 1000);
    pipeline.shutdown(Duration::from_secs(10));
}

#[test]
fn a_cycle_of_steering_into_four_sinks_allocates_one_frame() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = pipeline(folder.path());
    let policy = config().steering().unwrap().policy.clone();
    let mut runner = SteeringRunner::new(policy, pipeline.sink()).unwrap();
    let count = of_a_thousand(|n| {
        let observation = steering::Observation {
            rtt_ms: Some(23.0),
            baseline_ms: Some(22.0),
            cake: None,
            elapsed_seconds: 0.5,
            mono_seconds: n as f64 / 2.0,
        };
        runner.step(at(n), &observation, |_| RouteOutcome::Changed);
    });
    assert_eq!(count, 1000);
    pipeline.shutdown(Duration::from_secs(10));
}
