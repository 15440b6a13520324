//! `health_check`: status and history of a running program over HTTP, by real sockets.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::support::{BOTH, Place, Running, autorate, poll, steering};

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A daemon that listens, with its history in its working directory.
struct Served {
    place: Place,
    daemon: Running,
    port: u16,
}

impl Served {
    fn start(sinks: &str) -> Self {
        let (place, port) = (Place::new(), free_port());
        let config = place.write("wan.yaml", &config(port, sinks));
        let daemon = place.start(place.command("run --config {} --log-format json", &config));
        let served = Served { place, daemon, port };
        poll("an answer", || connect(port));
        served
    }

    /// A daemon that has recorded something of both controllers.
    fn recording() -> Self {
        let served = Served::start("history: { type: sqlite, settings: { path: history.db } }");
        poll("rows of both controllers", || {
            let rows = |source| {
                let answer = served.get("/metrics/history?limit=10000");
                answer.json()["data"].as_array().unwrap().iter().any(|row| row["source"] == source)
            };
            (rows("autorate") && rows("steering")).then_some(())
        });
        served
    }

    fn get(&self, target: &str) -> Answer {
        self.ask(&format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n"))
    }

    fn ask(&self, request: &str) -> Answer {
        let mut stream = connect(self.port).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        Answer::read(stream)
    }

    fn stop(self) -> String {
        self.daemon.signal("TERM");
        self.daemon.finish().success().err
    }
}

fn config(port: u16, sinks: &str) -> String {
    format!("{BOTH}health_check: {{ port: {port} }}\nsinks: {{ {sinks} }}\n")
}

fn connect(port: u16) -> Option<TcpStream> {
    TcpStream::connect(("127.0.0.1", port)).ok()
}

struct Answer {
    head: String,
    body: String,
}

impl Answer {
    fn read(mut stream: TcpStream) -> Self {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
        Answer { head: head.to_owned(), body: body.to_owned() }
    }

    fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    fn length(&self) -> usize {
        let length = self.head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        length.unwrap().parse().unwrap()
    }

    /// The body, after a check that everything around it says what it is.
    fn json(&self) -> Value {
        assert!(self.head.contains("\r\nContent-Type: application/json\r\n"), "{}", self.head);
        assert_eq!(self.length(), self.body.len());
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// What is wrong, according to the answer.
    fn error(&self) -> String {
        let body = self.json();
        assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
        body["error"].as_str().unwrap().to_owned()
    }
}

#[test]
fn health_is_what_the_status_command_prints() {
    let served = Served::start("");
    let answer = poll("a measurement", || {
        let health = served.get("/health").json();
        health["controllers"][0]["rtt_ms"].is_f64().then_some(health)
    });
    assert_eq!(answer["version"], env!("CARGO_PKG_VERSION"));
    for (controller, kind) in
        answer["controllers"].as_array().unwrap().iter().zip(["autorate", "steering"])
    {
        assert_eq!((&controller["kind"], &controller["running"]), (&kind.into(), &true.into()));
    }
    assert_eq!(answer["sinks"], Value::Array(vec![]));
    let log = served.stop();
    assert!(log.contains("Status and history are answered over HTTP."), "{log}");
    assert!(!log.contains("there is no password"), "{log}");
}

#[test]
fn other_paths_and_methods_are_refused() {
    let served = Served::start("");
    for target in ["/", "/healthy", "/metrics", "/metrics/historyX", "/metrics/history/", "/HEALTH"]
    {
        let answer = served.get(target);
        assert_eq!((answer.status(), answer.error()), (404, "Not found".to_owned()), "{target}");
    }
    for target in ["/health", "/metrics/history"] {
        let answer = served.ask(&format!("POST {target} HTTP/1.1\r\nContent-Length: 1\r\n\r\nx"));
        assert_eq!(answer.status(), 405, "{target}");
        assert!(answer.head.contains("\r\nAllow: GET, HEAD\r\n"), "{}", answer.head);
        assert_eq!(answer.error(), "Method not allowed");
    }
    served.stop();
}

#[test]
fn history_has_the_shape_of_the_originals() {
    let served = Served::recording();
    let answer =
        served.get("/metrics/history?metrics=wanctl_state,%20wanctl_rtt_ms&wan=loop&limit=20");
    assert_eq!(answer.status(), 200);
    assert!(
        answer.body.starts_with("{\n  \"data\": [\n    {\n      \"timestamp\": \""),
        "{}",
        answer.body
    );
    let page = answer.json();
    let (data, metadata) = (page["data"].as_array().unwrap(), &page["metadata"]);
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        keys(metadata),
        ["total_count", "returned_count", "granularity", "limit", "offset", "source", "query"]
    );
    assert_eq!(metadata["returned_count"], data.len());
    assert!(metadata["total_count"].as_u64().unwrap() >= data.len() as u64);
    assert_eq!((&metadata["limit"], &metadata["offset"]), (&20.into(), &0.into()));
    assert_eq!(metadata["granularity"], "raw");
    let file = served.place.work().join("history.db");
    assert_eq!(metadata["source"], file.to_str().unwrap());
    let query = &metadata["query"];
    assert_eq!(query["metrics"], serde_json::json!(["wanctl_state", "wanctl_rtt_ms"]));
    assert_eq!(query["wan"], "loop");
    for row in data {
        let timestamp = row["timestamp"].as_str().unwrap();
        assert_eq!((timestamp.len(), &timestamp[19..]), (25, "+00:00"), "{row}");
        assert!(query["start"].as_str().unwrap() <= timestamp, "{row}");
        assert!(timestamp <= query["end"].as_str().unwrap(), "{row}");
        assert!(["wanctl_state", "wanctl_rtt_ms"].map(Value::from).contains(&row["metric_name"]));
        assert_eq!(row["wan_name"], "loop");
        assert_eq!(row["granularity"], "raw");
        assert!(row["value"].is_f64());
        let labels =
            row["labels"].as_str().map(|text| serde_json::from_str::<Value>(text).unwrap());
        assert_eq!(labels.is_some(), row["metric_name"] == "wanctl_state", "{row}");
    }
    let times =
        |row: &Value| (row["timestamp"].as_str().unwrap().to_owned(), row["micros"].as_u64());
    assert!(data.is_sorted_by(|one, next| times(one) >= times(next)), "newest first");
    let nothing = served.get("/metrics/history?wan=other").json();
    assert_eq!(
        (&nothing["data"], &nothing["metadata"]["total_count"]),
        (&serde_json::json!([]), &0.into())
    );
    assert_eq!(nothing["metadata"]["query"]["metrics"], Value::Null);
    served.stop();
}

#[test]
fn pages_put_together_are_the_whole() {
    let served = Served::recording();
    let (range, whole) = poll("rows of a second that is over", || {
        let newest = served.get("/metrics/history?limit=1").json();
        let newest: Timestamp = newest["data"][0]["timestamp"].as_str()?.parse().unwrap();
        // Controllers are queued side by side, so a row may come a little after a newer one.
        let to = newest - SignedDuration::from_secs(2);
        let range = format!("from=2026-01-01T00:00:00Z&to={to}");
        let whole = served.get(&format!("/metrics/history?{range}&limit=10000")).json();
        let is_enough = whole["data"].as_array().unwrap().len() > 50;
        is_enough.then_some((range, whole))
    });
    let total = whole["metadata"]["total_count"].as_u64().unwrap();
    let mut rows = Vec::new();
    for offset in (0..total + 17).step_by(17) {
        let page = served.get(&format!("/metrics/history?{range}&limit=17&offset={offset}")).json();
        assert_eq!(page["metadata"]["total_count"], total);
        let page = page["data"].as_array().unwrap().clone();
        assert_eq!(page.len() as u64, total.saturating_sub(offset).min(17));
        rows.extend(page);
    }
    assert_eq!(Value::Array(rows), whole["data"]);
    served.stop();
}

#[test]
fn parameters_that_are_not_accepted_are_named() {
    let served = Served::start("history: { type: sqlite, settings: { path: history.db } }");
    for (query, start) in [
        ("limit=0", "limit: found \"0\"; accepted: a whole number, 1 to 10000"),
        ("limit=10001", "limit: "),
        ("offset=-1", "offset: found \"-1\"; accepted: a whole number, 0 or more"),
        ("range=5parsecs", "range: found \"5parsecs\"; accepted: a whole number and a unit"),
        ("from=noon", "from: found \"noon\"; accepted: a time in ISO 8601"),
        ("from=2026-01-25T12:00:00+01:00", "from: found \"2026-01-25T12:00:00 01:00\""),
    ] {
        let answer = served.get(&format!("/metrics/history?{query}"));
        assert_eq!(answer.status(), 400, "{query}");
        assert!(answer.error().starts_with(start), "{}", answer.body);
    }
    let encoded =
        served.get("/metrics/history?from=2026-01-25T12:00:00%2B01:00&to=2026-01-25T12:00Z");
    let query = &encoded.json()["metadata"]["query"];
    assert_eq!(query["start"], "2026-01-25T11:00:00+00:00");
    assert_eq!(query["end"], "2026-01-25T12:00:00+00:00");
    served.stop();
}

#[test]
fn head_is_get_without_the_body() {
    let served = Served::recording();
    let fixed = "from=2026-01-25T12:00Z&to=2026-01-25T13:00Z";
    let target = format!("/metrics/history?{fixed}");
    let head = served.ask(&format!("HEAD {target} HTTP/1.1\r\n\r\n"));
    let get = served.get(&target);
    assert_eq!((head.status(), head.body.as_str()), (200, ""));
    assert_eq!(head.length(), get.body.len());
    assert_eq!(served.ask("HEAD /health HTTP/1.0\r\n\r\n").body, "");
    served.stop();
}

#[test]
fn clients_that_send_or_read_nothing_keep_nobody_waiting() {
    let served = Served::recording();
    let mut slow: Vec<TcpStream> = (0..8).map(|_| connect(served.port).unwrap()).collect();
    slow[0].write_all(b"GET /heal").unwrap();
    for stream in &mut slow[4..] {
        let request = b"GET /metrics/history?limit=10000 HTTP/1.1\r\n\r\n";
        stream.write_all(request).unwrap();
    }
    assert_eq!(served.get("/health").status(), 200);
    assert_eq!(served.get("/metrics/history").status(), 200);
    slow[1].set_nonblocking(true).unwrap();
    // Nobody was sent away for that, so nobody was waited for.
    assert_eq!(slow[1].read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    // Those who hang up before they are answered leave no trace.
    slow.iter().for_each(|stream| stream.shutdown(Shutdown::Both).unwrap());
    assert_eq!(served.get("/metrics/history").status(), 200);
    served.stop();
}

#[test]
fn a_history_that_cant_be_read_is_unavailable_and_health_goes_on() {
    let nowhere = "{ type: sqlite, startup: retry, settings: { path: /dev/null/history.db } }";
    for (sinks, reason) in [
        ("", "nothing is recorded to SQLite"),
        (&format!("history: {nowhere}"), "/dev/null/history.db"),
    ] {
        let served = Served::start(sinks);
        let answer = served.get("/metrics/history");
        assert_eq!(answer.status(), 503);
        assert!(answer.error().contains(reason), "{}", answer.body);
        assert_eq!(served.get("/health").status(), 200);
        served.daemon.signal("TERM");
        served.daemon.finish();
    }
}

#[test]
fn history_follows_a_reload() {
    let served = Served::recording();
    let sinks = "history: { type: sqlite, settings: { path: other.db } }";
    served.place.write("wan.yaml", &config(served.port, sinks));
    served.daemon.signal("HUP");
    let other = served.place.work().join("other.db");
    poll("rows of the other file", || {
        let page = served.get("/metrics/history").json();
        let follows = page["metadata"]["source"] == other.to_str().unwrap();
        (follows && page["metadata"]["returned_count"] != 0).then_some(())
    });
    served.stop();
}

#[test]
fn files_that_name_one_address_share_it() {
    let (place, port) = (Place::new(), free_port());
    let health = format!("health_check: {{ host: 127.0.0.1, port: {port} }}\nsinks: {{}}\n");
    place.write("autorate.yaml", &format!("{}{health}", autorate()));
    let steering = place.write("steering.yaml", &format!("{}{health}", steering()));
    let run =
        format!("run --config {} {{}} --log-format json", place.path("autorate.yaml").display());
    let daemon = place.start(place.command(&run, &steering));
    poll("an answer", || connect(port));
    daemon.signal("TERM");
    let run = daemon.finish().success();
    assert_eq!(run.said("Status and history are answered over HTTP.").len(), 1, "{}", run.err);
}

#[test]
fn without_the_section_or_with_a_port_that_is_taken_all_the_rest_goes_on() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for (section, warnings) in [
        (String::new(), 0),
        (format!("health_check: {{ enabled: false, port: {port} }}"), 0),
        (format!("health_check: {{ port: {port} }}"), 1),
    ] {
        let place = Place::new();
        let config = place.write("wan.yaml", &format!("{BOTH}sinks: {{}}\n{section}\n"));
        let run =
            place.run("run --config {} --duration 300ms --log-format json", &config).success();
        assert!(run.said("Status and history are answered over HTTP.").is_empty(), "{}", run.err);
        let warned = run.said("Can't listen at the address of health_check; all the rest goes on.");
        assert_eq!(warned.len(), warnings, "{}", run.err);
        assert!(run.cycles("autorate loop") > 0);
    }
}

#[test]
fn an_address_for_everybody_is_warned_about() {
    let (place, port) = (Place::new(), free_port());
    let section = format!("health_check: {{ host: 0.0.0.0, port: {port} }}\nsinks: {{}}\n");
    let config = place.write("wan.yaml", &format!("{BOTH}{section}"));
    let run = place.run("run --config {} --duration 300ms --log-format json", &config).success();
    let warned = run.err.lines().filter(|line| line.contains("there is no password")).count();
    assert_eq!(warned, 1, "{}", run.err);
}

#[test]
fn an_address_that_a_sink_has_is_refused() {
    let (place, port) = (Place::new(), free_port());
    let sinks = format!("sinks: {{ p: {{ type: prometheus, settings: {{ port: {port} }} }} }}");
    let section = format!("health_check: {{ port: {port} }}");
    let config = place.write("wan.yaml", &format!("{BOTH}{sinks}\n{section}\n"));
    let run = place.run("check {}", &config).failure();
    let refusal =
        format!("health_check.port: TCP address 127.0.0.1:{port} is already taken (sinks.p)");
    assert!(run.out.contains(&refusal) || run.err.contains(&refusal), "{}{}", run.out, run.err);
}
