//! What a cycle costs the control thread's allocator: one frame, whatever the number of sinks; and what sums
//! of history hold in memory.

use std::path::Path;
use std::time::Duration;

use wanctl::autorate::{self, Probe};
use wanctl::runner::{AutorateRunner, RouteOutcome, SteeringRunner};
use wanctl::sink::{Pipeline, PipelineOptions, Registry, SinkSpec, Timestamp};
use wanctl::steering;
use wanctl_sink_sqlite::{History, Query, Tiers};

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

#[test]
fn sums_of_history_hold_the_values_of_one_series_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = pipeline(folder.path());
    let policy = config().autorate.unwrap().policy;
    let mut runner = AutorateRunner::new("wan1", policy, pipeline.sink()).unwrap();
    let observation = autorate::Observation { probe: Probe::Icmp(23.0), elapsed_seconds: 0.05 };
    (1..3).for_each(|n| {
        let _ = runner.step(at(n), &observation, |_| {});
    });
    pipeline.shutdown(Duration::from_secs(10));
    let path = folder.path().join("d.db");
    let rows = "WITH RECURSIVE seconds(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seconds WHERE n < 50000)
                INSERT INTO frames SELECT (SELECT bundle_id FROM series WHERE metric_name = 'wanctl_rtt_ms'),
                    n, 0, n, n, n, n, n, n, n, n FROM seconds";
    rusqlite::Connection::open(&path).unwrap().execute(rows, []).unwrap();
    let history = History::open(&path).unwrap();
    let peak = |names: &[&str]| {
        let metrics = names.iter().map(|name| format!("wanctl_{name}")).collect();
        let query = Query { metrics, tiers: Tiers::Finest, ..Query::default() };
        let mut samples = 0;
        let measured = allocation_counter::measure(|| {
            samples = history.summary(&query).unwrap().iter().map(|one| one.samples).sum();
        });
        assert!(samples >= 50_000 * names.len() as u64, "{samples} of {names:?}");
        measured.bytes_max
    };
    let one = peak(&["rtt_ms"]);
    let four = peak(&["rtt_ms", "rtt_baseline_ms", "rate_download_mbps", "rate_upload_mbps"]);
    assert!(four < one + one / 2, "{four} bytes at most for four series, {one} for one");
}
