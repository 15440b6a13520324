//! `wanctl sinks list`, `describe` and `sample`: the kinds that are linked, without any file.

use std::io::Write;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::{options, write_json};
use crate::sink::{Registry, SinkDescriptor};

/// Arguments of `wanctl sinks list`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  wanctl sinks list --json | jq -r '.[].kind'")]
pub(super) struct List {
    /// As a JSON array of kinds
    #[arg(long)]
    json: bool,
}

/// Arguments of `wanctl sinks describe`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  wanctl sinks describe sqlite")]
pub(super) struct Describe {
    /// The kind, as in `type`
    kind: String,
    /// As JSON: {"kind", "summary", "crate", "version", "abi", "sample", "options"}
    #[arg(long)]
    json: bool,
}

/// Arguments of `wanctl sinks sample`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wanctl sinks sample sqlite >> cable.yaml
  wanctl sinks sample                      one sink of every kind")]
pub(super) struct Sample {
    /// The kind, as in `type`; without it, all kinds
    kind: Option<String>,
}

pub(super) fn list(
    arguments: &List,
    registry: &Registry,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    if arguments.json {
        write_json(out, &registry.iter().map(json).collect())?;
    } else {
        for kind in registry.iter() {
            let from = format!("{} {}", kind.crate_name, kind.crate_version);
            writeln!(out, "{:<10} {:<28} {}", kind.kind, from, kind.summary)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn describe(
    arguments: &Describe,
    registry: &Registry,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let kind = find(&arguments.kind, registry)?;
    let options = options::described();
    if arguments.json {
        let mut described = json(kind);
        described["sample"] = section(&[kind]).into();
        let option = |option: &options::Described| json!({ "key": option.key, "default": option.default, "meaning": option.meaning });
        described["options"] = options.iter().map(option).collect();
        write_json(out, &described)?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(out, "{}: {}", kind.kind, kind.summary)?;
    writeln!(out, "from {} {}, sink ABI {}\n", kind.crate_name, kind.crate_version, kind.abi)?;
    writeln!(out, "{}", section(&[kind]))?;
    writeln!(
        out,
        "What stands below `settings` is the kind's own. Beside it, every sink takes:\n"
    )?;
    for option in options {
        let default = format!("{}: {}", option.key, option.default);
        writeln!(out, "  {default:<26} {}", option.meaning)?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn sample(
    arguments: &Sample,
    registry: &Registry,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let kinds = match &arguments.kind {
        Some(kind) => vec![find(kind, registry)?],
        None => registry.iter().collect(),
    };
    write!(out, "{}", section(&kinds))?;
    Ok(ExitCode::SUCCESS)
}

/// The kind of this name, or why there is none.
fn find<'a>(kind: &str, registry: &'a Registry) -> anyhow::Result<&'a SinkDescriptor> {
    registry.get(kind).map_err(|unknown| {
        // The explanation for authors of sinks is longer than what a file's mistake needs.
        let issues = registry.require(&[kind]).err().unwrap_or_else(|| vec![unknown]);
        let lines: Vec<String> = issues.iter().map(ToString::to_string).collect();
        anyhow::Error::msg(lines.join("\n"))
    })
}

/// A complete `sinks` section with the samples of these kinds.
fn section(kinds: &[&SinkDescriptor]) -> String {
    let mut section = String::from("sinks:\n");
    for line in kinds.iter().flat_map(|kind| kind.sample.lines()) {
        if !line.trim().is_empty() {
            section.push_str("  ");
            section.push_str(line);
        }
        section.push('\n');
    }
    section
}

fn json(kind: &SinkDescriptor) -> Value {
    json!({
        "kind": kind.kind,
        "summary": kind.summary,
        "crate": kind.crate_name,
        "version": kind.crate_version,
        "abi": kind.abi,
    })
}
