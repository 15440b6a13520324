//! The one test binary; each module is an area.

#[cfg(test)]
mod vectors;
//! Tests.

mod measure;
