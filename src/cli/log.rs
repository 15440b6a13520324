//! Logs: structured, to standard error.

use std::io::{self, IsTerminal};

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Sends logs to standard error from now on. `WANCTL_LOG` (`debug`, `wanctl=trace`) overrides `level`.
pub(crate) fn init(format: Format, level: &str) {
    let filter = EnvFilter::try_from_env("WANCTL_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        // It says on standard error that it can't write there, which panics when a terminal was closed.
        .log_internal_errors(false);
    // A second call, in a test or an embedding program, leaves the first one's choice alone.
    let _ = match format {
        Format::Text => builder.with_target(false).with_ansi(io::stderr().is_terminal()).try_init(),
        Format::Json => builder.json().flatten_event(true).try_init(),
    };
}
