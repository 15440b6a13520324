//! The prometheus sink keeps the contract of sinks.

#![cfg(test)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use serde_json::{Map, Value};
use wanctl_sink::conformance::{Arrived, Harness, Keeps};
use wanctl_sink::{
    Frame, Identity, Item, Kind, Metric, Rollup, Row, Schema, Series, Timestamp, Unit,
};
use wanctl_sink_prometheus as _;

/// A port of its own.
struct Scrape {
    port: u16,
}

impl Harness for Scrape {
    const KIND: &'static str = "prometheus";
    const KEEPS: Keeps = Keeps::Newest;

    /// A free port below those that the system hands out, so that no connection of a test next door
    /// takes it before the sink does.
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
        let port = std::iter::repeat_with(|| {
            let number = process::id().wrapping_mul(97).wrapping_add(NEXT.fetch_add(1, Relaxed));
            10_000 + (number % 20_000) as u16
        });
        Scrape { port: port.take(20_000).find(is_free).unwrap() }
    }

    fn settings(&self) -> String {
        format!("{{ host: 127.0.0.1, port: {}, max_series: 1000 }}", self.port)
    }

    /// What a scrape shows; nothing when nobody listens any more.
    fn arrived(&self) -> Vec<Arrived> {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else {
            return Vec::new();
        };
        stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        body.lines().filter(|line| !line.starts_with('#')).map(sample).collect()
    }

    /// Events are not shown: what they tell of is in the next frame.
    fn keeps(&self, row: &Row<'_>) -> Option<Arrived> {
        let is_series = matches!(row.identity, Identity::Series { .. });
        is_series.then(|| Arrived { unix_nanos: 0, ..Arrived::from(row) })
    }

    /// A label whose name the format does not allow.
    fn unrecordable(&self) -> Option<Item> {
        static METRIC: Metric = Metric {
            name: "wanctl_test_value",
            unit: Unit::None,
            kind: Kind::Gauge,
            rollup: Rollup::Mean,
            help: "A number",
            states: &[],
        };
        let series = Series::new(&METRIC, "wan1", "test").with_labels(&[("two words", "x")]);
        let mut frame = Frame::new(Timestamp::default(), &Schema::new(vec![series]).unwrap());
        frame.push(0, 1.0);
        Some(Item::Frame(Arc::new(frame)))
    }
}

/// `name{label="value",…} value`, read character by character as the format's description says.
fn sample(line: &str) -> Arrived {
    let (metric, mut rest) = line.split_once('{').unwrap();
    let mut labels = Map::new();
    while !rest.starts_with('}') {
        let (name, quoted) = rest.split_once("=\"").unwrap();
        let mut value = String::new();
        let mut characters = quoted.char_indices();
        loop {
            match characters.next().unwrap().1 {
                '"' => break,
                '\\' => value.push(match characters.next().unwrap().1 {
                    'n' => '\n',
                    other => other,
                }),
                other => value.push(other),
            }
        }
        labels.insert(name.to_owned(), Value::from(value));
        rest = characters.as_str();
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    let mut take = |name| labels.shift_remove(name).unwrap().as_str().unwrap().to_owned();
    let (wan, source) = (take("wan"), take("source"));
    Arrived {
        metric: metric.to_owned(),
        wan,
        source,
        labels: wanctl_sink::label_text(&labels),
        unix_nanos: 0,
        value: rest.strip_prefix("} ").unwrap().parse().unwrap(),
    }
}

wanctl_sink::conformance!(Scrape);
