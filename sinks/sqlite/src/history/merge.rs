//! Several streams as one, in the order of time.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use rusqlite::Connection;

use super::streams::Stream;
use super::time::instant;
use super::{Order, Record, SeriesName};

/// All rows of some streams, by time and then by series.
#[derive(Debug)]
pub(super) struct Merge {
    streams: Vec<Stream>,
    heads: BinaryHeap<Head>,
    /// What went wrong when the row after the last one was read.
    failed: Option<rusqlite::Error>,
}

/// Where a stream has got to.
#[derive(Debug)]
struct Head {
    /// Greater is read first.
    rank: i64,
    /// `None` as long as nothing was read.
    record: Option<Record>,
    stream: usize,
    order: Order,
}

impl Head {
    fn new(at: i64, record: Option<Record>, stream: usize, order: Order) -> Self {
        let rank = match order {
            Order::NewestFirst => at,
            Order::OldestFirst => at.saturating_neg(),
        };
        Head { rank, record, stream, order }
    }

    fn series(&self) -> Option<&SeriesName> {
        self.record.as_ref().map(|record| &*record.series)
    }

    fn of(record: Record, stream: usize, order: Order) -> Self {
        Head::new(instant(record.timestamp, record.micros), Some(record), stream, order)
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        // A stream that is not read yet may have a row for this instant, so it goes first.
        self.rank
            .cmp(&other.rank)
            .then_with(|| other.series().cmp(&self.series()))
            .then_with(|| other.stream.cmp(&self.stream))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Head {}

impl Merge {
    pub(super) fn new(streams: Vec<Stream>, order: Order) -> Self {
        let head = |(stream, rows): (usize, &Stream)| {
            rows.bound().map(|at| Head::new(at, None, stream, order))
        };
        let heads = streams.iter().enumerate().filter_map(head).collect();
        Merge { streams, heads, failed: None }
    }

    /// Leaves out up to so many rows, if that is quicker than to read them; says how many.
    pub(super) fn skip(&mut self, db: &Connection, most: u64) -> rusqlite::Result<u64> {
        // As long as there are several streams, nobody knows whose rows are next.
        let alone = if self.heads.len() == 1 { self.heads.peek() } else { None };
        let alone = alone.filter(|head| head.record.is_none()).map(|head| head.stream);
        match alone.and_then(|stream| self.streams.get_mut(stream)) {
            Some(rows) => rows.skip(db, most),
            None => Ok(0),
        }
    }

    pub(super) fn next(&mut self, db: &Connection) -> rusqlite::Result<Option<Record>> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let is_last = self.heads.len() == 1;
        loop {
            let Some(mut head) = self.heads.peek_mut() else { return Ok(None) };
            if is_last && let Some(record) = head.record.take() {
                return Ok(Some(record));
            }
            let (stream, order) = (head.stream, head.order);
            let next = match self.streams.get_mut(stream) {
                Some(rows) => rows.next(db),
                None => Ok(None),
            };
            let record = match next {
                // Nothing is left to compare it with.
                Ok(Some(next)) if is_last => return Ok(Some(next)),
                Ok(Some(next)) => {
                    std::mem::replace(&mut *head, Head::of(next, stream, order)).record
                }
                Ok(None) => PeekMut::pop(head).record,
                Err(error) => {
                    self.failed = Some(error);
                    PeekMut::pop(head).record
                }
            };
            if record.is_some() {
                return Ok(record);
            }
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
        }
    }
}
