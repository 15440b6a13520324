//! The command line: arguments in, text and exit codes out.
//!
//! Every command prints to the writer it is given, so that one place handles a closed pipe, and returns
//! an error that one place prints.

mod check;
#[cfg(feature = "sqlite")]
mod history;
mod log;
mod run;
mod sinks;
mod status;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::sink::{Issue, Registry};

/// Keeps an internet link fast under load, and records why.
#[derive(Debug, Parser)]
#[command(name = "wanctl", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  wanctl run --config config/quickstart.yaml      measure, decide, record; touch nothing
  wanctl status                                   what a running daemon is doing
  wanctl check /etc/wanctl/*.yaml                 what is wrong with a configuration
  wanctl history --last 5m --db wanctl.db         what was recorded

Exit codes: 0 success, 1 failure, 2 wrong usage.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run every controller that the files describe, until SIGTERM or SIGINT.
    Run(run::Arguments),
    /// Say everything that is wrong with configuration files.
    Check(check::Arguments),
    /// Ask a running daemon what it is doing.
    Status(status::Arguments),
    /// Look at the kinds of sinks this program has.
    Sinks(sinks::Arguments),
    /// Show what was recorded.
    #[cfg(feature = "sqlite")]
    History(Box<history::Arguments>),
}

/// Runs the program with these arguments, the first of which is its name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version come this way too; clap knows the stream and the code.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let out = &mut io::stdout().lock();
    let result = match arguments.command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Check(arguments) => check::run(&arguments, out),
        Command::Status(arguments) => status::run(&arguments, out),
        Command::Sinks(arguments) => sinks::run(&arguments, out),
        #[cfg(feature = "sqlite")]
        Command::History(arguments) => history::run(&arguments, out),
    };
    match result {
        Ok(code) => code,
        // The reader has seen enough (`wanctl history | head`).
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "wanctl: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let is = |e: &io::Error| e.kind() == io::ErrorKind::BrokenPipe;
    error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>()).any(is)
}

/// The kinds of sinks that are linked into this program.
///
/// # Errors
///
/// Crates that can't be in one program together. It is the program that is at fault then, not a file.
fn linked() -> anyhow::Result<Registry> {
    Registry::linked()
        .map_err(|issues| listed("the sinks in this program do not fit together:", &issues))
}

/// Issues of a configuration as one error: a line each.
fn invalid(issues: &[Issue]) -> anyhow::Error {
    listed("the configuration is not valid:", issues)
}

/// Issues below a heading.
fn listed(heading: &str, issues: &[Issue]) -> anyhow::Error {
    let lines: Vec<String> = issues.iter().map(|issue| format!("\n  {issue}")).collect();
    anyhow::anyhow!("{heading}{}", lines.concat())
}

/// Writes a value as indented JSON.
fn write_json(out: &mut dyn Write, value: &serde_json::Value) -> anyhow::Result<()> {
    // Its error as one of I/O, because a closed pipe is no source of a JSON error.
    serde_json::to_writer_pretty(&mut *out, value).map_err(io::Error::from)?;
    writeln!(out)?;
    Ok(())
}
