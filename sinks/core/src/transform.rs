//! What a sink gets of what was emitted: selected, renamed and thinned rows.
//!
//! It is pure: time comes with the items, and who calls it counts what it drops.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::{
    Event, Frame, Item, Kind, Metric, Reduce, Rollup, Sample, Schema, Select, Series, Timestamp,
};

/// How many schemas are remembered. Each emitter has a few and keeps them for as long as it runs.
const SCHEMAS: usize = 64;

/// A sink's selection, prefix and thinning, with what it knows of the schemas it has seen.
#[derive(Debug)]
pub(crate) struct Transform {
    select: Select,
    prefix: String,
    /// Least recently used first.
    plans: VecDeque<Plan>,
}

impl Transform {
    /// `None` when every row passes as it is.
    pub(crate) fn new(select: &Select, prefix: &str) -> Option<Self> {
        let idle = select.is_everything() && prefix.is_empty();
        let plans = VecDeque::new();
        (!idle).then(|| Transform { select: select.clone(), prefix: prefix.to_owned(), plans })
    }

    /// Takes one item that was emitted at this time of the pipeline's coarse clock; what the sink is to
    /// get now goes to `out`.
    ///
    /// Returns how many rows were dropped now. Rows that wait in an open window are not.
    pub(crate) fn take(&mut self, item: Item, emitted: u64, out: &mut Vec<Item>) -> usize {
        match item {
            Item::Event(event) => self.take_event(event, out),
            Item::Frame(frame) => self.take_frame(frame, emitted, out),
        }
    }

    /// Closes every open window, for a flush or a stop. Returns how many rows were dropped.
    pub(crate) fn close(&mut self, out: &mut Vec<Item>) -> usize {
        self.plans.iter_mut().map(|plan| plan.close(out)).sum()
    }

    /// Closes the windows whose last frame was emitted before this time: their emitters have ended.
    pub(crate) fn close_older(&mut self, than: u64, out: &mut Vec<Item>) -> usize {
        let is_older = |plan: &&mut Plan| plan.window.as_ref().is_some_and(|w| w.emitted < than);
        self.plans.iter_mut().filter(is_older).map(|plan| plan.close(out)).sum()
    }

    /// How long a window is; `None` when values are not thinned.
    pub(crate) fn every(&self) -> Option<Duration> {
        self.select.every
    }

    /// How many rows wait in open windows.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.plans.iter().filter_map(|plan| plan.window.as_ref()).map(|window| window.rows).sum()
    }

    fn take_event(&self, event: Arc<Event>, out: &mut Vec<Item>) -> usize {
        if !self.select.takes_event(&event) {
            return 1;
        }
        let metric = event.metric.with_prefix(&self.prefix);
        let same = std::ptr::eq(metric, event.metric);
        out.push(Item::Event(if same {
            event
        } else {
            Arc::new(Event { metric, ..(*event).clone() })
        }));
        0
    }

    fn take_frame(&mut self, frame: Arc<Frame>, emitted: u64, out: &mut Vec<Item>) -> usize {
        let (mut plan, mut dropped) = self.plan(frame.schema(), out);
        dropped += match self.select.every {
            Some(every) => plan.hold(&frame, emitted, every, out),
            None => plan.pass(frame, out),
        };
        self.plans.push_back(plan);
        dropped
    }

    /// The plan for a schema, taken out; the caller puts it back. A new one may take the place of the
    /// least recently used, whose window is closed: so many rows of it are dropped.
    fn plan(&mut self, schema: &Arc<Schema>, out: &mut Vec<Item>) -> (Plan, usize) {
        let known = self.plans.iter().position(|plan| Arc::ptr_eq(&plan.source, schema));
        if let Some(plan) = known.and_then(|index| self.plans.remove(index)) {
            return (plan, 0);
        }
        let oldest = if self.plans.len() < SCHEMAS { None } else { self.plans.pop_front() };
        let dropped = oldest.map_or(0, |mut oldest| oldest.close(out));
        (Plan::new(schema, &self.select, &self.prefix), dropped)
    }
}

/// A frame of several samples as frames of one each, in their order; anything else as it is.
pub(crate) fn split(item: &Item) -> Vec<Item> {
    match item {
        Item::Frame(frame) if frame.samples().len() > 1 => {
            let one = |sample: &Sample| {
                let mut one = Frame::new(frame.at(), frame.schema());
                one.push(usize::from(sample.series), sample.value);
                Item::Frame(Arc::new(one))
            };
            frame.samples().iter().map(one).collect()
        }
        other => vec![other.clone()],
    }
}

/// What becomes of the frames of one schema.
#[derive(Debug)]
struct Plan {
    source: Arc<Schema>,
    /// The selected series under their new names; the source itself where all stay as they are.
    derived: Arc<Schema>,
    /// What becomes of each series of the source; `None` for one that is not selected.
    targets: Box<[Option<Target>]>,
    window: Option<Window>,
}

#[derive(Clone, Copy, Debug)]
struct Target {
    /// Position in the derived schema.
    series: usize,
    /// How its values become one.
    reduce: Reduce,
}

impl Plan {
    fn new(source: &Arc<Schema>, select: &Select, prefix: &str) -> Self {
        let mut selected = Vec::new();
        let target = |series: &Series| {
            select.takes_series(series).then(|| {
                let metric = series.metric();
                selected.push(series.with_metric(metric.with_prefix(prefix)));
                Target { series: selected.len() - 1, reduce: reduce_of(metric, select.reduce) }
            })
        };
        let targets = source.series().iter().map(target).collect();
        let same = prefix.is_empty() && selected.len() == source.series().len();
        let derived = if same { Arc::clone(source) } else { Schema::of_some(selected) };
        Plan { source: Arc::clone(source), derived, targets, window: None }
    }

    fn target(&self, sample: &Sample) -> Option<Target> {
        *self.targets.get(usize::from(sample.series))?
    }

    /// Passes the selected samples on at once. Returns how many were not selected.
    fn pass(&self, frame: Arc<Frame>, out: &mut Vec<Item>) -> usize {
        if Arc::ptr_eq(&self.source, &self.derived) {
            out.push(Item::Frame(frame));
            return 0;
        }
        let mut derived = Frame::new(frame.at(), &self.derived);
        for sample in frame.samples() {
            if let Some(target) = self.target(sample) {
                derived.push(target.series, sample.value);
            }
        }
        let dropped = frame.samples().len() - derived.samples().len();
        if !derived.samples().is_empty() {
            out.push(Item::Frame(Arc::new(derived)));
        }
        dropped
    }

    /// Adds the selected samples to their window, and closes one that is open for another time: earlier
    /// or later, as clocks step. Returns how many rows were dropped.
    fn hold(&mut self, frame: &Frame, emitted: u64, every: Duration, out: &mut Vec<Item>) -> usize {
        let every = i64::try_from(every.as_nanos()).unwrap_or(i64::MAX).max(1);
        let index = frame.at().unix_nanos.div_euclid(every);
        let over = self.window.as_ref().is_some_and(|window| window.index != index);
        let mut dropped = if over { self.close(out) } else { 0 };
        for sample in frame.samples() {
            match self.target(sample) {
                Some(target) => {
                    let series = self.derived.series().len();
                    let window = self.window.get_or_insert_with(|| Window::new(index, series));
                    window.at = frame.at();
                    window.emitted = emitted;
                    window.add(target, sample.value);
                }
                None => dropped += 1,
            }
        }
        dropped
    }

    /// Closes the window, if one is open. Returns how many of its rows became part of others.
    fn close(&mut self, out: &mut Vec<Item>) -> usize {
        let Some(window) = self.window.take() else { return 0 };
        let mut derived = Frame::new(window.at, &self.derived);
        for (series, cell) in window.cells.iter().enumerate() {
            if let Some(cell) = cell {
                derived.push(series, cell.value);
            }
        }
        let dropped = window.rows - derived.samples().len();
        out.push(Item::Frame(Arc::new(derived)));
        dropped
    }
}

/// How the values of this metric become one: averaging or ranking the codes of states makes no sense.
fn reduce_of(metric: &Metric, reduce: Reduce) -> Reduce {
    let level = metric.kind != Kind::State && metric.rollup == Rollup::Mean;
    if level { reduce } else { Reduce::Last }
}

/// The values of one span so far, for one schema.
#[derive(Debug)]
struct Window {
    /// Which span of the wall clock.
    index: i64,
    /// When its last frame was.
    at: Timestamp,
    /// The same by the pipeline's coarse clock.
    emitted: u64,
    /// How many rows came in.
    rows: usize,
    /// By position in the derived schema.
    cells: Box<[Option<Cell>]>,
}

impl Window {
    fn new(index: i64, series: usize) -> Self {
        let cells = vec![None; series].into();
        Window { index, at: Timestamp::default(), emitted: 0, rows: 0, cells }
    }

    fn add(&mut self, target: Target, value: f64) {
        let Some(cell) = self.cells.get_mut(target.series) else { return };
        self.rows += 1;
        match cell {
            Some(cell) => cell.add(value, target.reduce),
            None => *cell = Some(Cell { value, count: 1.0 }),
        }
    }
}

/// What one series had in a span, as one value.
#[derive(Clone, Copy, Debug)]
struct Cell {
    value: f64,
    count: f64,
}

impl Cell {
    fn add(&mut self, value: f64, reduce: Reduce) {
        self.count += 1.0;
        self.value = match reduce {
            Reduce::Last => value,
            Reduce::Min => self.value.min(value),
            Reduce::Max => self.value.max(value),
            // A sum of finite values may not be finite; this is, so the row is never refused.
            Reduce::Mean => (self.value + (value / self.count - self.value / self.count))
                .clamp(f64::MIN, f64::MAX),
        };
    }
}

#[cfg(test)]
mod tests;
