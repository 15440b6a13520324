//! `wanctl sinks`

use std::io::Write;
use std::process::ExitCode;

use super::{invalid, write_json};
use crate::sink::Registry;

/// Arguments of `wanctl sinks`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  wanctl sinks list --json")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the kinds of sinks that are linked into this program.
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

pub(crate) fn run(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let Command::List { json } = arguments.command;
    let registry = Registry::linked().map_err(|issues| invalid(&issues))?;
    if json {
        let kinds = registry.iter().map(|kind| {
            serde_json::json!({
                "kind": kind.kind,
                "summary": kind.summary,
                "crate": kind.crate_name,
                "version": kind.crate_version,
            })
        });
        write_json(out, &kinds.collect())?;
    } else {
        for kind in registry.iter() {
            let from = format!("{} {}", kind.crate_name, kind.crate_version);
            writeln!(out, "{:<10} {:<28} {}", kind.kind, from, kind.summary)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
