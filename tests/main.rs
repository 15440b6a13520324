//! The one test binary; each module is an area.

// `cfg(test)` tells clippy that the helpers in there may unwrap and print, as tests may.
#[cfg(test)]
mod allocations;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod config;
#[cfg(test)]
mod measure;
#[cfg(test)]
mod several_files;
#[cfg(test)]
mod shaper;
#[cfg(test)]
mod steering_rows;
#[cfg(test)]
mod structure;
#[cfg(test)]
mod vectors;
#[cfg(test)]
mod vectors_config;
#[cfg(test)]
mod visible;
