//! Drives the steering controller with a trace of round-trip times and keeps the history in SQLite.
//!
//! The primary WAN is congested for five seconds; traffic moves to the other WAN and comes back. Give a
//! path to keep the file and look at it with `wanctl history` or `sqlite3`.
//!
//!     cargo run --example steering_trace -- steering.db
//!     sqlite3 steering.db "SELECT labels FROM metrics WHERE metric_name = 'wanctl_steering_enabled' AND labels IS NOT NULL"

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use wanctl::runner::{RouteOutcome, SteeringRunner};
use wanctl::sink::{Issue, Pipeline, PipelineOptions, Registry, SinkSpec, Timestamp};
use wanctl::steering::Observation;
use wanctl_sink_sqlite::{History, Query};

/// 2026-01-25 00:00 UTC.
const START: i64 = 1_769_299_200;

fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = std::env::args_os().nth(1).map_or(folder.path().join("steering.db"), PathBuf::from);
    let sinks = format!("history: {{ type: sqlite, settings: {{ path: '{}' }} }}", path.display());
    let registry = Registry::linked().map_err(say)?;
    let specs = SinkSpec::parse_yaml(&sinks, &registry).map_err(say)?;
    let pipeline = Pipeline::start(specs, PipelineOptions::default()).map_err(say)?;

    let config =
        wanctl::config::parse(include_str!("../config/quickstart.yaml"), "quickstart".as_ref());
    let policy = config.map_err(say)?.steering().context("no steering controller")?.policy.clone();
    let mut runner = SteeringRunner::new(policy, pipeline.sink())?;
    for step in 0..60_u32 {
        let second = f64::from(step) * 0.5;
        let congested = (5.0..15.0).contains(&second);
        let observation = Observation {
            rtt_ms: Some(if congested { 95.0 } else { 23.0 } + f64::from(step % 7) / 10.0),
            baseline_ms: Some(23.0),
            cake: None,
            elapsed_seconds: 0.5,
            mono_seconds: second,
        };
        let nanos = (second * 1e9) as u64;
        let at = Timestamp { unix_nanos: START * 1_000_000_000 + nanos as i64, mono_nanos: nanos };
        let (_, transition) = runner.step(at, &observation, |change| {
            println!("{second:>5.1} s  asked for {:?}", change.to);
            // A router would be told here.
            RouteOutcome::Changed
        });
        if let Some(transition) = transition {
            println!("{second:>5.1} s  {:?} -> {:?}", transition.from, transition.to);
        }
    }
    pipeline.shutdown(Duration::from_secs(3));

    let query = Query {
        from: START,
        to: START + 60,
        metrics: vec!["wanctl_steering_enabled".into()],
        ..Query::default()
    };
    let rows = History::open(&path)?.query(&query)?;
    let changes: Vec<_> = rows.iter().rev().filter(|row| row.series.labels.is_some()).collect();
    for row in &changes {
        let labels = row.series.labels.as_deref().unwrap_or_default();
        println!("{} {} {labels}", row.series.metric_name, row.value);
        for label in ["reason", "from_state", "to_state"] {
            ensure!(labels.contains(&format!("\"{label}\":")), "no {label} in {labels}");
        }
    }
    ensure!(changes.len() == 2, "{} changes of route, not there and back", changes.len());
    Ok(())
}

fn say(issues: Vec<Issue>) -> anyhow::Error {
    anyhow!("{}", issues.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}
