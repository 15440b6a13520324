//! `wanctl sinks check`: what files say about sinks, without opening any.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::load::load;
use super::{options, write_json};
use crate::sink::Registry;

/// Arguments of `wanctl sinks check`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A file may be a configuration or just a `sinks` section. Nothing is opened, created or contacted.
Exit code 0 when the sinks can run together, 1 when not.

Examples:
  wanctl sinks check /etc/wanctl/cable.yaml
  wanctl sinks sample > sinks.yaml && wanctl sinks check --json sinks.yaml")]
pub(super) struct Arguments {
    /// Files that are meant to run in one process
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// As JSON: {"valid", "issues", "notes", "sinks"}
    #[arg(long)]
    json: bool,
}

pub(super) fn run(
    arguments: &Arguments,
    registry: &Registry,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let loaded = load(&arguments.files, registry);
    let code = if loaded.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    match (loaded, arguments.json) {
        (Ok(loaded), false) => {
            for spec in &loaded.sinks {
                let disabled = if spec.enabled { "" } else { ", disabled" };
                writeln!(out, "sink {}: {}{disabled}", spec.name, spec.kind)?;
                writeln!(out, "  {}", options::line(spec))?;
                for claim in spec.config.claims() {
                    writeln!(out, "  claims {claim}")?;
                }
            }
            for note in &loaded.notes {
                writeln!(out, "note: {note}")?;
            }
            writeln!(out, "valid")?;
        }
        (Ok(loaded), true) => {
            let sinks: Vec<Value> = loaded.sinks.iter().map(options::json).collect();
            let notes = loaded.notes.iter().map(
                |note| json!({ "file": note.file, "path": note.path, "message": note.message }),
            );
            let notes: Vec<Value> = notes.collect();
            let valid = json!({ "valid": true, "issues": [], "notes": notes, "sinks": sinks });
            write_json(out, &valid)?;
        }
        (Err(issues), false) => {
            for issue in &issues {
                writeln!(out, "{issue}")?;
            }
            let count = issues.len();
            writeln!(out, "{count} {} to mend", if count == 1 { "mistake" } else { "mistakes" })?;
        }
        (Err(issues), true) => {
            let issues = issues.iter().map(
                |issue| json!({ "file": issue.file, "path": issue.path, "message": issue.message }),
            );
            let issues: Vec<Value> = issues.collect();
            let invalid = json!({ "valid": false, "issues": issues, "notes": [], "sinks": [] });
            write_json(out, &invalid)?;
        }
    }
    Ok(code)
}
