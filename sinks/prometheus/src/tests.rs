//! The sink over real sockets, and its settings.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;
use wanctl_sink::{
    Batch, Deadline, Event, FaultClass, Frame, Item, Kind, Metric, OpenContext, Registry, Rollup,
    Schema, Series, Settings, SinkSpec, Timestamp, Unit, Written,
};

use super::*;

static RTT: Metric = Metric {
    name: "wanctl_test_rtt_ms",
    unit: Unit::Milliseconds,
    kind: Kind::Gauge,
    rollup: Rollup::Mean,
    help: "Round-trip time",
    states: &[],
};
static STATE: Metric =
    Metric { name: "wanctl_test_state", unit: Unit::None, kind: Kind::State, ..RTT };
static SNAPSHOT: Metric =
    Metric { name: "wanctl_test_snapshot", unit: Unit::UnixSeconds, kind: Kind::Event, ..RTT };

fn start(max_series: usize) -> (PrometheusWriter, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (PrometheusWriter::serve(listener, max_series).unwrap(), address)
}

/// A frame of the RTT of `wan1`, a state of it and a snapshot.
fn frame(value: f64) -> Item {
    let direction = [("direction", "download")];
    let schema = Schema::new(vec![
        Series::new(&RTT, "wan1", "test"),
        Series::new(&STATE, "wan1", "test").with_labels(&direction),
        Series::new(&SNAPSHOT, "wan1", "test"),
    ]);
    let mut frame = Frame::new(Timestamp::default(), &schema.unwrap());
    for (series, value) in [(0, value), (1, 2.0), (2, 7.0)] {
        frame.push(series, value);
    }
    Item::Frame(Arc::new(frame))
}

fn write(writer: &mut PrometheusWriter, items: &[Item]) -> Written {
    writer.write(&Batch::new(items), soon())
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    // Far beyond anything that should happen here.
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = connect(address);
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The body of a scrape, after a check of its length.
fn scrape(address: SocketAddr, accept: &str) -> String {
    let answer = ask(address, &format!("GET /metrics HTTP/1.1\r\nAccept: {accept}\r\n\r\n"));
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())), "{head}");
    body.to_owned()
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(10))
}

#[test]
fn a_scrape_sees_the_last_value_of_each_series_and_no_event() {
    let (mut writer, address) = start(10);
    let reason = json!({ "direction": "download", "reason": "any text" });
    let event = Item::Event(Arc::new(Event {
        at: Timestamp::default(),
        metric: &STATE,
        wan: "wan1".into(),
        source: "test".into(),
        value: 3.0,
        details: Arc::new(reason.as_object().unwrap().clone()),
    }));
    assert_eq!(scrape(address, "*/*"), "");
    assert!(matches!(write(&mut writer, &[]), Written::All));
    assert!(matches!(write(&mut writer, &[frame(1.0), event, frame(23.41)]), Written::All));
    let samples = "\
# HELP wanctl_test_rtt_ms Round-trip time
# TYPE wanctl_test_rtt_ms gauge
wanctl_test_rtt_ms{wan=\"wan1\",source=\"test\"} 23.41
# HELP wanctl_test_state Round-trip time
# TYPE wanctl_test_state gauge
wanctl_test_state{wan=\"wan1\",source=\"test\",direction=\"download\"} 2
";
    assert_eq!(scrape(address, "*/*"), samples);
    let gauge = "# TYPE wanctl_test_rtt_ms gauge\n";
    let openmetrics = samples.replace(gauge, &format!("{gauge}# UNIT wanctl_test_rtt_ms ms\n"));
    assert_eq!(scrape(address, "application/openmetrics-text"), openmetrics + "# EOF\n");
}

#[test]
fn only_rows_of_series_beyond_the_limit_are_rejected() {
    let (mut writer, address) = start(1);
    match write(&mut writer, &[frame(1.0), frame(2.0)]) {
        Written::Rejected(rows) => {
            let positions: Vec<usize> = rows.iter().map(|(position, _)| *position).collect();
            assert_eq!(positions, [1, 4]);
            assert!(rows[0].1.contains("max_series"), "{rows:?}");
        }
        other => panic!("{other:?}"),
    }
    assert!(scrape(address, "").ends_with("} 2\n"));
}

#[test]
fn a_scrape_in_the_midst_of_writing_sees_whole_batches() {
    let (mut writer, address) = start(10);
    assert!(matches!(write(&mut writer, &[frame(0.0)]), Written::All));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for value in 1.. {
                assert!(matches!(write(&mut writer, &[frame(f64::from(value))]), Written::All));
                if done.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        let mut last = 0.0;
        for _ in 0..50 {
            let text = scrape(address, "");
            let line = text.lines().nth(2).unwrap();
            let value: f64 = line.rsplit_once(' ').unwrap().1.parse().unwrap();
            assert!(last <= value && text.lines().count() == 6, "{text}");
            last = value;
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn clients_that_send_nothing_keep_nobody_waiting() {
    let (_writer, address) = start(10);
    let mut silent: Vec<TcpStream> = (0..10).map(|_| connect(address)).collect();
    silent[0].write_all(b"GET /metr").unwrap();
    assert_eq!(scrape(address, ""), "");
    for mut stream in silent {
        // They were not sent away for that, so the scrape did not wait for their end.
        stream.set_nonblocking(true).unwrap();
        let error = stream.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
}

#[test]
fn more_clients_than_are_served_at_once_wait_until_silent_ones_are_sent_away() {
    let (_writer, address) = start(10);
    let silent: Vec<TcpStream> = (0..wanctl_http::CONNECTIONS).map(|_| connect(address)).collect();
    assert_eq!(scrape(address, ""), "");
    let mut first = &silent[0];
    first.set_nonblocking(true).unwrap();
    assert_eq!(first.read(&mut [0]).unwrap(), 0, "it made room for the scrape");
}

#[test]
fn a_request_in_pieces_is_answered_and_one_that_ends_early_is_not() {
    let (_writer, address) = start(10);
    let mut stream = connect(address);
    stream.set_nodelay(true).unwrap();
    for piece in ["GET /hea", "lth HTTP/1.1\r", "\n\r", "\n"] {
        stream.write_all(piece.as_bytes()).unwrap();
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("\r\n\r\nok\n"), "{answer}");

    let mut stream = connect(address);
    stream.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}

#[test]
fn other_requests_get_their_status() {
    let (_writer, address) = start(10);
    let head = ask(address, "HEAD /metrics HTTP/1.1\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(ask(address, "GET /x HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
    // More than the system's buffers hold, so that it must be read to the end.
    let long = "x".repeat(20_000_000);
    let post = format!("POST /metrics HTTP/1.1\r\nContent-Length: {}\r\n\r\n{long}", long.len());
    assert!(ask(address, &post).starts_with("HTTP/1.1 405 "));
    let long = format!("GET /metrics HTTP/1.1\r\nX: {long}\r\n\r\n");
    assert!(ask(address, &long).starts_with("HTTP/1.1 431 "));
}

#[test]
fn a_client_that_reads_late_gets_all_of_a_long_answer() {
    let (mut writer, address) = start(10_000);
    for chunk in 0..250 {
        let wan = |number: usize| format!("{}-{chunk}-{number}", "wan".repeat(20));
        let series = (0..32).map(|number| Series::new(&RTT, wan(number), "test")).collect();
        let mut frame = Frame::new(Timestamp::default(), &Schema::new(series).unwrap());
        (0..32).for_each(|series| frame.push(series, 1.0));
        assert!(matches!(write(&mut writer, &[Item::Frame(Arc::new(frame))]), Written::All));
    }
    let mut stream = connect(address);
    stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
    // Another scrape ends first, so this one's answer is under way by then.
    assert_eq!(scrape(address, "").lines().count(), 2 + 8_000);
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer.split_once("\r\n\r\n").unwrap().1.lines().count(), 2 + 8_000);
}

#[test]
fn after_the_end_the_thread_is_gone_and_the_port_is_free() {
    let deadline = soon();
    let (mut writer, address) = start(10);
    let mut silent = connect(address);
    assert_eq!(scrape(address, ""), "");
    writer.probe(deadline).unwrap();
    writer.close(deadline).unwrap();
    let config =
        PrometheusConfig { host: address.ip().to_string(), port: address.port(), max_series: 1 };
    // Dropping is enough, too.
    for _ in 0..2 {
        drop(PrometheusWriter::open(&config, soon()).unwrap());
    }
    assert_eq!(silent.read(&mut [0]).unwrap(), 0, "connections ended, too");
    assert!(writer.probe(deadline).is_err());
    assert!(matches!(write(&mut writer, &[frame(1.0)]), Written::Failed(_)));
}

#[test]
fn without_time_left_nobody_listens() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = PrometheusConfig { port: free, ..PrometheusConfig::default() };
    let over = OpenContext::new("scrape", Deadline::after(Duration::ZERO));
    assert_eq!(config.open(&over).err().unwrap().class, FaultClass::Cancelled);
    config.open(&OpenContext::new("scrape", soon())).unwrap();
}

#[test]
fn a_used_port_is_a_configuration_fault_that_names_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let config = PrometheusConfig { port, ..PrometheusConfig::default() };
    let error = config.open(&OpenContext::new("scrape", soon())).err().unwrap();
    assert_eq!(error.class, FaultClass::Config);
    let message = format!("can't listen on 127.0.0.1:{port}: the port is in use already");
    assert_eq!(error.to_string(), message);
}

fn parse(text: &str) -> Result<PrometheusConfig, Issue> {
    Settings::from_yaml(text).unwrap().parse()
}

#[test]
fn the_sample_shows_the_defaults() {
    let specs = SinkSpec::parse_yaml(include_str!("../sample.yaml"), &Registry::linked().unwrap());
    let default = PrometheusConfig::default();
    assert_eq!(format!("{:?}", specs.unwrap()[0].config), format!("{default:?}"));
}

#[test]
fn hosts_are_addresses_or_names() {
    let check = |host: &str| PrometheusConfig { host: host.into(), ..Default::default() }.check();
    for host in ["0.0.0.0", "::", "fe80::1", "localhost", "router-1.lan", "7up.example"] {
        assert_eq!(check(host), [], "{host}");
    }
    for host in ["", "a b", "127.0.0.1:9100", "127.0.0", "[::1]", "http://x", ".lan", "-x"] {
        let accepted = format!("host: found {host:?}; accepted: an IP address or a host name");
        assert_eq!(check(host)[0].to_string(), accepted);
    }
}

#[test]
fn numbers_that_make_no_sense_are_refused_together() {
    let issues = parse("{ port: 0, max_series: 0 }").unwrap().check();
    let issues: Vec<String> = issues.iter().map(ToString::to_string).collect();
    let expected =
        ["port: found 0; accepted: 1 to 65535", "max_series: found 0; accepted: at least 1"];
    assert_eq!(issues, expected);
    assert!(parse("port: 70000").unwrap_err().to_string().starts_with("port: "));
    assert!(parse("hots: x").unwrap_err().to_string().contains("hots"));
}

#[test]
fn the_claim_is_the_address_to_listen_on() {
    let claim = |text: &str| parse(text).unwrap().claims();
    assert_eq!(claim(""), [Resource::TcpListener("127.0.0.1:9100".into())]);
    assert_eq!(claim("host: '::1'"), [Resource::TcpListener("[::1]:9100".into())]);
    assert_eq!(claim("{ host: lan, port: 1 }"), [Resource::TcpListener("lan:1".into())]);
}
