//! The log sink against a real subscriber: what is in the log.

#![cfg(test)]

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tracing_subscriber::EnvFilter;
use wanctl_sink::{
    Batch, Deadline, Event, FaultClass, Frame, Item, Kind, Metric, OpenContext, Registry, Rollup,
    Schema, Series, Settings, SinkConfig, SinkSpec, Timestamp, Unit, Written,
};
use wanctl_sink_log::{Level, LogConfig, TARGET};

static RTT: Metric = Metric {
    name: "wanctl_test_rtt_ms",
    unit: Unit::Milliseconds,
    kind: Kind::Gauge,
    rollup: Rollup::Mean,
    help: "Round-trip time",
    states: &[],
};

const AT: Timestamp = Timestamp { unix_nanos: 1_769_300_027_050_000_000, mono_nanos: 0 };

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A frame of two rows and an event.
fn items() -> [Item; 2] {
    let download = Series::new(&RTT, "wan1", "test").with_labels(&[("direction", "download")]);
    let schema = Schema::new(vec![Series::new(&RTT, "wan1", "test"), download]).unwrap();
    let mut frame = Frame::new(AT, &schema);
    frame.push(0, 23.41);
    frame.push(1, 2.0);
    let event = Event {
        at: AT,
        metric: &RTT,
        wan: "wan2".into(),
        source: "test".into(),
        value: 3.0,
        details: Arc::new(json!({ "reason": "a\n\"b\"" }).as_object().unwrap().clone()),
    };
    [Item::Frame(Arc::new(frame)), Item::Event(Arc::new(event))]
}

/// What the log holds after these rows were written at `level`, shown through `filter`.
fn logged(level: Level, filter: &str) -> Vec<Value> {
    let log = Log::default();
    let written_to = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(move || written_to.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        let deadline = Deadline::after(Duration::from_secs(10));
        let mut writer = LogConfig { level }.open(&OpenContext::new("rows", deadline)).unwrap();
        let written = writer.write(&Batch::new(&items()), deadline);
        assert!(matches!(written, Written::All), "{written:?}");
        writer.close(deadline).unwrap();
    });
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn each_row_is_one_event_with_its_identity_as_fields() {
    let mut lines = logged(Level::Debug, "debug");
    for line in &mut lines {
        assert!(line.as_object_mut().unwrap().remove("timestamp").is_some());
    }
    let row = |wan: &str, value: f64| {
        json!({
            "level": "DEBUG", "target": TARGET, "message": "Row.", "metric": "wanctl_test_rtt_ms",
            "wan": wan, "source": "test", "value": value,
        })
    };
    let mut labelled = row("wan1", 2.0);
    labelled["labels"] = json!("{\"direction\": \"download\"}");
    let mut event = row("wan2", 3.0);
    event["labels"] = json!("{\"reason\": \"a\\n\\\"b\\\"\"}");
    assert_eq!(lines, [row("wan1", 23.41), labelled, event]);
}

#[test]
fn rows_have_the_level_that_is_set() {
    for (level, name) in [(Level::Trace, "TRACE"), (Level::Debug, "DEBUG"), (Level::Info, "INFO")] {
        let lines = logged(level, "trace");
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().all(|line| line["level"] == name), "{lines:?}");
    }
}

#[test]
fn rows_are_switched_on_by_their_target() {
    assert_eq!(logged(Level::Debug, "info").len(), 0);
    assert_eq!(logged(Level::Debug, "info,wanctl::sink::log=debug").len(), 3);
    assert_eq!(logged(Level::Info, "info,wanctl::sink::log=off").len(), 0);
}

#[test]
fn a_deadline_that_has_passed_keeps_the_batch() {
    let context = OpenContext::new("rows", Deadline::after(Duration::from_secs(10)));
    let mut writer = LogConfig::default().open(&context).unwrap();
    let written = writer.write(&Batch::new(&items()), Deadline::after(Duration::ZERO));
    assert!(matches!(written, Written::Failed(error) if error.class == FaultClass::Cancelled));
}

#[test]
fn an_unknown_level_or_key_is_refused_with_what_is_accepted() {
    let parse = |text: &str| Settings::from_yaml(text).unwrap().parse::<LogConfig>();
    let level = parse("level: loud").unwrap_err().to_string();
    assert!(level.starts_with("level: "), "{level}");
    assert!(["`trace`", "`debug`", "`info`"].iter().all(|name| level.contains(name)), "{level}");
    let key = parse("levl: info").unwrap_err().to_string();
    assert!(key.contains("`levl`") && key.contains("`level`"), "{key}");
    assert_eq!(parse("{}").unwrap(), LogConfig { level: Level::Debug });
}

#[test]
fn the_sample_shows_the_default() {
    let specs = SinkSpec::parse_yaml(include_str!("../sample.yaml"), &Registry::linked().unwrap());
    assert_eq!(format!("{:?}", specs.unwrap()[0].config), format!("{:?}", LogConfig::default()));
}
