//! `wanctl history stats`: what a file holds, and what it costs.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use nix::sys::statvfs::statvfs;
use serde_json::{Value, json};
use wanctl_sink_sqlite::{History, Stats, Tier, TierStats};

use super::file::Location;
use super::names::number;
use super::summary::lasting;
use super::{damage, newest, refused, time};
use crate::cli::write_json;
use crate::daemon::Clock;

/// Arguments of `wanctl history stats`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
What is still in the queue of a running daemon is in `wanctl status`.")]
pub(super) struct Arguments {
    #[command(flatten)]
    file: Location,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let path = arguments.file.path()?;
    let history = History::open(&path).map_err(refused)?;
    let stats = history.stats().map_err(refused)?;
    let now = Clock::start().stamp().unix_seconds();
    let age = Age {
        now,
        newest: newest::second(&history, now).map_err(refused)?,
        future_rows: newest::in_future(&history, now).map_err(refused)?,
    };
    if arguments.json {
        write_json(out, &as_value(&stats, &path, &age))?;
    } else {
        describe(&stats, &path, &age, out)?;
    }
    damage::remark_on(&history);
    Ok(ExitCode::SUCCESS)
}

/// How new the rows are.
struct Age {
    /// The clock, in Unix seconds.
    now: i64,
    newest: Option<i64>,
    future_rows: u64,
}

impl Age {
    /// The time since a second, in words.
    fn since(&self, second: i64) -> String {
        lasting(self.now.saturating_sub(second).max(0) as f64)
    }
}

fn describe(stats: &Stats, path: &Path, age: &Age, out: &mut dyn Write) -> anyhow::Result<()> {
    writeln!(
        out,
        "{}: {} ({} of it free for new rows), and {} of write-ahead log",
        path.display(),
        bytes(stats.file_bytes),
        bytes(stats.free_bytes),
        bytes(stats.log_bytes)
    )?;
    if let Some(free) = disk_free(path) {
        writeln!(out, "free on the disk: {}", bytes(free))?;
    }
    if let Some(newest) = age.newest {
        writeln!(out, "newest row: {}, {} ago", time::to_seconds(newest), age.since(newest))?;
    }
    if let Some(to) = stats.maintained_to {
        writeln!(out, "maintained up to: {}, {} ago", time::to_seconds(to), age.since(to))?;
    }
    if age.future_rows > 0 {
        writeln!(out, "more than a day in the future: {} rows", age.future_rows)?;
    }
    writeln!(out)?;
    writeln!(
        out,
        "{:<6}  {:>10}  {:>11}  {:>9}  {:>12}  {:<19}  Last",
        "Tier", "Rows", "Samples", "Size", "Bytes/sample", "First"
    )?;
    for tier in &stats.tiers {
        let second = |at: Option<i64>| at.map_or("-".to_owned(), time::to_seconds);
        let cost = tier.bytes_per_sample().map_or("-".to_owned(), |cost| format!("{cost:.2}"));
        writeln!(
            out,
            "{:<6}  {:>10}  {:>11}  {:>9}  {cost:>12}  {:<19}  {}",
            name(tier.tier),
            tier.rows,
            tier.samples,
            bytes(tier.bytes),
            second(tier.first),
            second(tier.last)
        )?;
    }
    if !stats.rates.is_empty() {
        writeln!(out)?;
    }
    for rate in &stats.rates {
        let whose = format!("{} {}", rate.wan_name, rate.source);
        writeln!(out, "{}: {} samples/s", whose.trim_end(), number(rate.samples_per_second))?;
    }
    Ok(())
}

fn as_value(stats: &Stats, path: &Path, age: &Age) -> Value {
    let tier = |tier: &TierStats| {
        json!({
            "tier": name(tier.tier),
            "rows": tier.rows,
            "samples": tier.samples,
            "chunks": tier.chunks,
            "bytes": tier.bytes,
            "bytes_per_sample": tier.bytes_per_sample(),
            "first": tier.first,
            "last": tier.last,
            "age_seconds": tier.last.map(|last| age.now.saturating_sub(last)),
        })
    };
    let rates = stats.rates.iter().map(|rate| {
        json!({
            "wan_name": rate.wan_name,
            "source": rate.source,
            "samples_per_second": rate.samples_per_second,
        })
    });
    json!({
        "path": path.display().to_string(),
        "file_bytes": stats.file_bytes,
        "log_bytes": stats.log_bytes,
        "free_bytes": stats.free_bytes,
        "disk_free_bytes": disk_free(path),
        "newest": age.newest,
        "future_rows": age.future_rows,
        "maintained_to": stats.maintained_to,
        "maintained_age_seconds": stats.maintained_to.map(|to| age.now.saturating_sub(to)),
        "tiers": stats.tiers.iter().map(tier).collect::<Value>(),
        "rates": rates.collect::<Value>(),
    })
}

fn name(tier: Tier) -> &'static str {
    match tier {
        Tier::Hot => "raw",
        Tier::Sealed => "sealed",
        Tier::Rolled(granularity) => granularity.as_str(),
        Tier::Events => "events",
    }
}

/// How much an ordinary user may still write beside the file; `None` where the system does not say.
fn disk_free(path: &Path) -> Option<u64> {
    let system = statvfs(path).ok()?;
    // Their types differ from one system to the next.
    #[allow(clippy::useless_conversion, reason = "on this system they may be the same")]
    let (blocks, size) = (u64::from(system.blocks_available()), u64::from(system.fragment_size()));
    blocks.checked_mul(size)
}

/// A size in decimal units, as disks are sold.
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    let mut size = bytes as f64;
    let mut unit = "B";
    for larger in UNITS {
        if size < 999.5 {
            break;
        }
        size /= 1000.0;
        unit = larger;
    }
    let decimals = usize::from(unit != "B" && size < 99.95);
    format!("{size:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_two_or_three_digits_and_a_unit() {
        for (size, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (99_900, "99.9 kB"),
            (99_960, "100 kB"),
            (999_499, "999 kB"),
            (999_500, "1.0 MB"),
            (120_000_000, "120 MB"),
            (5_000_000_000_000, "5.0 TB"),
        ] {
            assert_eq!(bytes(size), text);
        }
    }
}
