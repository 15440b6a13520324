//! Transitions and snapshots, a line each: when, where, what became of what, and why.

use std::collections::HashMap;
use std::io::Write;

use serde_json::{Map, Value};
use wanctl_sink_sqlite::{Granularity, History, Order, Query, Record, Rows, Tiers};

use super::names::{Names, short};
use super::rows::Records;
use super::{refused, time};

/// Writes a line for each event, and returns whether there are any.
pub(super) fn write(
    records: &mut Records<'_>,
    history: &History,
    is_verbose: bool,
    names: &Names,
    out: &mut dyn Write,
) -> anyhow::Result<bool> {
    let events: Vec<Record> = records.collect::<Result<_, _>>().map_err(refused)?;
    let mut before = Before::default();
    // What a state was before is in the event before, so they are gone through in the order of time.
    let mut oldest_first: Vec<usize> = (0..events.len()).collect();
    oldest_first.sort_by_key(|&at| events.get(at).map(time::micros));
    let mut lines = vec![[const { String::new() }; 5]; events.len()];
    for at in oldest_first {
        if let (Some(event), Some(line)) = (events.get(at), lines.get_mut(at)) {
            *line = fields(event, history, &mut before, is_verbose, names)?;
        }
    }
    let width = |field: usize| lines.iter().map(|line| line[field].chars().count()).max();
    let [wan, source, what] = [1, 2, 3].map(|field| width(field).unwrap_or_default());
    for [at, in_wan, from, change, why] in &lines {
        let line = format!("{at}  {in_wan:<wan$}  {from:<source$}  {change:<what$}  {why}");
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(!lines.is_empty())
}

/// Writes one event as it comes.
pub(super) fn line(
    event: &Record,
    history: &History,
    before: &mut Before,
    names: &Names,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let [at, wan, source, what, why] = fields(event, history, before, false, names)?;
    writeln!(out, "{at}  {wan}  {source}  {what}  {why}")?;
    Ok(())
}

/// What states were before the events that are gone through.
#[derive(Default)]
pub(super) struct Before {
    /// The newest value, by metric, WAN, source and direction.
    values: HashMap<[String; 4], f64>,
}

impl Before {
    /// The state before this event; the event's own is the one before the next.
    fn replace(
        &mut self,
        event: &Record,
        history: &History,
        direction: &str,
    ) -> anyhow::Result<Option<f64>> {
        let series = &event.series;
        let key = [&*series.metric_name, &series.wan_name, &series.source, direction];
        let known = self.values.insert(key.map(str::to_owned), event.value);
        if known.is_some() {
            return Ok(known);
        }
        // What was before the first event shown is in the file.
        let direction = (!direction.is_empty()).then(|| ("direction".into(), direction.into()));
        let earlier = Query {
            to: event.timestamp,
            metrics: vec![series.metric_name.clone()],
            wan: Some(series.wan_name.clone()),
            source: Some(series.source.clone()).filter(|source| !source.is_empty()),
            labels: direction.into_iter().collect(),
            // A sample says it too, if it is a raw one: an interval's would be its most frequent state.
            rows: Rows::All,
            tiers: Tiers::Only(Granularity::Raw),
            order: Order::NewestFirst,
            ..Query::default()
        };
        let records = history.records(&earlier).map_err(refused)?;
        for record in records {
            let record = record.map_err(refused)?;
            if time::micros(&record) < time::micros(event) {
                return Ok(Some(record.value));
            }
        }
        Ok(None)
    }
}

/// Time, WAN, source, what happened, why.
fn fields(
    event: &Record,
    history: &History,
    before: &mut Before,
    is_verbose: bool,
    names: &Names,
) -> anyhow::Result<[String; 5]> {
    let series = &event.series;
    let text = series.labels.as_deref().unwrap_or("{}");
    let mut labels: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
    let mut take = |key: &str| match labels.get(key) {
        Some(Value::String(_)) => match labels.shift_remove(key) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        },
        _ => None,
    };
    let metric = names.metric(&series.metric_name);
    let name = metric.map_or(&*series.metric_name, |metric| short(metric));
    let direction = take("direction").unwrap_or_default();
    let (from, to) = (take("from_state"), take("to_state"));
    let reason = take("reason").or_else(|| take("trigger"));
    let cause = take("cause");
    let is_state = metric.is_some_and(|metric| !metric.states.is_empty());
    let to = to.unwrap_or_else(|| names.value(series, event.value));
    let from = match from {
        None if is_state => {
            before.replace(event, history, &direction)?.map(|value| names.value(series, value))
        }
        from => from,
    };
    let change = match (is_state, from) {
        (_, Some(from)) => format!("{from} → {to}"),
        (true, None) => to,
        (false, None) => String::new(),
    };
    let what = [name, &direction, &change].into_iter().filter(|part| !part.is_empty());
    let what = what.collect::<Vec<_>>().join(" ");
    let why = if is_verbose {
        text.to_owned()
    } else {
        let rest = (!labels.is_empty()).then(|| flat(&Value::Object(labels)));
        // "Transitioned from A to B" says less than the cause.
        [cause.or(reason), rest].into_iter().flatten().collect::<Vec<_>>().join("; ")
    };
    let at = time::to_millis(event);
    Ok([at, series.wan_name.clone(), series.source.clone(), what, why])
}

/// An object as `key=value`, with those of inner objects behind their own key; nothing of what is null.
fn flat(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let pairs = map.iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| {
                let between = if value.is_object() { ": " } else { "=" };
                format!("{key}{between}{}", flat(value))
            });
            pairs.collect::<Vec<_>>().join(" ")
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
