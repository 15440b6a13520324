//! Things that happen once: transitions and configuration snapshots.
//!
//! An event is a typed record. Its text is made by the sink that wants one, on the sink's own thread.

use std::fmt::Debug;
use std::io;
use std::sync::Arc;

use serde_json::ser::Formatter;
use serde_json::{Map, Value};

use crate::{Metric, Timestamp};

/// A transition or a snapshot. It is a row like any other, with labels of its own.
#[derive(Clone, Debug)]
pub struct Event {
    /// When it happened.
    pub at: Timestamp,
    /// The metric it is recorded under.
    pub metric: &'static Metric,
    /// The WAN it concerns; never empty.
    pub wan: Arc<str>,
    /// Who emitted it.
    pub source: Arc<str>,
    /// The row's value, in the metric's unit.
    pub value: f64,
    /// What happened.
    pub details: Arc<dyn Details>,
}

impl Event {
    /// The details as the text of a JSON object, ASCII only; `None` when there are none.
    pub fn label_text(&self) -> Option<String> {
        label_text(&self.details.labels())
    }
}

/// What an event knows: an enum and numbers, turned into labels when a sink asks.
pub trait Details: Debug + Send + Sync {
    /// The labels of the event's row, in the order they are written. Called on a sink's thread.
    fn labels(&self) -> Map<String, Value>;
}

/// Ready-made labels are details too.
impl Details for Map<String, Value> {
    fn labels(&self) -> Map<String, Value> {
        self.clone()
    }
}

/// Labels as text: one JSON object, `", "` and `": "` between, ASCII only; `None` for no labels.
///
/// It is the spelling that readers of the original's files know (`LIKE '%"direction": "download"%'`).
pub fn label_text(labels: &Map<String, Value>) -> Option<String> {
    if labels.is_empty() {
        return None;
    }
    let mut text = Vec::with_capacity(64);
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, SpacedAscii);
    serde::Serialize::serialize(labels, &mut serializer).ok()?;
    String::from_utf8(text).ok()
}

/// JSON with a space after commas and colons, and nothing but ASCII.
struct SpacedAscii;

impl Formatter for SpacedAscii {
    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        w: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first { Ok(()) } else { w.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        w: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first { Ok(()) } else { w.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, w: &mut W) -> io::Result<()> {
        w.write_all(b": ")
    }

    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        w: &mut W,
        text: &str,
    ) -> io::Result<()> {
        let mut units = [0; 2];
        for c in text.chars() {
            if c.is_ascii() {
                w.write_all(&[c as u8])?;
            } else {
                for unit in c.encode_utf16(&mut units) {
                    write!(w, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_spaced_ascii_json_in_insertion_order() {
        let mut labels = Map::new();
        labels.insert("to".into(), "wan\u{e9}\u{1f600}\"".into());
        labels.insert("list".into(), serde_json::json!([1, 2.5, null]));
        assert_eq!(
            label_text(&labels).as_deref(),
            Some(r#"{"to": "wan\u00e9\ud83d\ude00\"", "list": [1, 2.5, null]}"#)
        );
        assert_eq!(label_text(&Map::new()), None);
    }
}
