//! A controller with its sink: the pure core, stepped by whoever has the I/O.
//!
//! A runner decides, lets the caller act, and records what was decided, in this order. It reads no
//! clock, opens no socket and starts no thread, so it fits into the daemon, into another program and
//! into a test alike.

mod autorate;
mod steering;

pub use autorate::AutorateRunner;
pub use steering::{RouteOutcome, SteeringRunner};
