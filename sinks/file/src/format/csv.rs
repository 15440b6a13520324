//! One row as one record of RFC 4180, ended by a line feed alone, as shell tools expect it.

use std::borrow::Cow;
use std::io::{self, Write};

use wanctl_sink::Row;

pub(super) const HEADER: &str = "time,timestamp,wan_name,metric_name,source,value,labels\n";

pub(super) fn append(buffer: &mut Vec<u8>, row: &Row<'_>) -> io::Result<()> {
    let labels = row.label_text();
    writeln!(
        buffer,
        "{},{},{},{},{},{:?},{}",
        super::time_text(row)?,
        row.at.unix_seconds(),
        quoted(row.wan()),
        quoted(row.metric().name),
        quoted(row.source()),
        row.value,
        quoted(labels.as_deref().unwrap_or_default()),
    )
}

/// The field in quotes, its own quotes doubled, where it holds what would end it.
fn quoted(field: &str) -> Cow<'_, str> {
    if !field.contains([',', '"', '\n', '\r']) {
        return Cow::Borrowed(field);
    }
    Cow::Owned(format!("\"{}\"", field.replace('"', "\"\"")))
}
