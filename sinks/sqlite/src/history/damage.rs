//! What could not be read, for whoever wants to say so.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::raw::Sealed;
use super::time::split;

/// The seconds of the damaged chunks that reading has met. Clones are of the same list, because rows are
/// read by parts that know nothing of the [`History`](super::History) they belong to.
#[derive(Clone, Debug, Default)]
pub(super) struct Damage(Arc<Mutex<BTreeSet<(i64, i64)>>>);

impl Damage {
    pub(super) fn add(&self, chunk: Sealed) {
        let seconds = (split(chunk.from).0, split(chunk.to).0);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(seconds);
    }

    /// The first and the last second of each, in order.
    pub(super) fn seconds(&self) -> Vec<(i64, i64)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }
}
