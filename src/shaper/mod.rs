//! Puts the rates that were decided on the shaper.
//!
//! A back end is called from an actuator's thread and not from a control cycle, so it may block. It
//! decides nothing: what it is given is what it sets, and what it returns is what is in effect.

mod dry_run;
mod error;
mod linux_cake;
mod netlink;
mod statistics;

pub use dry_run::DryRun;
pub use error::ShaperError;
pub use linux_cake::LinuxCake;
pub use statistics::{QueueCounters, QueueStatistics};

use crate::units::Rate;

/// A rate for each direction.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// Towards the subscriber.
    pub download: Rate,
    /// Towards the internet.
    pub upload: Rate,
}

/// What a shaper did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Applied {
    /// The rates in effect, as the back end read them back; rounded as the back end rounds.
    pub rates: Rates,
}

/// A shaper of one WAN.
///
/// All methods may block for as long as the shaper takes to answer. Dropping one leaves the rates as they are:
/// which rates to leave behind is the caller's decision, to be applied before.
pub trait Shaper: Send {
    /// Sets both rates.
    ///
    /// It may be called with the rates of the call before. After an error the next call tries everything anew, so an
    /// interface that comes back is found.
    ///
    /// # Errors
    ///
    /// A direction could not be set. Both are tried, so the other one may have its new rate.
    fn apply(&mut self, rates: Rates) -> Result<Applied, ShaperError>;

    /// Looks whether [`apply`](Shaper::apply) could work, changes nothing, and says what there is.
    ///
    /// # Errors
    ///
    /// The first thing that stands in the way.
    fn check(&mut self) -> Result<String, ShaperError>;

    /// What is shaped and by what means, for the operator.
    fn describe(&self) -> String;
}
