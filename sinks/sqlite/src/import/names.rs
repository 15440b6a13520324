//! What a row of the original is: whose value of what, at which resolution, or an event.
//!
//! Labels that are known beforehand name a series. A row with a `reason`, and a snapshot of the
//! configuration, is an event.

use std::collections::{BTreeMap, HashMap};

use rusqlite::types::ValueRef;
use serde_json::{Map, Value};
use wanctl_sink::{Kind, Metric, Rollup, Unit, catalogue, label_text};

use super::cycles::{Emitter, Member};
use super::source::Columns;
use crate::places::{Identity, kept_as, rollup, scale};

const SNAPSHOT: &str = "wanctl_config_snapshot";

/// A series of the original.
pub(super) struct Name {
    pub(super) wan: usize,
    metric: String,
    labels: String,
    /// Who alone records such rows.
    pub(super) emitter: Emitter,
    scale: f64,
    rollup: &'static str,
}

impl Name {
    /// Whether its values are codes, which have no mean.
    pub(super) fn is_state(&self) -> bool {
        self.rollup == rollup(Rollup::Mode)
    }

    /// Whether it is a metric of the original's, not somebody else's.
    pub(super) fn is_original(&self) -> bool {
        self.metric.starts_with("wanctl_")
    }
}

/// Something that happened once.
#[derive(Debug, PartialEq)]
pub(super) struct EventRow {
    pub(super) wan: usize,
    pub(super) metric: String,
    pub(super) source: &'static str,
    pub(super) value: f64,
    pub(super) labels: String,
}

/// What a row is.
pub(super) enum Kept {
    Sample { series: usize, value: f64 },
    Rolled { seconds: i64, series: usize, value: f64 },
    Event(EventRow),
    Skipped(&'static str),
}

/// The names met so far.
pub(super) struct Names {
    catalogue: BTreeMap<&'static str, &'static Metric>,
    wans: Vec<String>,
    series: Vec<Name>,
    /// Series by metric, WAN and labels, as one text.
    known: HashMap<Vec<u8>, usize>,
    key: Vec<u8>,
}

impl Names {
    pub(super) fn new() -> Self {
        let (wans, series, known, key) = Default::default();
        Names { catalogue: catalogue(), wans, series, known, key }
    }

    pub(super) fn get(&self, series: usize) -> &Name {
        &self.series[series]
    }

    pub(super) fn wan(&self, wan: usize) -> &str {
        &self.wans[wan]
    }

    pub(super) fn member(&self, series: usize) -> Member {
        let Name { wan, emitter, .. } = self.series[series];
        Member { series, wan, emitter }
    }

    /// What a series of an emitter is called in our file.
    pub(super) fn identity(&self, series: usize, emitter: Emitter) -> Identity<'_> {
        let name = &self.series[series];
        Identity {
            metric: &name.metric,
            wan: &self.wans[name.wan],
            source: emitter.as_str(),
            labels: &name.labels,
            scale: name.scale,
            rollup: name.rollup,
        }
    }

    /// Tells what a row is.
    pub(super) fn classify(&mut self, columns: &Columns<'_>) -> Kept {
        self.try_classify(columns).unwrap_or_else(Kept::Skipped)
    }

    fn try_classify(&mut self, columns: &Columns<'_>) -> Result<Kept, &'static str> {
        let value = match columns.value {
            ValueRef::Integer(whole) => whole as f64,
            ValueRef::Real(real) if real.is_finite() => real,
            ValueRef::Real(_) => return Err("the value is infinite"),
            ValueRef::Null => return Err("the value is NULL"),
            _ => return Err("the value is no number"),
        };
        let seconds = match columns.granularity {
            ValueRef::Null | ValueRef::Text(b"raw") => 0,
            ValueRef::Text(b"1m") => 60,
            ValueRef::Text(b"5m") => 300,
            ValueRef::Text(b"1h") => 3600,
            _ => return Err("the granularity is unknown"),
        };
        let metric = text(columns.metric).ok_or("there is no metric name")?;
        let wan = text(columns.wan).ok_or("there is no WAN name")?;
        let labels: &[u8] = match columns.labels {
            ValueRef::Null => b"",
            ValueRef::Text(labels) => labels,
            _ => return Err("the labels are no JSON object"),
        };
        self.key.clear();
        for part in [metric.as_bytes(), b"\0", wan.as_bytes(), b"\0", labels] {
            self.key.extend_from_slice(part);
        }
        let series = match self.known.get(&self.key) {
            Some(known) => *known,
            None => {
                let labels = object(labels).ok_or("the labels are no JSON object")?;
                if self.is_event(metric, &labels) {
                    if seconds > 0 {
                        return Err("events were averaged");
                    }
                    let source = event_emitter(metric, &labels).as_str();
                    let labels = label_text(&labels).unwrap_or_default();
                    let wan = self.wan_of(wan);
                    let metric = metric.to_owned();
                    return Ok(Kept::Event(EventRow { wan, metric, source, value, labels }));
                }
                self.add(metric, wan, &labels)
            }
        };
        Ok(match seconds {
            0 => Kept::Sample { series, value },
            seconds => Kept::Rolled { seconds, series, value },
        })
    }

    fn is_event(&self, metric: &str, labels: &Map<String, Value>) -> bool {
        let is_declared = |metric: &&Metric| metric.kind == Kind::Event;
        labels.contains_key("reason")
            || metric == SNAPSHOT
            || metric.ends_with("_transition")
            || self.catalogue.get(metric).is_some_and(is_declared)
    }

    fn add(&mut self, metric: &str, wan: &str, labels: &Map<String, Value>) -> usize {
        let (scale, rollup) =
            self.catalogue.get(metric).map_or_else(|| guess(metric), |metric| kept_as(metric));
        let wan = self.wan_of(wan);
        self.series.push(Name {
            wan,
            metric: metric.to_owned(),
            labels: label_text(labels).unwrap_or_default(),
            emitter: emitter(metric, labels),
            scale,
            rollup,
        });
        let series = self.series.len() - 1;
        self.known.insert(self.key.clone(), series);
        series
    }

    fn wan_of(&mut self, wan: &str) -> usize {
        match self.wans.iter().position(|known| known == wan) {
            Some(known) => known,
            None => {
                self.wans.push(wan.to_owned());
                self.wans.len() - 1
            }
        }
    }
}

fn text(value: ValueRef<'_>) -> Option<&str> {
    value.as_str().ok().filter(|text| !text.is_empty())
}

/// The labels, of which there may be none.
fn object(labels: &[u8]) -> Option<Map<String, Value>> {
    match labels {
        b"" => Some(Map::new()),
        labels => serde_json::from_slice(labels).ok(),
    }
}

/// Who alone records a metric with such labels.
fn emitter(metric: &str, labels: &Map<String, Value>) -> Emitter {
    match labels.get("source").and_then(Value::as_str) {
        Some("steering") => return Emitter::Steering,
        Some("autorate") => return Emitter::Autorate,
        _ => {}
    }
    match metric {
        "wanctl_rate_download_mbps" | "wanctl_rate_upload_mbps" => Emitter::Autorate,
        "wanctl_state" if labels.contains_key("direction") => Emitter::Autorate,
        _ if metric.starts_with("wanctl_steering_") => Emitter::Steering,
        _ => Emitter::Unknown,
    }
}

fn event_emitter(metric: &str, labels: &Map<String, Value>) -> Emitter {
    if metric != SNAPSHOT {
        return emitter(metric, labels);
    }
    let has = |part: &str| labels.get(part).is_some_and(Value::is_object);
    match (has("autorate"), has("steering")) {
        (true, false) => Emitter::Autorate,
        (false, true) => Emitter::Steering,
        _ => Emitter::Unknown,
    }
}

/// How values of a metric are kept that nobody in this program declares: its name ends in its unit.
fn guess(metric: &str) -> (f64, &'static str) {
    let is_state = metric.contains("state") || metric.ends_with("_enabled");
    let unit = match metric {
        _ if metric.ends_with("_ms") => Unit::Milliseconds,
        _ if metric.ends_with("_mbps") => Unit::MegabitsPerSecond,
        _ if metric.ends_with("_seconds") => Unit::Seconds,
        _ => Unit::None,
    };
    let kind = if is_state { Kind::State } else { Kind::Gauge };
    (scale(unit, kind), rollup(if is_state { Rollup::Mode } else { Rollup::Mean }))
}
