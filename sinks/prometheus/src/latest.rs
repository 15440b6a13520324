//! The newest value of every series, in bounded memory.
//!
//! It reads no clock: when a value came and when it is asked for are parameters.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wanctl_sink::{Metric, Schema, SchemaCache, Series};

use crate::exposition::{BadName, Family, labels};

/// A series without a value for this long is not shown, as Prometheus itself would forget it.
pub(crate) const STALE: Duration = Duration::from_secs(300);

/// The newest values. A series that was taken once keeps its place, until it is stale and the room is
/// needed for others.
pub(crate) struct Latest {
    limit: usize,
    values: Vec<Value>,
    /// By name of the metric, then by label text: the position in `values`.
    families: BTreeMap<&'static str, (&'static Metric, BTreeMap<String, usize>)>,
    /// What became of the series of the schemas seen so far, so that nothing is formatted twice.
    schemas: SchemaCache<Vec<Option<Place>>>,
    /// No value gets stale before that; `None` when it is not known.
    next_stale: Option<Instant>,
}

/// The position of a series, or why it has none.
type Place = Result<usize, Refusal>;

#[derive(Clone, Copy)]
struct Value {
    value: f64,
    at: Instant,
}

impl Value {
    fn is_fresh(self, now: Instant) -> bool {
        now.saturating_duration_since(self.at) < STALE
    }
}

/// Why a series is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("there are {0} series already, as many as max_series allows")]
    Full(usize),
    #[error(transparent)]
    Name(#[from] BadName),
}

impl Latest {
    /// No values, and room for `limit` series.
    pub(crate) fn new(limit: usize) -> Self {
        Latest {
            limit,
            values: Vec::new(),
            families: BTreeMap::new(),
            schemas: SchemaCache::default(),
            next_stale: None,
        }
    }

    /// Takes the value that the series at this position of a schema has now.
    ///
    /// # Errors
    ///
    /// Why the series is not taken: its name, for ever, or that there is no room for now.
    pub(crate) fn set(
        &mut self,
        schema: &Arc<Schema>,
        series: usize,
        value: f64,
        now: Instant,
    ) -> Result<(), Refusal> {
        let new = Value { value, at: now };
        if self.values.len() >= self.limit && self.next_stale.is_none_or(|stale| stale <= now) {
            self.make_room(now);
        }
        let none = || vec![None; schema.series().len()];
        if let Some(place) = &self.schemas.get_or_insert_with(schema, none)[series] {
            self.values[place.clone()?] = new;
            return Ok(());
        }
        let place = self.place(&schema.series()[series], new);
        self.schemas.get_or_insert_with(schema, none)[series] = Some(place.clone());
        self.values[place?] = new;
        Ok(())
    }

    /// Takes away the series that are stale; they come back like new ones.
    fn make_room(&mut self, now: Instant) {
        let old = mem::take(&mut self.values);
        for (_, family) in self.families.values_mut() {
            family.retain(|_, place| {
                let value = old[*place];
                let is_fresh = value.is_fresh(now);
                if is_fresh {
                    *place = self.values.len();
                    self.values.push(value);
                }
                is_fresh
            });
        }
        self.families.retain(|_, (_, family)| !family.is_empty());
        if self.values.len() < old.len() {
            // Places have moved, and who was refused may be taken now.
            self.schemas.clear();
        }
        self.next_stale = self.values.iter().map(|value| value.at + STALE).min();
    }

    /// The position of a series that a schema mentions for the first time. Another schema may have the
    /// same one.
    fn place(&mut self, series: &Series, first: Value) -> Place {
        let labels = labels(series)?;
        let metric = series.metric();
        if let Some(&place) =
            self.families.get(metric.name).and_then(|(_, family)| family.get(&labels))
        {
            return Ok(place);
        }
        if self.values.len() >= self.limit {
            return Err(Refusal::Full(self.limit));
        }
        let place = self.values.len();
        self.values.push(first);
        let (_, family) = self.families.entry(metric.name).or_insert((metric, BTreeMap::new()));
        family.insert(labels, place);
        Ok(place)
    }

    /// The families that have fresh values, and these values, sorted.
    pub(crate) fn fresh(&self, now: Instant) -> impl Iterator<Item = Family<'_>> {
        self.families.values().filter_map(move |(metric, family)| {
            let samples: Vec<(&str, f64)> = family
                .iter()
                .filter_map(|(labels, &place)| Some((labels.as_str(), self.values.get(place)?)))
                .filter(|(_, value)| value.is_fresh(now))
                .map(|(labels, value)| (labels, value.value))
                .collect();
            (!samples.is_empty()).then_some(Family { metric, samples })
        })
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "an instant can only be had from the clock")]
mod tests {
    use wanctl_sink::{Kind, Rollup, Unit};

    use super::*;

    static B: Metric = Metric {
        name: "wanctl_test_b",
        unit: Unit::None,
        kind: Kind::Gauge,
        rollup: Rollup::Mean,
        help: "Something",
        states: &[],
    };
    static A: Metric = Metric { name: "wanctl_test_a", ..B };

    fn schema(series: &[(&'static Metric, &str)]) -> Arc<Schema> {
        let series = series.iter().map(|(metric, wan)| Series::new(metric, *wan, "test"));
        Schema::new(series.collect()).unwrap()
    }

    /// `metric wan value` of all that is shown.
    fn shown(latest: &Latest, now: Instant) -> Vec<String> {
        let lines = |family: Family<'_>| {
            let metric = family.metric.name.trim_start_matches("wanctl_test_");
            let line = |(labels, value): &(&str, f64)| {
                format!("{metric} {} {value}", labels.split('"').nth(1).unwrap())
            };
            family.samples.iter().map(line).collect::<Vec<_>>()
        };
        latest.fresh(now).flat_map(lines).collect()
    }

    #[test]
    fn the_last_value_of_each_series_is_shown_sorted() {
        let (mut latest, now) = (Latest::new(10), Instant::now());
        let schema = schema(&[(&B, "y"), (&B, "x"), (&A, "z")]);
        for (series, value) in [(0, 1.0), (1, 2.0), (2, 3.0), (0, 4.0)] {
            latest.set(&schema, series, value, now).unwrap();
        }
        assert_eq!(shown(&latest, now), ["a z 3", "b x 2", "b y 4"]);
    }

    #[test]
    fn a_series_is_hidden_after_five_minutes_and_comes_back_with_its_next_value() {
        let (mut latest, start) = (Latest::new(1), Instant::now());
        let schema = schema(&[(&A, "x")]);
        latest.set(&schema, 0, 1.0, start).unwrap();
        assert_eq!(shown(&latest, start + STALE - Duration::from_nanos(1)), ["a x 1"]);
        assert!(shown(&latest, start + STALE).is_empty());
        latest.set(&schema, 0, 2.0, start + STALE).unwrap();
        assert_eq!(shown(&latest, start + STALE), ["a x 2"]);
    }

    #[test]
    fn series_beyond_the_limit_are_refused_and_known_ones_go_on() {
        let (mut latest, now) = (Latest::new(1), Instant::now());
        let schema = schema(&[(&A, "x"), (&A, "y")]);
        latest.set(&schema, 0, 1.0, now).unwrap();
        for _ in 0..2 {
            let refusal = latest.set(&schema, 1, 2.0, now).unwrap_err();
            assert_eq!(refusal, Refusal::Full(1));
        }
        latest.set(&schema, 0, 3.0, now).unwrap();
        assert_eq!(shown(&latest, now), ["a x 3"]);
    }

    #[test]
    fn a_series_of_two_schemas_is_one_series() {
        let (mut latest, now) = (Latest::new(1), Instant::now());
        latest.set(&schema(&[(&A, "x")]), 0, 1.0, now).unwrap();
        latest.set(&schema(&[(&B, "x"), (&A, "x")]), 1, 2.0, now).unwrap();
        assert_eq!(shown(&latest, now), ["a x 2"]);
    }

    #[test]
    fn a_thousand_schemas_in_a_row_leave_bounded_memory_and_right_values() {
        let (mut latest, now) = (Latest::new(100), Instant::now());
        // Another cache that holds all of them does not keep them here.
        let mut held = Vec::new();
        let lasting = schema(&[(&A, "x")]);
        for count in 1..=1000_u16 {
            let passing = schema(&[(&A, "x"), (&B, "y")]);
            latest.set(&passing, 1, f64::from(count), now).unwrap();
            latest.set(&lasting, 0, -f64::from(count), now).unwrap();
            held.push(passing);
        }
        assert_eq!(latest.schemas.len(), SchemaCache::<()>::CAPACITY);
        assert_eq!(shown(&latest, now), ["a x -1000", "b y 1000"]);
        latest.set(&held[0], 0, 7.0, now).unwrap();
        assert_eq!(shown(&latest, now), ["a x 7", "b y 1000"]);
    }

    #[test]
    fn of_a_thousand_series_in_a_row_the_fresh_ones_are_shown() {
        let (mut latest, start) = (Latest::new(10), Instant::now());
        let lasting = schema(&[(&B, "x")]);
        let wans: Vec<String> = (1000..2000).map(|wan| wan.to_string()).collect();
        let mut now = start;
        for wan in &wans {
            now += STALE / 5;
            latest.set(&schema(&[(&A, wan)]), 0, 1.0, now).unwrap();
            latest.set(&lasting, 0, 2.0, now).unwrap();
        }
        assert!(latest.values.len() <= 10, "{}", latest.values.len());
        let fresh: Vec<String> =
            wans[995..].iter().map(|wan| format!("a {wan} 1")).chain(["b x 2".into()]).collect();
        assert_eq!(shown(&latest, now), fresh);
    }

    #[test]
    fn a_series_that_was_refused_is_taken_when_another_one_has_become_stale() {
        let (mut latest, start) = (Latest::new(1), Instant::now());
        let schema = schema(&[(&A, "x"), (&A, "y")]);
        latest.set(&schema, 0, 1.0, start).unwrap();
        assert_eq!(latest.set(&schema, 1, 2.0, start), Err(Refusal::Full(1)));
        let later = start + STALE;
        latest.set(&schema, 1, 3.0, later).unwrap();
        assert_eq!(shown(&latest, later), ["a y 3"]);
        assert_eq!(latest.set(&schema, 0, 4.0, later), Err(Refusal::Full(1)));
    }
}
