//! Runs the autorate controller inside a program of one's own, against a simulated link.
//!
//! The program has the clock, the measurement and the shaper; the controller only decides, and the
//! runner records. A minute of the link takes a few milliseconds here.
//!
//!     cargo run --example embed_controller

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::path::Path;

use anyhow::{Context, anyhow};
use wanctl::autorate::{Observation, Probe};
use wanctl::runner::AutorateRunner;
use wanctl::sink::Timestamp;
use wanctl_sink_memory::MemorySink;

const CONFIG: &str = "
wan_name: example
continuous_monitoring:
  law: classic
  download: { floor_mbps: 4, ceiling_mbps: 20 }
  upload: { floor_mbps: 1, ceiling_mbps: 5 }
  reflectors: [127.0.0.1]
shaper: { type: dry_run }
sinks: {}
";

fn main() -> anyhow::Result<()> {
    let config = wanctl::config::parse(CONFIG, Path::new("example.yaml"))
        .map_err(|issues| anyhow!("{issues:?}"))?;
    let policy = config.autorate.context("no autorate controller")?.policy;
    let memory = MemorySink::default();
    let mut runner = AutorateRunner::new("example", policy, Box::new(memory.clone()))?;

    let mut link = Link { capacity_mbps: 20.0, queue_ms: 0.0 };
    for cycle in 0..1200_u32 {
        // The line's capacity halves for twenty seconds.
        link.capacity_mbps = if (400..800).contains(&cycle) { 10.0 } else { 20.0 };
        let observation = Observation { probe: Probe::Icmp(link.rtt_ms()), elapsed_seconds: 0.05 };
        let nanos = u64::from(cycle) * 50_000_000;
        let at = Timestamp { unix_nanos: nanos as i64, mono_nanos: nanos };
        runner.step(at, &observation, |decision| link.send(decision.download.rate.mbps()));
    }

    let records = memory.records();
    for transition in
        records.iter().filter(|r| r.labels.as_deref().is_some_and(|l| l.contains("reason")))
    {
        let second = transition.at.mono_nanos as f64 / 1e9;
        println!("{second:>6.2} s  {}", transition.labels.as_deref().unwrap_or_default());
    }
    println!("{} rows recorded", records.len());
    Ok(())
}

/// A bottleneck with a deep queue, and somebody who always sends as fast as the shaper allows.
struct Link {
    capacity_mbps: f64,
    queue_ms: f64,
}

impl Link {
    fn rtt_ms(&self) -> f64 {
        20.0 + self.queue_ms
    }

    /// Fifty milliseconds at this rate.
    fn send(&mut self, mbps: f64) {
        let filled = 50.0 * (mbps / self.capacity_mbps - 1.0);
        self.queue_ms = (self.queue_ms + filled).clamp(0.0, 300.0);
    }
}
