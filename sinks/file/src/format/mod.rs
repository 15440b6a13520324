//! How a row becomes a line: one module a format, all with the same columns. No file is touched here.

mod csv;
mod influx;
mod jsonl;

use std::io;

use jiff::Timestamp;
use serde::Deserialize;
use wanctl_sink::Row;

/// How a row is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Format {
    /// One JSON object a line.
    #[default]
    Jsonl,
    /// Comma-separated values as in RFC 4180, with a line of names on top of each file.
    Csv,
    /// InfluxDB line protocol, times in nanoseconds.
    Influx,
}

impl Format {
    /// The first line of each file, line feed included; empty where there is none.
    pub(crate) fn header(self) -> &'static str {
        match self {
            Format::Csv => csv::HEADER,
            Format::Jsonl | Format::Influx => "",
        }
    }

    /// Appends the line of a row to `buffer`, line feed included. On an error nothing is appended.
    ///
    /// # Errors
    ///
    /// A row that the format can't hold: labels that are not JSON, or a value that is not a number.
    pub(crate) fn append(self, buffer: &mut Vec<u8>, row: &Row<'_>) -> io::Result<()> {
        if !row.value.is_finite() {
            return Err(io::Error::other(format!("{} is not a number", row.value)));
        }
        let start = buffer.len();
        let appended = match self {
            Format::Jsonl => jsonl::append(buffer, row),
            Format::Csv => csv::append(buffer, row),
            Format::Influx => influx::append(buffer, row),
        };
        appended.inspect_err(|_| buffer.truncate(start))
    }

    /// Whether part of a line, ended where a crash tore it, can be taken for a whole line with other
    /// values. JSON can't: its last brace is missing.
    pub(crate) fn torn_lines_mislead(self) -> bool {
        self != Format::Jsonl
    }

    /// The time of a line in nanoseconds since 1970; `None` for a header or a line that is not ours.
    pub(crate) fn time_of(self, line: &str) -> Option<i64> {
        match self {
            Format::Jsonl => jsonl::time_of(line),
            Format::Csv => nanos(line.split(',').next()?),
            Format::Influx => line.rsplit(' ').next()?.parse().ok(),
        }
    }
}

/// The time of a row as text: UTC, microseconds.
fn time_text(row: &Row<'_>) -> io::Result<String> {
    let at = Timestamp::from_nanosecond(row.at.unix_nanos.into()).map_err(io::Error::other)?;
    Ok(format!("{at:.6}"))
}

/// Such a text as nanoseconds since 1970.
fn nanos(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok()?.as_nanosecond().try_into().ok()
}
