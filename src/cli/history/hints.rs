//! Why nothing may have been found: names that the history does not have.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use wanctl_sink_sqlite::{Granularity, History, Query, Rows, SeriesInfo, Tiers};

use super::names::Names;
use super::refused;

/// Says of each metric that neither this program knows nor the file has which one may be meant.
///
/// # Errors
///
/// Those of reading the file.
pub(super) fn of_metrics<'a>(
    history: &History,
    names: &Names,
    asked: impl Iterator<Item = &'a str>,
) -> anyhow::Result<Vec<String>> {
    let mut hints = Vec::new();
    for name in asked.filter(|name| !names.is_known(name)) {
        if !has(history, Query { metrics: vec![name.to_owned()], ..Query::default() })? {
            let near = names.near(name).map(|near| format!("; did you mean {near:?}?"));
            let near = near.unwrap_or_default();
            hints.push(format!("no metric is called {name:?}{near}"));
        }
    }
    Ok(hints)
}

/// Says of the WAN, the source and the labels that the file does not have which there are. For queries that
/// find nothing: a name that only events have is looked for in all of them.
///
/// # Errors
///
/// Those of reading the file.
pub(super) fn of_others(history: &History, query: &Query) -> anyhow::Result<Vec<String>> {
    let series = history.series().map_err(refused)?;
    let mut hints = Vec::new();
    if let Some(wan) = &query.wan
        && !has(history, Query { wan: Some(wan.clone()), ..Query::default() })?
    {
        let known = all(&series, |one| vec![one.name.wan_name.clone()]);
        hints.push(format!("no WAN is called {wan:?}{known}"));
    }
    if let Some(source) = &query.source
        && !has(history, Query { source: Some(source.clone()), ..Query::default() })?
    {
        let known = all(&series, |one| vec![one.name.source.clone()]);
        hints.push(format!("no source is called {source:?}{known}"));
    }
    for (key, value) in &query.labels {
        let labels = vec![(key.clone(), value.clone())];
        if !has(history, Query { labels, ..Query::default() })? {
            let known = all(&series, labels_of);
            hints.push(format!("no row has the label {key}={value}{known}"));
        }
    }
    Ok(hints)
}

/// Says that there are no intervals of the length that was asked for, which events may hide.
///
/// # Errors
///
/// Those of reading the file.
pub(super) fn of_tier(history: &History, query: &Query) -> anyhow::Result<Option<String>> {
    let Tiers::Only(tier) = query.tiers else { return Ok(None) };
    if tier == Granularity::Raw || query.rows == Rows::Events {
        return Ok(None);
    }
    let samples = Query { rows: Rows::Samples, limit: Some(1), offset: 0, ..query.clone() };
    let has_some = !history.query(&samples).map_err(refused)?.is_empty();
    Ok((!has_some).then(|| {
        format!("no interval of {tier} begins in this time, or none that is over and summed up")
    }))
}

/// Whether any row of the file matches.
fn has(history: &History, query: Query) -> anyhow::Result<bool> {
    let query = Query { tiers: Tiers::Finest, limit: Some(1), ..query };
    Ok(!history.query(&query).map_err(refused)?.is_empty())
}

/// Names the series have, as the end of a sentence.
fn all(series: &[SeriesInfo], names: impl Fn(&SeriesInfo) -> Vec<String>) -> String {
    let all: BTreeSet<String> = series.iter().flat_map(names).collect();
    let all: Vec<String> = all.into_iter().filter(|name| !name.is_empty()).collect();
    if all.is_empty() { String::new() } else { format!("; there are: {}", all.join(", ")) }
}

fn labels_of(series: &SeriesInfo) -> Vec<String> {
    let text = series.name.labels.as_deref().unwrap_or_default();
    let labels: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    labels.into_iter().map(|(key, value)| format!("{key}={}", text(value))).collect()
}
