//! `wanctl history verify`: whether a file is whole.

use std::io::Write;
use std::process::ExitCode;

use serde_json::{Value, json};
use wanctl_sink_sqlite::{History, VerifyProgress, VerifyStep};

use super::file::Location;
use super::progress::Progress;
use super::refused;
use crate::cli::write_json;

/// Arguments of `wanctl history verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Reads the whole file and changes nothing, also while it is recorded to.
Exit code 0 if all is well, 1 with the problems listed.")]
pub(super) struct Arguments {
    #[command(flatten)]
    file: Location,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let path = arguments.file.path()?;
    let history = History::open(&path).map_err(refused)?;
    let problems = {
        let mut progress = Progress::new();
        history.verify(&mut |step| progress.say(&how_far(step))).map_err(refused)?
    };
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    if arguments.json {
        let path = path.display().to_string();
        write_json(out, &json!({ "path": path, "problems": Value::from(texts) }))?;
    } else if texts.is_empty() {
        writeln!(out, "{}: no problem found", path.display())?;
    } else {
        texts.iter().try_for_each(|text| writeln!(out, "{text}"))?;
    }
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn how_far(progress: VerifyProgress) -> String {
    let what = match progress.step {
        VerifyStep::Structure => "structure",
        VerifyStep::Chunks => "sealed rows",
        VerifyStep::Minutes => "rows and minutes",
        VerifyStep::Intervals => "longer intervals",
    };
    format!("{what}: {} of {}", progress.done, progress.total)
}
