//! What should be at the destination, compared with what is: by content, not by count.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::{Arrived, Harness, Keeps, Outcome};
use crate::{Batch, Item};

/// The rows that were sent and have to arrive.
pub(super) struct Ledger {
    expected: Vec<Arrived>,
}

/// Metric, WAN, source and labels.
type Identity = (String, String, String, String);
/// Time in units of the resolution, and the bits of the value.
type Point = (i128, u64);

impl Ledger {
    pub(super) fn new() -> Self {
        Ledger { expected: Vec::new() }
    }

    /// These rows were taken, but for those at the positions `refused`.
    pub(super) fn add<H: Harness>(
        &mut self,
        harness: &H,
        items: &[Item],
        refused: &BTreeSet<usize>,
    ) {
        let batch = Batch::new(items);
        let taken = batch.rows().enumerate().filter(|(position, _)| !refused.contains(position));
        self.expected.extend(taken.filter_map(|(_, row)| harness.keeps(&row)));
    }

    /// Whether the destination holds exactly the rows that were taken.
    ///
    /// # Errors
    ///
    /// The first row that is lost, altered, there twice, invented or out of order.
    pub(super) fn compare<H: Harness>(&self, harness: &H) -> Outcome {
        let found = harness.arrived();
        match H::KEEPS {
            Keeps::Nothing => Ok(()),
            Keeps::Newest => compare_newest(&self.expected, &found),
            Keeps::Everything => compare_all::<H>(&self.expected, found),
        }
    }
}

fn compare_newest(expected: &[Arrived], found: &[Arrived]) -> Outcome {
    let newest: BTreeMap<Identity, &Arrived> =
        expected.iter().map(|row| (identity(row), row)).collect();
    let mut shown: BTreeMap<Identity, &Arrived> = BTreeMap::new();
    for row in found {
        if shown.insert(identity(row), row).is_some() {
            return Err(format!("a series is there twice: {}", show(row)));
        }
    }
    for (series, row) in &newest {
        match shown.remove(series) {
            None => return Err(format!("a row is lost: {}", show(row))),
            Some(other) if other.value.to_bits() != row.value.to_bits() => {
                return Err(format!("a row is altered: {} became {}", show(row), show(other)));
            }
            Some(_) => {}
        }
    }
    shown.values().next().map_or(Ok(()), |row| Err(format!("a row is invented: {}", show(row))))
}

fn compare_all<H: Harness>(expected: &[Arrived], mut found: Vec<Arrived>) -> Outcome {
    let key = |row: &Arrived| (identity(row), point::<H>(row));
    if H::MAY_DOUBLE {
        let mut seen = BTreeSet::new();
        found.retain(|row| seen.insert(key(row)));
    }
    let mut missing: HashMap<(Identity, Point), i64> = HashMap::new();
    for row in expected {
        *missing.entry(key(row)).or_default() += 1;
    }
    let known: BTreeSet<_> = missing.keys().cloned().collect();
    let mut extra = Vec::new();
    for row in &found {
        match missing.get_mut(&key(row)) {
            Some(count) if *count > 0 => *count -= 1,
            _ => extra.push(row),
        }
    }
    let lost: Vec<&Arrived> =
        expected.iter().filter(|row| missing.get(&key(row)).is_some_and(|n| *n > 0)).collect();
    let moment = |row: &Arrived| (identity(row), point::<H>(row).0);
    if let Some(row) = extra.iter().find(|row| known.contains(&key(row))) {
        return Err(format!("a row is there twice: {}", show(row)));
    }
    if let Some(other) = extra.first() {
        return Err(match lost.iter().find(|row| moment(row) == moment(other)) {
            Some(row) => format!("a row is altered: {} became {}", show(row), show(other)),
            None => match lost.first() {
                Some(row) => {
                    format!("a row is invented: {}, and one is lost: {}", show(other), show(row))
                }
                None => format!("a row is invented: {}", show(other)),
            },
        });
    }
    if let Some(row) = lost.first() {
        return Err(format!("{} of {} rows are lost: {}", lost.len(), expected.len(), show(row)));
    }
    in_order::<H>(expected, &found)
}

/// Each series is in the order of emission, or in that of its times, which readers may prefer.
fn in_order<H: Harness>(expected: &[Arrived], found: &[Arrived]) -> Outcome {
    let by_series = |rows: &[Arrived]| {
        let mut series: BTreeMap<Identity, Vec<Point>> = BTreeMap::new();
        for row in rows {
            series.entry(identity(row)).or_default().push(point::<H>(row));
        }
        series
    };
    let found = by_series(found);
    for (series, mut points) in by_series(expected) {
        let there = found.get(&series);
        if there == Some(&points) {
            continue;
        }
        points.sort_by_key(|(time, _)| *time);
        if there != Some(&points) {
            let (metric, wan, ..) = series;
            return Err(format!("the rows of {metric} of {wan:?} are out of order"));
        }
    }
    Ok(())
}

fn identity(row: &Arrived) -> Identity {
    let labels = row.labels.as_deref().unwrap_or("{}");
    let labels = match serde_json::from_str(labels) {
        Ok(Value::Object(labels)) => {
            let sorted: BTreeMap<String, Value> = labels.into_iter().collect();
            format!("{sorted:?}")
        }
        _ => format!("not a JSON object: {labels}"),
    };
    (row.metric.clone(), row.wan.clone(), row.source.clone(), labels)
}

fn point<H: Harness>(row: &Arrived) -> Point {
    let resolution = H::RESOLUTION.as_nanos().clamp(1, i64::MAX as u128) as i128;
    (i128::from(row.unix_nanos).div_euclid(resolution), row.value.to_bits())
}

fn show(row: &Arrived) -> String {
    let Arrived { metric, wan, source, labels, unix_nanos, value } = row;
    let labels = labels.as_deref().unwrap_or("no labels");
    format!("{metric} of {wan:?} by {source:?} with {labels} at {unix_nanos} ns = {value:?}")
}
