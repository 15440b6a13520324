//! Rows for programs: a JSON array, JSON lines, CSV.

use std::io::{self, Write};

use serde::Serialize;
use serde::ser::{SerializeSeq, Serializer};
use wanctl_sink_sqlite::{HistoryError, Record};

use super::names::Names;
use super::progress::Progress;
use super::{refused, time};

/// Rows one after the other.
pub(super) type Records<'a> = dyn Iterator<Item = Result<Record, HistoryError>> + 'a;

/// A row: the six columns that the original has, then what is ours.
#[derive(Serialize)]
pub(super) struct Row<'a> {
    timestamp: i64,
    wan_name: &'a str,
    metric_name: &'a str,
    value: f64,
    labels: Option<&'a str>,
    granularity: &'static str,
    source: &'a str,
    micros: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
}

impl<'a> Row<'a> {
    pub(super) fn new(record: &'a Record, names: &Names) -> Self {
        Row {
            timestamp: record.timestamp,
            wan_name: &record.series.wan_name,
            metric_name: &record.series.metric_name,
            // Plus zero, because minus zero is nothing to anyone.
            value: record.value + 0.0,
            labels: record.series.labels.as_deref(),
            granularity: record.granularity.as_str(),
            source: &record.series.source,
            micros: record.micros,
            state: names.state(&record.series, record.value),
            min: record.rolled.map(|rolled| rolled.min),
            max: record.rolled.map(|rolled| rolled.max),
            count: record.rolled.map(|rolled| rolled.count),
        }
    }
}

/// Writes a JSON array, and returns whether it has rows.
pub(super) fn json(
    records: &mut Records<'_>,
    names: &Names,
    out: &mut dyn Write,
) -> anyhow::Result<bool> {
    let mut progress = Progress::beside_output();
    let mut found = false;
    let mut serializer = serde_json::Serializer::pretty(&mut *out);
    // Its errors as those of I/O, because a closed pipe is no source of a JSON error.
    let mut array = serializer.serialize_seq(None).map_err(io::Error::from)?;
    for record in records {
        let record = record.map_err(refused)?;
        array.serialize_element(&Row::new(&record, names)).map_err(io::Error::from)?;
        progress.row();
        found = true;
    }
    array.end().map_err(io::Error::from)?;
    writeln!(out)?;
    Ok(found)
}

/// Writes one row as a line of JSON.
pub(super) fn json_line(record: &Record, names: &Names, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, &Row::new(record, names))?;
    writeln!(out)
}

/// The heads of the columns of CSV.
pub(super) const HEADS: [&str; 13] = [
    "time",
    "timestamp",
    "micros",
    "wan_name",
    "source",
    "metric_name",
    "value",
    "state",
    "labels",
    "granularity",
    "min",
    "max",
    "count",
];

/// Writes CSV as of RFC 4180 with a line of heads, and returns whether it has rows.
pub(super) fn csv(
    records: &mut Records<'_>,
    names: &Names,
    out: &mut dyn Write,
) -> anyhow::Result<bool> {
    let mut progress = Progress::beside_output();
    let mut found = false;
    let mut csv = csv_writer(out);
    csv.write_record(HEADS).map_err(io_error)?;
    for record in records {
        csv_row(&record.map_err(refused)?, names, &mut csv)?;
        progress.row();
        found = true;
    }
    csv.flush()?;
    Ok(found)
}

/// A writer of CSV whose lines end as the RFC says.
pub(super) fn csv_writer<W: Write>(out: W) -> ::csv::Writer<W> {
    ::csv::WriterBuilder::new().terminator(::csv::Terminator::CRLF).from_writer(out)
}

/// Writes one row of CSV.
pub(super) fn csv_row<W: Write>(
    record: &Record,
    names: &Names,
    csv: &mut ::csv::Writer<W>,
) -> anyhow::Result<()> {
    let row = Row::new(record, names);
    let real = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    csv.write_record([
        &time::to_micros(record),
        &row.timestamp.to_string(),
        &row.micros.to_string(),
        row.wan_name,
        row.source,
        row.metric_name,
        &row.value.to_string(),
        row.state.unwrap_or_default(),
        row.labels.unwrap_or_default(),
        row.granularity,
        &real(row.min),
        &real(row.max),
        &row.count.map(|count| count.to_string()).unwrap_or_default(),
    ])
    .map_err(io_error)?;
    Ok(())
}

/// An error of I/O as itself, so that a closed pipe is known for one.
pub(super) fn io_error(error: ::csv::Error) -> io::Error {
    match error.into_kind() {
        ::csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}
