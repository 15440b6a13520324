//! Chance, for spreading things in time. Not for secrets.

use std::hash::{BuildHasher, Hasher, RandomState};

/// A number from 0 to 1, evenly distributed.
pub(crate) fn fraction() -> f64 {
    // A fresh `RandomState` is the standard library's only source of randomness.
    let random = RandomState::new().build_hasher().finish();
    random as f64 / u64::MAX as f64
}
