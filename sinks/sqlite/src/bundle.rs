//! The series of a bundle, as those need them that work on its rows.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::Connection;
use wanctl_sink::Rollup;

use crate::places::{WIDTH, rollup_named};

/// A series of a bundle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Member {
    /// The row of `series`.
    pub(crate) id: i64,
    pub(crate) position: usize,
    pub(crate) rollup: Rollup,
}

/// The series of a bundle.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Bundle {
    pub(crate) members: Vec<Member>,
    pub(crate) scales: [f64; WIDTH],
}

/// Bundles that were read. A committed bundle never changes.
#[derive(Default)]
pub(crate) struct Bundles {
    known: HashMap<i64, Arc<Bundle>>,
}

impl Bundles {
    /// The series of this bundle.
    pub(crate) fn get(&mut self, db: &Connection, id: i64) -> rusqlite::Result<Arc<Bundle>> {
        if let Some(bundle) = self.known.get(&id) {
            return Ok(Arc::clone(bundle));
        }
        let mut bundle = Bundle { members: Vec::new(), scales: [1.0; WIDTH] };
        let mut read = db.prepare_cached(
            "SELECT id, position, scale, rollup FROM series WHERE bundle_id = ?1 ORDER BY position",
        )?;
        let mut rows = read.query([id])?;
        while let Some(row) = rows.next()? {
            let Ok(position) = usize::try_from(row.get::<_, i64>(1)?) else { continue };
            let rollup = rollup_named(row.get_ref(3)?.as_str()?);
            if let Some(scale) = bundle.scales.get_mut(position) {
                *scale = row.get(2)?;
                bundle.members.push(Member { id: row.get(0)?, position, rollup });
            }
        }
        let bundle = Arc::new(bundle);
        self.known.insert(id, Arc::clone(&bundle));
        Ok(bundle)
    }
}
