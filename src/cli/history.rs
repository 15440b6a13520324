//! `wanctl history`

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow};
use jiff::Zoned;
use jiff::tz::TimeZone;
use serde_json::json;
use wanctl_sink_sqlite::{History, HistoryError, Query, Record};

use super::{invalid, linked, write_json};
use crate::config::{self, DEFAULT_DATABASE};
use crate::daemon::Clock;
use crate::sink::{Resource, catalogue, nearest};
use crate::units;

/// What the names of the program's own metrics start with.
const PREFIX: &str = "wanctl_";

/// Arguments of `wanctl history`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wanctl history --last 5m --db wanctl.db
  wanctl history --last 1h --config /etc/wanctl/cable.yaml --metrics wanctl_rtt_ms,wanctl_state
  wanctl history --last 1m --json | jq '.[].value'")]
pub(crate) struct Arguments {
    /// How far back
    #[arg(long, default_value = "1h", value_name = "TIME", value_parser = units::parse_duration)]
    last: Duration,
    /// Only these metrics, full names with commas between
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    metrics: Vec<String>,
    /// Only this WAN
    #[arg(long, value_name = "NAME")]
    wan: Option<String>,
    // Not a default value of the argument, because `--config` takes its place.
    #[arg(long, value_name = "FILE", conflicts_with = "config", help = format!("The history file [default: {DEFAULT_DATABASE}]"))]
    db: Option<PathBuf>,
    /// Take the history file from this configuration
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The most rows; the newest are shown
    #[arg(long, default_value_t = 1000, value_name = "ROWS")]
    limit: u32,
    /// As a JSON array of rows
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let history = History::open(database(arguments)?).map_err(refused)?;
    let now = Clock::start().stamp().unix_seconds();
    let last = i64::try_from(arguments.last.as_secs()).unwrap_or(i64::MAX);
    let query = Query {
        from: now.saturating_sub(last),
        to: i64::MAX,
        metrics: arguments.metrics.clone(),
        wan: arguments.wan.clone(),
        // One more than shown, to know whether there are more.
        limit: Some(u64::from(arguments.limit) + 1),
        ..Query::default()
    };
    let rows = history.query(&query).map_err(refused)?;
    let more = rows.len() > arguments.limit as usize;
    let rows = &rows[..rows.len().min(arguments.limit as usize)];
    if arguments.json {
        let rows: Vec<_> = rows.iter().map(row_json).collect();
        write_json(out, &json!(rows))?;
    } else if rows.is_empty() {
        writeln!(out, "No data found for the specified time range.")?;
        explain_nothing(&history, &arguments.metrics, out)?;
    } else {
        table(rows, out)?;
        if more {
            writeln!(out, "The newest {} rows; --limit shows more.", arguments.limit)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A history's error without its sources, which are part of its text.
fn refused(error: HistoryError) -> anyhow::Error {
    anyhow!("{error}")
}

/// Says why nothing was found, as far as can be told: the names of the metrics, or else the time.
fn explain_nothing(
    history: &History,
    metrics: &[String],
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let catalogue = catalogue();
    let unknown: Vec<&String> =
        metrics.iter().filter(|name| !catalogue.contains_key(name.as_str())).collect();
    let short = |name: &'static str| name.strip_prefix(PREFIX).unwrap_or(name);
    let short_names: Vec<&str> = catalogue.keys().map(|name| short(name)).collect();
    for name in &unknown {
        write!(out, "no metric is called {name:?}")?;
        // The prefix that most names have would make any two of them look alike.
        let near = nearest(name.strip_prefix(PREFIX).unwrap_or(name), &short_names);
        if let Some(meant) = catalogue.keys().find(|name| Some(short(name)) == near) {
            write!(out, "; did you mean {meant:?}?")?;
        }
        writeln!(out)?;
    }
    if !unknown.is_empty() {
        return Ok(());
    }
    let newest = Query { limit: Some(1), ..Query::default() };
    match history.query(&newest).map_err(refused)?.first() {
        Some(row) => {
            let at = local_time(row, &TimeZone::system())?;
            writeln!(out, "the newest row is of {}", at.strftime("%F %T"))?;
        }
        None => writeln!(out, "the history has no rows")?,
    }
    Ok(())
}

/// The file to read: `--db`, the sqlite sink of `--config`, or the default.
fn database(arguments: &Arguments) -> anyhow::Result<PathBuf> {
    if let Some(path) = &arguments.db {
        return Ok(path.clone());
    }
    let Some(file) = &arguments.config else { return Ok(DEFAULT_DATABASE.into()) };
    let registry = linked()?;
    let config =
        config::load(std::slice::from_ref(file), &registry).map_err(|issues| invalid(&issues))?;
    let sqlite = config.sinks.iter().find(|sink| sink.kind == "sqlite");
    let claims = sqlite.map(|sink| sink.config.claims()).unwrap_or_default();
    claims
        .into_iter()
        .find_map(|claim| match claim {
            Resource::File(path) => Some(path),
            _ => None,
        })
        .ok_or_else(|| anyhow!("{} has no sqlite sink", file.display()))
}

fn row_json(row: &Record) -> serde_json::Value {
    json!({
        "timestamp": row.timestamp,
        "wan_name": row.series.wan_name,
        "metric_name": row.series.metric_name,
        "value": row.value,
        "labels": row.series.labels,
        "granularity": row.granularity.as_str(),
        "source": row.series.source,
        "micros": row.micros,
    })
}

fn table(rows: &[Record], out: &mut dyn Write) -> anyhow::Result<()> {
    let catalogue = catalogue();
    let zone = TimeZone::system();
    let name = |row: &Record| row.series.metric_name.len();
    let width = rows.iter().map(name).max().unwrap_or_default();
    writeln!(
        out,
        "{:<23}  {:<12}  {:<8}  {:<width$}  {:>12}  Labels",
        "Timestamp", "WAN", "Source", "Metric", "Value"
    )?;
    for row in rows {
        let at = local_time(row, &zone)?.strftime("%F %T%.3f").to_string();
        let state = catalogue
            .get(row.series.metric_name.as_str())
            .and_then(|metric| metric.state_name(&row.series.source, row.value));
        let value = state.map_or_else(|| number(row.value), str::to_owned);
        let labels = row.series.labels.as_deref().unwrap_or_default();
        writeln!(
            out,
            "{at:<23}  {:<12}  {:<8}  {:<width$}  {value:>12}  {labels}",
            row.series.wan_name, row.series.source, row.series.metric_name
        )?;
    }
    Ok(())
}

fn local_time(row: &Record, zone: &TimeZone) -> anyhow::Result<Zoned> {
    let micros = row.timestamp.saturating_mul(1_000_000).saturating_add(i64::from(row.micros));
    let at = jiff::Timestamp::from_microsecond(micros).context("a time out of range")?;
    Ok(at.to_zoned(zone.clone()))
}

/// At most three decimals, without trailing zeros.
fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
