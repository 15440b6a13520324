//! The autorate controller: round-trip times in, shaper rates out. Pure.
//!
//! [`Controller::step`] is a function of what it remembers, what was observed, the policy and the
//! elapsed time. It does no I/O, reads no clock and logs nothing. Rows and shapers are the business of
//! [`crate::runner`].

mod controller;
mod decision;
#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod laws;
mod observation;
mod policy;
mod state;
mod zones;

pub use controller::Controller;
pub use decision::{
    Comparison, Decision, Direction, DirectionDecision, Outcome, Reason, ThresholdName, Transition,
    Zone,
};
pub use observation::{Observation, Probe};
pub use policy::{
    DirectionPolicy, Fallback, FallbackMode, Filter, Floors, Law, NOMINAL_CYCLE_SECONDS, Policy,
    ZoneLimits,
};
pub use state::{DirectionState, State};
pub use zones::ZoneMachine;
