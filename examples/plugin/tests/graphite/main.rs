//! The sink against a Carbon on loopback: what arrives, and what it says when nothing can.

mod carbon;
mod conformance;

use std::fs;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use carbon::{Carbon, Mode};
use wanctl_sink::{
    Batch, Deadline, Event, FaultClass, Frame, Item, Kind, Metric, OpenContext, Pipeline,
    PipelineOptions, Registry, Rollup, Schema, Series, Settings, SinkConfig, SinkSpec, SinkWriter,
    Timestamp, Unit, Written, assert_linked,
};
use wanctl_sink_graphite::GraphiteConfig;

static RTT: Metric = Metric {
    name: "wanctl_rtt_ms",
    unit: Unit::Milliseconds,
    kind: Kind::Gauge,
    rollup: Rollup::Mean,
    help: "Round-trip time",
    states: &[],
};

const AT: Timestamp = Timestamp { unix_nanos: 1_700_000_000_250_000_000, mono_nanos: 1 };

fn frame() -> Arc<Frame> {
    let series = Series::new(&RTT, "fibre 1", "autorate");
    let labelled = Series::new(&RTT, "fibre 1", "autorate").with_labels(&[
        ("direction", "up;down"),
        ("source", "autorate"),
        ("empty", ""),
    ]);
    let mut frame = Frame::new(AT, &Schema::new(vec![series, labelled]).unwrap());
    frame.push(0, 23.41);
    frame.push(1, -0.000_001);
    Arc::new(frame)
}

const LINES: &str = "wanctl_rtt_ms;wan=fibre%201;source=autorate 23.41 1700000000\n\
     wanctl_rtt_ms;wan=fibre%201;source=autorate;direction=up%3bdown -0.000001 1700000000\n";

fn event(labels: &str) -> Item {
    let details: serde_json::Map<_, _> = serde_json::from_str(labels).unwrap();
    Item::Event(Arc::new(Event {
        at: AT,
        metric: &RTT,
        wan: "fibre".into(),
        source: "autorate".into(),
        value: 1.0,
        details: Arc::new(details),
    }))
}

fn config(address: &str, more: &str) -> GraphiteConfig {
    let text = format!("address: '{address}'\n{more}");
    Settings::from_yaml(&text).unwrap().parse().unwrap()
}

fn open(config: &GraphiteConfig) -> Box<dyn SinkWriter> {
    config.open(&OpenContext::new("carbon", soon())).unwrap()
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(10))
}

#[test]
fn the_kind_is_linked_and_its_sample_is_valid() {
    assert_linked!("graphite");
    let registry = Registry::linked().unwrap();
    let sample = registry.get("graphite").unwrap().sample;
    let specs = SinkSpec::parse_yaml(sample, &registry).unwrap();
    assert_eq!(Pipeline::check(&specs), []);
}

#[test]
fn every_mistake_in_the_settings_is_named() {
    let parse = |text: &str| Settings::from_yaml(text).unwrap().parse::<GraphiteConfig>();
    for (text, named) in [("{}", "address"), ("address: 'c:1'\nprefx: x", "prefx")] {
        let issue = parse(text).unwrap_err().to_string();
        assert!(issue.contains(named), "{issue}");
    }
    let issues = parse("{ address: carbon, prefix: 'my home' }").unwrap().check();
    let said: Vec<String> = issues.iter().map(ToString::to_string).collect();
    assert_eq!(said[0], "address: found carbon; accepted: host:port");
    assert!(said[1].starts_with("prefix: found ' '; accepted: "), "{said:?}");
}

#[test]
fn rows_become_lines_and_are_delivered_when_carbon_has_read_them() {
    let carbon = Carbon::start();
    let mut writer = open(&config(&carbon.address, ""));
    let written = writer.write(&Batch::new(&[Item::Frame(frame())]), soon());
    assert!(matches!(written, Written::All), "{written:?}");
    assert_eq!(carbon.text(), LINES);
}

#[test]
fn a_row_that_graphite_can_not_hold_is_rejected_and_its_neighbours_arrive() {
    let carbon = Carbon::start();
    let mut writer = open(&config(&carbon.address, ""));
    let long = format!(r#"{{"reason": "{}"}}"#, "x".repeat(20_000));
    let items = [event(r#"{"autorate": {"floor": 1}}"#), event(&long), event(r#"{"to": "RED"}"#)];
    let Written::Rejected(rows) = writer.write(&Batch::new(&items), soon()) else { panic!() };
    assert_eq!((rows[0].0, rows[1].0, rows.len()), (0, 1, 2));
    assert!(rows[0].1.contains("`autorate`") && rows[1].1.contains("16384"), "{rows:?}");
    assert_eq!(carbon.text(), "wanctl_rtt_ms;wan=fibre;source=autorate;to=RED 1 1700000000\n");
}

#[test]
fn a_key_in_a_file_is_looked_up_for_each_batch_and_shown_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let carbon = Carbon::start();
    let key = format!("api_key: 'file:{}'\nprefix: home.", path.display());
    let config = config(&carbon.address, &key);
    let error = config.open(&OpenContext::new("carbon", soon())).err().unwrap();
    assert_eq!(error.class, FaultClass::Config);
    fs::write(&path, "first\n").unwrap();
    let mut writer = open(&config);
    for key in ["first", "second"] {
        fs::write(&path, key).unwrap();
        assert!(matches!(writer.write(&Batch::new(&[event("{}")]), soon()), Written::All));
        let line = format!("{key}.home.wanctl_rtt_ms;wan=fibre;source=autorate 1 1700000000\n");
        assert!(carbon.text().ends_with(&line), "{}", carbon.text());
    }
    assert!(format!("{config:?}").contains("api_key: Some((hidden))"), "{config:?}");
}

#[test]
fn a_carbon_that_hangs_costs_no_more_than_the_deadline() {
    let carbon = Carbon::start();
    carbon.becomes(Mode::Hangs);
    let mut writer = open(&config(&carbon.address, ""));
    let deadline = Deadline::after(Duration::from_millis(200));
    let written = writer.write(&Batch::new(&[Item::Frame(frame())]), deadline);
    let Written::Failed(error) = written else { panic!("{written:?}") };
    assert_eq!(error.class, FaultClass::Cancelled, "{error}");
    assert!(deadline.is_over());
    let over = writer.write(&Batch::new(&[Item::Frame(frame())]), deadline);
    assert!(matches!(over, Written::Failed(error) if error.class == FaultClass::Cancelled));
}

#[test]
fn a_carbon_that_is_not_there_is_a_fault_that_passes() {
    // One that was let go a moment ago.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut writer = open(&config(&address, ""));
    let written = writer.write(&Batch::new(&[Item::Frame(frame())]), soon());
    let Written::Failed(error) = written else { panic!("{written:?}") };
    assert_eq!(error.class, FaultClass::Transient, "{error}");
    assert!(error.to_string().contains(&address), "{error}");
    assert_eq!(writer.probe(soon()).unwrap_err().class, FaultClass::Transient);
}

#[test]
fn a_probe_and_an_empty_batch_send_nothing() {
    let carbon = Carbon::start();
    let mut writer = open(&config(&carbon.address, ""));
    assert!(matches!(writer.write(&Batch::new(&[]), soon()), Written::All));
    writer.probe(soon()).unwrap();
    assert_eq!(carbon.text(), "");
    assert!(matches!(writer.write(&Batch::new(&[Item::Frame(frame())]), soon()), Written::All));
    assert_eq!(carbon.text(), LINES);
}

#[test]
fn a_batch_that_was_reset_comes_again_whole() {
    let carbon = Carbon::start();
    carbon.becomes(Mode::Resets);
    let mut writer = open(&config(&carbon.address, ""));
    let batch = [Item::Frame(frame())];
    let written = writer.write(&Batch::new(&batch), soon());
    assert!(matches!(written, Written::Failed(error) if error.class == FaultClass::Transient));
    carbon.becomes(Mode::Reads);
    assert!(matches!(writer.write(&Batch::new(&batch), soon()), Written::All));
    assert_eq!(carbon.text(), LINES);
}

#[test]
fn a_pipeline_delivers_to_carbon() {
    let carbon = Carbon::start();
    let yaml = format!(
        "c: {{ type: graphite, batch: {{ linger: 10ms }}, settings: {{ address: '{}' }} }}",
        carbon.address
    );
    let specs = SinkSpec::parse_yaml(&yaml, &Registry::linked().unwrap()).unwrap();
    let pipeline = Pipeline::start(specs, PipelineOptions::default()).unwrap();
    let _ = pipeline.sink().emit(&frame());
    assert!(pipeline.flush(Duration::from_secs(10)));
    assert_eq!(carbon.text(), LINES);
    let stats = pipeline.shutdown(Duration::from_secs(10));
    assert_eq!((stats[0].delivered, stats[0].failures), (2, 0), "{stats:?}");
    assert!(stats[0].is_balanced(), "{stats:?}");
}
