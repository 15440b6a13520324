//! `wanctl history import`: a database of the original into ours.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::anyhow;
use serde_json::json;
use wanctl_sink_sqlite::{Granularity, Import, ImportError, ImportReport, Retention};

use super::file::Location;
use super::interrupt::Interrupt;
use super::meter::Meter;
use super::{remark, time};
use crate::cli::write_json;
use crate::daemon::Clock;
use crate::sink::format_duration;

/// The original writes a second's rows within it; so long after, none comes any more.
const SETTLED: i64 = 2;

/// Arguments of `wanctl history import`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The original's file is only read, even while the original is running. An import that was
stopped goes on where it was when it is started again; after a complete one, only newer rows
are read.

Examples:
  wanctl history import /var/lib/wanctl/old.db --db wanctl.db --dry-run
  wanctl history import /var/lib/wanctl/old.db --config /etc/wanctl/cable.yaml")]
pub(super) struct Arguments {
    /// The database of the original
    #[arg(value_name = "OLD.db")]
    from: PathBuf,
    #[command(flatten)]
    to: Location,
    /// Only say what would be imported
    #[arg(long)]
    dry_run: bool,
    /// The report as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let now = Clock::start().stamp().unix_seconds();
    let import = Import {
        from: arguments.from.clone(),
        to: arguments.to.path()?,
        until: now.saturating_sub(SETTLED - 1),
        dry_run: arguments.dry_run,
    };
    let interrupt = Interrupt::watch()?;
    warn(&import, now)?;
    let mut meter = Meter::start();
    let report = import.run(|report| {
        meter.show(report.read, Some(report.expected));
        !interrupt.came()
    });
    let elapsed = meter.elapsed();
    drop(meter);
    let report = report.map_err(|error| explain(error, &import.from))?;
    if arguments.json {
        write_json(out, &as_json(&report, &import, elapsed))?;
    } else {
        write_report(&report, &import, elapsed, out)?;
    }
    if report.complete {
        return Ok(ExitCode::SUCCESS);
    }
    remark("stopped; the same command goes on where it was");
    Ok(Interrupt::exit_code())
}

/// Says which rows won't stay as they are by the default retention. What a configuration has instead only the
/// sink that is made of it knows.
fn warn(import: &Import, now: i64) -> anyhow::Result<()> {
    let keep = Retention::default();
    for (granularity, oldest) in import.oldest().map_err(|error| explain(error, &import.from))? {
        let (kept, becomes) = match granularity {
            Granularity::Raw => (keep.raw, "are rolled up and then removed"),
            Granularity::Minute => (keep.minute, "are removed"),
            Granularity::FiveMinutes => (keep.five_minutes, "are removed"),
            Granularity::Hour => (keep.hour, "are removed"),
        };
        let kept_seconds = i64::try_from(kept.as_secs()).unwrap_or(i64::MAX);
        let end = now.saturating_sub(kept_seconds);
        if oldest < end {
            remark(&format!(
                "{granularity} rows before {} {becomes} by the next maintenance, unless the \
                 configuration says otherwise (the sink's retention.{granularity}, {} by default)",
                time::to_seconds(end),
                format_duration(kept)
            ));
        }
    }
    Ok(())
}

/// An import's error without its sources, which are part of its text.
fn explain(error: ImportError, from: &Path) -> anyhow::Error {
    if !error.is_damage() {
        return anyhow!("{error}");
    }
    let from = from.display();
    anyhow!(
        "{error}\nWhat was read before the damage is imported. To save what is left:\n  \
         sqlite3 {from} .recover | sqlite3 {from}.recovered\n  \
         wanctl history import {from}.recovered ..."
    )
}

fn as_json(report: &ImportReport, import: &Import, elapsed: Duration) -> serde_json::Value {
    json!({
        "from": import.from,
        "to": import.to,
        "dry_run": import.dry_run,
        "complete": report.complete,
        "seconds": elapsed.as_secs_f64(),
        "read_before": report.before,
        "read": report.read,
        "imported": {
            "raw": report.raw,
            "1m": report.minutes,
            "5m": report.five_minutes,
            "1h": report.hours,
            "events": report.events,
        },
        "already": report.already,
        "duplicates": report.duplicates,
        "skipped": report.skipped,
        "left": report.left,
    })
}

fn write_report(
    report: &ImportReport,
    import: &Import,
    elapsed: Duration,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let (from, to) = (import.from.display(), import.to.display());
    let done = if import.dry_run { "Would import" } else { "Imported" };
    writeln!(out, "{done} {} rows of {from} into {to}.", report.imported())?;
    let seconds = elapsed.as_secs_f64();
    writeln!(out, "{:>12}  read in {seconds:.1} s", report.read)?;
    let kinds = [
        (report.raw, "raw samples"),
        (report.minutes, "intervals of a minute"),
        (report.five_minutes, "intervals of five minutes"),
        (report.hours, "intervals of an hour"),
        (report.events, "transitions and snapshots"),
        (report.already, "there already"),
        (report.duplicates, "duplicates: a second row for an interval"),
        (report.before, "read by earlier imports, not read again"),
        (report.left, "too new, may still be written: left for the next import"),
    ];
    for (rows, what) in kinds.into_iter().filter(|(rows, _)| *rows > 0) {
        writeln!(out, "{rows:>12}  {what}")?;
    }
    for (reason, rows) in &report.skipped {
        writeln!(out, "{rows:>12}  skipped: {reason}")?;
    }
    Ok(())
}
