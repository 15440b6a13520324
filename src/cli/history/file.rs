//! Which file is read: `--db`, the sqlite sink of `--config`, or the default.

use std::path::PathBuf;

use anyhow::anyhow;

use crate::cli::{invalid, linked};
use crate::config::{self, DEFAULT_DATABASE};
use crate::sink::Resource;

/// Where history is.
#[derive(Debug, clap::Args)]
pub(super) struct Location {
    // Not a default value of the argument, because `--config` takes its place.
    #[arg(long, value_name = "FILE", conflicts_with = "config", help = format!("The history file [default: {DEFAULT_DATABASE}]"))]
    db: Option<PathBuf>,
    /// Take the history file from this configuration
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Location {
    /// The file's path.
    ///
    /// # Errors
    ///
    /// A configuration that is wrong, or has no sqlite sink.
    pub(super) fn path(&self) -> anyhow::Result<PathBuf> {
        if let Some(path) = &self.db {
            return Ok(path.clone());
        }
        let Some(file) = &self.config else { return Ok(DEFAULT_DATABASE.into()) };
        let registry = linked()?;
        let config = config::load(std::slice::from_ref(file), &registry)
            .map_err(|issues| invalid(&issues))?;
        let sqlite = config.sinks.iter().find(|sink| sink.kind == "sqlite");
        let claims = sqlite.map(|sink| sink.config.claims()).unwrap_or_default();
        claims
            .into_iter()
            .find_map(|claim| match claim {
                Resource::File(path) => Some(path),
                _ => None,
            })
            .ok_or_else(|| anyhow!("{} has no sqlite sink", file.display()))
    }
}
