//! `wanctl history`: what was recorded, as a table, as rows for programs, as sums and as charts.
//!
//! Which rows are meant is in [`selection`], how they look in the modules after it. Nothing here knows how
//! the file is laid out: everything is asked of [`History`]. Rows come one after the other, so a week of them
//! takes no more memory than a minute; sums hold the values of one series at a time.

mod compact;
mod damage;
mod destination;
mod events;
mod export;
mod file;
mod follow;
mod hints;
mod import;
mod interrupt;
mod meter;
mod names;
mod newest;
mod plot;
mod progress;
mod rows;
mod selection;
mod stats;
mod summary;
mod table;
mod time;
mod verify;

use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::anyhow;
use clap::Subcommand;
use wanctl_sink_sqlite::{History, HistoryError, Query, Rows};

use self::names::Names;
use crate::daemon::Clock;

/// The rows that a table on a terminal has at most, unless more are asked for.
const SCREENFULS: u64 = 1000;

/// The exit code of options that make no sense, as clap has it.
const WRONG_USAGE: u8 = 2;

/// Arguments of `wanctl history`.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Times without an offset are local. Metrics have short names: rtt, baseline, delta, rate (both
directions), download, upload, state, steering, ...

Examples:
  wanctl history --last 5m --db wanctl.db
  wanctl history --from '2026-01-25 20:00' --to '2026-01-25 20:30' --metrics rtt,state
  wanctl history --last 1d --summary               least, greatest, percentiles; time in each state
  wanctl history --last 1h --plot                  a chart here; --plot hour.png as a picture
  wanctl history --last 7d --events                what changed, and why
  wanctl history --follow --metrics rtt            rows as they are recorded
  wanctl history --last 1m --json | jq '.[].value'
  wanctl history --last 1w --tier 5m --csv > week.csv
  wanctl history stats --config /etc/wanctl/cable.yaml"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    task: Option<Task>,
    #[command(flatten)]
    file: file::Location,
    #[command(flatten)]
    selection: selection::Selection,
    #[command(flatten)]
    output: Output,
}

/// What else can be done with history.
#[derive(Debug, Subcommand)]
enum Task {
    /// Read a database of the original into the history.
    Import(import::Arguments),
    /// Write rows to a file for other programs: CSV, JSON lines or Parquet.
    Export(export::Arguments),
    /// What a file holds, and what it costs.
    Stats(stats::Arguments),
    /// Look for damage.
    Verify(verify::Arguments),
    /// Seal and roll up all that is old enough, at once.
    Compact(compact::Arguments),
}

/// How the rows are shown.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Output")]
struct Output {
    /// As a JSON array of rows; with --follow, a JSON object a line
    #[arg(long)]
    json: bool,
    /// As CSV with a line of heads
    #[arg(long, conflicts_with_all = ["json", "summary"])]
    csv: bool,
    /// Statistics of each series instead of rows; with --json as a JSON array
    #[arg(long, conflicts_with_all = ["events", "follow", "limit", "offset", "oldest_first"])]
    summary: bool,
    /// A chart in the terminal, or as a picture in FILE, which ends in .svg or .png
    #[arg(
        long,
        value_name = "FILE",
        num_args = 0..=1,
        value_parser = plot::target,
        conflicts_with_all = [
            "json", "csv", "summary", "events", "follow", "limit", "offset", "oldest_first",
        ]
    )]
    plot: Option<Option<plot::Target>>,
    /// Only transitions and snapshots of the configuration, with their reasons
    #[arg(long)]
    events: bool,
    /// Rows as they are recorded, oldest first, until interrupted; from --last or --from on, if given
    #[arg(long, conflicts_with_all = ["to", "tier", "limit", "offset", "oldest_first"])]
    follow: bool,
    /// More columns in the table: milliseconds, WAN, source, granularity and labels
    #[arg(short, long)]
    verbose: bool,
}

pub(crate) fn run(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    match &arguments.task {
        Some(Task::Import(arguments)) => import::run(arguments, out),
        Some(Task::Export(arguments)) => export::run(arguments, out),
        Some(Task::Stats(arguments)) => stats::run(arguments, out),
        Some(Task::Verify(arguments)) => verify::run(arguments, out),
        Some(Task::Compact(arguments)) => compact::run(arguments, out),
        None => show(arguments, out),
    }
}

fn show(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    if let Some(mistake) = arguments.selection.mistake() {
        remark(mistake);
        return Ok(WRONG_USAGE.into());
    }
    let path = arguments.file.path()?;
    let names = Names::new();
    let now = Clock::start().stamp().unix_seconds();
    let mut query = arguments.selection.query(&names, now);
    if arguments.output.events {
        query.rows = Rows::Events;
    }
    if arguments.output.follow {
        if let Ok(history) = History::open(&path) {
            let mut hints = hints::of_metrics(&history, &names, arguments.selection.metrics())?;
            hints.extend(hints::of_others(&history, &query)?);
            hints.iter().for_each(|hint| remark(hint));
        }
        let past = arguments.selection.has_start();
        return follow::run(&path, query, past, &arguments.output, &names, out);
    }
    let history = History::open(&path).map_err(refused)?;
    // A terminal shows few rows at a time; a file or a program gets every one.
    let out = &mut BufWriter::with_capacity(1 << 16, out);
    let found = write(&history, &path, &query, &arguments.output, &names, out)?;
    out.flush()?;
    damage::remark_on(&history);
    let mut hints = hints::of_metrics(&history, &names, arguments.selection.metrics())?;
    if found {
        hints.extend(hints::of_tier(&history, &query)?);
    } else {
        hints.extend(of_nothing(&history, &query, hints.is_empty())?);
        if arguments.output.is_text() {
            writeln!(out, "No data found for the specified time range.")?;
            hints.drain(..).try_for_each(|hint| writeln!(out, "{hint}"))?;
            out.flush()?;
        }
    }
    // What a program reads stays free of remarks.
    hints.iter().for_each(|hint| remark(hint));
    // Whoever asked for a file and goes on with it must know that there is none.
    let lacks_file = !found && arguments.output.plot.as_ref().is_some_and(Option::is_some);
    Ok(if lacks_file { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

impl Output {
    /// Whether people read it.
    fn is_text(&self) -> bool {
        !(self.json || self.csv)
    }
}

/// Shows what there is, and returns whether there was anything.
fn write(
    history: &History,
    database: &Path,
    query: &Query,
    output: &Output,
    names: &Names,
    out: &mut dyn Write,
) -> anyhow::Result<bool> {
    if let Some(target) = &output.plot {
        return plot::draw(history, database, query, target.as_ref(), names, out);
    }
    if output.summary {
        return summary::write(history, query, output.json, names, out);
    }
    if output.json {
        return rows::json(&mut history.records(query).map_err(refused)?, names, out);
    }
    if output.csv {
        return rows::csv(&mut history.records(query).map_err(refused)?, names, out);
    }
    let limit = match query.limit {
        None if io::stdout().is_terminal() => Some(SCREENFULS),
        limit => limit,
    };
    // One more than shown, to know whether there are more.
    let query = Query { limit: limit.map(|rows| rows.saturating_add(1)), ..query.clone() };
    let mut records = history.records(&query).map_err(refused)?;
    let rows = &mut records.by_ref().take(limit.map_or(usize::MAX, |rows| rows as usize));
    let found = if output.events {
        events::write(rows, history, output.verbose, names, out)?
    } else {
        table::write(rows, output.verbose, names, out)?
    };
    if let (Some(limit), Some(_)) = (limit, records.next()) {
        let which = selection::end_of(query.order);
        let rows = if limit == 1 { "row".to_owned() } else { format!("{limit} rows") };
        writeln!(out, "The {which} {rows}; --limit shows more.")?;
    }
    Ok(found)
}

/// A history's error without its sources, which are part of its text.
fn refused(error: HistoryError) -> anyhow::Error {
    anyhow!("{error}")
}

/// Says something to people that is not part of what was asked for.
fn remark(text: &str) {
    // There is nobody else to tell when standard error is gone.
    let _ = writeln!(io::stderr(), "wanctl: {text}");
}

/// Says why nothing was found; `names_are_known` says whether all metrics are.
fn of_nothing(
    history: &History,
    query: &Query,
    names_are_known: bool,
) -> anyhow::Result<Vec<String>> {
    if query.from > query.to {
        return Ok(vec!["the time begins after now".to_owned()]);
    }
    let mut hints = hints::of_others(history, query)?;
    if names_are_known && hints.is_empty() {
        hints.extend(hints::of_tier(history, query)?);
        let now = Clock::start().stamp().unix_seconds();
        hints.push(last_seen(history, now)?);
    }
    Ok(hints)
}

/// Says up to when there are rows.
fn last_seen(history: &History, now: i64) -> anyhow::Result<String> {
    Ok(match newest::second(history, now).map_err(refused)? {
        Some(second) => format!("the newest row is of {}", time::to_seconds(second)),
        None => "the history has no rows".to_owned(),
    })
}
