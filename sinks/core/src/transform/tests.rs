//! What passes, what is dropped, what is made of a window, and that the accounts hold.

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, json};

use super::*;
use crate::{Batch, Glob, Unit};

const fn metric(name: &'static str, kind: Kind, rollup: Rollup) -> Metric {
    Metric { name, unit: Unit::Milliseconds, kind, rollup, help: "For tests", states: &[] }
}

static RTT: Metric = metric("wanctl_rtt_ms", Kind::Gauge, Rollup::Mean);
static DEBUG: Metric = metric("wanctl_rtt_debug", Kind::Gauge, Rollup::Mean);
static STATE: Metric = metric("wanctl_state", Kind::State, Rollup::Mode);
static CHANGE: Metric = metric("wanctl_change", Kind::Event, Rollup::None);

fn schema() -> Arc<Schema> {
    let down = Series::new(&RTT, "spectrum", "autorate").with_labels(&[("direction", "download")]);
    let up = Series::new(&RTT, "spectrum", "autorate").with_labels(&[("direction", "upload")]);
    let debug = Series::new(&DEBUG, "spectrum", "autorate");
    let state = Series::new(&STATE, "att", "steering");
    Schema::new(vec![down, up, debug, state]).unwrap()
}

fn at(millis: i64) -> Timestamp {
    Timestamp { unix_nanos: millis * 1_000_000, mono_nanos: 0 }
}

fn frame(schema: &Arc<Schema>, millis: i64, values: &[(usize, f64)]) -> Item {
    let mut frame = Frame::new(at(millis), schema);
    values.iter().for_each(|(series, value)| frame.push(*series, *value));
    Item::Frame(Arc::new(frame))
}

fn event(labels: serde_json::Value) -> Item {
    let details: Map<String, serde_json::Value> = serde_json::from_value(labels).unwrap();
    Item::Event(Arc::new(Event {
        at: at(0),
        metric: &CHANGE,
        wan: "spectrum".into(),
        source: "steering".into(),
        value: 1.0,
        details: Arc::new(details),
    }))
}

fn globs(patterns: &[&str]) -> Vec<Glob> {
    patterns.iter().map(|pattern| Glob::new(pattern)).collect()
}

fn labels(pairs: &[(&str, &[&str])]) -> BTreeMap<String, Vec<Glob>> {
    pairs.iter().map(|(label, patterns)| ((*label).to_owned(), globs(patterns))).collect()
}

/// Name, labels and value of every row.
fn rows(items: &[Item]) -> Vec<(&'static str, f64)> {
    Batch::new(items).rows().map(|row| (row.metric().name, row.value)).collect()
}

const VALUES: [(usize, f64); 4] = [(0, 1.0), (1, 2.0), (2, 3.0), (3, 4.0)];

/// The values that a selection lets pass of one frame, and how many rows it drops.
fn passed(select: &Select) -> (Vec<f64>, usize) {
    let mut out = Vec::new();
    let mut transform = Transform::new(select, "").unwrap();
    let dropped = transform.take(frame(&schema(), 0, &VALUES), 0, &mut out);
    (rows(&out).iter().map(|(_, value)| *value).collect(), dropped)
}

#[test]
fn nothing_to_do_is_no_transform() {
    assert!(Transform::new(&Select::default(), "").is_none());
    assert!(Transform::new(&Select::default(), "edge_").is_some());
}

#[test]
fn globs_on_names_and_labels_select_series() {
    let select = Select::default;
    for (select, values) in [
        (Select { include: globs(&["*_rtt_*"]), ..select() }, &[1.0, 2.0, 3.0][..]),
        (Select { include: globs(&["*_m?", "*_state"]), ..select() }, &[1.0, 2.0, 4.0]),
        (Select { exclude: globs(&["*_debug"]), ..select() }, &[1.0, 2.0, 4.0]),
        (Select { include: globs(&["*rtt*"]), exclude: globs(&["*rtt_ms"]), ..select() }, &[3.0]),
        (Select { labels: labels(&[("wan", &["spec*"])]), ..select() }, &[1.0, 2.0, 3.0]),
        (
            Select { labels: labels(&[("source", &["autorate", "x"])]), ..select() },
            &[1.0, 2.0, 3.0],
        ),
        (Select { labels: labels(&[("direction", &["down*"])]), ..select() }, &[1.0]),
        (Select { labels: labels(&[("direction", &["*"]), ("wan", &["att"])]), ..select() }, &[]),
        (Select { labels: labels(&[("nothing", &["*"])]), ..select() }, &[]),
    ] {
        assert_eq!(passed(&select), (values.to_vec(), 4 - values.len()), "{select:?}");
    }
}

#[test]
fn events_are_selected_by_the_labels_of_their_details() {
    for (wanted, dropped) in [
        (labels(&[("to", &["R*"])]), 0),
        (labels(&[("to", &["G*"])]), 1),
        (labels(&[("count", &["7"]), ("wan", &["spectrum"])]), 0),
        (labels(&[("direction", &["*"])]), 1),
    ] {
        let select =
            Select { labels: wanted, every: Some(Duration::from_secs(1)), ..Select::default() };
        let mut out = Vec::new();
        let mut transform = Transform::new(&select, "").unwrap();
        let item = event(json!({ "to": "RED", "count": 7 }));
        assert_eq!(
            (transform.take(item, 0, &mut out), out.len()),
            (dropped, 1 - dropped),
            "{select:?}"
        );
    }
}

#[test]
fn a_prefix_renames_series_and_events_in_one_schema_for_all_frames() {
    let select =
        Select { include: globs(&["wanctl_rtt_ms", "wanctl_change"]), ..Select::default() };
    let mut transform = Transform::new(&select, "edge_").unwrap();
    let (schema, mut out) = (schema(), Vec::new());
    assert_eq!(transform.take(frame(&schema, 0, &VALUES), 0, &mut out), 2);
    assert_eq!(transform.take(frame(&schema, 1, &VALUES), 0, &mut out), 2);
    assert_eq!(transform.take(event(json!({})), 0, &mut out), 0);
    let names: Vec<&str> = rows(&out).iter().map(|(name, _)| *name).collect();
    assert_eq!(names, [&["edge_wanctl_rtt_ms"; 4][..], &["edge_wanctl_change"]].concat());
    let [Item::Frame(first), Item::Frame(second), _] = &out[..] else { panic!("{out:?}") };
    assert!(Arc::ptr_eq(first.schema(), second.schema()));
}

#[test]
fn a_frame_of_which_nothing_is_left_is_not_passed() {
    let select = Select { include: globs(&["none"]), ..Select::default() };
    let (mut transform, mut out) = (Transform::new(&select, "").unwrap(), Vec::new());
    assert_eq!(transform.take(frame(&schema(), 0, &VALUES), 0, &mut out), 4);
    assert!(out.is_empty());
}

fn thinning(reduce: Reduce) -> Transform {
    let every = Some(Duration::from_secs(1));
    Transform::new(&Select { every, reduce, ..Select::default() }, "").unwrap()
}

#[test]
fn a_window_becomes_one_value_of_each_series_and_states_keep_their_last() {
    for (reduce, value) in
        [(Reduce::Last, 3.0), (Reduce::Min, 1.0), (Reduce::Max, 8.0), (Reduce::Mean, 4.0)]
    {
        let (schema, mut transform, mut out) = (schema(), thinning(reduce), Vec::new());
        for (millis, value) in [(0, 8.0), (400, 1.0), (999, 3.0)] {
            let item = frame(&schema, millis, &[(0, value), (3, value)]);
            assert_eq!(transform.take(item, 0, &mut out), 0);
        }
        assert_eq!((transform.held(), out.len()), (6, 0));
        assert_eq!(transform.take(frame(&schema, 1000, &[(1, 5.0)]), 0, &mut out), 4);
        assert_eq!(rows(&out), [("wanctl_rtt_ms", value), ("wanctl_state", 3.0)], "{reduce:?}");
        assert_eq!(Batch::new(&out).rows().next().unwrap().at, at(999));
        assert_eq!((transform.close(&mut out), transform.held()), (0, 0));
        assert_eq!(rows(&out)[2], ("wanctl_rtt_ms", 5.0));
    }
}

#[test]
fn a_clock_that_steps_back_closes_the_window() {
    let (schema, mut transform, mut out) = (schema(), thinning(Reduce::Last), Vec::new());
    for (millis, value) in [(-1, 1.0), (5_000, 2.0), (0, 3.0)] {
        transform.take(frame(&schema, millis, &[(0, value)]), 0, &mut out);
    }
    assert_eq!(rows(&out), [("wanctl_rtt_ms", 1.0), ("wanctl_rtt_ms", 2.0)]);
}

#[test]
fn the_mean_of_the_largest_values_is_finite() {
    let (schema, mut transform, mut out) = (schema(), thinning(Reduce::Mean), Vec::new());
    for value in [f64::MAX, f64::MAX, f64::MAX] {
        transform.take(frame(&schema, 0, &[(0, value)]), 0, &mut out);
    }
    assert_eq!(transform.close(&mut out), 2);
    assert_eq!(rows(&out), [("wanctl_rtt_ms", f64::MAX)]);
}

#[test]
fn schemas_beyond_those_remembered_lose_no_row() {
    let (mut transform, mut out) = (thinning(Reduce::Last), Vec::new());
    let schemas: Vec<_> = (0..SCHEMAS + 9).map(|_| schema()).collect();
    for schema in &schemas {
        assert_eq!(transform.take(frame(schema, 0, &VALUES), 0, &mut out), 0);
    }
    assert_eq!((rows(&out).len(), transform.held()), (9 * 4, SCHEMAS * 4));
}

#[test]
fn a_frame_is_split_into_its_samples() {
    let whole = frame(&schema(), 7, &VALUES);
    let parts = split(&whole);
    assert_eq!((parts.len(), rows(&parts)), (4, rows(std::slice::from_ref(&whole))));
    assert_eq!(whole.bytes(), parts.iter().map(Item::bytes).sum::<usize>());
    assert_eq!(split(&event(json!({}))).len(), 1);
}

#[test]
fn bytes_are_those_of_names_and_labels_and_sixteen() {
    let expected = 16 + "wanctl_rtt_ms".len() + "spectrum".len() + "autorate".len();
    let labels = r#"{"direction": "download"}"#.len();
    assert_eq!(frame(&schema(), 0, &[(0, 1.0)]).bytes(), expected + labels);
    let expected = 16 + "wanctl_change".len() + "spectrum".len() + "steering".len();
    assert_eq!(event(json!({ "to": 1 })).bytes(), expected + r#"{"to": 1}"#.len());
}

proptest! {
    #[test]
    fn every_row_is_out_dropped_or_held(
        steps in prop::collection::vec((0..2_usize, -3_000..3_000_i64, prop::collection::vec((0..4_usize, -9.0..9.0), 0..9), any::<bool>()), 0..40),
        every in prop::option::of(1..1_500_u64),
        reduce in prop::sample::select(vec![Reduce::Last, Reduce::Min, Reduce::Max, Reduce::Mean]),
        exclude in prop::sample::select(vec!["none", "*_debug", "wanctl_rtt_*", "*"]),
        prefix in prop::sample::select(vec!["", "p_"]),
    ) {
        let every = every.map(Duration::from_millis);
        let select = Select { exclude: globs(&[exclude]), every, reduce, ..Select::default() };
        let Some(mut transform) = Transform::new(&select, prefix) else { return Ok(()) };
        let (schemas, mut out) = ([schema(), schema()], Vec::new());
        let (mut taken, mut dropped) = (0, 0);
        for (which, millis, values, close) in steps {
            let item = frame(&schemas[which], millis, &values);
            taken += item.rows();
            dropped += transform.take(item, 0, &mut out);
            if close {
                dropped += transform.close(&mut out);
                prop_assert_eq!(transform.held(), 0);
            }
            prop_assert_eq!(taken, rows(&out).len() + dropped + transform.held());
        }
    }

    #[test]
    fn the_last_of_each_window_is_what_comes_out(
        steps in prop::collection::vec((-3_000..3_000_i64, -9.0..9.0), 1..60),
    ) {
        let (schema, mut transform, mut out) = (schema(), thinning(Reduce::Last), Vec::new());
        for (millis, value) in &steps {
            transform.take(frame(&schema, *millis, &[(0, *value)]), 0, &mut out);
        }
        transform.close(&mut out);
        let window = |millis: i64| millis.div_euclid(1000);
        let expected: Vec<(Timestamp, f64)> = steps
            .chunk_by(|a, b| window(a.0) == window(b.0))
            .filter_map(|run| run.last())
            .map(|(millis, value)| (at(*millis), *value))
            .collect();
        let found: Vec<_> = Batch::new(&out).rows().map(|row| (row.at, row.value)).collect();
        prop_assert_eq!(found, expected);
    }
}
