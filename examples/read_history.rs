//! Reads a history file and sums up each metric.
//!
//!     cargo run --example read_history -- wanctl.db

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use wanctl_sink_sqlite::{History, Query, summary};

fn main() -> anyhow::Result<()> {
    let path = std::env::args_os().nth(1).map_or(PathBuf::from("wanctl.db"), PathBuf::from);
    let history = History::open(&path)?;
    let everything = Query { from: 0, to: i64::MAX, metrics: Vec::new(), wan: None, limit: None };
    let mut values: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for row in history.query(&everything)? {
        values
            .entry(format!("{} {} {}", row.wan_name, row.source, row.metric_name))
            .or_default()
            .push(row.value);
    }
    println!("{:<50} {:>8} {:>10} {:>10} {:>10}", "series", "rows", "min", "mean", "p95");
    for (series, values) in values {
        if let Some(s) = summary(&values) {
            println!(
                "{series:<50} {:>8} {:>10.2} {:>10.2} {:>10.2}",
                values.len(),
                s.min,
                s.avg,
                s.p95
            );
        }
    }
    Ok(())
}
