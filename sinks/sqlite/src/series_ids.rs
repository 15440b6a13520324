//! Which row of `series` stands for which series of a schema.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};
use wanctl_sink::{Schema, Series};

/// The ids found so far. Rows of `series` are never deleted, so an id that is committed stays true;
/// [`forget`](Self::forget) all after a transaction that may not have been.
#[derive(Default)]
pub(crate) struct SeriesIds {
    schemas: Vec<(Arc<Schema>, Vec<Option<i64>>)>,
}

impl SeriesIds {
    /// The id of a series, in the transaction that is open on `db`.
    pub(crate) fn id(
        &mut self,
        db: &Connection,
        schema: &Arc<Schema>,
        series: usize,
    ) -> rusqlite::Result<i64> {
        let position = match self.schemas.iter().position(|(known, _)| Arc::ptr_eq(known, schema)) {
            Some(position) => position,
            None => {
                // Schemas that only this cache still holds will not come again.
                self.schemas.retain(|(known, _)| Arc::strong_count(known) > 1);
                self.schemas.push((Arc::clone(schema), vec![None; schema.series().len()]));
                self.schemas.len() - 1
            }
        };
        let known = &mut self.schemas[position].1[series];
        match *known {
            Some(id) => Ok(id),
            None => Ok(*known.insert(intern(db, &schema.series()[series])?)),
        }
    }

    /// Forgets every id.
    pub(crate) fn forget(&mut self) {
        self.schemas.clear();
    }
}

/// Another process may have made the row; inside a transaction that can write, it is there to stay.
fn intern(db: &Connection, series: &Series) -> rusqlite::Result<i64> {
    let identity = params![
        series.metric().name,
        series.wan(),
        series.source(),
        series.labels().json().unwrap_or_default()
    ];
    let mut find = db.prepare_cached(
        "SELECT id FROM series
         WHERE metric_name = ?1 AND wan_name = ?2 AND source = ?3 AND labels = ?4",
    )?;
    if let Some(id) = find.query_row(identity, |row| row.get(0)).optional()? {
        return Ok(id);
    }
    let mut add = db.prepare_cached(
        "INSERT INTO series (metric_name, wan_name, source, labels) VALUES (?1, ?2, ?3, ?4)",
    )?;
    add.insert(identity)
}
