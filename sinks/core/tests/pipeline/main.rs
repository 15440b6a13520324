//! The pipeline against a destination that does what a test tells it to.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(missing_docs, clippy::disallowed_methods)]

mod apply;
mod delivery;
mod faults;
mod law;
mod support;
