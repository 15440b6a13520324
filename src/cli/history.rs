//! `wanctl history`

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow};
use jiff::tz::TimeZone;
use serde_json::json;
use wanctl_sink_sqlite::{History, Query, Record};

use super::{invalid, write_json};
use crate::config::{self, DEFAULT_DATABASE};
use crate::daemon::Clock;
use crate::sink::{Registry, Resource, catalogue};
use crate::units;

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
    /// The history file
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
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
    let history = History::open(database(arguments)?)?;
    let now = Clock::start().stamp().unix_seconds();
    let last = i64::try_from(arguments.last.as_secs()).unwrap_or(i64::MAX);
    let rows = history.query(&Query {
        from: now.saturating_sub(last),
        to: i64::MAX,
        metrics: arguments.metrics.clone(),
        wan: arguments.wan.clone(),
        // One more than shown, to know whether there are more.
        limit: Some(arguments.limit.saturating_add(1)),
    })?;
    let more = rows.len() > arguments.limit as usize;
    let rows = &rows[..rows.len().min(arguments.limit as usize)];
    if arguments.json {
        let rows: Vec<_> = rows.iter().map(row_json).collect();
        write_json(out, &json!(rows))?;
    } else if rows.is_empty() {
        writeln!(out, "No data found for the specified time range.")?;
    } else {
        table(rows, out)?;
        if more {
            writeln!(out, "The newest {} rows; --limit shows more.", arguments.limit)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The file to read: `--db`, the sqlite sink of `--config`, or the default.
fn database(arguments: &Arguments) -> anyhow::Result<PathBuf> {
    if let Some(path) = &arguments.db {
        return Ok(path.clone());
    }
    let Some(file) = &arguments.config else { return Ok(DEFAULT_DATABASE.into()) };
    let registry = Registry::linked().map_err(|issues| invalid(&issues))?;
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
        "wan_name": row.wan_name,
        "metric_name": row.metric_name,
        "value": row.value,
        "labels": row.labels,
        "granularity": row.granularity,
        "source": row.source,
        "micros": row.micros,
    })
}

fn table(rows: &[Record], out: &mut dyn Write) -> anyhow::Result<()> {
    let catalogue = catalogue();
    let zone = TimeZone::system();
    let name = |row: &Record| row.metric_name.len();
    let width = rows.iter().map(name).max().unwrap_or_default();
    writeln!(
        out,
        "{:<23}  {:<12}  {:<8}  {:<width$}  {:>12}  Labels",
        "Timestamp", "WAN", "Source", "Metric", "Value"
    )?;
    for row in rows {
        let micros = row.timestamp.saturating_mul(1_000_000).saturating_add(i64::from(row.micros));
        let at = jiff::Timestamp::from_microsecond(micros).context("a time out of range")?;
        let at = at.to_zoned(zone.clone()).strftime("%F %T%.3f").to_string();
        let state = catalogue
            .get(row.metric_name.as_str())
            .and_then(|metric| metric.state_name(&row.source, row.value));
        let value = state.map_or_else(|| number(row.value), str::to_owned);
        let labels = row.labels.as_deref().unwrap_or_default();
        writeln!(
            out,
            "{at:<23}  {:<12}  {:<8}  {:<width$}  {value:>12}  {labels}",
            row.wan_name, row.source, row.metric_name
        )?;
    }
    Ok(())
}

/// At most three decimals, without trailing zeros.
fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
