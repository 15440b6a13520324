//! One row as one line of JSON. The names are those of the columns of the `metrics` relation.

use std::borrow::Cow;
use std::io;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use wanctl_sink::Row;

pub(super) fn append(buffer: &mut Vec<u8>, row: &Row<'_>) -> io::Result<()> {
    let labels = row.label_text();
    let line = Line {
        time: super::time_text(row)?,
        timestamp: row.at.unix_seconds(),
        wan_name: row.wan(),
        metric_name: row.metric().name,
        source: row.source(),
        value: row.value,
        labels: labels.as_deref().map(serde_json::from_str).transpose()?,
        unit: row.metric().unit.as_str(),
    };
    serde_json::to_writer(&mut *buffer, &line)?;
    buffer.push(b'\n');
    Ok(())
}

pub(super) fn time_of(line: &str) -> Option<i64> {
    #[derive(Deserialize)]
    struct Time<'a> {
        #[serde(borrow)]
        time: Cow<'a, str>,
    }
    super::nanos(&serde_json::from_str::<Time<'_>>(line).ok()?.time)
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    timestamp: i64,
    wan_name: &'a str,
    metric_name: &'a str,
    source: &'a str,
    value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "str::is_empty")]
    unit: &'a str,
}
