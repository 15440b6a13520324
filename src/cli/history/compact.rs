//! `wanctl history compact`: what maintenance does bit by bit, at once.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use wanctl_sink_sqlite::{Compacted, compact};

use super::file::Location;
use super::interrupt::Interrupt;
use super::progress::Progress;
use super::stats::bytes;
use crate::units;

/// Arguments of `wanctl history compact`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Nothing is removed. A daemon does the same bit by bit while it records; this is for a file that was
imported or copied, and needs one that no daemon records to. It may be interrupted
at any time, and goes on from there the next time.")]
pub(super) struct Arguments {
    #[command(flatten)]
    file: Location,
    /// Rows up to this long before the newest stay as any SQLite program can read them
    #[arg(long, default_value = "24h", value_name = "TIME", value_parser = units::parse_duration)]
    hot: Duration,
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let path = arguments.file.path()?;
    let interrupt = Interrupt::watch()?;
    let done = {
        let mut progress = Progress::new();
        compact(&path, arguments.hot, &mut |so_far: Compacted| {
            let (before, now) = (bytes(so_far.bytes_before), bytes(so_far.bytes));
            progress.say(&format!("{before} before, {now} now"));
            !interrupt.came()
        })?
    };
    let (before, after) = (bytes(done.bytes_before), bytes(done.bytes));
    writeln!(out, "{}: {before} before, {after} now", path.display())?;
    Ok(if interrupt.came() { Interrupt::exit_code() } else { ExitCode::SUCCESS })
}
