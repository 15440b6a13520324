//! Each chunk: what is in it, what its row says, and what stands beside it in `frames`.

use std::sync::Arc;

use super::{Check, VerifyStep, wanted};
use crate::history::damage::Damage;
use crate::history::raw::{Pages, Sealed, decode};
use crate::history::series;
use crate::history::time::{end_of, instant, split};
use crate::history::{ChunkPlace, Order, Problem};
use crate::places::WIDTH;

impl Check<'_> {
    pub(super) fn chunks(&mut self) -> rusqlite::Result<()> {
        let sql = "SELECT id FROM chunks ORDER BY bundle_id, first_sec";
        let mut ids = self.db.prepare(sql)?;
        let ids: Vec<i64> = ids.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let total = ids.len() as u64;
        let mut before: Option<ChunkPlace> = None;
        for (done, id) in (0..).zip(ids) {
            if self.is_full() {
                return Ok(());
            }
            self.report(VerifyStep::Chunks, done, total);
            let transaction = self.db.unchecked_transaction()?;
            if let Some(other) = self.chunk(id)? {
                if let Some(chunk) = before
                    && chunk.bundle == other.bundle
                    && other.first <= chunk.last
                {
                    let other = other.clone();
                    self.problems.push(Problem::ChunksOverlap { chunk, other });
                }
                before = Some(other);
            }
            transaction.finish()?;
        }
        self.report(VerifyStep::Chunks, total, total);
        Ok(())
    }

    /// Looks into a chunk, unless it was replaced meanwhile. Returns it if it is one of its bundle's.
    fn chunk(&mut self, id: i64) -> rusqlite::Result<Option<ChunkPlace>> {
        let mut select = self.db.prepare_cached(
            "SELECT bundle_id, first_sec, last_sec, frames, samples FROM chunks WHERE id = ?1",
        )?;
        let mut rows = select.query([id])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let stored_bundle: i64 = row.get(0)?;
        // One that maintenance found damaged has the negative of its bundle, and its time may be another's.
        let (bundle, is_set_apart) = (stored_bundle.abs(), stored_bundle < 0);
        let stored: [i64; 4] = [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?];
        let [first, last, _, _] = stored;
        let series = series::of_bundle(self.db, bundle)?;
        let series = series.into_iter().map(|series| series.name).collect();
        let place = ChunkPlace { id, bundle, series, first, last };
        let positions: [usize; WIDTH] = std::array::from_fn(|position| position);
        let chunk = match decode(self.db, id, &positions)? {
            Err(error) => {
                let reason = error.to_string();
                self.problems.push(Problem::ChunkDamaged { chunk: place.clone(), reason });
                return Ok(Some(place).filter(|_| !is_set_apart));
            }
            Ok(decoded) => decoded,
        };
        let samples: usize = chunk.columns.iter().flatten().map(|column| column.values.len()).sum();
        let sec = |instant: Option<&i64>| instant.map_or(0, |instant| split(*instant).0);
        let found = [
            sec(chunk.micros.first()),
            sec(chunk.micros.last()),
            chunk.micros.len() as i64,
            samples as i64,
        ];
        let columns = ["first_sec", "last_sec", "frames", "samples"];
        for ((column, stored), found) in columns.into_iter().zip(stored).zip(found) {
            if stored != found {
                let chunk = place.clone();
                self.problems.push(Problem::ChunkMismatch { chunk, column, stored, found });
            }
        }
        if !chunk.micros.is_sorted_by(|one, next| one < next) {
            self.problems.push(Problem::ChunkDisordered { chunk: place.clone() });
        }
        if is_set_apart {
            return Ok(None);
        }
        self.two_values(bundle, Sealed { id, from: instant(first, 0), to: end_of(last) })?;
        Ok(Some(place))
    }

    /// Looks for rows that are in a chunk and, with other values, in `frames`.
    fn two_values(&mut self, bundle: i64, chunk: Sealed) -> rusqlite::Result<()> {
        let all = series::of_bundle(self.db, bundle)?;
        // It was decoded a moment ago.
        let none = Damage::default();
        let wanted = wanted(&all, chunk.from, chunk.to);
        let hot =
            Pages::new(bundle, wanted.clone(), Order::OldestFirst, &none).late(self.db, chunk)?;
        if hot.instants.is_empty() {
            return Ok(());
        }
        let sealed = chunk.read(self.db, &wanted, &none)?;
        for (column, series) in all.iter().enumerate() {
            let mut sealed = sealed.samples(column, chunk.from, chunk.to).peekable();
            for (at, hot) in hot.samples(column, chunk.from, chunk.to) {
                while sealed.next_if(|(before, _)| *before < at).is_some() {}
                let Some((_, sealed)) = sealed.next_if(|(same, _)| *same == at) else { continue };
                if sealed != hot {
                    let (timestamp, micros) = split(at);
                    let series = Arc::clone(&series.name);
                    self.problems.push(Problem::TwoValues {
                        series,
                        timestamp,
                        micros,
                        sealed,
                        hot,
                    });
                }
            }
        }
        Ok(())
    }
}
