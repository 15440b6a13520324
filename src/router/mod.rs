//! Carries out a change of route.
//!
//! A back end is called from an actuator's thread and not from a control cycle, so it may block. It decides
//! nothing. The one back end so far only says what it would do.

mod dry_run;

pub use dry_run::DryRun;

use crate::steering::Route;

/// A router that can send latency-sensitive traffic by either WAN.
///
/// All methods may block for as long as the router takes to answer.
pub trait Router: Send {
    /// Sends traffic by `to`. It may be called with the route that is in effect.
    ///
    /// # Errors
    ///
    /// The router did not confirm the change, so which route is in effect is not known.
    fn route(&mut self, to: Route) -> Result<(), RouterError>;

    /// Which router is told and by what means, for the operator.
    fn describe(&self) -> String;
}

/// Why a router did not do what it was told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RouterError {
    /// The router refused, or could not be asked.
    #[error("{router} did not change the route: {reason}")]
    Refused {
        /// Which router.
        router: String,
        /// What it said.
        reason: String,
    },
}
