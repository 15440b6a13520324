//! The suite that every sink passes, against the same Carbon.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use wanctl_sink::conformance::{Arrived, Fault, Harness};
use wanctl_sink::{Event, Item, Row};

use crate::carbon::{Carbon, Mode};

impl Harness for Carbon {
    const KIND: &'static str = "graphite";
    /// Graphite's times are whole seconds.
    const RESOLUTION: Duration = Duration::from_secs(1);
    /// A line that comes again has the same name and second, so it replaces itself.
    const MAY_DOUBLE: bool = true;

    fn new() -> Self {
        Carbon::start()
    }

    fn settings(&self) -> String {
        format!("{{ address: '{}', prefix: 'test.', api_key: key }}", self.address)
    }

    fn arrived(&self) -> Vec<Arrived> {
        self.text().lines().map(read).collect()
    }

    /// A label without text is left out.
    fn keeps(&self, row: &Row<'_>) -> Option<Arrived> {
        let mut kept = Arrived::from(row);
        if let Some(text) = &kept.labels {
            let mut labels: Map<String, Value> = serde_json::from_str(text).unwrap();
            labels.retain(|_, value| value != "");
            kept.labels = Some(Value::from(labels).to_string());
        }
        Some(kept)
    }

    fn secret(&self) -> Option<(String, String)> {
        let settings = format!("{{ address: '{}', api_key: hunter2-planted }}", self.address);
        Some((settings, "hunter2-planted".to_owned()))
    }

    /// A label that is a map is no tag.
    fn unrecordable(&self) -> Option<Item> {
        let details = json!({ "autorate": { "floor_mbps": 20 } });
        Some(Item::Event(Arc::new(Event {
            at: super::AT,
            metric: &super::RTT,
            wan: "fibre".into(),
            source: "conformance".into(),
            value: 1.0,
            details: Arc::new(details.as_object().cloned().unwrap()),
        })))
    }

    fn break_down(&self, how: Fault) -> bool {
        match how {
            Fault::Refuses => self.becomes(Mode::Resets),
            Fault::Hangs => self.becomes(Mode::Hangs),
            _ => return false,
        }
        true
    }

    fn mend(&self) {
        self.becomes(Mode::Reads);
    }
}

wanctl_sink::conformance!(Carbon);

/// A line as Graphite reads it.
fn read(line: &str) -> Arrived {
    let fields: Vec<&str> = line.split(' ').collect();
    let [path, value, seconds] = fields[..] else { panic!("{line}") };
    let mut parts = path.strip_prefix("key.test.").unwrap().split(';');
    let metric = parts.next().unwrap().to_owned();
    let mut tags: Map<String, Value> = parts
        .map(|tag| tag.split_once('=').unwrap())
        .map(|(name, value)| (unescaped(name), Value::from(unescaped(value))))
        .collect();
    let mut take = |name| tags.remove(name).unwrap().as_str().unwrap().to_owned();
    Arrived {
        metric,
        wan: take("wan"),
        source: take("source"),
        labels: Some(Value::from(tags).to_string()),
        unix_nanos: seconds.parse::<i64>().unwrap() * 1_000_000_000,
        value: value.parse().unwrap(),
    }
}

fn unescaped(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
        bytes.extend(part[2..].bytes());
    }
    String::from_utf8(bytes).unwrap()
}
