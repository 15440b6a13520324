//! Tests.

mod measure;
mod shaper;
