//! The steering controller: decides when latency-sensitive traffic takes the other WAN. Pure.
//!
//! [`Controller::step`] may answer with a [`RouteChange`] that somebody has to carry out; what became of
//! it comes back through [`Controller::route_changed`]. The controller does no I/O, reads no clock and
//! logs nothing.

mod assessment;
mod baseline_file;
mod cake;
mod confidence;
mod controller;
mod decision;
#[cfg(test)]
pub(crate) mod fixtures;
mod flap;
#[cfg(test)]
mod laws;
mod observation;
mod policy;
mod scoring;
mod state;

pub use assessment::{EwmaError, assess, ewma_update};
pub use baseline_file::baseline_from_state;
pub use cake::CakeCounters;
pub use confidence::{CakeState, Contributor, Recent, Score, Signals};
pub use controller::Controller;
pub use decision::{Congestion, Decision, Outcome, Reason, Route, RouteChange, Transition};
pub use flap::FlapDetector;
pub use observation::{CakeSample, Observation};
pub use policy::{Confidence, Policy, Thresholds};
pub use scoring::{Scoring, Timers, Verdict};
pub use state::State;
