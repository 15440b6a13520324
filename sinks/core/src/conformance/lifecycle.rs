//! Clones, opening, probing, flushing, closing, and opening again.

use super::bench::{self, Bench, LIMIT, close};
use super::rows::Rows;
use super::{Harness, Keeps, Outcome};
use crate::{Batch, Item, MetricsSink, Written};

/// A clone of the configuration opens the same destination.
///
/// # Errors
///
/// What is missing there.
pub fn clone_opens_the_same_destination<H: Harness>() -> Outcome {
    let (mut bench, mut rows) = (Bench::<H>::new(), Rows::new()?);
    let config = bench.config()?;
    let mut writer = bench::open(&*config.clone())?;
    bench.write(&mut *writer, &rows.frames(3))?;
    bench.flush_and_compare(&mut *writer)?;
    close(writer)?;
    let mut writer = bench::open(&*config)?;
    bench.write(&mut *writer, &rows.frames(3))?;
    bench.flush_and_compare(&mut *writer)?;
    close(writer)
}

/// A clone of the handle that a controller holds delivers to the same destination.
///
/// # Errors
///
/// What is missing there.
pub fn cloned_handle_reaches_the_same_destination<H: Harness>() -> Outcome {
    let (mut bench, mut rows) = (Bench::<H>::new(), Rows::new()?);
    let pipeline = bench.pipeline()?;
    let handle = pipeline.sink();
    let clone: Box<dyn MetricsSink> = handle.clone();
    for _ in 0..5 {
        bench.emit(&*handle, Item::Frame(rows.frame()));
        bench.emit(&*clone, Item::Frame(rows.frame()));
    }
    if !pipeline.flush(LIMIT) {
        return Err("a flush of the pipeline was not done in time".to_owned());
    }
    bench.ledger.compare(&bench.harness)?;
    drop(pipeline.shutdown(LIMIT));
    Ok(())
}

/// To open and close writes no row.
///
/// # Errors
///
/// The row that is there.
pub fn opening_and_closing_writes_nothing<H: Harness>() -> Outcome {
    let bench = Bench::<H>::new();
    let mut writer = bench.open()?;
    bench.flush_and_compare(&mut *writer)?;
    close(writer)?;
    bench.ledger.compare(&bench.harness)
}

/// An empty batch does nothing.
///
/// # Errors
///
/// The row that is there, or an answer other than [`Written::All`].
pub fn empty_batch_writes_nothing<H: Harness>() -> Outcome {
    let bench = Bench::<H>::new();
    let mut writer = bench.open()?;
    let written = writer.write(&Batch::new(&[]), bench::soon());
    if !matches!(written, Written::All) {
        return Err(format!("an empty batch is answered with {written:?}"));
    }
    bench.flush_and_compare(&mut *writer)?;
    close(writer)
}

/// A probe of a working destination succeeds and writes no row.
///
/// # Errors
///
/// The row that is there, or the probe's error.
pub fn probe_writes_nothing<H: Harness>() -> Outcome {
    let (mut bench, mut rows) = (Bench::<H>::new(), Rows::new()?);
    let mut writer = bench.open()?;
    for _ in 0..2 {
        for _ in 0..3 {
            writer.probe(bench::soon()).map_err(|error| format!("a probe failed: {error}"))?;
        }
        bench.flush_and_compare(&mut *writer)?;
        bench.write(&mut *writer, &rows.frames(1))?;
    }
    close(writer)
}

/// After each flush a reader finds everything that was written before it.
///
/// # Errors
///
/// What is missing.
pub fn flushed_rows_are_visible<H: Harness>() -> Outcome {
    let (mut bench, mut rows) = (Bench::<H>::new(), Rows::new()?);
    let mut writer = bench.open()?;
    for _ in 0..3 {
        bench.write(&mut *writer, &rows.frames(4))?;
        bench.flush_and_compare(&mut *writer)?;
    }
    close(writer)
}

/// Rows are there after a close, and still there when the destination is opened again and written to.
///
/// # Errors
///
/// What is missing.
pub fn reopening_goes_on_where_it_was<H: Harness>() -> Outcome {
    let (mut bench, mut rows) = (Bench::<H>::new(), Rows::new()?);
    for _ in 0..3 {
        let mut writer = bench.open()?;
        bench.write(&mut *writer, &rows.frames(2))?;
        if H::KEEPS != Keeps::Everything {
            bench.flush_and_compare(&mut *writer)?;
        }
        close(writer)?;
        if H::KEEPS == Keeps::Everything {
            bench.ledger.compare(&bench.harness)?;
        }
    }
    Ok(())
}
