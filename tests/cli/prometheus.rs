//! The scrape endpoint of a running program.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use super::support::{BOTH, Place, poll};

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The answer to a scrape; `None` while nobody listens.
fn scrape(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// Runs both controllers with these destinations until a scrape shows what both of them measure.
fn check_scraped(port: u16, destinations: &str) {
    let place = Place::new();
    let config = place.write("wan.yaml", &format!("{BOTH}{destinations}\n"));
    let mut daemon = place.start(place.command("run --config {} --log-format json", &config));
    let shows = |answer: &str, line: &str| answer.lines().any(|found| found.starts_with(line));
    let answer = poll("a scrape with the values of both controllers", || {
        assert!(daemon.is_running());
        let measured = |answer: &String| {
            ["autorate", "steering"].iter().all(|source| {
                shows(answer, &format!("wanctl_rtt_ms{{wan=\"loop\",source=\"{source}\"}} "))
            })
        };
        scrape(port).filter(measured)
    });
    for line in [
        "HTTP/1.1 200 OK",
        "# HELP wanctl_rtt_ms Round-trip time to the reflectors",
        "# TYPE wanctl_rtt_ms gauge",
        "wanctl_rate_download_mbps{wan=\"loop\",source=\"autorate\"} ",
        "wanctl_state{wan=\"loop\",source=\"autorate\",direction=\"upload\"} ",
        "wanctl_state{wan=\"loop\",source=\"steering\"} ",
        "wanctl_steering_enabled{wan=\"loop\",source=\"steering\"} 0",
    ] {
        assert!(shows(&answer, line), "{line}: {answer}");
    }
    assert!(!answer.contains("wanctl_config_snapshot"), "{answer}");
    daemon.signal("TERM");
    let run = daemon.finish().success();
    let closed = run.said("Sink closed.");
    assert_eq!(closed.len(), 1, "{}", run.err);
    for lost in ["lost", "evicted", "rejected"] {
        assert_eq!(closed[0][lost], 0, "{lost}");
    }
    assert!(scrape(port).is_none(), "nobody listens after the end");
}

#[test]
fn a_scrape_shows_the_newest_values_of_both_controllers() {
    let port = free_port();
    check_scraped(
        port,
        &format!("sinks: {{ p: {{ type: prometheus, settings: {{ port: {port} }} }} }}"),
    );
}

#[test]
fn the_originals_metrics_section_is_a_scrape_endpoint() {
    let port = free_port();
    check_scraped(
        port,
        &format!("storage: {{ db_path: \"\" }}\nmetrics: {{ enabled: true, port: {port} }}"),
    );
}

#[test]
fn a_port_in_use_stops_the_start_and_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let place = Place::new();
    let sinks = format!("sinks: {{ p: {{ type: prometheus, settings: {{ port: {port} }} }} }}");
    let config = place.write("wan.yaml", &format!("{BOTH}{sinks}\n"));
    let run = place.run("run --config {} --duration 1s", &config).failure();
    let message = format!("can't listen on 127.0.0.1:{port}: the port is in use already");
    assert!(run.err.contains(&message), "{}", run.err);
}
