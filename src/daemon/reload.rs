//! Reading the configuration files again while everything runs: sinks follow, the rest waits for a start.
//!
//! Controllers, shapers and routers are not touched. A controller that changed its limits under load would
//! have to explain itself; one that is started anew goes on from its kept state.

use std::path::PathBuf;
use std::time::Duration;

use tracing::{error, info, warn};
use wanctl_sink::{Issue, Pipeline, Registry};

use super::http::HistoryFile;
use super::say_closed;
use crate::config::{self, Config};

/// How long a sink that changes or goes may take to write what it has.
const WITHIN: Duration = Duration::from_secs(5);

/// Reads the files and has the sinks follow them. `running` is what the controllers run with.
///
/// True if the sinks are now those of the files, but for the ones that can't work and are said. Where the
/// files have mistakes nothing is changed, and every mistake is logged.
pub(super) fn reload(
    files: &[PathBuf],
    running: &Config,
    pipeline: &Pipeline,
    history: &HistoryFile,
) -> bool {
    if files.is_empty() {
        warn!("This configuration was not read from files; sinks are opened again.");
        pipeline.reopen();
        return false;
    }
    let loaded = Registry::linked().and_then(|registry| config::load(files, &registry));
    let Config { sinks, notes, written, .. } = match loaded {
        Ok(config) => config,
        Err(issues) => return refuse(&issues),
    };
    let applied = match pipeline.apply(sinks.clone(), WITHIN) {
        Ok(applied) => applied,
        Err(issues) => return refuse(&issues),
    };
    pipeline.reopen();
    history.follow(&sinks, &applied);
    for note in notes.iter().filter(|note| !running.notes.contains(note)) {
        info!("{note}");
    }
    for key in running.written.changed(&written) {
        warn!(key, "This key takes effect at the next start.");
    }
    for issue in &applied.refused {
        error!(%issue, "Sink does not follow the configuration.");
    }
    applied.removed.iter().for_each(say_closed);
    info!(
        unchanged = applied.unchanged.join(" "),
        changed = applied.changed.join(" "),
        added = applied.added.join(" "),
        removed = applied.removed.len(),
        refused = applied.refused.len(),
        "Sinks follow the configuration."
    );
    true
}

fn refuse(issues: &[Issue]) -> bool {
    for issue in issues {
        error!(%issue, "The configuration is not valid.");
    }
    warn!("Nothing was changed; everything goes on as before.");
    false
}
