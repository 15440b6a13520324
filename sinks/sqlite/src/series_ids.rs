//! Which row of `series` stands for which series of a schema.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};
use wanctl_sink::{Schema, SchemaCache, Series};

/// The ids found so far. Rows of `series` are never deleted, so an id that is committed stays true;
/// [`forget`](Self::forget) all after a transaction that may not have been.
#[derive(Default)]
pub(crate) struct SeriesIds {
    schemas: SchemaCache<Vec<Option<i64>>>,
}

impl SeriesIds {
    /// The id of a series, in the transaction that is open on `db`.
    pub(crate) fn id(
        &mut self,
        db: &Connection,
        schema: &Arc<Schema>,
        series: usize,
    ) -> rusqlite::Result<i64> {
        let none = || vec![None; schema.series().len()];
        let known = &mut self.schemas.get_or_insert_with(schema, none)[series];
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

#[cfg(test)]
mod tests {
    use wanctl_sink::{Kind, Metric, Rollup, Unit};

    use super::*;

    static RTT: Metric = Metric {
        name: "wanctl_test_rtt_ms",
        unit: Unit::Milliseconds,
        kind: Kind::Gauge,
        rollup: Rollup::Mean,
        help: "Round-trip time",
        states: &[],
    };

    #[test]
    fn a_thousand_schemas_in_a_row_leave_bounded_memory_and_right_ids() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(include_str!("schema.sql")).unwrap();
        let mut ids = SeriesIds::default();
        let schema = |wan: String| Schema::new(vec![Series::new(&RTT, wan, "test")]).unwrap();
        // Somebody else holds them all, as another sink may.
        let schemas: Vec<_> = (0..1000).map(|wan| schema(format!("wan{wan}"))).collect();
        let first: Vec<i64> = schemas.iter().map(|one| ids.id(&db, one, 0).unwrap()).collect();
        assert_eq!(ids.schemas.len(), SchemaCache::<()>::CAPACITY);
        let again: Vec<i64> = schemas.iter().map(|one| ids.id(&db, one, 0).unwrap()).collect();
        assert_eq!(first, again);
        let mut names = db.prepare("SELECT wan_name FROM series ORDER BY id").unwrap();
        let names: Vec<String> =
            names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let expected: Vec<String> = (0..1000).map(|wan| format!("wan{wan}")).collect();
        assert_eq!(names, expected);
    }
}
