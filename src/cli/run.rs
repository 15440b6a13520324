//! `wanctl run`

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

use super::{invalid, linked, listed, log};
use crate::daemon::{self, DEFAULT_SOCKET, RunError, RunOptions};
use crate::{config, units};

/// Arguments of `wanctl run`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wanctl run --config config/quickstart.yaml --duration 20s
  wanctl run --config /etc/wanctl/cable.yaml /etc/wanctl/steering.yaml --log-format json
  wanctl run --config cable.yaml --dry-run        decide and record, change nothing

Signals: SIGTERM and SIGINT stop in order, with everything written that was queued; a second one
ends the program at once. SIGHUP reads the files again: sinks follow them at once and open their
files anew, what else changed is logged and waits for the next start, and files with mistakes change
nothing. A terminal that is closed stops the program. SIGUSR1 records the configuration once more.
When it stops, shapers keep the last rates they took.")]
pub(crate) struct Arguments {
    /// Configuration files; all controllers in them run in this process
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    config: Vec<PathBuf>,
    /// Stop after this time (20s, 5m, 2h)
    #[arg(long, value_name = "TIME", value_parser = units::parse_duration)]
    duration: Option<Duration>,
    /// Change no shaper and no route, whatever the files say; measuring and recording go on
    #[arg(long)]
    dry_run: bool,
    /// Where `wanctl status` asks this daemon, or `none`. Without the right to it the daemon goes on
    #[arg(long, default_value = DEFAULT_SOCKET, value_name = "PATH")]
    status_socket: PathBuf,
    /// How log lines look
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    log_format: log::Format,
    /// The least severe level that is logged: error, warn, info, debug, trace
    #[arg(long, default_value = "info", value_name = "LEVEL", value_parser = ["error", "warn", "info", "debug", "trace"])]
    log_level: String,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    log::init(arguments.log_format, &arguments.log_level);
    let registry = linked()?;
    let config = config::load(&arguments.config, &registry).map_err(|issues| invalid(&issues))?;
    let options = RunOptions {
        duration: arguments.duration,
        dry_run: arguments.dry_run,
        files: arguments.config.clone(),
        status_socket: Some(arguments.status_socket.clone())
            .filter(|path| path.as_os_str() != "none"),
        status_line: matches!(arguments.log_format, log::Format::Text),
    };
    match daemon::run(config, &options) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(RunError::Config(issues)) => Err(listed("can't start:", &issues)),
        Err(error @ RunError::Panicked(_)) => Err(error.into()),
        Err(error) => Err(error).context("can't start"),
    }
}
