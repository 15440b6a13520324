//! The steering controller: decides when latency-sensitive traffic takes the other WAN. Pure.
//!
//! [`Controller::step`] may answer with a [`RouteChange`] that somebody has to carry out; what became of
//! it comes back through [`Controller::route_changed`]. The controller does no I/O, reads no clock and
//! logs nothing.

mod decision;
mod observation;
mod policy;

pub use decision::{Congestion, Decision, Outcome, Reason, Route, RouteChange, Transition};
pub use observation::{CakeSample, Observation};
pub use policy::{Confidence, Policy, Thresholds};
