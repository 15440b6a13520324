//! A sink of one's own, as a crate outside the tree would have it: settings, a writer, one registration.
//!
//! It sends each row as a StatsD gauge over UDP. Here it stands in the program that uses it; in a crate
//! of its own nothing would change, but for `use that_crate as _;` in the program.
//!
//!     cargo run --example custom_sink

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::net::UdpSocket;
use std::time::Duration;

use anyhow::{Context, anyhow};
use serde::Deserialize;
use wanctl::autorate::{Observation, Probe};
use wanctl::runner::AutorateRunner;
use wanctl::sink::{
    Batch, Deadline, Issue, OpenContext, Pipeline, PipelineOptions, Registry, SinkConfig,
    SinkError, SinkSpec, SinkWriter, Timestamp, Written, register_sink,
};

/// `settings:`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StatsdConfig {
    /// Host and port.
    address: String,
    /// Put before each name. Default none.
    #[serde(default)]
    prefix: String,
}

impl SinkConfig for StatsdConfig {
    fn check(&self) -> Vec<Issue> {
        match self.address.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Vec::new(),
            _ => vec![Issue::value("address", &self.address, "host:port")],
        }
    }

    fn open(&self, _: &OpenContext) -> Result<Box<dyn SinkWriter>, SinkError> {
        let socket = UdpSocket::bind("0.0.0.0:0")
            .and_then(|socket| socket.connect(&self.address).map(|()| socket))
            .map_err(|error| SinkError::io(&format!("connect to {}", self.address), error))?;
        Ok(Box::new(Statsd { socket, prefix: self.prefix.clone() }))
    }
}

struct Statsd {
    socket: UdpSocket,
    prefix: String,
}

impl SinkWriter for Statsd {
    fn write(&mut self, batch: &Batch<'_>, _: Deadline) -> Written {
        for row in batch.rows() {
            let line =
                format!("{}{}.{}:{}|g", self.prefix, row.metric().name, row.wan(), row.value);
            if let Err(error) = self.socket.send(line.as_bytes()) {
                return Written::Failed(SinkError::io("send", error));
            }
        }
        Written::All
    }
}

register_sink! {
    "statsd" => StatsdConfig,
    summary: "Sends each row as a StatsD gauge over UDP",
    sample: "statsd: { type: statsd, settings: { address: '127.0.0.1:8125' } }",
}

fn main() -> anyhow::Result<()> {
    let server = UdpSocket::bind("127.0.0.1:0")?;
    server.set_read_timeout(Some(Duration::from_secs(5)))?;
    let sinks = format!(
        "statsd: {{ type: statsd, settings: {{ address: '{}', prefix: 'home.' }} }}",
        server.local_addr()?
    );

    let registry = Registry::linked().map_err(say)?;
    println!("kinds: {}", registry.iter().map(|kind| kind.kind).collect::<Vec<_>>().join(", "));
    let specs = SinkSpec::parse_yaml(&sinks, &registry).map_err(say)?;
    let pipeline = Pipeline::start(specs, PipelineOptions::default()).map_err(say)?;

    let config =
        wanctl::config::parse(include_str!("../config/quickstart.yaml"), "quickstart".as_ref());
    let policy = config.map_err(say)?.autorate.context("no autorate controller")?.policy;
    let mut runner = AutorateRunner::new("wan1", policy, pipeline.sink())?;
    let observation = Observation { probe: Probe::Icmp(23.4), elapsed_seconds: 0.05 };
    runner.step(Timestamp::default(), &observation, |_| {});
    drop(runner);
    let stats = pipeline.shutdown(Duration::from_secs(3));

    let mut packet = [0; 512];
    for _ in 0..stats[0].delivered {
        let length = server.recv(&mut packet)?;
        println!("{}", String::from_utf8_lossy(&packet[..length]));
    }
    Ok(())
}

fn say(issues: Vec<Issue>) -> anyhow::Error {
    anyhow!("{}", issues.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}
