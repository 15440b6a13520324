//! The filters between measurements and decisions: small, pure, and without policy.
//!
//! What a filter's output means, and when it may be believed, is the business of the controllers.

mod baseline;
mod ewma;
mod median;

pub use baseline::{Bounds, IdleGate};
pub use ewma::{MAX_CREDITED_SECONDS, alpha_for, credited_seconds, ewma};
pub use median::median;
