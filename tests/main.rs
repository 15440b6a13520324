//! The one test binary; each module is an area.

// `cfg(test)` tells clippy that the helpers in there may unwrap and print, as tests may.
#[cfg(test)]
mod measure;
#[cfg(test)]
mod vectors;
//! Tests.

mod config;
mod vectors_config;
mod measure;
mod shaper;
