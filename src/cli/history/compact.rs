//! `wanctl history compact`: what maintenance does bit by bit, at once.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use wanctl_sink_sqlite::{Compacted, compact};

use super::file::Location;
use super::progress::Progress;
use crate::sink::format_bytes;
use crate::units;

/// Arguments of `wanctl history compact`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Nothing is removed. A daemon does the same bit by bit while it records; this is for a file that was
imported or copied, and needs one that no daemon records to. It may be interrupted at any time.")]
pub(super) struct Arguments {
    #[command(flatten)]
    file: Location,
    /// Rows up to this long before the newest stay as any SQLite program can read them
    #[arg(long, default_value = "24h", value_name = "TIME", value_parser = units::parse_duration)]
    hot: Duration,
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let path = arguments.file.path()?;
    let done = {
        let mut progress = Progress::new();
        compact(&path, arguments.hot, &mut |so_far: Compacted| {
            let left = so_far.hot_frames;
            progress.say(&format!("{left} cycles not sealed, {}", format_bytes(so_far.bytes)));
            true
        })?
    };
    let (before, after) = (format_bytes(done.bytes_before), format_bytes(done.bytes));
    writeln!(out, "{}: {before} before, {after} now", path.display())?;
    Ok(ExitCode::SUCCESS)
}
