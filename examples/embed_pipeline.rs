//! Records measurements of one's own through the sinks of wanctl: no controller, no daemon.
//!
//!     cargo run --example embed_pipeline

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::anyhow;
use wanctl::sink::{
    Frame, Issue, Kind, Metric, Pipeline, PipelineOptions, Registry, Rollup, Schema, Series,
    SinkSpec, Timestamp, Unit,
};

/// What we measure: declared once, with everything a sink wants to know of it.
static QUEUE: Metric = Metric {
    name: "wanctl_example_queue_packets",
    unit: Unit::Count,
    kind: Kind::Gauge,
    rollup: Rollup::Mean,
    help: "Packets in the example's queue",
    states: &[],
};
wanctl::sink::register_metrics!(&[&QUEUE]);

fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("example.jsonl");
    // The same text as below `sinks:` in a configuration file.
    let sinks = format!("trace: {{ type: file, settings: {{ path: '{}' }} }}", path.display());
    let registry = Registry::linked().map_err(say)?;
    let specs = SinkSpec::parse_yaml(&sinks, &registry).map_err(say)?;
    let pipeline = Pipeline::start(specs, PipelineOptions::default()).map_err(say)?;

    // What a control loop holds. It never blocks and never fails.
    let sink = pipeline.sink();
    let schema = Schema::new(vec![
        Series::new(&QUEUE, "wan1", "example").with_labels(&[("direction", "download")]),
        Series::new(&QUEUE, "wan1", "example").with_labels(&[("direction", "upload")]),
    ])?;
    let start = clocks();
    for cycle in 0..100_u32 {
        let mut frame = Frame::new(now(start), &schema);
        frame.push(0, f64::from(cycle % 10));
        frame.push(1, f64::from(cycle % 3));
        let _ = sink.emit(&Arc::new(frame));
    }

    for stats in pipeline.shutdown(Duration::from_secs(3)) {
        println!("{}: {} of {} rows delivered", stats.name, stats.delivered, stats.offered);
    }
    let text = std::fs::read_to_string(&path)?;
    println!(
        "{} lines, the first: {}",
        text.lines().count(),
        text.lines().next().unwrap_or_default()
    );
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a program's edge reads the clocks")]
fn clocks() -> (Instant, Duration) {
    (Instant::now(), SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn now((start, epoch): (Instant, Duration)) -> Timestamp {
    let elapsed = start.elapsed();
    Timestamp {
        unix_nanos: (epoch + elapsed).as_nanos() as i64,
        mono_nanos: elapsed.as_nanos() as u64,
    }
}

fn say(issues: Vec<Issue>) -> anyhow::Error {
    anyhow!("{}", issues.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}
