//! What a change of route leaves in a real database.

use std::time::Duration;

use serde_json::{Value, json};
use wanctl::runner::{RouteOutcome, SteeringRunner};
use wanctl::sink::{Pipeline, PipelineOptions, Registry, SinkSpec, Timestamp};
use wanctl::steering::Observation;

const START: i64 = 1_769_299_200;

/// A steering controller that goes by RTT alone.
const STEERING: &str = "
topology: { primary_wan: cable, alternate_wan: lte }
measurement: { reflectors: [192.0.2.1] }
sinks: {}
";

#[test]
fn a_change_of_route_and_its_way_back_are_rows_with_reason_and_both_states() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("steering.db");
    let sinks = format!("h: {{ type: sqlite, settings: {{ path: '{}' }} }}", path.display());
    let specs = SinkSpec::parse_yaml(&sinks, &Registry::linked().unwrap()).unwrap();
    let pipeline = Pipeline::start(specs, PipelineOptions::default()).unwrap();
    let config = wanctl::config::parse(STEERING, "steering.yaml".as_ref()).unwrap();
    let policy = config.steering().unwrap().policy.clone();
    let mut runner = SteeringRunner::new(policy, pipeline.sink()).unwrap();

    let mut changes = Vec::new();
    for step in 0..60_u32 {
        let second = f64::from(step) * 0.5;
        let observation = Observation {
            rtt_ms: Some(if (5.0..15.0).contains(&second) { 95.0 } else { 23.0 }),
            baseline_ms: Some(23.0),
            cake: None,
            elapsed_seconds: 0.5,
            mono_seconds: second,
        };
        let nanos = (second * 1e9) as u64;
        let at = Timestamp { unix_nanos: START * 1_000_000_000 + nanos as i64, mono_nanos: nanos };
        let (_, change) = runner.step(at, &observation, |_| RouteOutcome::Changed);
        changes.extend(change.map(|_| at.unix_nanos / 1_000_000_000));
    }
    pipeline.shutdown(Duration::from_secs(10));

    let database = rusqlite::Connection::open(&path).unwrap();
    let mut query = database
        .prepare(
            "SELECT timestamp, wan_name, value, labels FROM metrics
             WHERE metric_name = 'wanctl_steering_enabled' AND labels IS NOT NULL ORDER BY timestamp",
        )
        .unwrap();
    let rows: Vec<(i64, String, f64, Value)> = query
        .query_map([], |row| {
            let labels: String = row.get(3)?;
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, serde_json::from_str(&labels).unwrap()))
        })
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let times: Vec<i64> = rows.iter().map(|row| row.0).collect();
    assert_eq!(times, changes, "a row at the second of each change");
    let [there, back] = rows.as_slice() else { panic!("{rows:?}") };
    for ((_, wan, value, labels), enabled, from, to) in
        [(there, 1.0, "CABLE_GOOD", "CABLE_DEGRADED"), (back, 0.0, "CABLE_DEGRADED", "CABLE_GOOD")]
    {
        assert_eq!((wan.as_str(), *value), ("cable", enabled));
        assert_eq!(labels["reason"], json!(format!("Transitioned from {from} to {to}")));
        assert_eq!((&labels["from_state"], &labels["to_state"]), (&json!(from), &json!(to)));
    }
}
