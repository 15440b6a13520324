//! `wanctl check`

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::{linked, write_json};
use crate::config::{self, Config, Note};
use crate::sink::Issue;

/// Arguments of `wanctl check`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Nothing is opened, created or contacted. Exit code 0 when the files can run together, 1 when not. What runs
with --dry-run only and passwords of routers that can't be had here are noted.

Examples:
  wanctl check /etc/wanctl/cable.yaml
  wanctl check --json cable.yaml steering.yaml")]
pub(crate) struct Arguments {
    /// Configuration files that are meant to run in one process
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// As JSON: {"valid", "issues", "notes"}
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let registry = linked()?;
    let loaded = config::load(&arguments.files, &registry).map(with_limits);
    let code = if loaded.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    match (loaded, arguments.json) {
        (Ok(config), false) => describe(&config, out)?,
        (Ok(config), true) => {
            let notes: Vec<_> = config
                .notes
                .iter()
                .map(
                    |note| json!({ "file": note.file, "path": note.path, "message": note.message }),
                )
                .collect();
            write_json(out, &json!({ "valid": true, "issues": [], "notes": notes }))?;
        }
        (Err(issues), false) => {
            for issue in &issues {
                writeln!(out, "{issue}")?;
            }
            let count = issues.len();
            writeln!(out, "{count} {}", if count == 1 { "error" } else { "errors" })?;
        }
        (Err(issues), true) => {
            let issues: Vec<_> = issues.iter().map(issue_json).collect();
            write_json(out, &json!({ "valid": false, "issues": issues, "notes": [] }))?;
        }
    }
    Ok(code)
}

/// Adds a note for everything that keeps a valid configuration from running here: what this version can't
/// drive, and secrets, which the service may have where this shell has not.
fn with_limits(mut config: Config) -> Config {
    let dry_run_only = config.undriveable().into_iter().map(|issue| Issue {
        message: format!("runs with --dry-run only: {}", issue.message),
        ..issue
    });
    for Issue { file, path, message, .. } in dry_run_only.chain(config.check_secrets()) {
        let note = Note { file: file.unwrap_or_default(), path, message };
        // Both controllers of a file have its one router.
        if !config.notes.contains(&note) {
            config.notes.push(note);
        }
    }
    config
}

fn issue_json(issue: &Issue) -> serde_json::Value {
    json!({ "file": issue.file, "path": issue.path, "message": issue.message })
}

fn describe(config: &Config, out: &mut dyn Write) -> anyhow::Result<()> {
    for one in &config.autorate {
        let (down, up) = (&one.policy.download, &one.policy.upload);
        writeln!(
            out,
            "autorate {}: download {} to {}, upload {} to {}, reflectors {}",
            one.wan_name,
            down.floors.red,
            down.ceiling,
            up.floors.red,
            up.ceiling,
            one.reflectors.join(", ")
        )?;
    }
    for one in &config.steering {
        let policy = &one.policy;
        writeln!(
            out,
            "steering {} to {}: every {:?}, reflectors {}",
            policy.primary_wan,
            policy.alternate_wan,
            one.interval,
            one.reflectors.join(", ")
        )?;
    }
    for sink in &config.sinks {
        let claims: Vec<String> = sink.config.claims().iter().map(ToString::to_string).collect();
        writeln!(out, "sink {}: {} {}", sink.name, sink.kind, claims.join(", "))?;
    }
    for note in &config.notes {
        writeln!(out, "note: {note}")?;
    }
    writeln!(out, "valid")?;
    Ok(())
}
