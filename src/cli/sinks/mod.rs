//! `wanctl sinks`: what kinds there are, and whether the sinks that files name can work.
//!
//! Nothing here runs a sink: only `probe` opens one, and writes no data to it.

mod check;
mod destinations;
mod doctor;
mod kinds;
mod load;
mod options;
mod probe;

use std::io::Write;
use std::process::ExitCode;

use super::{invalid, linked, write_json};

/// Arguments of `wanctl sinks`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wanctl sinks list --json
  wanctl sinks sample sqlite > sinks.yaml      a section to begin with
  wanctl sinks check sinks.yaml
  wanctl sinks doctor /etc/wanctl/cable.yaml   what stands in the way, and what to do about it

Exit codes: 0 all is well, 1 something is wrong, 2 wrong usage.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the kinds of sinks that are linked into this program.
    List(kinds::List),
    /// Describe one kind: where it comes from, a sample, and the options every sink has.
    Describe(kinds::Describe),
    /// Print a complete `sinks` section to begin with.
    Sample(kinds::Sample),
    /// Say which sinks files ask for, or all that is wrong with them.
    Check(check::Arguments),
    /// Open every sink that files ask for, and ask whether its destination answers.
    Probe(probe::Arguments),
    /// Look for what may keep sinks from working, and say what to do.
    Doctor(doctor::Arguments),
}

pub(crate) fn run(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    // It explains a registry that is not in order, so it must not need one.
    if let Command::Doctor(arguments) = &arguments.command {
        return doctor::run(arguments, out);
    }
    let registry = linked()?;
    match &arguments.command {
        Command::List(arguments) => kinds::list(arguments, &registry, out),
        Command::Describe(arguments) => kinds::describe(arguments, &registry, out),
        Command::Sample(arguments) => kinds::sample(arguments, &registry, out),
        Command::Check(arguments) => check::run(arguments, &registry, out),
        Command::Probe(arguments) => probe::run(arguments, &registry, out),
        Command::Doctor(arguments) => doctor::run(arguments, out),
    }
}
