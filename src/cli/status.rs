//! `wanctl status`

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow};
use serde_json::Value;

use super::write_json;
use crate::daemon::DEFAULT_SOCKET;

/// How long a daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Arguments of `wanctl status`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit code 0 while every controller runs and every sink is ok or starting; 1 when a controller
makes no cycles, a sink is failing, quarantined, stalled, off or stopped, or no daemon answers.

Examples:
  wanctl status
  wanctl status --socket /tmp/w.sock     of a daemon that has --status-socket /tmp/w.sock
  wanctl status --json | jq '.sinks[] | select(.health != \"ok\") | {name, error}'")]
pub(crate) struct Arguments {
    /// Where the daemon listens
    #[arg(long, default_value = DEFAULT_SOCKET, value_name = "PATH")]
    socket: PathBuf,
    /// The daemon's report as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let report = ask(&arguments.socket)?;
    if arguments.json {
        write_json(out, &report)?;
    } else {
        describe(&report, out)?;
    }
    let runs = |controller: &Value| controller["running"] == true;
    let works = |sink: &Value| sink["health"] == "ok" || sink["health"] == "starting";
    let is_well =
        list(&report, "controllers").iter().all(runs) && list(&report, "sinks").iter().all(works);
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn ask(socket: &Path) -> anyhow::Result<Value> {
    let text = receive(socket).map_err(|error| {
        anyhow!(
            "no daemon answers at {}: {error}; is it running? Its log says where it listens",
            socket.display()
        )
    })?;
    serde_json::from_str(&text)
        .with_context(|| format!("what answers at {} is no wanctl", socket.display()))
}

fn receive(socket: &Path) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut text = String::new();
    stream.read_to_string(&mut text).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => io::Error::new(
            io::ErrorKind::TimedOut,
            format!("it takes longer than {} s", PATIENCE.as_secs()),
        ),
        _ => error,
    })?;
    Ok(text)
}

fn describe(report: &Value, out: &mut dyn Write) -> anyhow::Result<()> {
    let dry_run = if report["dry_run"] == true { ", dry run" } else { "" };
    writeln!(
        out,
        "wanctl {}, pid {}, up {}{dry_run}",
        text(&report["version"]),
        text(&report["pid"]),
        uptime(report["uptime_seconds"].as_f64().unwrap_or_default())
    )?;
    for file in list(report, "config_files") {
        writeln!(out, "configuration {}", text(file))?;
    }

    writeln!(out)?;
    let heads = [
        "Controller",
        "WAN",
        "Runs",
        "RTT",
        "Baseline",
        "Delta",
        "Cycles",
        "No sample",
        "Skipped",
        "Late mean",
        "Late max",
        "Decided",
    ];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    rows.extend(list(report, "controllers").iter().map(controller));
    table(&rows, &[0, 1, 2, 11], out)?;

    writeln!(out)?;
    let mut rows = vec![SINK.map(|(head, _)| head.to_owned()).to_vec()];
    let sinks = list(report, "sinks");
    rows.extend(sinks.iter().map(|sink| SINK.map(|(_, key)| text(&sink[key])).to_vec()));
    table(&rows, &[0, 1, 2], out)?;
    for sink in sinks {
        if let Some(error) = sink["error"].as_str() {
            writeln!(out, "{}: {error}", text(&sink["name"]))?;
        }
    }
    if sinks.is_empty() {
        writeln!(out, "no sink: nothing is recorded")?;
    }
    Ok(())
}

/// The columns of sinks, and their keys in the report.
const SINK: [(&str, &str); 15] = [
    ("Sink", "name"),
    ("Kind", "kind"),
    ("Health", "health"),
    ("Queued", "queued"),
    ("In flight", "in_flight"),
    ("Delivered", "delivered"),
    ("Evicted", "evicted"),
    ("Expired", "expired"),
    ("Filtered", "filtered"),
    ("Rejected", "rejected"),
    ("Quarantined", "quarantined"),
    ("Lost", "lost_at_shutdown"),
    ("Failures", "failures"),
    ("Panics", "panics"),
    ("Replaced", "replaced"),
];

fn controller(one: &Value) -> Vec<String> {
    let number = |key: &str, unit: &str| match one[key].as_f64() {
        Some(value) => format!("{value:.2}{unit}"),
        None => "-".to_owned(),
    };
    let late = |key: &str| format!("{} \u{b5}s", text(&one[key]));
    let decided = if one["route"].is_string() {
        format!("{}, {} WAN", text(&one["state"]), text(&one["route"]))
    } else {
        let direction = |name: &str| {
            let rate = number(&format!("{name}_mbps"), "");
            format!("{name} {rate} Mbit/s {}", text(&one[format!("{name}_state")]))
        };
        format!("{}, {}", direction("download"), direction("upload"))
    };
    vec![
        text(&one["kind"]),
        text(&one["wan"]),
        if one["running"] == true { "yes" } else { "NO" }.to_owned(),
        number("rtt_ms", " ms"),
        number("baseline_ms", " ms"),
        number("delta_ms", " ms"),
        text(&one["cycles"]),
        text(&one["without_sample"]),
        text(&one["skipped"]),
        late("mean_lateness_us"),
        late("worst_lateness_us"),
        decided,
    ]
}

/// Rows below their heads. Columns are aligned to the right, but for `left`.
fn table(rows: &[Vec<String>], left: &[usize], out: &mut dyn Write) -> io::Result<()> {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            if left.contains(&column) {
                format!("{cell:<width$}")
            } else {
                format!("{cell:>width$}")
            }
        });
        let line = cells.collect::<Vec<String>>().join("  ");
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

fn list<'a>(report: &'a Value, key: &str) -> &'a [Value] {
    report[key].as_array().map_or(&[], Vec::as_slice)
}

/// A string without its quotes, and anything else as JSON.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The two largest units of a time.
fn uptime(seconds: f64) -> String {
    let whole = seconds as u64;
    let (minutes, hours, days) = (whole / 60, whole / 3_600, whole / 86_400);
    if days > 0 {
        format!("{days}d {}h", hours % 24)
    } else if hours > 0 {
        format!("{hours}h {}m", minutes % 60)
    } else if minutes > 0 {
        format!("{minutes}m {}s", whole % 60)
    } else {
        format!("{whole}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_uptime_has_its_two_largest_units() {
        for (seconds, shown) in [
            (0.9, "0s"),
            (59.9, "59s"),
            (60.0, "1m 0s"),
            (3_599.0, "59m 59s"),
            (7_260.0, "2h 1m"),
            (90_000.0, "1d 1h"),
        ] {
            assert_eq!(uptime(seconds), shown);
        }
    }
}
