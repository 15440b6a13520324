//! Rows as lines: `name;tag=value;tag=value value seconds`. Text only, no I/O.

use std::fmt::Write;

use wanctl_sink::{Identity, Row};

/// Carbon hangs up on a longer line.
const LONGEST: usize = 16 * 1024;

/// Whether a character may stand in a name or a tag.
pub(crate) fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || ".-_:/".contains(c)
}

/// Appends the line of a row, or nothing.
///
/// WAN, source and labels are tags. Graphite has whole seconds, and knows no tag without a value.
///
/// # Errors
///
/// Why Graphite will never take the row.
pub(crate) fn append(lines: &mut String, start: &str, row: &Row<'_>) -> Result<(), String> {
    let begin = lines.len();
    let labels = labels(row)?;
    let reserved = [("wan", row.wan()), ("source", row.source())];
    let others = labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    // The source may be a label too, and a tag stands once.
    let others = others.filter(|(name, _)| !["wan", "source"].contains(name));

    lines.push_str(start);
    lines.push_str(row.metric().name);
    for (name, value) in reserved.into_iter().chain(others).filter(|(_, value)| !value.is_empty()) {
        lines.push(';');
        push_escaped(lines, name);
        lines.push('=');
        push_escaped(lines, value);
    }
    // Writing to a string can't fail.
    let _ = writeln!(lines, " {} {}", row.value, row.at.unix_seconds());
    let length = lines.len() - begin;
    if LONGEST < length {
        lines.truncate(begin);
        return Err(format!("a line of {length} bytes; Carbon takes {LONGEST}"));
    }
    Ok(())
}

/// The labels of a row. Those of an event are made for JSON, and may be more than text.
fn labels(row: &Row<'_>) -> Result<Vec<(String, String)>, String> {
    match row.identity {
        Identity::Series { schema, series } => {
            Ok(schema.series()[series].labels().pairs().to_vec())
        }
        Identity::Event(event) => {
            let labels = event.details.labels();
            let pairs = labels.iter().map(|(name, value)| match value.as_str() {
                Some(text) => Ok((name.clone(), text.to_owned())),
                None => Err(format!("label `{name}` is not text, so it can't be a tag")),
            });
            pairs.collect()
        }
    }
}

/// Appends text with everything that is not plain as `%` and two digits, so that no two texts look alike.
fn push_escaped(lines: &mut String, text: &str) {
    let mut bytes = [0; 4];
    for c in text.chars() {
        if is_plain(c) {
            lines.push(c);
        } else {
            for byte in c.encode_utf8(&mut bytes).bytes() {
                let _ = write!(lines, "%{byte:02x}");
            }
        }
    }
}
