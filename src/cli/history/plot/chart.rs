//! What a chart shows: for each controller of each WAN, levels by unit, states as strips, and events.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};
use wanctl_sink_sqlite::{Query, Record, SeriesName};

use super::super::names::{Names, short};
use super::super::progress::Progress;
use super::super::rows::Records;
use super::super::{refused, time};
use super::columns::{Columns, Span};
use crate::sink::{Kind, Metric, Unit};
use crate::telemetry::RTT_DELTA;

/// What the names of the sinks' metrics of themselves start with: they say how recording goes, not how the
/// link does.
const OF_SINKS: &str = "wanctl_sink_";

/// A chart.
pub(super) struct Chart {
    pub(super) span: Span,
    /// How many columns its series have.
    pub(super) columns: usize,
    pub(super) groups: Vec<Group>,
}

/// What one controller of one WAN recorded.
pub(super) struct Group {
    pub(super) title: String,
    pub(super) panels: Vec<Panel>,
    pub(super) strips: Vec<Strip>,
    /// When something happened, in µs of Unix time, and what.
    pub(super) events: Vec<(i64, String)>,
}

/// Levels that share a unit, and with it an axis.
pub(super) struct Panel {
    pub(super) unit: &'static str,
    pub(super) lines: Vec<Line>,
}

/// One level.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) columns: Columns,
}

/// One state.
pub(super) struct Strip {
    pub(super) name: String,
    pub(super) columns: Columns,
    /// The names of the codes that occur, in the order of the codes.
    pub(super) states: Vec<(f64, String)>,
}

impl Panel {
    /// The least and greatest value of all lines.
    pub(super) fn range(&self) -> (f64, f64) {
        let cells = self.lines.iter().flat_map(|line| line.columns.filled());
        cells.fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), (_, cell)| {
            (min.min(cell.min), max.max(cell.max))
        })
    }
}

impl Strip {
    /// What a code is called.
    pub(super) fn state(&self, code: f64) -> &str {
        let state = self.states.iter().find(|(known, _)| *known == code);
        state.map_or("", |(_, name)| name)
    }
}

impl Chart {
    /// Draws up what these rows say, oldest first, in the query's time.
    ///
    /// # Errors
    ///
    /// Those of the rows.
    pub(super) fn of(
        records: &mut Records<'_>,
        query: &Query,
        columns: usize,
        names: &Names,
    ) -> anyhow::Result<Self> {
        let span = Span {
            from: query.from.saturating_mul(1_000_000),
            to: query.to.saturating_mul(1_000_000),
        };
        let mut progress = Progress::new();
        let mut series: BTreeMap<Arc<SeriesName>, Columns> = BTreeMap::new();
        let mut groups: BTreeMap<(String, String), Group> = BTreeMap::new();
        for record in records {
            let record = record.map_err(refused)?;
            progress.row();
            if record.is_event {
                group(&mut groups, &record.series).events.push(event(&record, names));
                continue;
            }
            if query.metrics.is_empty() && record.series.metric_name.starts_with(OF_SINKS) {
                continue;
            }
            let lasting = record.granularity.seconds() * 1_000_000;
            let (min, max) = record
                .rolled
                .map_or((record.value, record.value), |rolled| (rolled.min, rolled.max));
            let drawn = match series.get_mut(&record.series) {
                Some(drawn) => drawn,
                None => series
                    .entry(Arc::clone(&record.series))
                    .or_insert_with(|| Columns::new(span, columns)),
            };
            drawn.add(time::micros(&record), lasting, [min, record.value, max]);
        }
        for (name, columns) in series {
            let metric = names.metric(&name.metric_name);
            if query.metrics.is_empty() && metric == Some(&RTT_DELTA) {
                // The distance between two lines that are drawn.
                continue;
            }
            add(group(&mut groups, &name), &name, metric, columns, names);
        }
        let mut groups: Vec<Group> = groups.into_values().collect();
        for group in &mut groups {
            // What people look for first: times before rates, and the plain name before its kin.
            group.panels.sort_by_key(|panel| panel.unit != Unit::Milliseconds.as_str());
            group
                .panels
                .iter_mut()
                .for_each(|panel| panel.lines.sort_by(|a, b| a.name.cmp(&b.name)));
            group.strips.sort_by(|a, b| a.name.cmp(&b.name));
        }
        Ok(Chart { span, columns, groups })
    }
}

fn group<'a>(
    groups: &'a mut BTreeMap<(String, String), Group>,
    series: &SeriesName,
) -> &'a mut Group {
    groups.entry((series.wan_name.clone(), series.source.clone())).or_insert_with(|| Group {
        title: format!("{} {}", series.wan_name, series.source).trim_end().to_owned(),
        panels: Vec::new(),
        strips: Vec::new(),
        events: Vec::new(),
    })
}

/// Adds a series to its group, as a strip or as a line.
fn add(
    group: &mut Group,
    series: &SeriesName,
    metric: Option<&'static Metric>,
    columns: Columns,
    names: &Names,
) {
    let name = title(series, metric);
    if metric.is_some_and(|metric| metric.kind == Kind::State) {
        let mut codes: Vec<f64> = columns.filled().map(|(_, cell)| cell.max).collect();
        codes.sort_by(f64::total_cmp);
        codes.dedup();
        let states = codes.into_iter().map(|code| (code, names.value(series, code))).collect();
        group.strips.push(Strip { name, columns, states });
        return;
    }
    let unit = metric.map_or("", |metric| metric.unit.as_str());
    let line = Line { name, columns };
    match group.panels.iter_mut().find(|panel| panel.unit == unit) {
        Some(panel) => panel.lines.push(line),
        None => group.panels.push(Panel { unit, lines: vec![line] }),
    }
}

/// The short name of a series within its group.
fn title(series: &SeriesName, metric: Option<&'static Metric>) -> String {
    let mut title = metric.map_or(&*series.metric_name, |metric| short(metric)).to_owned();
    for value in labels(series).values().filter_map(Value::as_str) {
        if value != series.source {
            title = format!("{title} {value}");
        }
    }
    title
}

fn labels(series: &SeriesName) -> Map<String, Value> {
    series.labels.as_ref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// When an event was, and what.
fn event(record: &Record, names: &Names) -> (i64, String) {
    let labels = labels(&record.series);
    let name = names.metric(&record.series.metric_name).map_or("", |metric| short(metric));
    let value = names.state(&record.series, record.value).unwrap_or_default();
    let label = |key: &str| labels.get(key).and_then(Value::as_str).unwrap_or_default();
    let parts = [name, label("direction"), value, label("reason"), label("trigger")];
    let parts = parts.into_iter().filter(|part| !part.is_empty());
    (time::micros(record), parts.collect::<Vec<_>>().join(" "))
}
