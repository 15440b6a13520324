//! Raw rows of a bundle as they were written, wherever they stand: in `frames`, or sealed in `chunks`.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::cell::Cell;
use crate::chunk::{Chunk, Column, Values};
use crate::places::WIDTH;

/// One row: a cycle of the series of a bundle.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Frame {
    pub(crate) sec: i64,
    pub(crate) us: i64,
    pub(crate) cells: [Option<Cell>; WIDTH],
}

impl Frame {
    fn instant(&self) -> (i64, i64) {
        (self.sec, self.us)
    }
}

/// Seconds from the first to the last, both included.
pub(crate) type Seconds = (i64, i64);

/// What `frames` holds of a bundle in these seconds: the oldest `limit` rows.
pub(crate) fn hot(
    db: &Connection,
    bundle: i64,
    (first, last): Seconds,
    limit: usize,
) -> rusqlite::Result<Vec<Frame>> {
    let mut read = db.prepare_cached(
        "SELECT sec, us, v0, v1, v2, v3, v4, v5, v6, v7 FROM frames
         WHERE bundle_id = ?1 AND sec BETWEEN ?2 AND ?3 ORDER BY sec, us LIMIT ?4",
    )?;
    let frame = |row: &Row<'_>| {
        let mut cells = [None; WIDTH];
        for (column, cell) in cells.iter_mut().enumerate() {
            // Nothing else was written by this sink.
            *cell = match row.get_ref(column + 2)? {
                ValueRef::Integer(whole) => Some(Cell::Whole(whole)),
                ValueRef::Real(real) => Some(Cell::Real(real)),
                _ => None,
            };
        }
        Ok(Frame { sec: row.get(0)?, us: row.get(1)?, cells })
    };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    read.query_map(params![bundle, first, last, limit], frame)?.collect()
}

/// A sealed range of a bundle, without its rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sealed {
    pub(crate) id: i64,
    pub(crate) seconds: Seconds,
    pub(crate) frames: usize,
}

/// The last sealed range of a bundle that begins at this second or before.
pub(crate) fn sealed_before(
    db: &Connection,
    bundle: i64,
    sec: i64,
) -> rusqlite::Result<Option<Sealed>> {
    let sql = "SELECT id, first_sec, last_sec, frames FROM chunks
               WHERE bundle_id = ?1 AND first_sec <= ?2 ORDER BY first_sec DESC LIMIT 1";
    db.prepare_cached(sql)?.query_row(params![bundle, sec], sealed).optional()
}

/// The sealed ranges of a bundle that begin in these seconds, oldest first.
pub(crate) fn sealed_within(
    db: &Connection,
    bundle: i64,
    (first, last): Seconds,
) -> rusqlite::Result<Vec<Sealed>> {
    let sql = "SELECT id, first_sec, last_sec, frames FROM chunks
               WHERE bundle_id = ?1 AND first_sec BETWEEN ?2 AND ?3 ORDER BY first_sec";
    db.prepare_cached(sql)?.query_map(params![bundle, first, last], sealed)?.collect()
}

fn sealed(row: &Row<'_>) -> rusqlite::Result<Sealed> {
    // More rows than an i64 counts there are none; a count that makes no sense is taken for a large one.
    let frames = usize::try_from(row.get::<_, i64>(3)?).unwrap_or(usize::MAX);
    Ok(Sealed { id: row.get(0)?, seconds: (row.get(1)?, row.get(2)?), frames })
}

/// The rows of a sealed range. `None` if what is sealed there is damaged; the rows of one damaged chunk
/// must not keep all others from being looked after.
pub(crate) fn unseal(
    db: &Connection,
    chunk: i64,
    scales: &[f64; WIDTH],
) -> rusqlite::Result<Option<Vec<Frame>>> {
    let mut read = db.prepare_cached("SELECT data FROM chunks WHERE id = ?1")?;
    let data: Vec<u8> = read.query_row([chunk], |row| row.get(0))?;
    let all: [usize; WIDTH] = std::array::from_fn(|column| column);
    Ok(Chunk::decode(&data, &all).ok().map(|chunk| rows(&chunk, scales)))
}

/// A chunk's rows.
fn rows(chunk: &Chunk, scales: &[f64; WIDTH]) -> Vec<Frame> {
    let split = |micros: &i64| (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    let frame = |(sec, us)| Frame { sec, us, cells: [None; WIDTH] };
    let mut frames: Vec<Frame> = chunk.micros.iter().map(split).map(frame).collect();
    for ((column, scale), position) in chunk.columns.iter().zip(scales).zip(0..) {
        let Some(column) = column else { continue };
        let mut values = cells(&column.values, *scale);
        for (at, frame) in frames.iter_mut().enumerate() {
            let is_there = column.present.as_ref().is_none_or(|all| all.get(at) == Some(&true));
            if let Some(cell) = frame.cells.get_mut(position)
                && is_there
            {
                *cell = values.next();
            }
        }
    }
    frames
}

fn cells(values: &Values, scale: f64) -> Box<dyn Iterator<Item = Cell> + '_> {
    match values {
        Values::Whole(wholes) => Box::new(wholes.iter().copied().map(Cell::Whole)),
        Values::Real(reals) => Box::new(reals.iter().map(move |real| Cell::of(*real, scale))),
    }
}

/// Rows as a chunk, and how many samples they have.
pub(crate) fn chunk(frames: &[Frame], scales: &[f64; WIDTH]) -> (Chunk, usize) {
    let micros = frames.iter().map(|frame| frame.sec * 1_000_000 + frame.us).collect();
    let mut samples = 0;
    let columns = std::array::from_fn(|position| {
        let cells: Vec<Option<Cell>> =
            frames.iter().map(|frame| frame.cells.get(position).copied().flatten()).collect();
        let there: Vec<Cell> = cells.iter().flatten().copied().collect();
        samples += there.len();
        let present = (there.len() < frames.len())
            .then(|| cells.iter().map(Option::is_some).collect::<Vec<bool>>());
        let scale = scales.get(position).copied().unwrap_or(1.0);
        let wholes = there.iter().map(|cell| match cell {
            Cell::Whole(whole) => Some(*whole),
            Cell::Real(_) => None,
        });
        let values = match wholes.collect() {
            Some(wholes) => Values::Whole(wholes),
            None => Values::Real(there.iter().map(|cell| cell.value(scale)).collect()),
        };
        (!there.is_empty()).then_some(Column { present, values })
    });
    (Chunk { micros, columns }, samples)
}

/// Both in order of time. A row of an instant that is in both is the same row; what it has in `first` stays.
pub(crate) fn merge(first: Vec<Frame>, second: Vec<Frame>) -> Vec<Frame> {
    let mut all = first;
    all.extend(second);
    // The sort is stable, so rows of one instant stay in this order.
    all.sort_by_key(Frame::instant);
    all.dedup_by(|later, kept| {
        let same = later.instant() == kept.instant();
        if same {
            for (kept, later) in kept.cells.iter_mut().zip(later.cells) {
                *kept = kept.or(later);
            }
        }
        same
    });
    all
}

/// All rows of a bundle in these seconds, sealed or not, in order; `None` if some of them are damaged.
pub(crate) fn all(
    db: &Connection,
    bundle: i64,
    seconds: Seconds,
    scales: &[f64; WIDTH],
) -> rusqlite::Result<Option<Vec<Frame>>> {
    let (first, last) = seconds;
    let before = sealed_before(db, bundle, first)?.filter(|sealed| sealed.seconds.0 < first);
    let mut sealed = Vec::new();
    for range in before.into_iter().chain(sealed_within(db, bundle, seconds)?) {
        if range.seconds.1 >= first {
            let Some(frames) = unseal(db, range.id, scales)? else { return Ok(None) };
            sealed.extend(frames);
        }
    }
    sealed.retain(|frame| (first..=last).contains(&frame.sec));
    let hot = hot(db, bundle, seconds, usize::MAX)?;
    Ok(Some(if sealed.is_empty() { hot } else { merge(sealed, hot) }))
}
