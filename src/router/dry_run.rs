//! A router that only says what it would do.

use super::{Router, RouterError};
use crate::steering::Route;

/// Accepts every route and changes none. It logs each change.
#[derive(Debug, Default)]
pub struct DryRun {
    route: Option<Route>,
}

impl DryRun {
    /// A router that was not told anything.
    pub fn new() -> Self {
        DryRun::default()
    }
}

impl Router for DryRun {
    fn route(&mut self, to: Route) -> Result<(), RouterError> {
        if self.route.replace(to) != Some(to) {
            tracing::info!(route = ?to, "Would move latency-sensitive traffic.");
        }
        Ok(())
    }

    fn describe(&self) -> String {
        "dry run: routes are decided, and no traffic is moved".to_owned()
    }
}
