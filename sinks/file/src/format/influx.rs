//! One row as one point of InfluxDB's line protocol: the metric is the measurement, declared labels are
//! tags, and what an event says of itself goes into fields of text, because tags are kept in memory for
//! every value they ever had.

use std::io::{self, Write};

use serde_json::{Map, Value};
use wanctl_sink::{Identity, Row};

/// Keys that every point has, or that InfluxDB keeps for itself.
const RESERVED: [&str; 4] = ["wan", "source", "value", "time"];

pub(super) fn append(buffer: &mut Vec<u8>, row: &Row<'_>) -> io::Result<()> {
    name(buffer, row.metric().name, &[',', ' ']);
    tag(buffer, "wan", row.wan());
    tag(buffer, "source", row.source());
    let mut details = Map::new();
    match row.identity {
        Identity::Series { schema, series } => {
            let labels = schema.series().get(series).map_or(&[][..], |one| one.labels().pairs());
            for (key, value) in labels {
                tag(buffer, &free(key), value);
            }
        }
        Identity::Event(event) => details = event.details.labels(),
    }
    write!(buffer, " value={:?}", row.value)?;
    for (key, value) in &details {
        buffer.push(b',');
        name(buffer, &free(key), &[',', '=', ' ']);
        buffer.push(b'=');
        match value {
            Value::String(text) => field_text(buffer, text),
            // A field keeps the type of its first value, so everything is text.
            other => field_text(buffer, &other.to_string()),
        }
    }
    writeln!(buffer, " {}", row.at.unix_nanos)
}

/// The key of a label, told apart from the keys that every point has.
fn free(key: &str) -> String {
    if RESERVED.contains(&key) { format!("label_{key}") } else { key.to_owned() }
}

/// A tag; the protocol has none without a value.
fn tag(buffer: &mut Vec<u8>, key: &str, value: &str) {
    if value.is_empty() {
        return;
    }
    buffer.push(b',');
    name(buffer, key, &[',', '=', ' ']);
    buffer.push(b'=');
    name(buffer, value, &[',', '=', ' ']);
}

/// A measurement, key or tag. Readers disagree about a backslash and a tab in one, and none takes a line
/// feed, so a slash and a space stand for them.
fn name(buffer: &mut Vec<u8>, text: &str, escaped: &[char]) {
    for c in text.chars() {
        let c = match c {
            '\\' => '/',
            '\n' | '\r' | '\t' => ' ',
            other => other,
        };
        if escaped.contains(&c) {
            buffer.push(b'\\');
        }
        buffer.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

/// A field's text in quotes. A line feed would end the point for some readers; `\n` stands for it.
fn field_text(buffer: &mut Vec<u8>, text: &str) {
    buffer.push(b'"');
    for c in text.chars() {
        match c {
            '"' => buffer.extend_from_slice(b"\\\""),
            '\\' => buffer.extend_from_slice(b"\\\\"),
            '\n' => buffer.extend_from_slice(b"\\\\n"),
            '\r' => buffer.extend_from_slice(b"\\\\r"),
            other => buffer.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    buffer.push(b'"');
}
