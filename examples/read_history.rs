//! Reads a history file and sums up each metric.
//!
//!     cargo run --example read_history -- wanctl.db

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::path::PathBuf;

use wanctl_sink_sqlite::{History, Query, SeriesSummary, Statistics};

fn main() -> anyhow::Result<()> {
    let path = std::env::args_os().nth(1).map_or(PathBuf::from("wanctl.db"), PathBuf::from);
    let history = History::open(&path)?;
    println!("{:<50} {:>8} {:>10} {:>10} {:>10}", "series", "rows", "min", "mean", "p95");
    for SeriesSummary { series, samples, statistics } in history.summary(&Query::default())? {
        let name = format!("{} {} {}", series.wan_name, series.source, series.metric_name);
        match statistics {
            Statistics::Numbers(s) => {
                println!("{name:<50} {samples:>8} {:>10.2} {:>10.2} {:>10.2}", s.min, s.avg, s.p95);
            }
            Statistics::States(states) => {
                let states =
                    states.iter().map(|s| format!("{}: {:.1} %", s.value, 100.0 * s.share));
                println!("{name:<50} {samples:>8} {}", states.collect::<Vec<_>>().join(", "));
            }
        }
    }
    Ok(())
}
