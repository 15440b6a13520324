//! Each chunk: what is in it, what its row says, and what stands beside it in `frames`.

use std::sync::Arc;

use super::{Check, VerifyStep, wanted};
use crate::history::damage::Damage;
use crate::history::raw::{Pages, Sealed, decode};
use crate::history::series;
use crate::history::time::{end_of, instant, split};
use crate::history::{Order, Problem};
use crate::places::WIDTH;

impl Check<'_> {
    pub(super) fn chunks(&mut self) -> rusqlite::Result<()> {
        // A damaged one has the negative of its bundle.
        let sql = "SELECT id FROM chunks ORDER BY bundle_id, first_sec";
        let mut ids = self.db.prepare(sql)?;
        let ids: Vec<i64> = ids.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let total = ids.len() as u64;
        let mut before: Option<(i64, i64, i64)> = None;
        for (done, id) in (0..).zip(ids) {
            if self.is_full() {
                return Ok(());
            }
            self.report(VerifyStep::Chunks, done, total);
            let transaction = self.db.unchecked_transaction()?;
            if let Some((bundle, first, last)) = self.chunk(id)? {
                if let Some((other, chunk, end)) = before
                    && bundle == other
                    && first <= end
                {
                    self.problems.push(Problem::ChunksOverlap { chunk, other: id });
                }
                before = Some((bundle, id, last));
            }
            transaction.finish()?;
        }
        self.report(VerifyStep::Chunks, total, total);
        Ok(())
    }

    /// Looks into a chunk, unless it was replaced meanwhile. Returns its bundle and its seconds.
    fn chunk(&mut self, id: i64) -> rusqlite::Result<Option<(i64, i64, i64)>> {
        let mut select = self.db.prepare_cached(
            "SELECT bundle_id, first_sec, last_sec, frames, samples FROM chunks WHERE id = ?1",
        )?;
        let mut rows = select.query([id])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let bundle: i64 = row.get(0)?;
        let stored: [i64; 4] = [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?];
        let [first, last, _, _] = stored;
        let positions: [usize; WIDTH] = std::array::from_fn(|position| position);
        let chunk = match decode(self.db, id, &positions)? {
            Err(error) => {
                let reason = error.to_string();
                self.problems.push(Problem::ChunkDamaged { chunk: id, reason });
                return Ok(Some((bundle, first, last)));
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
                self.problems.push(Problem::ChunkMismatch { chunk: id, column, stored, found });
            }
        }
        if !chunk.micros.is_sorted_by(|one, next| one < next) {
            self.problems.push(Problem::ChunkDisordered { chunk: id });
        }
        self.two_values(bundle, Sealed { id, from: instant(first, 0), to: end_of(last) })?;
        Ok(Some((bundle, first, last)))
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
