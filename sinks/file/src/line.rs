//! One row as one line of JSON. The names are those of the columns of the `metrics` relation.

use std::io;

use serde::Serialize;
use serde_json::value::RawValue;
use wanctl_sink::Row;

/// Appends the line of a row to `buffer`, line feed included.
///
/// # Errors
///
/// A row whose labels are not JSON, or whose value is not a number.
pub(crate) fn append(buffer: &mut Vec<u8>, row: &Row<'_>) -> io::Result<()> {
    if !row.value.is_finite() {
        return Err(io::Error::other(format!("{} is not a number JSON knows", row.value)));
    }
    let labels = row.label_text();
    let line = Line {
        time: format!(
            "{:.6}",
            jiff::Timestamp::from_nanosecond(row.at.unix_nanos.into()).map_err(io::Error::other)?
        ),
        timestamp: row.at.unix_seconds(),
        wan_name: row.wan(),
        metric_name: row.metric().name,
        source: row.source(),
        value: row.value,
        labels: labels.as_deref().map(serde_json::from_str).transpose()?,
        unit: row.metric().unit.as_str(),
    };
    let start = buffer.len();
    if let Err(error) = serde_json::to_writer(&mut *buffer, &line) {
        buffer.truncate(start);
        return Err(error.into());
    }
    buffer.push(b'\n');
    Ok(())
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
